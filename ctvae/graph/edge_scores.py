"""Scores of edge probabilities against a true DAG: pure functions of a matrix and a graph.

A matrix ``P`` holds ``P[i, j]``, the probability of ``i -> j``, in the truth's node order. All
ordered pairs of different nodes count, the diagonal never does.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ctvae.errors import GraphError, ShapeError
from ctvae.graph.causal_graph import CausalGraph
from ctvae.graph.kinds import GraphKind
from ctvae.metrics import calibration_error

__all__ = [
    "EdgeProbabilities",
    "PrecisionRecall",
    "edge_average_precision",
    "edge_brier_score",
    "edge_calibration_error",
    "edge_precision_recall",
    "expected_shd",
    "ordered_pairs",
    "precision_recall_points",
]

EdgeProbabilities = Float[np.ndarray, "nodes nodes"] | Float[Tensor, "nodes nodes"]
ROUNDING = 1e-6
"""How far probabilities of one pair may sum above one: the error of single precision."""


class PrecisionRecall(NamedTuple):
    """Precision and recall when all edges of at least some probability are kept.

    Attributes:
        threshold: ``(points,)`` that probability, falling.
        precision: ``(points,)`` share of the kept edges that are true.
        recall: ``(points,)`` share of the true edges that are kept; rising.
    """

    threshold: Float[np.ndarray, " points"]
    precision: Float[np.ndarray, " points"]
    recall: Float[np.ndarray, " points"]


def ordered_pairs(
    probabilities: EdgeProbabilities, truth: CausalGraph
) -> tuple[Float[np.ndarray, " pairs"], Bool[np.ndarray, " pairs"]]:
    """Lists the probability of every possible edge, and whether it is true.

    Args:
        probabilities: ``(nodes, nodes)``, ``[i, j]`` the probability of ``i -> j``.
        truth: The true DAG; its nodes name the columns.

    Returns:
        The ``nodes * (nodes - 1)`` probabilities, float64, and as many booleans.

    Raises:
        GraphError: When the truth is no DAG, or an entry is no probability.
        ShapeError: When the matrix is not ``(nodes, nodes)``.

    Example:
        >>> truth = CausalGraph.from_edges([("a", "b")])
        >>> ordered_pairs(np.array([[0.0, 0.75], [0.25, 0.0]]), truth)
        (array([0.75, 0.25]), array([ True, False]))
    """
    if truth.kind is not GraphKind.DAG:
        msg = (
            "edge probabilities are judged by the edges of a DAG, and this truth is of kind "
            f"{truth.kind.value}; compare graphs by shd, or judge against one member of it"
        )
        raise GraphError(msg)
    matrix = _to_numpy(probabilities)
    size = len(truth.nodes)
    if matrix.shape != (size, size):
        msg = (
            f"edge probabilities of {size} nodes are a matrix ({size}, {size}), got shape "
            f"{matrix.shape}"
        )
        raise ShapeError(msg)
    apart = ~np.eye(size, dtype=bool)
    found = matrix[apart]
    wrong = ~((found >= 0) & (found <= 1))
    if wrong.any():
        i, j = np.argwhere(apart)[wrong.argmax()]
        msg = (
            f"the probability of {truth.nodes[i]} -> {truth.nodes[j]} must be in [0, 1], got "
            f"{matrix[i, j]}"
        )
        raise GraphError(msg)
    return found, truth.to_numpy()[apart].astype(bool)


def edge_precision_recall(probabilities: EdgeProbabilities, truth: CausalGraph) -> PrecisionRecall:
    """Gives precision and recall at every probability that occurs.

    Args:
        probabilities: ``(nodes, nodes)``, ``[i, j]`` the probability of ``i -> j``.
        truth: The true DAG.

    Returns:
        The points of the curve; equal probabilities are kept or dropped together.

    Raises:
        GraphError: When the truth has no edge, so that recall is not defined.

    Example:
        >>> truth = CausalGraph.from_edges([("a", "b")])
        >>> edge_precision_recall(np.array([[0.0, 0.25], [0.75, 0.0]]), truth).precision
        array([0. , 0.5])
    """
    found, true = ordered_pairs(probabilities, truth)
    if not true.any():
        msg = "recall is the share of true edges, and this truth has none; use edge_brier_score"
        raise GraphError(msg)
    return precision_recall_points(found, true)


def precision_recall_points(
    found: Float[np.ndarray, " pairs"], true: Bool[np.ndarray, " pairs"]
) -> PrecisionRecall:
    """Gives precision and recall of listed pairs, such as those of several runs together.

    Args:
        found: Their probabilities.
        true: Whether each is true; some are.

    Returns:
        One point for every probability that occurs.

    Example:
        >>> precision_recall_points(np.array([0.75, 0.25]), np.array([False, True])).recall
        array([0., 1.])
    """
    order = np.argsort(-found, kind="stable")
    last = np.flatnonzero(np.diff(found[order], append=-1.0))  # the last of each equal run
    hits = true[order].cumsum()[last]
    return PrecisionRecall(found[order][last], hits / (last + 1), hits / true.sum())


def edge_average_precision(probabilities: EdgeProbabilities, truth: CausalGraph) -> float:
    r"""Gives the area under the precision-recall curve, as average precision.

    .. math:: \sum_k (R_k - R_{k-1}) \, P_k

    over the probabilities that occur, from the largest. It judges the order of the probabilities
    only; a random order has the share of true edges among all ordered pairs.

    Args:
        probabilities: ``(nodes, nodes)``, ``[i, j]`` the probability of ``i -> j``.
        truth: The true DAG, with an edge at least.

    Returns:
        A figure in (0, 1]; 1 where all true edges come first.

    Example:
        >>> truth = CausalGraph.from_edges([("a", "b")])
        >>> edge_average_precision(np.array([[0.0, 0.25], [0.75, 0.0]]), truth)
        0.5

    Source: Davis and Goadrich (2006), the curve and why it is not joined by straight lines.
    """
    curve = edge_precision_recall(probabilities, truth)
    return float((np.diff(curve.recall, prepend=0.0) * curve.precision).sum())


def edge_brier_score(probabilities: EdgeProbabilities, truth: CausalGraph) -> float:
    r"""Gives the mean squared error of the edge probabilities.

    .. math:: \frac{1}{d (d - 1)} \sum_{i \ne j} (P_{ij} - A_{ij})^2

    A proper score: in expectation the true probabilities are best. Graphs are sparse, so compare it
    with the empty graph's, which is the share of true edges.

    Args:
        probabilities: ``(nodes, nodes)``, ``[i, j]`` the probability of ``i -> j``.
        truth: The true DAG.

    Returns:
        A figure in [0, 1]; 0 for one node.

    Example:
        >>> truth = CausalGraph.from_edges([("a", "b")])
        >>> edge_brier_score(np.array([[0.0, 0.5], [0.5, 0.0]]), truth)
        0.25

    Source: Brier (1950).
    """
    found, true = ordered_pairs(probabilities, truth)
    return float(np.square(found - true).mean()) if len(found) else 0.0


def edge_calibration_error(
    probabilities: EdgeProbabilities, truth: CausalGraph, *, bins: int = 10
) -> float:
    r"""Gives the expected calibration error of the edge probabilities.

    .. math:: \sum_b \frac{n_b}{d (d - 1)} \, |\bar A_b - \bar P_b|

    over bins of equal width in [0, 1], the lower end included; empty bins count nothing. Most
    ordered pairs of a sparse graph sit in the lowest bin, so it is small for any cautious method,
    the constant base rate included: read it beside average precision.

    Args:
        probabilities: ``(nodes, nodes)``, ``[i, j]`` the probability of ``i -> j``.
        truth: The true DAG.
        bins: The number of bins.

    Returns:
        A figure in [0, 1]; 0 for one node.

    Example:
        >>> truth = CausalGraph.from_edges([("a", "b")])
        >>> edge_calibration_error(np.array([[0.0, 0.75], [0.25, 0.0]]), truth)
        0.25

    Source: Naeini, Cooper and Hauskrecht (2015).
    """
    found, true = ordered_pairs(probabilities, truth)
    if not len(found):
        return 0.0
    return calibration_error(torch.from_numpy(found), torch.from_numpy(true), bins=bins)


def expected_shd(probabilities: EdgeProbabilities, truth: CausalGraph) -> float:
    r"""Gives the expected structural Hamming distance of a DAG drawn from the probabilities.

    .. math:: \sum_{i \to j} (1 - P_{ij}) + \sum_{i, j \text{ apart}} (P_{ij} + P_{ji})

    Exact for any posterior over DAGs with these edge probabilities, dependent edges included, since
    a pair holds one edge at most and the expectation of a sum needs no independence.

    Args:
        probabilities: ``(nodes, nodes)``, ``[i, j]`` the probability of ``i -> j``.
        truth: The true DAG.

    Returns:
        The distance, with reversals counted once as in ``shd``.

    Raises:
        GraphError: When the two directions of a pair have probabilities that sum above one, which
            no posterior over DAGs has.

    Example:
        >>> truth = CausalGraph.from_edges([("a", "b")])
        >>> expected_shd(np.array([[0.0, 0.75], [0.25, 0.0]]), truth)
        0.25
    """
    ordered_pairs(probabilities, truth)
    matrix = _to_numpy(probabilities).copy()
    np.fill_diagonal(matrix, 0.0)
    either = matrix + matrix.T
    if (either > 1 + ROUNDING).any():
        i, j = np.unravel_index(either.argmax(), either.shape)
        a, b = truth.nodes[i], truth.nodes[j]
        msg = (
            f"the probabilities of {a} -> {b} and {b} -> {a} sum to {either[i, j]:.3g}, and no "
            "distribution over DAGs has such; use edge_average_precision and edge_brier_score"
        )
        raise GraphError(msg)
    true = truth.to_numpy().astype(bool)
    missed = (1 - matrix)[true].sum()
    return float(missed + np.triu(either)[~(true | true.T)].sum())


def _to_numpy(probabilities: EdgeProbabilities) -> Float[np.ndarray, "nodes nodes"]:
    if isinstance(probabilities, Tensor):
        probabilities = probabilities.detach().cpu().numpy()
    return np.asarray(probabilities, dtype=np.float64)
