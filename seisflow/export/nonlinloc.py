"""NonLinLoc: phase file (NLLOC_OBS) and station list (GTSRCE).

obspy writes NLLOC_OBS only for a single event and to 0.1 ms; here a whole catalogue goes into one
file, a blank line after each event, with microseconds.

References
----------
A. Lomax, NonLinLoc users' guide, "Phase File Formats: NonLinLoc Phase file" and
"GTSRCE - Source Description", http://alomax.free.fr/nlloc/
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from seisflow.errors import TableError
from seisflow.export.arrivals import arrivals_of, each_event, each_row, rounded
from seisflow.export.base import Exporter

if TYPE_CHECKING:
    import pandas as pd

    from seisflow.tables import Catalog

__all__ = ["Nonlinloc"]

FIRST_MOTION = {"up": "U", "down": "D"}


class Nonlinloc(Exporter):
    """Write catalog.obs (phases) and stations.in (GTSRCE lines to include in a control file)."""

    name: ClassVar[str] = "nonlinloc"

    p_error_s: Annotated[float, Field(gt=0)] = 0.05
    """Gaussian standard error given to P picks, in seconds; tables of picks hold none."""
    s_error_s: Annotated[float, Field(gt=0)] = 0.1
    """Gaussian standard error given to S picks, in seconds."""
    network_in_label: bool = True
    """Whether stations are called NET_STA rather than STA; STA alone must then be unique."""

    def write(self, catalog: Catalog, stations: pd.DataFrame, folder: Path) -> list[Path]:
        """Write the two files into `folder` and return their paths."""
        arrivals = arrivals_of(catalog, stations, need_sites=True)
        phases, sources = folder / "catalog.obs", folder / "stations.in"
        with phases.open("w", encoding="ascii", errors="replace", newline="\n") as file:
            for event, rows in each_event(catalog.events, arrivals):
                file.write(f"PUBLIC_ID {event.event_id}\n")
                file.writelines(self._phase_line(row) for row in rows)
                file.write("\n")
        sources.write_text("".join(self._station_lines(stations)), encoding="ascii", errors="replace")
        return [phases, sources]

    def _label(self, row: Any) -> str:
        return f"{row.network}_{row.station}" if self.network_in_label and row.network else str(row.station)

    def _phase_line(self, row: Any) -> str:
        """Return label, instrument, component, onset, phase, motion, time, error, coda, amplitude, period."""
        minute, second = rounded(row.time, 6)
        error_s = self.p_error_s if row.phase == "P" else self.s_error_s
        return (
            f"{self._label(row):<8} {'?':<4} {(row.band + '?') if row.band else '?':<4} ? {row.phase:<6} "
            f"{FIRST_MOTION.get(row.polarity, '?')} {minute:%Y%m%d %H%M} {second:9.6f} "
            f"GAU {error_s:9.2e} {-1.0:9.2e} {-1.0:9.2e} {-1.0:9.2e}\n"
        )

    def _station_lines(self, stations: pd.DataFrame) -> list[str]:
        """Return a GTSRCE line for each label; the last epoch of a station gives its place.

        Raises
        ------
        TableError
            If two networks have a station of the same label.
        """
        lines: dict[str, tuple[str, str]] = {}
        for row in each_row(stations):
            label = self._label(row)
            network, _ = lines.get(label, (row.network, ""))
            if network != row.network:
                raise TableError(
                    f"nonlinloc: the station code '{row.station}' is in the networks '{network}' and "
                    f"'{row.network}'; set network_in_label: true"
                )
            place = f"{row.latitude:.6f} {row.longitude:.6f} 0.0 {row.elevation_m / 1000.0:.4f}"
            lines[label] = (row.network, f"GTSRCE {label} LATLON {place}\n")
        return [line for _, line in lines.values()]
