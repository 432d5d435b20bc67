"""The graph over observed nodes that a DAG with hidden ones leaves."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations, product

from ctvae.errors import GraphError, did_you_mean
from ctvae.graph.causal_graph import CausalGraph

__all__ = ["latent_projection"]


def latent_projection(graph: CausalGraph, hidden: Iterable[str]) -> CausalGraph:
    r"""Leaves hidden nodes out of a causal graph, and keeps what they do to the others.

    There is an edge ``a -> b`` where a directed path leads from a to b through hidden nodes alone,
    and ``a <-> b`` where a hidden node, or an edge ``x <-> y``, is the top of such paths to both.
    The separations among the observed nodes are those of the whole graph.

    Args:
        graph: A DAG, or an ADMG.
        hidden: The nodes to leave out.

    Returns:
        An ADMG over the other nodes, in their order; a DAG where no pair has a hidden cause.

    Raises:
        GraphError: When a node is not in the graph, or the graph has undirected edges.

    Example:
        >>> graph = CausalGraph.from_edges([("u", "x"), ("u", "y"), ("x", "m"), ("m", "y")])
        >>> latent_projection(graph, ["u", "m"])
        CausalGraph(ADMG on x, y: x -> y, x <-> y)

    Source: Verma and Pearl (1990); Richardson (2003).
    Cost: O(nodes * edges), and a pair for each two observed effects of a hidden node.
    """
    away = set(hidden)
    for name in sorted(away - set(graph.nodes)):
        msg = f"node {name!r} is not in the graph{did_you_mean(name, graph.nodes)}"
        raise GraphError(msg)
    if graph.undirected:
        msg = f"hidden nodes are left out of a DAG or an ADMG, got kind {graph.kind.name}"
        raise GraphError(msg)
    # The first observed nodes at or below each node; children come before their parents.
    ends: dict[str, set[str]] = {}
    for node in reversed(graph.topological_order()):
        below = (ends[child] for child in graph.children(node))
        ends[node] = set().union(*below) if node in away else {node}
    observed = [node for node in graph.nodes if node not in away]
    directed = {(a, b) for a in observed for child in graph.children(a) for b in ends[child]}
    pairs = {pair for node in sorted(away) for pair in combinations(sorted(ends[node]), 2)}
    pairs |= {
        (min(a, b), max(a, b))
        for x, y in graph.bidirected
        for a, b in product(ends[x], ends[y])
        if a != b
    }
    return CausalGraph.from_edges(directed, bidirected=pairs, nodes=observed)
