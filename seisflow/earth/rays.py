"""Compiled kernels: travel times of first arrivals between two depths of a stack of constant layers.

The first arrival is the direct ray or one of the head waves along the top of a faster layer below
both ends or the bottom of a faster layer above both. A layer faster than its surroundings that lies
between the two ends needs no head wave: the direct ray runs along it as far as it must.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["first_arrivals"]

Array = NDArray[np.float64]

MAX_NEWTON = 60
TOLERANCE_KM = 1e-7


@njit(cache=True, nogil=True)
def first_arrivals(distance: Array, source: Array, receiver: Array, tops: Array, speeds: Array) -> Array:
    """Return travel times (s) for points sorted by receiver, source, then distance (all km, shape (n,))."""
    n_layer = tops.size
    times = np.empty(distance.size)
    path = np.empty(n_layer)  # vertical km of the direct ray in each layer
    intercept, critical, slowness = np.empty(n_layer), np.empty(n_layer), np.empty(n_layer)
    n_head, first, last, fastest, tangent = 0, 0, 0, 0.0, 0.0
    for i in range(distance.size):
        fresh = i == 0 or source[i] != source[i - 1] or receiver[i] != receiver[i - 1]
        if fresh:
            upper, lower = min(source[i], receiver[i]), max(source[i], receiver[i])
            first, last = _crossed(upper, lower, tops, path)
            fastest = np.max(speeds[first : last + 1])
            n_head = _head_waves(upper, lower, tops, speeds, first, last, path, intercept, critical, slowness)
            tangent = 0.0
        x = distance[i]
        if source[i] == receiver[i]:
            best = x / speeds[first]
        else:
            # A root of a shorter distance lies left of this one, from where Newton's method is safe.
            tangent = _ray(x, tangent, first, last, path, speeds, fastest)
            best = _direct_time(tangent, first, last, path, speeds, fastest)
        for k in range(n_head):
            if x >= critical[k]:
                best = min(best, intercept[k] + x * slowness[k])
        times[i] = best
    return times


@njit(cache=True, nogil=True)
def _crossed(upper: float, lower: float, tops: Array, path: Array) -> tuple[int, int]:
    """Fill `path` with the km of each layer that lie between two depths; return the first and last layer."""
    n_layer = tops.size
    first = max(int(np.searchsorted(tops, upper, side="right")) - 1, 0)
    last = max(int(np.searchsorted(tops, lower, side="right")) - 1, 0)
    if last > first and tops[last] == lower:
        last -= 1  # the lower end sits on the top of a layer that the ray need not enter
    for j in range(first, last + 1):
        top = upper if j == first else tops[j]
        bottom = lower if j == last or j == n_layer - 1 else tops[j + 1]
        path[j] = bottom - top
    return first, last


@njit(cache=True, nogil=True)
def _ray(x: float, start: float, first: int, last: int, path: Array, speeds: Array, fastest: float) -> float:
    """Return the tangent of the ray's angle from the vertical in the fastest layer that it crosses.

    Distance is a concave, growing function of that tangent, so Newton's method that starts left of
    the root climbs to it without ever passing it; a straight ray through the layers bounds it from the left.
    """
    reach = 0.0
    for j in range(first, last + 1):
        reach += path[j] * speeds[j] / fastest
    tangent = max(start, x / reach)
    for _ in range(MAX_NEWTON):
        distance, slope = 0.0, 0.0
        for j in range(first, last + 1):
            ratio = speeds[j] / fastest
            root = 1.0 / np.sqrt(1.0 + tangent * tangent * (1.0 - ratio * ratio))
            distance += path[j] * ratio * tangent * root
            slope += path[j] * ratio * root * root * root
        step = (x - distance) / slope
        tangent = max(tangent + step, 0.0)
        if abs(step) * slope < TOLERANCE_KM:
            break
    return tangent


@njit(cache=True, nogil=True)
def _direct_time(tangent: float, first: int, last: int, path: Array, speeds: Array, fastest: float) -> float:
    length = np.sqrt(1.0 + tangent * tangent)
    time = 0.0
    for j in range(first, last + 1):
        ratio = speeds[j] / fastest
        time += path[j] * length / (speeds[j] * np.sqrt(1.0 + tangent * tangent * (1.0 - ratio * ratio)))
    return time


@njit(cache=True, nogil=True)
def _head_waves(
    upper: float,
    lower: float,
    tops: Array,
    speeds: Array,
    first: int,
    last: int,
    path: Array,
    intercept: Array,
    critical: Array,
    slowness: Array,
) -> int:
    """Fill intercept time (s), critical distance (km) and slowness (s/km) of head waves; return how many."""
    n_head = 0
    for downward in (True, False):
        fastest = np.max(speeds[first : last + 1])
        refractor = last + 1 if downward else first - 1
        while 0 <= refractor < tops.size:
            if speeds[refractor] > fastest:
                p = 1.0 / speeds[refractor]
                time, distance = 0.0, 0.0
                for j in range(min(first, refractor + 1), max(last, refractor - 1) + 1):
                    vertical = _vertical(j, upper, lower, tops, first, last, path, downward)
                    cosine = np.sqrt(1.0 - (p * speeds[j]) ** 2)
                    time += vertical * cosine / speeds[j]
                    distance += vertical * p * speeds[j] / cosine
                intercept[n_head], critical[n_head], slowness[n_head] = time, distance, p
                n_head += 1
            fastest = max(fastest, speeds[refractor])
            refractor += 1 if downward else -1
    return n_head


@njit(cache=True, nogil=True)
def _vertical(
    j: int, upper: float, lower: float, tops: Array, first: int, last: int, path: Array, downward: bool
) -> float:
    """Return the vertical km of a head wave in layer `j`: once between the ends, twice beyond them."""
    once = path[j] if first <= j <= last else 0.0
    beyond = 0.0
    if downward and j >= last:
        beyond = tops[j + 1] - (lower if j == last else tops[j])
    elif not downward and j <= first:
        beyond = (upper if j == first else tops[j + 1]) - tops[j]
    return once + 2.0 * beyond
