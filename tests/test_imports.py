"""Heavy packages are imported where they are used: start-up stays fast, in a shell and in each worker.

What is imported is asserted rather than a time, which would depend on the machine.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

import seisflow
from seisflow import method

HEAVY = {"dask", "distributed", "matplotlib", "numba", "obspy", "pyocto", "seisbench", "sklearn", "torch"}
SEEN = "import json, sys; print(json.dumps([sorted({name.partition('.')[0] for name in sys.modules})]))"


def imported_by(code: str) -> set[str]:
    """Return the top-level packages there are in a fresh process after `code`."""
    environment = os.environ | {"COLUMNS": "200"}
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\n{SEEN}"],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1])[0])


def test_importing_seisflow_imports_nothing_heavy() -> None:
    found = imported_by("import seisflow")
    assert not found & (HEAVY | {"numpy", "pandas", "pydantic", "pyarrow", "scipy", "xarray", "zarr"})


def test_help_imports_nothing_heavy() -> None:
    found = imported_by(
        "import contextlib, io, sys\n"
        "sys.argv = ['seisflow', '--help']\n"
        "from seisflow.cli import main\n"
        "shown = io.StringIO()\n"
        "with contextlib.suppress(SystemExit), contextlib.redirect_stdout(shown):\n"
        "    main()\n"
        "assert 'Usage' in shown.getvalue() and 'demo' in shown.getvalue(), shown.getvalue()\n"
    )
    assert "seisflow" in found
    assert not found & (HEAVY | {"numpy", "pandas", "pyarrow", "scipy", "xarray", "zarr"})


@pytest.mark.parametrize("room", method.rooms())
def test_listing_the_methods_of_a_room_imports_nothing_heavy(room: str) -> None:
    found = imported_by(f"from seisflow.method import describe; assert describe({room!r})")
    assert not found & HEAVY


def test_reading_a_workflow_imports_nothing_heavy() -> None:
    assert not imported_by("import seisflow.workflow") & HEAVY


@pytest.mark.parametrize("name", seisflow.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert name in dir(seisflow)
    assert getattr(seisflow, name) is not None


def test_a_name_that_is_not_public_is_refused_as_python_does() -> None:
    with pytest.raises(AttributeError, match="module 'seisflow' has no attribute 'magic'"):
        seisflow.magic  # noqa: B018
