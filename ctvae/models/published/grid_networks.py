"""Convolutions from an image to a grid of vectors, and back."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from jaxtyping import Float
from torch import Tensor, nn

__all__ = ["GridDecoder", "GridEncoder"]

RESIDUAL_BLOCKS = 6


class ResidualBlock(nn.Module):
    """Adds to features what two convolutions read from them.

    Args:
        width: Channels in and out.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.read = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.ReLU(),
            nn.Conv2d(width, width, 1, bias=False),
        )

    def forward(self, features: Float[Tensor, "batch width h w"]) -> Float[Tensor, "batch ..."]:
        """Runs the block.

        Args:
            features: A grid of vectors.

        Returns:
            A grid of the same shape.
        """
        return features + self.read(features)


def _residual_blocks(width: int) -> list[nn.Module]:
    return [*(ResidualBlock(width) for _ in range(RESIDUAL_BLOCKS)), nn.LeakyReLU()]


class GridEncoder(nn.Sequential):
    """Halves an image once for each hidden width, then reads a vector in every place.

    Args:
        channels: Image channels.
        hidden: Widths of the halving convolutions, in order.
        width: The length of a vector.

    Example:
        >>> import torch
        >>> GridEncoder(1, (8, 16), 4)(torch.rand(2, 1, 32, 32)).shape
        torch.Size([2, 4, 8, 8])
    """

    def __init__(self, channels: int, hidden: Sequence[int], width: int) -> None:
        layers: list[nn.Module] = []
        for before, after in pairwise((channels, *hidden)):
            layers += [nn.Conv2d(before, after, 4, stride=2, padding=1), nn.LeakyReLU()]
        last = hidden[-1]
        layers += [nn.Conv2d(last, last, 3, padding=1), nn.LeakyReLU()]
        super().__init__(*layers, *_residual_blocks(last), nn.Conv2d(last, width, 1))


class GridDecoder(nn.Sequential):
    """Draws an image from a vector in every place, doubling the grid once for each hidden width.

    Args:
        width: The length of a vector.
        hidden: Widths as the encoder has them; run through backwards, and not changed (fault 18).
        channels: Image channels.

    Example:
        >>> import torch
        >>> GridDecoder(4, (8, 16), 1)(torch.rand(2, 4, 8, 8)).shape
        torch.Size([2, 1, 32, 32])
    """

    def __init__(self, width: int, hidden: Sequence[int], channels: int) -> None:
        first = hidden[-1]
        layers: list[nn.Module] = [nn.Conv2d(width, first, 3, padding=1), nn.LeakyReLU()]
        layers += _residual_blocks(first)
        for before, after in pairwise((*reversed(hidden), channels)):
            layers += [nn.ConvTranspose2d(before, after, 4, stride=2, padding=1), nn.LeakyReLU()]
        super().__init__(*layers[:-1])
