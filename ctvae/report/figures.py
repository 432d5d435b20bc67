"""The figures of a report: pictures as inline PNG, graphs and curves as inline SVG."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Sequence
from html import escape
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from torch import Tensor

from ctvae.graph.causal_graph import CausalGraph
from ctvae.graph.distances import EdgeState, edge_state
from ctvae.graph.edge_curves import edge_curve
from ctvae.graph.layout import GraphLayout, lay_out
from ctvae.metrics import CalibrationCurve
from ctvae.plotting import BOX_HEIGHT
from ctvae.report.content import Calibration, GraphPanel

__all__ = [
    "EdgeCount",
    "GraphDrawings",
    "band_svg",
    "calibration_svg",
    "draw_graphs",
    "edge_counts",
    "picture",
]

LARGEST = 160  # pixels a side: larger pictures are reduced, so that a page stays small
INCH, ZOOM, SMALL = 96.0, 1.25, 0.72
HALF_BOX, HEAD, HEAD_WIDTH = BOX_HEIGHT / 2 * INCH, 9.0, 4.2
PLOT, LEFT, TOP, STRIP = 300.0, 54.0, 10.0, 52.0
SIGMAS = 1.96  # the central 95 % of a normal law


class GraphDrawings(NamedTuple):
    """Graphs drawn in one layout.

    Attributes:
        svgs: One ``svg`` element a graph.
        width: Their width in CSS pixels at which names have the size of small text.
    """

    svgs: tuple[str, ...]
    width: float


class EdgeCount(NamedTuple):
    """How many edges of a drawing share one look.

    Attributes:
        look: The look's name, and so its class in the style sheet.
        label: What it says of the edge.
        number: How many there are.
    """

    look: str
    label: str
    number: int


def picture(pixels: Float[Tensor, "channels height width"], alt: str) -> str:
    """Writes a picture as an element that needs no file beside the page.

    Args:
        pixels: One or three channels in [0, 1]; other values are clipped, NaN is black.
        alt: What the picture shows, for readers who cannot see it.

    Returns:
        An ``img`` element with the PNG inside it.

    Example:
        >>> import torch
        >>> picture(torch.zeros(1, 8, 8), "nothing")[:40]
        '<img src="data:image/png;base64,iVBORw0K'
    """
    from PIL import Image

    levels = (pixels.detach().double().nan_to_num().clamp(0, 1) * 255).round().byte().numpy()
    image = Image.fromarray(levels[0] if len(levels) == 1 else levels.transpose(1, 2, 0).copy())
    image.thumbnail((LARGEST, LARGEST))
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", optimize=True)
    text = base64.b64encode(buffer.getvalue()).decode("ascii")
    width, height = image.size
    return (
        f'<img src="data:image/png;base64,{text}" width="{width}" height="{height}" '
        f'alt="{escape(alt)}">'
    )


def edge_counts(panel: GraphPanel) -> tuple[EdgeCount, ...]:
    """Counts the edges of a drawing by how they stand to the truth.

    Args:
        panel: The graph and its truth.

    Returns:
        One count for each look that occurs, the right edges first.

    Example:
        >>> truth = CausalGraph.from_edges([("a", "b"), ("b", "c")])
        >>> found = CausalGraph.from_edges([("a", "b"), ("c", "b")])
        >>> [(c.number, c.label) for c in edge_counts(GraphPanel("PC", found, truth))]
        [(1, 'right'), (1, 'reversed')]
    """
    looks = [look for *_, look in _edges(panel)]
    return tuple(
        EdgeCount(look, label, looks.count(look)) for look, label in LOOKS.items() if look in looks
    )


def draw_graphs(panels: Sequence[GraphPanel]) -> GraphDrawings:
    """Draws graphs in one layout, so that a node stands at the same place in each.

    Args:
        panels: The graphs; the first one decides first what is up and down.

    Returns:
        The drawings, all of one size.
    """
    nodes = list(dict.fromkeys(name for panel in panels for name in panel.graph.nodes))
    pairs: dict[tuple[str, str], None] = {}
    for panel in panels:
        edges = sorted(_edges(panel), key=lambda edge: edge[2] != "->")
        for a, b, *_ in edges:
            if (b, a) not in pairs:
                pairs[a, b] = None
    layout = lay_out(nodes, list(pairs))
    box = _extent(layout)
    drawings = tuple(_graph_svg(panel, layout, box) for panel in panels)
    return GraphDrawings(drawings, box[2] * SMALL)


def calibration_svg(curve: CalibrationCurve) -> str:
    """Draws how often answers were right against how sure the model was.

    Args:
        curve: The numbers, bin by bin; empty bins are left out.

    Returns:
        An ``svg`` element: points on a diagonal, the pale bars holding 95 % of what a calibrated
        model of the same answers would show, and the share of the answers in each bin below.
    """
    floor = TOP + PLOT
    marks = [
        f'<svg class="plot" viewBox="0 0 {LEFT + PLOT + 16:.0f} {floor + STRIP + 52:.0f}" '
        'role="img" aria-label="share of right answers against confidence, with the share of '
        'answers in each bin below">'
    ]
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        x, y = LEFT + tick * PLOT, floor - tick * PLOT
        marks.append(f'<line class="grid" x1="{LEFT}" x2="{LEFT + PLOT}" y1="{y}" y2="{y}"/>')
        marks.append(f'<line class="grid" x1="{x}" x2="{x}" y1="{TOP}" y2="{floor}"/>')
        marks.append(_label(LEFT - 8, y + 4, f"{tick:g}", "end"))
        marks.append(_label(x, floor + STRIP + 22, f"{tick:g}", "middle"))
    marks.append(f'<line class="diagonal" x1="{LEFT}" x2="{LEFT + PLOT}" y1="{floor}" y2="{TOP}"/>')
    bins, total = len(curve.size), float(curve.size.sum())
    points = []
    for k in range(bins):
        sure, right, count = (float(series[k]) for series in curve)
        if count == 0:
            continue
        x = LEFT + sure * PLOT
        spread = SIGMAS * math.sqrt(max(sure * (1 - sure), 0.0) / count)
        low, high = max(sure - spread, 0.0), min(sure + spread, 1.0)
        marks.append(
            f'<line class="spread" x1="{x:.1f}" x2="{x:.1f}" y1="{floor - low * PLOT:.1f}" '
            f'y2="{floor - high * PLOT:.1f}"/>'
        )
        tall = math.sqrt(count / total) * (STRIP - 10)
        marks.append(
            f'<rect class="bin" x="{LEFT + k / bins * PLOT + 1:.1f}" width="{PLOT / bins - 2:.1f}" '
            f'y="{floor + STRIP - tall:.1f}" height="{tall:.1f}"><title>{count:.0f} answers'
            "</title></rect>"
        )
        points.append(
            f'<circle class="point" cx="{x:.1f}" cy="{floor - right * PLOT:.1f}" r="5">'
            f"<title>said {sure:.3f}, right {right:.3f}, {count:.0f} answers</title></circle>"
        )
    marks += points
    middle = LEFT + PLOT / 2
    marks.append(_label(middle, floor + STRIP + 44, "confidence of the answer", "middle"))
    marks.append(
        f'<text class="axis" text-anchor="middle" transform="translate(14 {TOP + PLOT / 2}) '
        'rotate(-90)">share of right answers</text>'
    )
    return "".join([*marks, "</svg>"])


def band_svg(calibration: Calibration) -> str:
    """Draws the calibration error beside the band of a perfectly calibrated model.

    Args:
        calibration: The error and its band.

    Returns:
        An ``svg`` element.
    """
    low, high = calibration.band
    error, width = calibration.error, 400.0
    scale = width / (max(error, high, 1e-6) * 1.15)
    inside = "inside" if low <= error <= high else "outside"
    x = error * scale
    anchor = "start" if x < 100 else "end" if x > width - 100 else "middle"
    return "".join((
        f'<svg class="band" viewBox="-4 0 {width + 8:.0f} 84" role="img" '
        f'aria-label="calibration error {error:.4f}, {inside} the band {low:.4f} to {high:.4f}">',
        f'<line class="grid" x1="0" x2="{width}" y1="46" y2="46"/>',
        f'<rect class="range" x="{low * scale:.1f}" y="38" rx="4" height="16" '
        f'width="{max((high - low) * scale, 2):.1f}"/>',
        f'<line class="needle {inside}" x1="{x:.1f}" x2="{x:.1f}" y1="30" y2="62"/>',
        _label(x, 20, f"error {error:.4f}", anchor),
        _label(low * scale, 76, f"{low:.4f}", "middle" if low * scale > 20 else "start"),
        _label(high * scale, 76, f"{high:.4f}", "middle"),
        "</svg>",
    ))


LOOKS = {
    "right": "right",
    "reversed": "reversed",
    "undirected": "undirected",
    "other": "other mark",
    "extra": "extra",
    "missing": "missing",
    "plain": "edge",
}
STATES = {
    EdgeState.AGREES: "right",
    EdgeState.REVERSED: "reversed",
    EdgeState.MISSING: "missing",
    EdgeState.EXTRA: "extra",
}


def _edges(panel: GraphPanel) -> list[tuple[str, str, str, str]]:
    # source, target, mark ("->", "-" or "<->"), look
    graph, truth = panel.graph, panel.truth
    shown: frozenset[tuple[str, str]] = graph.skeleton
    shown = shown if truth is None else shown | truth.skeleton
    edges = []
    for i, j in sorted(shown):
        state = EdgeState.AGREES if truth is None else edge_state(graph, truth, i, j)
        drawn: CausalGraph = graph
        if truth is not None and state is EdgeState.MISSING:
            drawn = truth
        mark = drawn.mark(i, j)
        look = STATES.get(state, "undirected" if mark == "-" else "other")
        if truth is None:
            look = "plain"
        a, b, mark = (j, i, "->") if mark == "<-" else (i, j, mark)
        edges.append((a, b, mark, look))
    return edges


def _extent(layout: GraphLayout) -> tuple[float, float, float, float]:
    # left, top, width and height of everything drawn, in CSS pixels
    boxes = [(x, y, layout.widths[n] / 2) for n, (x, y) in layout.positions.items()]
    boxes += [(x, y, 0.0) for route in layout.routes.values() for x, y in route]
    x, y, half = np.array(boxes or [(0.0, 0.0, 0.0)]).T * INCH
    left, top = (x - half).min() - 2, (-y).min() - HALF_BOX - 8
    return left, top, (x + half).max() + 2 - left, (-y).max() + HALF_BOX + 8 - top


def _graph_svg(
    panel: GraphPanel, layout: GraphLayout, box: tuple[float, float, float, float]
) -> str:
    places = {n: np.array([x, -y]) * INCH for n, (x, y) in layout.positions.items()}
    widths = {n: width * INCH for n, width in layout.widths.items()}
    marks = [
        f'<svg class="graph" viewBox="{" ".join(f"{v:.0f}" for v in box)}" '
        f'style="max-width:{ZOOM * box[2]:.0f}px" role="img" '
        f'aria-label="{escape(f"{panel.name}: {_words(panel)}")}">'
    ]
    for a, b, mark, look in _edges(panel):
        known = (a, b) in layout.routes
        curve = edge_curve(layout, (a, b) if known else (b, a))
        marks.append(_edge_svg((curve if known else curve[::-1]) * [INCH, -INCH], mark, look))
    for name in panel.graph.nodes:
        (x, y), width = places[name], widths[name]
        marks.append(
            f'<rect class="node" x="{x - width / 2:.1f}" y="{y - HALF_BOX:.1f}" '
            f'width="{width:.1f}" height="{2 * HALF_BOX:.1f}" rx="8"/>'
            f'<text class="name" text-anchor="middle" x="{x:.1f}" y="{y + 4.5:.1f}">'
            f"{escape(name)}</text>"
        )
    return "".join([*marks, "</svg>"])


def _words(panel: GraphPanel) -> str:
    signs = {"->": "to", "-": "with", "<->": "sharing a hidden cause with"}
    edges = [
        f"{a} {signs[mark]} {b}" + ("" if look == "plain" else f" ({LOOKS[look]})")
        for a, b, mark, look in _edges(panel)
    ]
    return ", ".join(edges) or "no edges"


def _edge_svg(curve: np.ndarray, mark: str, look: str) -> str:
    line, heads = np.array(curve), []
    for end, bend, arrow in ((-1, -2, mark != "-"), (0, 1, mark == "<->")):
        if arrow:
            along = (curve[end] - curve[bend]) / np.linalg.norm(curve[end] - curve[bend])
            heads.append(_head(curve[end], along))
            line[[end, bend]] -= along * HEAD * 0.8
    points = [f"{x:.1f} {y:.1f}" for x, y in line]
    path = f"M{points[0]}C{' '.join(points[1:])}"
    return f'<g class="edge {look}"><path d="{path}"/>{"".join(heads)}</g>'


def _head(tip: np.ndarray, along: np.ndarray) -> str:
    across = np.array([-along[1], along[0]]) * HEAD_WIDTH
    corners = (tip, tip - along * HEAD + across, tip - along * HEAD - across)
    return '<polygon points="' + " ".join(f"{x:.1f},{y:.1f}" for x, y in corners) + '"/>'


def _label(x: float, y: float, text: str, anchor: str) -> str:
    return (
        f'<text class="axis" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
    )
