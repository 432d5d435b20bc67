"""The graph of causes: an immutable value over named nodes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

import numpy as np

from ctvae.errors import GraphError
from ctvae.graph import equivalence
from ctvae.graph.interchange import Interchange
from ctvae.graph.kinds import GraphKind
from ctvae.graph.marks import SYMBOLS, Edge, Marks, check_marks, is_pair, sort_topologically
from ctvae.graph.relations import Relations

__all__ = ["CausalGraph", "Edge", "GraphKind"]

SHOWN_EDGES = 16


@dataclass(frozen=True, eq=False, repr=False)
class CausalGraph(Relations, Interchange):
    """An immutable causal graph over named nodes.

    Two graphs are equal when they have the same nodes and the same edges; the order of the nodes
    only fixes the columns of matrices and breaks ties. Directed edges must form no cycle. A pair
    of nodes carries one edge, but for the bow ``a -> b`` with ``a <-> b``.

    Attributes:
        nodes: The names, in column order.
        directed: Edges ``(a, b)`` for ``a -> b``.
        undirected: Edges ``(a, b)`` for ``a - b``, each once, names sorted.
        bidirected: Edges ``(a, b)`` for ``a <-> b``, each once, names sorted.
        circle_arrow: Edges ``(a, b)`` for ``a o-> b`` in a PAG.
        circle_circle: Edges ``(a, b)`` for ``a o-o b`` in a PAG, each once, names sorted.
        tail_circle: Edges ``(a, b)`` for ``a -o b`` in a PAG.

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
    circle_arrow: frozenset[Edge] = frozenset()
    circle_circle: frozenset[Edge] = frozenset()
    tail_circle: frozenset[Edge] = frozenset()

    def __post_init__(self) -> None:
        marks = check_marks(self.marks)
        for field, value in zip(Marks._fields, marks, strict=True):
            object.__setattr__(self, field, value)

    @classmethod
    def from_edges(
        cls,
        directed: Iterable[Edge] = (),
        undirected: Iterable[Edge] = (),
        bidirected: Iterable[Edge] = (),
        nodes: Iterable[str] | None = None,
        *,
        circle_arrow: Iterable[Edge] = (),
        circle_circle: Iterable[Edge] = (),
        tail_circle: Iterable[Edge] = (),
    ) -> CausalGraph:
        """Makes a graph from lists of edges.

        Args:
            directed: Pairs ``(cause, effect)``.
            undirected: Pairs whose direction is open.
            bidirected: Pairs with a hidden common cause.
            nodes: All names in column order; ``None`` takes them in order of appearance.
            circle_arrow: Pairs ``(a, b)`` for ``a o-> b``: b does not cause a.
            circle_circle: Pairs ``(a, b)`` for ``a o-o b``: adjacent, and no more is known.
            tail_circle: Pairs ``(a, b)`` for ``a -o b``, which only selection explains.

        Returns:
            The graph.

        Example:
            >>> CausalGraph.from_edges([("a", "b")], undirected=[("b", "c")])
            CausalGraph(PDAG on a, b, c: a -> b, b - c)
        """
        given = (directed, undirected, bidirected, circle_arrow, circle_circle, tail_circle)
        lists = [list(edges) for edges in given]
        if nodes is None:
            pairs = filter(is_pair, chain.from_iterable(lists))
            nodes = dict.fromkeys(chain.from_iterable(pairs))
        names = nodes if isinstance(nodes, str) else tuple(nodes)
        return cls(names, *lists)  # type: ignore[arg-type]  # checked and frozen on construction

    @cached_property
    def kind(self) -> GraphKind:
        """What the marks mean; found from the edges alone, so a DAG is never called a CPDAG."""
        if self.marks.with_circles:
            return GraphKind.PAG
        if self.bidirected:
            return GraphKind.ADMG
        if not self.undirected:
            return GraphKind.DAG
        matrix = self.to_numpy()
        restricted = GraphKind.MPDAG if equivalence.is_mpdag(matrix) else GraphKind.PDAG
        return GraphKind.CPDAG if equivalence.is_cpdag(matrix) else restricted

    @property
    def num_edges(self) -> int:
        """The number of edges of all marks."""
        return sum(len(edges) for edges in self.marks[1:])

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
        if self.marks.with_circles:
            msg = "a PAG stands for many graphs, so that its nodes have no one order"
            raise GraphError(msg)
        if self.undirected:
            a, b = min(self.undirected)
            msg = (
                f"the undirected edge {a} - {b} leaves the order open; "
                "take one member of the class with consistent_extension()"
            )
            raise GraphError(msg)
        return sort_topologically(self.nodes, self.directed)

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

    def i_cpdag(self, targets: Iterable[Iterable[str]]) -> CausalGraph:
        """Gives the graph of all DAGs that interventions on known targets cannot tell from this.

        Args:
            targets: For each interventional regime the nodes that it acted on, hard or soft.

        Returns:
            The I-CPDAG: an edge is directed where all members agree on it.

        Raises:
            GraphError: When the graph is no DAG, or a target no node.

        Example:
            >>> chain = CausalGraph.from_edges([("a", "b"), ("b", "c"), ("d", "c")])
            >>> chain.i_cpdag([["a"]]) == chain, chain.cpdag() == chain
            (True, False)

        Source: Hauser and Buehlmann (2012), theorem 10; Yang, Katcoff and Uhler (2018), soft ones.
        """
        if self.kind is not GraphKind.DAG:
            msg = f"an I-CPDAG is of a DAG, and this graph is a {self.kind.value}"
            raise GraphError(msg)
        regimes = [set(), *({self._check_name(name) for name in one} for one in targets)]
        acted = np.array([[name in one for name in self.nodes] for one in regimes])
        return CausalGraph.from_numpy(equivalence.to_i_cpdag(self.to_numpy(), acted), self.nodes)

    def consistent_extension(self) -> CausalGraph:
        """Gives one DAG with the same skeleton, directed edges and v-structures.

        Returns:
            The DAG, the same one at every call; a DAG gives itself.

        Raises:
            GraphError: When there are bidirected edges, or no DAG extends the graph.

        Source: Dor and Tarsi (1992).
        """
        if self.bidirected or self.marks.with_circles:
            held = "bidirected edges" if self.bidirected else "circle marks"
            msg = f"a graph with {held} has no extension to a DAG over its nodes"
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
        lists = (frozenset((new[a], new[b]) for a, b in edges) for edges in self.marks[1:])
        return CausalGraph(tuple(new.values()), *lists)

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
        return CausalGraph(order, *self.marks[1:])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CausalGraph) and self._value == other._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __repr__(self) -> str:
        edges = [
            f"{a} {symbol} {b}"
            for kind, symbol in SYMBOLS.items()
            for a, b in self.marks.in_order(getattr(self, kind))
        ]
        more = len(edges) - SHOWN_EDGES
        shown = edges[:SHOWN_EDGES] + ([f"... {more} more"] if more > 0 else [])
        names = list(self.nodes[:SHOWN_EDGES])
        if len(self.nodes) > SHOWN_EDGES:
            names.append(f"... {len(self.nodes) - SHOWN_EDGES} more")
        body = ", ".join(shown) if shown else "no edges"
        return f"CausalGraph({self.kind.value} on {', '.join(names)}: {body})"

    @cached_property
    def _value(self) -> tuple[frozenset[object], ...]:
        return (frozenset(self.nodes), *self.marks[1:])

    @property
    def marks(self) -> Marks:
        """The plain edge lists."""
        return Marks(
            self.nodes,
            self.directed,
            self.undirected,
            self.bidirected,
            self.circle_arrow,
            self.circle_circle,
            self.tail_circle,
        )
