"""Pictures of factors: the mini-sprites grid, and coloured shapes drawn from distances."""

from __future__ import annotations

import colorsys
import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ctvae.data.images import ImageSet
from ctvae.slots import Slot, SlotSpace

__all__ = ["draw_shapes", "hue_palette", "mini_sprites"]

SIDE = 32
"""Pixels on a side."""


def mini_sprites() -> ImageSet:
    r"""Renders the mini-sprites benchmark: 3,072 grey images, every combination of five factors.

    Shape (square, ellipse, triangle), scale (4), orientation (4), x (8) and y (8) in row-major
    order, 32x32 pixels with 4x4 supersampling of a binary mask. With r = .09, .12, .15, .18,
    angle t = k pi / 8, centre = .2 + .6 k / 7 on each axis, and

    .. math:: u = (\cos t\, dx + \sin t\, dy) / r, \quad v = (-\sin t\, dx + \cos t\, dy) / r

    a square is ``|u|, |v| <= .85``, an ellipse ``u^2 + (v / .5)^2 <= 1``, and a triangle
    ``-1 <= v <= .6`` with ``|u| <= .55 (v + 1)``.

    Returns:
        All images as floats, with their factors.

    Example:
        >>> mini_sprites().images.shape
        torch.Size([3072, 1, 32, 32])
    """
    sizes = (3, 4, 4, 8, 8)
    space = SlotSpace(
        Slot(name, size)
        for name, size in zip(("shape", "scale", "orientation", "x", "y"), sizes, strict=True)
    )
    factors = torch.cartesian_prod(*[torch.arange(size) for size in sizes])
    sub = SIDE * 4
    axis = (torch.arange(sub).double() + 0.5) / sub
    py, px = torch.meshgrid(axis, axis, indexing="ij")  # y runs down the rows
    images = [_mini_sprite(row, px, py) for row in factors.split(64)]
    return ImageSet(torch.cat(images), factors, space, moves=space.names)


def _mini_sprite(factors: Tensor, px: Tensor, py: Tensor) -> Tensor:
    shape, scale, turn, cx, cy = factors.double()[:, :, None, None].unbind(1)
    radius = torch.tensor([0.09, 0.12, 0.15, 0.18]).double()[scale.long()]
    angle = turn * math.pi / 8
    dx, dy = px - (0.2 + 0.6 * cx / 7), py - (0.2 + 0.6 * cy / 7)
    u = (angle.cos() * dx + angle.sin() * dy) / radius
    v = (-angle.sin() * dx + angle.cos() * dy) / radius
    square = (u.abs() <= 0.85) & (v.abs() <= 0.85)
    ellipse = u**2 + (v / 0.5) ** 2 <= 1
    triangle = (v >= -1) & (v <= 0.6) & (u.abs() <= 0.55 * (v + 1))
    mask = torch.where(shape == 0, square, torch.where(shape == 1, ellipse, triangle))
    return torch.nn.functional.avg_pool2d(mask[:, None].float(), 4)


def hue_palette(
    count: int, *, saturation: float = 0.85, value: float = 0.95
) -> Float[Tensor, "count 3"]:
    """Gives colours evenly spaced around the hue circle.

    Args:
        count: How many.
        saturation: In [0, 1]; 0 is grey.
        value: In [0, 1]; 0 is black.

    Returns:
        RGB in [0, 1].

    Example:
        >>> hue_palette(2).shape
        torch.Size([2, 3])
    """
    return torch.tensor([colorsys.hsv_to_rgb(k / count, saturation, value) for k in range(count)])


def draw_shapes(
    shape: Int[Tensor, " n"],
    colour: Float[Tensor, "n 3"],
    radius: Float[Tensor, " n"],
    centre: Float[Tensor, "n 2"],
    background: Float[Tensor, " n"],
) -> Tensor:
    """Draws one coloured shape per image on a grey ground, with smooth edges.

    Coverage of a pixel is a ramp of one pixel's width in the signed distance to the outline.

    Args:
        shape: 0 disc, 1 cross, 2 triangle.
        colour: RGB in [0, 1].
        radius: The radius in canvas units (the canvas is [0, 1] on each axis).
        centre: x to the right and y down, in canvas units.
        background: The grey level in [0, 1].

    Returns:
        ``(n, 3, 32, 32)`` uint8.

    Example:
        >>> one = torch.ones(1)
        >>> draw_shapes(one.long(), torch.ones(1, 3), one / 4, torch.full((1, 2), 0.5), one * 0)[
        ...     0, :, 16, 16
        ... ].tolist()
        [255, 255, 255]
    """
    axis = (torch.arange(SIDE) + 0.5) / SIDE
    py, px = torch.meshgrid(axis, axis, indexing="ij")
    dx = px - centre[:, 0, None, None]
    dy = py - centre[:, 1, None, None]
    r = radius[:, None, None]
    disc = (dx**2 + dy**2).sqrt() - r
    wide = torch.maximum(dx.abs() - r, dy.abs() - 0.34 * r)
    tall = torch.maximum(dx.abs() - 0.34 * r, dy.abs() - r)
    cross = torch.minimum(wide, tall)
    slope = math.sqrt(3) / 2
    triangle = torch.maximum(slope * dx.abs() - 0.5 * dy, dy) - 0.58 * r
    kind = shape[:, None, None]
    distance = torch.where(kind == 0, disc, torch.where(kind == 1, cross, triangle))
    cover = (0.5 - distance * SIDE).clamp(0, 1)[:, None]
    ground = background[:, None, None, None]
    picture = ground + cover * (colour[:, :, None, None] - ground)
    return (picture * 255).round().to(torch.uint8)
