"""Clusters from links, by hand and against the rules written with sets."""

from __future__ import annotations

from itertools import chain

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from seisflow.association.linking.aggregation import clusters_of
from seisflow.association.linking.prediction import Links


def links_of(linked: list[list[int]]) -> Links:
    """Return links from the picks that each root is linked to; a root with none is linked to itself."""
    whole = [sorted({root, *others}) for root, others in enumerate(linked)]
    first = np.concatenate([[0], np.cumsum([len(own) for own in whole])])
    return Links(first.astype(np.int64), np.array([*chain.from_iterable(whole)], dtype=np.int64))


def ideal(event: NDArray[np.int64], span: int) -> Links:
    """Return the links that a perfect network gives where windows have `span` picks."""
    return links_of(
        [
            [k for k in range(root, min(root + span, len(event))) if event[k] == event[root] >= 0]
            for root in range(len(event))
        ]
    )


def as_sets(clusters: list[NDArray[np.int64]]) -> list[set[int]]:
    """Return clusters as sets, in their order."""
    return [set(map(int, cluster)) for cluster in clusters]


def by_sets(links: Links, n_nuc: int, n_merge: int, n_min: int) -> list[set[int]]:
    """Return the clusters of section 4.2 of the paper, step by step as it says."""
    clusters: list[set[int]] = []
    for root in reversed(range(len(links.first) - 1)):
        own = {int(pick) for pick in links.pick[links.first[root] : links.first[root + 1]]}
        if len(own) < n_nuc:
            continue
        common = [len(cluster & own) for cluster in clusters]
        if common and max(common) >= n_merge:
            clusters[common.index(max(common))] |= own
        else:
            clusters.append(own)
    return [cluster for cluster in clusters if len(cluster) >= n_min]


def test_perfect_links_give_the_events() -> None:
    event = np.random.default_rng(0).integers(-1, 3, 120)
    found = as_sets(clusters_of(ideal(event, 120), 8, 7, 8))
    assert sorted(found, key=min) == sorted(
        ({int(k) for k in np.flatnonzero(event == number)} for number in range(3)), key=min
    )


def test_a_cluster_grows_beyond_a_window() -> None:
    event = np.zeros(60, np.int64)
    assert as_sets(clusters_of(ideal(event, 12), 8, 7, 8)) == [set(range(60))]


def test_a_cluster_begins_with_n_nuc_picks() -> None:
    seven, eight = list(range(7)), list(range(10, 18))
    links = links_of([seven, *[[]] * 9, eight, *[[]] * 7])
    assert as_sets(clusters_of(links, 8, 7, 8)) == [set(eight)]
    assert as_sets(clusters_of(links, 7, 6, 7)) == [set(eight), set(seven)]


def test_clusters_merge_from_n_merge_common_picks_on() -> None:
    later = list(range(10, 20))
    for shared, n_found in ((7, 1), (6, 2)):
        first = [0, *range(1, 9 - shared), *range(10, 10 + shared)]
        links = links_of([first, *[[]] * 9, later, *[[]] * 9])
        assert len(clusters_of(links, 8, 7, 8)) == n_found


def test_a_cluster_joins_that_with_most_in_common() -> None:
    one, other = list(range(20, 30)), list(range(40, 50))
    first = [0, *one[:7], *other[:8]]
    links = links_of([first, *[[]] * 19, one, *[[]] * 19, other, *[[]] * 9])
    assert as_sets(clusters_of(links, 8, 7, 8)) == [set(other) | set(first), set(one)]


def test_a_pick_may_be_in_two_clusters() -> None:
    one, other = [*range(20, 28), 50], [*range(40, 48), 50]
    links = links_of([*[[]] * 20, one, *[[]] * 19, other, *[[]] * 10])
    assert as_sets(clusters_of(links, 8, 7, 8)) == [set(other), set(one)]


def test_small_clusters_are_left_out() -> None:
    links = links_of([list(range(9)), *[[]] * 8, list(range(9, 20)), *[[]] * 10])
    assert [len(cluster) for cluster in clusters_of(links, 8, 7, 10)] == [11]
    assert clusters_of(links, 8, 7, 12) == []


def test_nothing_comes_of_nothing() -> None:
    assert clusters_of(Links(np.zeros(1, np.int64), np.zeros(0, np.int64)), 8, 7, 8) == []
    assert clusters_of(links_of([[], []]), 8, 7, 8) == []


@given(
    st.lists(st.lists(st.integers(0, 11), max_size=9), min_size=1, max_size=40),
    st.integers(2, 5),
    st.integers(1, 4),
    st.integers(2, 6),
)
def test_it_does_what_the_paper_says(after: list[list[int]], n_nuc: int, n_merge: int, n_min: int) -> None:
    n = len(after)
    links = links_of([[root + k for k in own if root + k < n] for root, own in enumerate(after)])
    found = as_sets(clusters_of(links, n_nuc, n_merge, n_min))
    assert found == by_sets(links, n_nuc, n_merge, n_min)
