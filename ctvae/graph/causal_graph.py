"""The graph of causes: an immutable value over named nodes."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from itertools import chain
from typing import TypeAlias

import numpy as np
from jaxtyping import Int8

from ctvae.errors import GraphError, did_you_mean
from ctvae.graph import equivalence

__all__ = ["CausalGraph", "Edge", "GraphKind"]

Edge: TypeAlias = tuple[str, str]

SHOWN_EDGES = 16


class GraphKind(Enum):
    """What the marks of a graph mean."""

    DAG = "DAG"
    """Directed edges without a cycle: one causal structure."""
    CPDAG = "CPDAG"
    """A whole Markov equivalence class: ``a - b`` where its members disagree."""
    PDAG = "PDAG"
    """Directed and undirected edges that form no CPDAG: restricted by knowledge or
    interventions, or contradicting themselves."""
    ADMG = "ADMG"
    """Directed edges without a cycle, and ``a <-> b`` where a hidden common cause acts."""


@dataclass(frozen=True, eq=False, repr=False)
class CausalGraph:
    """An immutable causal graph over named nodes.

    Two graphs are equal when they have the same nodes and the same edges; the order of the nodes
    only fixes the columns of matrices and breaks ties. Directed edges must form no cycle. A pair
    of nodes carries one edge, but for the bow ``a -> b`` with ``a <-> b``.

    Attributes:
        nodes: The names, in column order.
        directed: Edges ``(a, b)`` for ``a -> b``.
        undirected: Edges ``(a, b)`` for ``a - b``, each once, names sorted.
        bidirected: Edges ``(a, b)`` for ``a <-> b``, each once, names sorted.

    Raises:
        GraphError: On an unknown or repeated node, a self loop, a pair with two marks or a
            directed cycle (which is printed).

    Example:
        >>> graph = CausalGraph.from_edges([("shape", "hue"), ("size", "hue")])
        >>> graph.parents("hue")
        ('shape', 'size')
        >>> graph.kind.name, graph.cpdag() == graph
        ('DAG', True)
        >>> CausalGraph.from_edges([("a", "b"), ("b", "c"), ("c", "a")])
        Traceback (most recent call last):
        ...
        ctvae.errors.GraphError: the directed edges form a cycle: a -> b -> c -> a
    """

    nodes: tuple[str, ...]
    directed: frozenset[Edge] = frozenset()
    undirected: frozenset[Edge] = frozenset()
    bidirected: frozenset[Edge] = frozenset()

    def __post_init__(self) -> None:
        if isinstance(self.nodes, str):
            msg = f"nodes must be a sequence of names, got the text {self.nodes!r}"
            raise GraphError(msg)
        nodes = tuple(self.nodes)
        _check_nodes(nodes)
        known = frozenset(nodes)
        directed = frozenset(_check_edge(e, known, "->", nodes) for e in self.directed)
        undirected = frozenset(_sorted(_check_edge(e, known, "-", nodes)) for e in self.undirected)
        bidirected = frozenset(
            _sorted(_check_edge(e, known, "<->", nodes)) for e in self.bidirected
        )
        for field, value in (
            ("nodes", nodes),
            ("directed", directed),
            ("undirected", undirected),
            ("bidirected", bidirected),
        ):
            object.__setattr__(self, field, value)
        self._check_marks()
        cycle = self._find_cycle()
        if cycle:
            msg = "the directed edges form a cycle: " + " -> ".join(cycle)
            raise GraphError(msg)

    @classmethod
    def from_edges(
        cls,
        directed: Iterable[Edge] = (),
        undirected: Iterable[Edge] = (),
        bidirected: Iterable[Edge] = (),
        nodes: Iterable[str] | None = None,
    ) -> CausalGraph:
        """Makes a graph from lists of edges.

        Args:
            directed: Pairs ``(cause, effect)``.
            undirected: Pairs whose direction is open.
            bidirected: Pairs with a hidden common cause.
            nodes: All names in column order; ``None`` takes them in order of appearance.

        Returns:
            The graph.

        Example:
            >>> CausalGraph.from_edges([("a", "b")], undirected=[("b", "c")])
            CausalGraph(PDAG on a, b, c: a -> b, b - c)
        """
        lists = [list(directed), list(undirected), list(bidirected)]
        if nodes is None:
            pairs = [edge for edge in chain.from_iterable(lists) if _is_pair(edge)]
            nodes = dict.fromkeys(chain.from_iterable(pairs))
        names = nodes if isinstance(nodes, str) else tuple(nodes)
        return cls(names, *lists)  # type: ignore[arg-type]  # checked and frozen on construction

    @classmethod
    def from_numpy(
        cls, matrix: Int8[np.ndarray, "nodes nodes"], nodes: Sequence[str] | None = None
    ) -> CausalGraph:
        """Reads an adjacency matrix: ``A[i, j] = 1`` is ``i -> j``, ones both ways ``i - j``.

        Args:
            matrix: ``(nodes, nodes)`` zeros and ones (booleans, integers or floats).
            nodes: The names; ``None`` gives ``slot0, slot1, ...``.

        Returns:
            The graph.

        Raises:
            GraphError: When the matrix is not square, or holds other values.

        Example:
            >>> CausalGraph.from_numpy(np.array([[0, 1], [0, 0]]), nodes=["a", "b"])
            CausalGraph(DAG on a, b: a -> b)
        """
        array = np.asarray(matrix)
        if array.ndim != 2 or array.shape[0] != array.shape[1]:
            msg = f"an adjacency matrix is (nodes, nodes), got shape {array.shape}"
            raise GraphError(msg)
        if not np.isin(array, (0, 1)).all():
            bad = array[~np.isin(array, (0, 1))].flat[0]
            msg = (
                f"an adjacency matrix holds 0 and 1, got {bad}; threshold probabilities first, "
                "and read causal-learn's endpoint codes with from_causallearn"
            )
            raise GraphError(msg)
        names = [f"slot{k}" for k in range(len(array))] if nodes is None else list(nodes)
        if len(names) != len(array):
            msg = f"{len(array)} columns need as many names, got {len(names)}"
            raise GraphError(msg)
        there = array.astype(bool)
        pairs = [(int(i), int(j)) for i, j in np.argwhere(there)]
        return cls.from_edges(
            directed=[(names[i], names[j]) for i, j in pairs if not there[j, i] or i == j],
            undirected=[(names[i], names[j]) for i, j in pairs if there[j, i] and i < j],
            nodes=names,
        )

    def to_numpy(self) -> Int8[np.ndarray, "nodes nodes"]:
        """Gives the adjacency matrix: ``A[i, j] = 1`` is ``i -> j``, ones both ways ``i - j``.

        Returns:
            ``(nodes, nodes)`` int8, rows and columns in node order.

        Raises:
            GraphError: When there are bidirected edges, for which the matrix has no mark.

        Example:
            >>> CausalGraph.from_edges([("a", "b")]).to_numpy().tolist()
            [[0, 1], [0, 0]]
        """
        if self.bidirected:
            msg = (
                "an adjacency matrix has no mark for bidirected edges; use to_networkx, to_json "
                "or to_causallearn"
            )
            raise GraphError(msg)
        matrix = np.zeros((len(self.nodes), len(self.nodes)), dtype=np.int8)
        for a, b in self.directed:
            matrix[self._position[a], self._position[b]] = 1
        for a, b in self.undirected:
            matrix[self._position[a], self._position[b]] = 1
            matrix[self._position[b], self._position[a]] = 1
        return matrix

    @cached_property
    def kind(self) -> GraphKind:
        """What the marks mean; found from the edges alone, so a DAG is never called a CPDAG."""
        if self.bidirected:
            return GraphKind.ADMG
        if not self.undirected:
            return GraphKind.DAG
        return GraphKind.CPDAG if equivalence.is_cpdag(self.to_numpy()) else GraphKind.PDAG

    @property
    def num_edges(self) -> int:
        """The number of edges of all marks."""
        return len(self.directed) + len(self.undirected) + len(self.bidirected)

    def parents(self, name: str) -> tuple[str, ...]:
        """Gives the direct causes of a node.

        Args:
            name: A node.

        Returns:
            The nodes ``a`` with ``a -> name``, in node order.
        """
        return self._parents[self._check_name(name)]

    def children(self, name: str) -> tuple[str, ...]:
        """Gives the direct effects of a node.

        Args:
            name: A node.

        Returns:
            The nodes ``b`` with ``name -> b``, in node order.
        """
        return self._children[self._check_name(name)]

    def neighbours(self, name: str) -> tuple[str, ...]:
        """Gives the nodes joined to a node by an undirected edge.

        Args:
            name: A node.

        Returns:
            The nodes ``b`` with ``name - b``, in node order.
        """
        self._check_name(name)
        return tuple(b for b in self.nodes if _sorted((name, b)) in self.undirected)

    def ancestors(self, names: str | Iterable[str]) -> frozenset[str]:
        """Gives all direct and indirect causes, along directed edges.

        Args:
            names: A node or several.

        Returns:
            The nodes with a directed path into one of ``names``, without ``names`` themselves.

        Example:
            >>> sorted(CausalGraph.from_edges([("a", "b"), ("b", "c")]).ancestors("c"))
            ['a', 'b']
        """
        return self._closure(names, self._parents)

    def descendants(self, names: str | Iterable[str]) -> frozenset[str]:
        """Gives all direct and indirect effects, along directed edges.

        Args:
            names: A node or several.

        Returns:
            The nodes with a directed path from one of ``names``, without ``names`` themselves.
        """
        return self._closure(names, self._children)

    def adjacent(self, a: str, b: str) -> bool:
        """Says whether two nodes share an edge of any mark.

        Args:
            a: A node.
            b: Another node.

        Returns:
            True when they do.
        """
        self._check_name(a)
        self._check_name(b)
        return _sorted((a, b)) in self.skeleton

    @cached_property
    def skeleton(self) -> frozenset[Edge]:
        """The adjacent pairs, marks forgotten, each once with its names sorted."""
        return frozenset(_sorted(e) for e in self.directed) | self.undirected | self.bidirected

    def topological_order(self) -> tuple[str, ...]:
        """Orders the nodes so that causes come before effects; node order breaks ties.

        Returns:
            All nodes.

        Raises:
            GraphError: When undirected edges leave the order open.

        Example:
            >>> CausalGraph.from_edges([("b", "a")], nodes=["a", "b", "c"]).topological_order()
            ('b', 'a', 'c')

        Source: Kahn (1962), Topological sorting of large networks.
        """
        if self.undirected:
            a, b = min(self.undirected)
            msg = (
                f"the undirected edge {a} - {b} leaves the order open; "
                "take one member of the class with consistent_extension()"
            )
            raise GraphError(msg)
        return self._order

    def cpdag(self) -> CausalGraph:
        """Gives the graph of all DAGs that share this graph's conditional independences.

        Returns:
            The CPDAG of a DAG; a CPDAG itself; for a PDAG the CPDAG of its consistent extension.

        Raises:
            GraphError: When there are bidirected edges, or no DAG extends the PDAG.

        Example:
            >>> CausalGraph.from_edges([("a", "b"), ("b", "c")]).cpdag()
            CausalGraph(CPDAG on a, b, c: a - b, b - c)

        Source: Verma and Pearl (1990); Meek (1995).
        """
        matrix = equivalence.to_cpdag(self.consistent_extension().to_numpy())
        return CausalGraph.from_numpy(matrix, self.nodes)

    def consistent_extension(self) -> CausalGraph:
        """Gives one DAG with the same skeleton, directed edges and v-structures.

        Returns:
            The DAG, the same one at every call; a DAG gives itself.

        Raises:
            GraphError: When there are bidirected edges, or no DAG extends the graph.

        Source: Dor and Tarsi (1992).
        """
        if self.bidirected:
            msg = "a graph with bidirected edges has no extension to a DAG over its nodes"
            raise GraphError(msg)
        if not self.undirected:
            return self
        matrix = equivalence.consistent_extension(self.to_numpy())
        if matrix is None:
            msg = (
                "no DAG extends this graph: its undirected edges cannot be directed without a "
                "cycle or a new v-structure; check the edges around "
                + ", ".join(f"{a} - {b}" for a, b in sorted(self.undirected)[:3])
            )
            raise GraphError(msg)
        return CausalGraph.from_numpy(matrix, self.nodes)

    def relabel(self, mapping: Mapping[str, str]) -> CausalGraph:
        """Renames nodes; the columns stay where they are.

        Args:
            mapping: Old name to new name; nodes left out keep theirs.

        Returns:
            The renamed graph.
        """
        for name in mapping:
            self._check_name(name)
        new = {name: mapping.get(name, name) for name in self.nodes}
        directed, undirected, bidirected = (
            [(new[a], new[b]) for a, b in edges]
            for edges in (self.directed, self.undirected, self.bidirected)
        )
        return CausalGraph.from_edges(directed, undirected, bidirected, nodes=new.values())

    def reorder(self, nodes: Iterable[str]) -> CausalGraph:
        """Puts the nodes, and so the columns of matrices, into another order.

        Args:
            nodes: All names in the new order.

        Returns:
            An equal graph with that order.

        Raises:
            GraphError: When a name is missing, unknown or repeated.
        """
        order = tuple(nodes)
        for name in order:
            self._check_name(name)
        missing = [name for name in self.nodes if name not in order]
        if missing:
            msg = f"reorder takes every node once; missing: {', '.join(missing)}"
            raise GraphError(msg)
        return CausalGraph(order, self.directed, self.undirected, self.bidirected)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CausalGraph) and self._value == other._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __repr__(self) -> str:
        edges = [f"{a} -> {b}" for a, b in self._in_order(self.directed)]
        edges += [f"{a} - {b}" for a, b in self._in_order(self.undirected)]
        edges += [f"{a} <-> {b}" for a, b in self._in_order(self.bidirected)]
        more = len(edges) - SHOWN_EDGES
        shown = edges[:SHOWN_EDGES] + ([f"... {more} more"] if more > 0 else [])
        names = list(self.nodes[:SHOWN_EDGES])
        if len(self.nodes) > SHOWN_EDGES:
            names.append(f"... {len(self.nodes) - SHOWN_EDGES} more")
        body = ", ".join(shown) if shown else "no edges"
        return f"CausalGraph({self.kind.value} on {', '.join(names)}: {body})"

    @cached_property
    def _value(self) -> tuple[frozenset[str], frozenset[Edge], frozenset[Edge], frozenset[Edge]]:
        return frozenset(self.nodes), self.directed, self.undirected, self.bidirected

    @cached_property
    def _position(self) -> dict[str, int]:
        return {name: k for k, name in enumerate(self.nodes)}

    @cached_property
    def _parents(self) -> dict[str, tuple[str, ...]]:
        return self._ends((b, a) for a, b in self.directed)

    @cached_property
    def _children(self) -> dict[str, tuple[str, ...]]:
        return self._ends(self.directed)

    def _ends(self, edges: Iterable[Edge]) -> dict[str, tuple[str, ...]]:
        ends: dict[str, list[str]] = {name: [] for name in self.nodes}
        for a, b in edges:
            ends[a].append(b)
        return {name: tuple(sorted(e, key=self._position.__getitem__)) for name, e in ends.items()}

    def _in_order(self, edges: Iterable[Edge]) -> list[Edge]:
        return sorted(edges, key=lambda edge: (self._position[edge[0]], self._position[edge[1]]))

    @cached_property
    def _order(self) -> tuple[str, ...]:
        """Kahn's algorithm on the directed part; shorter than the node list on a cycle."""
        waiting = {name: len(parents) for name, parents in self._parents.items()}
        ready = [self._position[name] for name, count in waiting.items() if not count]
        heapq.heapify(ready)
        order: list[str] = []
        while ready:
            name = self.nodes[heapq.heappop(ready)]
            order.append(name)
            for child in self._children[name]:
                waiting[child] -= 1
                if not waiting[child]:
                    heapq.heappush(ready, self._position[child])
        return tuple(order)

    def _find_cycle(self) -> list[str]:
        # the names along one directed cycle, the first repeated at the end; empty where none is
        left = set(self.nodes) - set(self._order)
        if not left:
            return []
        path = [next(name for name in self.nodes if name in left)]
        while path[-1] not in path[:-1]:
            path.append(next(p for p in self._parents[path[-1]] if p in left))
        cycle = path[path.index(path[-1]) :][::-1]
        start = min(range(len(cycle) - 1), key=lambda k: self._position[cycle[k]])
        return cycle[start:-1] + cycle[: start + 1]

    def _check_marks(self) -> None:
        for a, b in sorted(self.directed):
            if (b, a) in self.directed:
                msg = (
                    f"{a} -> {b} and {b} -> {a} form a 2-cycle; write undirected=[({a!r}, {b!r})] "
                    "where the direction is open, bidirected where a hidden cause acts"
                )
                raise GraphError(msg)
        twice = {_sorted(e) for e in self.directed} & self.undirected
        twice |= self.bidirected & self.undirected
        if twice:
            a, b = min(twice)
            msg = f"the pair {a}, {b} carries an undirected edge and another mark; keep one"
            raise GraphError(msg)
        if self.bidirected and self.undirected:
            msg = (
                f"undirected ({' - '.join(min(self.undirected))}) and bidirected "
                f"({' <-> '.join(min(self.bidirected))}) edges do not mix: an ADMG has no "
                "undirected edges"
            )
            raise GraphError(msg)

    def _check_name(self, name: str) -> str:
        if name not in self._position:
            msg = f"node {name!r} is not in this graph (nodes: {', '.join(self.nodes)})"
            raise GraphError(msg + did_you_mean(name, self.nodes))
        return name

    def _closure(
        self, names: str | Iterable[str], step: Mapping[str, tuple[str, ...]]
    ) -> frozenset[str]:
        start = [names] if isinstance(names, str) else list(names)
        for name in start:
            self._check_name(name)
        found: set[str] = set()
        queue = list(start)
        while queue:
            fresh = [n for n in step[queue.pop()] if n not in found]
            found.update(fresh)
            queue.extend(fresh)
        return frozenset(found - set(start))


def _sorted(edge: Edge) -> Edge:
    a, b = edge
    return (a, b) if a <= b else (b, a)


def _is_pair(edge: object) -> bool:
    return (
        isinstance(edge, Sequence)
        and not isinstance(edge, str)
        and len(edge) == 2
        and all(isinstance(end, str) for end in edge)
    )


def _check_nodes(nodes: tuple[str, ...]) -> None:
    for name in nodes:
        if not isinstance(name, str) or not name:
            msg = f"a node's name must be a non-empty text, got {name!r}"
            raise GraphError(msg)
    if len(set(nodes)) != len(nodes):
        twice = next(name for name in nodes if nodes.count(name) > 1)
        msg = f"node {twice!r} appears twice; names must be unique"
        raise GraphError(msg)


def _check_edge(edge: Edge, known: frozenset[str], mark: str, nodes: tuple[str, ...]) -> Edge:
    if not _is_pair(edge):
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
