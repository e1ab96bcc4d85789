"""PhaseNet on a CPU, near the speed of its arithmetic units.

Batch normalisations are folded into the convolutions. A thread takes a window at a time, so that activations
stay in its cache; longer traces are cut in pieces that overlap by as much as the network sees.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seisflow.errors import WaveformError
from seisflow.picking.kernels.convolution import infer
from seisflow.picking.kernels.steps import CLASSES, STRIDE
from seisflow.picking.networks.folding import DEPTH, folded_layers

__all__ = ["DirectPhaseNet"]

Floats = NDArray[np.float32]

LOWEST = STRIDE ** (DEPTH - 1)
"""Samples of the input for each of the lowest level; pieces begin at multiples of it."""
REACH = 11 * LOWEST
"""Samples on both sides of an output that its bits depend on: 2,301 before and 2,726 after it, in whole
samples of the lowest level. Beyond 2,100 they change nothing but the rounding."""
PIECE = 32_768
"""Samples of the longest piece of a trace, without the reach."""
BLOCK = 8
"""Windows that a thread takes at a time."""


class DirectPhaseNet:
    """A PhaseNet network compiled for the CPU: its probabilities within 5e-6.

    May be called by several threads at once; each call brings its own memory, 1.1 MB a thread for windows of
    3,001 samples, at most 11 MB for long ones.

    Parameters
    ----------
    state : mapping
        Its arrays or tensors by the names that SeisBench's PhaseNet gives them; copied.

    Raises
    ------
    WeightsError
        If they are not those of a PhaseNet with three classes.
    """

    def __init__(self, state: Mapping[str, Any]) -> None:
        self._layers = folded_layers(state)
        self._program = lru_cache(maxsize=16)(self._layers.program)

    @property
    def n_classes(self) -> int:
        """Number of classes of the output."""
        return CLASSES

    def forward(
        self,
        windows: Floats,
        threads: int = 1,
        out: Floats | None = None,
        keep: tuple[int, int] | None = None,
    ) -> Floats:
        """Return the class probabilities of windows.

        Parameters
        ----------
        windows : ndarray of float32, shape (window, component, sample)
            Normalised; of any length and strides, so that overlapping windows may be views of a trace.
        threads : int
        out : ndarray of float32, shape (window, class, sample), optional
            Where to write them; contiguous.
        keep : tuple of int, optional
            First and last sample of each window whose probabilities are wanted, all by default; the rest is
            computed as far as these need it.

        Returns
        -------
        ndarray of float32, shape (window, class, sample)
            The same bits for any number of threads and windows. NaN where the network sees a NaN, and some
            samples around.

        Raises
        ------
        WaveformError
            If an array has another shape or type, or the samples to keep lie outside of the windows.
        """
        n_components = self._layers.inlet.weight.shape[1]
        if windows.dtype != np.float32 or windows.ndim != 3 or windows.shape[1] != n_components:
            raise WaveformError(
                f"expected float32 windows of shape (window, {n_components}, sample), found "
                f"{windows.dtype} of shape {windows.shape}"
            )
        first, last = (0, windows.shape[2]) if keep is None else keep
        if not 0 <= first <= last <= windows.shape[2]:
            raise WaveformError(
                f"cannot keep samples {first} to {last} of windows of {windows.shape[2]} samples; "
                "they must lie inside"
            )
        shape = (len(windows), CLASSES, last - first)
        if out is None:
            out = np.empty(shape, np.float32)
        elif not (out.dtype == np.float32 and out.shape == shape and out.flags.carray):
            raise WaveformError(
                f"expected a contiguous float32 array of shape {shape} to write to, found {out.dtype} of "
                f"shape {out.shape}"
            )
        if windows.strides[2] != windows.itemsize:
            windows = np.ascontiguousarray(windows)
        self._run(windows, out, deque(_pieces(len(windows), windows.shape[2], first, last)), threads)
        return out

    def forward_trace(self, trace: Floats, threads: int = 1, out: Floats | None = None) -> Floats:
        """Return the class probabilities of a trace, as if the whole of it were one window.

        Parameters
        ----------
        trace : ndarray of float32, shape (component, sample)
            Normalised.
        threads : int
        out : ndarray of float32, shape (class, sample), optional
            Where to write them; contiguous.

        Returns
        -------
        ndarray of float32, shape (class, sample)

        Raises
        ------
        WaveformError
            If an array has another shape or type.
        """
        probabilities: Floats = self.forward(trace[None], threads, None if out is None else out[None])[0]
        return probabilities

    def _run(self, windows: Floats, out: Floats, pieces: deque[tuple[int, ...]], threads: int) -> None:
        """Let threads take pieces until none is left."""

        def work_off() -> None:
            program, work = None, np.empty(0, np.float32)
            while pieces:
                try:
                    piece = pieces.popleft()
                except IndexError:  # another thread took the last one
                    return
                _, _, start, stop, first, last, _ = piece
                needed = self._program(stop - start, windows.shape[2], first - start, last - start)
                if needed is not program:
                    program, work = needed, np.zeros(needed.n_work, np.float32)
                infer(windows, piece, program.steps, program.weights, work, out)

        if (threads := min(threads, len(pieces))) <= 1:
            work_off()
            return
        with ThreadPoolExecutor(threads - 1) as pool:
            others = [pool.submit(work_off) for _ in range(threads - 1)]
            work_off()
            for other in others:
                other.result()


def _pieces(n_windows: int, n: int, first: int, last: int) -> Iterator[tuple[int, ...]]:
    """Yield what `infer` takes for the samples ``[first, last)`` of windows of `n` samples."""
    if n <= PIECE + 2 * REACH:
        for window in range(0, n_windows, BLOCK):
            yield window, min(window + BLOCK, n_windows), 0, n, first, last, first
        return
    for window in range(n_windows):
        for low in range(first, last, PIECE):
            high = min(low + PIECE, last)
            start = max(low - REACH, 0) // LOWEST * LOWEST
            yield window, window + 1, start, min(high + REACH, n), low, high, first
