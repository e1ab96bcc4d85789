"""One-to-one matching: as many pairs as can be, and among those the closest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["match_pairs", "neighbours"]


def neighbours(
    time: NDArray[np.int64], reference: NDArray[np.int64], tolerance: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return all pairs of instants not further apart than a tolerance.

    Parameters
    ----------
    time, reference : ndarray of int64
        Instants in any order and one unit, e.g. ns.
    tolerance : int
        Largest distance, in the same unit.

    Returns
    -------
    row, column : ndarray of int64, shape (n_pairs,)
        Indices into `time` and `reference`.
    """
    order = np.argsort(reference, kind="stable")
    low = np.searchsorted(reference[order], time - tolerance, side="left")
    high = np.searchsorted(reference[order], time + tolerance, side="right")
    n = high - low
    row = np.repeat(np.arange(len(time)), n)
    first = np.repeat(low - np.concatenate([[0], np.cumsum(n)[:-1]]) if len(n) else low, n)
    return row, order[np.arange(len(row)) + first]


def match_pairs(
    row: NDArray[np.int64], column: NDArray[np.int64], cost: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Return which of the possible pairs are chosen so that no row and no column is used twice.

    The number of pairs is the largest possible, and their total cost the smallest for that number.
    Independent groups of pairs are solved one by one, each as a dense assignment problem.

    Parameters
    ----------
    row, column : ndarray of int64, shape (n_pairs,)
        The possible pairs, each once.
    cost : ndarray of float64, shape (n_pairs,)
        Finite, not negative.

    Returns
    -------
    ndarray of int64
        Indices into the pairs, rising.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    if not len(row):
        return np.empty(0, dtype=np.int64)
    n_rows, n_columns = int(row.max()) + 1, int(column.max()) + 1
    graph = coo_array(
        (np.ones(len(row)), (row, column + n_rows)), shape=(n_rows + n_columns, n_rows + n_columns)
    )
    _, group = connected_components(graph, directed=False)
    order = np.argsort(group[row], kind="stable")
    borders = np.flatnonzero(np.diff(group[row][order])) + 1
    chosen = [pairs[_assign(row[pairs], column[pairs], cost[pairs])] for pairs in np.split(order, borders)]
    return np.sort(np.concatenate(chosen))


def _assign(
    row: NDArray[np.int64], column: NDArray[np.int64], cost: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Solve one connected group; return indices into its pairs."""
    from scipy.optimize import linear_sum_assignment

    rows, row_index = np.unique(row, return_inverse=True)
    columns, column_index = np.unique(column, return_inverse=True)
    # One pair that is not allowed costs more than all allowed ones together.
    matrix = np.full((len(rows), len(columns)), cost.sum() + 1.0)
    matrix[row_index, column_index] = cost
    pair = np.full(matrix.shape, -1, dtype=np.int64)
    pair[row_index, column_index] = np.arange(len(row))
    found: NDArray[np.int64] = pair[linear_sum_assignment(matrix)]
    return found[found >= 0]
