"""Parts: what was written comes back, each part read once, and a damaged byte never passes for data."""

from __future__ import annotations

import pickle
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seisflow.errors import CorruptPartError
from seisflow.keys import Window
from seisflow.run.parts import Parts
from seisflow.run.store import Store
from seisflow.run.units import Source
from seisflow.storage.sealed import seal, unseal
from seisflow.tables import PICKS, empty, pick_ids, validate
from tests.run.stores import each_store

__all__ = ["each_store"]

FOLDER = "stages/picking-abc"
CHANGES = 400


def picks(station: str, n: int = 30, seed: int = 0) -> pd.DataFrame:
    """Return picks of a station, spread over a day."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"network": ["XX"] * n, "station": station, "location": "", "band": "HH"})
    frame["phase"] = rng.choice(["P", "S"], n)
    frame["time"] = pd.Timestamp("2014-08-24", tz="UTC") + pd.to_timedelta(
        np.sort(rng.uniform(0, 86400, n)), "s"
    )
    frame["probability"] = rng.uniform(0.3, 1.0, n)
    frame["amplitude"] = np.where(rng.uniform(size=n) < 0.2, np.nan, rng.lognormal(size=n))
    frame = frame.assign(polarity="", method="stalta")
    return validate(frame.assign(pick_id=pick_ids(frame)), PICKS)


def sources(part: str, *units: str) -> list[Source]:
    """Return where some units are."""
    return [Source(unit, part) for unit in units]


def test_rows_come_back_in_the_order_of_the_parts(each_store: Store) -> None:
    parts = Parts(each_store, FOLDER)
    a, b, c = picks("A", seed=1), picks("B", seed=2), picks("C", seed=3)
    parts.write("one", "picks", {"a": a, "none": empty(PICKS), "b": b}, PICKS)
    parts.write("two", "picks", {"c": c}, PICKS)
    parts.write("void", "picks", {"none": empty(PICKS)}, PICKS)
    every = [
        *sources("two", "c"),
        *sources("one", "a", "none", "b"),
        *sources("void", "none"),
        Source("x", ""),
    ]
    expected = pd.concat([c, a, b], ignore_index=True)
    pd.testing.assert_frame_equal(parts.read("picks", PICKS, every), expected)
    pd.testing.assert_frame_equal(parts.read("picks", PICKS, sources("one", "b")), b)
    morning = Window("2014-08-24", "2014-08-24T06:00")
    early = expected[morning.holds(expected["time"].dt.tz_localize(None).to_numpy())].reset_index(drop=True)
    assert 5 < len(early) < 60
    pd.testing.assert_frame_equal(parts.read("picks", PICKS, every, morning), early)
    pd.testing.assert_frame_equal(parts.read("picks", PICKS, []), empty(PICKS))
    parts.verify("one", ["picks"])


@dataclass(frozen=True)
class Counting(Store):
    """A store that notes what is read."""

    reads: list[str] = field(default_factory=list, hash=False)

    def read_bytes(self, key: str) -> bytes:
        self.reads.append(key)
        return super().read_bytes(key)


def test_a_part_is_read_once_whatever_the_number_of_its_units(tmp_path: Path) -> None:
    store = Counting(str(tmp_path))
    parts = Parts(store, FOLDER)
    for part in ("one", "two"):
        parts.write(part, "picks", {f"{part}-{n}": picks("A", 3) for n in range(50)}, PICKS)
    mixed = [Source(f"{part}-{n}", part) for n in range(50) for part in ("one", "two")]
    assert len(parts.read("picks", PICKS, mixed)) == 300
    assert sorted(store.reads) == [parts.key("one", "picks"), parts.key("two", "picks")]


def test_a_part_is_plain_parquet_with_the_bytes_of_its_rows_alone(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    rows = {"a": picks("A")}
    for folder in ("here", "there"):
        Parts(store, folder).write("part", "picks", rows, PICKS)
    here, there = (
        store.read_bytes(Parts(store, folder).key("part", "picks")) for folder in ("here", "there")
    )
    assert here == there
    with store.local(Parts(store, "here").key("part", "picks")) as path:
        plain = pq.read_table(path)
    assert plain.column_names == [*PICKS.names, "unit"]
    pd.testing.assert_frame_equal(validate(plain.to_pandas(), PICKS), rows["a"])


def test_every_changed_byte_is_seen(tmp_path: Path) -> None:
    """Any byte: of the data, of the statistics that choose the rows, of the checksum, of the footer."""
    store = Store(str(tmp_path))
    parts = Parts(store, FOLDER)
    parts.write("part", "picks", {"a": picks("A", 200, 1), "b": picks("B", 200, 2)}, PICKS)
    key = parts.key("part", "picks")
    whole = store.read_bytes(key)
    rng = np.random.default_rng(7)
    places = {
        0,
        3,
        len(whole) - 1,
        len(whole) - 6,
        whole.rindex(b"seisflow.checksum"),
        whole.rindex(b"blake2b:"),
    }
    places |= {whole.rindex(b"blake2b:") + 8, *rng.choice(len(whole), CHANGES, replace=False).tolist()}
    for place in sorted(places):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << int(rng.integers(8))
        store.write_bytes(key, bytes(damaged))
        with pytest.raises(CorruptPartError, match="is damaged") as caught:
            parts.read("picks", PICKS, sources("part", "a"))
        assert caught.value.parts == ("part",)
    store.write_bytes(key, whole)
    assert len(parts.read("picks", PICKS, sources("part", "a"))) == 200


@pytest.mark.parametrize("length", [0, 1, 100, -1, -100])
def test_a_part_that_is_cut_is_seen(tmp_path: Path, length: int) -> None:
    store = Store(str(tmp_path))
    parts = Parts(store, FOLDER)
    parts.write("part", "picks", {"a": picks("A")}, PICKS)
    key = parts.key("part", "picks")
    store.write_bytes(key, store.read_bytes(key)[:length])
    with pytest.raises(CorruptPartError, match=r"picks\.parquet is damaged"):
        parts.read("picks", PICKS, sources("part", "a"))
    with pytest.raises(CorruptPartError):
        parts.verify("part", ["picks"])


def test_a_part_that_is_gone_says_so_and_tells_which(each_store: Store) -> None:
    parts = Parts(each_store, FOLDER)
    with pytest.raises(CorruptPartError, match=r"part\.picks\.parquet is gone, though the ledger") as caught:
        parts.read("picks", PICKS, sources("part", "a"))
    sent = pickle.loads(pickle.dumps(caught.value))
    assert (sent.parts, str(sent)) == (("part",), str(caught.value))
    assert not sent.permanent


def test_all_damaged_parts_are_named_at_once(tmp_path: Path) -> None:
    """A unit that reads a hundred parts of a lost disk must not be tried a hundred times."""
    parts = Parts(Store(str(tmp_path)), FOLDER)
    parts.write("whole", "picks", {"a": picks("A")}, PICKS)
    with pytest.raises(CorruptPartError) as caught:
        parts.read("picks", PICKS, [Source("a", part) for part in ("one", "whole", "two")])
    assert caught.value.parts == ("one", "two")


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.text(max_size=20), st.integers(-(2**62), 2**62), st.floats(allow_nan=False))),
    st.integers(0, 2**30),
)
def test_sealing_keeps_every_value_and_sees_every_change(
    rows: list[tuple[str, int, float]], place: int
) -> None:
    columns = list(zip(*rows, strict=True)) or [(), (), ()]
    types = (pa.string(), pa.int64(), pa.float64())
    table = pa.table({name: pa.array(c, t) for name, c, t in zip("abc", columns, types, strict=True)})
    content = seal(table)
    assert seal(table) == content
    assert unseal(content, "here").equals(table)
    damaged = bytearray(content)
    damaged[place % len(content)] ^= 1 + place % 255
    with pytest.raises(CorruptPartError, match="here is damaged"):
        unseal(bytes(damaged), "here")
