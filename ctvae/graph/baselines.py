"""Trivial graphs that a method has to beat: empty, random, and sort-and-regress."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

import numpy as np
import torch

from ctvae.errors import DataError, GraphError
from ctvae.graph.causal_graph import CausalGraph
from ctvae.graph.sortability import Rows, check_rows, explained_variances, variances
from ctvae.randomness import Seed, check_count, make_generator

__all__ = ["SortKey", "empty_graph", "random_graph", "sort_and_regress"]


class SortKey(Enum):
    """By what ``sort_and_regress`` sorts the columns, the smallest first."""

    VARIANCE = "variance"
    R2 = "explained variance"
    """The share of a column that all others explain, whatever the units."""


def empty_graph(nodes: Sequence[str]) -> CausalGraph:
    """Makes the graph without edges: the baseline that is hard to beat by SHD on sparse truths.

    Args:
        nodes: The names.

    Returns:
        The graph.

    Example:
        >>> empty_graph(["a", "b"])
        CausalGraph(DAG on a, b: no edges)
    """
    return CausalGraph.from_edges(nodes=nodes)


def random_graph(nodes: Sequence[str], num_edges: int, *, seed: Seed) -> CausalGraph:
    """Draws a DAG with a given number of edges: a uniform order, then uniform pairs.

    Args:
        nodes: The names.
        num_edges: Its edges, usually as many as the truth has.
        seed: For the draws.

    Returns:
        The DAG.

    Raises:
        GraphError: When there are fewer pairs of nodes than edges.

    Example:
        >>> random_graph("abcd", 3, seed=0).num_edges
        3
    """
    names = tuple(nodes)
    rows, columns = np.triu_indices(len(names), k=1)
    if check_count(num_edges, "num_edges") > len(rows):
        msg = f"a DAG over {len(names)} nodes has at most {len(rows)} edges, got {num_edges}"
        raise GraphError(msg)
    generator = make_generator(seed)
    order = torch.randperm(len(names), generator=generator).tolist()
    kept = torch.randperm(len(rows), generator=generator)[:num_edges].tolist()
    edges = [(names[order[rows[k]]], names[order[columns[k]]]) for k in kept]
    return CausalGraph.from_edges(edges, nodes=names)


def sort_and_regress(
    data: Rows, nodes: Sequence[str] | None = None, *, key: SortKey = SortKey.VARIANCE
) -> CausalGraph:
    """Sorts the columns by one number each, and regresses every column on those before it.

    The regressions are sparse (adaptive lasso, its penalty by BIC); an edge is a coefficient that
    is not zero. No causal idea at all: where it does well, the scale of the data gave the order
    away, see ``varsortability``. For continuous or ordinal columns.

    Args:
        data: ``(rows, nodes)``.
        nodes: The names; ``None`` gives ``slot0, slot1, ...``.
        key: The number to sort by; ties go by name.

    Returns:
        A DAG along that order.

    Raises:
        DataError: When there are not more rows than columns.

    Example:
        >>> cause = np.random.default_rng(0).normal(size=500)
        >>> effect = cause + np.random.default_rng(1).normal(size=500)
        >>> sort_and_regress(np.stack([effect, cause], 1), ["effect", "cause"])
        CausalGraph(DAG on effect, cause: cause -> effect)

    Source: Reisach, Seiler and Weichwald (2021), section 3.3, by variance; Reisach, Tami, Seiler,
    Chambaz and Weichwald (2023), by explained variance.
    """
    from sklearn.linear_model import LassoLarsIC, LinearRegression

    width = np.shape(data)[1] if np.ndim(data) == 2 else 0
    names = tuple(f"slot{k}" for k in range(width)) if nodes is None else tuple(nodes)
    rows = check_rows(data, names)
    if len(rows) <= len(names) + 1:
        msg = f"the regressions of {len(names)} columns need more rows than that, got {len(rows)}"
        raise DataError(msg)
    numbers = variances(rows) if key is SortKey.VARIANCE else explained_variances(rows)
    order = sorted(range(len(names)), key=lambda k: (numbers[k], names[k]))
    edges = []
    for place, target in enumerate(order[1:], start=1):
        before = order[:place]
        weights = np.abs(LinearRegression().fit(rows[:, before], rows[:, target]).coef_)
        lasso = LassoLarsIC(criterion="bic").fit(rows[:, before] * weights, rows[:, target])
        kept = np.flatnonzero(lasso.coef_ * weights)
        edges += [(names[before[k]], names[target]) for k in kept]
    return CausalGraph.from_edges(edges, nodes=names)
