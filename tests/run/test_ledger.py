"""The ledger: whatever dies, races or has a wrong clock, the newest row of every unit is read, once."""

from __future__ import annotations

import contextlib
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seisflow.keys import Window
from seisflow.run.ledger import Entry, Ledger, as_table, month_of
from seisflow.run.store import Store
from seisflow.tables import LEDGER, read_table
from tests.run.stores import each_store

__all__ = ["each_store"]

MONTH = "2014-08"
FOLDER = "stages/picking-abc"


def instant(text: str) -> int:
    """Return a time as nanoseconds since 1970."""
    return int(np.datetime64(text, "ns").astype(np.int64))


def entry(unit: str, order: int = 1001, **changes: object) -> Entry:
    """Return a row as a worker writes it."""
    row = Entry("picking", unit, "ok", part="p", n_rows=3, checksum="c", inputs="i", order=order)
    finished = instant(f"2026-11-21T12:00:00.{order % 10**6:06d}")
    return row._replace(**({"finished": finished, "versions": "seisflow 1", "seconds": 0.5} | changes))


def ledger_in(folder: Path) -> Ledger:
    """Return a ledger on a disk."""
    return Ledger(Store(str(folder)), FOLDER)


def test_a_row_comes_back_as_it_was_written(each_store: Store) -> None:
    ledger = Ledger(each_store, FOLDER)
    assert ledger.months() == []
    assert ledger.entries(MONTH) == {}
    assert ledger.table(MONTH).empty
    rows = [
        entry("XX.AAA.2014-08-01"),
        entry(
            "XX.BBB.2014-08-01", status="failed", reason="MetadataError: none", part="", peak_memory_mb=7.5
        ),
        entry("XX.CCC.2014-08-01", status="empty", attempts=2, order=1002),
    ]
    ledger.record(MONTH, "task", rows)
    ledger.record("2014-09", "other", [entry("XX.AAA.2014-09-01")])
    for _ in range(2):
        assert ledger.months() == [MONTH, "2014-09"]
        assert list(ledger.entries(MONTH).values()) == rows
        pd.testing.assert_frame_equal(ledger.table(MONTH), as_table(rows))
        ledger.compact(MONTH)


def test_the_month_of_a_window_is_that_of_its_start() -> None:
    assert month_of(Window("2014-08-31", "2014-09-01")) == "2014-08"
    assert month_of(Window("2014-08-31T23:59:59.9", "2014-09-05")) == "2014-08"
    assert month_of(Window("2014-09-01", "2014-09-02")) == "2014-09"


def test_which_row_is_newer_is_not_for_clocks_to_say(tmp_path: Path) -> None:
    """The second attempt ran on a host whose clock is a year behind; the dead driver's host is ahead."""
    ledger = ledger_in(tmp_path)
    first = entry("a", order=2001, finished=instant("2026-11-21T12:00"), status="failed")
    again = entry("a", order=2002, attempts=2, finished=instant("2025-11-21T12:00"))
    late = entry("a", order=1001, finished=instant("2027-11-21T12:00"), status="failed")
    for _, row in sorted(enumerate([late, again, first]), key=lambda item: -item[0]):
        ledger.record(MONTH, f"task-{row.order}", [row])
    assert ledger.entries(MONTH) == {"a": again}
    ledger.compact(MONTH)
    ledger.record(MONTH, "later-still", [late._replace(finished=instant("2030-01-01"))])
    assert ledger.entries(MONTH) == {"a": again}


def test_what_a_lost_driver_writes_late_hides_nothing(tmp_path: Path) -> None:
    """The same task of two drivers has the same name; the late record of the first must not replace."""
    ledger = ledger_in(tmp_path)
    good = entry("a", order=2001)
    ledger.record(MONTH, "task", [good])
    ledger.record(MONTH, "task", [entry("a", order=1001, status="failed")])
    assert ledger.entries(MONTH) == {"a": good}


def test_compacting_leaves_one_file_of_the_same_name_anywhere(tmp_path: Path) -> None:
    names = []
    for host, split in (("one", 10), ("two", 7)):
        ledger = ledger_in(tmp_path / host)
        for start in range(0, 70, split):
            ledger.record(MONTH, f"{start}", [entry(f"u{n:02d}") for n in range(start, start + split)])
        for _ in range(2):
            ledger.compact(MONTH)
            names += [[path.name for path in (tmp_path / host).rglob("*.parquet")]]
        path = next((tmp_path / host).rglob("*.parquet"))
        pd.testing.assert_frame_equal(read_table(path, LEDGER), ledger.table(MONTH))
    assert len(names[0]) == 1
    assert names[0] == names[1] == names[2] == names[3]


def test_a_damaged_record_is_said_and_its_units_are_computed_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ledger = ledger_in(tmp_path)
    ledger.record(MONTH, "good", [entry("a")])
    ledger.record(MONTH, "bad", [entry("b"), entry("c")])
    bad = next(tmp_path.rglob("*-bad.parquet"))
    content = bytearray(bad.read_bytes())
    content[len(content) // 3] ^= 1
    bad.write_bytes(content)
    with caplog.at_level(logging.WARNING):
        assert set(ledger.entries(MONTH)) == {"a"}
    assert f"{bad} is damaged" in caplog.text
    ledger.record(MONTH, "again", [entry("b", order=2001), entry("c", order=2001)])
    ledger.compact(MONTH)
    caplog.clear()
    assert set(ledger.entries(MONTH)) == {"a", "b", "c"}
    assert not caplog.text


class Killed(BaseException):
    """The process dies here."""


@dataclass(frozen=True)
class Adverse(Store):
    """A store in memory in which the writer may die before any write, and others write while one reads.

    Attributes
    ----------
    files : dict
    lives : list with one int
        Writes and deletions left until the writer dies.
    meanwhile : list of callable
        Writes of others, oldest first: some happen whenever a reader looks.
    """

    files: dict[str, bytes] = field(default_factory=dict, hash=False)
    lives: list[int] = field(default_factory=lambda: [10**9], hash=False)
    meanwhile: list[Callable[[], object]] = field(default_factory=list, hash=False)
    chance: random.Random = field(default_factory=lambda: random.Random(0), hash=False)

    def _spend(self) -> None:
        if self.lives[0] == 0:
            raise Killed
        self.lives[0] -= 1

    def _happen(self, likely: float = 0.5) -> None:
        while self.meanwhile and self.chance.random() < likely:
            self.meanwhile.pop(0)()

    def write_bytes(self, key: str, content: bytes) -> None:
        self._spend()
        self._happen()
        self.files[key] = content

    def delete(self, key: str) -> None:
        self._spend()
        self._happen()
        self.files.pop(key, None)

    def read_bytes(self, key: str) -> bytes:
        self._happen()
        if key not in self.files:
            raise FileNotFoundError(key)
        return self.files[key]

    def keys(self, prefix: str) -> list[str]:
        """List in any order while others write: a file that comes or goes meanwhile may show or not."""
        before = set(self.files)
        self._happen()
        after = set(self.files)
        seen_first = {key for key in sorted(before | after) if self.chance.random() < 0.5}
        return sorted((before & seen_first) | (after - seen_first))

    def compact_meanwhile(self) -> None:
        """Let another compact the month while one reads, a write at a time."""
        twin = Adverse(self.root, files=dict(self.files))
        Ledger(twin, FOLDER).compact(MONTH)
        for key in sorted(set(twin.files) - set(self.files)):
            self.meanwhile.append(partial(self.files.__setitem__, key, twin.files[key]))
        for key in sorted(set(self.files) - set(twin.files)):
            self.meanwhile.append(partial(self.files.pop, key, None))


operations = st.lists(
    st.one_of(
        st.tuples(st.just("record"), st.sets(st.sampled_from("abcdef"), min_size=1)),
        st.tuples(st.just("compact"), st.none()),
        st.tuples(st.just("die"), st.integers(0, 12)),
        st.tuples(st.sampled_from(["read", "race"]), st.integers(0, 2**30)),
    ),
    max_size=12,
)


@settings(max_examples=100)
@given(operations)
def test_any_history_reads_like_a_dict(history: list[tuple[str, Any]]) -> None:
    """Records, compactions, deaths in the midst of them, reads and others during them, against a dict."""
    store = Adverse("memory")
    ledger = Ledger(store, FOLDER)
    truth: dict[str, Entry] = {}
    for number, (what, detail) in enumerate(history):
        if what == "record":
            rows = [entry(unit, order=1000 + number) for unit in sorted(detail)]
            ledger.record(MONTH, f"task-{number}", rows)
            truth |= {row.unit: row for row in rows}
        elif what == "compact":
            ledger.compact(MONTH)
        elif what == "die":
            store.lives[0] = detail
            with contextlib.suppress(Killed):
                ledger.compact(MONTH)
            store.lives[0] = 10**9
        else:
            store.chance.seed(detail)
            store.compact_meanwhile()
            if what == "race":  # a driver that lost its lease may not know it yet
                ledger.compact(MONTH)
            else:
                assert ledger.entries(MONTH) == truth
            store._happen(likely=1.0)
        assert ledger.entries(MONTH) == truth
        assert ledger.table(MONTH)["unit"].tolist() == sorted(truth)
    ledger.compact(MONTH)
    assert len(store.files) == bool(truth)


def test_a_million_rows_are_listed_by_month_and_read_by_month(tmp_path: Path) -> None:
    """180 months of 400 stations: as many files as months, and a month reads without the others."""
    ledger = ledger_in(tmp_path)
    rows = [entry(f"XX.S{n:04d}", seconds=n % 13) for n in range(5556)]
    ledger.record("2000-01", "task", rows)
    ledger.compact("2000-01")
    content = next(tmp_path.rglob("*.parquet")).read_bytes()
    months = [str(np.datetime64("2000-01") + n) for n in range(180)]
    for month in months:  # the files are alike, for the time it takes to make them
        ledger.store.write_bytes(f"stages/picking-abc/ledger/{month}/compact-0.parquet", content)
    ledger.store.delete(next(key for key in ledger.store.keys("") if not key.endswith("-0.parquet")))
    assert ledger.months() == months
    assert len(ledger.store.keys("stages")) == 180
    assert sum(len(ledger.table(month)) for month in months) == 1_000_080
    assert len(ledger.entries("2014-08")) == 5556
