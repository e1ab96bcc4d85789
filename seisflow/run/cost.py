"""What a plan costs: units done and left, core-hours and memory, counted from HOLDINGS and ledger.

Everything is counted by columns, some days at a time: no unit is made, so two million station-days
take seconds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from seisflow.keys import NetworkDay

if TYPE_CHECKING:
    from seisflow.run.plan import Plan, StagePlan

__all__ = ["StageCost", "estimate_cost"]


@dataclass
class StageCost:
    """What one stage costs.

    Attributes
    ----------
    name : str
    total : int
        Units of the plan.
    done : int
        Those that the ledger has done; a unit whose files changed since is found when the run gets there.
    seconds : float
        Mean of the seconds a unit took or, where none was measured, what is assumed.
    measured : bool
        Whether `seconds` was measured.
    memory_mb : float
        Peak memory of the unit that needs most, estimated.
    """

    name: str
    total: int
    seconds: float
    memory_mb: float
    done: int = 0
    measured: bool = False

    @property
    def left(self) -> int:
        """Units to compute."""
        return self.total - self.done

    @property
    def core_hours(self) -> float:
        """Estimate of the core-hours for what is left."""
        return self.left * self.seconds / 3600.0


def estimate_cost(plan: Plan) -> list[StageCost]:
    """Return what each stage of a plan costs."""
    largest = _largest_window(plan)
    costs = []
    for stage in plan.stages:
        units = stage.units(largest) if plan.windows else []
        memory_mb = max((stage.stage.memory_mb(unit) for unit in units), default=0.0)
        cost = StageCost(stage.stage.name, stage.total, stage.stage.typical_s, memory_mb)
        _count_done(plan, stage, cost)
        costs.append(cost)
    return costs


def _count_done(plan: Plan, stage: StagePlan, cost: StageCost) -> None:
    """Count what the ledger has done of a stage, and its mean seconds."""
    recorded = set(stage.ledger.months()) & set(plan.months)
    if not recorded:
        return
    seconds = 0.0
    names = _station_days(plan) if stage.station_days else _network_days(plan)
    for month, planned in names:
        if month not in recorded:
            continue
        rows = stage.ledger.table(month)
        rows = rows[rows["status"].isin(["ok", "empty"])]
        known = pc.is_in(pa.array(rows["unit"], pa.string()), value_set=planned)
        rows = rows[known.to_numpy(zero_copy_only=False)]
        cost.done += len(rows)
        seconds += float(rows["seconds"].sum())
    if cost.done:
        cost.seconds, cost.measured = seconds / cost.done, True


def _network_days(plan: Plan) -> Iterator[tuple[str, pa.Array]]:
    """Yield the months of the plan and the names of their network-days."""
    for month, numbers in plan.months.items():
        yield month, pa.array([str(NetworkDay(plan.windows[number])) for number in numbers])


def _station_days(plan: Plan) -> Iterator[tuple[str, pa.Array]]:
    """Yield the months of the plan and the names of their station-days; a month may come in pieces."""
    labels = {
        int(window.start.astype("datetime64[D]").astype(int)): (
            month,
            str(NetworkDay(window)).split(".", 1)[1],
        )
        for month, numbers in plan.months.items()
        for window in (plan.windows[number] for number in numbers)
    }
    for block in plan.holdings.blocks(["day", "network", "station"]):
        found = block.group_by(["day", "network", "station"]).aggregate([])
        days = found.column("day").cast(pa.int32()).to_numpy()
        for month in dict.fromkeys(labels[day][0] for day in np.unique(days).tolist() if day in labels):
            inside = np.array([day in labels and labels[day][0] == month for day in days.tolist()])
            text = pa.array([labels[day][1] for day in days[inside].tolist()])
            codes = found.filter(pa.array(inside))
            yield (
                month,
                pc.binary_join_element_wise(
                    codes.column("network").combine_chunks(),
                    codes.column("station").combine_chunks(),
                    text,
                    ".",
                ),
            )


def _largest_window(plan: Plan) -> int:
    """Return the number of the window with the station-day that has most bytes."""
    most, number = -1, 0
    numbers = {int(w.start.astype("datetime64[D]").astype(int)): n for n, w in enumerate(plan.windows)}
    for block in plan.holdings.blocks(["day", "network", "station", "n_bytes"]):
        sizes = block.group_by(["day", "network", "station"]).aggregate([("n_bytes", "sum")])
        days = sizes.column("day").cast(pa.int32()).to_numpy()
        n_bytes = sizes.column("n_bytes_sum").to_numpy()
        for row in np.argsort(-n_bytes, kind="stable")[
            :3
        ].tolist():  # the days beside the period are no windows
            if int(days[row]) in numbers and n_bytes[row] > most:
                most, number = int(n_bytes[row]), numbers[int(days[row])]
    return number
