"""The plain edge lists beneath ``CausalGraph`` and the rules that make them legal."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple, TypeAlias

from ctvae.errors import GraphError, did_you_mean

__all__ = [
    "MIRRORED",
    "SYMBOLS",
    "Edge",
    "Marks",
    "check_marks",
    "sort_topologically",
    "sorted_pair",
]

Edge: TypeAlias = tuple[str, str]


class Marks(NamedTuple):
    """Nodes and edge lists, the form in which files and other libraries are read and written.

    Attributes:
        nodes: The names, in column order.
        directed: Edges ``(a, b)`` for ``a -> b``.
        undirected: Edges ``(a, b)`` for ``a - b``.
        bidirected: Edges ``(a, b)`` for ``a <-> b``.
        circle_arrow: Edges ``(a, b)`` for ``a o-> b``.
        circle_circle: Edges ``(a, b)`` for ``a o-o b``.
        tail_circle: Edges ``(a, b)`` for ``a -o b``.
    """

    nodes: tuple[str, ...]
    directed: frozenset[Edge] = frozenset()
    undirected: frozenset[Edge] = frozenset()
    bidirected: frozenset[Edge] = frozenset()
    circle_arrow: frozenset[Edge] = frozenset()
    circle_circle: frozenset[Edge] = frozenset()
    tail_circle: frozenset[Edge] = frozenset()

    @property
    def with_circles(self) -> frozenset[Edge]:
        """The edges with a circle at an end or both."""
        return self.circle_arrow | self.circle_circle | self.tail_circle

    def in_order(self, edges: Iterable[Edge]) -> list[Edge]:
        """Sorts edges by node order.

        Args:
            edges: Some of the edges.

        Returns:
            The same edges, sorted by the columns of their ends.
        """
        position = {name: k for k, name in enumerate(self.nodes)}
        return sorted(edges, key=lambda edge: (position[edge[0]], position[edge[1]]))


SYMBOLS = {
    "directed": "->",
    "undirected": "-",
    "bidirected": "<->",
    "circle_arrow": "o->",
    "circle_circle": "o-o",
    "tail_circle": "-o",
}
"""How an edge of each list is written between its ends."""
MIRRORED = {"->": "<-", "o->": "<-o", "-o": "o-"}
"""How it is written the other way round, where that differs."""


def sorted_pair(a: str, b: str) -> Edge:
    """Names a pair of nodes regardless of direction.

    Args:
        a: A node.
        b: Another node.

    Returns:
        The two names, sorted.
    """
    return (a, b) if a <= b else (b, a)


def check_marks(given: Marks) -> Marks:
    """Checks and normalises edge lists.

    Args:
        given: The names, and edges as pairs of names; any iterables.

    Returns:
        The lists as sets, the ends of symmetric edges sorted by name.

    Raises:
        GraphError: On an unknown or repeated node, a self loop, a pair with two marks or a
            directed cycle.
    """
    if isinstance(given.nodes, str):
        msg = f"nodes must be a sequence of names, got the text {given.nodes!r}"
        raise GraphError(msg)
    names = tuple(given.nodes)
    _check_nodes(names)
    known = frozenset(names)
    checked = {}
    for kind, symbol in SYMBOLS.items():
        edges = [_check_edge(e, known, symbol, names) for e in getattr(given, kind)]
        symmetric = symbol not in MIRRORED
        checked[kind] = frozenset(sorted_pair(*e) if symmetric else e for e in edges)
    marks = Marks(names, **checked)
    _check_pairs(marks)
    order = sort_topologically(names, marks.directed)
    if len(order) < len(names):
        cycle = _find_cycle(names, marks.directed, set(names) - set(order))
        msg = "the directed edges form a cycle: " + " -> ".join(cycle)
        raise GraphError(msg)
    return marks


def sort_topologically(nodes: Sequence[str], directed: Iterable[Edge]) -> tuple[str, ...]:
    """Orders nodes so that causes come first; node order breaks ties.

    Args:
        nodes: The names.
        directed: Edges ``(a, b)`` for ``a -> b``.

    Returns:
        The order; shorter than ``nodes`` when the edges hold a cycle.

    Source: Kahn (1962), Topological sorting of large networks.
    """
    position = {name: k for k, name in enumerate(nodes)}
    children: Mapping[str, list[str]] = {name: [] for name in nodes}
    waiting = dict.fromkeys(nodes, 0)
    for a, b in directed:
        children[a].append(b)
        waiting[b] += 1
    ready = [position[name] for name, count in waiting.items() if not count]
    heapq.heapify(ready)
    order: list[str] = []
    while ready:
        name = nodes[heapq.heappop(ready)]
        order.append(name)
        for child in children[name]:
            waiting[child] -= 1
            if not waiting[child]:
                heapq.heappush(ready, position[child])
    return tuple(order)


def _find_cycle(nodes: Sequence[str], directed: frozenset[Edge], left: set[str]) -> list[str]:
    # nodes that Kahn's algorithm leaves lie on or after a cycle, so each has a parent among them
    path = [next(name for name in nodes if name in left)]
    while path[-1] not in path[:-1]:
        path.append(next(a for a in nodes if a in left and (a, path[-1]) in directed))
    ring = path[path.index(path[-1]) :][:0:-1]
    start = ring.index(min(ring, key=list(nodes).index))
    return ring[start:] + ring[: start + 1]


def _check_nodes(nodes: tuple[str, ...]) -> None:
    for name in nodes:
        if not isinstance(name, str) or not name:
            msg = f"a node's name must be a non-empty text, got {name!r}"
            raise GraphError(msg)
    for before, after in pairwise(sorted(nodes)):
        if before == after:
            msg = f"node {before!r} appears twice; names must be unique"
            raise GraphError(msg)


def is_pair(edge: object) -> bool:
    """Says whether an object is a pair of texts.

    Args:
        edge: Anything.

    Returns:
        True for ``("a", "b")`` and other sequences of two texts.
    """
    return (
        isinstance(edge, Sequence)
        and not isinstance(edge, str)
        and len(edge) == 2
        and all(isinstance(end, str) for end in edge)
    )


def _check_edge(edge: Edge, known: frozenset[str], mark: str, nodes: tuple[str, ...]) -> Edge:
    if not is_pair(edge):
        msg = f"an edge is a pair of names such as ('shape', 'hue'), got {edge!r}"
        raise GraphError(msg)
    a, b = edge
    for name in (a, b):
        if name not in known:
            msg = f"edge {a} {mark} {b}: node {name!r} is not among the nodes ({', '.join(nodes)})"
            raise GraphError(msg + did_you_mean(name, nodes))
    if a == b:
        msg = f"edge {a} {mark} {b} is a self loop; no variable causes itself here"
        raise GraphError(msg)
    return a, b


def _check_pairs(marks: Marks) -> None:
    for a, b in sorted(marks.directed):
        if (b, a) in marks.directed:
            msg = (
                f"{a} -> {b} and {b} -> {a} form a 2-cycle; write undirected=[({a!r}, {b!r})] "
                "where the direction is open, bidirected where a hidden cause acts"
            )
            raise GraphError(msg)
    seen: dict[Edge, str] = {}
    for kind, symbol in SYMBOLS.items():
        for a, b in sorted(getattr(marks, kind)):
            pair = sorted_pair(a, b)
            bow = {seen.get(pair), kind} == {"directed", "bidirected"}
            if pair in seen and not bow:
                msg = f"the pair {pair[0]}, {pair[1]} carries {symbol} and another mark; keep one"
                raise GraphError(msg)
            seen[pair] = kind
    if marks.bidirected and marks.undirected and not marks.with_circles:
        msg = (
            f"undirected ({' - '.join(min(marks.undirected))}) and bidirected "
            f"({' <-> '.join(min(marks.bidirected))}) edges do not mix: an ADMG has no "
            "undirected edges"
        )
        raise GraphError(msg)
