"""How far one graph is from another: structural Hamming distance, skeleton and orientation."""

from __future__ import annotations

from enum import Enum

from ctvae.errors import GraphError
from ctvae.graph.causal_graph import CausalGraph
from ctvae.graph.kinds import GraphKind
from ctvae.graph.marks import Edge, sorted_pair

__all__ = ["EdgeState", "check_same_nodes", "edge_state", "precision_recall", "shd"]


class EdgeState(Enum):
    """How an estimate treats one pair of nodes, beside the truth."""

    AGREES = "agrees"
    REVERSED = "reversed"
    OTHER_MARK = "other mark"
    """The edge is there, but is directed in one graph only (or hides a cause in one only)."""
    MISSING = "missing"
    EXTRA = "extra"
    ABSENT = "absent in both"


def shd(a: CausalGraph, b: CausalGraph) -> int:
    """Gives the structural Hamming distance: the pairs of nodes on which two graphs differ.

    A missing, an extra and a reversed edge count 1 each, and so does a directed edge against an
    undirected one. On graphs over the same nodes it is a metric.

    Args:
        a: A graph.
        b: A graph over the same nodes, in any order.

    Returns:
        The distance, between 0 and the number of pairs.

    Raises:
        GraphError: When the node sets differ, or one graph is a PAG, whose circles are no marks
            that two graphs could agree on: see ``endpoint_confusion``.

    Example:
        >>> a = CausalGraph.from_edges([("x", "y"), ("y", "z")])
        >>> shd(a, CausalGraph.from_edges([("y", "x")], nodes=["x", "y", "z"]))
        2

    Source: Tsamardinos, Brown and Aliferis (2006), with reversals counted once; de Jongh and
    Druzdzel (2009) on comparing classes.
    """
    check_same_nodes(a, b, "the first", "the second")
    if GraphKind.PAG in {a.kind, b.kind}:
        msg = (
            "SHD is not defined for a PAG, whose circles stand for more than one mark; use "
            "endpoint_confusion(guess, truth)"
        )
        raise GraphError(msg)
    marks_a, marks_b = _pair_marks(a), _pair_marks(b)
    return sum(marks_a.get(p) != marks_b.get(p) for p in marks_a.keys() | marks_b.keys())


def check_same_nodes(a: CausalGraph, b: CausalGraph, name_a: str, name_b: str) -> None:
    """Refuses two graphs that are not over the same nodes.

    Args:
        a: A graph.
        b: Another graph.
        name_a: What the message calls the first.
        name_b: What the message calls the second.

    Raises:
        GraphError: When a node is in one graph only.
    """
    only_a = [n for n in a.nodes if n not in set(b.nodes)]
    only_b = [n for n in b.nodes if n not in set(a.nodes)]
    if only_a or only_b:
        differences = [
            f"only in {name}: {', '.join(only)}"
            for name, only in ((name_a, only_a), (name_b, only_b))
            if only
        ]
        msg = f"graphs over different nodes cannot be compared ({'; '.join(differences)}); relabel"
        raise GraphError(msg)


def _pair_marks(graph: CausalGraph) -> dict[Edge, frozenset[tuple[str, ...]]]:
    marks: dict[Edge, set[tuple[str, ...]]] = {}
    for a, b in graph.directed:
        marks.setdefault(sorted_pair(a, b), set()).add(("->", a, b))
    for pair in graph.undirected:
        marks.setdefault(pair, set()).add(("-",))
    for pair in graph.bidirected:
        marks.setdefault(pair, set()).add(("<->",))
    return {pair: frozenset(found) for pair, found in marks.items()}


def precision_recall(
    found: frozenset[Edge], true: frozenset[Edge]
) -> tuple[float | None, float | None, float]:
    """Compares what was found with what is true.

    Args:
        found: Edges of the estimate.
        true: Edges of the truth.

    Returns:
        Precision (``None`` where nothing was found), recall (``None`` where nothing is true) and
        their harmonic mean (1 where both are empty).

    Example:
        >>> precision_recall(frozenset({("a", "b")}), frozenset({("a", "b"), ("b", "c")}))
        (1.0, 0.5, 0.6666666666666666)
    """
    hits = len(found & true)
    f1 = 2 * hits / (len(found) + len(true)) if found or true else 1.0
    return (hits / len(found) if found else None, hits / len(true) if true else None, f1)


def edge_state(graph: CausalGraph, truth: CausalGraph, i: str, j: str) -> EdgeState:
    """Says how a graph treats one pair of nodes, beside the truth.

    Args:
        graph: A graph.
        truth: The true graph.
        i: A node.
        j: Another node.

    Returns:
        The state.
    """
    found, true = graph.marks_between(i, j), truth.marks_between(i, j)
    if found == true:
        return EdgeState.AGREES if found else EdgeState.ABSENT
    if not found or not true:
        return EdgeState.EXTRA if found else EdgeState.MISSING
    turned = {found, true} == {("->",), ("<-",)}
    return EdgeState.REVERSED if turned else EdgeState.OTHER_MARK
