"""Compare a catalogue or picks with a truth: what was found, missed and invented, and how well."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from seisflow.synthetic.matching import match_pairs, neighbours

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Comparison", "PickComparison", "compare_catalogs", "compare_picks"]

CHANNEL = ["network", "station", "phase"]


@dataclass(frozen=True)
class Comparison:
    """Events against reference events, one to one.

    Parameters
    ----------
    matches : DataFrame
        A row for each pair: event_id, reference_id, time_error_s (event minus reference),
        epicentre_error_km (geodesic), depth_error_km (event minus reference).
    missed : EVENTS table
        Reference events without a partner.
    extra : EVENTS table
        Events without a partner, duplicates among them.
    """

    matches: pd.DataFrame
    missed: pd.DataFrame
    extra: pd.DataFrame

    @property
    def recall(self) -> float:
        """Part of the reference that was found; 0 where the reference is empty."""
        return _share(len(self.matches), len(self.missed))

    @property
    def precision(self) -> float:
        """Part of the events that are in the reference; 0 where there are no events."""
        return _share(len(self.matches), len(self.extra))

    @property
    def median_time_error_s(self) -> float:
        """Median absolute error of the origin time, s; NaN without matches."""
        return _median(self.matches["time_error_s"])

    @property
    def median_epicentre_error_km(self) -> float:
        """Median distance between epicentres, km; NaN without matches."""
        return _median(self.matches["epicentre_error_km"])

    @property
    def median_depth_error_km(self) -> float:
        """Median absolute difference of depth, km; NaN without matches."""
        return _median(self.matches["depth_error_km"])

    def summary(self) -> dict[str, Any]:
        """Return the figures as plain numbers; None where there is nothing to measure."""
        return {
            "events_found": len(self.matches) + len(self.extra),
            "reference_found": len(self.matches),
            "reference_total": len(self.matches) + len(self.missed),
            "event_recall": self.recall,
            "event_precision": self.precision,
            "median_time_error_s": _plain(self.median_time_error_s),
            "median_epicentre_error_km": _plain(self.median_epicentre_error_km),
            "median_depth_error_km": _plain(self.median_depth_error_km),
        }


@dataclass(frozen=True)
class PickComparison:
    """Picks against reference picks of the same station and phase, one to one.

    Parameters
    ----------
    matches : DataFrame
        A row for each pair: pick_id, reference_id, network, station, phase, residual_s (pick minus
        reference).
    missed : PICKS table
        Reference picks without a partner.
    extra : PICKS table
        Picks without a partner.
    """

    matches: pd.DataFrame
    missed: pd.DataFrame
    extra: pd.DataFrame

    def recall(self, phase: str) -> float:
        """Return the part of the reference picks of a phase that was found; 0 where there are none."""
        return _share(*(int((part["phase"] == phase).sum()) for part in (self.matches, self.missed)))

    def precision(self, phase: str) -> float:
        """Return the part of the picks of a phase that are in the reference; 0 where there are none."""
        return _share(*(int((part["phase"] == phase).sum()) for part in (self.matches, self.extra)))

    def median_abs_residual_s(self, phase: str) -> float:
        """Return the median absolute residual of a phase, s; NaN without matches."""
        return _median(self.matches.loc[self.matches["phase"] == phase, "residual_s"])

    def summary(self) -> dict[str, Any]:
        """Return the figures of P and S as plain numbers; None where there is nothing to measure."""
        figures: dict[str, Any] = {}
        for phase in ("P", "S"):
            name = phase.lower()
            figures[f"{name}_matched"] = int((self.matches["phase"] == phase).sum())
            figures[f"{name}_recall"] = self.recall(phase)
            figures[f"{name}_precision"] = self.precision(phase)
            figures[f"median_abs_{name}_residual_s"] = _plain(self.median_abs_residual_s(phase))
        return figures


def compare_catalogs(
    events: pd.DataFrame,
    reference: pd.DataFrame,
    *,
    time_tolerance_s: float,
    distance_tolerance_km: float | None = None,
) -> Comparison:
    """Match events with reference events, each at most once.

    As many pairs as the tolerances allow are made; among those, the ones closest in time and place
    (each in units of its tolerance).

    Parameters
    ----------
    events, reference : EVENTS table
    time_tolerance_s : float
        Largest difference of origin times, s.
    distance_tolerance_km : float, optional
        Largest distance of epicentres, km; None allows any.

    Returns
    -------
    Comparison
    """
    row, column = neighbours(_nanoseconds(events), _nanoseconds(reference), round(time_tolerance_s * 1e9))
    time_error_s = (_nanoseconds(events)[row] - _nanoseconds(reference)[column]) * 1e-9
    distance_km = _distance_km(events.iloc[row], reference.iloc[column])
    cost = np.abs(time_error_s) / max(time_tolerance_s, 1e-9)
    if distance_tolerance_km is not None:
        near = distance_km <= distance_tolerance_km
        cost = np.where(near, cost + distance_km / max(distance_tolerance_km, 1e-9), np.inf)
    possible = np.flatnonzero(np.isfinite(cost))
    chosen = possible[match_pairs(row[possible], column[possible], cost[possible])]
    row, column = row[chosen], column[chosen]
    depth_km = [table["depth_km"].to_numpy(dtype=float) for table in (events, reference)]
    matches = pd.DataFrame(
        {
            "event_id": events["event_id"].to_numpy(dtype=object)[row],
            "reference_id": reference["event_id"].to_numpy(dtype=object)[column],
            "time_error_s": time_error_s[chosen],
            "epicentre_error_km": distance_km[chosen],
            "depth_error_km": depth_km[0][row] - depth_km[1][column],
        }
    )
    return Comparison(matches, _without(reference, column), _without(events, row))


def compare_picks(picks: pd.DataFrame, reference: pd.DataFrame, *, tolerance_s: float) -> PickComparison:
    """Match picks with reference picks of the same network, station and phase, each at most once.

    Parameters
    ----------
    picks, reference : PICKS table
    tolerance_s : float
        Largest difference of onsets, s.

    Returns
    -------
    PickComparison
    """
    row, column = neighbours(_nanoseconds(picks), _nanoseconds(reference), round(tolerance_s * 1e9))
    names = pd.concat([picks[CHANNEL], reference[CHANNEL]], ignore_index=True)
    channel = names.groupby(CHANNEL, sort=False).ngroup().to_numpy()
    same = channel[row] == channel[len(picks) + column]
    row, column = row[same], column[same]
    residual_s = (_nanoseconds(picks)[row] - _nanoseconds(reference)[column]) * 1e-9
    chosen = match_pairs(row, column, np.abs(residual_s))
    row, column = row[chosen], column[chosen]
    matches = picks[["pick_id", *CHANNEL]].iloc[row].reset_index(drop=True)
    matches.insert(1, "reference_id", reference["pick_id"].to_numpy(dtype=object)[column])
    matches["residual_s"] = residual_s[chosen]
    return PickComparison(matches, _without(reference, column), _without(picks, row))


def _nanoseconds(table: pd.DataFrame) -> NDArray[np.int64]:
    times: NDArray[np.int64] = table["time"].to_numpy(dtype="datetime64[ns]").astype("int64")
    return times


def _distance_km(first: pd.DataFrame, second: pd.DataFrame) -> NDArray[np.float64]:
    """Return geodesic distances on WGS84, row by row, km."""
    from pyproj import Geod

    (longitude_1, latitude_1), (longitude_2, latitude_2) = (
        (table["longitude"].to_numpy(dtype=float), table["latitude"].to_numpy(dtype=float))
        for table in (first, second)
    )
    _, _, distance_m = Geod(ellps="WGS84").inv(longitude_1, latitude_1, longitude_2, latitude_2)
    return np.asarray(distance_m, dtype=float) / 1000.0


def _without(table: pd.DataFrame, rows: NDArray[np.int64]) -> pd.DataFrame:
    """Return the rows of a table that are not among `rows`."""
    kept = np.ones(len(table), dtype=bool)
    kept[rows] = False
    return table[kept].reset_index(drop=True)


def _share(found: int, other: int) -> float:
    return found / (found + other) if found + other else 0.0


def _median(errors: pd.Series[Any]) -> float:
    return float(errors.abs().median())


def _plain(value: float) -> float | None:
    return None if np.isnan(value) else value
