"""Whether noise has the level and spectrum that it says, and no seam."""

from __future__ import annotations

import numpy as np
import pytest
from obspy.signal.spectral_estimation import get_nhnm, get_nlnm
from scipy.signal import welch

from seisflow.synthetic import Scenario
from seisflow.synthetic.faults import add_glitches
from seisflow.synthetic.network import make_network
from seisflow.synthetic.noise import HIGH_NOISE, LOW_NOISE, band_rms, make_noise, noise_density
from seisflow.synthetic.spectra import frequencies, waveband

QUIET = Scenario(bursts_per_day=0.0, glitches_per_day=0.0)
SITES = make_network(QUIET, 1)
HOUR = 360000


@pytest.mark.parametrize(("ours", "theirs"), [(LOW_NOISE, get_nlnm), (HIGH_NOISE, get_nhnm)])
def test_noise_models_are_those_of_peterson(ours: tuple[tuple[float, float], ...], theirs: object) -> None:
    period_s, level_db = theirs()  # type: ignore[operator]
    used = period_s < 200
    nodes, values = np.array(ours).T
    np.testing.assert_allclose(
        np.interp(np.log10(period_s[used]), np.log10(nodes), values), level_db[used], atol=0.5
    )


def test_spectrum_of_the_noise_is_its_density() -> None:
    site = SITES[0]
    noise = make_noise(site, 0, 3 * HOUR + 3000, HOUR - 6000, QUIET, seed=1)
    frequency_hz, density = welch(noise, fs=100.0, nperseg=8192)
    expected = noise_density(site, frequency_hz, 3.5) * np.abs(site.instrument.response(frequency_hz)) ** 2
    band = (frequency_hz > 0.1) & (frequency_hz < 45)
    ratio_db = 10 * np.log10(density[band] / expected[band])
    assert abs(ratio_db.mean()) < 0.3 and np.abs(ratio_db).max() < 4


def test_noise_between_2_and_20_hz_has_the_stated_level_at_every_station() -> None:
    gain = waveband(frequencies(60000, 100.0))
    measured, stated = [], []
    for site in SITES:
        noise = make_noise(site, 0, 12 * HOUR + 100000, 60000, QUIET, seed=1)
        measured.append(np.fft.irfft(np.fft.rfft(noise) * gain).std())
        stated.append(band_rms(site, 12.5))
    np.testing.assert_allclose(measured, stated, rtol=0.1)
    ground = np.array(stated) / [site.instrument.sensitivity for site in SITES]
    assert ground.max() / ground.min() > 5


def test_people_make_noise_by_day() -> None:
    loudest = max(SITES, key=lambda site: site.cultural_db)
    assert band_rms(loudest, 13.0) > 1.5 * band_rms(loudest, 1.0)
    density = [noise_density(loudest, np.array([0.2]), hour)[0] for hour in (1.0, 13.0)]
    assert density[1] == pytest.approx(density[0], rel=0.02)  # the sea does not sleep


def test_any_cut_of_the_noise_gives_the_same_noise() -> None:
    scenario = Scenario(bursts_per_day=300.0)
    site = SITES[4]
    whole = make_noise(site, 1, HOUR - 20000, 40000, scenario, seed=1)
    parts = [
        make_noise(site, 1, HOUR - 20000 + cut, 10000, scenario, seed=1) for cut in range(0, 40000, 10000)
    ]
    np.testing.assert_array_equal(whole, np.concatenate(parts))


def test_hours_meet_without_a_seam() -> None:
    noise = make_noise(SITES[0], 0, HOUR - 30000, 60000, QUIET, seed=1).astype(float)
    steps = np.abs(np.diff(noise))
    assert steps[29990:30010].max() < 1.2 * steps.max()
    levels = noise.reshape(20, 3000).std(axis=1)
    assert levels[10] > 0.4 * np.median(levels)


def test_glitches_stand_out_and_belong_to_one_channel() -> None:
    scenario = Scenario(glitches_per_day=2000.0)
    site = SITES[0]
    counts = [np.zeros(HOUR, dtype=np.float32) for _ in range(2)]
    for component in range(2):
        add_glitches(counts[component], site, component, 0, scenario, seed=1)
    assert all(20 < (np.abs(np.diff(one)) > 500).sum() < 400 for one in counts)
    assert not np.array_equal(*counts)
