"""Pick sequences with known truth: what an associator is measured and trained on."""

from seisflow.synthetic.sequences.borrego import Borrego
from seisflow.synthetic.sequences.japan import Japan
from seisflow.synthetic.sequences.sequence import PickSequence, SequenceScenario
from seisflow.synthetic.sequences.shallow import Shallow
from seisflow.synthetic.sequences.subduction import Subduction

__all__ = ["Borrego", "Japan", "PickSequence", "SequenceScenario", "Shallow", "Subduction"]
