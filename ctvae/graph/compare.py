"""Comparing graphs with a truth and with one another."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

import numpy as np
from jaxtyping import Bool
from torch import Tensor

from ctvae.errors import GraphError, ShapeError, did_you_mean
from ctvae.graph.causal_graph import CausalGraph
from ctvae.graph.comparison import GraphComparison
from ctvae.graph.distances import check_same_nodes
from ctvae.graph.graph_scores import GraphScore
from ctvae.graph.outcomes import (
    GraphLike,
    RunLike,
    as_list,
    check_runs,
    is_named,
    read_graph,
    read_runs,
)

__all__ = ["GraphComparison", "GraphLike", "Targets", "compare_graphs"]

Targets: TypeAlias = (
    Iterable[Iterable[str]] | Bool[Tensor, "rows nodes"] | Bool[np.ndarray, "rows nodes"]
)
WITHOUT_TRUTH = (GraphScore.EDGES, GraphScore.CPU_SECONDS)


def compare_graphs(
    graphs: Mapping[str, RunLike | Sequence[RunLike]],
    truth: GraphLike | Sequence[GraphLike] | None = None,
    *,
    targets: Targets | None = None,
    treatments: Iterable[str] | None = None,
    scores: Iterable[GraphScore] | None = None,
) -> GraphComparison:
    """Scores graphs against a truth, and against one another.

    A list of runs (seeds, column permutations, data sets) gives means with 95 % t-intervals. A run
    that failed is a row as well: an exception or a ``Failure``. A matrix of floats, some of them
    strictly between 0 and 1, holds edge probabilities; its graph has the edges above one half, the
    most probable first and none that closes a cycle. Any other matrix is an adjacency matrix.

    Args:
        graphs: Method to its graph, or to a list with one a run: a ``CausalGraph``, a
            ``DiscoveryResult`` (its edge probabilities count too), a ``Stability`` (its
            consensus, with the shares of the graphs that hold an edge as probabilities), a graph
            of networkx or causal-learn, a matrix, an exception or a ``Failure``. The columns of
            matrices follow the truth's nodes (the first named graph's where there is no truth).
        truth: The true graph, or a list with one a run; ``None`` compares the graphs only with one
            another.
        targets: For each interventional regime the names that it acted on, or the booleans
            ``(rows, nodes)`` given to ``learn_graph``; adds the distance between I-CPDAGs.
        treatments: Count only effects of these nodes in SID and the adjustment distances, between
            DAGs; ``None`` for all.
        scores: The columns, each of which must then be defined; ``None`` takes all that are.

    Returns:
        A table with one row a method.

    Raises:
        GraphError: When there is nothing to compare, the node sets differ, runs and truths do not
            match, or a score was asked for that is not defined.

    Example:
        >>> truth = CausalGraph.from_edges([("a", "b"), ("c", "b")])
        >>> turned = CausalGraph.from_edges([("b", "a"), ("c", "b")])
        >>> table = compare_graphs({"mine": [truth, turned], "late": TimeoutError()}, truth=truth)
        >>> table.rows[0].shd, table.rows[0].sid, table.rows[1].failures
        (0.5, 1.5, (Failure(reason='timed out'),))

    Source: Tsamardinos, Brown and Aliferis (2006), SHD; Peters and Buehlmann (2015), SID; Henckel,
    Wuertz and Weichwald (2024), the adjustment distances.
    """
    if not isinstance(graphs, Mapping):
        msg = f"graphs= takes {{'name': graph}}, one name a method, got {type(graphs).__name__}"
        raise GraphError(msg)
    if not graphs:
        msg = "there is nothing to compare; pass {'name': graph}"
        raise GraphError(msg)
    given = [] if truth is None else as_list(truth)
    nodes = _node_names([*given, *(run for value in graphs.values() for run in as_list(value))])
    truths = tuple(read_graph(one, nodes) for one in given)
    outcomes = {name: read_runs(name, value, nodes) for name, value in graphs.items()}
    named = [(name, run.graph) for name, runs in outcomes.items() for run in runs if run.graph]
    if truths:
        named.insert(0, ("truth", truths[0]))
    for one in truths[1:]:
        check_same_nodes(one, truths[0], "one truth", "another")
    if named:
        check_runs(outcomes, named[0][1], named[0][0])
    for name, runs in outcomes.items():
        if len(truths) > 1 and len(runs) != len(truths):
            msg = (
                f"{name} has {len(runs)} runs and there are {len(truths)} truths; pass one truth "
                "for all, or one a run (Failure('reason') where a run gave no graph)"
            )
            raise GraphError(msg)
    known = named[0][1].nodes if named else ()
    asked = None if scores is None else _check_scores(scores, truths, targets)
    return GraphComparison(
        outcomes,
        truths,
        None if targets is None else _read_targets(targets, known),
        None if treatments is None else _read_treatments(treatments, known),
        asked,
    )


def _node_names(given: Iterable[RunLike]) -> tuple[str, ...] | None:
    for one in given:
        if is_named(one):
            return read_graph(one, None).nodes
    return None


def _check_scores(
    scores: Iterable[GraphScore], truths: Sequence[CausalGraph], targets: Targets | None
) -> tuple[GraphScore, ...]:
    asked = tuple(dict.fromkeys(scores))
    for score in asked:
        if not isinstance(score, GraphScore):
            names = [one.name for one in GraphScore]
            hint = did_you_mean(str(score).upper(), names)
            msg = f"scores= takes members of GraphScore, got {score!r}{hint}"
            raise GraphError(msg)
        if not truths and score not in WITHOUT_TRUTH:
            msg = f"{score.name} needs a truth; without one, read pairwise(GraphScore.{score.name})"
            raise GraphError(msg)
        if score is GraphScore.SHD_I_CPDAG and targets is None:
            msg = "SHD_I_CPDAG needs targets=, the nodes that each regime acted on; use SHD_CPDAG"
            raise GraphError(msg)
    return asked


def _read_targets(targets: Targets, nodes: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    if isinstance(targets, Tensor | np.ndarray):
        acted = targets.detach().cpu().numpy() if isinstance(targets, Tensor) else targets
        if acted.dtype != bool or acted.ndim != 2 or acted.shape[1] != len(nodes):
            msg = (
                f"targets must be booleans (rows, {len(nodes)}) or lists of names, got "
                f"{acted.dtype} of shape {acted.shape}"
            )
            raise ShapeError(msg)
        regimes = [
            tuple(nodes[int(k)] for k in np.flatnonzero(row)) for row in np.unique(acted, axis=0)
        ]
    else:
        regimes = []
        for regime in targets:
            if isinstance(regime, str):
                msg = f"targets= holds one list of names a regime, write [[{regime!r}], ...]"
                raise GraphError(msg)
            regimes.append(tuple(regime))
    for name in (name for regime in regimes for name in regime):
        _check_name(name, nodes, "target")
    return tuple(regime for regime in regimes if regime)


def _read_treatments(treatments: Iterable[str], nodes: Sequence[str]) -> tuple[str, ...]:
    names = (treatments,) if isinstance(treatments, str) else tuple(dict.fromkeys(treatments))
    for name in names:
        _check_name(name, nodes, "treatment")
    return names


def _check_name(name: str, nodes: Sequence[str], what: str) -> None:
    if name not in nodes:
        msg = f"{what} {name!r} is not in these graphs (nodes: {', '.join(nodes)})"
        raise GraphError(msg + did_you_mean(name, nodes))
