"""The curves of edges: from border to border, and past all other boxes."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64

from ctvae.graph.layout import LANE, GraphLayout
from ctvae.graph.marks import Edge
from ctvae.plotting import BOX_HEIGHT

__all__ = ["edge_curve"]

LEAN = 0.7
"""How far a line at a box follows the way to its next point; 0 would be straight up and down."""
STEEP = 1.4
"""The most that it leans there, inches sideways for each inch up or down."""
REACH = 0.4
"""Where between two rows the control points stand, as a share of the height."""


def edge_curve(
    layout: GraphLayout, edge: Edge, *, beside: float = 0.0
) -> Float64[np.ndarray, "points 2"]:
    """Draws one edge as cubic Bezier curves.

    Between two rows the curve stays between them, where no boxes are; in a row it is a straight
    line through the gap that the layout kept for it.

    Args:
        layout: Where things are.
        edge: A pair among its routes.
        beside: How many lanes further right than the route; 0.5 and -0.5 for two lines at a pair.

    Returns:
        ``(3 k + 1, 2)`` control points in inches, from the border of the first box to that of the
        second.

    Example:
        >>> from ctvae.graph.layout import lay_out
        >>> layout = lay_out(["a", "b"], [("a", "b")])
        >>> edge_curve(layout, ("a", "b")).round(2).tolist()
        [[0.18, -0.36], [0.18, -0.56], [0.18, -0.66], [0.18, -0.86]]
    """
    route = layout.routes[edge] + [beside * LANE, 0.0]
    route[[0, -1], 0] += layout.ports[edge]
    way = float(np.sign(route[-1, 1] - route[0, 1]))
    half = BOX_HEIGHT / 2
    height = np.abs(np.diff(route[:, 1])) - np.where(_inner(len(route) - 1), 0.0, half)
    chord = np.diff(route[:, 0]) / np.maximum(height - half, half)
    lean = np.concatenate([[0.0], _leans(chord), [0.0]])
    lean[[0, -1]] = np.clip(LEAN * chord[[0, -1]], -STEEP, STEEP)
    towards = np.stack([lean, np.full(len(lean), way)], 1)
    points: list[np.ndarray] = []
    for k in range(len(route) - 1):
        first, last = k == 0, k == len(route) - 2
        start = route[k] + [0.0 if first else lean[k] * half, way * half]
        end = route[k + 1] - [0.0 if last else lean[k + 1] * half, way * half]
        reach = REACH * abs(end[1] - start[1])
        bends = (start + reach * towards[k], end - reach * towards[k + 1])
        points += [start] if first else [*_thirds(points[-1], start), start]
        points += [*bends, end]
    return np.array(points)


def _inner(segments: int) -> np.ndarray:
    return (np.arange(segments) > 0) & (np.arange(segments) < segments - 1)


def _leans(chord: Float64[np.ndarray, "segments"]) -> Float64[np.ndarray, "gaps"]:
    # harmonic means, so that the curve is monotone where the points are; within its own lane
    before, after = chord[:-1], chord[1:]
    same = before * after > 0
    total = np.where(same, before + after, 1.0)
    limit = 0.5 * LANE / BOX_HEIGHT
    return np.clip(np.where(same, 2 * before * after / total, 0.0), -limit, limit)


def _thirds(start: np.ndarray, end: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return start + (end - start) / 3, start + (end - start) * 2 / 3
