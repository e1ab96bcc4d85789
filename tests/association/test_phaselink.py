"""PhaseLink beyond the contract: dense sequences, its weights, its parameters."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from seisflow.association import associate_picks
from seisflow.association.phaselink import PhaseLink
from seisflow.errors import WeightsError, WorkflowError
from seisflow.method import build
from tests.association.contract import in_chunks, same
from tests.association.sequences import made_sequence
from tests.association.test_methods import SMALL_WEIGHTS

SMALL = PhaseLink(weights=str(SMALL_WEIGHTS))


def test_any_cut_of_a_dense_sequence_gives_the_same_events() -> None:
    # An event in 12 s: the waves of several are under way at a time, also at every border.
    sequence = made_sequence(3, n_events=30, gap_s=12.0, false_share=0.3, network_seed=0)
    dense = SMALL.model_copy(update={"window_s": 300.0})
    whole = associate_picks(sequence.picks, sequence.stations, dense, sequence.velocity)
    assert len(whole.events) > 5
    cuts = ["2020-01-01", "2020-01-01T00:12:07", "2020-01-01T00:15", "2020-01-02"]
    same(whole, in_chunks(sequence, dense, cuts))


def test_picks_far_from_their_origin_are_kept_unless_a_limit_is_given() -> None:
    sequence = made_sequence(4, network_seed=0)
    limited = SMALL.model_copy(update={"max_residual_s": 4.0})
    kept = associate_picks(sequence.picks, sequence.stations, SMALL, sequence.velocity)
    cleaned = associate_picks(sequence.picks, sequence.stations, limited, sequence.velocity)
    # Residuals are about the mean of the picks that are left, the limit is about their median.
    assert cleaned.assignments["residual_s"].abs().max() < 6.0
    assert kept.assignments["residual_s"].abs().max() > 6.0
    for catalog in (kept, cleaned):
        rows = catalog.assignments.merge(catalog.picks, on="pick_id").merge(catalog.events, on="event_id")
        travel_s = (rows["time_x"] - rows["time_y"]).dt.total_seconds()
        assert travel_s.between(0.0, SMALL.margin_s).all()


def test_picks_of_a_foreign_network_are_refused() -> None:
    sequence = made_sequence(3, network_seed=1)
    with pytest.raises(WeightsError, match=r"XX\.S00, XX\.S01.* stood over 2 km away"):
        associate_picks(sequence.picks, sequence.stations, SMALL, sequence.velocity)


def test_another_velocity_model_is_warned_of() -> None:
    sequence = made_sequence(3, n_events=3, network_seed=0)
    slower = sequence.velocity.model_copy(update={"vp_km_s": (4.9, 5.9, 6.6, 7.9)})
    with pytest.warns(UserWarning, match="another velocity model"):
        associate_picks(sequence.picks, sequence.stations, SMALL, slower)


def test_weights_are_named_by_their_content(tmp_path: Path) -> None:
    shutil.copy(SMALL_WEIGHTS, tmp_path / "copy.weights")
    copy = PhaseLink(weights=str(tmp_path / "copy.weights"))
    assert copy.fingerprint() == SMALL.fingerprint()
    assert copy.model_copy(update={"device": "cpu"}).fingerprint() == SMALL.fingerprint()
    assert copy.model_copy(update={"n_nuc": 7}).fingerprint() != SMALL.fingerprint()
    with pytest.raises(WeightsError, match="none"):
        PhaseLink(weights=str(tmp_path / "none")).fingerprint()


def test_the_windows_of_the_weights_are_those_of_the_paper() -> None:
    from seisflow.association.linking.linker import read_linker

    linker = read_linker(SMALL_WEIGHTS)
    assert (linker.n_picks, linker.span_s) == (500, SMALL.margin_s)
    assert np.isclose(linker.depth_km[1], 20.0)


def test_a_workflow_block_is_checked() -> None:
    found = build("association", {"method": "phaselink", "weights": "a.weights", "n_nuc": 6, "n_merge": 5})
    assert isinstance(found, PhaseLink)
    with pytest.raises(WorkflowError, match="n_merge 8 must be less than n_nuc 8"):
        build("association", {"method": "phaselink", "weights": "a.weights", "n_merge": 8})
    with pytest.raises(WorkflowError, match="weights: this key is needed"):
        build("association", {"method": "phaselink"})
