"""Batched contingency counts, shared by tests, scores and tables."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from ctvae.errors import DataError, ShapeError

__all__ = [
    "check_weights",
    "contingency_table",
    "counted_rows",
    "cross_tables",
    "joint_index",
    "pair_tables",
]

CHUNK_CELLS = 2**24
"""Pairs of columns are counted in chunks of rows of at most so many indicators, to bound memory."""


def joint_index(
    codes: Int[Tensor, "*batch columns"], cardinalities: Sequence[int]
) -> Int[Tensor, "*batch"]:
    """Gives the row-major index of each row in the product of the columns' codes.

    Args:
        codes: Codes ``(*batch, columns)``, ``0 <= codes[..., c] < cardinalities[c]``.
        cardinalities: The number of codes of each column.

    Returns:
        Indices ``(*batch,)`` in ``[0, prod(cardinalities))``; zeros where there is no column.

    Example:
        >>> joint_index(torch.tensor([[1, 2]]), [2, 3]).tolist()
        [5]
    """
    index = torch.zeros(codes.shape[:-1], dtype=torch.long, device=codes.device)
    for column, size in enumerate(cardinalities):
        index = index * size + codes[..., column]
    return index


def contingency_table(
    codes: Int[Tensor, "rows columns"],
    cardinalities: Sequence[int],
    *,
    weights: Float[Tensor, " rows"] | None = None,
) -> Float[Tensor, "*cards"]:
    """Counts every joint value of a few columns.

    Args:
        codes: Codes ``(rows, columns)``.
        cardinalities: The number of codes of each column, the shape of the table.
        weights: Row weights (repeated rows); one each where ``None``.

    Returns:
        Counts of shape ``cardinalities``, float64.

    Raises:
        ShapeError: When there is not one cardinality per column.

    Example:
        >>> contingency_table(torch.tensor([[0, 1], [0, 1], [1, 0]]), [2, 2]).tolist()
        [[0.0, 2.0], [1.0, 0.0]]

    Cost: O(rows * columns) time, O(prod(cardinalities)) memory.
    """
    if codes.ndim != 2 or codes.shape[1] != len(cardinalities):
        msg = f"codes must be (rows, {len(cardinalities)}), got {tuple(codes.shape)}"
        raise ShapeError(msg)
    size = 1
    for k in cardinalities:
        size *= k
    index = joint_index(codes, cardinalities)
    if weights is None:
        counts = torch.bincount(index, minlength=size).double()
    else:
        counts = torch.bincount(index, weights=weights.double(), minlength=size)
    return counts.reshape(tuple(cardinalities))


def check_weights(
    rows: Shaped[Tensor, "rows columns"], weights: Shaped[Tensor, " rows"] | None
) -> Float[Tensor, " rows"]:
    """Checks how often rows count.

    Args:
        rows: Rows.
        weights: How often each row counts, one number a row; once each where ``None``.

    Returns:
        The weights, float64.

    Raises:
        ShapeError: When there is not one weight for each row.
        DataError: When a weight is negative or not finite.

    Example:
        >>> check_weights(torch.tensor([[0], [1]]), None)
        tensor([1., 1.], dtype=torch.float64)
    """
    if weights is None:
        return torch.ones(len(rows), dtype=torch.float64, device=rows.device)
    if weights.shape != rows.shape[:1]:
        msg = f"weights must be ({len(rows)},), one for each row, got {tuple(weights.shape)}"
        raise ShapeError(msg)
    bad = ~(torch.isfinite(weights) & (weights >= 0))
    if bool(bad.any()):
        msg = f"weights say how often a row counts, 0 or more, got {float(weights[bad][0])}"
        raise DataError(msg)
    return weights.double().to(rows.device)


def counted_rows(
    rows: Shaped[Tensor, "rows columns"], weights: Shaped[Tensor, " rows"] | None
) -> tuple[Shaped[Tensor, "counted columns"], Float[Tensor, " counted"]]:
    """Leaves out the rows that count for nothing.

    Args:
        rows: Rows.
        weights: How often each row counts, as ``check_weights`` takes them.

    Returns:
        The rows that count, and their weights, float64.

    Example:
        >>> counted_rows(torch.tensor([[0], [1]]), torch.tensor([0, 2]))
        (tensor([[1]]), tensor([2.], dtype=torch.float64))
    """
    checked = check_weights(rows, weights)
    return (rows, checked) if weights is None else (rows[checked > 0], checked[checked > 0])


def pair_tables(
    before: Int[Tensor, "rows slots"],
    after: Int[Tensor, "rows slots"],
    num_codes: int,
    *,
    weights: Float[Tensor, "rows slots"] | None = None,
) -> Float[Tensor, "slots codes codes"]:
    """Counts (before, after) codes of every slot in one pass.

    Args:
        before: Codes ``(rows, slots)`` in ``[0, num_codes)``.
        after: Codes ``(rows, slots)`` in ``[0, num_codes)``.
        num_codes: The padded codebook size K.
        weights: A weight per row and slot; one each where ``None``.

    Returns:
        Counts ``(slots, K, K)``, float64: ``[m, u, v]`` counts slot m going from u to v.

    Example:
        >>> pair_tables(torch.tensor([[0], [1]]), torch.tensor([[1], [1]]), 2).tolist()
        [[[0.0, 1.0], [0.0, 1.0]]]

    Cost: O(rows * slots).
    """
    slots = before.shape[1]
    offset = torch.arange(slots, device=before.device) * num_codes
    index = ((offset + before) * num_codes + after).reshape(-1)
    flat = None if weights is None else weights.double().reshape(-1)
    counts = torch.bincount(index, weights=flat, minlength=slots * num_codes**2)
    return counts.double().reshape(slots, num_codes, num_codes)


def cross_tables(
    left: Int[Tensor, "rows left"],
    right: Int[Tensor, "rows right"],
    num_left: int,
    num_right: int,
) -> Float[Tensor, "left right num_left num_right"]:
    """Counts the joint values of every column on the left with every column on the right.

    Args:
        left: Codes in ``[0, num_left)``.
        right: Codes in ``[0, num_right)`` of the same rows.
        num_left: The padded codebook size on the left.
        num_right: The padded codebook size on the right.

    Returns:
        Counts, float64: ``[i, j, u, v]`` counts the rows with u in column i and v in column j.

    Example:
        >>> cross_tables(torch.tensor([[0], [1]]), torch.tensor([[1, 0], [1, 1]]), 2, 2).tolist()
        [[[[0.0, 1.0], [0.0, 1.0]], [[1.0, 0.0], [0.0, 1.0]]]]

    Cost: a matrix product of ``rows`` by the codes on the left by those on the right.
    """
    # Products of zeros and ones, exact in float32 below 2^24 rows; ten times faster than bincount.
    width = left.shape[1] * num_left + right.shape[1] * num_right
    chunk = max(1, min(2**24, CHUNK_CELLS // max(1, width)))
    counts = left.new_zeros((left.shape[1] * num_left, right.shape[1] * num_right)).double()
    for a, b in zip(left.split(chunk), right.split(chunk), strict=True):
        counts += _indicators(a, num_left).T @ _indicators(b, num_right)
    tables = counts.reshape(left.shape[1], num_left, right.shape[1], num_right)
    return tables.transpose(1, 2)


def _indicators(codes: Tensor, num_codes: int) -> Tensor:
    rows, columns = codes.shape
    start = torch.arange(columns, device=codes.device) * num_codes
    empty = torch.zeros(rows, columns * num_codes, device=codes.device)
    return empty.scatter_(1, start + codes, 1.0)
