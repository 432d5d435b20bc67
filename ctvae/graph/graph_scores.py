"""The scores of a learned graph: which there are, what each needs, how it is shown.

A new score is a member of ``GraphScore``, its column in ``COLUMNS``, its function in ``SCORERS``
and a field of ``ComparisonRow``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cached_property

import numpy as np
from jaxtyping import Float

from ctvae.errors import GraphError
from ctvae.graph import adjustment, edge_scores
from ctvae.graph.adjustment import AdjustmentDistance
from ctvae.graph.causal_graph import CausalGraph
from ctvae.graph.distances import precision_recall, shd
from ctvae.graph.kinds import GraphKind
from ctvae.graph.outcomes import Outcome
from ctvae.graph.separation_distance import separation_distance
from ctvae.graph.tables import Column

__all__ = ["COLUMNS", "PAIRWISE", "GraphScore", "Reference", "score_run"]

MARKED_KINDS = frozenset({
    GraphKind.DAG,
    GraphKind.CPDAG,
    GraphKind.MPDAG,
    GraphKind.PDAG,
    GraphKind.ADMG,
})
"""The kinds whose marks are compared pair by pair; a PAG's circles are not such marks."""


class GraphScore(Enum):
    """One score of a learned graph; the value names the field of ``ComparisonRow``."""

    SKELETON_PRECISION = "skeleton_precision"
    SKELETON_RECALL = "skeleton_recall"
    SKELETON_F1 = "skeleton_f1"
    ORIENTATION_PRECISION = "orientation_precision"
    ORIENTATION_RECALL = "orientation_recall"
    ORIENTATION_F1 = "orientation_f1"
    SHD = "shd"
    SHD_CPDAG = "shd_cpdag"
    SHD_I_CPDAG = "shd_i_cpdag"
    SID = "sid"
    PARENT_AID = "parent_aid"
    ANCESTOR_AID = "ancestor_aid"
    OSET_AID = "oset_aid"
    SEPARATION_DISTANCE = "separation_distance"
    AVERAGE_PRECISION = "average_precision"
    BRIER = "brier"
    CALIBRATION_ERROR = "calibration_error"
    EXPECTED_SHD = "expected_shd"
    EDGES = "edges"
    CPU_SECONDS = "cpu_seconds"


S = GraphScore
COLUMNS: Mapping[GraphScore, Column] = {
    S.SKELETON_PRECISION: Column("skeleton precision", max, 2, "skeleton", "prec."),
    S.SKELETON_RECALL: Column("skeleton recall", max, 2, "skeleton", "rec."),
    S.SKELETON_F1: Column("skeleton F1", max, 2, "skeleton", "F1"),
    S.ORIENTATION_PRECISION: Column("orientation precision", max, 2, "orientation", "prec."),
    S.ORIENTATION_RECALL: Column("orientation recall", max, 2, "orientation", "rec."),
    S.ORIENTATION_F1: Column("orientation F1", max, 2, "orientation", "F1"),
    S.SHD: Column("SHD", min, 1, "SHD", "graph"),
    S.SHD_CPDAG: Column("SHD (CPDAG)", min, 1, "SHD", "CPDAG"),
    S.SHD_I_CPDAG: Column("SHD (I-CPDAG)", min, 1, "SHD", "I-CPDAG"),
    S.SID: Column("SID", min, 1, "wrong effects", "SID"),
    S.PARENT_AID: Column("parent-AID", min, 1, "wrong effects", "parent"),
    S.ANCESTOR_AID: Column("ancestor-AID", min, 1, "wrong effects", "anc."),
    S.OSET_AID: Column("oset-AID", min, 1, "wrong effects", "O-set"),
    S.SEPARATION_DISTANCE: Column("separation distance", min, 2, "separations", "wrong"),
    S.AVERAGE_PRECISION: Column("AUPRC", max, 2, "edge probabilities", "AUPRC"),
    S.BRIER: Column("Brier", min, 3, "edge probabilities", "Brier"),
    S.CALIBRATION_ERROR: Column("ECE", min, 3, "edge probabilities", "ECE"),
    S.EXPECTED_SHD: Column("expected SHD", min, 1, "edge probabilities", "E[SHD]"),
    S.EDGES: Column("edges", None, 1),
    S.CPU_SECONDS: Column("CPU s", None, 2),
}


@dataclass(frozen=True)
class Reference:
    """What a graph is judged against.

    Attributes:
        truth: The true graph.
        targets: For each interventional regime the nodes that it acted on; ``None`` where there
            were none.
        treatments: The nodes whose effects count in the adjustment distances; ``None`` for all.
    """

    truth: CausalGraph
    targets: tuple[tuple[str, ...], ...] | None = None
    treatments: tuple[str, ...] | None = None

    @cached_property
    def cpdag(self) -> CausalGraph:
        """The CPDAG of the truth."""
        return self.truth.cpdag()

    @cached_property
    def i_cpdag(self) -> CausalGraph:
        """The I-CPDAG of the truth."""
        return _i_cpdag(self.truth, self.targets or ())


def score_run(run: Outcome, reference: Reference | None, score: GraphScore) -> float | None:
    """Scores one run.

    Args:
        run: The run.
        reference: The truth; ``None`` where there is none.
        score: The score.

    Returns:
        The figure; ``None`` where the run has nothing to judge: no graph, no probabilities, no
        truth. A comparison that is not defined is a ``GraphError`` that names another score.
    """
    if run.graph is None:
        return None
    if score is S.EDGES:
        return run.graph.num_edges
    if score is S.CPU_SECONDS:
        return None if run.result is None else run.result.cpu_seconds
    if reference is None:
        return None
    if score in BY_PROBABILITIES:
        if run.probabilities is None:
            return None
        truth = reference.truth.reorder(run.graph.nodes)
        return BY_PROBABILITIES[score](run.probabilities, truth)
    return PAIRWISE[score](run.graph, reference)


def _skeleton(at: int) -> Callable[[CausalGraph, Reference], float | None]:
    return lambda graph, to: precision_recall(graph.skeleton, to.truth.skeleton)[at]


def _orientation(at: int) -> Callable[[CausalGraph, Reference], float | None]:
    return lambda graph, to: precision_recall(graph.directed, to.truth.directed)[at]


def _shd(graph: CausalGraph, to: Reference) -> int:
    for one in (graph, to.truth):
        if one.kind not in MARKED_KINDS:
            msg = (
                f"SHD is not defined for a graph of kind {one.kind.value}: compare its endpoint "
                "marks with those of the true PAG, endpoint_confusion(guess, truth)"
            )
            raise GraphError(msg)
    return shd(graph, to.truth)


def _shd_cpdag(graph: CausalGraph, to: Reference) -> int:
    return shd(graph.cpdag(), to.cpdag)


def _shd_i_cpdag(graph: CausalGraph, to: Reference) -> int | None:
    return None if to.targets is None else shd(_i_cpdag(graph, to.targets), to.i_cpdag)


def _i_cpdag(graph: CausalGraph, targets: tuple[tuple[str, ...], ...]) -> CausalGraph:
    if graph.kind is GraphKind.DAG:
        return graph.i_cpdag(targets)
    if graph.kind in {GraphKind.CPDAG, GraphKind.MPDAG}:
        member = graph.consistent_extension()
        if member.i_cpdag(targets) == graph:
            return graph
    msg = (
        f"a graph of kind {graph.kind.value} that is no I-CPDAG under these targets has no class "
        "to compare; read SHD (CPDAG), or the I-CPDAG of a DAG"
    )
    raise GraphError(msg)


Distance = Callable[..., AdjustmentDistance]


def _mistakes(distance: Distance) -> Callable[[CausalGraph, Reference], int]:
    return lambda graph, to: distance(to.truth, graph, treatments=to.treatments).mistakes


def _average_precision(
    probabilities: Float[np.ndarray, "nodes nodes"], truth: CausalGraph
) -> float | None:
    if truth.kind is GraphKind.DAG and not truth.directed:
        return None
    return edge_scores.edge_average_precision(probabilities, truth)


PAIRWISE: Mapping[GraphScore, Callable[[CausalGraph, Reference], float | None]] = {
    S.SKELETON_PRECISION: _skeleton(0),
    S.SKELETON_RECALL: _skeleton(1),
    S.SKELETON_F1: _skeleton(2),
    S.ORIENTATION_PRECISION: _orientation(0),
    S.ORIENTATION_RECALL: _orientation(1),
    S.ORIENTATION_F1: _orientation(2),
    S.SHD: _shd,
    S.SHD_CPDAG: _shd_cpdag,
    S.SHD_I_CPDAG: _shd_i_cpdag,
    S.SID: _mistakes(adjustment.sid),
    S.PARENT_AID: _mistakes(adjustment.parent_aid),
    S.ANCESTOR_AID: _mistakes(adjustment.ancestor_aid),
    S.OSET_AID: _mistakes(adjustment.oset_aid),
    S.SEPARATION_DISTANCE: lambda graph, to: separation_distance(graph, to.truth),
}
"""The scores that compare two graphs: the second stands for the truth."""

BY_PROBABILITIES: Mapping[
    GraphScore, Callable[[Float[np.ndarray, "nodes nodes"], CausalGraph], float | None]
] = {
    S.AVERAGE_PRECISION: _average_precision,
    S.BRIER: edge_scores.edge_brier_score,
    S.CALIBRATION_ERROR: edge_scores.edge_calibration_error,
    S.EXPECTED_SHD: edge_scores.expected_shd,
}
