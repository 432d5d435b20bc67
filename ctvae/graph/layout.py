"""Layered layout of graphs: where boxes stand and lines run, the same at every call."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64

from ctvae.graph.layer_order import Rows, order_rows
from ctvae.graph.layer_places import assign_layers, place_columns
from ctvae.graph.marks import Edge, sorted_pair
from ctvae.graph.orientation import point_down
from ctvae.plotting import BOX_HEIGHT, text_width

__all__ = ["BESIDE", "LANE", "GraphLayout", "lay_out"]

PADDING, GAP, BESIDE = 0.3, 0.3, 0.2  # inches: in a box, between boxes, from a line to a box
LANE = 0.16  # inches from line to line
STEP, STEEPNESS, HIGHEST = 0.5, 0.14, 1.6  # inches between rows, and more for slanted lines
WIDEST, ASPECT = 7.0, 1.6  # inches, a row's width before it is split; of the figure
CROSSING, BREADTH = 2.0, 2.0
"""What a crossing and an inch of breadth cost, where an inch that an edge runs sideways costs 1."""
STRAIGHT = 8.0
"""How much more a bend in a long line costs than one between two boxes."""


@dataclass(frozen=True)
class GraphLayout:
    """Where nodes stand and edges run, in inches from the upper left corner; y falls to effects.

    Attributes:
        positions: Node to the centre ``(x, y)`` of its box.
        widths: Node to the width of its box.
        routes: Pair of nodes to its points ``(points, 2)``: both centres, and between them the
            gap in each row that the edge passes.
        ports: Pair of nodes to where its edge meets the boxes, right of their centres.
    """

    positions: Mapping[str, tuple[float, float]]
    widths: Mapping[str, float]
    routes: Mapping[Edge, Float64[np.ndarray, "points 2"]]
    ports: Mapping[Edge, tuple[float, float]]


class _Piece(NamedTuple):
    # one connected part: items are its nodes, then the gaps that long edges pass
    x: np.ndarray
    y: np.ndarray
    width: np.ndarray
    chains: Mapping[Edge, list[int]]
    ports: Mapping[Edge, tuple[float, float]]

    def extent(self) -> tuple[float, float, float, float]:
        return (
            float((self.x - self.width / 2).min()),
            float((self.x + self.width / 2).max()),
            float(self.y.min()) - BOX_HEIGHT / 2,
            float(self.y.max()) + BOX_HEIGHT / 2,
        )


def lay_out(nodes: Sequence[str], edges: Sequence[Edge], loose: Sequence[Edge] = ()) -> GraphLayout:
    """Places nodes in layers, every edge pointing down where the edges allow it.

    Layers in which edges are short in all, wide layers split; gaps in the layers for longer edges;
    sweeps against crossings; places that keep long edges straight; parts that hang together are
    laid out alone and packed. All ties go by name, so that the order of the nodes has no say.

    Args:
        nodes: The names.
        edges: Pairs ``(a, b)``, ``a`` above ``b``; one that would close a cycle with those before
            it is taken the other way round. A pair given twice gets room for two lines.
        loose: Pairs of which either may stand above the other.

    Returns:
        Positions without overlapping boxes, and routes that pass no box but those at their ends.

    Example:
        >>> layout = lay_out(["a", "b", "c"], [("a", "b"), ("b", "c"), ("a", "c")])
        >>> y = {name: at[1] for name, at in layout.positions.items()}
        >>> y["a"] > y["b"] > y["c"], len(layout.routes["a", "c"])
        (True, 3)

    Source: Sugiyama, Tagawa and Toda (1981), Methods for visual understanding of hierarchical
    system structures; Gansner, Koutsofios, North and Vo (1993), A technique for drawing directed
    graphs.
    Cost: 0.1 to 0.3 s for 40 nodes and 80 edges; the sweeps grow with the square of the number of
    nodes and gaps in a layer.
    """
    names = sorted(nodes)
    lanes = Counter(sorted_pair(a, b) for a, b in [*edges, *loose])
    down = point_down(names, edges, loose)
    pieces: dict[tuple[str, ...], _Piece] = {}
    for part in _parts(names, down):
        pieces[part] = _lay_out_part(part, [e for e in down if e[0] in set(part)], lanes)
    shift = _pack(list(pieces.values()))
    positions: dict[str, tuple[float, float]] = {}
    widths: dict[str, float] = {}
    routes: dict[Edge, np.ndarray] = {}
    ports: dict[Edge, tuple[float, float]] = {}
    for (part, piece), by in zip(pieces.items(), shift, strict=True):
        at = np.stack([piece.x, piece.y], 1) + by
        positions |= {name: (float(at[k, 0]), float(at[k, 1])) for k, name in enumerate(part)}
        widths |= {name: float(piece.width[k]) for k, name in enumerate(part)}
        for (a, b), chain in piece.chains.items():
            routes[a, b], routes[b, a] = at[chain], at[chain[::-1]]
            ports[a, b], ports[b, a] = piece.ports[a, b], piece.ports[a, b][::-1]
    asked = list(dict.fromkeys([*edges, *loose]))
    return GraphLayout(
        {n: positions[n] for n in nodes},
        {n: widths[n] for n in nodes},
        {edge: routes[edge] for edge in asked},
        {edge: ports[edge] for edge in asked},
    )


def _parts(names: Sequence[str], down: Sequence[Edge]) -> list[tuple[str, ...]]:
    part = {name: {name} for name in names}
    for a, b in down:
        if part[a] is not part[b]:
            merged = part[a] | part[b]
            part |= dict.fromkeys(merged, merged)
    found = dict.fromkeys(tuple(sorted(part[name])) for name in names)
    return sorted(found, key=lambda names: (-len(names), names))


def _lay_out_part(part: Sequence[str], down: Sequence[Edge], lanes: Counter[Edge]) -> _Piece:
    number = {name: k for k, name in enumerate(part)}
    pairs = np.array([(number[a], number[b]) for a, b in down], dtype=np.int64).reshape(-1, 2)
    count = [float(lanes[sorted_pair(a, b)]) for a, b in down]
    lines = [np.bincount(pairs[:, s], count, minlength=len(part)) for s in (0, 1)]
    ends = lines[0] + lines[1]
    width = np.array([text_width(name) + PADDING for name in part])
    width = np.maximum(width, (np.maximum(*lines) + 1) * LANE)
    layer = _split_wide_rows(assign_layers(len(part), pairs), pairs, width)
    rows: Rows = [np.flatnonzero(layer == level).tolist() for level in range(layer.max() + 1)]
    beside = list(range(len(part)))  # each gap starts beside the end with fewer edges
    chains: dict[Edge, list[int]] = {}
    wide, links = width.tolist(), []
    for edge, (a, b), breadth in zip(down, pairs.tolist(), count, strict=True):
        chain = [a]
        for level in range(layer[a] + 1, layer[b]):
            rows[level].append(len(wide))
            chain.append(len(wide))
            wide.append(breadth * LANE)
            beside.append(min(a, b, key=lambda k: (ends[k], k)))
        chains[edge] = [*chain, b]
        links += list(pairwise(chains[edge]))
    rows = [sorted(row, key=lambda item: (beside[item], item)) for row in rows]
    each = dict(zip(down, count, strict=True))
    drafts = []
    for order, crossings in order_rows(rows, np.array(links, dtype=np.int64).reshape(-1, 2)):
        ports = _ports(part, chains, order, each)
        x, cost = _columns(order, chains, ports, np.array(wide), len(part))
        y = _heights(order, chains, x)
        cost += CROSSING * crossings + BREADTH * float(x.max() - x.min())
        drafts.append((cost, _Piece(x, y, np.array(wide), chains, ports)))
    return min(drafts, key=lambda draft: draft[0])[1]


def _split_wide_rows(layer: np.ndarray, pairs: np.ndarray, width: np.ndarray) -> np.ndarray:
    # a row of which too much stands side by side becomes several; causes go to the lowest
    limit = max(WIDEST, ASPECT * float(np.sqrt(len(layer) * (width.mean() + GAP))))
    falls = np.bincount(pairs[:, 0], minlength=len(layer))
    rises = np.bincount(pairs[:, 1], minlength=len(layer))
    split, below = np.zeros_like(layer), 0
    for level in range(layer.max() + 1):
        row = np.flatnonzero(layer == level)
        weight = (falls - rises)[row]
        row = row[np.argsort(weight, kind="stable")]
        total = np.cumsum(width[row] + GAP)
        parts = int(np.ceil(total[-1] / limit))
        part = np.minimum((total - 1e-9) * parts // total[-1], parts - 1)
        for equal in np.unique(weight):  # dealt out in turn, so that lines pass between boxes
            mine = np.sort(weight) == equal
            turn = [int((part[mine][:k] == one).sum()) for k, one in enumerate(part[mine])]
            part[mine] = part[mine][np.argsort(turn, kind="stable")]
        split[row] = below + part
        below += parts
    return np.unique(split, return_inverse=True)[1]  # a box may be wider than a row


def _ports(
    part: Sequence[str],
    chains: Mapping[Edge, list[int]],
    rows: Rows,
    lanes: Mapping[Edge, float],
) -> dict[Edge, tuple[float, float]]:
    # lines leave and enter a box side by side, in the order in which they go on
    place = {item: k for row in rows for k, item in enumerate(row)}
    number = {name: k for k, name in enumerate(part)}
    ends: tuple[dict[Edge, float], dict[Edge, float]] = ({}, {})
    for name in part:
        for side, beyond in ((0, 1), (1, -2)):
            mine = [e for e in chains if chains[e][-side] == number[name]]
            mine.sort(key=lambda e: (place[chains[e][beyond]], e))
            room = np.array([lanes[e] for e in mine])
            middle = np.cumsum(room) - room / 2 - room.sum() / 2
            ends[side].update(zip(mine, (middle * LANE).tolist(), strict=True))
    return {edge: (ends[0][edge], ends[1][edge]) for edge in chains}


def _columns(
    rows: Rows,
    chains: Mapping[Edge, list[int]],
    ports: Mapping[Edge, tuple[float, float]],
    width: np.ndarray,
    boxes: int,
) -> tuple[np.ndarray, float]:
    links, slant, weight = [], [], []
    for edge, chain in chains.items():
        left, right = ports[edge]
        last = len(chain) - 2
        for k in range(last + 1):
            links.append((chain[k], chain[k + 1]))
            slant.append((right if k == last else 0.0) - (left if k == 0 else 0.0))
            ends = (k == 0) + (k == last)
            weight.append((STRAIGHT, STRAIGHT / 4, 1.0)[ends])
    apart = [
        (width[a] + width[b]) / 2
        + (GAP if max(a, b) < boxes else BESIDE - LANE / 2 if min(a, b) < boxes else 0.0)
        for row in rows
        for a, b in pairwise(row)
    ]
    return place_columns(
        rows,
        np.array(links, dtype=np.int64).reshape(-1, 2),
        np.array(apart, dtype=float),
        np.array(slant, dtype=float),
        np.array(weight, dtype=float),
    )


def _heights(rows: Rows, chains: Mapping[Edge, list[int]], x: np.ndarray) -> np.ndarray:
    level = {item: k for k, row in enumerate(rows) for item in row}
    reach = np.zeros(len(rows) - 1)
    for chain in chains.values():
        for a, b in pairwise(chain):
            reach[level[a]] = max(reach[level[a]], abs(x[a] - x[b]))
    steps = BOX_HEIGHT + np.minimum(STEP + STEEPNESS * reach, HIGHEST)
    heights = 0.0 - np.concatenate([[0.0], np.cumsum(steps)])
    return np.array([heights[level[item]] for item in range(len(x))])


def _pack(pieces: Sequence[_Piece]) -> list[np.ndarray]:
    # left to right in shelves, the largest first
    boxes = [piece.extent() for piece in pieces]
    area = sum((right - left + GAP) * (high - low + STEP) for left, right, low, high in boxes)
    limit = max([ASPECT * float(np.sqrt(area)), *(right - left for left, right, *_ in boxes)])
    shifts, at, top, shelf = [], 0.0, 0.0, 0.0
    for left, right, low, high in boxes:
        if at and at + right - left > limit:
            at, top, shelf = 0.0, top - shelf - STEP, 0.0
        shifts.append(np.array([at - left, top - high]))
        at += right - left + GAP
        shelf = max(shelf, high - low)
    return shifts
