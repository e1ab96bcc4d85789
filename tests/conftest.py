"""Fixtures and options shared by all tests."""

from __future__ import annotations

import os
from pathlib import Path

import hypothesis
import pytest

pytest_plugins = ["tests.services.s3", "tests.services.ceph", "tests.services.storms"]

ROOT = Path(__file__).resolve().parent.parent
OPTIONS = {
    "slow": "run tests that take more than a minute",
    "gpu": "run tests that need a CUDA device",
    "aws": "run tests that need AWS credentials and a network",
    "ceph": "run the S3 tests against Ceph, too: needs root and Debian's radosgw, ceph-mon, ceph-osd",
}

# Workers are processes: threads inside them would only compete. Set before numpy or torch is imported.
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(name, "1")
os.environ.setdefault("MPLBACKEND", "Agg")

hypothesis.settings.register_profile("seisflow", deadline=None, print_blob=True)
hypothesis.settings.load_profile("seisflow")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add an option for each kind of test that does not run by default."""
    for kind, about in OPTIONS.items():
        parser.addoption(f"--run-{kind}", action="store_true", help=about)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip the tests whose option was not given."""
    for kind in OPTIONS:
        if config.getoption(f"--run-{kind}"):
            continue
        for item in items:
            if item.get_closest_marker(kind):
                item.add_marker(pytest.mark.skip(reason=f"needs --run-{kind}"))


@pytest.fixture(scope="session")
def shared() -> Path:
    """Return the folder with real data, or skip where it is absent."""
    folder = Path(os.environ.get("SEISFLOW_SHARED", ROOT.parent / "shared"))
    if not (folder / "data").is_dir():
        pytest.skip(f"real data are not here: no folder {folder}/data (set SEISFLOW_SHARED)")
    return folder
