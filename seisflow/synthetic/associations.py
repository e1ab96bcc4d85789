"""Compare associated picks with a truth: which events are right, and which picks are in the right event."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from seisflow.synthetic.compare import Comparison, compare_catalogs
from seisflow.tables import Catalog

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["AssociationComparison", "compare_associations"]

DETECTED = 0.5
"""Jaccard index from which an event counts as found (Ross et al. 2019)."""


@dataclass(frozen=True)
class AssociationComparison:
    """Events as sets of picks against true events as sets of picks.

    An event :math:`A_k` and a true event :math:`B_i` are sets of picks. Recall counts the true events that
    have enough picks to be found, `countable`; precision counts every event, and an event that finds
    a true one with fewer picks is right.

    Parameters
    ----------
    overlaps : DataFrame
        A row for each event and true event that share picks: row (of the event), reference (row of the true
        event), shared (picks), jaccard (shared picks over picks of either).
    n_picks, n_true_picks : array of int64, shape (n_event,) and (n_true,)
        Picks of each event and of each true event.
    countable : array of bool, shape (n_true,)
        True events that recall counts.
    hypocentres : Comparison
        Events matched with true events one to one in time and space.

    References
    ----------
    Ross, Yue, Meier, Hauksson & Heaton (2019), PhaseLink: A deep learning approach to seismic phase
    association, JGR Solid Earth 124, doi:10.1029/2018JB016674, equations 1 to 4.
    """

    overlaps: pd.DataFrame
    n_picks: NDArray[np.int64]
    n_true_picks: NDArray[np.int64]
    countable: NDArray[np.bool_]
    hypocentres: Comparison

    @cached_property
    def jaccard_of_events(self) -> NDArray[np.float64]:
        """For each event the largest Jaccard index with a true one, equation 1."""
        return self._largest("row", len(self.n_picks))

    @cached_property
    def jaccard_of_truth(self) -> NDArray[np.float64]:
        """For each true event the largest Jaccard index with an event, equation 3."""
        return self._largest("reference", len(self.n_true_picks))

    @property
    def event_precision(self) -> float:
        """Part of the events with a Jaccard index of at least 0.5; 0 where there are none."""
        return _mean(self.jaccard_of_events >= DETECTED)

    @property
    def event_recall(self) -> float:
        """Part of the true events with a Jaccard index of at least 0.5; 0 where there are none."""
        return _mean(self.jaccard_of_truth[self.countable] >= DETECTED)

    @property
    def event_f1(self) -> float:
        """Harmonic mean of event precision and recall."""
        return _harmonic(self.event_precision, self.event_recall)

    @property
    def jaccard_precision(self) -> float:
        """Mean Jaccard index of the events, equation 2."""
        return _mean(self.jaccard_of_events)

    @property
    def jaccard_recall(self) -> float:
        """Mean Jaccard index of the true events, equation 4."""
        return _mean(self.jaccard_of_truth[self.countable])

    @cached_property
    def n_right_picks(self) -> int:
        """Picks that an event shares with its true event, the two being each other's best."""
        best = [
            set(self.overlaps.sort_values(["shared", "jaccard"]).drop_duplicates(key, keep="last").index)
            for key in ("row", "reference")
        ]
        return int(self.overlaps.loc[sorted(best[0] & best[1]), "shared"].sum())

    @property
    def pick_precision(self) -> float:
        """Part of the associated picks that are in the right event."""
        return self.n_right_picks / max(int(self.n_picks.sum()), 1)

    @property
    def pick_recall(self) -> float:
        """Part of the picks of true events that are in the right event."""
        return self.n_right_picks / max(int(self.n_true_picks.sum()), 1)

    @property
    def pick_f1(self) -> float:
        """Harmonic mean of pick precision and recall."""
        return _harmonic(self.pick_precision, self.pick_recall)

    @property
    def n_split(self) -> int:
        """True events that make up more than half of two events or more."""
        own = self.overlaps[self.overlaps["shared"] > 0.5 * self.n_picks[self.overlaps["row"]]]
        return int((own["reference"].value_counts() > 1).sum())

    @property
    def n_merged(self) -> int:
        """Events that hold more than half of the picks of two true events or more."""
        held = self.overlaps[self.overlaps["shared"] > 0.5 * self.n_true_picks[self.overlaps["reference"]]]
        return int((held["row"].value_counts() > 1).sum())

    def summary(self) -> dict[str, Any]:
        """Return the figures as plain numbers."""
        names = (
            "event_precision event_recall event_f1 jaccard_precision jaccard_recall "
            "pick_precision pick_recall pick_f1"
        )
        figures: dict[str, Any] = {name: float(getattr(self, name)) for name in names.split()}
        counts = {
            "n_events": len(self.n_picks),
            "n_true_events": int(self.countable.sum()),
            "n_split": self.n_split,
            "n_merged": self.n_merged,
        }
        located = self.hypocentres.summary()
        return (
            figures
            | counts
            | {
                "hypocentre_recall": located["event_recall"],
                "hypocentre_precision": located["event_precision"],
                **{key: located[key] for key in located if key.startswith("median_")},
            }
        )

    def _largest(self, key: str, n: int) -> NDArray[np.float64]:
        largest = np.zeros(n)
        np.maximum.at(largest, self.overlaps[key].to_numpy(), self.overlaps["jaccard"].to_numpy())
        return largest


def compare_associations(
    catalog: Catalog,
    truth: Catalog,
    *,
    min_picks: int = 1,
    time_tolerance_s: float = 3.0,
    distance_tolerance_km: float = 30.0,
) -> AssociationComparison:
    """Compare events with true events, by their picks and by their hypocentres.

    Parameters
    ----------
    catalog, truth : Catalog
        Of the same picks.
    min_picks : int
        Recall counts the true events with at least so many picks: fewer are no event to an associator.
        Precision counts all.
    time_tolerance_s, distance_tolerance_km : float
        Largest difference of origin times, s, and distance of epicentres, km, of a pair of hypocentres.

    Returns
    -------
    AssociationComparison
    """
    of_event, n_picks = _sizes(catalog)
    of_truth, n_true = _sizes(truth)
    pairs = of_event.merge(of_truth, on="pick_id", suffixes=("", "_true"))
    shared = pairs.groupby(["row", "row_true"], as_index=False).size()
    row, reference, n_shared = (shared[key].to_numpy() for key in ("row", "row_true", "size"))
    overlaps = pd.DataFrame({"row": row, "reference": reference, "shared": n_shared})
    overlaps["jaccard"] = n_shared / (n_picks[row] + n_true[reference] - n_shared)
    countable = n_true >= min_picks
    hypocentres = compare_catalogs(
        catalog.events,
        truth.events[countable].reset_index(drop=True),
        time_tolerance_s=time_tolerance_s,
        distance_tolerance_km=distance_tolerance_km,
    )
    return AssociationComparison(overlaps, n_picks, n_true, countable, hypocentres)


def _sizes(catalog: Catalog) -> tuple[pd.DataFrame, NDArray[np.int64]]:
    """Return the event (as a row of EVENTS) of each assigned pick, and the picks of each event."""
    row = pd.Series(np.arange(len(catalog.events)), index=catalog.events["event_id"])
    assigned = pd.DataFrame(
        {
            "pick_id": catalog.assignments["pick_id"].astype(object),
            "row": row.reindex(catalog.assignments["event_id"]).to_numpy().astype(np.int64),
        }
    )
    return assigned, np.bincount(assigned["row"], minlength=len(catalog.events))


def _mean(values: NDArray[Any]) -> float:
    return float(values.mean()) if len(values) else 0.0


def _harmonic(precision: float, recall: float) -> float:
    return 2.0 * precision * recall / (precision + recall) if precision + recall else 0.0
