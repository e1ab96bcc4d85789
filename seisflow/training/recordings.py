"""Real records with known onsets, as examples to learn from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from seisflow.errors import TableError
from seisflow.training.chance import Chance
from seisflow.training.examples import N_EXAMPLE, Examples, labelled
from seisflow.training.recorders import with_gaps

__all__ = ["N_RECORDING", "Recordings"]

N_RECORDING = 8192
"""Samples of a record; examples are cut from it."""
N_KNOWN = 600
"""So many samples around a known onset count as looked at; elsewhere there may be onsets nobody noted."""
N_AFTER = 6000
"""Where only one phase was noted, the other may lie so many samples away."""
N_ONSET = 60


@dataclass(frozen=True)
class Recordings:
    """Records and the onsets noted in them.

    Attributes
    ----------
    traces : ndarray of float32, shape (record, 3, sample)
        Components E, N, Z at 100 Hz without mean; missing samples zero.
    onsets : ndarray of float, shape (onset, 3)
        Record, phase (1 P, 2 S), sample.
    times : ndarray of datetime64[ns], shape (record,)
        When each record begins; NaT where nobody knows.
    """

    traces: NDArray[np.float32]
    onsets: NDArray[np.float64]
    times: NDArray[np.datetime64]

    def __len__(self) -> int:
        """Return the number of records."""
        return len(self.traces)

    def chosen(self, which: NDArray[np.bool_]) -> Recordings:
        """Return some of the records."""
        number = np.cumsum(which) - 1
        onsets = self.onsets[which[self.onsets[:, 0].astype(int)]]
        onsets = np.column_stack([number[onsets[:, 0].astype(int)], onsets[:, 1:]])
        return Recordings(self.traces[which], onsets, self.times[which])

    def split(self, held_out: float) -> tuple[Recordings, Recordings]:
        """Return the earlier records, to learn from, and the latest ones, to test with.

        Raises
        ------
        TableError
            If one of them would be empty.
        """
        order = np.argsort(self.times, kind="stable")
        n_test = round(held_out * len(self))
        if not 0 < n_test < len(self):
            raise TableError(
                f"{len(self)} records with picks cannot be split with {held_out:.0%} held out; more "
                "picks are needed"
            )
        later = np.zeros(len(self), bool)
        later[order[len(self) - n_test :]] = True
        return self.chosen(~later), self.chosen(later)

    def known(self) -> NDArray[np.bool_]:
        """Return the samples at which it is known whether there is an onset, shape (record, sample)."""
        clock = np.arange(self.traces.shape[2])
        known = np.zeros((len(self), len(clock)), bool)
        for record, _, sample in self.onsets:
            known[int(record)] |= np.abs(clock - sample) < N_KNOWN
        for record, phase, sample in self.onsets:
            side = 1 if phase == 1 else -1
            others = self.onsets[(self.onsets[:, 0] == record) & (self.onsets[:, 1] != phase), 2]
            if not np.any((side * (others - sample) > 0) & (side * (others - sample) < N_AFTER)):
                after = side * (clock - sample)
                known[int(record)] &= ~((after > N_ONSET) & (after < N_AFTER))
        return known

    def draw(self, n: int, chance: Chance) -> Examples:
        """Return pieces of random records, at random places, with components left out at random."""
        which = chance.integers(len(self), n)
        first = chance.integers(N_RECORDING - N_EXAMPLE + 1, n)
        rows, offsets = which.cpu().numpy(), first.cpu().numpy()
        cut = offsets[:, None] + np.arange(N_EXAMPLE)
        traces = torch.from_numpy(self.traces[rows[:, None], :, cut].swapaxes(1, 2)).to(chance.device)
        known = torch.from_numpy(np.take_along_axis(self.known_rows(rows), cut, axis=1)).to(chance.device)
        onsets = []
        for example, (row, offset) in enumerate(zip(rows, offsets, strict=True)):
            for _, phase, sample in self.onsets[self.onsets[:, 0] == row]:
                onsets.append((example, phase, sample - offset, 1.0))
        table = torch.tensor(onsets, dtype=torch.float32, device=chance.device).reshape(-1, 4)
        alone = chance.happens(0.1, n) & (traces[:, 2] != 0).any(1)
        traces[:, :2] *= ~alone[:, None, None]
        signs = torch.where(chance.happens(0.5, n, 3, 1), 1.0, -1.0)
        traces, there = with_gaps(traces * signs, chance)
        found = labelled(traces, table, there)
        return Examples(found.traces, found.labels, found.weight * known, found.onsets)

    def known_rows(self, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return `known` of some records."""
        needed, place = np.unique(rows, return_inverse=True)
        which = np.zeros(len(self), bool)
        which[needed] = True
        return self.chosen(which).known()[place]
