"""A flat scene: one marked, coloured shape on a coloured ground, and a row of dots."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from ctvae.data.canvas import check_scenes, draw_in_parts, finish, pixel_centres
from ctvae.data.render import hue_palette
from ctvae.slots import Slot, SlotSpace

__all__ = ["SpriteScene"]

SPACE = SlotSpace([
    Slot("shape", 4, states=("disc", "bar", "triangle", "cross")),
    Slot("size", 3, states=("small", "medium", "large")),
    Slot("hue", 6),
    Slot("x", 4),
    Slot("y", 4),
    Slot("turn", 4, states=("right", "down", "left", "up")),
    Slot("ground", 5),
    Slot("dots", 4, states=("one", "two", "three", "four")),
])
"""The factors: names that say what is seen, not what it means."""
RADII = (8.0, 10.2, 12.5)
"""Pixels from the middle of a shape to its outline."""
LEFT, RIGHT, TOP, BOTTOM = 15.0, 49.0, 14.5, 42.5
"""Where the middle of a shape may be; the dots lie below."""
DOT_ROW, DOT_GAP, DOT_RADIUS = 60.0, 8.0, 2.8
MARK_PLACE, MARK_RADIUS, MARK_LEVEL = 0.42, 0.38, 0.04
"""The mark that shows where a shape points to, in radii, and its grey."""
JITTER = 0.15
"""Half-range of the shift of a shape, in pixels."""
BODY_SHADE, GROUND_SHADE = 0.06, 0.05
"""How much darker, at most, the shape and the ground of a scene are."""


@dataclass(frozen=True)
class SpriteScene:
    """Draws eight factors as a flat 64x64 picture with smooth edges.

    A shape (disc, bar, triangle or cross) of a size and hue stands at x and y and points in one
    of four directions; a dark mark on it shows which, so that no direction looks like another. The
    ground has a hue, and one to four dots lie below. Nuisances: a shift of the shape by a fraction
    of a pixel, its lightness, the lightness of the ground, and the noise of the pixels. Two scenes
    that differ in a factor differ by more than any two scenes of equal factors.

    Example:
        >>> scene = SpriteScene()
        >>> codes = torch.zeros(2, len(scene.space), dtype=torch.long)
        >>> scene.render(codes, torch.zeros(2, scene.num_nuisances)).shape
        torch.Size([2, 3, 64, 64])
    """

    @property
    def space(self) -> SlotSpace:
        """The factors, in column order."""
        return SPACE

    @property
    def num_nuisances(self) -> int:
        """Shift in x and y, lightness of the shape and of the ground, noise."""
        return 5

    def render(
        self, factors: Int[Tensor, "n 8"], nuisances: Float[Tensor, "n 5"]
    ) -> UInt8[Tensor, "n 3 64 64"]:
        """Draws one picture per row.

        Args:
            factors: Codes of the factors.
            nuisances: Numbers in [0, 1).

        Returns:
            The pictures, on the device of the factors.

        Raises:
            ShapeError: When there is not one row of nuisances per row of factors.
            CodeError: When a code is outside its codebook.
        """
        codes = check_scenes(self, factors, nuisances)
        return draw_in_parts(_draw, codes, nuisances.to(codes.device, torch.float32))


def _draw(factors: Tensor, nuisances: Tensor) -> Tensor:
    shape, size, hue, x, y, turn, ground, dots = factors.unbind(1)
    jitter_x, jitter_y, body_shade, ground_shade, noise = nuisances.unbind(1)
    device = factors.device
    px, py = pixel_centres(64, device)
    radius = torch.tensor(RADII, device=device)[size]
    across = LEFT + (RIGHT - LEFT) * x / 3 + (2 * jitter_x - 1) * JITTER
    along = TOP + (BOTTOM - TOP) * y / 3 + (2 * jitter_y - 1) * JITTER
    dx, dy = px - across[:, None, None], py - along[:, None, None]
    angle = (turn * (math.pi / 2))[:, None, None]
    forward = angle.cos() * dx + angle.sin() * dy
    sideways = angle.cos() * dy - angle.sin() * dx
    r = radius[:, None, None]
    body = _coverage(_outline(shape[:, None, None], forward, sideways, r))
    mark = _coverage(torch.hypot(forward - MARK_PLACE * r, sideways) - MARK_RADIUS * r)
    # Dots fill places from the left: the distance to the row is that to the nearest dot.
    first = 32 - 1.5 * DOT_GAP
    nearest = ((px - first) / DOT_GAP).round().clamp(min=0)
    nearest = torch.minimum(nearest, dots[:, None, None])
    dot = _coverage(torch.hypot(px - first - nearest * DOT_GAP, py - DOT_ROW) - DOT_RADIUS)
    colour = hue_palette(6).to(device)[hue] * (1 - BODY_SHADE * body_shade[:, None])
    under = hue_palette(5, saturation=0.6, value=0.3).to(device)[ground]
    picture = (under * (1 - GROUND_SHADE * ground_shade[:, None]))[:, :, None, None]
    picture = picture + body[:, None] * (colour[:, :, None, None] - picture)
    picture = picture + (body * mark)[:, None] * (MARK_LEVEL - picture)
    picture = picture + dot[:, None] * (0.95 - picture)
    return finish(picture, noise)


def _outline(shape: Tensor, forward: Tensor, sideways: Tensor, r: Tensor) -> Tensor:
    """The signed distance to the outline of each picture's shape, in pixels."""
    ahead, aside = forward.abs(), sideways.abs()
    disc = torch.hypot(forward, sideways) - r
    bar = torch.maximum(ahead - r, aside - 0.5 * r)
    slope = math.sqrt(3) / 2
    triangle = torch.maximum(slope * aside + 0.5 * forward, -forward) - 0.6 * r
    arm = 0.32 * r
    cross = torch.minimum(
        torch.maximum(ahead - r, aside - arm), torch.maximum(ahead - arm, aside - r)
    )
    return torch.where(
        shape < 2,
        torch.where(shape == 0, disc, bar),
        torch.where(shape == 2, triangle, cross),
    )


def _coverage(distance: Tensor) -> Tensor:
    """How much of a pixel lies inside: a ramp one pixel wide."""
    return (0.5 - distance).clamp(0, 1)
