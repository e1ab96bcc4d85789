"""Travel times of the first P and S arrivals in a model that depends on depth alone."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from seisflow.earth.velocity import VelocityModel

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["TravelTimes"]

MILLIMETRE_DIGITS = 6
"""Depths (km) are rounded to the millimetre: layers thinner than that are beyond floating point."""
TABLES_KEPT = 512


class TravelTimes:
    """Travel times of first arrivals through a layered earth.

    Exact in layers of constant velocity: the direct ray and every head wave, with low-velocity
    layers, sources above or below the receiver, and receivers above sea level. Gradients are
    stacks of thin layers (see `VelocityModel.layers`). The earth is flat: good to about 300 km.

    Parameters
    ----------
    velocity : VelocityModel

    References
    ----------
    Aki & Richards, Quantitative Seismology, 2nd ed. (2002), section 9.1 (travel time and distance as
    functions of the ray parameter); Lee & Stewart, Principles and Applications of Microearthquake
    Networks (1981), section 4.4.4 (head waves between buried ends).

    Examples
    --------
    >>> crust = VelocityModel(depth_km=(0.0,), vp_km_s=(6.0,), vs_km_s=(3.5,))
    >>> float(TravelTimes(crust).first_arrival("P", 30.0, 40.0, 0.0).round(6))
    8.333333
    """

    def __init__(self, velocity: VelocityModel) -> None:
        self.velocity = velocity

    def first_arrival(
        self, phase: str, distance_km: ArrayLike, source_depth_km: ArrayLike, receiver_depth_km: ArrayLike
    ) -> NDArray[np.float64]:
        """Return travel times of the first arrival.

        Parameters
        ----------
        phase : {"P", "S"}
        distance_km, source_depth_km, receiver_depth_km : array_like
            Horizontal distance and depths below sea level (a receiver at 500 m elevation has depth
            -0.5), km; they broadcast together.

        Returns
        -------
        array of float64
            Seconds, of the broadcast shape.

        Raises
        ------
        VelocityModelError
            If the phase is neither P nor S.
        """
        from seisflow.earth.rays import first_arrivals

        distance, source, receiver = np.broadcast_arrays(
            np.abs(np.asarray(distance_km, dtype=float)),
            np.round(np.asarray(source_depth_km, dtype=float), MILLIMETRE_DIGITS),
            np.round(np.asarray(receiver_depth_km, dtype=float), MILLIMETRE_DIGITS),
        )
        tops, speeds = self.velocity.layers(phase)
        flat = np.stack([distance.ravel(), source.ravel(), receiver.ravel()])
        order = np.lexsort(flat)
        ordered = flat[:, order]
        times = np.empty(order.size)
        times[order] = first_arrivals(ordered[0], ordered[1], ordered[2], tops, speeds)
        return times.reshape(distance.shape)

    def table(
        self, phase: str, receiver_depth_km: float, distance_km: ArrayLike, depth_km: ArrayLike
    ) -> NDArray[np.float64]:
        """Return travel times to one receiver on a grid of distances and source depths.

        The last 512 tables are kept for the life of the process, so asking again costs nothing.

        Parameters
        ----------
        phase : {"P", "S"}
        receiver_depth_km : float
            Depth of the receiver, km; minus its elevation.
        distance_km : array_like, shape (n_distance,)
        depth_km : array_like, shape (n_depth,)

        Returns
        -------
        array of float64, shape (n_distance, n_depth)
            Seconds; read-only.
        """
        distance = np.ascontiguousarray(distance_km, dtype=float)
        depth = np.ascontiguousarray(depth_km, dtype=float)
        return _table(self.velocity, phase, float(receiver_depth_km), distance.tobytes(), depth.tobytes())


@lru_cache(maxsize=TABLES_KEPT)
def _table(
    velocity: VelocityModel, phase: str, receiver_depth_km: float, distance: bytes, depth: bytes
) -> NDArray[np.float64]:
    times = TravelTimes(velocity).first_arrival(
        phase, np.frombuffer(distance)[:, None], np.frombuffer(depth)[None, :], receiver_depth_km
    )
    times.setflags(write=False)
    return times
