"""Pictures of graphs: one, or several over the same nodes in one layout."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ctvae.graph.edge_curves import edge_curve
from ctvae.graph.free_routes import arc, with_routes
from ctvae.graph.layout import GraphLayout, lay_out
from ctvae.graph.marks import SYMBOLS, Edge, Marks, sorted_pair
from ctvae.plotting import (
    BOX_HEIGHT,
    FONT,
    INK,
    EdgeStyle,
    EndMark,
    LegendEntry,
    draw_box,
    draw_curve,
    draw_legend,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["DrawnEdge", "draw_marks", "draw_panels"]

MARGIN, FOOT, TITLE = 0.15, 0.4, 0.3  # inches
SMALLEST = (1.2, 0.8)
PAGE, LARGEST = 10.0, 3.0
"""Inches from which on titles and legend grow with the figure, and how often they may."""
OPEN, UNDIRECTED, HIDDEN = "#0f7173", "#c25e00", "#8e2f8e"
STYLES = {
    "->": EdgeStyle(INK, label="directed"),
    "-": EdgeStyle(UNDIRECTED, label="undirected"),
    "<->": EdgeStyle(HIDDEN, dashed=True, label="hidden cause"),
    "o->": EdgeStyle(OPEN, label="cause or hidden cause"),
    "o-o": EdgeStyle(OPEN, label="direction open"),
    "-o": EdgeStyle(OPEN, label="cause or selection"),
}
FIRM = ("->", "o->", "-o")
"""Marks whose first node stands above the second, the most certain first."""
ENDS = {"<": EndMark.ARROW, ">": EndMark.ARROW, "o": EndMark.CIRCLE, "-": EndMark.TAIL}


class DrawnEdge(NamedTuple):
    """One edge of a picture.

    Attributes:
        source: The first node.
        target: The second node.
        mark: How it is written between them: ``->``, ``<-o``, ...
        style: The look of its line; its label may differ from that of other edges.
    """

    source: str
    target: str
    mark: str
    style: EdgeStyle

    @property
    def ends(self) -> tuple[EndMark, EndMark]:
        """The marks at the source and at the target."""
        return ENDS[self.mark[0]], ENDS[self.mark[-1]]


def draw_marks(marks: Marks) -> Figure:
    """Draws one graph, with a legend where it has more than directed edges.

    Args:
        marks: The nodes and edges.

    Returns:
        A figure as large as the graph needs.

    Example:
        >>> figure = draw_marks(Marks(("a", "b"), directed=frozenset({("a", "b")})))
        >>> [text.get_text() for text in figure.axes[0].texts], figure.legends
        (['a', 'b'], [])

    Cost: that of the layout, see ``lay_out``.
    """
    edges = [
        DrawnEdge(a, b, symbol, STYLES[symbol])
        for kind, symbol in SYMBOLS.items()
        for a, b in sorted(getattr(marks, kind))
    ]
    used = dict.fromkeys(edge.mark for edge in edges)
    legend = [LegendEntry(STYLES[m], ENDS[m[0]], ENDS[m[-1]]) for m in used]
    return draw_panels(marks.nodes, {"": edges}, legend=[] if set(used) <= {"->"} else legend)


def draw_panels(
    nodes: Sequence[str],
    panels: Mapping[str, Sequence[DrawnEdge]],
    *,
    legend: Sequence[LegendEntry],
) -> Figure:
    """Draws several graphs over the same nodes side by side, all in the layout of the first.

    Args:
        nodes: The names.
        panels: Title to edges; where the first has none, the next that has some gives the layout.
        legend: Kinds of edges explained below the panels; empty for no legend.

    Returns:
        A figure with one axes per panel, at most three in a row.
    """
    from matplotlib.figure import Figure

    layout = _layout(nodes, next((edges for edges in panels.values() if edges), []))
    layout = with_routes(layout, [edge[:2] for edges in panels.values() for edge in edges])
    across = 2 if len(panels) == 4 else min(3, len(panels))
    down = -(-len(panels) // across)
    left, right, low, high = _extent(layout)
    width, height = max(right - left, SMALLEST[0]), max(high - low, SMALLEST[1])
    scale = min(max(across * width / PAGE, 1.0), LARGEST)  # of words that are read beside a page
    foot, head = FOOT * scale if legend else 0.0, TITLE * scale if any(panels) else 0.0
    total = (max(across * width, 1.75 * scale * len(legend)), down * (height + head) + foot)
    figure = Figure(figsize=total, dpi=120)
    for k, (title, edges) in enumerate(panels.items()):
        bottom = foot + (down - 1 - k // across) * (height + head)
        place = ((k % across) / across, bottom / total[1], 1 / across, height / total[1])
        axes = figure.add_axes(place)
        middle, half = (left + right) / 2, total[0] / across / 2
        axes.set_xlim(middle - half, middle + half)
        axes.set_ylim((high + low - height) / 2, (high + low + height) / 2)
        axes.set_axis_off()
        if title:
            axes.set_title(title, fontsize=(FONT + 1) * scale, color=INK, pad=4)
        _draw_on(axes, layout, edges)
    if legend:
        draw_legend(figure, legend, scale=scale)
    return figure


def _layout(nodes: Sequence[str], edges: Sequence[DrawnEdge]) -> GraphLayout:
    firm: list[Edge] = []
    loose: list[Edge] = []
    turned = (_upright(edge) for edge in edges)
    for edge in sorted(turned, key=lambda e: (_rank(e), e.source, e.target)):
        (firm if _rank(edge) < len(FIRM) else loose).append((edge.source, edge.target))
    return lay_out(nodes, firm, loose)


def _upright(edge: DrawnEdge) -> DrawnEdge:
    turned = edge.mark[::-1].translate(str.maketrans("<>", "><"))
    return DrawnEdge(edge.target, edge.source, turned, edge.style) if turned in FIRM else edge


def _rank(edge: DrawnEdge) -> int:
    return FIRM.index(edge.mark) if edge.mark in FIRM else len(FIRM)


def _draw_on(axes: Axes, layout: GraphLayout, edges: Sequence[DrawnEdge]) -> None:
    lanes = Counter(sorted_pair(edge.source, edge.target) for edge in edges)
    drawn: Counter[Edge] = Counter()
    for edge in edges:
        pair = sorted_pair(edge.source, edge.target)
        beside = drawn[pair] - (lanes[pair] - 1) / 2
        drawn[pair] += 1
        there = (edge.source, edge.target)
        if there in layout.routes:
            curve = edge_curve(layout, there, beside=beside)
        elif there[::-1] in layout.routes:
            curve = edge_curve(layout, there[::-1], beside=beside)[::-1]
        else:
            curve = arc(layout, there, beside=beside)
        draw_curve(axes, curve, edge.style, *edge.ends)
    for name, at in layout.positions.items():
        draw_box(axes, name, at, layout.widths[name])


def _extent(layout: GraphLayout) -> tuple[float, float, float, float]:
    boxes = [(x, y, layout.widths[n] / 2) for n, (x, y) in layout.positions.items()]
    boxes += [(x, y, 0.0) for route in layout.routes.values() for x, y in route]
    x, y, half = np.array(boxes or [(0.0, 0.0, 0.0)]).T
    up = BOX_HEIGHT / 2 + MARGIN
    return (x - half).min() - MARGIN, (x + half).max() + MARGIN, y.min() - up, y.max() + up
