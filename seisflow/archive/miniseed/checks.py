"""Records whose headers can not all be true: doubled, out of their place, or under a wrong name.

Steim data carry their own check; headers of version 2 do not. What betrays a damaged header is the
rest of the file: a record that begins anywhere, while those before and after it leave exactly its place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numba
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from seisflow.archive.miniseed.damage import Damage

__all__ = ["drop_duplicates", "drop_misplaced", "report_jumps", "report_leaps"]

_YEAR_NS = 366 * 86_400 * 10**9
_NEAR = 0.75
"""Samples. A start time may wander about the half of one; merging closes such a step."""

_FEW, _MANY, _MOST_CHECKED = 2, 10, 1000


class _Ordered(NamedTuple):
    """Rows stream by stream, each in the order of the file."""

    row: NDArray[np.int64]
    start_ns: NDArray[np.int64]
    span_ns: NDArray[np.int64]
    period_ns: NDArray[np.float64]
    stream: NDArray[np.int32]

    @classmethod
    def of(cls, rows: NDArray[Any], rates_hz: NDArray[np.float64]) -> _Ordered:
        row = np.argsort(rows["stream"], kind="stable")
        stream, start_ns, n = (rows[name][row] for name in ("stream", "start_ns", "n"))
        period_ns = 1e9 / rates_hz[stream]
        return cls(row, start_ns, np.rint(n * period_ns).astype(np.int64), period_ns, stream)

    def jumps(self) -> NDArray[np.int64]:
        """Return the time from the end of the record before, ns, shape (rows - 1,); 0 between streams."""
        jumps: NDArray[np.int64] = self.start_ns[1:] - self.start_ns[:-1] - self.span_ns[:-1]
        jumps[self.stream[1:] != self.stream[:-1]] = 0
        return jumps


def drop_duplicates(rows: NDArray[Any], buffer: NDArray[np.uint8], damage: Damage) -> NDArray[Any]:
    """Return the rows without those that repeat an earlier record byte for byte; name the others.

    Copies of one time with other samples are kept: where they disagree, merging leaves both out.
    """
    if not (rows["jump_ns"] < 0).any():
        return rows
    order = np.lexsort((rows["n"], rows["start_ns"], rows["stream"]))
    one, other = rows[order[:-1]], rows[order[1:]]
    is_twin = np.ones(len(order) - 1, dtype=bool)
    for name in ("stream", "start_ns", "n", "data_bytes"):
        is_twin &= one[name] == other[name]
    places = (array["at"] + array["data_at"] for array in (one[is_twin], other[is_twin]))
    is_same = _equal_bytes(buffer, next(places), next(places), one["data_bytes"][is_twin])
    later = order[1:][is_twin]
    damage.add("repeat an earlier record and are left out", rows[np.sort(later[is_same])])
    damage.add(
        "contradict an earlier record of the same time; samples that differ are left out",
        rows[np.sort(later[~is_same])],
    )
    return np.delete(rows, later[is_same])


@numba.njit(cache=True, nogil=True)
def _equal_bytes(b: Any, one: Any, other: Any, sizes: Any) -> Any:
    is_same = np.ones(len(one), dtype=np.bool_)
    for i in range(len(one)):
        for j in range(sizes[i]):
            if b[one[i] + j] != b[other[i] + j]:
                is_same[i] = False
                break
    return is_same


def drop_misplaced(
    rows: NDArray[Any], rates_hz: NDArray[np.float64], is_first: bool, is_last: bool, damage: Damage
) -> NDArray[Any]:
    """Return the rows without those whose time, codes, rate or encoding their neighbours disprove.

    `is_first` and `is_last` say whether the file begins and ends with these rows.
    """
    is_gap = np.abs(rows["jump_ns"]) > 0.5e9 / rates_hz[rows["stream"]]
    if not is_gap.any() and (rows["stream"] == rows["stream"][:1]).all():
        return rows  # one stream without a gap: nothing is out of its place
    ordered = _Ordered.of(rows, rates_hz)
    bad = np.concatenate([_displaced(ordered), _misnamed(rows, ordered, rates_hz, is_first, is_last)])
    if not len(bad):
        return rows
    damage.add(
        "have a header that their neighbours disprove (time, codes, rate or encoding) and are left out",
        rows[np.unique(bad)],
    )
    return np.delete(rows, bad)


def _displaced(o: _Ordered) -> NDArray[np.int64]:
    """Return the rows that stand elsewhere, while the rows around them leave exactly their place."""
    jumps = o.jumps()
    middle = np.flatnonzero(np.abs(jumps[:-1]) > _NEAR * o.period_ns[1:-1]) + 1
    middle = middle[(o.stream[middle - 1] == o.stream[middle]) & (o.stream[middle + 1] == o.stream[middle])]
    hole_ns = o.start_ns[middle + 1] - o.start_ns[middle - 1] - o.span_ns[middle - 1]
    is_hole = np.abs(hole_ns - o.span_ns[middle]) <= 0.5 * o.period_ns[middle]
    alone = [row for row in middle[is_hole] if not _joins_another(o, int(row))]  # late records do join
    return o.row[np.array(alone, dtype=np.int64)]


def _joins_another(o: _Ordered, row: int) -> bool:
    """Return whether a record begins where another of its stream ends, or ends where one begins."""
    own = slice(*np.searchsorted(o.stream, [o.stream[row], o.stream[row] + 1]))
    starts, ends = o.start_ns[own], o.start_ns[own] + o.span_ns[own]
    near = 0.5 * o.period_ns[row]
    start, end = o.start_ns[row], o.start_ns[row] + o.span_ns[row]
    return bool((np.abs(ends - start) <= near).any() or (np.abs(starts - end) <= near).any())


def _misnamed(
    rows: NDArray[Any], o: _Ordered, rates_hz: NDArray[np.float64], is_first: bool, is_last: bool
) -> NDArray[np.int64]:
    """Return rows of rare streams that fit exactly where a stream of many rows has a gap, or at its ends.

    At the ends only the first and the last row of a file count: it may well change its rate for good.
    """
    n_rows = np.bincount(rows["stream"], minlength=len(rates_hz))
    is_rare = (n_rows > 0) & (n_rows <= _FEW)
    odd = np.flatnonzero(is_rare[rows["stream"]])
    if not len(odd) or len(odd) > _MOST_CHECKED or len(odd) > len(rows) // _MANY:
        return np.zeros(0, np.int64)
    found = []
    for stream in np.flatnonzero(n_rows >= _MANY):
        low, high = np.searchsorted(o.stream, [stream, stream + 1])
        place = low + np.searchsorted(o.row[low:high], odd)
        tolerance = 0.5 * 1e9 / rates_hz[stream]
        before, after = np.maximum(place - 1, low), np.minimum(place, high - 1)
        lead_ns = rows["start_ns"][odd] - o.start_ns[before] - o.span_ns[before]
        span_ns = rows["n"][odd] * 1e9 / rates_hz[stream]
        tail_ns = o.start_ns[after] - rows["start_ns"][odd] - span_ns
        joins_before = (np.abs(lead_ns) <= tolerance) | (is_first & (odd == 0))
        joins_after = (np.abs(tail_ns) <= tolerance) | (is_last & (odd == len(rows) - 1))
        found.append(odd[joins_before & joins_after])
    return np.concatenate([*found, np.zeros(0, np.int64)])


def report_jumps(rows: NDArray[Any], rates_hz: NDArray[np.float64], damage: Damage) -> None:
    """Name the records that begin before the one before them ended; merging puts them in order."""
    if not (rows["jump_ns"] < 0).any():
        return
    ordered = _Ordered.of(rows, rates_hz)
    is_back = ordered.jumps() < -_NEAR * ordered.period_ns[1:]
    damage.add("go back in time; they are put in order", rows[np.sort(ordered.row[1:][is_back])])


def report_leaps(rows: NDArray[Any], damage: Damage) -> None:
    """Name the records that are more than a year from the record before them."""
    is_far = np.abs(rows["jump_ns"]) > _YEAR_NS
    damage.add("lie more than a year from the record before: one of the two times is doubtful", rows[is_far])
