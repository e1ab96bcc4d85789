"""Small synthetic archives shared by the tests of this room."""

from __future__ import annotations

import pytest

from seisflow.synthetic import Scenario, SyntheticTruth, make_archive

SMALL = Scenario(
    start="2024-02-28T23:55:00",
    duration_s=600.0,
    n_stations=3,
    aperture_km=40.0,
    n_events=12,
    n_families=1,
    family_size=3,
    overlap_fraction=0.2,
    gaps_per_day=500.0,
    glitches_per_day=500.0,
    bursts_per_day=500.0,
)
"""Ten minutes around midnight, with as much trouble as fits into them."""


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> SyntheticTruth:
    """Return a small archive with gaps, glitches and a midnight in it."""
    return make_archive(tmp_path_factory.mktemp("small"), SMALL, seed=3, n_workers=1)
