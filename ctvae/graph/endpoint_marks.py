"""How the ends of edges in one graph compare with those in another: the measure for PAGs."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int64

from ctvae.graph import formats
from ctvae.graph.causal_graph import CausalGraph
from ctvae.graph.distances import check_same_nodes

__all__ = ["MARKS", "endpoint_confusion"]

MARKS = ("none", "tail", "arrow", "circle")
"""The marks that an end can have, in the order of rows and columns; none where no edge is."""


def endpoint_confusion(guess: CausalGraph, truth: CausalGraph) -> Int64[np.ndarray, "marks marks"]:
    """Counts how the marks at the ends of edges in one graph are told by another.

    Defined for every kind of graph, and the measure for PAGs, whose edges SHD cannot count. Each
    pair of nodes has two ends; a bow counts as its directed edge.

    Args:
        guess: A graph.
        truth: A graph over the same nodes, in any order.

    Returns:
        ``(4, 4)`` counts: ``[i, j]`` ends with mark i in the truth and mark j in the guess, marks
        in the order none, tail, arrow, circle.

    Raises:
        GraphError: When the node sets differ.

    Example:
        >>> truth = CausalGraph.from_edges(circle_arrow=[("a", "b")])
        >>> endpoint_confusion(CausalGraph.from_edges([("a", "b")]), truth).tolist()
        [[0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 1, 0], [0, 1, 0, 0]]

    Source: the confusion of endpoint marks by which FCI is judged, as in Triantafillou and
    Tsamardinos (2016), Score-based vs constraint-based causal learning.
    """
    check_same_nodes(guess, truth, "the guess", "the truth")
    codes = [_codes(guess.reorder(truth.nodes)), _codes(truth)]
    ends = ~np.eye(len(truth.nodes), dtype=bool)
    index = codes[1][ends] * len(MARKS) + codes[0][ends]
    return np.bincount(index, minlength=len(MARKS) ** 2).reshape(len(MARKS), len(MARKS))


def _codes(graph: CausalGraph) -> np.ndarray:
    # causal-learn's codes numbered as in MARKS
    numbers = {0: 0, formats.TAIL: 1, formats.ARROW: 2, formats.CIRCLE: 3}
    numbers |= {formats.TAIL_AND_ARROW: 1, formats.ARROW_AND_ARROW: 2}
    endpoints = formats.to_endpoints(graph.marks)
    return np.vectorize(numbers.__getitem__, otypes=[np.int64])(endpoints)
