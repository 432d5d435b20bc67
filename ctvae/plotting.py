"""What pictures of graphs are made of, in matplotlib, which is loaded at use."""

from __future__ import annotations

import io
from collections.abc import Sequence
from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jaxtyping import Float64

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.transforms import Transform

__all__ = [
    "BOX_HEIGHT",
    "FONT",
    "INK",
    "EdgeStyle",
    "EndMark",
    "LegendEntry",
    "draw_box",
    "draw_curve",
    "draw_legend",
    "text_width",
    "to_svg",
]

FONT, BOX_HEIGHT, ROUNDING = 10.0, 0.36, 0.12  # points, inches
INK, PAPER, BOX = "#1f2a44", "white", "#eef2f9"
LINE, CASING = 1.25, 3.6  # points
HEAD, HEAD_WIDTH, CIRCLE = 0.125, 0.1, 0.048  # inches: length, width, radius
POINTS = 72.0
"""Points in an inch."""


class EndMark(Enum):
    """What stands at the end of an edge."""

    TAIL = "-"
    ARROW = ">"
    CIRCLE = "o"


class EdgeStyle(NamedTuple):
    """How one kind of edge is drawn.

    Attributes:
        colour: A matplotlib colour.
        dashed: Whether the line is dashed.
        label: The legend's text.
    """

    colour: str
    dashed: bool = False
    label: str = ""


class LegendEntry(NamedTuple):
    """One line of a legend.

    Attributes:
        style: The look of the line, and its text.
        start: The mark at its left end.
        end: The mark at its right end.
    """

    style: EdgeStyle
    start: EndMark = EndMark.TAIL
    end: EndMark = EndMark.TAIL


def text_width(text: str) -> float:
    """Measures a name as it is drawn.

    Args:
        text: One line.

    Returns:
        Its width in inches; what is drawn is fitted to pixels and may differ by 0.04.
    """
    from matplotlib.textpath import TextPath

    plain = _one_line(text).replace("$", r"\$")
    return float(TextPath((0, 0), plain, size=FONT).get_extents().width) / POINTS


def draw_box(axes: Axes, name: str, at: tuple[float, float], width: float) -> None:
    """Draws a node: its name in a box.

    Args:
        axes: Axes in inches.
        name: The name.
        at: The centre.
        width: The width of the box.
    """
    from matplotlib.patches import FancyBboxPatch

    patch = FancyBboxPatch(
        (at[0] - width / 2, at[1] - BOX_HEIGHT / 2),
        width,
        BOX_HEIGHT,
        boxstyle=f"round,pad=0,rounding_size={ROUNDING}",
        facecolor=BOX,
        edgecolor=INK,
        linewidth=1.0,
        zorder=4,
    )
    axes.add_patch(patch)
    axes.text(
        *at,
        _one_line(name),
        ha="center",
        va="center_baseline",
        fontsize=FONT,
        color=INK,
        zorder=5,
        parse_math=False,
    )


def draw_curve(
    axes: Axes,
    curve: Float64[np.ndarray, "points 2"],
    style: EdgeStyle,
    start: EndMark,
    end: EndMark,
) -> None:
    """Draws an edge: a line with a pale seam, under which lines drawn before it pass.

    Args:
        axes: Axes in inches.
        curve: Control points of cubic Bezier curves, ``(3 k + 1, 2)``.
        style: The look of the line.
        start: The mark at the first point, which it touches.
        end: The mark at the last point.
    """
    for patch in _edge_patches(curve, style, start, end):
        axes.add_patch(patch)


def draw_legend(figure: Figure, entries: Sequence[LegendEntry], *, scale: float = 1.0) -> None:
    """Explains edges in one line at the foot of a figure.

    Args:
        figure: The figure.
        entries: The kinds of edges.
        scale: How much larger than usual.
    """
    from matplotlib.legend_handler import HandlerBase
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], label=entry.style.label) for entry in entries]
    samples: dict[Artist, LegendEntry] = dict(zip(handles, entries, strict=True))

    class Sample(HandlerBase):
        def create_artists(  # matplotlib's signature
            self,
            legend: Any,  # noqa: ANN401
            orig_handle: Artist,
            xdescent: float,
            ydescent: float,
            width: float,
            height: float,
            fontsize: float,
            trans: Transform,
        ) -> list[Artist]:
            from matplotlib.transforms import Affine2D

            style, start, end = samples[orig_handle]
            x = np.linspace(-xdescent, width - xdescent, 4) / POINTS
            curve = np.stack([x, np.full(4, (height / 2 - ydescent) / POINTS)], 1)
            patches = _edge_patches(curve, style, start, end)
            for patch in patches:
                patch.set_transform(Affine2D().scale(POINTS) + trans)
            return patches

    figure.legend(
        handles=handles,
        handler_map=dict.fromkeys(handles, Sample()),
        loc="lower center",
        ncols=len(handles),
        frameon=False,
        fontsize=(FONT - 1) * scale,
        handlelength=2.6,
    )


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


def _edge_patches(
    curve: Float64[np.ndarray, "points 2"], style: EdgeStyle, start: EndMark, end: EndMark
) -> list[Any]:
    from matplotlib.patches import Circle, PathPatch, Polygon
    from matplotlib.path import Path

    line = np.array(curve)
    marks: list[Polygon | Circle] = []
    for mark, tip, bend in ((start, 0, 1), (end, -1, -2)):
        inwards = curve[bend] - curve[tip]
        inwards /= np.hypot(*inwards)
        across = np.array([-inwards[1], inwards[0]]) * HEAD_WIDTH / 2
        foot = curve[tip] + inwards * HEAD
        if mark is EndMark.ARROW:
            triangle = [curve[tip], foot + across, foot - across]
            marks.append(Polygon(triangle, facecolor=style.colour, linewidth=0, zorder=3))
        elif mark is EndMark.CIRCLE:
            centre = curve[tip] + inwards * CIRCLE
            ring = Circle(centre, CIRCLE, facecolor=PAPER, edgecolor=style.colour, zorder=3)
            ring.set_linewidth(LINE)
            marks.append(ring)
        short = {EndMark.ARROW: 0.9 * HEAD, EndMark.CIRCLE: 2 * CIRCLE, EndMark.TAIL: 0.0}[mark]
        line[[tip, bend]] += inwards * short
    path = Path(line, [Path.MOVETO, *[Path.CURVE4] * (len(line) - 1)])
    seam = PathPatch(path, facecolor="none", edgecolor=PAPER, linewidth=CASING, zorder=2)
    stroke = PathPatch(path, facecolor="none", edgecolor=style.colour, linewidth=LINE, zorder=2)
    if style.dashed:
        stroke.set_linestyle((0, (4, 2.2)))
    for patch in (seam, stroke):
        patch.set_capstyle("butt")
    return [seam, stroke, *marks]


def _one_line(text: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in text)
