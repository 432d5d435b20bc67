"""Ways for edges that a layout was not made for: past the boxes of the rows between, or around."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float64

from ctvae.graph.layout import BESIDE, LANE, GraphLayout
from ctvae.graph.marks import Edge
from ctvae.plotting import BOX_HEIGHT

__all__ = ["arc", "with_routes"]

ONE_ROW = 1.2 * BOX_HEIGHT
"""Inches; boxes whose heights differ by less stand in one row."""
DEEPEST, SAG = 0.55, 0.12  # inches below a row, and for each inch between the boxes

Interval = tuple[float, float]


def with_routes(layout: GraphLayout, edges: Iterable[Edge]) -> GraphLayout:
    """Adds ways for edges, and leaves all boxes and lines where they are.

    Args:
        layout: A layout made for other edges.
        edges: Pairs of nodes; those of one row get no way, see ``arc``.

    Returns:
        A layout with more routes. In each row between its ends, an edge takes the free place
        nearest to the straight line, beside the lines that are there.

    Example:
        >>> from ctvae.graph.layout import lay_out
        >>> layout = lay_out(["a", "b", "c"], [("a", "b"), ("b", "c")])
        >>> ("a", "c") in with_routes(layout, [("a", "c")]).routes
        True

    Cost: for each edge the boxes and lines of the rows that it passes.
    """
    rows = _rows(layout)
    routes, ports = dict(layout.routes), dict(layout.ports)
    for edge in dict.fromkeys(edges):
        a, b = sorted(edge, key=lambda name: -layout.positions[name][1])
        start, end = np.array(layout.positions[a]), np.array(layout.positions[b])
        if {(a, b), (b, a)} & routes.keys() or start[1] - end[1] < ONE_ROW:
            continue
        points = [start]
        for y, taken in rows:
            if end[1] + BOX_HEIGHT < y < start[1] - BOX_HEIGHT:
                share = (points[-1][1] - y) / (points[-1][1] - end[1])
                x = _nearest_free(points[-1][0] + share * (end[0] - points[-1][0]), taken)
                taken.append((x - LANE, x + LANE))
                points.append(np.array([x, y]))
        points.append(end)
        routes[edge] = np.array(points if edge == (a, b) else points[::-1])
        ports[edge] = (0.0, 0.0)
    return replace(layout, routes=routes, ports=ports)


def arc(layout: GraphLayout, edge: Edge, *, beside: float = 0.0) -> Float64[np.ndarray, "4 2"]:
    """Joins two boxes of one row by a curve below it.

    Args:
        layout: Where things are.
        edge: The pair.
        beside: How many lanes further right.

    Returns:
        Control points of one cubic Bezier curve, from below the first box to below the second.
    """
    ends = np.array([layout.positions[name] for name in edge]) - [0.0, BOX_HEIGHT / 2]
    ends[:, 0] += beside * LANE
    low = min(DEEPEST, 0.2 + SAG * abs(ends[1, 0] - ends[0, 0]))
    bends = ends.copy()
    bends[:, 1] = ends[:, 1].min() - low
    return np.stack([ends[0], bends[0], bends[1], ends[1]])


def _rows(layout: GraphLayout) -> list[tuple[float, list[Interval]]]:
    """Lists the rows from above, each with what is taken in it."""
    rows: list[list[str]] = []
    height = {name: at[1] for name, at in layout.positions.items()}
    for name in sorted(height, key=lambda name: (-height[name], name)):
        if rows and height[rows[-1][0]] - height[name] < ONE_ROW:
            rows[-1].append(name)
        else:
            rows.append([name])
    found = []
    for row in rows:
        y = float(np.mean([height[name] for name in row]))
        boxes = [(layout.positions[n][0], layout.widths[n] / 2 + BESIDE) for n in row]
        passing = {
            float(x)
            for points in layout.routes.values()
            for x, at in points[1:-1]
            if abs(at - y) < ONE_ROW / 2
        }
        taken = [(x - half, x + half) for x, half in boxes]
        found.append((y, taken + [(x - LANE, x + LANE) for x in sorted(passing)]))
    return found


def _nearest_free(want: float, taken: Sequence[Interval]) -> float:
    places = [want, *(end for interval in taken for end in interval)]
    free = [x for x in places if not any(low < x < high for low, high in taken)]
    return min(free, key=lambda x: (abs(x - want), x))
