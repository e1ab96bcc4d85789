"""Errors of a posterior that is known in closed form."""

from __future__ import annotations

import numpy as np
import pytest

from seisflow.location.posterior import azimuthal_gap_deg, depth_error_km, horizontal_error_km, matched_scale


def gaussian(covariance: np.ndarray, step: float) -> tuple[np.ndarray, np.ndarray]:
    """Return cells and probabilities of a Gaussian centred at zero."""
    axis = np.arange(-8.0, 8.0, step) + 0.5 * step
    centres = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3)
    probability = np.exp(-0.5 * np.einsum("ij,jk,ik->i", centres, np.linalg.inv(covariance), centres))
    return centres, probability / probability.sum()


def test_gaussian_has_its_textbook_errors() -> None:
    covariance = np.array([[2.0, 0.8, 0.0], [0.8, 1.0, 0.0], [0.0, 0.0, 1.5]])
    centres, probability = gaussian(covariance, 0.4)
    major = np.sqrt(np.linalg.eigvalsh(covariance[:2, :2])[-1] * -2.0 * np.log(1.0 - 0.6827))
    assert horizontal_error_km(centres, probability, np.zeros(3)) == pytest.approx(major, rel=0.02)
    assert depth_error_km(centres, probability, np.zeros(3), 0.4) == pytest.approx(np.sqrt(1.5), rel=0.02)


def test_hypocentre_off_the_mean_has_wider_errors() -> None:
    centres, probability = gaussian(np.eye(3), 0.5)
    off = np.array([1.0, 0.0, 1.0])
    centred = np.zeros(3)
    assert horizontal_error_km(centres, probability, off) > 1.2 * horizontal_error_km(
        centres, probability, centred
    )
    assert depth_error_km(centres, probability, off, 0.5) > 1.2 * depth_error_km(
        centres, probability, centred, 0.5
    )


def test_gap_is_the_largest_angle_without_a_station() -> None:
    azimuth = np.radians([350.0, 10.0, 100.0, 200.0])
    assert azimuthal_gap_deg(np.sin(azimuth), np.cos(azimuth)) == pytest.approx(150.0)
    assert azimuthal_gap_deg(np.array([1.0]), np.array([0.0])) == 360.0


def test_matched_scale_makes_posterior_and_scatter_agree() -> None:
    """Fit the mean of Gaussian numbers by Student's t: its stated variance is that of the fits."""
    scale, freedom = matched_scale(True, 4.0), 4.0
    values = np.random.default_rng(1).normal(size=(4000, 40))
    mean = np.median(values, axis=1)
    for _ in range(30):
        weight = 1.0 / (freedom * scale**2 + (values - mean[:, None]) ** 2)
        mean = np.sum(weight * values, axis=1) / np.sum(weight, axis=1)
    residual2, tail = (values - mean[:, None]) ** 2, freedom * scale**2
    curvature = np.sum((freedom + 1) * (tail - residual2) / (tail + residual2) ** 2, axis=1)
    assert np.var(mean) == pytest.approx(np.mean(1.0 / curvature), rel=0.08)
