"""Verify an ingested store: station-days that were damaged or lost are void, and are ingested again."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from seisflow.archive.manifest import manifests, read_manifest
from seisflow.archive.zarr import Zarr
from seisflow.errors import ArchiveError
from seisflow.keys import Period, Window
from seisflow.run.ledger import Ledger
from seisflow.run.units import digest
from seisflow.storage import open_place

if TYPE_CHECKING:
    import pandas as pd

    from seisflow.run.store import Store

__all__ = ["void_damaged"]

READERS = 4


def void_damaged(target: Store, ledger: Ledger, period: Period) -> dict[str, str]:
    """Read all that the manifest names in a period; write into the ledger what must be ingested again.

    Parameters
    ----------
    target : Store
        The Zarr store.
    ledger : Ledger
        Of its ingest; the caller holds the lease.
    period : Period
        Whole days.

    Returns
    -------
    dict
        What is wrong with each station-day that is void now, by the name of its unit.
    """
    damaged: dict[str, str] = {}
    known = manifests(open_place(target.root, target.storage_options))
    days = {str(day) for day in period.days()}
    for month in sorted({day[:7] for day in days} & set(known) & set(ledger.months())):
        rows = read_manifest(known[month])
        found = dict(_damaged(target, rows[rows["day"].astype(str).isin(days)]))
        entries = ledger.entries(month)
        void = [
            entries[unit]._replace(
                status="failed",
                reason=reason,
                part="",
                n_rows=0,
                order=entries[unit].order + 1,
            )
            for unit, reason in found.items()
            if unit in entries
        ]
        if void:
            ledger.record(month, digest(["void", *found, void[0].order]), void)
        damaged |= {entry.unit: entry.reason for entry in void}
    return damaged


def _damaged(target: Store, rows: pd.DataFrame) -> Iterator[tuple[str, str]]:
    """Yield the units of which not every byte is as it was written, and why."""
    archive = Zarr(root=target.root, storage_options=dict(target.storage_options))
    root = open_place(target.root, target.storage_options)

    def check(group: tuple[tuple[str, str, object], pd.DataFrame]) -> tuple[str, str]:
        (network, station, day), arrays = group
        try:
            archive.read([root.below(key).uri for key in arrays["array"]], Window.of_day(str(day)))
        except ArchiveError as error:
            return f"{network}.{station}.{day}", str(error)
        return "", ""

    with ThreadPoolExecutor(READERS) as pool:
        for unit, reason in pool.map(check, rows.groupby(["network", "station", "day"])):
            if unit:
                yield unit, reason
