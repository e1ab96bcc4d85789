"""What every export format must do."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from seisflow.errors import TableError
from seisflow.export import Exporter, export_catalog
from seisflow.method import available, build
from seisflow.tables import Catalog

from . import catalogs


class ExporterContract:
    """Subclass, name the method, and read back from its files when events happened and picks were made."""

    exporter: Exporter
    times_within_s: float

    def read_back(self, folder: Path) -> list[tuple[pd.Timestamp, list[tuple[str, pd.Timestamp]]]]:
        """Return (origin time, [(phase, time of the pick), ...]) of each event; the origin may be NaT."""
        raise NotImplementedError

    def test_is_found_by_its_name(self) -> None:
        assert type(self.exporter) is available("export")[self.exporter.name]
        assert build("export", self.exporter.name) == type(self.exporter)()

    def test_times_come_back(self, tmp_path: Path) -> None:
        catalog, stations = catalogs.many()
        export_catalog(catalog, stations, self.exporter, tmp_path)
        self.compare(catalog, tmp_path)

    def test_awkward_values_come_back(self, tmp_path: Path) -> None:
        catalog = catalogs.catalog()
        export_catalog(catalog, catalogs.stations(), self.exporter, tmp_path)
        self.compare(catalog, tmp_path)

    def compare(self, catalog: Catalog, folder: Path) -> None:
        """Check that every event and every assigned pick is there, at its time."""
        found = self.read_back(folder)
        assert len(found) == len(catalog.events)
        rows = catalog.assignments.merge(catalog.picks, on="pick_id")
        for event, (origin, picks) in zip(catalog.events.itertuples(), found, strict=True):
            if origin is not pd.NaT:
                assert abs((origin - event.time).total_seconds()) <= self.times_within_s
            mine = rows[rows["event_id"] == event.event_id].sort_values(["phase", "time"])
            assert [phase for phase, _ in sorted(picks)] == list(mine["phase"])
            for (_, time), true in zip(sorted(picks), mine["time"], strict=True):
                assert abs((time - true).total_seconds()) <= self.times_within_s

    def test_says_which_files_it_wrote(self, tmp_path: Path) -> None:
        folder = tmp_path / "new" / "folder"
        paths = export_catalog(catalogs.catalog(), catalogs.stations(), self.exporter, folder)
        assert sorted(paths) == sorted(folder.iterdir())
        assert all(path.stat().st_size for path in paths)

    def test_equal_tables_give_equal_bytes(self, tmp_path: Path) -> None:
        first, second = (
            export_catalog(catalogs.catalog(), catalogs.stations(), self.exporter, tmp_path / name)
            for name in "ab"
        )
        assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]

    def test_a_catalogue_without_events_is_written(self, tmp_path: Path) -> None:
        export_catalog(catalogs.nothing(), catalogs.stations(), self.exporter, tmp_path)
        assert self.read_back(tmp_path) == []

    def test_tables_of_two_runs_are_refused(self, tmp_path: Path) -> None:
        catalog = catalogs.catalog()
        torn = catalog._replace(picks=catalog.picks.iloc[1:])
        with pytest.raises(TableError, match=r"1 rows have a pick_id that is in no table"):
            export_catalog(torn, catalogs.stations(), self.exporter, tmp_path)

    def test_a_table_that_breaks_its_schema_is_refused(self, tmp_path: Path) -> None:
        catalog = catalogs.catalog()
        broken = catalog._replace(events=catalog.events.drop(columns="depth_km"))
        with pytest.raises(TableError, match="depth_km"):
            export_catalog(broken, catalogs.stations(), self.exporter, tmp_path)
