"""Whether the earth moves as it should: onsets, polarities, spectra, families, magnitudes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import correlate

from seisflow.synthetic import Scenario
from seisflow.synthetic.network import Site, make_network
from seisflow.synthetic.propagation import Ray, trace_rays
from seisflow.synthetic.seismogram import radiation, seismogram
from seisflow.synthetic.sources import Source, double_couple, gutenberg_richter, make_sources

SCENARIO = Scenario(n_stations=6, duration_s=7200, n_events=40, n_families=2, family_size=4)
SEED = 7
SITES = make_network(SCENARIO, SEED)
SOURCES = make_sources(SCENARIO, SEED)
RAYS = trace_rays(SOURCES, SITES, SCENARIO, SEED)
angles = st.floats(-180, 360)


def lone(phase: str, source: Source, site: Site, rays: dict[str, Ray]) -> tuple[np.ndarray, float]:
    """Return the record of one event and where the phase begins in it, in samples."""
    record = seismogram(source, site, rays, SEED)
    return record.counts, (source.time_s + rays[phase].time_s) * site.sampling_rate_hz - record.start


def strongest_p(site_index: int) -> int:
    """Return the source whose P is least nodal at a station."""
    return int(np.argmax([abs(radiation(s, RAYS[i][site_index]["P"])[0]) for i, s in enumerate(SOURCES)]))


@pytest.mark.parametrize("site_index", range(6))
def test_energy_arrives_at_the_true_onset(site_index: int) -> None:
    site = SITES[site_index]
    i = strongest_p(site_index)
    counts, onset = lone("P", SOURCES[i], site, RAYS[i][site_index])
    vertical = np.abs(counts[0])
    peak = vertical[int(onset) : int(onset) + 20].max()
    first = np.flatnonzero(vertical > 0.2 * peak)[0]
    assert vertical[: int(onset) - 1].max() < 0.05 * peak
    assert -0.5 <= first - onset <= 3.0


@pytest.mark.parametrize("site_index", range(6))
def test_first_motion_has_the_sign_of_the_radiation(site_index: int) -> None:
    site = SITES[site_index]
    i = strongest_p(site_index)
    counts, onset = lone("P", SOURCES[i], site, RAYS[i][site_index])
    first = int(np.ceil(onset))
    up = radiation(SOURCES[i], RAYS[i][site_index]["P"])[0] > 0
    swing = counts[0, first : first + 8]
    assert (swing[np.argmax(np.abs(swing) > 0.3 * np.abs(swing).max())] > 0) == up


def test_shifting_the_origin_by_part_of_a_sample_shifts_the_waves_by_as_much() -> None:
    source, site = SOURCES[0], SITES[0]
    shifts = np.array([0.0, 0.0025, 0.005, 0.0075])
    records = [seismogram(replace(source, time_s=100.0 + shift), site, RAYS[0][0], SEED) for shift in shifts]
    n = records[0].counts.shape[1]
    frequency_hz = np.fft.rfftfreq(n, 0.01)
    band = (frequency_hz > 2) & (frequency_hz < 15)
    first = np.fft.rfft(records[0].counts[0])[band]
    for shift, record in zip(shifts, records, strict=True):
        late = np.fft.rfft(record.counts[0])[band] * np.exp(
            -2j * np.pi * frequency_hz[band] * (record.start - records[0].start) / 100.0
        )
        lag = np.angle((late * first.conj()) / np.abs(first) ** 2) / (-2 * np.pi * frequency_hz[band])
        assert np.median(lag) == pytest.approx(shift, abs=2e-4)


@given(strike=angles, dip=st.floats(0, 90), rake=st.floats(-180, 180))
@settings(deadline=None, max_examples=50)
def test_double_couples_have_no_volume_and_no_monopole(strike: float, dip: float, rake: float) -> None:
    eigenvalues = np.linalg.eigvalsh(double_couple(strike, dip, rake))
    np.testing.assert_allclose(eigenvalues, [-1.0, 0.0, 1.0], atol=1e-12)


def test_strike_slip_and_thrust_have_the_textbook_tensors() -> None:
    tensor = double_couple(0.0, 90.0, 0.0)
    expected = np.zeros((3, 3))
    expected[0, 1] = expected[1, 0] = 1.0  # M_ne = +M0: compression to the north-east (Aki & Richards)
    np.testing.assert_allclose(tensor, expected, atol=1e-12)
    thrust = double_couple(0.0, 45.0, 90.0)
    np.testing.assert_allclose(np.diag(thrust), [-1.0, 0.0, 1.0], atol=1e-12)


def test_p_moves_along_the_ray_and_s_across_it() -> None:
    for i, source in enumerate(SOURCES[:10]):
        for k in range(len(SITES)):
            p, s = (radiation(source, RAYS[i][k][phase]) for phase in "PS")
            ray = RAYS[i][k]["P"]
            away = np.array([np.sin(ray.azimuth_rad), np.cos(ray.azimuth_rad)])
            direction = np.array([np.cos(ray.incidence_rad), *(np.sin(ray.incidence_rad) * away[::-1])])
            assert np.linalg.norm(np.cross(p, direction)) < 1e-9
            sine = np.sin(RAYS[i][k]["S"].incidence_rad)
            s_direction = np.array([np.sqrt(1 - sine**2), *(sine * away[::-1])])
            assert abs(s @ s_direction) < 1e-9


def test_rays_leave_upward_nearby_and_downward_far_away() -> None:
    source = replace(SOURCES[0], east_km=0.0, north_km=0.0, depth_km=5.0)
    above = replace(SITES[0], east_km=1.0, north_km=0.0)
    far = replace(SITES[0], east_km=150.0, north_km=0.0)
    near_ray, far_ray = (rays["P"] for rays in trace_rays([source], [above, far], SCENARIO, SEED)[0])
    assert near_ray.takeoff[1] > 0.9
    assert far_ray.takeoff[1] < 0  # a head wave
    assert near_ray.azimuth_rad == pytest.approx(np.pi / 2)


def test_travel_times_scatter_about_the_model_and_agree_for_neighbours() -> None:
    ratio = np.array([[ray["P"].time_s / ray["P"].model_time_s for ray in rays] for rays in RAYS])
    assert 0.002 < ratio.std() < 0.03
    moved = [replace(source, east_km=source.east_km + 0.1) for source in SOURCES[:5]]
    for i, rays in enumerate(trace_rays(moved, SITES, SCENARIO, SEED)):
        for k, ray in enumerate(rays):
            assert ray["P"].time_s == pytest.approx(RAYS[i][k]["P"].time_s, abs=0.03)


@pytest.mark.parametrize("magnitude", [3.0, 3.8])
def test_s_spectrum_has_the_corner_of_brune(magnitude: float) -> None:
    """Fit corner frequency and level to the displacement spectrum of S, t* known, as one does with data."""
    source = replace(SOURCES[0], magnitude=magnitude, stress_drop_mpa=3.0)
    site = SITES[1]
    rays = RAYS[0][1]
    counts, onset = lone("S", source, site, rays)
    first = int(onset) - 20
    window = counts[1:, first : first + 400] * np.hanning(400)
    frequency_hz = np.fft.rfftfreq(400, 0.01)
    band = (frequency_hz > 0.5) & (frequency_hz < 25)
    velocity = np.sqrt((np.abs(np.fft.rfft(window)[:, band]) ** 2).sum(axis=0))
    frequency_hz = frequency_hz[band]
    t_star_s = rays["S"].time_s / 150.0 + site.kappa_s
    shape = velocity / np.abs(site.instrument.response(frequency_hz)) / frequency_hz
    shape *= np.exp(np.pi * frequency_hz * t_star_s)
    corners = np.geomspace(0.5, 30, 200)
    misfit = [np.std(np.log(shape * (1 + (frequency_hz / corner) ** 2))) for corner in corners]
    expected = source.corner_hz("S", rays["S"].source_speed_km_s)
    assert corners[int(np.argmin(misfit))] == pytest.approx(expected, rel=0.4)


def test_family_members_record_alike_and_others_do_not() -> None:
    families = [[i for i, source in enumerate(SOURCES) if source.family == family] for family in (0, 1)]
    site_index = 2

    def similarity(i: int, j: int) -> float:
        cut = []
        for source in (i, j):
            counts, onset = lone("P", SOURCES[source], SITES[site_index], RAYS[source][site_index])
            cut.append(counts[0, int(onset) - 50 : int(onset) + 1500].astype(float))
        cross = correlate(cut[0], cut[1], method="fft")
        return float(np.abs(cross).max() / np.sqrt((cut[0] @ cut[0]) * (cut[1] @ cut[1])))

    within = [similarity(family[0], member) for family in families for member in family[1:]]
    between = [similarity(families[0][0], member) for member in families[1]]
    assert min(within) > 0.9
    assert max(between) < 0.5


def test_amplitudes_grow_with_magnitude_and_fall_with_distance() -> None:
    peaks = [
        np.abs(seismogram(replace(SOURCES[0], magnitude=m), SITES[0], RAYS[0][0], SEED).counts).max()
        for m in (1.0, 1.5, 2.0, 3.0)
    ]
    assert np.all(np.diff(peaks) > 0)
    assert 30 < peaks[3] / peaks[0] < 1000  # between 10^0.75 and 10^1.5 for each unit
    near, far = (
        replace(SITES[0], east_km=SOURCES[0].east_km + d, north_km=SOURCES[0].north_km) for d in (5, 60)
    )
    rays = trace_rays([SOURCES[0]], [near, far], SCENARIO, SEED)[0]
    near_peak, far_peak = (
        np.abs(seismogram(SOURCES[0], site, ray, SEED).counts).max()
        for site, ray in zip((near, far), rays, strict=True)
    )
    assert near_peak > 3 * far_peak


@pytest.mark.parametrize("b_value", [0.8, 1.0, 1.3])
def test_magnitudes_follow_gutenberg_and_richter(b_value: float) -> None:
    magnitude = gutenberg_richter(np.random.default_rng(0), 3000, b_value, (1.0, 6.0))
    assert magnitude.min() >= 1.0 and magnitude.max() <= 6.0
    maximum_likelihood = np.log10(np.e) / (magnitude.mean() - 1.0)  # Aki (1965)
    assert maximum_likelihood == pytest.approx(b_value, rel=0.03)


def test_some_events_overlap_and_families_share_a_hypocentre() -> None:
    scenario = Scenario(overlap_fraction=0.1)
    sources = make_sources(scenario, SEED)
    lag_s = np.diff([source.time_s for source in sources])
    assert len(sources) == scenario.n_events
    assert (lag_s < scenario.overlap_s[1]).sum() >= 10
    for family in range(scenario.n_families):
        members = [source for source in sources if source.family == family]
        assert len(members) == scenario.family_size
        assert len({(m.latitude, m.longitude, m.depth_km, m.strike_deg) for m in members}) == 1
        assert len({m.magnitude for m in members}) == scenario.family_size
