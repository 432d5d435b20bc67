"""The DAGs that a graph stands for: how many there are, each in turn, and one at random.

The undirected edges of a graph that is closed under Meek's rules fall into connected components
with the same outside parents at each of their nodes, so that each component is directed on its own
and the class is the product over components. A component is *free* where no directed edge joins two
of its nodes: then its members are all acyclic orientations without v-structure, which are counted
in polynomial time. Every component of a CPDAG or I-CPDAG is free; one of an MPDAG need not be, and
counting is #P-hard there (Wienoebst, Bannach and Liskiewicz 2021, theorem 5).
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate, islice
from random import Random
from typing import NamedTuple

import numpy as np

from ctvae.errors import GraphError, StateSpaceError
from ctvae.graph.causal_graph import CausalGraph
from ctvae.graph.clique_picking import ChordalCounts, bits, connected_parts
from ctvae.graph.equivalence import Adjacency, close_under_meek
from ctvae.randomness import Seed, check_count, spawn

__all__ = ["LARGEST_SEARCH", "class_members", "class_size", "sample_member"]

LARGEST_SEARCH = 2**14
"""How many times a search for the members of components that are not free may direct a source."""


def class_size(graph: CausalGraph) -> int:
    """Counts the DAGs that a graph stands for.

    These are the DAGs with its skeleton, its v-structures and its directed edges: the Markov
    equivalence class for a CPDAG, the interventional one for an I-CPDAG, the members that agree
    with the knowledge for an MPDAG. A DAG is one graph; for its class write
    ``class_size(graph.cpdag())``.

    Components whose own nodes are joined by no directed edge are counted in polynomial time, so
    every CPDAG and I-CPDAG is. In the others one possible source after the other is directed, up
    to ``LARGEST_SEARCH`` times.

    Args:
        graph: A DAG, CPDAG, I-CPDAG or MPDAG, or a PDAG that some DAG extends.

    Returns:
        The exact number, at least 1.

    Raises:
        GraphError: When the graph has bidirected edges, or no DAG extends it.
        StateSpaceError: When the search would exceed its budget.

    Example:
        >>> chain = CausalGraph.from_edges([("a", "b"), ("b", "c"), ("c", "d")])
        >>> class_size(chain), class_size(chain.cpdag()), class_size(chain.i_cpdag([["c"]]))
        (1, 4, 2)

    Source: Wienoebst, Bannach and Liskiewicz (2021), Polynomial-time algorithms for counting and
    sampling Markov equivalent DAGs; Fang and He (2020), IDA with background knowledge, theorem 1:
    any node of an MPDAG may come before all of its undirected neighbours.

    Cost: O(cliques^2 (nodes + edges)) beside one extension and one closure of the graph.
    """
    return _Class(graph).size()


def class_members(graph: CausalGraph, *, limit: int | None = None) -> Iterator[CausalGraph]:
    """Gives the DAGs that a graph stands for, one after the other.

    Args:
        graph: As for ``class_size``; a DAG gives itself.
        limit: At most so many; ``None`` gives all (ask for ``class_size`` first).

    Returns:
        An iterator over DAGs with the graph's nodes: each member once, in an order that only the
        order of the nodes fixes.

    Raises:
        GraphError: When the graph has bidirected edges, or no DAG extends it; at the call.
        ShapeError: When the limit is no integer of at least 0.

    Example:
        >>> chain = CausalGraph.from_edges(undirected=[("a", "b"), ("b", "c")])
        >>> [sorted(member.directed) for member in class_members(chain, limit=2)]
        [[('a', 'b'), ('b', 'c')], [('b', 'a'), ('b', 'c')]]

    Source: Meek (1995): once closed, each undirected edge is directed either way by some member.

    Cost: polynomial for each member: a closure under Meek's rules for each edge that the ones
    before it leave open.
    """
    if limit is not None:
        check_count(limit, "limit")
    return islice(_members(_closed(graph), graph.nodes), limit)


def sample_member(graph: CausalGraph, *, seed: Seed = 0) -> CausalGraph:
    """Draws one of the DAGs that a graph stands for, each with the same probability.

    Args:
        graph: As for ``class_size``.
        seed: An integer, a generator to go on with for the next draw, or ``None``.

    Returns:
        A DAG with the graph's nodes.

    Raises:
        GraphError: When the graph has bidirected edges, or no DAG extends it.
        StateSpaceError: When the counts that the draw needs would exceed their budget.

    Example:
        >>> chain = CausalGraph.from_edges(undirected=[("a", "b"), ("b", "c")])
        >>> sample_member(chain, seed=0).cpdag() == chain
        True

    Source: Wienoebst, Bannach and Liskiewicz (2021), algorithm 3.

    Cost: that of ``class_size``.
    """
    matrix = _Class(graph).draw(Random(spawn(seed, 1)[0]))
    return CausalGraph.from_numpy(matrix, graph.nodes)


class Component(NamedTuple):
    """Nodes joined by undirected edges, and what is known about the edges among them.

    Attributes:
        nodes: The columns, ascending.
        edges: The bytes of their adjacency matrix, int8.
    """

    nodes: tuple[int, ...]
    edges: bytes

    @classmethod
    def of(cls, matrix: Adjacency, nodes: Sequence[int]) -> Component:
        """Cuts a component out of a matrix."""
        return cls(tuple(nodes), matrix[np.ix_(nodes, nodes)].astype(np.int8).tobytes())

    @property
    def matrix(self) -> Adjacency:
        """The adjacency matrix of these nodes alone."""
        size = len(self.nodes)
        return np.frombuffer(self.edges, dtype=np.int8).reshape(size, size)

    @property
    def mask(self) -> int:
        """The nodes as bits."""
        return sum(1 << node for node in self.nodes)

    @property
    def is_free(self) -> bool:
        """Whether no directed edge joins two of the nodes.

        A node's parent outside is a parent of the whole component: where ``a -> b - c``, Meek's
        rules leave only ``a -> c`` or ``a - c``, and the latter puts ``a`` inside. So without
        directed edges inside any orientation that has no cycle and no v-structure within the
        component is allowed. With ``a -> b`` inside, some triangle is ``a -> b - c - a``, and the
        undirected edges alone would allow ``b -> c -> a``, a cycle.
        """
        matrix = self.matrix
        return bool(np.array_equal(matrix, matrix.T))


class _Class:
    """The members of one class: their counts, component by component, kept for later draws."""

    def __init__(self, graph: CausalGraph) -> None:
        self._matrix = _closed(graph)
        self._free = ChordalCounts(_as_bits(self._matrix | self._matrix.T))
        self._sources: dict[Component, list[tuple[Adjacency, list[Component]]]] = {}
        self._sizes: dict[Component, int] = {}
        self._steps = 0

    def size(self) -> int:
        return math.prod(map(self._count, _components(self._matrix)))

    def draw(self, rng: Random) -> Adjacency:
        found = self._matrix.copy()
        stack = _components(found)
        while stack:
            part = stack.pop()
            if part.is_free:
                order = self._free.draw(part.mask, rng)
                block = np.triu(found[np.ix_(order, order)])
                found[np.ix_(order, order)] = block
                continue
            matrix, parts = self._draw_source(part, rng)
            found[np.ix_(part.nodes, part.nodes)] = matrix
            stack += parts
        return found

    def _draw_source(self, part: Component, rng: Random) -> tuple[Adjacency, list[Component]]:
        cases = self._sources_of(part)
        sizes = [math.prod(map(self._count, parts)) for _, parts in cases]
        ends = list(accumulate(sizes))
        return cases[bisect_right(ends, rng.randrange(ends[-1]))]

    def _count(self, part: Component) -> int:
        stack = [part]
        while stack:
            top = stack[-1]
            if top in self._sizes:
                stack.pop()
            elif top.is_free:
                self._sizes[top] = self._free.size(top.mask)
            else:
                cases = [parts for _, parts in self._sources_of(top)]
                ahead = [one for parts in cases for one in parts if one not in self._sizes]
                stack += ahead
                if not ahead:
                    self._sizes[top] = sum(
                        math.prod(self._sizes[one] for one in parts) for parts in cases
                    )
        return self._sizes[part]

    def _sources_of(self, part: Component) -> list[tuple[Adjacency, list[Component]]]:
        # Each member has one source in the component, a node that no directed edge of it enters.
        if part not in self._sources:
            matrix = part.matrix
            entered = ((matrix == 1) & (matrix.T == 0)).any(0)
            cases = []
            for source in np.flatnonzero(~entered):
                self._step()
                known = matrix.copy()
                known[:, source] = 0
                known = close_under_meek(known)
                cases.append((known, _components(known, part.nodes)))
            self._sources[part] = cases
        return self._sources[part]

    def _step(self) -> None:
        self._steps += 1
        if self._steps > LARGEST_SEARCH:
            msg = (
                "this class has a component with directed edges inside, whose members are found by "
                f"search, and the search directed more than {LARGEST_SEARCH} sources; take the "
                "class without the knowledge, graph.cpdag(), know more directions, or list some "
                "members with class_members(graph, limit=...)"
            )
            raise StateSpaceError(msg, entries=self._steps)


def _closed(graph: CausalGraph) -> Adjacency:
    if not isinstance(graph, CausalGraph):
        msg = (
            f"a class is that of a CausalGraph, got {type(graph).__name__}; read it by "
            "CausalGraph.from_networkx(...), from_numpy(...) or from_causallearn(...)"
        )
        raise GraphError(msg)
    if graph.bidirected:
        msg = (
            f"the members of a class are DAGs, got kind {graph.kind.value} with "
            f"{len(graph.bidirected)} bidirected edges; give a DAG, CPDAG, I-CPDAG or MPDAG"
        )
        raise GraphError(msg)
    graph.consistent_extension()
    return close_under_meek(graph.to_numpy())


def _as_bits(matrix: Adjacency) -> list[int]:
    return [sum(1 << int(j) for j in np.flatnonzero(row)) for row in matrix]


def _components(matrix: Adjacency, nodes: Sequence[int] | None = None) -> list[Component]:
    # the connected sets of undirected edges; ``nodes`` names the columns where they are others
    undirected = _as_bits(matrix & matrix.T)
    everyone = (1 << len(matrix)) - 1
    found = []
    for part in connected_parts(undirected, everyone):
        if part.bit_count() > 1:
            inside = list(bits(part))
            names = inside if nodes is None else [nodes[k] for k in inside]
            found.append(Component(tuple(names), Component.of(matrix, inside).edges))
    return found


def _members(matrix: Adjacency, nodes: tuple[str, ...]) -> Iterator[CausalGraph]:
    stack = [matrix]
    while stack:
        known = stack.pop()
        parts = _components(known)
        if not parts:
            yield CausalGraph.from_numpy(known, nodes)
            continue
        inside = np.ix_(parts[0].nodes, parts[0].nodes)
        i, j = np.argwhere(np.triu(known[inside] & known[inside].T))[0]
        for tail, head in ((j, i), (i, j)):  # the last one pushed comes first
            block = known[inside].copy()
            block[head, tail] = 0
            after = known.copy()
            after[inside] = close_under_meek(block)
            stack.append(after)
