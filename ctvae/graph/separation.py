"""d- and m-separation, for one question or for all pairs under many sets at once; mutilation."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor

from ctvae.errors import GraphError, ShapeError, did_you_mean
from ctvae.graph.causal_graph import CausalGraph
from ctvae.graph.kinds import GraphKind

__all__ = ["all_separations", "mutilate", "open_ends", "separated"]

Nodes = str | Iterable[str]


def separated(graph: CausalGraph, x: Nodes, y: Nodes, given: Nodes = ()) -> bool:
    """Says whether a graph separates nodes: whether it implies an independence.

    A path is open when each collider on it is in ``given`` or has a descendant there, and no other
    inner node is. Nodes are separated when no path between them is open: by d-separation in a DAG,
    by m-separation in an ADMG, and in a CPDAG, I-CPDAG or MPDAG by that of its members, which share
    all of them.

    Args:
        graph: A graph of one of these kinds.
        x: A node, or several.
        y: A node, or several.
        given: The nodes held fixed: one, several or none.

    Returns:
        True when each of x is separated from each of y.

    Raises:
        GraphError: On an unknown node, on a node in two of the three sets, where x or y is empty,
            or for a PAG or a PDAG that no DAG extends.

    Example:
        >>> collider = CausalGraph.from_edges([("a", "c"), ("b", "c"), ("c", "d")])
        >>> separated(collider, "a", "b"), separated(collider, "a", "b", given="d")
        (True, False)

    Source: Pearl (2009), Causality, definition 1.2.3; Richardson (2003), m-separation.
    Cost: O(nodes^2) for each round of paths that grow by one edge.
    """
    left, right, held = (
        _columns(graph, one, what) for one, what in ((x, "x"), (y, "y"), (given, "given"))
    )
    for one, other in ((left, right), (left, held), (right, held)):
        if both := one & other:
            names = ", ".join(sorted(graph.nodes[k] for k in both))
            msg = f"x, y and given must be disjoint, and {names} is in two of them"
            raise GraphError(msg)
    for one, what in ((left, "x"), (right, "y")):
        if not one:
            msg = f"{what} is empty; name a node"
            raise GraphError(msg)
    adjacency = _canonical(graph)
    starts, fixed = torch.zeros((2, 1, len(adjacency)), dtype=torch.bool)
    starts[0, sorted(left)] = True
    fixed[0, sorted(held)] = True
    return not bool(open_ends(adjacency, starts, fixed)[0, sorted(right)].any())


def all_separations(
    graph: CausalGraph, given: Bool[Tensor, "sets nodes"]
) -> Bool[Tensor, "sets nodes nodes"]:
    """Answers ``separated`` for every pair of nodes under each of many sets.

    Args:
        graph: As for ``separated``.
        given: The sets, one a row, columns in node order; on any device, where the work is done.

    Returns:
        ``[s, i, j]`` true where set s separates i and j; symmetric. Pairs with a node in the set
        count as separated, and no node is separated from itself.

    Raises:
        ShapeError: When the sets are no booleans with a column for each node.
        GraphError: As for ``separated``.

    Example:
        >>> chain = CausalGraph.from_edges([("a", "b"), ("b", "c")])
        >>> sets = torch.tensor([[False, False, False], [False, True, False]])
        >>> all_separations(chain, sets)[:, 0, 2].tolist()
        [False, True]

    Cost: O(sets * nodes^3) for each round of paths that grow by one edge, without a loop over
    pairs or sets.
    """
    nodes = len(graph.nodes)
    if not isinstance(given, Tensor) or given.dtype != torch.bool or given.ndim != 2:
        msg = f"given must be booleans (sets, {nodes}), got {getattr(given, 'dtype', type(given))}"
        raise ShapeError(msg)
    if given.shape[1] != nodes:
        msg = f"given must have a column for each of {nodes} nodes, got {tuple(given.shape)}"
        raise ShapeError(msg)
    adjacency = _canonical(graph).to(given.device)
    width, sets = len(adjacency), len(given)
    fixed = torch.zeros((sets, width), dtype=torch.bool, device=given.device)
    fixed[:, :nodes] = given
    starts = torch.eye(width, dtype=torch.bool, device=given.device)[:nodes].repeat(sets, 1)
    reached = open_ends(adjacency, starts, fixed.repeat_interleave(nodes, 0))
    open_ = reached.reshape(sets, nodes, width)[:, :, :nodes] & ~given[:, :, None]
    return ~(open_ | torch.eye(nodes, dtype=torch.bool, device=given.device))


def mutilate(graph: CausalGraph, targets: Nodes) -> CausalGraph:
    """Cuts the edges into some nodes: the graph under a hard intervention on them.

    Args:
        graph: A DAG or an ADMG.
        targets: The nodes that are set: one, several or none.

    Returns:
        The graph without edges that have an arrowhead at a target.

    Raises:
        GraphError: On an unknown node, or for another kind of graph.

    Example:
        >>> mutilate(CausalGraph.from_edges([("a", "b"), ("b", "c")]), "b")
        CausalGraph(DAG on a, b, c: b -> c)

    Source: Pearl (2009), Causality, section 1.3.1.
    """
    if graph.kind not in {GraphKind.DAG, GraphKind.ADMG}:
        msg = (
            f"an intervention cuts the edges into its targets, and in a {graph.kind.value} it is "
            "open which these are; take a member, consistent_extension()"
        )
        raise GraphError(msg)
    names = {graph.nodes[k] for k in _columns(graph, targets, "targets")}
    return CausalGraph.from_edges(
        [(a, b) for a, b in graph.directed if b not in names],
        bidirected=[(a, b) for a, b in graph.bidirected if not {a, b} & names],
        nodes=graph.nodes,
    )


def open_ends(
    adjacency: Bool[Tensor, "nodes nodes"],
    starts: Bool[Tensor, "asks nodes"],
    given: Bool[Tensor, "asks nodes"],
) -> Bool[Tensor, "asks nodes"]:
    """Walks all open paths of a DAG at once, an edge a round.

    A walk comes to a node either against an arrow, from a child, or along one, from a parent: in
    the first case the node is no collider, in the second it is one where the walk goes on to a
    parent.

    Args:
        adjacency: ``[i, j]`` true for ``i -> j``; a DAG.
        starts: Where the walks of each question start.
        given: What each question holds fixed.

    Returns:
        For each question the nodes that open paths lead to, starts included and ``given`` left
        out.

    Cost: O(asks * nodes^2) for each round of paths that grow by one edge.
    """
    edges = adjacency.to(torch.get_default_dtype())
    above = _grow(given, edges.T)  # the ancestors of what is given, with it
    upward, downward = starts, torch.zeros_like(starts)
    new_up, new_down = upward, downward
    while bool((new_up | new_down).any()):
        passing = new_up & ~given
        to_parents = _step(passing | (new_down & above), edges.T)
        to_children = _step(passing | (new_down & ~given), edges)
        new_up, new_down = to_parents & ~upward, to_children & ~downward
        upward, downward = upward | new_up, downward | new_down
    return (upward | downward) & ~given


def _columns(graph: CausalGraph, nodes: Nodes, what: str) -> set[int]:
    found = set()
    for name in [nodes] if isinstance(nodes, str) else list(nodes):
        if name not in graph.nodes:
            msg = f"{what} names {name!r}, which is not a node ({', '.join(graph.nodes)})"
            raise GraphError(msg + did_you_mean(name, graph.nodes))
        found.add(graph.nodes.index(name))
    return found


def _canonical(graph: CausalGraph) -> Bool[Tensor, "width width"]:
    """Gives a DAG with the graph's separations, with a hidden cause for each bidirected edge."""
    if graph.kind is GraphKind.PAG:
        msg = (
            "a PAG leaves open which of its nodes cause which, and separation in it is another "
            "notion (definite colliders); ask a member, or the graph of the true causes"
        )
        raise GraphError(msg)
    place = {name: k for k, name in enumerate(graph.nodes)}
    seen = graph if graph.kind is GraphKind.ADMG else graph.consistent_extension()
    matrix = np.zeros((len(place) + len(graph.bidirected),) * 2, dtype=bool)
    for a, b in seen.directed:
        matrix[place[a], place[b]] = True
    for k, (a, b) in enumerate(sorted(graph.bidirected), len(place)):
        matrix[k, [place[a], place[b]]] = True
    return torch.from_numpy(matrix)


def _grow(nodes: Bool[Tensor, "asks nodes"], edges: Tensor) -> Bool[Tensor, "asks nodes"]:
    new = nodes
    while bool(new.any()):
        new = _step(new, edges) & ~nodes
        nodes = nodes | new
    return nodes


def _step(nodes: Bool[Tensor, "asks nodes"], edges: Tensor) -> Bool[Tensor, "asks nodes"]:
    return (nodes.to(edges.dtype) @ edges) > 0
