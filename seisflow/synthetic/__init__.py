"""Synthetic archives with known truth, and the comparison of a catalogue with a truth."""

from seisflow.synthetic.archive import make_archive
from seisflow.synthetic.associations import AssociationComparison, compare_associations
from seisflow.synthetic.compare import Comparison, PickComparison, compare_catalogs, compare_picks
from seisflow.synthetic.scenario import Scenario
from seisflow.synthetic.truth import SyntheticTruth

__all__ = [
    "AssociationComparison",
    "Comparison",
    "PickComparison",
    "Scenario",
    "SyntheticTruth",
    "compare_associations",
    "compare_catalogs",
    "compare_picks",
    "make_archive",
]
