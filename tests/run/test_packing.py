"""What driver and workers send each other comes out as it went in."""

from __future__ import annotations

from dataclasses import fields

from hypothesis import given
from hypothesis import strategies as st

from seisflow.keys import NetworkDay, StationDay, Window
from seisflow.run.ledger import Entry
from seisflow.run.packing import pack_jobs, pack_result, unpack_jobs, unpack_result
from seisflow.run.task import Corrupt, Result, Unreachable
from seisflow.run.units import Job, Source, Unit

texts = st.text(max_size=12)
numbers = st.integers(0, 2**62)
windows = st.integers(0, 20_000).map(lambda day: Window.of_day(f"1970-01-01T00:00:{day % 60:02d}")) | st.just(
    Window("2020-02-28T12:00", "2020-02-28T18:00")
)
lists = st.lists(texts, max_size=9).map(tuple)
sources = st.lists(st.builds(Source, texts, texts), max_size=3).map(tuple)


def jobs_of(
    keys: st.SearchStrategy[StationDay] | st.SearchStrategy[NetworkDay],
) -> st.SearchStrategy[list[Job]]:
    """Return lists of jobs whose units have such keys."""
    unread = st.lists(windows, max_size=2).map(tuple)
    units = st.builds(Unit, keys, texts, lists, texts, numbers, st.integers(0, 99), unread)
    return st.lists(st.builds(Job, units, sources, texts, st.integers(1, 5), numbers), max_size=6)


jobs_of_a_stage = jobs_of(st.builds(StationDay, texts, texts, windows)) | jobs_of(
    st.builds(NetworkDay, windows)
)
seconds = st.floats(0, 1e6)
entries = st.builds(
    Entry,
    texts,
    texts,
    texts,
    texts,
    texts,
    texts,
    numbers,
    texts,
    st.integers(1, 9),
    seconds,
    seconds,
    numbers,
)


@given(jobs_of_a_stage)
def test_jobs_come_back(jobs: list[Job]) -> None:
    found = unpack_jobs(pack_jobs(jobs))
    assert found == jobs
    assert [type(job.unit.key) for job in found] == [type(job.unit.key) for job in jobs]
    assert all(isinstance(job.unit, Unit) and isinstance(job, Job) for job in found)


@given(st.lists(entries, max_size=5), jobs_of_a_stage)
def test_results_come_back(rows: list[Entry], jobs: list[Job]) -> None:
    corrupt = [Corrupt(job, ("part",), "a flipped bit") for job in jobs[:1]]
    unreachable = [Unreachable(job, "no answer") for job in jobs[-1:]]
    result = Result(rows, jobs, corrupt, unreachable)
    assert len(fields(Result)) == 4, "every field is compared"
    found = unpack_result(pack_result(result))
    assert found == result
    assert all(isinstance(entry, Entry) for entry in found.entries)


def test_what_jobs_share_is_shared_by_those_that_come_back() -> None:
    """A window and its files are in memory once, on the worker as at the driver."""
    window, files = Window.of_day("2020-01-01"), ("XX.AAA..HHZ",)
    jobs = [Job(Unit(StationDay("XX", f"S{n}", window), f"XX.S{n}", files)) for n in range(3)]
    found = unpack_jobs(pack_jobs(jobs))
    assert len({id(job.unit.key.window) for job in found}) == 1
    assert len({id(job.unit.uris[0]) for job in found}) == 1
