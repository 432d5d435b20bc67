"""What is known of a graph before any row is seen: required and forbidden edges, and tiers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool

from ctvae.errors import GraphError, did_you_mean
from ctvae.graph.causal_graph import CausalGraph
from ctvae.graph.kinds import GraphKind
from ctvae.graph.marks import Edge, Marks, check_marks

__all__ = ["Constraints", "Knowledge"]


@dataclass(frozen=True)
class Knowledge:
    """Edges that a graph must have, edges that it must not have, and an order in time.

    Attributes:
        required: Pairs ``(cause, effect)`` that the graph holds as ``cause -> effect``.
        forbidden: Pairs ``(a, b)`` of which the graph does not hold ``a -> b``; ``b -> a`` stays
            possible. Forbid both to keep two nodes apart.
        tiers: Groups of nodes, earlier ones first: no node causes one of an earlier group. Nodes
            in no group are free.

    Raises:
        GraphError: When an edge is required and forbidden (by a pair or by the tiers), required
            edges form a cycle, or a node is in two tiers.

    Example:
        >>> known = Knowledge(required=[("a", "b")], tiers=[["a"], ["b", "c"]])
        >>> known.allows(CausalGraph.from_edges([("a", "b")], nodes=["a", "b", "c"]))
        True
        >>> Knowledge(required=[("b", "a")], tiers=[["a"], ["b"]])
        Traceback (most recent call last):
        ...
        ctvae.errors.GraphError: b -> a is required, but the tiers forbid it
    """

    required: Iterable[Edge] = ()
    forbidden: Iterable[Edge] = ()
    tiers: Iterable[Iterable[str]] = ()

    def __post_init__(self) -> None:
        tiers = tuple(tuple(tier) for tier in self.tiers)
        object.__setattr__(self, "tiers", tiers)
        for name in ("required", "forbidden"):
            edges = (tuple(e) if isinstance(e, list) else e for e in getattr(self, name))
            object.__setattr__(self, name, tuple(edges))
        placed = [node for tier in tiers for node in tier]
        for node in placed:
            if placed.count(node) > 1:
                msg = f"node {node!r} stands in the tiers more than once"
                raise GraphError(msg)
        names = tuple(dict.fromkeys((*placed, *self._nodes)))
        for a, b in self.required:
            if (b, a) in self.required and a != b:
                msg = f"both {a} -> {b} and {b} -> {a} are required; at most one can be"
                raise GraphError(msg)
        check_marks(Marks(names, directed=frozenset(self.required)))
        check_marks(Marks(names, undirected=frozenset(self.forbidden)))
        for a, b in self.required:
            if (a, b) in self.forbidden:
                msg = f"{a} -> {b} is both required and forbidden"
                raise GraphError(msg)
            if self._tier(a) is not None and self._later(a, b):
                msg = f"{a} -> {b} is required, but the tiers forbid it"
                raise GraphError(msg)

    def over(self, nodes: Sequence[str]) -> Constraints:
        """Writes the knowledge as matrices over the nodes of a graph.

        Args:
            nodes: All nodes, in column order.

        Returns:
            The matrices.

        Raises:
            GraphError: When the knowledge names a node that is not there.
        """
        place = {name: k for k, name in enumerate(nodes)}
        for name in (*(node for tier in self.tiers for node in tier), *self._nodes):
            if name not in place:
                msg = f"the knowledge names {name!r}, which is not a node ({', '.join(nodes)})"
                raise GraphError(msg + did_you_mean(name, nodes))
        required, forbidden = np.zeros((2, len(nodes), len(nodes)), dtype=bool)
        for a, b in self.required:
            required[place[a], place[b]] = True
        for a, b in self.forbidden:
            forbidden[place[a], place[b]] = True
        tier = np.array([np.nan if (t := self._tier(n)) is None else t for n in nodes])
        forbidden |= tier[:, None] > tier[None]  # never true of nodes that are in no tier
        forbidden |= required.T | np.eye(len(nodes), dtype=bool)
        return Constraints(required, forbidden)

    def allows(self, graph: CausalGraph) -> bool:
        """Says whether a graph agrees with the knowledge.

        Args:
            graph: A graph whose nodes include all that the knowledge names.

        Returns:
            True when it has every required edge and no forbidden one. An edge that leaves its
            direction open, by no mark or by a circle, counts as forbidden where both directions
            are; in a CPDAG, which says that its class holds both, already where one is. A hidden
            cause alone, ``<->``, is never forbidden.
        """
        return self.violation(graph) is None

    def violation(self, graph: CausalGraph) -> str | None:
        """Names an edge on which a graph and the knowledge disagree.

        Args:
            graph: A graph whose nodes include all that the knowledge names.

        Returns:
            What is wrong, or ``None`` where nothing is.
        """
        rules = self.over(graph.nodes)
        for i, a in enumerate(graph.nodes):
            for j, b in enumerate(graph.nodes):
                mark = graph.mark(a, b) if i != j else "none"
                if rules.required[i, j] and mark != "->":
                    return f"{a} -> {b} is required, and the graph has {mark}"
                if mark == "->" and rules.forbidden[i, j]:
                    return f"{a} -> {b} is forbidden"
                if mark not in {"none", "<->"} and rules.forbidden[i, j] and rules.forbidden[j, i]:
                    return f"{a} {mark} {b} joins two nodes that are to stay apart"
                if mark == "-" and rules.forbidden[i, j] and graph.kind is GraphKind.CPDAG:
                    return f"{a} - {b} leaves a direction open that is forbidden"
        return None

    @property
    def _nodes(self) -> list[str]:
        return [node for edge in (*self.required, *self.forbidden) for node in edge]

    def _tier(self, node: str) -> int | None:
        return next((k for k, tier in enumerate(self.tiers) if node in tier), None)

    def _later(self, a: str, b: str) -> bool:
        first, second = self._tier(a), self._tier(b)
        return first is not None and second is not None and first > second


@dataclass(frozen=True)
class Constraints:
    """Knowledge over the columns of some rows.

    Attributes:
        required: ``(slots, slots)``, true where ``i -> j`` must be.
        forbidden: ``(slots, slots)``, true where ``i -> j`` must not be; true on the diagonal and
            against every required edge.
    """

    required: Bool[np.ndarray, "slots slots"]
    forbidden: Bool[np.ndarray, "slots slots"]

    @property
    def directs(self) -> bool:
        """Whether some edge's direction is known."""
        return bool((self.forbidden & ~self.forbidden.T).any())

    @property
    def apart(self) -> list[tuple[int, int]]:
        """The pairs that no edge may join, lower column first."""
        never = np.triu(self.forbidden & self.forbidden.T, 1)
        return [(int(i), int(j)) for i, j in np.argwhere(never)]

    @property
    def kept(self) -> list[tuple[int, int]]:
        """The pairs that an edge must join."""
        return [(int(i), int(j)) for i, j in np.argwhere(self.required)]

    def draw_order(self, generator: np.random.Generator) -> list[int]:
        """Draws an order of the slots that puts causes first wherever a direction is known.

        Args:
            generator: The source of random numbers.

        Returns:
            All columns. Where pairs known one by one contradict each other as a whole, some stand
            the wrong way round.
        """
        first = self.forbidden.T & ~self.forbidden  # [i, j]: i may cause j, and not j cause i
        order: list[int] = []
        left = generator.permutation(len(first)).tolist()
        while left:
            free = [k for k in left if not first[left, k].any()]
            order.append((free or left)[0])
            left.remove(order[-1])
        return order
