"""Where samples are: runs of a mask are those that a walk over it finds."""

from __future__ import annotations

from itertools import groupby

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from seisflow.picking.segments import runs


@given(st.lists(st.booleans(), max_size=40))
def test_runs_are_those_that_a_walk_finds(mask: list[bool]) -> None:
    expected = []
    at = 0
    for value, group in groupby(mask):
        n = len(list(group))
        if value:
            expected.append([at, at + n])
        at += n
    assert runs(np.array(mask, bool)).tolist() == expected
