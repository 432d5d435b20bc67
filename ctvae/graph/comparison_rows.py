"""One line of a comparison: the scores of a method, over its runs where there are several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from ctvae.errors import CTVAEError, GraphError
from ctvae.graph.adjustment import has_gadjid
from ctvae.graph.graph_scores import GraphScore, Reference, score_run
from ctvae.graph.kinds import GraphKind
from ctvae.graph.outcomes import Failure, Outcome

__all__ = ["ComparisonRow", "Interval", "make_row", "mean_interval"]

LEVEL = 0.95
KINDS = (
    GraphKind.DAG,
    GraphKind.CPDAG,
    GraphKind.MPDAG,
    GraphKind.PDAG,
    GraphKind.ADMG,
    GraphKind.PAG,
)
"""From those for which most scores are defined to those for which fewest are."""
MANY_NODES, DENSE = 500, 8.0
"""Above so many nodes and so many edges at each, oset-AID takes minutes and must be asked for."""
MANY_NODES_ALONE = 200
"""Above so many nodes the optimal sets need gadjid."""
MANY_PAIRS = 300
"""Above so many nodes the separation distance must be asked for."""


class Interval(NamedTuple):
    """A mean over runs.

    Attributes:
        mean: The mean.
        half_width: Half the width of its 95 % interval; ``None`` for fewer than two runs.
        num_runs: The runs in which the figure is defined.
    """

    mean: float
    half_width: float | None
    num_runs: int


@dataclass(frozen=True)
class ComparisonRow:
    """The scores of one method; ``None`` where a score is not defined, means over several runs.

    Attributes:
        method: The method's name.
        skeleton_precision: Share of the estimate's adjacent pairs that are adjacent in the truth.
        skeleton_recall: Share of the truth's adjacent pairs that were found.
        skeleton_f1: Their harmonic mean; 1 where both graphs are empty.
        orientation_precision: Share of the estimate's directed edges that the truth directs so.
        orientation_recall: Share of the truth's directed edges that the estimate directs so.
        orientation_f1: Their harmonic mean; 1 where neither graph directs an edge.
        shd: Pairs on which the marks differ from the truth's as given.
        shd_cpdag: The same between the CPDAGs of both.
        shd_i_cpdag: The same between the I-CPDAGs of both under the comparison's targets.
        sid: Wrong effects by parent adjustment, between DAGs.
        parent_aid: The same, also with CPDAGs.
        ancestor_aid: Wrong effects by ancestor adjustment.
        oset_aid: Wrong effects by optimal adjustment.
        separation_distance: Share of separations that only one of the two graphs has.
        average_precision: Area under the precision-recall curve of the edge probabilities.
        brier: Their mean squared error over ordered pairs.
        calibration_error: Their expected calibration error, ten bins of equal width.
        expected_shd: The SHD expected of a DAG drawn from them.
        edges: Edges of the estimate.
        cpu_seconds: Processor time, where results tell it.
        num_runs: Runs that gave a graph.
        failures: The runs that gave none.
        intervals: Score to mean and 95 % t-interval, where there are several runs.
        undefined: Score to the reason why it is not defined for some run, and which to read
            instead.
        reasons: The same in a few words, as the notes of a table give it.
        skipped: Score to what it would take: a package, or to be asked for.
    """

    method: str
    skeleton_precision: float | None = None
    skeleton_recall: float | None = None
    skeleton_f1: float | None = None
    orientation_precision: float | None = None
    orientation_recall: float | None = None
    orientation_f1: float | None = None
    shd: float | None = None
    shd_cpdag: float | None = None
    shd_i_cpdag: float | None = None
    sid: float | None = None
    parent_aid: float | None = None
    ancestor_aid: float | None = None
    oset_aid: float | None = None
    separation_distance: float | None = None
    average_precision: float | None = None
    brier: float | None = None
    calibration_error: float | None = None
    expected_shd: float | None = None
    edges: float | None = None
    cpu_seconds: float | None = None
    num_runs: int = 1
    failures: tuple[Failure, ...] = ()
    intervals: Mapping[GraphScore, Interval] = field(default_factory=dict)
    undefined: Mapping[GraphScore, str] = field(default_factory=dict)
    reasons: Mapping[GraphScore, str] = field(default_factory=dict)
    skipped: Mapping[GraphScore, str] = field(default_factory=dict)

    def value(self, score: GraphScore) -> float | None:
        """Gives one figure.

        Args:
            score: The score.

        Returns:
            Its value, or the mean over runs; ``None`` where it is not defined.
        """
        return getattr(self, score.value)


def mean_interval(values: Sequence[float]) -> Interval:
    r"""Gives a mean with its t-interval.

    .. math:: \bar x \pm t_{.975, n - 1} \, s / \sqrt n

    For independent runs; of a bounded score, the interval may reach beyond the bound.

    Args:
        values: One figure a run.

    Returns:
        The mean, half the interval's width, and the number of runs.

    Example:
        >>> mean, half_width, runs = mean_interval([1.0, 3.0])
        >>> mean, round(half_width, 3), runs
        (2.0, 12.706, 2)

    Source: Student (1908).
    """
    from scipy.stats import t

    count = len(values)
    mean = float(np.mean(values))
    if count < 2:
        return Interval(mean, None, count)
    spread = float(np.std(values, ddof=1)) / count**0.5
    return Interval(mean, float(t.ppf((1 + LEVEL) / 2, count - 1)) * spread, count)


def make_row(
    method: str,
    runs: Sequence[Outcome],
    references: Sequence[Reference | None],
    asked: Sequence[GraphScore] | None,
) -> ComparisonRow:
    """Scores the runs of one method.

    Args:
        method: Its name.
        runs: The runs.
        references: What each run is judged against.
        asked: The scores; ``None`` takes all, and leaves out what is not defined.

    Returns:
        The row.

    Raises:
        CTVAEError: When a score that was asked for is not defined.
    """
    cells: dict[str, float] = {}
    intervals: dict[GraphScore, Interval] = {}
    undefined: dict[GraphScore, str] = {}
    short: dict[GraphScore, str] = {}
    skipped: dict[GraphScore, str] = {}
    for score in GraphScore if asked is None else asked:
        values: list[float] = []
        for run, reference in zip(runs, references, strict=True):
            try:
                if asked is None:
                    _check_cost(score, run, reference)
                value = score_run(run, reference, score)
            except CTVAEError as error:
                if asked is not None:
                    msg = f"{score.name} of {method}: {error}"
                    raise type(error)(msg) from error
                if isinstance(error, GraphError):
                    undefined.setdefault(score, str(error))
                    short.setdefault(score, _in_short(error, run, reference))
                else:
                    skipped.setdefault(score, str(error))
                continue
            values += [] if value is None else [value]
        if score in undefined or score in skipped:
            continue  # a mean over the runs that happen to define it would be of those alone
        if values and len(runs) > 1:
            intervals[score] = mean_interval(values)
            cells[score.value] = intervals[score].mean
        elif values:
            cells[score.value] = values[0]
    failures = tuple(run.failure for run in runs if run.failure is not None)
    return ComparisonRow(
        method,
        **cells,  # the scores' values are the names of these fields
        num_runs=len(runs) - len(failures),
        failures=failures,
        intervals=intervals,
        undefined=undefined,
        reasons=short,
        skipped=skipped,
    )


def _in_short(error: GraphError, run: Outcome, reference: Reference | None) -> str:
    """Names the kind of graph for which a score has no meaning, else the start of the message."""
    guess = GraphKind.DAG if run.graph is None else run.graph.kind
    truth = GraphKind.DAG if reference is None else reference.truth.kind
    odd = guess if KINDS.index(guess) >= KINDS.index(truth) else truth
    if odd is GraphKind.DAG:
        return str(error).partition(";")[0]
    kind = f"{'an' if odd in {GraphKind.ADMG, GraphKind.MPDAG} else 'a'} {odd.value}"
    return f"not defined for {kind}" if odd is guess else f"not defined where the truth is {kind}"


def _check_cost(score: GraphScore, run: Outcome, reference: Reference | None) -> None:
    if run.graph is None or reference is None:
        return
    size = len(run.graph.nodes)
    if score is GraphScore.SEPARATION_DISTANCE and size > MANY_PAIRS:
        msg = (
            f"the separation distance of {size} nodes takes a minute or more: ask by "
            "scores=[GraphScore.SEPARATION_DISTANCE]"
        )
        raise CTVAEError(msg)
    if score is not GraphScore.OSET_AID:
        return
    degree = 2 * max(run.graph.num_edges, reference.truth.num_edges) / max(size, 1)
    if size > MANY_NODES and degree > DENSE:
        msg = f"oset-AID of {size} dense nodes takes minutes: ask by scores=[GraphScore.OSET_AID]"
        raise CTVAEError(msg)
    if size > MANY_NODES_ALONE and not has_gadjid():
        msg = f"oset-AID of {size} nodes needs gadjid: pip install ctvae[metrics]"
        raise CTVAEError(msg)
