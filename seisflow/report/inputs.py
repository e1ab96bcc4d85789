"""What a report is made from: plain tables and numbers, so that anybody can make one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from seisflow.errors import TableError
from seisflow.tables import ASSIGNMENTS, EVENTS, LEDGER, PICKS, STATIONS, validate

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from seisflow.keys import Window

__all__ = ["RecordSection", "ReportInputs", "SectionTrace", "best_events"]

AVAILABILITY_COLUMNS = ("network", "station", "day", "fraction")
N_BEST = 10


class SectionTrace(NamedTuple):
    """One seismogram of a record section; NaN where samples are missing.

    Attributes
    ----------
    label : str
        Station as NET.STA.
    distance_km : float
        Epicentral distance.
    start : numpy.datetime64
        UTC time of the first sample.
    sampling_rate_hz : float
    samples : array of float, shape (n,)
        Vertical component, in any unit: it is normalised.
    """

    label: str
    distance_km: float
    start: np.datetime64
    sampling_rate_hz: float
    samples: NDArray[Any]


@dataclass(frozen=True)
class RecordSection:
    """Seismograms of one event; plain tuples of the same order serve as well as `SectionTrace`."""

    event_id: str
    traces: Sequence[SectionTrace]


@dataclass(frozen=True)
class ReportInputs:
    """Everything a report shows.

    Attributes
    ----------
    name : str
        Name of the study.
    period : Window
        Span of time that was processed.
    stations : STATIONS table
    events : EVENTS table
    assignments : ASSIGNMENTS table
    picks : PICKS table
        All picks, also those of no event.
    availability : DataFrame
        `network`, `station`, `day` (UTC), `fraction` (0 to 1) of the samples present; may be empty.
    ledger : LEDGER table
    parameters : mapping
        The resolved workflow, shown as YAML.
    versions : mapping of str to str
    sections : sequence of RecordSection
        Of the `best_events`, best first.
    comparison : mapping, optional
        Numbers of a comparison with a truth or a reference catalogue; a key ends with its unit.
    wall_s : float, optional
        How long the run took, in seconds; without it the report shows computing time alone.
    """

    name: str
    period: Window
    stations: pd.DataFrame
    events: pd.DataFrame
    assignments: pd.DataFrame
    picks: pd.DataFrame
    availability: pd.DataFrame
    ledger: pd.DataFrame
    parameters: Mapping[str, Any]
    versions: Mapping[str, str]
    sections: Sequence[RecordSection] = ()
    comparison: Mapping[str, Any] | None = None
    wall_s: float | None = None

    def validated(self) -> Self:
        """Return the inputs with every table checked.

        Raises
        ------
        TableError
            If a table does not follow its schema.
        """
        missing = [name for name in AVAILABILITY_COLUMNS if name not in self.availability.columns]
        if missing:
            raise TableError(
                f"report: the table of availability misses {', '.join(missing)}; "
                f"it needs {', '.join(AVAILABILITY_COLUMNS)}, also where it has no rows"
            )
        return replace(
            self,
            stations=validate(self.stations, STATIONS),
            events=validate(self.events, EVENTS),
            assignments=validate(self.assignments, ASSIGNMENTS),
            picks=validate(self.picks, PICKS),
            ledger=validate(self.ledger, LEDGER),
        )


def best_events(events: pd.DataFrame, n: int = N_BEST) -> pd.DataFrame:
    """Return the `n` best located events of an EVENTS table, best first.

    Best is the event with the most P and S picks; among equals that of the smaller azimuthal gap,
    then of the smaller RMS.
    """
    located = events[events["status"] == "located"]
    located = located.assign(n_picks=located["n_p"] + located["n_s"])
    order = ["n_picks", "gap_deg", "rms_s", "event_id"]
    return located.sort_values(order, ascending=[False, True, True, True]).head(n).drop(columns="n_picks")
