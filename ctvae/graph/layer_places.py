"""The two linear programmes of a layered drawing: in which row and where in it items stand."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float64, Int64

from ctvae.graph.layer_order import Rows

if TYPE_CHECKING:
    from scipy.sparse import csr_array

__all__ = ["assign_layers", "place_columns"]

CENTRED = 0.6
"""What it costs a box to stand beside the middle of its neighbours; a link's slant costs 1."""


def assign_layers(size: int, edges: Int64[np.ndarray, "edges 2"]) -> Int64[np.ndarray, "nodes"]:
    r"""Gives every node a layer, so that edges point down and are short in all.

    .. math:: \min \sum_{(a, b)} y_b - y_a \quad \text{where} \quad y_b - y_a \ge 1

    The corners of this linear programme are integers, since its matrix is a network's.

    Args:
        size: The number of nodes.
        edges: Pairs ``(a, b)``, a above b, without a cycle.

    Returns:
        ``(nodes,)`` layers, 0 the uppermost.

    Example:
        >>> assign_layers(4, np.array([[0, 1], [1, 2], [3, 2]])).tolist()
        [0, 1, 2, 1]

    Source: Gansner, Koutsofios, North and Vo (1993), A technique for drawing directed graphs,
    section 2.
    Cost: one sparse linear programme of as many variables as nodes and rows as edges.
    """
    if not len(edges):
        return np.zeros(size, dtype=np.int64)
    price = np.bincount(edges[:, 1], minlength=size) - np.bincount(edges[:, 0], minlength=size)
    rows = _differences(edges, size)  # y_a - y_b <= -1
    layers = _solve(price.astype(float), rows, np.full(len(edges), -1.0))
    whole = np.rint(layers).astype(np.int64)
    return whole - whole.min()


def place_columns(
    rows: Rows,
    links: Int64[np.ndarray, "links 2"],
    apart: Float64[np.ndarray, "pairs"],
    slant: Float64[np.ndarray, "links"],
    weight: Float64[np.ndarray, "links"],
) -> tuple[Float64[np.ndarray, "items"], float]:
    r"""Places the items of ordered rows so that links run straight down.

    .. math:: \min \sum_l w_l |x_b + s_l - x_a| + \text{a share of each item's distance from the
        middle of its neighbours}

    where neighbours in a row keep their distance.

    Args:
        rows: The items of each row, in order.
        links: Pairs ``(a, b)``, ``b`` in the next row.
        apart: The least distance of each item from the next in its row, rows joined end to end.
        slant: ``s``, how much further right the link ends than item b stands, less the same at a.
        weight: ``w``, the price of a slanted link.

    Returns:
        ``(items,)`` places in the unit of ``apart``, and the minimum.

    Example:
        >>> none = np.zeros(2)
        >>> links = np.array([[0, 1], [0, 2]])
        >>> place_columns([[0], [1, 2]], links, np.ones(1), none, none + 1)
        (array([ 0. , -0.5,  0.5]), 1.6)

    Source: Gansner, Koutsofios, North and Vo (1993), section 4, with the middles added.
    Cost: one sparse linear programme of 2 * items + links variables; 50 ms for 300 items.
    """
    from scipy.sparse import block_array, eye_array

    count = sum(map(len, rows))
    next_to = [(a, b) for row in rows for a, b in pairwise(row)]
    pairs = np.array(next_to, dtype=np.int64).reshape(-1, 2)
    joined, middles = -_differences(links, count), _middles(links, count)
    stiff, soft = eye_array(len(links)), eye_array(count)
    matrix = block_array(
        [
            [_differences(pairs, count), None, None],  # x_left - x_right <= -apart
            [joined, -stiff, None],
            [-joined, -stiff, None],
            [middles, None, -soft],
            [-middles, None, -soft],
        ],
        format="csr",
    )
    bound = np.concatenate([-apart, -slant, slant, np.zeros(2 * count)])
    price = np.concatenate([np.zeros(count), weight, np.full(count, CENTRED)])
    found = _solve(price, matrix, bound)
    return found[:count] - found[rows[0][0]], float(price @ found)


def _middles(links: Int64[np.ndarray, "links 2"], count: int) -> csr_array:
    # x minus the mean of the neighbours
    from scipy.sparse import coo_array

    a, b = links.T
    degree = np.bincount(links.ravel(), minlength=count)
    own = np.arange(count)
    values = np.concatenate([(degree > 0).astype(float), -1 / degree[a], -1 / degree[b]])
    at = (np.concatenate([own, a, b]), np.concatenate([own, b, a]))
    return coo_array((values, at), shape=(count, count)).tocsr()


def _differences(pairs: Int64[np.ndarray, "pairs 2"], count: int) -> csr_array:
    from scipy.sparse import coo_array

    each = np.arange(len(pairs))
    values = np.repeat([1.0, -1.0], len(pairs))
    at = (np.concatenate([each, each]), pairs.T.ravel())
    return coo_array((values, at), shape=(len(pairs), count)).tocsr()


def _solve(
    price: Float64[np.ndarray, "variables"],
    matrix: csr_array,
    bound: Float64[np.ndarray, "rows"],
) -> Float64[np.ndarray, "variables"]:
    # feasible and bounded by construction; simplex, whose answer is a corner
    from scipy.optimize import linprog

    found = linprog(price, A_ub=matrix, b_ub=bound, bounds=(None, None), method="highs-ds")
    assert found.status == 0, found.message
    return found.x
