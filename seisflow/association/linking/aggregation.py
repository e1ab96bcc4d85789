"""From the links of every root to clusters of picks, each of which may be an event.

References
----------
Ross et al. (2019), PhaseLink: A deep learning approach to seismic phase association, J. Geophys. Res.
124, 856-869, doi:10.1029/2018JB016674, section 4.2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numba import njit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from seisflow.association.linking.prediction import Links

__all__ = ["clusters_of"]

NONE = -1


def clusters_of(links: Links, n_nuc: int, n_merge: int, n_min: int) -> list[NDArray[np.int64]]:
    """Return clusters of picks, each sorted.

    Root by root, backwards in time: the picks linked to a root are a cluster if there are `n_nuc` of them.
    It joins the earlier found cluster that it has most picks in common with, if these are at least
    `n_merge`, or else is one by itself. Clusters of at least `n_min` picks remain. A pick may be in
    several.

    The paper merges where more than `n_merge` picks are in common. By that no cluster of `n_nuc` picks could
    join another with its `n_merge` of `n_nuc` - 1, which it says is the largest that is of use: a new root
    is in no cluster yet. So the number itself suffices.
    """
    if not len(links.pick):
        return []
    cluster, pick = _memberships(links.first, links.pick, n_nuc, n_merge)
    order = np.lexsort((pick, cluster))
    parts = np.split(pick[order], np.flatnonzero(np.diff(cluster[order])) + 1)
    return [part for part in parts if len(part) >= n_min]


@njit(cache=True, nogil=True)
def _memberships(
    first: NDArray[np.int64], linked: NDArray[np.int64], n_nuc: int, n_merge: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return cluster and pick of every membership.

    Those of one pick are a chain: `newest` of the pick, then `older` of each. So what a root's picks
    have in common with every cluster is counted in one go through them.
    """
    n_pick = first.size - 1
    newest = np.full(n_pick, NONE, np.int64)
    older, cluster, pick = np.empty((3, linked.size), np.int64)
    common = np.zeros(n_pick, np.int64)
    n, n_cluster = 0, 0
    for root in range(n_pick - 1, -1, -1):
        own = linked[first[root] : first[root + 1]]
        if own.size < n_nuc:
            continue
        best = NONE
        for p in own:
            member = newest[p]
            while member != NONE:
                c = cluster[member]
                common[c] += 1
                if best == NONE or common[c] > common[best] or (common[c] == common[best] and c < best):
                    best = c
                member = older[member]
        joined = best if best != NONE and common[best] >= n_merge else n_cluster
        n_cluster += joined == n_cluster
        for p in own:
            member, there = newest[p], False
            while member != NONE:
                common[cluster[member]] = 0
                there |= cluster[member] == joined
                member = older[member]
            if not there:
                older[n], cluster[n], pick[n] = newest[p], joined, p
                newest[p] = n
                n += 1
    return cluster[:n], pick[:n]
