"""The outcome of a comparison: rows, tables, pictures and reasons."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from ctvae.errors import CTVAEError, GraphError, did_you_mean
from ctvae.graph import (
    comparison_export,
    comparison_plots,
    comparison_table,
    comparison_words,
    latex,
    tables,
)
from ctvae.graph.adjustment import AdjustmentDistance
from ctvae.graph.causal_graph import CausalGraph
from ctvae.graph.comparison_rows import ComparisonRow, make_row
from ctvae.graph.discovery import DiscoveryResult
from ctvae.graph.edge_scores import ordered_pairs, precision_recall_points
from ctvae.graph.graph_scores import PAIRWISE, GraphScore, Reference
from ctvae.graph.outcomes import Outcome

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = ["GraphComparison"]

Metric = Callable[[CausalGraph, CausalGraph], "float | AdjustmentDistance"]


@dataclass(frozen=True, repr=False)
class GraphComparison:
    """Graphs over the same nodes and how they differ; made by ``compare_graphs``.

    Attributes:
        outcomes: Method to its runs.
        truths: The true graph, or one a run; empty where there is none.
        targets: For each interventional regime the nodes that it acted on, or ``None``.
        treatments: The nodes whose effects count in SID and its relatives; ``None`` for all.
        scores: The columns that were asked for; ``None`` for all that are defined.
    """

    outcomes: Mapping[str, tuple[Outcome, ...]]
    truths: tuple[CausalGraph, ...] = ()
    targets: tuple[tuple[str, ...], ...] | None = None
    treatments: tuple[str, ...] | None = None
    scores: tuple[GraphScore, ...] | None = None

    def __post_init__(self) -> None:
        if self.scores is not None:
            len(self.rows)  # what was asked for must be defined now, not when it is printed

    @property
    def truth(self) -> CausalGraph | None:
        """The true graph, the first run's where there are several; ``None`` where there is none."""
        return self.truths[0] if self.truths else None

    @property
    def graphs(self) -> Mapping[str, CausalGraph]:
        """Method to the graph of its first run that gave one."""
        found = {}
        for name, runs in self.outcomes.items():
            graph = next((run.graph for run in runs if run.graph is not None), None)
            if graph is not None:
                found[name] = graph
        return found

    @property
    def results(self) -> Mapping[str, DiscoveryResult]:
        """Method to the result of its first run that came in one."""
        found = {}
        for name, runs in self.outcomes.items():
            result = next((run.result for run in runs if run.result is not None), None)
            if result is not None:
                found[name] = result
        return found

    @cached_property
    def rows(self) -> tuple[ComparisonRow, ...]:
        """The scores, one row a method in the order given; all ``None`` without a truth."""
        shared = [Reference(one, self.targets, self.treatments) for one in self.truths]
        rows = []
        for name, runs in self.outcomes.items():
            references: Sequence[Reference | None] = shared
            if len(shared) < 2:
                references = [shared[0] if shared else None] * len(runs)
            rows.append(make_row(name, runs, references, self.scores))
        return tuple(rows)

    def pairwise(self, metric: GraphScore | Metric = GraphScore.SHD) -> np.ndarray:
        """Compares every two methods.

        Args:
            metric: A score of two graphs, or any function of two; it is called with the row's
                graph, which stands for the truth, and the column's. Over several runs the mean,
                run by run.

        Returns:
            ``(methods, methods)`` in the order given, int64 where all figures are whole; NaN where
            a method has no graph.

        Raises:
            GraphError: When the metric is not one of two graphs, or not defined for some two; or
                when the methods have different numbers of runs.

        Example:
            >>> from ctvae.graph import CausalGraph, compare_graphs
            >>> a = CausalGraph.from_edges([("x", "y"), ("y", "z")])
            >>> b = CausalGraph.from_edges([("x", "y")], nodes=["x", "y", "z"])
            >>> compare_graphs({"a": a, "b": b}).pairwise(GraphScore.SID).tolist()
            [[0, 2], [0, 0]]
        """
        if isinstance(metric, GraphScore) and metric not in PAIRWISE:
            known = ", ".join(score.name for score in PAIRWISE)
            msg = f"{metric.name} is no score of two graphs; use one of {known}, or a function"
            raise GraphError(msg)
        names = list(self.outcomes)
        figures = np.array([[self._between(a, b, metric) for b in names] for a in names])
        whole = bool((figures == np.round(figures)).all())
        return figures.astype(np.int64) if whole else figures

    def explain(self, i: str, j: str) -> str:
        """Says what every method makes of one pair of nodes, and why where it is known.

        Args:
            i: A node.
            j: Another node.

        Returns:
            A line for the truth and one for each method; over several runs, how often.

        Raises:
            GraphError: When there is no such node.

        Example:
            >>> from ctvae.graph import CausalGraph, compare_graphs
            >>> truth = CausalGraph.from_edges([("a", "b")])
            >>> back = CausalGraph.from_edges([("b", "a")])
            >>> table = compare_graphs({"PC": back, "both": [truth, back, truth]}, truth=truth)
            >>> print(table.explain("a", "b"))
            truth: a -> b
            PC: a <- b (reversed)
            both: a -> b (agrees) in 2 of 3 runs; a <- b (reversed) in 1 of 3 runs
        """
        for name in (i, j):
            if name not in self._nodes:
                msg = f"node {name!r} is not in these graphs (nodes: {', '.join(self._nodes)})"
                raise GraphError(msg + did_you_mean(name, self._nodes))
        if i == j:
            msg = f"explain() takes two different nodes, got {i!r} twice"
            raise GraphError(msg)
        return comparison_words.explain(self.outcomes, self.truths, i, j)

    def to_markdown(self) -> str:
        """Writes the table in Markdown, the best of each column in bold.

        Returns:
            The table and its notes; without a truth it holds the distances between the methods.
        """
        return tables.to_markdown(self._table)

    def to_latex(self, *, label: str = "tab:graphs", caption: str | None = None) -> str:
        r"""Writes the table in LaTeX (needs ``\usepackage{booktabs}``), the best in bold.

        Args:
            label: What ``\ref`` calls it.
            caption: Plain text; ``None`` for ``self.caption``.

        Returns:
            A ``table`` environment as wide as an article's text at most, in two panels where it
            would be wider; the caption states the conventions.
        """
        words = self.caption if caption is None else caption
        return latex.to_latex(self._table, caption=words, label=label)

    def to_pandas(self) -> pd.DataFrame:
        """Gives the rows as a data frame.

        Returns:
            One line a method, indexed by its name; missing scores are ``NaN``. Over several runs,
            ``..._half_width`` is half the 95 % interval; ``..._normalised`` is the share of effects
            that are wrong; ``frame.attrs["notes"]`` holds the notes of the table.
        """
        distances = self.pairwise() if self.truth is None else None
        frame = comparison_export.to_frame(self.rows, self._num_effects, distances)
        frame.attrs["notes"] = list(self._table.notes)
        return frame

    def to_json(self) -> str:
        """Writes everything in JSON: graphs, scores, intervals, failures and versions.

        Returns:
            Text of one object; graphs are in the form of ``CausalGraph.to_json``.
        """
        return comparison_export.to_json(
            {row.method: (row, self.outcomes[row.method]) for row in self.rows},
            self._conventions,
            caption=self.caption,
        )

    def plot(self) -> Figure:
        """Draws the truth and every method in one layout, edges coloured by their state.

        Returns:
            A matplotlib figure, at most three graphs in a row; of several runs the first.

        Raises:
            GraphError: When no method has a graph.
        """
        if not self.graphs:
            msg = "no method has a graph to draw; explain() and to_markdown() tell the failures"
            raise GraphError(msg)
        return comparison_plots.draw_overlay(self.graphs, self.truth)

    def plot_calibration(self) -> Figure:
        """Draws reliability diagrams of the edge probabilities, the pairs of all runs together.

        Returns:
            A figure: above, the share of true edges against their probability, on the diagonal
            where it is right; below, how many ordered pairs have that probability.

        Raises:
            GraphError: When there is no true DAG, or no method has edge probabilities.
        """
        return comparison_plots.draw_calibration({
            name: (np.concatenate([p for p, _ in pairs]), np.concatenate([t for _, t in pairs]))
            for name, pairs in self._judged().items()
        })

    def plot_precision_recall(self) -> Figure:
        """Draws precision against recall of the edge probabilities, the pairs of all runs together.

        Returns:
            A figure; the legend has the average precision of the table.

        Raises:
            GraphError: When there is no true DAG with an edge, or no method has edge probabilities.
        """
        area = {row.method: row.average_precision for row in self.rows}
        curves = {}
        for name, pairs in self._judged().items():
            found, true = (np.concatenate(side) for side in zip(*pairs, strict=True))
            if true.any():
                curves[name] = (precision_recall_points(found, true), area[name])
        if not curves:
            msg = "recall is the share of true edges, and the truth has none"
            raise GraphError(msg)
        return comparison_plots.draw_precision_recall(curves)

    def __repr__(self) -> str:
        return f"GraphComparison of {len(self.outcomes)} graphs\n{self.to_markdown()}"

    def _repr_html_(self) -> str:
        return tables.to_html(self._table)

    @property
    def caption(self) -> str:
        """The conventions behind the figures, in some sentences."""
        return comparison_table.write_caption(self.rows, self.scores, self._conventions)

    @property
    def _conventions(self) -> comparison_table.Conventions:
        return comparison_table.Conventions(self.truths, self.treatments, self.targets)

    @cached_property
    def _table(self) -> tables.Table:
        if self.truth is None and self.scores is None:
            return comparison_table.distance_table(self.rows, self.pairwise())
        return comparison_table.score_table(self.rows, self.scores)

    @property
    def _nodes(self) -> tuple[str, ...]:
        first = self.truth or next(iter(self.graphs.values()), None)
        return () if first is None else first.nodes

    @property
    def _num_effects(self) -> int:
        treatments = self._nodes if self.treatments is None else self.treatments
        return len(treatments) * (len(self._nodes) - 1)

    def _between(self, a: str, b: str, metric: GraphScore | Metric) -> float:
        runs = self.outcomes[a], self.outcomes[b]
        if len(runs[0]) != len(runs[1]):
            msg = (
                f"{a} has {len(runs[0])} runs and {b} has {len(runs[1])}; methods are compared run "
                "by run, so pass as many of each"
            )
            raise GraphError(msg)
        figures = []
        for one, other in zip(*runs, strict=True):
            if one.graph is None or other.graph is None:
                continue
            try:
                figures.append(self._figure(one.graph, other.graph, metric))
            except CTVAEError as error:
                msg = f"{a} against {b}: {error}"
                raise type(error)(msg) from error
        return float(np.mean(figures)) if figures else float("nan")

    def _figure(self, a: CausalGraph, b: CausalGraph, metric: GraphScore | Metric) -> float:
        if isinstance(metric, GraphScore):
            value = PAIRWISE[metric](b, Reference(a, self.targets, self.treatments))
            return float("nan") if value is None else value
        figure = metric(a, b)
        return figure.mistakes if isinstance(figure, AdjustmentDistance) else figure

    def _judged(self) -> Mapping[str, list[tuple[np.ndarray, np.ndarray]]]:
        if self.truth is None:
            msg = "edge probabilities are judged by a true DAG; pass truth="
            raise GraphError(msg)
        judged = {}
        for name, runs in self.outcomes.items():
            truths = self.truths if len(self.truths) > 1 else self.truths * len(runs)
            pairs = [
                ordered_pairs(run.probabilities, truth.reorder(run.graph.nodes))
                for run, truth in zip(runs, truths, strict=True)
                if run.probabilities is not None and run.graph is not None
            ]
            if pairs:
                judged[name] = pairs
        if not judged:
            msg = (
                "no method has edge probabilities; InterventionalBDeu and OrderMCMC give them, or "
                "pass a matrix of floats"
            )
            raise GraphError(msg)
        return judged
