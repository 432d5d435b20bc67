"""Directing the edges of a skeleton: unshielded colliders, then Meek's rules."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import combinations

import numpy as np
from jaxtyping import Bool

from ctvae.graph.independence import BoundTest
from ctvae.graph.knowledge import Constraints
from ctvae.graph.skeleton import Skeleton, run_tests

__all__ = ["Orientation", "orient", "rank_colliders"]

Triple = tuple[int, int, int]


class Orientation:
    """A skeleton some of whose edges are directed, step by step.

    ``direct`` never closes a cycle; ``make_collider`` may, and ``untangle`` then repairs it.

    Args:
        adjacent: ``(slots, slots)`` symmetric booleans.
        forbidden: ``(slots, slots)``, true where ``i -> j`` must not be.
    """

    def __init__(
        self, adjacent: Bool[np.ndarray, "slots slots"], forbidden: Bool[np.ndarray, "slots slots"]
    ) -> None:
        self.directed = np.zeros_like(adjacent)
        self.undirected = adjacent.copy()
        self._forbidden = forbidden
        self._reaches = np.eye(len(adjacent), dtype=bool)

    def direct(self, a: int, b: int) -> bool:
        """Directs an open edge, where neither a cycle nor knowledge stands against it.

        Args:
            a: The cause's column.
            b: The effect's column.

        Returns:
            Whether the edge is now directed, and was not before.
        """
        if not self.undirected[a, b] or self._forbidden[a, b] or self._reaches[b, a]:
            return False
        self._put(a, b)
        return True

    def make_collider(self, a: int, b: int, c: int) -> None:
        """Directs two edges into their middle, unless one of them points out of it already.

        Args:
            a: A column.
            b: The middle.
            c: The other end.
        """
        if self.directed[b, a] or self.directed[b, c]:
            return
        if self._forbidden[a, b] or self._forbidden[c, b]:
            return
        self._put(a, b)
        self._put(c, b)

    def _put(self, a: int, b: int) -> None:
        self.undirected[a, b] = self.undirected[b, a] = False
        self.directed[a, b] = True
        self._reaches |= self._reaches[:, a, None] & self._reaches[None, b]

    def ordered_pairs(self) -> list[tuple[int, int]]:
        """Lists every adjacent pair both ways, in the order in which Meek's rules visit them.

        Returns:
            Pairs ``(j, i)`` by i and then j: first those with a tail at i, then the others.
        """
        tails = np.argwhere(self.directed | self.undirected)
        heads = np.argwhere(self.directed.T)
        return [(int(j), int(i)) for i, j in (*tails, *heads)]


def orient(
    skeleton: Skeleton,
    test: BoundTest,
    constraints: Constraints,
    *,
    max_conditioning: int | None = None,
) -> Orientation:
    """Directs the edges of a skeleton as far as tests and knowledge say.

    First what is known; then unshielded colliders, those with the clearest dependence given their
    middle first; then Meek's rules, none of which makes a cycle; the fourth only where something is
    known, since colliders alone never call for it.

    Args:
        skeleton: The adjacent pairs and what separated the others.
        test: The test with its data.
        constraints: Required and forbidden edges.
        max_conditioning: The largest conditioning set of a test; ``None`` for no limit.

    Returns:
        The oriented skeleton.

    Source: Spirtes, Glymour and Scheines (2000), the colliders; Ramsey (2016), Improving accuracy
    and scalability of the PC algorithm by maximizing p-value; Meek (1995), the rules.

    Cost: one batch of tests for each size of conditioning set, over all subsets of the slots
    adjacent to the ends of a collider; then O(edges * degree^2) a round of the rules.
    """
    graph = Orientation(skeleton.adjacent, constraints.forbidden)
    for a, b in np.argwhere(skeleton.adjacent & constraints.forbidden.T):
        graph.direct(int(a), int(b))
    colliders = list(_colliders(skeleton))
    for a, b, c in rank_colliders(skeleton.adjacent, colliders, test, max_conditioning):
        graph.make_collider(a, b, c)
    _follow_meek(graph, skeleton.adjacent, with_knowledge=constraints.directs)
    return graph


def _colliders(skeleton: Skeleton) -> Iterator[Triple]:
    """Lists the unshielded triples whose middle separates their ends in no test."""
    for middle, row in enumerate(skeleton.adjacent):
        for a, c in combinations([int(k) for k in np.flatnonzero(row)], 2):
            parted_by = skeleton.separating.get((a, c))
            if not skeleton.adjacent[a, c] and parted_by is not None and middle not in parted_by:
                yield a, middle, c


def rank_colliders(
    adjacent: Bool[np.ndarray, "slots slots"],
    colliders: Iterable[Triple],
    test: BoundTest,
    max_conditioning: int | None,
) -> list[Triple]:
    """Sorts colliders, those whose ends depend most clearly given the middle first.

    Args:
        adjacent: The skeleton.
        colliders: Triples (end, middle, end).
        test: The test with its data.
        max_conditioning: The largest conditioning set of a test; ``None`` for no limit.

    Returns:
        The triples by the largest p-value of their ends given any set around one end that holds
        the middle; ties keep their order.
    """
    most = len(adjacent) if max_conditioning is None else max(1, max_conditioning)
    queries: dict[int, dict[tuple[int, ...], Triple]] = {}
    worst: dict[Triple, float] = dict.fromkeys(colliders, 0.0)
    for a, middle, c in worst:
        for end in (a, c):
            others = [int(k) for k in np.flatnonzero(adjacent[end]) if k != middle]
            for size in range(min(most, len(others) + 1)):
                for rest in combinations(others, size):
                    given = tuple(sorted((*rest, middle)))
                    queries.setdefault(size, {})[(a, c, *given)] = (a, middle, c)
    for lines in queries.values():
        p_values = run_tests(test, np.array(list(lines), dtype=np.int64)).p_value.tolist()
        for line, p_value in zip(lines, p_values, strict=True):
            for triple in ((line[0], middle, line[1]) for middle in line[2:]):
                if triple in worst:
                    worst[triple] = max(worst[triple], p_value)
    return sorted(worst, key=worst.__getitem__)


def _follow_meek(
    graph: Orientation, adjacent: Bool[np.ndarray, "slots slots"], *, with_knowledge: bool
) -> None:
    pairs = graph.ordered_pairs()
    after: dict[int, list[int]] = {}
    for a, b in pairs:
        after.setdefault(a, []).append(b)
    paths = [(a, b, c) for a, b in pairs for c in after[b] if c != a]
    chains = [path for path in paths if not adjacent[path[0], path[2]]]
    triangles = [path for path in paths if adjacent[path[0], path[2]]]
    kites = list(_kites(triangles, adjacent))
    doors = list(_doors(triangles, adjacent)) if with_knowledge else []
    changed = True
    while changed:
        changed = False
        for a, b, c in chains:  # rule 1: a -> b - c
            changed |= bool(graph.directed[a, b]) and graph.direct(b, c)
        for a, b, c in triangles:  # rule 2: a -> b -> c, a - c
            changed |= bool(graph.directed[a, b] and graph.directed[b, c]) and graph.direct(a, c)
        for a, b, c, d in kites:  # rule 3: a - b -> d <- c - a, b and c apart
            into = graph.directed[b, d] and graph.directed[c, d]
            open_ = graph.undirected[a, b] and graph.undirected[a, c]
            changed |= bool(into and open_) and graph.direct(a, d)
        for a, b, c, d in doors:  # rule 4: a - b -> c -> d - a, b and d apart
            along = graph.undirected[a, b] and graph.directed[b, c] and graph.directed[c, d]
            changed |= bool(along) and graph.direct(a, d)


def _kites(
    triangles: list[Triple], adjacent: Bool[np.ndarray, "slots slots"]
) -> Iterator[tuple[int, int, int, int]]:
    middles: dict[tuple[int, int], list[int]] = {}
    for a, b, d in triangles:
        middles.setdefault((a, d), []).append(b)
    for a, b, d in triangles:
        for c in middles[a, d]:
            if b < c and not adjacent[b, c]:
                yield a, b, c, d


def _doors(
    triangles: list[Triple], adjacent: Bool[np.ndarray, "slots slots"]
) -> Iterator[tuple[int, int, int, int]]:
    last: dict[tuple[int, int], list[int]] = {}
    for a, c, d in triangles:
        last.setdefault((a, c), []).append(d)
    for a, b, c in triangles:
        for d in last.get((a, c), ()):
            if d != b and not adjacent[b, d]:
                yield a, b, c, d
