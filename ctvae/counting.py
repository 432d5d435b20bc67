"""Batched contingency counts, shared by tests, scores and tables."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from ctvae.errors import DataError, ShapeError

__all__ = ["check_weights", "contingency_table", "counted_rows", "joint_index", "pair_tables"]


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
