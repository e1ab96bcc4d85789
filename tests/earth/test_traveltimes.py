"""Travel times against closed forms, other codes and the laws they must obey."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seisflow.earth import TravelTimes, VelocityModel
from seisflow.errors import VelocityModelError

DISTANCE_KM = np.linspace(0.0, 200.0, 201)
# Fast over slow over fast: a low-velocity layer from 4 to 9 km, and a source may lie in or under it.
LID = VelocityModel(
    depth_km=(-2.0, 1.0, 4.0, 9.0, 25.0), vp_km_s=(3.0, 6.2, 4.5, 6.5, 8.0), vs_km_s=(1.6, 3.5, 2.6, 3.7, 4.6)
)


def test_half_space_is_a_straight_line() -> None:
    times = TravelTimes(VelocityModel(depth_km=(0.0,), vp_km_s=(6.0,), vs_km_s=(3.5,)))
    np.testing.assert_allclose(
        times.first_arrival("P", DISTANCE_KM, 10.0, -1.0), np.hypot(DISTANCE_KM, 11.0) / 6.0
    )
    np.testing.assert_allclose(
        times.first_arrival("S", DISTANCE_KM, -1.0, 10.0), np.hypot(DISTANCE_KM, 11.0) / 3.5
    )


def test_two_layers_have_their_head_wave_and_cross_over() -> None:
    times = TravelTimes(VelocityModel(depth_km=(0.0, 30.0), vp_km_s=(6.0, 8.0), vs_km_s=(3.5, 4.6)))
    direct = np.hypot(DISTANCE_KM, 10.0) / 6.0
    head = DISTANCE_KM / 8.0 + 50.0 * np.sqrt(1 / 36 - 1 / 64)
    critical_km = 50.0 * np.tan(np.arcsin(6.0 / 8.0))
    expected = np.where(critical_km <= DISTANCE_KM, np.minimum(direct, head), direct)
    np.testing.assert_allclose(times.first_arrival("P", DISTANCE_KM, 10.0, 0.0), expected, rtol=1e-9)
    # A surface source crosses over at 2 h sqrt((v2 + v1) / (v2 - v1)).
    cross_over_km = 60.0 * np.sqrt(14.0 / 2.0)
    near, far = times.first_arrival("P", [cross_over_km - 1.0, cross_over_km + 1.0], 0.0, 0.0)
    assert near == pytest.approx((cross_over_km - 1.0) / 6.0)
    assert far < (cross_over_km + 1.0) / 6.0


def test_source_below_a_fast_lid_sends_a_head_wave_along_it() -> None:
    """Both ends under a fast layer: the first arrival runs along its bottom."""
    times = TravelTimes(VelocityModel(depth_km=(0.0, 5.0), vp_km_s=(7.0, 5.0), vs_km_s=(4.0, 2.8)))
    x = 60.0
    expected = x / 7.0 + (1.0 + 3.0) * np.sqrt(1 / 25 - 1 / 49)
    assert times.first_arrival("P", x, 6.0, 8.0) == pytest.approx(expected)


@pytest.mark.parametrize(("v0", "gradient"), [(5.0, 0.05), (6.0, 0.02), (3.0, 0.1), (2.0, 0.3)])
def test_gradient_has_its_closed_form(v0: float, gradient: float) -> None:
    depth = np.array([-5.0, 60.0])
    vp = v0 + gradient * depth
    model = VelocityModel(
        depth_km=tuple(depth), vp_km_s=tuple(vp), vs_km_s=tuple(vp / 1.73), interpolation="linear"
    )
    x, source, receiver = np.meshgrid(np.linspace(0, 100, 101), [0.0, 0.3, 5.0, 12.3, 20.0], [-1.0, 0.0])
    squared = gradient**2 * (x**2 + (source - receiver) ** 2)
    expected = (
        np.arccosh(1 + squared / (2 * (v0 + gradient * source) * (v0 + gradient * receiver))) / gradient
    )
    error = TravelTimes(model).first_arrival("P", x, source, receiver) - expected
    assert np.abs(error).max() < 0.005


def test_iasp91_agrees_with_taup(shared: Path) -> None:
    """TauP's earth is a sphere: the two part by some tens of milliseconds at 100 km."""
    taup = pytest.importorskip("obspy.taup").TauPyModel("iasp91")
    model = VelocityModel.read(shared / "data/velocity_models/iasp91_0_800km.csv", "linear")
    for depth_km in (5.0, 15.0, 25.0):
        for distance_km in (10.0, 50.0, 100.0):
            for phase in "PS":
                names = [phase.lower(), phase, f"{phase}n", f"{phase}g"]
                arrivals = taup.get_travel_times(depth_km, distance_km / 111.195, names)
                ours = TravelTimes(model).first_arrival(phase, distance_km, depth_km, 0.0)
                assert min(a.time for a in arrivals) == pytest.approx(
                    ours, abs=0.05 if phase == "P" else 0.08
                )


depths = st.floats(-1.5, 40.0)
distances = st.floats(0.0, 250.0)


@settings(deadline=None, max_examples=150)
@given(distance=distances, one=depths, other=depths)
def test_reciprocity(distance: float, one: float, other: float) -> None:
    times = TravelTimes(LID)
    forward, backward = (
        times.first_arrival("P", distance, one, other),
        times.first_arrival("P", distance, other, one),
    )
    assert forward == pytest.approx(backward, abs=1e-7)


@settings(deadline=None, max_examples=60)
@given(one=depths, other=depths)
def test_further_is_later_and_slowness_is_bounded(one: float, other: float) -> None:
    times = TravelTimes(LID).first_arrival("P", DISTANCE_KM, one, other)
    slowness = np.diff(times) / np.diff(DISTANCE_KM)
    assert (slowness >= -1e-9).all()
    assert slowness.max() <= 1 / 3.0 + 1e-9


@settings(deadline=None, max_examples=100)
@given(one=depths, other=depths, between=depths, x1=distances, x2=distances)
def test_fermat_no_detour_is_faster(one: float, other: float, between: float, x1: float, x2: float) -> None:
    times = TravelTimes(LID)
    detour = times.first_arrival("P", x1, one, between) + times.first_arrival("P", x2, between, other)
    assert times.first_arrival("P", x1 + x2, one, other) <= detour + 1e-6


def test_shape_broadcasts_and_order_does_not_matter() -> None:
    times = TravelTimes(LID)
    rng = np.random.default_rng(0)
    x, source = rng.uniform(0, 100, (4, 1, 6)), rng.uniform(0, 20, (3, 1))
    together = times.first_arrival("S", x, source, -0.5)
    assert together.shape == (4, 3, 6)
    single = [
        times.first_arrival("S", a, b, -0.5)
        for a, b in zip(*(v.ravel() for v in np.broadcast_arrays(x, source)), strict=True)
    ]
    np.testing.assert_allclose(together.ravel(), np.array(single), atol=1e-7)


def test_table_holds_first_arrivals_and_is_kept() -> None:
    times = TravelTimes(LID)
    x, z = np.arange(0.0, 50.0), np.arange(0.0, 20.0, 0.5)
    table = times.table("P", -0.5, x, z)
    np.testing.assert_allclose(table, times.first_arrival("P", x[:, None], z, -0.5))
    assert TravelTimes(LID).table("P", -0.5, x, z) is table
    assert not table.flags.writeable


def test_other_phases_are_refused() -> None:
    with pytest.raises(VelocityModelError, match="allowed are P, S"):
        TravelTimes(LID).first_arrival("Lg", 10.0, 5.0, 0.0)
