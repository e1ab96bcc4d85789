"""From the posterior of a hypocentre, given on cells, to the errors a catalogue states."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["azimuthal_gap_deg", "depth_error_km", "horizontal_error_km", "matched_scale"]

SHARE_68 = 0.6827
SLICES = (np.arange(8) + 0.5) / 8 - 0.5


def horizontal_error_km(
    centres: NDArray[np.float64], probability: NDArray[np.float64], hypocentre: NDArray[np.float64]
) -> float:
    """Return the semi-major axis (km) of the ellipse about the epicentre that holds 68% of the posterior.

    Its shape and azimuth are those of the second moments about the epicentre.

    Parameters
    ----------
    centres : (n_cell, 3) east, north, depth, km
    probability : (n_cell,) sums to one
    hypocentre : (3,) km
    """
    offset = centres[:, :2] - hypocentre[:2]
    variance, axes = np.linalg.eigh((probability[:, None] * offset).T @ offset)
    radius = np.sqrt(np.sum((offset @ axes) ** 2 / variance, axis=1))
    return float(np.sqrt(variance[-1]) * _quantile_68(radius, probability))


def depth_error_km(
    centres: NDArray[np.float64],
    probability: NDArray[np.float64],
    hypocentre: NDArray[np.float64],
    thickness_km: float,
) -> float:
    """Return the distance (km) above and below the hypocentre within which lies 68% of the posterior."""
    # A cell is spread over its thickness, or the error would jump by whole cells.
    away = np.abs(centres[:, 2, None] + SLICES * thickness_km - hypocentre[2]).ravel()
    mass = np.repeat(probability / len(SLICES), len(SLICES))
    return _quantile_68(away, mass)


def _quantile_68(values: NDArray[np.float64], mass: NDArray[np.float64]) -> float:
    order = np.argsort(values)
    return float(np.interp(SHARE_68, np.cumsum(mass[order]), values[order]))


def azimuthal_gap_deg(east_km: NDArray[np.float64], north_km: NDArray[np.float64]) -> float:
    """Return the largest angle (degrees) without a station, seen from the epicentre at (0, 0)."""
    azimuth = np.sort(np.degrees(np.arctan2(east_km, north_km)) % 360.0)
    return float(np.max(np.diff(azimuth, append=azimuth[0] + 360.0)))


@lru_cache(maxsize=8)
def matched_scale(student: bool, freedom: float) -> float:
    """Return the scale at which a robust likelihood states the errors it makes when residuals are Gaussian.

    With unit scale the posterior would be wider (Student's t) or narrower (Laplace) than the scatter
    of its maximum. At the scale returned the information equality ``E[psi**2] = E[psi']`` holds,
    psi being the derivative of minus the log density of residuals.
    """
    if not student:
        return float(np.sqrt(np.pi))
    residual = np.linspace(-12.0, 12.0, 4801)
    gaussian = np.exp(-0.5 * residual**2)
    low, high = 0.5, 1.5
    for _ in range(50):
        scale = 0.5 * (low + high)
        tail = freedom * scale**2 + residual**2
        score = (freedom + 1) * residual / tail
        slope = (freedom + 1) * (freedom * scale**2 - residual**2) / tail**2
        low, high = (scale, high) if np.sum(gaussian * (score**2 - slope)) > 0 else (low, scale)
    return scale
