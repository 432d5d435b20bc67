"""One picture of a whole world: units, each factor in turn, and counterfactuals."""

from __future__ import annotations

import torch
from jaxtyping import UInt8
from torch import Tensor

from ctvae.data.canvas import Renderer
from ctvae.data.causal_worlds import CausalPairs
from ctvae.errors import ShapeError
from ctvae.randomness import Seed, make_generator

__all__ = ["factor_sheet", "pair_sheet", "tile"]


def tile(images: UInt8[Tensor, "n 3 height width"], columns: int) -> UInt8[Tensor, "H W 3"]:
    """Puts pictures side by side, row by row, a white line between them.

    Args:
        images: The pictures.
        columns: How many stand in a row; the last row is filled up with white.

    Returns:
        One picture, the channels last, as PIL and matplotlib take it.

    Raises:
        ShapeError: When there is no picture, or no column.

    Example:
        >>> tile(torch.zeros(3, 3, 4, 4, dtype=torch.uint8), 2).shape
        torch.Size([11, 11, 3])
    """
    if images.ndim != 4 or not len(images) or columns < 1:
        msg = f"a sheet needs pictures (n, 3, height, width), got {tuple(images.shape)}"
        raise ShapeError(msg)
    framed = torch.nn.functional.pad(images, (1, 0, 1, 0), value=255)
    rows = -(-len(framed) // columns)
    filled = framed.new_full((rows * columns, *framed.shape[1:]), 255)
    filled[: len(framed)] = framed
    _, channels, height, width = framed.shape
    grid = filled.reshape(rows, columns, channels, height, width).permute(0, 3, 1, 4, 2)
    whole = grid.reshape(rows * height, columns * width, channels)
    return torch.nn.functional.pad(whole, (0, 0, 0, 1, 0, 1), value=255)


def factor_sheet(renderer: Renderer, *, seed: Seed) -> UInt8[Tensor, "H W 3"]:
    """Shows each factor in turn: one row per factor, one picture per value, all else held.

    Args:
        renderer: Draws the pictures.
        seed: For what is held in each row.

    Returns:
        One picture; rows are shorter where a factor has fewer values.

    Example:
        >>> from ctvae.data import SpriteScene
        >>> factor_sheet(SpriteScene(), seed=0).shape
        torch.Size([521, 391, 3])
    """
    generator = make_generator(seed)
    sizes = renderer.space.cardinalities
    most = max(sizes)
    held = torch.stack([torch.randint(k, (len(sizes),), generator=generator) for k in sizes], 1)
    codes = held.repeat_interleave(most, 0)
    value = torch.arange(most).repeat(len(sizes))
    column = torch.arange(len(sizes)).repeat_interleave(most)
    size = torch.tensor(sizes)[column]
    codes[torch.arange(len(codes)), column] = value.minimum(size - 1)
    nuisances = torch.rand(len(sizes), renderer.num_nuisances, generator=generator)
    images = renderer.render(codes, nuisances.repeat_interleave(most, 0))
    images[value >= size] = 255
    return tile(images, most)


def pair_sheet(pairs: CausalPairs, columns: int) -> UInt8[Tensor, "H W 3"]:
    """Shows pairs, each unit before its action and below that after it.

    Args:
        pairs: The pairs; the first ``columns`` of them are shown.
        columns: How many stand side by side.

    Returns:
        One picture of two rows.
    """
    shown = pairs.transitions
    rows = torch.cat([shown.before[:columns], shown.after[:columns]])
    return tile(shown.images[rows], min(columns, len(pairs)))
