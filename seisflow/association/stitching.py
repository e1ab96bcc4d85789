"""Association window by window, so that any cut of a period gives the same events.

Windows are absolute, their borders multiples of `window_s` (L) since 1970. Window k is associated
from the picks in ``[kL - m - b, (k+1)L + m + b)`` with the longest travel time m (`margin_s`) and
room b for origin times that differ between windows (`BORDER_S`); those of its events with origin in
``[kL - b, (k+1)L + b)`` are its candidates. So every earthquake is seen whole by the window that
holds it, and by both windows where it is within b of their border.

Each candidate goes to the border nearest to its origin. At a border the candidates of the two
windows that meet there are settled in order of rank: more picks first. One that finds more than
half of its picks taken is the same earthquake seen twice, or a worse reading of it, and is dropped,
its picks released; one that loses fewer goes on without them while it still is an event.

This is local. What a window gives depends on its picks alone, and what happens at a border on the
two windows that meet there. Two borders share no pick: events of one window share none to begin
with, and events of different windows at different borders lie L/2 - b apart or more, while arrivals
lie in ``[origin - b, origin + m]`` and L/2 >= m + 2b. So a chunk that settles every border within
half a window of it, from the picks 1.5 L + m + b around it, gives exactly the events of the whole.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from seisflow.association.base import BORDER_S, Associator
from seisflow.association.candidates import Candidate, catalog_of, settle
from seisflow.association.cells import candidates_in_cells
from seisflow.earth import sites_of
from seisflow.keys import Window, seconds
from seisflow.tables import PICKS, Catalog, validate

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from seisflow.earth import VelocityModel

__all__ = ["associate_windows", "explain_empty", "stitching_margin_s"]

EPOCH = np.datetime64(0, "ns")


def stitching_margin_s(associator: Associator) -> float:
    """Return how far beyond a window picks are needed so that its events are exact, s."""
    return 1.5 * associator.window_s + associator.margin_s + BORDER_S


def associate_windows(
    picks: pd.DataFrame,
    stations: pd.DataFrame,
    associator: Associator,
    velocity: VelocityModel,
    window: Window | None = None,
) -> Catalog:
    """Associate picks window by window; see `associate_picks`."""
    picks = validate(picks, PICKS).drop_duplicates("pick_id")
    picks = picks.sort_values(["time", "pick_id"], ignore_index=True)
    if picks.empty:
        return catalog_of([], picks)
    sites_of(picks, stations)  # names stations without coordinates before anything is computed
    times = picks["time"].to_numpy(dtype="datetime64[ns]")
    length = seconds(associator.window_s)
    margin_s = associator.margin_s + BORDER_S

    def candidates(number: int) -> list[Candidate]:
        """Return the events of one window with origin in it, or near its borders."""
        own = Window(EPOCH + number * length, EPOCH + (number + 1) * length)
        wide, near = own.widened(margin_s), own.widened(BORDER_S)
        first, last = np.searchsorted(times, [wide.start, wide.end])
        if last - first < associator.n_picks:
            return []
        own_picks = picks.iloc[first:last].reset_index(drop=True)
        events = candidates_in_cells(own_picks, stations, associator, velocity)
        return [event for event in events if near.holds(event.time)]

    with ThreadPoolExecutor(associator.threads) as pool:
        found = pool.map(candidates, _windows(times, length, seconds(margin_s), window))
    meeting: defaultdict[int, list[Candidate]] = defaultdict(list)
    for event in chain.from_iterable(found):
        meeting[_border(event.time, length)].append(event)
    settled = list(chain.from_iterable(settle(events, associator) for events in meeting.values()))
    if window is None:
        return catalog_of(settled, picks)
    kept = [event for event in settled if window.holds(event.time)]
    assigned = [arrival.pick_id for event in kept for arrival in event.arrivals]
    inside = window.holds(times) | picks["pick_id"].isin(assigned).to_numpy()
    return catalog_of(kept, picks[inside].reset_index(drop=True))


def _windows(
    times: NDArray[np.datetime64], length: np.timedelta64, margin: np.timedelta64, window: Window | None
) -> list[int]:
    """Return the numbers of the windows that have picks, margins included, and a say in `window`."""
    first, last = (times - margin - EPOCH) // length, (times + margin - EPOCH) // length
    numbers = np.unique(np.concatenate([first, last]))
    if window is not None:
        earliest, latest = _border(window.start, length) - 1, _border(window.end, length)
        numbers = numbers[(numbers >= earliest) & (numbers <= latest)]
    return [int(number) for number in numbers]


def _border(time: np.datetime64, length: np.timedelta64) -> int:
    """Return the number of the border, a multiple of `length` since 1970, nearest to a time."""
    return int((time - EPOCH + length // 2) // length)


def explain_empty(picks: pd.DataFrame, stations: pd.DataFrame, associator: Associator) -> str:
    """Return why picks gave no event: what there is, and the setting that more is wanted by."""
    if picks.empty:
        return "no picks"
    names = picks["network"] + "." + picks["station"]
    with_p, with_s = (set(names[picks["phase"] == phase]) for phase in ("P", "S"))
    counts = {
        "n_picks": len(picks),
        "min_stations": len(with_p | with_s),
        "n_p_picks": len(with_p),
        "n_s_picks": len(with_s),
        "n_p_and_s_picks": len(with_p & with_s),
    }
    listed = len((stations["network"] + "." + stations["station"]).unique())
    there = (
        f"{len(picks)} picks at {len(with_p | with_s)} of {listed} stations, {len(with_p)} of them with P, "
        f"{len(with_s)} with S, {len(with_p & with_s)} with both"
    )
    short = [
        f"{key} is {getattr(associator, key)}" for key, n in counts.items() if n < getattr(associator, key)
    ]
    if short:
        return f"{there}: too few for an event, for which {', '.join(short)}"
    together = _most_together(picks, names, associator.margin_s)
    apart = [
        f"{n} where {key} is {getattr(associator, key)}"
        for key, n in together.items()
        if n < getattr(associator, key)
    ]
    if apart:
        return (
            f"{there}, but never enough within {associator.margin_s:.0f} s, the longest travel time: at most "
            f"{', '.join(apart)}; pick with lower thresholds, or lower these counts"
        )
    wanted = ", ".join(f"{key} {getattr(associator, key)}" for key in counts)
    return (
        f"{there}, but no {associator.n_picks} of them fit one origin within the tolerances; an event needs "
        f"{wanted}; look at the velocity model, the station coordinates and clocks, then at lower counts"
    )


def _most_together(picks: pd.DataFrame, names: pd.Series[str], span_s: float) -> dict[str, int]:
    """Return for each count that an event needs the most there is of it in any time of length `span_s`."""
    order = np.argsort(picks["time"].to_numpy(), kind="stable")
    times = picks["time"].to_numpy(dtype="datetime64[ns]")[order]
    kinds = list(zip(names.to_numpy()[order], picks["phase"].to_numpy()[order], strict=True))
    first = np.searchsorted(times, times - seconds(span_s))
    held: Counter[tuple[str, str]] = Counter()
    stations: dict[str, set[str]] = {"P": set(), "S": set()}
    most = dict.fromkeys(("n_picks", "min_stations", "n_p_picks", "n_s_picks", "n_p_and_s_picks"), 0)
    left = 0
    for last, (station, phase) in enumerate(kinds):
        held[station, phase] += 1
        stations.setdefault(phase, set()).add(station)
        for gone in kinds[left : first[last]]:
            held[gone] -= 1
            if not held[gone]:
                stations[gone[1]].discard(gone[0])
        left = max(left, int(first[last]))
        with_p, with_s = stations["P"], stations["S"]
        now = (last - left + 1, len(with_p | with_s), len(with_p), len(with_s), len(with_p & with_s))
        most = {key: max(n, seen) for (key, n), seen in zip(most.items(), now, strict=True)}
    return most
