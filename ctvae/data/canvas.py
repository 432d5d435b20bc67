"""What every renderer of 64x64 scenes shares: its interface, the grid of pixels, the noise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from ctvae.errors import ShapeError
from ctvae.slots import SlotSpace

__all__ = ["SIDE", "Renderer", "check_scenes", "draw_in_parts", "finish", "pixel_centres"]

SIDE = 64
"""Pixels on a side."""
PART = 64
"""Scenes drawn at once: enough to keep the arithmetic busy, few enough to stay in the cache."""
NOISE = 0.012
"""Half-range of the noise of a pixel, in [0, 1]: three grey levels."""
NUISANCE_LEVELS = 2**24
"""A nuisance in [0, 1) is a 24-bit fraction, exact in single precision."""


@runtime_checkable
class Renderer(Protocol):
    """Draws pictures of factors: what a causal world needs of its images.

    A renderer is a small immutable value. It is a function: equal factors and equal nuisances give
    equal pictures. All factors are visible in every picture, whatever the nuisances.
    """

    @property
    def space(self) -> SlotSpace:
        """The factors, in column order."""

    @property
    def num_nuisances(self) -> int:
        """How many numbers in [0, 1) say what no factor says: jitter, lightness, noise."""

    def render(
        self, factors: Int[Tensor, "n factors"], nuisances: Float[Tensor, "n nuisances"]
    ) -> UInt8[Tensor, "n 3 height width"]:
        """Draws one picture per row, on the device of the factors.

        Args:
            factors: Codes of the factors.
            nuisances: Numbers in [0, 1).

        Returns:
            The pictures.
        """


def check_scenes(renderer: Renderer, factors: Tensor, nuisances: Tensor) -> Int[Tensor, "n f"]:
    """Checks what a renderer is asked to draw.

    Args:
        renderer: The renderer.
        factors: Codes ``(n, factors)``.
        nuisances: Numbers ``(n, nuisances)`` in [0, 1).

    Returns:
        The codes as int64.

    Raises:
        ShapeError: When there is not one row of nuisances per row of factors.
        CodeError: When a code is outside its codebook.
    """
    codes = renderer.space.check_codes(factors)
    wanted = (len(codes), renderer.num_nuisances)
    if codes.ndim != 2 or tuple(nuisances.shape) != wanted or not nuisances.is_floating_point():
        msg = (
            f"a scene is a row of factors and a row of {renderer.num_nuisances} nuisances in "
            f"[0, 1), got factors {tuple(codes.shape)} and {nuisances.dtype} nuisances "
            f"{tuple(nuisances.shape)}"
        )
        raise ShapeError(msg)
    return codes


def draw_in_parts(
    draw: Callable[[Tensor, Tensor], Tensor],
    factors: Int[Tensor, "n factors"],
    nuisances: Float[Tensor, "n nuisances"],
) -> UInt8[Tensor, "n 3 side side"]:
    """Draws many scenes in bounded memory.

    Args:
        draw: Draws a part: from factors and nuisances to uint8 pictures.
        factors: Codes of all scenes.
        nuisances: Their nuisances.

    Returns:
        All pictures.
    """
    if not len(factors):
        return torch.empty(0, 3, SIDE, SIDE, dtype=torch.uint8, device=factors.device)
    parts = zip(factors.split(PART), nuisances.split(PART), strict=True)
    return torch.cat([draw(codes, own) for codes, own in parts])


def pixel_noise(nuisance: Float[Tensor, " n"]) -> Float[Tensor, "n 1 side side"]:
    """Makes the noise that a nuisance stands for: uniform, one grey level per pixel.

    A hash of the nuisance and the pixel's number, in whole numbers: the same on every device.

    Args:
        nuisance: A number in [0, 1) per picture.

    Returns:
        Noise in ``[-NOISE, NOISE]``.

    Source: Wellons (2018), the 32-bit hash "lowbias32".
    """
    word = 0xFFFFFFFF
    seed = (nuisance.double() * NUISANCE_LEVELS).long()[:, None] * 0x9E3779B9
    x = (seed + torch.arange(SIDE * SIDE, device=nuisance.device)) & word
    x = ((x ^ (x >> 16)) * 0x7FEB352D) & word
    x = ((x ^ (x >> 15)) * 0x846CA68B) & word
    unit = (x ^ (x >> 16)).float() / word
    return ((2 * unit - 1) * NOISE).reshape(-1, 1, SIDE, SIDE)


def finish(
    picture: Float[Tensor, "n 3 side side"], noise: Float[Tensor, " n"]
) -> UInt8[Tensor, "n 3 side side"]:
    """Adds the noise and rounds to 256 levels.

    Args:
        picture: RGB in [0, 1].
        noise: The nuisance that picks each picture's noise.

    Returns:
        The pictures.
    """
    return ((picture + pixel_noise(noise)).clamp(0, 1) * 255).round().to(torch.uint8)


def pixel_centres(side: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Gives the centres of the pixels of a square picture.

    Args:
        side: Pixels on a side.
        device: Where.

    Returns:
        x to the right and y down ``(1, side, side)``, in pixels of a picture of ``SIDE``.
    """
    axis = (torch.arange(side, device=device) + 0.5) * (SIDE / side)
    py, px = torch.meshgrid(axis, axis, indexing="ij")
    return px[None], py[None]
