"""Where rays meet a sphere, a box, a cylinder and a cone, in closed form."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["Hit", "Rays", "hit_box", "hit_cone", "hit_cylinder", "hit_sphere"]

SPHERE = 0.5
"""Its radius; the height of every body is about 1, its base stands on y = 0."""
BOX_HALF, BOX_HEIGHT = 0.42, 0.84
CYLINDER, CYLINDER_HEIGHT = 0.38, 1.0
CONE, CONE_HEIGHT = 0.56, 1.1
NEVER = 1e6
"""The distance of what a ray does not meet; finite, so that no product with it is undefined."""
TINY = 1e-9
"""Keeps the slope of a ray that runs along a plane away from a division by zero."""


class Rays(NamedTuple):
    """Rays in the coordinates of a body: x to the right, y up, z away from the camera.

    Attributes:
        start: Where they start: three tensors ``(n, 1)``.
        along: Their directions, of any length: three tensors ``(n, rays)``.
    """

    start: tuple[Tensor, Tensor, Tensor]
    along: tuple[Tensor, Tensor, Tensor]

    def at(self, distance: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Gives points of the rays.

        Args:
            distance: How far along, in lengths of the direction.

        Returns:
            Three coordinates.
        """
        x, y, z = (s + distance * a for s, a in zip(self.start, self.along, strict=True))
        return x, y, z


class Hit(NamedTuple):
    """Where rays meet a body first.

    Attributes:
        distance: In lengths of the direction; ``NEVER`` where a ray misses.
        normal: The outward normal of unit length, three tensors; without meaning at a miss.
    """

    distance: Float[Tensor, "n rays"]
    normal: tuple[Tensor, Tensor, Tensor]


def hit_sphere(rays: Rays) -> Hit:
    """Meets the sphere that stands on the floor.

    Args:
        rays: The rays.

    Returns:
        The hits.

    Example:
        >>> zero, one = torch.zeros(1, 1), torch.ones(1, 1)
        >>> hit_sphere(Rays((zero, one / 2, -one * 2), (zero, zero, one))).distance.item()
        1.5
    """
    (ox, oy, oz), (dx, dy, dz) = rays
    oy = oy - SPHERE
    a = dx * dx + dy * dy + dz * dz
    b = ox * dx + oy * dy + oz * dz
    c = ox * ox + oy * oy + oz * oz - SPHERE**2
    distance = _first_root(a, b, c)
    x, y, z = rays.at(distance)
    return Hit(distance, (x / SPHERE, (y - SPHERE) / SPHERE, z / SPHERE))


def hit_box(rays: Rays) -> Hit:
    """Meets the box that stands on the floor.

    Args:
        rays: The rays.

    Returns:
        The hits.

    Source: Kay and Kajiya (1986), the slab method.
    """
    low = (-BOX_HALF, 0.0, -BOX_HALF)
    high = (BOX_HALF, BOX_HEIGHT, BOX_HALF)
    near, far = [], []
    for start, along, bottom, top in zip(*rays, low, high, strict=True):
        slope = 1 / torch.where(along.abs() < TINY, TINY, along)
        one, two = (bottom - start) * slope, (top - start) * slope
        near.append(torch.minimum(one, two))
        far.append(torch.maximum(one, two))
    enter = torch.maximum(torch.maximum(near[0], near[1]), near[2])
    leave = torch.minimum(torch.minimum(far[0], far[1]), far[2])
    normal = [
        torch.where(side == enter, -along.sign(), 0.0)
        for side, along in zip(near, rays.along, strict=True)
    ]
    distance = torch.where((enter <= leave) & (enter > 0), enter, NEVER)
    return Hit(distance, (normal[0], normal[1], normal[2]))


def hit_cylinder(rays: Rays) -> Hit:
    """Meets the upright cylinder and its lid.

    Args:
        rays: The rays.

    Returns:
        The hits.
    """
    (ox, oy, oz), (dx, dy, dz) = rays
    a = (dx * dx + dz * dz).clamp(min=TINY)
    side = _first_root(a, ox * dx + oz * dz, ox * ox + oz * oz - CYLINDER**2)
    x, y, z = rays.at(side)
    side = torch.where((y >= 0) & (y <= CYLINDER_HEIGHT), side, NEVER)
    lid = (CYLINDER_HEIGHT - oy) / torch.where(dy < -TINY, dy, -TINY)
    lid_x, _, lid_z = rays.at(lid)
    on_lid = (lid_x * lid_x + lid_z * lid_z <= CYLINDER**2) & (dy < -TINY) & (lid > 0)
    lid = torch.where(on_lid, lid, NEVER)
    up = lid < side
    normal = (
        torch.where(up, 0.0, x / CYLINDER),
        torch.where(up, 1.0, 0.0),
        torch.where(up, 0.0, z / CYLINDER),
    )
    return Hit(torch.minimum(side, lid), normal)


def hit_cone(rays: Rays) -> Hit:
    """Meets the upright cone, seen from outside and above its base.

    Args:
        rays: The rays.

    Returns:
        The hits.
    """
    (ox, oy, oz), (dx, dy, dz) = rays
    k = (CONE / CONE_HEIGHT) ** 2
    h = CONE_HEIGHT - oy  # the cone opens downwards from its tip
    a = dx * dx + dz * dz - k * dy * dy
    b = ox * dx + oz * dz + k * h * dy
    c = ox * ox + oz * oz - k * h * h
    root = (b * b - a * c).clamp(min=0).sqrt()
    a = torch.where(a.abs() < TINY, TINY, a)
    found = (b * b - a * c) >= 0
    distance = torch.full_like(b, NEVER)
    for sign in (-1, 1):
        t = (-b + sign * root) / a
        y = oy + t * dy
        able = found & (t > 0) & (y >= 0) & (y <= CONE_HEIGHT)
        distance = torch.where(able & (t < distance), t, distance)
    x, y, z = rays.at(distance)
    steep = (1 + k) ** -0.5
    radius = torch.hypot(x, z).clamp(min=TINY)
    return Hit(
        distance, (x / radius * steep, torch.full_like(x, k**0.5 * steep), z / radius * steep)
    )


def _first_root(a: Tensor, half_b: Tensor, c: Tensor) -> Tensor:
    """The smaller root of ``a t^2 + 2 half_b t + c``, where it is real and ahead."""
    square = half_b * half_b - a * c
    t = (-half_b - square.clamp(min=0).sqrt()) / a
    return torch.where((square >= 0) & (t > 0), t, NEVER)
