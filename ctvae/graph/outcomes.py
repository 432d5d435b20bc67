"""What may stand for a graph in a comparison, read into one form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypeGuard, TypeVar, cast

import numpy as np
from jaxtyping import Float
from torch import Tensor

from ctvae.errors import GraphError
from ctvae.graph.causal_graph import CausalGraph
from ctvae.graph.discovery import DiscoveryResult
from ctvae.graph.distances import check_same_nodes
from ctvae.graph.marks import sort_topologically

if TYPE_CHECKING:
    import networkx as nx

    from ctvae.graph.stability import Stability

__all__ = [
    "Failure",
    "GraphLike",
    "Outcome",
    "RunLike",
    "as_list",
    "check_runs",
    "is_named",
    "likely_graph",
    "read_graph",
    "read_runs",
]


class CausalLearnGraph(Protocol):
    """What is read of causal-learn's graphs, which are not loaded for it."""

    def get_node_names(self) -> Sequence[str]:
        """Gives the names in column order."""
        ...


@dataclass(frozen=True)
class Failure:
    """A run that gave no graph; in ``compare_graphs`` it stands in the place of one.

    Attributes:
        reason: What happened, such as ``"timed out after 600 s"``; printed below the table.

    Example:
        >>> Failure.from_exception(MemoryError("32 GB asked for")).reason
        'MemoryError: 32 GB asked for'
    """

    reason: str

    @classmethod
    def from_exception(cls, error: BaseException) -> Failure:
        """Names an exception.

        Args:
            error: What a method raised.

        Returns:
            The failure, with the first line of the exception's text.
        """
        lines = str(error).strip().splitlines()
        if isinstance(error, TimeoutError):
            return cls(f"timed out ({lines[0]})" if lines else "timed out")
        kind = type(error).__name__
        return cls(f"{kind}: {lines[0]}" if lines else kind)


GraphLike: TypeAlias = (
    "CausalGraph | DiscoveryResult | Stability | nx.Graph | np.ndarray | Tensor | CausalLearnGraph"
)
RunLike: TypeAlias = "GraphLike | Failure | BaseException"
Run = TypeVar("Run")


@dataclass(frozen=True)
class Outcome:
    """One run of one method.

    Attributes:
        graph: Its graph; ``None`` where it failed.
        probabilities: ``(nodes, nodes)`` float64, ``[i, j]`` the probability of ``i -> j``, in the
            graph's node order; ``None`` where it gave none.
        result: The result that it came in, or ``None``.
        failure: Why there is no graph, or ``None``.
    """

    graph: CausalGraph | None = None
    probabilities: Float[np.ndarray, "nodes nodes"] | None = None
    result: DiscoveryResult | None = None
    failure: Failure | None = None


def read_runs(
    name: str, value: RunLike | Sequence[RunLike], nodes: Sequence[str] | None
) -> tuple[Outcome, ...]:
    """Reads the runs of one method.

    Args:
        name: The method's name.
        value: A graph, edge probabilities, a failure, or a sequence of these.
        nodes: The names of the columns of matrices, and the order of all graphs; ``None`` where
            all are matrices.

    Returns:
        One outcome a run, all graphs in that order.

    Raises:
        GraphError: When there is no run, or something is no graph over these nodes.
    """
    runs = as_list(value)
    if not runs:
        msg = f"{name} has no runs; pass a graph, or Failure('reason') where there is none"
        raise GraphError(msg)
    # in a method's other runs a matrix of sure edges is a matrix of probabilities too
    probable = any(_is_probable(run) for run in runs)
    try:
        return tuple(_read(run, nodes, probable=probable) for run in runs)
    except GraphError as error:
        msg = f"{name}: {error}"
        raise GraphError(msg) from error


def read_graph(graph: GraphLike, nodes: Sequence[str] | None) -> CausalGraph:
    """Reads one graph.

    Args:
        graph: A graph of any library, or an adjacency matrix of zeros and ones.
        nodes: The names of a matrix's columns; ``None`` gives ``slot0, slot1, ...``.

    Returns:
        The graph, its nodes in its own order.

    Raises:
        GraphError: When it is none.
    """
    if isinstance(graph, CausalGraph):
        return graph
    if isinstance(graph, DiscoveryResult):
        return graph.graph
    if _is_stability(graph):
        return graph.consensus()
    if isinstance(graph, np.ndarray | Tensor):
        return CausalGraph.from_numpy(_to_numpy(graph), nodes)
    if _is_causal_learns(graph):
        return _read_causal_learn(graph)
    import networkx as nx

    if isinstance(graph, nx.Graph):
        return CausalGraph.from_networkx(graph)
    msg = (
        "a graph to compare is a CausalGraph, a DiscoveryResult, a Stability, a graph of networkx "
        f"or causal-learn, a matrix, a Failure or an exception, got {type(graph).__name__}"
    )
    raise GraphError(msg)


def as_list(value: Run | Sequence[Run]) -> list[Run]:
    """Makes a list of one thing or of several.

    Args:
        value: A run, or a sequence of runs.

    Returns:
        The runs; a text is one thing, though none that can be read, and so is what causal-learn's
        ``fci`` returns.
    """
    if _is_causal_learns(value) or isinstance(value, str) or not isinstance(value, Sequence):
        return [cast("Run", value)]
    return list(value)


def is_named(run: RunLike) -> TypeGuard[GraphLike]:
    """Says whether something brings the names of its nodes.

    Args:
        run: A graph or a failure.

    Returns:
        False for matrices, which have none, and for failures.
    """
    return not isinstance(run, np.ndarray | Tensor | Failure | BaseException)


def likely_graph(
    probabilities: Float[np.ndarray, "nodes nodes"], nodes: Sequence[str]
) -> CausalGraph:
    """Gives the DAG of the edges more likely than not.

    The most probable edge comes first, ties go by name, and an edge that would close a cycle is
    left out.

    Args:
        probabilities: ``(nodes, nodes)``, ``[i, j]`` the probability of ``i -> j``.
        nodes: The names.

    Returns:
        The DAG.

    Example:
        >>> likely_graph(np.array([[0.0, 0.9], [0.6, 0.0]]), ["a", "b"])
        CausalGraph(DAG on a, b: a -> b)
    """
    names = tuple(nodes)
    likely = [
        (-probabilities[i, j], names[i], names[j])
        for i, j in np.argwhere(np.asarray(probabilities) > 0.5)
        if i != j
    ]
    kept: list[tuple[str, str]] = []
    for _, a, b in sorted(likely):
        if len(sort_topologically(names, [*kept, (a, b)])) == len(names):
            kept.append((a, b))
    return CausalGraph.from_edges(kept, nodes=names)


def _read(run: RunLike, nodes: Sequence[str] | None, *, probable: bool) -> Outcome:
    if isinstance(run, Failure):
        return Outcome(failure=run)
    if isinstance(run, BaseException):
        return Outcome(failure=Failure.from_exception(run))
    if probable and isinstance(run, np.ndarray | Tensor):
        matrix = _check_probabilities(_to_numpy(run), nodes)
        names = nodes if nodes is not None else [f"slot{k}" for k in range(len(matrix))]
        return Outcome(likely_graph(matrix, names), matrix)
    graph = read_graph(run, nodes)
    result = run if isinstance(run, DiscoveryResult) else None
    order = graph.nodes if nodes is None else tuple(nodes)
    aligned = graph if set(order) != set(graph.nodes) else graph.reorder(order)
    found = None if result is None else result.edge_probabilities
    if _is_stability(run):  # an undirected edge speaks for either way
        found = run.directed + (run.adjacent - run.directed - run.directed.T) / 2
    if found is None:
        return Outcome(aligned, result=result)
    index = [graph.nodes.index(name) for name in aligned.nodes]
    matrix = _to_numpy(found).astype(np.float64)[np.ix_(index, index)]
    return Outcome(aligned, matrix, result)


def check_runs(outcomes: Mapping[str, Sequence[Outcome]], first: CausalGraph, named: str) -> None:
    """Refuses runs over other nodes.

    Args:
        outcomes: Method to its runs.
        first: A graph over the right nodes.
        named: What the message calls it.
    """
    for name, runs in outcomes.items():
        for run in runs:
            if run.graph is not None:
                check_same_nodes(run.graph, first, name, named)


def _is_probable(run: RunLike) -> bool:
    if not isinstance(run, np.ndarray | Tensor):
        return False
    matrix = _to_numpy(run)
    return matrix.dtype.kind == "f" and bool(((matrix > 0) & (matrix < 1)).any())


def _check_probabilities(matrix: np.ndarray, nodes: Sequence[str] | None) -> np.ndarray:
    size = len(matrix) if nodes is None else len(nodes)
    if matrix.shape != (size, size):
        msg = f"edge probabilities of {size} nodes are ({size}, {size}), got shape {matrix.shape}"
        raise GraphError(msg)
    values = matrix.astype(np.float64)
    np.fill_diagonal(values, 0.0)
    wrong = ~((values >= 0) & (values <= 1))
    if wrong.any():
        msg = (
            f"a matrix of edge probabilities holds numbers in [0, 1], got {values[wrong][0]:.6g}; "
            "of weights pass the edges, weights != 0"
        )
        raise GraphError(msg)
    return values


def _is_stability(value: object) -> TypeGuard[Stability]:
    return hasattr(value, "consensus")  # its file imports this one


def _is_causal_learns(value: object) -> bool:
    """Knows a graph of causal-learn's, or what its ``pc``, ``ges`` or ``fci`` returns."""
    if isinstance(value, tuple):  # fci's graph, and a list of its edges
        value = value[0] if len(value) == 2 and isinstance(value[1], list) else None
    held = isinstance(value, Mapping) and "G" in value
    return held or hasattr(value, "get_node_names") or hasattr(value, "G")


def _read_causal_learn(graph: Any) -> CausalGraph:  # noqa: ANN401  # an untyped package
    try:
        return CausalGraph.from_causallearn(graph)
    except GraphError as error:
        if "PAG" not in str(error):
            raise
        msg = (
            f"{error}; SHD and the adjustment distances are not defined for a PAG: compare its "
            "endpoint marks with those of the true PAG"
        )
        raise GraphError(msg) from error


def _to_numpy(matrix: np.ndarray | Tensor) -> np.ndarray:
    return matrix.detach().cpu().numpy() if isinstance(matrix, Tensor) else matrix
