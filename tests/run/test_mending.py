"""Damaged parts: what they held is computed again, once, and the result is that of an undisturbed run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from seisflow.errors import CorruptPartError
from seisflow.run import run_workflow
from seisflow.run.status import read_ledger
from tests.run.conftest import SmallArchive
from tests.run.test_resume import counts, tables

MakeArchive = Callable[[int], SmallArchive]
OTHER = {"method": "pyocto", "tolerance_s": 0.9}


def flip(part: Path) -> None:
    """Flip a bit in the middle of a file."""
    content = bytearray(part.read_bytes())
    content[len(content) // 2] ^= 0x10
    part.write_bytes(content)


def parts(output: Path, stage: str, table: str) -> list[Path]:
    """Return the files of a table of a stage, by day."""
    return sorted(output.glob(f"stages/{stage}-*/parts/*.{table}.parquet"))


@pytest.mark.parametrize("damage", [flip, Path.unlink])
def test_picks_that_are_damaged_are_picked_again(
    make_archive: MakeArchive, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    archive, single = make_archive(3), {"method": "serial", "units_per_task": 1}
    run_workflow(archive.load(tmp_path / "run", deployment=single))
    held = parts(tmp_path / "run", "picking", "picks")
    assert len(held) == 12
    for part in held[2:4]:
        damage(part)
    again = run_workflow(archive.load(tmp_path / "run", association=OTHER))
    assert again.exit_status == 0
    assert counts(again)["picking"][0] == 2, "only what the damaged parts held"
    assert counts(again)["association"] == (3, 0)
    assert [(s.n_rows > 0, s.failed) for s in again.stages] == [(True, 0)] * 3
    fresh = run_workflow(archive.load(tmp_path / "fresh", association=OTHER))
    assert tables(again) == tables(fresh)
    assert counts(run_workflow(archive.load(tmp_path / "run", association=OTHER)))["picking"] == (0, 12)


def test_events_that_are_damaged_are_associated_again(make_archive: MakeArchive, tmp_path: Path) -> None:
    archive = make_archive(2)
    location = {"method": "nonlinear", "p_error_s": 0.08}
    run_workflow(archive.load(tmp_path / "run"))
    flip(parts(tmp_path / "run", "association", "events")[0])
    again = run_workflow(archive.load(tmp_path / "run", location=location))
    assert counts(again)["picking"] == (0, 8)
    assert counts(again)["association"][0] >= 1
    assert tables(again) == tables(run_workflow(archive.load(tmp_path / "fresh", location=location)))


def test_a_part_that_only_the_tables_read_is_computed_again(
    make_archive: MakeArchive, tmp_path: Path
) -> None:
    archive = make_archive(2)
    first = run_workflow(archive.load(tmp_path / "run"))
    before = tables(first)
    flip(parts(tmp_path / "run", "picking", "availability")[0])
    again = run_workflow(archive.load(tmp_path / "run"))
    assert again.exit_status == 0
    assert tables(again) == before
    assert 1 <= counts(again)["picking"][0] < 8
    assert counts(again)["location"] == (0, 2), "what is below has the same rows to read"


def test_a_row_that_the_ledger_lost_is_computed_again(
    make_archive: MakeArchive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = make_archive(2)
    from seisflow.run import workflow

    write, n = workflow.write_results, 0

    def lose(plan, order):  # type: ignore[no-untyped-def]
        nonlocal n
        n += 1
        if n == 1:
            for path in (tmp_path / "run").glob("stages/location-*/ledger/*/*.parquet"):
                flip(path)
        return write(plan, order)

    monkeypatch.setattr(workflow, "write_results", lose)
    report = run_workflow(archive.load(tmp_path / "run"))
    assert n == 2
    assert report.exit_status == 0
    assert len(read_ledger(report.store)) == 12


def test_a_disk_that_damages_all_it_is_given_ends_the_run(
    make_archive: MakeArchive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from seisflow.run import parts as parts_module

    read = parts_module.Parts.read

    def damaged(self, table, schema, sources, window=None):  # type: ignore[no-untyped-def]
        sources = list(sources)
        if table == "picks" and "picking-" in self.folder and sources:
            raise CorruptPartError(f"part {sources[0].part} is damaged", sources[0].part)
        return read(self, table, schema, sources, window)

    monkeypatch.setattr(parts_module.Parts, "read", damaged)
    with pytest.raises(CorruptPartError):
        run_workflow(make_archive(1).load(tmp_path / "run"))
