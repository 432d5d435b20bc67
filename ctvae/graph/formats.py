"""Edge lists to and from matrices, networkx, JSON and causal-learn's endpoint codes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Int, Int8

from ctvae.errors import FormatError, GraphError
from ctvae.graph.marks import MIRRORED, SYMBOLS, Edge, Marks

if TYPE_CHECKING:
    import networkx as nx

__all__ = [
    "from_endpoints",
    "from_json",
    "from_matrix",
    "from_networkx",
    "to_causallearn",
    "to_endpoints",
    "to_json",
    "to_matrix",
    "to_networkx",
]

TAIL, ARROW, CIRCLE = -1, 1, 2
TAIL_AND_ARROW, ARROW_AND_ARROW = 4, 5  # a bow: a -> b together with a <-> b
JSON_FORMAT = "ctvae-graph"


def to_matrix(marks: Marks) -> Int8[np.ndarray, "nodes nodes"]:
    """Writes the adjacency matrix: ``A[i, j] = 1`` is ``i -> j``, ones both ways ``i - j``.

    Args:
        marks: The graph.

    Returns:
        ``(nodes, nodes)`` int8 in node order.

    Raises:
        GraphError: When there are bidirected edges or circles, for which the matrix has no mark.
    """
    if marks.bidirected or marks.with_circles:
        held = "circles" if marks.with_circles else "bidirected edges"
        msg = (
            f"an adjacency matrix has no mark for {held}; use to_networkx, to_json or "
            "to_causallearn"
        )
        raise GraphError(msg)
    position = {name: k for k, name in enumerate(marks.nodes)}
    matrix = np.zeros((len(position), len(position)), dtype=np.int8)
    both_ways = [(b, a) for a, b in marks.undirected]
    for a, b in (*marks.directed, *marks.undirected, *both_ways):
        matrix[position[a], position[b]] = 1
    return matrix


def from_matrix(matrix: np.ndarray, nodes: Sequence[str] | None) -> Marks:
    """Reads an adjacency matrix in the convention of ``to_matrix``.

    Args:
        matrix: ``(nodes, nodes)`` zeros and ones.
        nodes: The names; ``None`` gives ``slot0, slot1, ...``.

    Returns:
        The graph.

    Raises:
        GraphError: When the matrix is not square, or holds other values.
    """
    array, names = _check_square(matrix, nodes)
    if not np.isin(array, (0, 1)).all():
        bad = array[~np.isin(array, (0, 1))].flat[0]
        msg = (
            f"an adjacency matrix holds 0 and 1, got {bad}; threshold probabilities first, "
            "and read causal-learn's endpoint codes with from_causallearn"
        )
        raise GraphError(msg)
    there = array.astype(bool)
    loops = np.eye(len(array), dtype=bool)
    return Marks(
        names,
        directed=_edges(there & (~there.T | loops), names),
        undirected=_edges(np.triu(there & there.T, k=1), names),
    )


def to_endpoints(marks: Marks) -> Int[np.ndarray, "nodes nodes"]:
    """Writes causal-learn's endpoint matrix: ``G[i, j]`` is the mark at ``i`` on its edge to ``j``.

    So ``i -> j`` is ``G[i, j] = -1`` (a tail) and ``G[j, i] = 1`` (an arrow head).

    Args:
        marks: The graph.

    Returns:
        ``(nodes, nodes)`` integers: -1 tail, 1 arrow head, 2 circle, 0 no edge, 4 and 5 for a bow.
    """
    position = {name: k for k, name in enumerate(marks.nodes)}
    codes = np.zeros((len(position), len(position)), dtype=int)

    def put(edges: Iterable[Edge], at_first: int, at_second: int) -> None:
        for a, b in edges:
            codes[position[a], position[b]] = at_first
            codes[position[b], position[a]] = at_second

    put(marks.undirected, TAIL, TAIL)
    put(marks.bidirected, ARROW, ARROW)
    put(marks.directed, TAIL, ARROW)
    put(marks.circle_arrow, CIRCLE, ARROW)
    put(marks.circle_circle, CIRCLE, CIRCLE)
    put(marks.tail_circle, TAIL, CIRCLE)
    bows = [(a, b) for a, b in marks.directed if {(a, b), (b, a)} & marks.bidirected]
    put(bows, TAIL_AND_ARROW, ARROW_AND_ARROW)
    return codes


def from_endpoints(codes: np.ndarray, nodes: Sequence[str] | None) -> Marks:
    """Reads causal-learn's endpoint matrix.

    Args:
        codes: ``(nodes, nodes)`` endpoint codes, as in ``to_endpoints``.
        nodes: The names; ``None`` gives causal-learn's own ``X1, X2, ...``.

    Returns:
        The graph.

    Raises:
        GraphError: On pairs of codes that are no edge.
    """
    default = [f"X{k + 1}" for k in range(len(codes))] if nodes is None else nodes
    array, names = _check_square(codes, default)
    there, back = array, array.T
    bow = (there == TAIL_AND_ARROW) & (back == ARROW_AND_ARROW)
    directed = ((there == TAIL) & (back == ARROW)) | bow
    undirected = (there == TAIL) & (back == TAIL)
    bidirected = ((there == ARROW) & (back == ARROW)) | bow | bow.T
    circle_arrow = (there == CIRCLE) & (back == ARROW)
    circle_circle = (there == CIRCLE) & (back == CIRCLE)
    tail_circle = (there == TAIL) & (back == CIRCLE)
    symmetric = undirected | bidirected | circle_circle
    ordered = directed | circle_arrow | tail_circle
    legal = symmetric | ordered | ordered.T | ((there == 0) & (back == 0))
    if not legal.all():
        i, j = (int(k) for k in np.argwhere(~legal)[0])
        msg = (
            f"endpoints {array[i, j]} and {array[j, i]} of {names[i]}, {names[j]}: these are no "
            "edge; -1 is a tail, 1 an arrow head, 2 a circle"
        )
        raise GraphError(msg)
    return Marks(
        names,
        directed=_edges(directed, names),
        undirected=_edges(np.triu(undirected), names),
        bidirected=_edges(np.triu(bidirected), names),
        circle_arrow=_edges(circle_arrow, names),
        circle_circle=_edges(np.triu(circle_circle), names),
        tail_circle=_edges(tail_circle, names),
    )


def to_causallearn(marks: Marks) -> Any:  # noqa: ANN401  # an untyped package, loaded at use
    """Makes causal-learn's ``GeneralGraph``.

    Args:
        marks: The graph.

    Returns:
        A ``causallearn.graph.GeneralGraph`` with the same nodes and edges.
    """
    from causallearn.graph.GeneralGraph import GeneralGraph
    from causallearn.graph.GraphNode import GraphNode

    graph = GeneralGraph([GraphNode(name) for name in marks.nodes])
    graph.graph = to_endpoints(marks)
    graph.reconstitute_dpath(graph.get_graph_edges())
    return graph


def to_networkx(marks: Marks) -> nx.DiGraph | nx.MultiDiGraph:
    """Makes a networkx graph whose edges carry their ``mark``, named as the edge lists are.

    Args:
        marks: The graph.

    Returns:
        A ``DiGraph`` in which symmetric edges stand both ways; with bidirected edges a
        ``MultiDiGraph`` in which each of those stands both ways under its own key.
    """
    import networkx as nx

    graph = nx.MultiDiGraph() if marks.bidirected else nx.DiGraph()
    graph.add_nodes_from(marks.nodes)
    for mark, symbol in SYMBOLS.items():
        for a, b in marks.in_order(getattr(marks, mark)):
            graph.add_edges_from([(a, b)] if symbol in MIRRORED else [(a, b), (b, a)], mark=mark)
    return graph


def from_networkx(graph: nx.Graph) -> Marks:
    """Reads a networkx graph.

    Args:
        graph: A ``Graph`` (all edges undirected), or a directed graph in which edges both ways
            are one undirected edge unless their ``mark`` attribute says otherwise. Node labels
            become texts.

    Returns:
        The graph.

    Raises:
        GraphError: On an unknown ``mark``.
    """
    found: dict[str, set[Edge]] = {mark: set() for mark in SYMBOLS}
    pairs = {(str(a), str(b)) for a, b in graph.edges()}
    for a, b, data in graph.edges(data=True):
        edge = (str(a), str(b))
        both = edge[::-1] in pairs and edge[0] != edge[1]
        default = "undirected" if not graph.is_directed() or both else "directed"
        mark = data.get("mark", default)
        if mark not in found:
            msg = f"edge {edge[0]}, {edge[1]}: mark must be one of {list(found)}, got {mark!r}"
            raise GraphError(msg)
        found[mark].add(edge)
    return Marks(
        tuple(str(node) for node in graph.nodes),
        *(frozenset(edges) for edges in found.values()),
    )


def to_json(marks: Marks) -> str:
    """Writes JSON: nodes and lists of pairs, in node order; version 2 where there are circles.

    Args:
        marks: The graph.

    Returns:
        One line of JSON.
    """
    version = 2 if marks.with_circles else 1
    document = {"format": JSON_FORMAT, "version": version, "nodes": list(marks.nodes)}
    for field in list(SYMBOLS)[: 6 if marks.with_circles else 3]:
        document[field] = [list(edge) for edge in marks.in_order(getattr(marks, field))]
    return json.dumps(document, ensure_ascii=False)


def from_json(text: str) -> Marks:
    """Reads JSON written by ``to_json``.

    Args:
        text: The JSON.

    Returns:
        The graph.

    Raises:
        FormatError: When the text is no JSON, or is not such a graph.
    """
    try:
        document = json.loads(text)
    except (TypeError, ValueError) as error:
        msg = f"this is no JSON: {error}"
        raise FormatError(msg) from error
    if not isinstance(document, dict) or document.get("format") != JSON_FORMAT:
        msg = f'expected a JSON object with "format": "{JSON_FORMAT}"; write one with to_json()'
        raise FormatError(msg)
    if document.get("version") not in {1, 2}:
        version = document.get("version")
        msg = f"graph format version {version!r} is unknown; this library reads 1 and 2"
        raise FormatError(msg)
    lists = {key: document.get(key, []) for key in Marks._fields}
    if not all(isinstance(value, list) for value in lists.values()):
        msg = f"{', '.join(Marks._fields)} must be lists"
        raise FormatError(msg)
    edges = (
        frozenset(tuple(edge) if isinstance(edge, list) else edge for edge in lists[key])
        for key in Marks._fields[1:]
    )
    return Marks(tuple(lists["nodes"]), *edges)


def _check_square(
    matrix: np.ndarray, nodes: Sequence[str] | None
) -> tuple[np.ndarray, tuple[str, ...]]:
    array = np.asarray(matrix)
    if array.ndim != 2 or array.shape[0] != array.shape[1]:
        msg = f"a graph's matrix is (nodes, nodes), got shape {array.shape}"
        raise GraphError(msg)
    names = tuple(f"slot{k}" for k in range(len(array))) if nodes is None else tuple(nodes)
    if len(names) != len(array):
        msg = f"{len(array)} columns need as many names, got {len(names)}"
        raise GraphError(msg)
    return array, names


def _edges(there: np.ndarray, names: Sequence[str]) -> frozenset[Edge]:
    return frozenset((names[i], names[j]) for i, j in np.argwhere(there))
