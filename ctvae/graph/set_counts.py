"""Contingency tables of many parent sets of a child at once."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ctvae.counting import joint_index
from ctvae.errors import StateSpaceError

__all__ = ["CELLS", "count_sets", "distinct_rows", "num_configurations", "sets_at_once"]

CELLS = 2**22
"""How many table cells or row indices are held at once; the answer does not depend on it."""
LARGEST_INDEX = 2**62


def num_configurations(key: Sequence[int], child: int, sizes: Sequence[int]) -> int:
    """Gives the number of configurations of some parents.

    Args:
        key: The parents' columns.
        child: The child's column.
        sizes: The number of codes of each column.

    Returns:
        The product of the parents' numbers of codes.

    Raises:
        StateSpaceError: When the table has more cells than an integer can index.
    """
    cells = math.prod(sizes[parent] for parent in key)
    if cells * sizes[child] >= LARGEST_INDEX:
        msg = (
            f"{len(key)} parents of column {child} have {cells:.1e} configurations, "
            "too many to index; lower max_parents or merge codes"
        )
        raise StateSpaceError(msg)
    return cells


def distinct_rows(
    columns: Int[Tensor, "slots rows"], weights: Float[Tensor, " rows"], sizes: Sequence[int]
) -> tuple[Int[Tensor, "slots distinct"], Float[Tensor, " distinct"]]:
    """Merges equal rows.

    Args:
        columns: The rows, column by column.
        weights: How often each row counts.
        sizes: The number of codes of each column.

    Returns:
        The distinct rows and their weights; the rows as they are where they cannot be numbered.

    Cost: one sort of the rows.
    """
    if math.prod(sizes) >= LARGEST_INDEX:
        return columns, weights
    index, place = torch.unique(joint_index(columns.T, sizes), return_inverse=True)
    totals = weights.new_zeros(len(index)).index_add_(0, place, weights)
    found = []
    for size in sizes[::-1]:
        found.append(index % size)
        index = index // size
    return torch.stack(found[::-1]), totals


def sets_at_once(rows: int, configurations: int, cells: int) -> int:
    """Says how many sets are counted at once, so that neither indices nor tables grow too large.

    Args:
        rows: The number of rows.
        configurations: The number of configurations of the parents.
        cells: The number of cells for each configuration.

    Returns:
        At least one.
    """
    return max(1, CELLS // max(rows, min(configurations, rows) * cells))


def count_sets(
    columns: Int[Tensor, "slots rows"],
    weights: Float[Tensor, " rows"],
    sizes: Sequence[int],
    child: int,
    sets: Sequence[tuple[int, ...]],
    configurations: int,
    *,
    group: Int[Tensor, " rows"] | None = None,
    groups: int = 1,
) -> Float[Tensor, "sets configurations groups codes"]:
    """Counts one table per parent set; of a sparse one only the configurations that occur.

    Args:
        columns: The rows, column by column.
        weights: How often each row counts.
        sizes: The number of codes of each column.
        child: The child's column.
        sets: Columns of the parents, sets of one size and one number of configurations.
        configurations: That number.
        group: What else tells rows apart, such as their regime.
        groups: The number of groups.

    Returns:
        Counts, float64.

    Cost: one pass over the rows for each set, and a sort of them where tables are sparse.
    """
    codes, device = sizes[child], columns.device
    parents = torch.tensor(sets, dtype=torch.long, device=device)
    radix = torch.tensor(sizes, device=device)
    index = torch.zeros(len(sets), len(weights), dtype=torch.long, device=device)
    for place in range(parents.shape[1]):
        index = index * radix[parents[:, place], None] + columns[parents[:, place]]
    present = configurations
    if configurations * codes > 2 * len(weights):
        index, present = _renumber(index)
    if group is not None:
        index = index * groups + group
    index = index * codes + columns[child]
    table = present * groups * codes
    index += torch.arange(len(sets), device=device)[:, None] * table
    counts = torch.bincount(
        index.reshape(-1),
        weights=weights.expand(len(sets), -1).reshape(-1),
        minlength=len(sets) * table,
    )
    return counts.reshape(len(sets), present, groups, codes)


def _renumber(index: Int[Tensor, "sets rows"]) -> tuple[Int[Tensor, "sets rows"], int]:
    # the rank of each value among the distinct values of its own line
    ordered, place = index.sort(dim=1)
    step = torch.zeros_like(ordered)
    step[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    rank = torch.empty_like(index).scatter_(1, place, step.cumsum(1))
    return rank, int(rank.max()) + 1
