"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared() -> Path:
    """Return the folder with real data, or skip where it is absent."""
    folder = Path(os.environ.get("SEISFLOW_SHARED", ROOT.parent / "shared"))
    if not (folder / "data").is_dir():
        pytest.skip(f"real data are not here: no folder {folder}/data (set SEISFLOW_SHARED)")
    return folder
