"""The pictures of a comparison: graphs in one layout, reliability and precision-recall curves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import torch

from ctvae.graph.causal_graph import CausalGraph
from ctvae.graph.distances import EdgeState, edge_state
from ctvae.graph.drawing import DrawnEdge, draw_panels
from ctvae.graph.edge_scores import PrecisionRecall
from ctvae.metrics import CalibrationCurve, calibration_curve
from ctvae.plotting import EdgeStyle, LegendEntry

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["JudgedPairs", "draw_calibration", "draw_overlay", "draw_precision_recall"]

COLOURS = {
    EdgeState.AGREES: "#1b7f4d",
    EdgeState.REVERSED: "#c25e00",
    EdgeState.OTHER_MARK: "#2f6fb3",
    EdgeState.MISSING: "#9aa3b2",
    EdgeState.EXTRA: "#c2185b",
}
INK, PALE = "#1f2a44", "#9aa3b2"
LINES = ("#2f6fb3", "#c25e00", "#1b7f4d", "#8e2f8e", "#c2185b", "#6b7280", "#b59400", "#0f8b8d")
MARKERS = "osD^vPX*"
BINS = 10
FEW_PAIRS = 12
"""Up to so many in a bin there are less than two powers of ten to mark."""

JudgedPairs = tuple[np.ndarray, np.ndarray]
"""Probabilities of possible edges, and whether each is true."""


def draw_overlay(graphs: Mapping[str, CausalGraph], truth: CausalGraph | None) -> Figure:
    """Draws the truth and every graph in one layout, edges coloured by their state.

    Args:
        graphs: Method to graph.
        truth: The true graph, or ``None``.

    Returns:
        A matplotlib figure, at most three graphs in a row.
    """
    plain = dict.fromkeys(COLOURS, INK)
    panels: dict[str, list[DrawnEdge]] = {}
    if truth is not None:
        panels["truth"] = _drawn(truth, truth, plain)
    for name, graph in graphs.items():
        colours = plain if truth is None else COLOURS
        panels[name] = _drawn(graph, graph if truth is None else truth, colours)
    used = {edge.style.label: edge.style for edges in panels.values() for edge in edges}
    legend = (
        [LegendEntry(used[s.value]) for s in COLOURS if s.value in used]
        if truth is not None
        else []
    )
    return draw_panels(next(iter(graphs.values())).nodes, panels, legend=legend)


def draw_calibration(
    judged: Mapping[str, JudgedPairs],
    *,
    chance: str = "probability of an edge",
    share: str = "share of true edges",
) -> Figure:
    """Draws reliability diagrams: how often what has a given probability is true.

    Args:
        judged: Method to its ordered pairs, those of several runs together.
        chance: What the probability is of.
        share: What is counted.

    Returns:
        A figure; the area of a point grows with the number of pairs in its bin, and the strip
        below counts them.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    figure = Figure(figsize=(4.6, 5.2), dpi=120, layout="constrained")
    upper, lower = figure.subplots(2, 1, height_ratios=[4, 1], sharex=True)
    upper.plot([0, 1], [0, 1], color=PALE, linewidth=1, linestyle=(0, (4, 2.5)))
    edges = np.linspace(0, 1, BINS + 1)
    for k, (name, (found, true)) in enumerate(judged.items()):
        curve = calibration_curve(torch.from_numpy(found), torch.from_numpy(true), bins=BINS)
        colour = LINES[k % len(LINES)]
        kept = curve.size > 0
        label = f"{name} (ECE {_gap(curve):.3f})"
        upper.plot(
            curve.confidence[kept].numpy(),
            curve.accuracy[kept].numpy(),
            color=colour,
            linewidth=_line_width(k, len(judged)),
            marker=MARKERS[k % len(MARKERS)],
            markersize=5.5,
            label=label,
            clip_on=False,
            zorder=3,
        )
        width = _line_width(k, len(judged))
        lower.stairs(curve.size.numpy(), edges, color=colour, linewidth=width)
    upper.set_ylabel(share)
    upper.set_ylim(0, 1)
    lower.set_xlim(0, 1)
    lower.set_yscale("log")
    lower.set_ylim(bottom=0.7)
    few = lower.get_ylim()[1] < FEW_PAIRS
    lower.yaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5) if few else (1,)))
    lower.yaxis.set_major_formatter(FuncFormatter(lambda count, _: f"{count:,.0f}"))
    lower.yaxis.set_minor_formatter(NullFormatter())
    lower.set_ylabel("pairs")
    lower.set_xlabel(chance)
    for axes in (upper, lower):
        _plain(axes)
    figure.legend(frameon=False, fontsize=9, loc="outside upper left")
    return figure


def draw_precision_recall(curves: Mapping[str, tuple[PrecisionRecall, float | None]]) -> Figure:
    """Draws precision against recall of the edge probabilities.

    Args:
        curves: Method to its curve and its average precision.

    Returns:
        A figure.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.6, 4.6), dpi=120, layout="constrained")
    axes = figure.subplots()
    for k, (name, (curve, area)) in enumerate(curves.items()):
        axes.step(
            np.concatenate([[0.0], curve.recall]),
            np.concatenate([curve.precision[:1], curve.precision]),
            where="pre",
            color=LINES[k % len(LINES)],
            linewidth=_line_width(k, len(curves)),
            label=name if area is None else f"{name} (AUPRC {area:.2f})",
            clip_on=False,
        )
    axes.set_xlabel("recall")
    axes.set_ylabel("precision")
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    _plain(axes)
    figure.legend(frameon=False, fontsize=9, loc="outside upper left")
    return figure


def _gap(curve: CalibrationCurve) -> float:
    gaps = (curve.accuracy - curve.confidence).abs().nan_to_num() * curve.size
    return float(gaps.sum() / curve.size.sum())


def _line_width(k: int, count: int) -> float:
    # the first is the widest, so that a curve below another one is still seen
    return 1.3 + 0.9 * (count - 1 - k) / max(count - 1, 1) * min(count, 4) / 2


def _plain(axes: Axes) -> None:
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.tick_params(colors=INK, labelsize=9)
    axes.grid(visible=True, color="#e6e9f0", linewidth=0.8)
    axes.set_axisbelow(True)


def _drawn(
    graph: CausalGraph, truth: CausalGraph, colours: Mapping[EdgeState, str]
) -> list[DrawnEdge]:
    drawn = []
    for i, j in sorted(graph.skeleton | truth.skeleton):
        state = edge_state(graph, truth, i, j)
        mark = (truth if state is EdgeState.MISSING else graph).mark(i, j)
        style = EdgeStyle(colours[state], state is EdgeState.MISSING, state.value)
        drawn.append(DrawnEdge(i, j, mark, style))
    return drawn
