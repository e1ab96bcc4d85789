"""How good picks are against known onsets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Score", "maxima", "score_onsets"]


@dataclass(frozen=True)
class Score:
    """Counts of found, false and missed onsets of one phase.

    Attributes
    ----------
    n_true, n_false, n_missed : int
    residuals_s : ndarray
        Found minus known time of the `n_true`.
    """

    n_true: int
    n_false: int
    n_missed: int
    residuals_s: NDArray[np.float64]

    @property
    def precision(self) -> float:
        """Part of the picks that are right; zero without picks."""
        return self.n_true / max(self.n_true + self.n_false, 1)

    @property
    def recall(self) -> float:
        """Part of the onsets that are found."""
        return self.n_true / max(self.n_true + self.n_missed, 1)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        return 2 * self.n_true / max(2 * self.n_true + self.n_false + self.n_missed, 1)

    def __add__(self, other: Score) -> Score:
        """Return the score of both sets together."""
        residuals = np.concatenate([self.residuals_s, other.residuals_s])
        return Score(
            self.n_true + other.n_true,
            self.n_false + other.n_false,
            self.n_missed + other.n_missed,
            residuals,
        )


def maxima(curve: NDArray[np.float32], threshold: float, n_apart: int) -> NDArray[np.int64]:
    """Return the samples where a curve is at least `threshold` and largest within `n_apart` on both sides."""
    from scipy.ndimage import maximum_filter1d

    largest = maximum_filter1d(curve, 2 * n_apart + 1, mode="nearest")
    top: NDArray[np.int64] = np.flatnonzero((curve >= threshold) & (curve == largest))
    return top[np.diff(top, prepend=-n_apart - 1) > n_apart]


def score_onsets(
    found_s: NDArray[np.float64],
    known_s: NDArray[np.float64],
    tolerance_s: float,
    ignored_s: NDArray[np.float64] | None = None,
) -> Score:
    """Match picks with known onsets, one to one, nearest first.

    Parameters
    ----------
    found_s, known_s : ndarray of float, shape (pick,), (onset,)
        Times of one phase at one station.
    tolerance_s : float
        Largest distance of a match, s.
    ignored_s : ndarray of float, optional
        Onsets that need not be found; picks near them are not false.

    Examples
    --------
    >>> score = score_onsets(np.array([1.1, 5.0]), np.array([1.0]), 0.5)
    >>> score.n_true, score.n_false, score.n_missed
    (1, 1, 0)
    """
    found_s, known_s = np.asarray(found_s, float), np.asarray(known_s, float)
    distance = np.abs(found_s[:, None] - known_s[None, :])
    pairs = np.argwhere(distance <= tolerance_s)
    pairs = pairs[np.argsort(distance[tuple(pairs.T)], kind="stable")]
    used_found, used_known, residuals = set(), set(), []
    for i, k in pairs:
        if i not in used_found and k not in used_known:
            used_found.add(i)
            used_known.add(k)
            residuals.append(found_s[i] - known_s[k])
    left = np.array([x for i, x in enumerate(found_s) if i not in used_found])
    if ignored_s is not None and len(ignored_s) and len(left):
        left = left[np.abs(left[:, None] - np.asarray(ignored_s)[None, :]).min(axis=1) > tolerance_s]
    n_true = len(residuals)
    return Score(n_true, len(left), len(known_s) - n_true, np.array(residuals))
