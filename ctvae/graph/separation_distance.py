"""How far two graphs are apart in the independences that they imply."""

from __future__ import annotations

import torch
from jaxtyping import Bool
from torch import Tensor

from ctvae.errors import GraphError
from ctvae.graph.causal_graph import CausalGraph
from ctvae.graph.distances import check_same_nodes
from ctvae.graph.kinds import GraphKind
from ctvae.graph.separation import open_ends

__all__ = ["separation_distance"]

KINDS = frozenset({GraphKind.DAG, GraphKind.CPDAG, GraphKind.MPDAG})
PAIRS_AT_ONCE = 4096


def separation_distance(a: CausalGraph, b: CausalGraph) -> float:
    r"""Gives the share of one graph's separations that the other does not have, both ways.

    .. math::
        d(A, B) = \tfrac12 \bigl[w(A, B) + w(B, A)\bigr], \qquad
        w(A, B) = \frac{\#\{\{x, y\} \text{ apart in } A :
        x \not\perp_B y \mid S_A(x, y)\}}{\#\{\{x, y\} \text{ apart in } A\}}

    where x and y are apart when no edge joins them, and :math:`S_A(x, y)` are their possible
    ancestors in the CPDAG of A, which separate them. The distance is that of the classes: whichever
    member stands for a class, it is the same. It is 0 for Markov equivalent graphs and for no
    others, since these separators tell the skeleton and the v-structures, and 1 at most. Where no
    pair is apart, w is 0.

    Args:
        a: A DAG, CPDAG, I-CPDAG or MPDAG; what interventions or knowledge direct does not count.
        b: Another over the same nodes, in any order.

    Returns:
        The distance, in [0, 1].

    Raises:
        GraphError: When the nodes differ, or for another kind of graph.

    Example:
        >>> chain = CausalGraph.from_edges([("a", "b"), ("b", "c")])
        >>> fork = CausalGraph.from_edges([("b", "a"), ("b", "c")])
        >>> collider = CausalGraph.from_edges([("a", "b"), ("c", "b")])
        >>> separation_distance(chain, fork), separation_distance(chain, collider)
        (0.0, 1.0)

    Source: Wahl and Runge (2025), Separation-based distance measures for causal graphs: their
    ancestor separation distance, symmetrised, and on classes; van der Zander and Liskiewicz (2016),
    Separators and adjustment sets in Markov equivalent DAGs, for the separators of a CPDAG.
    Cost: O(nodes^4) for each round of paths that grow by one edge.
    """
    check_same_nodes(a, b, "one graph", "the other")
    for one in (a, b):
        if one.kind not in KINDS:
            msg = (
                f"the separation distance is between DAGs or their classes, and a graph of kind "
                f"{one.kind.value} is neither; compare marks, shd() or endpoint_confusion()"
            )
            raise GraphError(msg)
    first, second = a.cpdag(), b.reorder(a.nodes).cpdag()
    return (_wrong(first, second) + _wrong(second, first)) / 2


def _wrong(one: CausalGraph, other: CausalGraph) -> float:
    above = _possible_ancestors(one)
    joined = torch.from_numpy(one.to_numpy()).bool()
    x, y = (~(joined | joined.T)).triu(1).nonzero().unbind(1)
    if not len(x):
        return 0.0
    adjacency = torch.from_numpy(other.consistent_extension().to_numpy()).bool()
    everyone, missed = torch.eye(len(above), dtype=torch.bool), 0
    for here, there in zip(x.split(PAIRS_AT_ONCE), y.split(PAIRS_AT_ONCE), strict=True):
        given = (above[here] | above[there]) & ~everyone[here] & ~everyone[there]
        ends = open_ends(adjacency, everyone[here], given)
        missed += int(ends.gather(1, there[:, None]).sum())
    return missed / len(x)


def _possible_ancestors(cpdag: CausalGraph) -> Bool[Tensor, "nodes nodes"]:
    """``[y, x]`` true where a path of edges, none directed towards x, leads from x to y."""
    onward = torch.from_numpy(cpdag.to_numpy()).bool()  # undirected edges stand both ways
    reach = torch.eye(len(onward), dtype=torch.bool)
    for _ in range(len(onward).bit_length()):
        step = (reach | onward).float()
        onward = (step @ step) > 0
    return (reach | onward).T
