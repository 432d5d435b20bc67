"""Rows of factors and codes: what every score asks of them, and their split into two parts."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ctvae.errors import DataError, ShapeError
from ctvae.randomness import Seed, make_generator

__all__ = ["check_both", "check_codes", "one_hot", "split_rows"]


def check_codes(codes: Tensor, name: str = "codes") -> None:
    """Refuses what is no table of codes.

    Args:
        codes: ``(rows, columns)`` integers from 0.
        name: What the message calls it.

    Raises:
        ShapeError: When it is no tensor of integers with two dimensions, or empty.
        DataError: When a code is negative, as codes are that nobody has filled in.
    """
    if not isinstance(codes, Tensor) or codes.ndim != 2 or not codes.numel():
        got = tuple(codes.shape) if isinstance(codes, Tensor) else type(codes).__name__
        msg = f"{name} must be (rows, columns) with at least one of each, got {got}"
        raise ShapeError(msg)
    if codes.is_floating_point() or codes.is_complex() or codes.dtype == torch.bool:
        msg = (
            f"{name} must be integers, got {codes.dtype}; numbers on a scale have scores of their "
            "own: mean_correlation, r2_matrix, factor_vae_score_of_latents, "
            "beta_vae_score_of_latents"
        )
        raise ShapeError(msg)
    if int(codes.min()) < 0:
        row, column = (codes < 0).nonzero()[0].tolist()
        msg = (
            f"{name} hold {int(codes[row, column])} in row {row}, column {column}, which is no "
            "code; leave such rows out: keep = (codes >= 0).all(1)"
        )
        raise DataError(msg)


def check_both(factors: Tensor, codes: Tensor) -> None:
    """Refuses factors and codes that are not of the same rows.

    Args:
        factors: ``(rows, factors)`` integers from 0.
        codes: ``(rows, slots)`` integers from 0.

    Raises:
        ShapeError: When the numbers of rows differ, or one is no table of integers.
    """
    check_codes(factors, "factors")
    check_codes(codes, "codes")
    if len(factors) != len(codes):
        msg = f"factors have {len(factors)} rows, codes {len(codes)}; give both of the same images"
        raise ShapeError(msg)


def split_rows(
    num_rows: int, held_out: float, *, seed: Seed
) -> tuple[Int[Tensor, " train"], Int[Tensor, " test"]]:
    """Draws the rows to fit on and the rows to score on.

    Args:
        num_rows: How many rows there are.
        held_out: The share to score on, in (0, 1).
        seed: For the draw.

    Returns:
        Row numbers of the two parts, which share none.

    Raises:
        DataError: When a part would be empty.

    Example:
        >>> train, test = split_rows(10, 0.3, seed=0)
        >>> sorted([*train.tolist(), *test.tolist()]) == list(range(10)), len(test)
        (True, 3)
    """
    count = round(num_rows * held_out)
    if not 0 < count < num_rows:
        msg = f"held_out={held_out} leaves a part of {num_rows} rows empty; it lies in (0, 1)"
        raise DataError(msg)
    order = torch.randperm(num_rows, generator=make_generator(seed))
    return order[count:], order[:count]


def one_hot(
    codes: Int[Tensor, "rows slots"],
) -> tuple[Float[Tensor, "rows columns"], Int[Tensor, " columns"]]:
    """Gives every code of every slot a column of its own.

    Args:
        codes: Codes of the slots.

    Returns:
        A 1 in the column of each code, and the slot that each column belongs to.

    Example:
        >>> columns, slot = one_hot(torch.tensor([[0, 1], [1, 2]]))
        >>> columns.long().tolist(), slot.tolist()
        ([[1, 0, 0, 1, 0], [0, 1, 0, 0, 1]], [0, 0, 1, 1, 1])
    """
    sizes = codes.max(0).values + 1
    start = sizes.cumsum(0) - sizes
    columns = codes.new_zeros((len(codes), int(sizes.sum())), dtype=torch.double)
    columns.scatter_(1, start + codes, 1.0)
    return columns, torch.arange(codes.shape[1], device=codes.device).repeat_interleave(sizes)
