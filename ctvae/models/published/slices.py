"""How the channels of a grid are dealt out to several codebooks."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

__all__ = ["disjoint_slices", "joined_slices", "overlapping_slices"]


def disjoint_slices(
    grid: Float[Tensor, "batch channels h w"], codebooks: int
) -> Float[Tensor, "batch slots width"]:
    """Deals channels out so that every one is read by one codebook.

    Args:
        grid: A vector in every place.
        codebooks: How many codebooks; divides the channels.

    Returns:
        ``width = channels / codebooks`` numbers for each slot; slot ``c * places + p`` is place
        ``p`` through codebook ``c``.

    Example:
        >>> import torch
        >>> disjoint_slices(torch.arange(4.0).reshape(1, 4, 1, 1), 2).tolist()
        [[[0.0, 1.0], [2.0, 3.0]]]
    """
    return grid.flatten(2).unflatten(1, (codebooks, -1)).transpose(2, 3).flatten(1, 2)


def overlapping_slices(
    grid: Float[Tensor, "batch channels h w"], codebooks: int
) -> Float[Tensor, "batch slots width"]:
    """Fault 17: codebook ``c`` reads the channels from ``c`` on, so that slices overlap.

    Of 128 channels and 4 codebooks, 35 are read and 93 get no gradient.

    Args:
        grid: A vector in every place.
        codebooks: How many codebooks; divides the channels.

    Returns:
        ``width = channels / codebooks`` numbers for each slot, as ``disjoint_slices``.

    Example:
        >>> import torch
        >>> overlapping_slices(torch.arange(4.0).reshape(1, 4, 1, 1), 2).tolist()
        [[[0.0, 1.0], [1.0, 2.0]]]
    """
    width = grid.shape[1] // codebooks
    windows = grid.flatten(2).unfold(1, width, 1)[:, :codebooks]
    return windows.flatten(1, 2)


def joined_slices(
    vectors: Float[Tensor, "batch slots width"], codebooks: int, side: int
) -> Float[Tensor, "batch channels h w"]:
    """Puts the vectors of all codebooks on one grid, one after another.

    Args:
        vectors: A vector for each slot.
        codebooks: How many codebooks.
        side: Of the grid.

    Returns:
        ``(batch, codebooks * width, side, side)``.

    Example:
        >>> import torch
        >>> grid = torch.arange(8.0).reshape(1, 2, 2, 2)
        >>> bool((joined_slices(disjoint_slices(grid, 2), 2, 2) == grid).all())
        True
    """
    dealt = vectors.unflatten(1, (codebooks, -1)).transpose(2, 3)
    return dealt.flatten(1, 2).unflatten(-1, (side, side))
