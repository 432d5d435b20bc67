"""How a comparison is printed: which columns, which notes, which conventions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from typing import NamedTuple

import numpy as np

from ctvae.graph.causal_graph import CausalGraph
from ctvae.graph.comparison_rows import LEVEL, ComparisonRow
from ctvae.graph.graph_scores import COLUMNS, GraphScore
from ctvae.graph.tables import Cell, Column, Row, Table

__all__ = ["Conventions", "distance_table", "score_table", "write_caption"]

S = GraphScore
ALWAYS = frozenset({
    S.SKELETON_PRECISION,
    S.SKELETON_RECALL,
    S.SKELETON_F1,
    S.ORIENTATION_PRECISION,
    S.ORIENTATION_RECALL,
    S.ORIENTATION_F1,
    S.SHD,
    S.SHD_CPDAG,
    S.EDGES,
})
"""Shown even where no method has a figure."""
COUNTED = frozenset({S.EDGES, S.CPU_SECONDS})
"""Told without an interval."""
MOST_NAMED = 4
"""More methods than that are numbered in the heads of a paper's table."""
AIDS = frozenset({S.SID, S.PARENT_AID, S.ANCESTOR_AID, S.OSET_AID})


class Conventions(NamedTuple):
    """What the caption must tell of a comparison.

    Attributes:
        truths: The true graphs, one for all runs or one a run.
        treatments: The nodes whose effects count; ``None`` for all.
        targets: For each interventional regime the nodes that it acted on, or ``None``.
    """

    truths: Sequence[CausalGraph]
    treatments: Sequence[str] | None = None
    targets: Sequence[Sequence[str]] | None = None


def score_table(rows: Sequence[ComparisonRow], asked: Sequence[GraphScore] | None) -> Table:
    """Lays out the scores of methods.

    Args:
        rows: The scores.
        asked: The columns; ``None`` takes the common ones and those with a figure. SID and
            parent-AID agree on DAGs, so the second stands alone where there are CPDAGs, the first
            where there are none.

    Returns:
        The table; its notes tell failed runs, and why a cell is empty.
    """
    shown = list(asked) if asked is not None else _defined(rows)
    notes: dict[str, int] = {}
    lines = []
    for row in rows:
        own = [notes.setdefault(note, len(notes) + 1) for note in _notes(row, shown)]
        cells = []
        for score in shown:
            interval = row.intervals.get(score)
            runs = row.num_runs + len(row.failures)
            partial = interval is not None and interval.num_runs < runs
            half_width = interval.half_width if interval and score not in COUNTED else None
            cells.append(Cell(row.value(score), half_width, partial))
        lines.append(Row(row.method, cells, sorted(own)))
    return Table([COLUMNS[score] for score in shown], lines, list(notes))


def distance_table(rows: Sequence[ComparisonRow], distances: np.ndarray) -> Table:
    """Lays out the distances between methods, where there is no truth.

    Args:
        rows: The methods.
        distances: ``(methods, methods)``; NaN where one of the two failed.

    Returns:
        The table.
    """
    heads = [row.method for row in rows]
    group = "SHD to"
    if len(rows) > MOST_NAMED:
        heads, group = [str(k) for k in range(1, len(rows) + 1)], "SHD to the method in line"
    columns = [
        Column(f"SHD to {row.method}", None, 1, group, head)
        for row, head in zip(rows, heads, strict=True)
    ]
    notes: dict[str, int] = {}
    lines = []
    for row, distance in zip(rows, distances.tolist(), strict=True):
        own = [notes.setdefault(note, len(notes) + 1) for note in _notes(row, [])]
        cells = [Cell(None if value != value else value) for value in distance]
        lines.append(Row(row.method, [*cells, Cell(row.edges)], own))
    return Table([*columns, COLUMNS[S.EDGES]], lines, list(notes))


def write_caption(
    rows: Sequence[ComparisonRow], asked: Sequence[GraphScore] | None, told: Conventions
) -> str:
    """States what the figures of a table are.

    Args:
        rows: The scores.
        asked: The columns, as for ``score_table``.
        told: The truths and what was known beside them.

    Returns:
        Some sentences.
    """
    if not told.truths:
        return "Structural Hamming distance between the graphs (a reversed edge counts 1)."
    shown = set(asked) if asked is not None else set(_defined(rows))
    truth = told.truths[0]
    size = len(truth.nodes)
    kind = f"{truth.kind.value}, {size} nodes, {truth.num_edges} edges"
    if len(told.truths) > 1:
        kind = f"{len(told.truths)} graphs over {size} nodes, one a run"
    effects = (size if told.treatments is None else len(told.treatments)) * (size - 1)
    classes = "Markov equivalence classes (CPDAG)"
    if S.SHD_I_CPDAG in shown:
        classes += " or those under the known targets (I-CPDAG)"
    parts: Mapping[str, frozenset[GraphScore]] = {
        "Skeleton: adjacent pairs.": frozenset({S.SKELETON_F1, S.SKELETON_PRECISION}),
        "Orientation: directed edges.": frozenset({S.ORIENTATION_F1, S.ORIENTATION_PRECISION}),
        "SHD: pairs whose marks differ; a reversed edge counts 1, and so does an undirected "
        f"against a directed one; between the graphs or their {classes}.": frozenset({
            S.SHD,
            S.SHD_CPDAG,
            S.SHD_I_CPDAG,
        }),
        f"Wrong effects, of {effects} ordered pairs, by adjusting for "
        f"{_adjusted_for(shown)}.": AIDS,
        "Edge probabilities: AUPRC is average precision, ECE has ten bins of equal "
        "width.": frozenset({S.AVERAGE_PRECISION, S.BRIER, S.CALIBRATION_ERROR, S.EXPECTED_SHD}),
    }
    said = [text for text, scores in parts.items() if scores & shown]
    runs = [row.num_runs + len(row.failures) for row in rows]
    if max(runs) > 1:
        counts = str(runs[0]) if len(set(runs)) == 1 else f"{min(runs)} to {max(runs)}"
        said.append(f"Mean ± half of the {LEVEL:.0%} t-interval over {counts} runs.")
    return " ".join([f"Learned graphs against the truth ({kind}).", *said])


def _adjusted_for(shown: Set[GraphScore]) -> str:
    sets = {
        "parents (SID)": S.SID in shown,
        "parents": S.PARENT_AID in shown and S.SID not in shown,
        "ancestors": S.ANCESTOR_AID in shown,
        "optimal sets": S.OSET_AID in shown,
    }
    return " or ".join(name for name, there in sets.items() if there)


def _defined(rows: Sequence[ComparisonRow]) -> list[GraphScore]:
    shown = [s for s in S if s in ALWAYS or any(row.value(s) is not None for row in rows)]
    if S.SID in shown and S.PARENT_AID in shown:
        more = any(row.sid is None and row.parent_aid is not None for row in rows)
        shown.remove(S.SID if more else S.PARENT_AID)
    return shown


def _notes(row: ComparisonRow, shown: Sequence[GraphScore]) -> list[str]:
    notes = []
    total = row.num_runs + len(row.failures)
    reasons = "; ".join(dict.fromkeys(failure.reason for failure in row.failures))
    if row.failures:
        which = f"{len(row.failures)} of {total} runs " if row.num_runs else f"all {total} runs "
        notes.append(f"{which if total > 1 else ''}failed: {reasons}")
    for reason in dict.fromkeys(row.reasons[score] for score in shown if score in row.reasons):
        titles = [COLUMNS[one].title for one in shown if row.reasons.get(one) == reason]
        notes.append(f"{', '.join(titles)}: {reason}")
    for score in shown:
        title = COLUMNS[score].title
        if score in row.intervals and row.intervals[score].num_runs < row.num_runs:
            known = row.intervals[score].num_runs
            notes.append(f"{title}: mean of the {known} of {row.num_runs} runs that define it")
    notes += [f"{COLUMNS[score].title}: {reason}" for score, reason in row.skipped.items()]
    return notes
