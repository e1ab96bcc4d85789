"""Stores for tests: on a disk, and in a bucket of a real S3 server."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from seisflow.run.store import Store
from tests.services.s3 import S3Server


def on_s3(server: S3Server) -> Store:
    """Return a store in a fresh bucket."""
    return Store(f"{server.bucket()}/run", server.storage_options)


@pytest.fixture(params=["disk", "s3", pytest.param("ceph", marks=pytest.mark.ceph)])
def each_store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """Return an empty store of each kind."""
    if request.param == "disk":
        return Store(str(tmp_path / "run"))
    return on_s3(request.getfixturevalue(request.param))


def python(code: str, *arguments: str) -> subprocess.Popen[str]:
    """Start a process of its own that runs some code."""
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
