"""Sortability: how much of a causal order the scale of simulated data gives away."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from torch import Tensor

from ctvae.errors import DataError, GraphError
from ctvae.graph.causal_graph import CausalGraph
from ctvae.graph.kinds import GraphKind

__all__ = [
    "Rows",
    "check_rows",
    "explained_variances",
    "r2_sortability",
    "variances",
    "varsortability",
]

DIGITS = 9
"""Significant digits compared; two columns always explain each other equally, but for rounding."""

Rows = Float[np.ndarray, "rows nodes"] | Float[Tensor, "rows nodes"]


def varsortability(data: Rows, truth: CausalGraph) -> float:
    r"""Gives the share of causal paths along which the variance grows.

    .. math:: \frac{\sum_k \sum_{i \to j \in E^k} \mathrm{incr}(\mathrm{Var}\,X_i,
        \mathrm{Var}\,X_j)}{\sum_k \sum_{i \to j \in E^k} 1}

    with pairs joined by a path of k edges in :math:`E^k`, and ``incr`` 1, 1/2 or 0 where the
    variance grows, stays or falls. Near 1, sorting by variance recovers the order, and a win on
    such raw data shows nothing; 1/2 is what an unrelated order gives. It depends on the units:
    standardised data have 1/2. For continuous or ordinal columns; codes without an order have none.

    Args:
        data: ``(rows, nodes)``, columns in the truth's node order.
        truth: The true DAG.

    Returns:
        A figure in [0, 1].

    Example:
        >>> truth = CausalGraph.from_edges([("a", "b"), ("b", "c")])
        >>> varsortability(np.array([[0.0, 0.0, 0.0], [1.0, 2.0, 3.0]]), truth)
        1.0

    Source: Reisach, Seiler and Weichwald (2021), Beware of the simulated DAG, section 3.1.
    """
    rows = check_rows(data, truth.nodes)
    return _share_in_order(variances(rows), truth)


def r2_sortability(data: Rows, truth: CausalGraph) -> float:
    r"""Gives the share of causal paths along which the explained variance grows.

    As ``varsortability``, with :math:`R^2_k`, the share of a variable's variance that a linear
    regression on all others explains, in the place of its variance. It does not depend on the
    units, so standardising does not remove it.

    Args:
        data: ``(rows, nodes)``, columns in the truth's node order.
        truth: The true DAG.

    Returns:
        A figure in [0, 1].

    Example:
        >>> a, b, noise = np.arange(8) % 2, np.arange(8) // 2 % 2, np.arange(8) // 4
        >>> truth = CausalGraph.from_edges([("a", "c"), ("b", "c")], nodes=["a", "b", "c"])
        >>> r2_sortability(np.stack([a, b, a + b + noise], 1), truth)
        1.0

    Source: Reisach, Tami, Seiler, Chambaz and Weichwald (2023), A scale-invariant sorting
    criterion to find a causal order, equation 3.
    """
    return _share_in_order(explained_variances(check_rows(data, truth.nodes)), truth)


def variances(rows: Float[np.ndarray, "rows nodes"]) -> Float[np.ndarray, " nodes"]:
    """Gives the variance of every column, to nine digits.

    Args:
        rows: ``(rows, nodes)``.

    Returns:
        ``(nodes,)``; standardised columns have exactly 1.

    Example:
        >>> variances(np.array([[0.0, 1.0], [2.0, 1.0]]))
        array([1., 0.])
    """
    return _rounded(rows.var(0))


def explained_variances(rows: Float[np.ndarray, "rows nodes"]) -> Float[np.ndarray, " nodes"]:
    r"""Gives the :math:`R^2` of every column regressed on all others.

    .. math:: R^2_k = 1 - 1 / (C^{-1})_{kk}

    with C the correlation matrix.

    Args:
        rows: ``(rows, nodes)`` without a constant column.

    Returns:
        ``(nodes,)`` in [0, 1], to nine digits; where columns determine one another, by least
        squares.

    Example:
        >>> explained_variances(np.array([[0.0, 1.0], [1.0, 1.0], [0.0, 0.0], [1.0, 0.0]]))
        array([0., 0.])
    """
    centred = (rows - rows.mean(0)) / rows.std(0)
    correlation = centred.T @ centred / len(rows)
    if np.linalg.cond(correlation) < 1 / np.finfo(float).eps:
        return _rounded(np.clip(1 - 1 / np.diag(np.linalg.inv(correlation)), 0.0, 1.0))
    found = np.zeros(rows.shape[1])
    for k in range(rows.shape[1]):
        others = np.delete(centred, k, axis=1)
        fitted = others @ np.linalg.lstsq(others, centred[:, k])[0]
        found[k] = 1 - np.square(centred[:, k] - fitted).mean()
    return _rounded(np.clip(found, 0.0, 1.0))


def check_rows(data: Rows, nodes: tuple[str, ...]) -> Float[np.ndarray, "rows nodes"]:
    """Checks numbers whose scale is to be read.

    Args:
        data: ``(rows, nodes)`` numbers.
        nodes: The names of the columns.

    Returns:
        The same as float64.

    Raises:
        DataError: When there is not one column a node or are not two rows, or a column is
            constant or holds what is no number.
    """
    if isinstance(data, Tensor):
        data = data.detach().cpu().numpy()
    rows = np.asarray(data, dtype=np.float64)
    if rows.ndim != 2 or rows.shape[1] != len(nodes) or len(rows) < 2:
        msg = (
            f"data must be (rows, {len(nodes)}) with two rows at least, one column for each of "
            f"{', '.join(nodes)}; got shape {rows.shape}"
        )
        raise DataError(msg)
    for name, column in zip(nodes, rows.T, strict=True):
        if not np.isfinite(column).all():
            msg = f"column {name!r} holds entries that are not finite; drop those rows first"
            raise DataError(msg)
        if (column == column[0]).all():
            msg = f"column {name!r} is constant and has no place in any order; leave it out"
            raise DataError(msg)
    return rows


def _share_in_order(scores: np.ndarray, truth: CausalGraph) -> float:
    if truth.kind is not GraphKind.DAG or not truth.directed:
        got = "has no edge" if truth.kind is GraphKind.DAG else f"is of kind {truth.kind.value}"
        msg = f"sortability is read along the directed paths of a true DAG, and this truth {got}"
        raise GraphError(msg)
    edges = truth.to_numpy().astype(np.int64)
    credit = (np.sign(scores - scores[:, None]) + 1) / 2  # [i, j]: 1 where j has more than i
    paths, total, in_order = edges, 0, 0.0
    while paths.any():
        total += int(paths.sum())
        in_order += float((paths * credit).sum())
        paths = (paths @ edges > 0).astype(np.int64)
    return in_order / total


def _rounded(values: np.ndarray) -> np.ndarray:
    return np.array([float(f"{value:.{DIGITS}g}") for value in values])
