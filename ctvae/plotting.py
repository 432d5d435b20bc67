"""Drawing small graphs with matplotlib, loaded at use and without its global state."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.path import Path

__all__ = [
    "BIDIRECTED",
    "DIRECTED",
    "UNDIRECTED",
    "DrawnEdge",
    "EdgeStyle",
    "GraphLayout",
    "draw_graph",
    "draw_panels",
    "lay_out",
    "to_svg",
]

PADDING, GAP, LAYER = 0.42, 0.3, 1.0  # inches
FONT, BOX_HEIGHT = 10.0, 0.36
BESIDE = 0.12
SWEEPS = 12
INK = "#1f2a44"


class EdgeStyle(NamedTuple):
    """How one kind of edge is drawn.

    Attributes:
        colour: A matplotlib colour.
        arrows: Heads: 0 none, 1 at the second node, 2 at both.
        dashed: Whether the line is dashed.
        label: The legend's text.
    """

    colour: str
    arrows: int = 1
    dashed: bool = False
    label: str = ""


DIRECTED = EdgeStyle(INK, label="directed")
UNDIRECTED = EdgeStyle("#c25e00", arrows=0, label="undirected")
BIDIRECTED = EdgeStyle("#8e2f8e", arrows=2, dashed=True, label="hidden cause")


class DrawnEdge(NamedTuple):
    """One edge of a picture.

    Attributes:
        source: The first node.
        target: The second node.
        style: How it is drawn.
    """

    source: str
    target: str
    style: EdgeStyle = DIRECTED


@dataclass(frozen=True)
class GraphLayout:
    """Where nodes stand and edges run.

    Attributes:
        positions: Node to ``(x, y)`` in inches, ``y`` falling from causes to effects.
        routes: Edge to its points ``(points, 2)``, both ends included; an edge that spans several
            layers passes between the nodes of the layers in between.
        widths: Node to the width of its box in inches.
    """

    positions: Mapping[str, tuple[float, float]]
    routes: Mapping[tuple[str, str], np.ndarray]
    widths: Mapping[str, float]


def lay_out(nodes: Sequence[str], edges: Sequence[tuple[str, str]]) -> GraphLayout:
    """Places nodes in layers, every edge pointing down where the edges allow it.

    Longest-path layers, dummy nodes on long edges, barycentre sweeps against crossings, then
    positions pulled towards the neighbours' mean with the boxes kept apart.

    Args:
        nodes: The names.
        edges: Pairs ``(a, b)``, ``a`` above ``b``; an edge that would close a cycle is taken the
            other way round.

    Returns:
        Positions without overlapping boxes.

    Example:
        >>> layout = lay_out(["a", "b", "c"], [("a", "b"), ("b", "c")])
        >>> [layout.positions[n][1] for n in "abc"]
        [0.0, -1.0, -2.0]

    Source: Sugiyama, Tagawa and Toda (1981), Methods for visual understanding of hierarchical
    system structures.
    """
    down = _without_cycles(nodes, edges)
    layer = _longest_paths(nodes, down)
    widths: dict[object, float] = {n: _label_width(n) + PADDING for n in nodes}
    chains: dict[tuple[str, str], list[object]] = {}
    rows: list[list[object]] = [[] for _ in range(max(layer.values(), default=0) + 1)]
    for node in nodes:
        rows[layer[node]].append(node)
    for a, b in down:
        dummies: list[object] = [(a, b, level) for level in range(layer[a] + 1, layer[b])]
        for level, dummy in enumerate(dummies, start=layer[a] + 1):
            rows[level].append(dummy)
            widths[dummy] = 0.1
        chains[a, b] = [a, *dummies, b]
    links = [(c[k], c[k + 1]) for c in chains.values() for k in range(len(c) - 1)]
    x = _columns(rows, links, widths)
    reach = max(x.values(), default=0.0) - min(x.values(), default=0.0)
    step = float(np.clip(reach / 8, LAYER, 1.8))  # wide rows need steeper edges
    y = {item: 0.0 - step * level for level, row in enumerate(rows) for item in row}
    routes = {}
    for edge in edges:
        chain = chains[edge] if edge in chains else chains[edge[::-1]][::-1]
        routes[edge] = np.array([(x[item], y[item]) for item in chain])
    return GraphLayout(
        positions={n: (x[n], y[n]) for n in nodes},
        routes=routes,
        widths={n: widths[n] for n in nodes},
    )


def draw_graph(
    nodes: Sequence[str], edges: Sequence[DrawnEdge], *, title: str | None = None
) -> Figure:
    """Draws one graph.

    Args:
        nodes: The names.
        edges: The edges.
        title: A line above the picture; ``None`` for none.

    Returns:
        A figure as large as the graph needs, in inches.

    Example:
        >>> draw_graph(["a", "b"], [DrawnEdge("a", "b")]).get_axes()[0].get_title()
        ''
    """
    return draw_panels(nodes, {title or "": edges}, legend=())


def draw_panels(
    nodes: Sequence[str],
    panels: Mapping[str, Sequence[DrawnEdge]],
    *,
    legend: Sequence[EdgeStyle],
) -> Figure:
    """Draws several graphs over the same nodes side by side, all in one layout.

    Args:
        nodes: The names.
        panels: Title to edges; the first panel's edges decide first what is up and down.
        legend: Styles explained below the panels; empty for no legend.

    Returns:
        A figure with one axes per panel, at most three in a row.
    """
    from matplotlib.figure import Figure

    pairs: dict[tuple[str, str], None] = {}
    for edges in panels.values():
        for a, b, _ in sorted(edges, key=lambda edge: edge.style.arrows != 1):
            if (b, a) not in pairs:
                pairs[a, b] = None
    layout = lay_out(nodes, list(pairs))
    across = 2 if len(panels) == 4 else min(3, len(panels))
    down = -(-len(panels) // across)
    left, right, low, high = _extent(layout)
    size = (max(right - left, 1.2), max(high - low, 0.8))
    foot = 0.4 if legend else 0.0
    figure = Figure(figsize=(across * size[0], down * (size[1] + 0.3) + foot), dpi=120)
    for k, (title, edges) in enumerate(panels.items()):
        figure_height = down * (size[1] + 0.3) + foot
        bottom = (foot + (down - 1 - k // across) * (size[1] + 0.3)) / figure_height
        axes = figure.add_axes(((k % across) / across, bottom, 1 / across, size[1] / figure_height))
        middle = (left + right) / 2
        axes.set_xlim(middle - size[0] / 2, middle + size[0] / 2)
        axes.set_ylim(high - size[1], high)
        axes.set_axis_off()
        if title:
            axes.set_title(title, fontsize=FONT + 1, color=INK, pad=4)
        _draw_on(axes, layout, edges)
    if legend:
        _draw_legend(figure, legend)
    return figure


def to_svg(figure: Figure) -> str:
    """Renders a figure for a notebook.

    Args:
        figure: The figure.

    Returns:
        SVG text without an XML header, the same for the same picture.
    """
    import matplotlib as mpl

    buffer = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": "ctvae"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def _draw_on(axes: Axes, layout: GraphLayout, edges: Sequence[DrawnEdge]) -> None:
    from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

    drawn: set[frozenset[str]] = set()
    for source, target, style in edges:
        points = (
            layout.routes[source, target]
            if (source, target) in layout.routes
            else layout.routes[target, source][::-1]
        )
        if frozenset((source, target)) in drawn:  # a bow: two edges run side by side
            points = points + np.array([BESIDE, 0.0])
        drawn.add(frozenset((source, target)))
        patch = FancyArrowPatch(
            path=_smooth(points, layout.widths[source], layout.widths[target]),
            arrowstyle=("-", "-|>", "<|-|>")[style.arrows],
            mutation_scale=11,
            linewidth=1.3,
            color=style.colour,
            linestyle=(0, (4, 2.5)) if style.dashed else "solid",
            shrinkA=0,
            shrinkB=0,
            zorder=1,
        )
        axes.add_patch(patch)
    for name, (x, y) in layout.positions.items():
        width = layout.widths[name] - 0.12
        axes.add_patch(
            FancyBboxPatch(
                (x - width / 2, y - BOX_HEIGHT / 2 + 0.04),
                width,
                BOX_HEIGHT - 0.08,
                boxstyle="round,pad=0.04,rounding_size=0.12",
                facecolor="#eef2f9",
                edgecolor=INK,
                linewidth=1.0,
                zorder=2,
            )
        )
        axes.text(
            x,
            y,
            name,
            ha="center",
            va="center",
            fontsize=FONT,
            color=INK,
            zorder=3,
            parse_math=False,
        )


def _draw_legend(figure: Figure, styles: Sequence[EdgeStyle]) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=s.colour, linewidth=1.6, label=s.label, ls="--" if s.dashed else "-")
        for s in styles
    ]
    figure.legend(
        handles=handles, loc="lower center", ncols=len(handles), frameon=False, fontsize=FONT - 1
    )


def _label_width(text: str) -> float:
    from matplotlib.textpath import TextPath

    points_per_inch = 72
    return float(TextPath((0, 0), text, size=FONT).get_extents().width) / points_per_inch


def _without_cycles(
    nodes: Sequence[str], edges: Sequence[tuple[str, str]]
) -> list[tuple[str, str]]:
    below: dict[str, set[str]] = {n: {n} for n in nodes}  # everything reachable from a node
    kept: dict[tuple[str, str], None] = {}
    for a, b in edges:
        top, bottom = (b, a) if a in below[b] else (a, b)
        kept[top, bottom] = None
        for reach in below.values():
            if top in reach:
                reach |= below[bottom]
    return list(kept)


def _longest_paths(nodes: Sequence[str], down: Sequence[tuple[str, str]]) -> dict[str, int]:
    layer = dict.fromkeys(nodes, 0)
    for _ in nodes:
        for a, b in down:
            layer[b] = max(layer[b], layer[a] + 1)
    children = {n: [b for a, b in down if a == n] for n in nodes}
    for source in nodes:  # a root stands just above its nearest child: shorter edges
        if children[source] and not any(b == source for _, b in down):
            layer[source] = min(layer[b] for b in children[source]) - 1
    joined = {n for edge in down for n in edge}
    alone = [n for n in nodes if n not in joined]
    last = max((layer[n] for n in joined), default=-1)
    in_row = max(4, int(np.ceil(np.sqrt(2 * len(nodes)))))
    return layer | {n: last + 1 + k // in_row for k, n in enumerate(alone)}


def _columns(
    rows: list[list[object]], links: Sequence[tuple[object, object]], widths: Mapping[object, float]
) -> dict[object, float]:
    above: dict[object, list[object]] = {item: [] for row in rows for item in row}
    under: dict[object, list[object]] = {item: [] for row in rows for item in row}
    for a, b in links:
        above[b].append(a)
        under[a].append(b)
    x: dict[object, float] = {}
    for row in rows:
        x.update(zip(row, _spread(row, np.zeros(len(row)), widths), strict=True))
    for sweep in range(2 * SWEEPS):
        ordering = sweep < SWEEPS  # first settle the order in each row, then the distances
        downwards = sweep % 2 == 0
        for row in rows if downwards else rows[::-1]:
            near = {
                item: (above if downwards else under)[item]
                if ordering
                else above[item] + under[item]
                for item in row
            }
            wish = {i: float(np.mean([x[n] for n in near[i]])) if near[i] else x[i] for i in row}
            if ordering:
                row.sort(key=wish.__getitem__)
            x.update(zip(row, _spread(row, np.array([wish[i] for i in row]), widths), strict=True))
    return x


def _spread(row: Sequence[object], wish: np.ndarray, widths: Mapping[object, float]) -> np.ndarray:
    # least squares to the wishes with boxes kept apart: isotonic regression by pooling
    size = np.array([widths[item] for item in row])
    offset = np.concatenate([[0.0], np.cumsum((size[:-1] + size[1:]) / 2 + GAP)])[: len(row)]
    pools: list[tuple[float, int]] = []
    for value in wish - offset:
        total, count = float(value), 1
        while pools and pools[-1][0] / pools[-1][1] > total / count:
            before = pools.pop()
            total, count = total + before[0], count + before[1]
        pools.append((total, count))
    return np.repeat([t / c for t, c in pools], [c for _, c in pools]) + offset


def _smooth(points: np.ndarray, source_width: float, target_width: float) -> Path:
    # leave and enter boxes by their lower and upper sides, cross the rows between vertically
    from matplotlib.path import Path

    sign = np.sign(points[-1, 1] - points[0, 1])
    half = BOX_HEIGHT / 2
    stops = [_port(points[0], points[1], source_width, sign * half)]
    for x, y in points[1:-1]:
        stops += [np.array([x, y - sign * half]), np.array([x, y + sign * half])]
    stops.append(_port(points[-1], points[-2], target_width, -sign * half))
    vertices, codes = [stops[0]], [Path.MOVETO]
    for k in range(len(stops) - 1):
        start, end = stops[k], stops[k + 1]
        bend = np.array([0.0, (end[1] - start[1]) / 2])
        curved = len(points) > 2
        vertices += [start + bend, end - bend, end] if curved else [end]
        codes += [Path.CURVE4] * 3 if curved else [Path.LINETO]
    return Path(vertices, codes)


def _port(at: np.ndarray, towards: np.ndarray, width: float, rise: float) -> np.ndarray:
    reach = 0.35 * width
    shift = np.clip(0.25 * (towards[0] - at[0]), -reach, reach)
    return np.array([at[0] + shift, at[1] + rise])


def _extent(layout: GraphLayout) -> tuple[float, float, float, float]:
    boxes = [(x, y, layout.widths[n] / 2) for n, (x, y) in layout.positions.items()]
    boxes += [(x, y, 0.0) for route in layout.routes.values() for x, y in route]
    x, y, half = np.array(boxes or [(0.0, 0.0, 0.0)]).T
    edge = BOX_HEIGHT / 2 + 0.1
    return (x - half).min() - 0.15, (x + half).max() + 0.15, y.min() - edge, y.max() + edge
