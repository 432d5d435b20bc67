"""A room in perspective: floor, two walls and one body with a stripe, lit from one side."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from ctvae.data.canvas import SIDE, check_scenes, draw_in_parts, finish, pixel_centres
from ctvae.data.ray_shapes import (
    NEVER,
    TINY,
    Rays,
    hit_box,
    hit_cone,
    hit_cylinder,
    hit_sphere,
)
from ctvae.data.render import hue_palette
from ctvae.slots import Slot, SlotSpace

__all__ = ["RayScene"]

SPACE = SlotSpace([
    Slot("floor", 5),
    Slot("wall", 5),
    Slot("hue", 6),
    Slot("scale", 3, states=("small", "medium", "large")),
    Slot("shape", 4, states=("sphere", "box", "cylinder", "cone")),
    Slot("orientation", 4),
    Slot("place", 3, states=("left", "middle", "right")),
    Slot("light", 3, states=("left", "front", "right")),
])
"""The factors: those of 3D Shapes, the place of the body and the side of the light."""
SAMPLES = 2
"""Rays per pixel on each axis, averaged for smooth edges."""
EYE = (0.0, 1.5, -4.6)
LOOK_AT_HEIGHT = 0.75
ZOOM = 0.36
"""The tangent of half the angle of view."""
WALL_DISTANCE = 1.8
"""From the middle of the room to each of the two walls."""
TURNS = tuple(math.radians(angle) for angle in (-33, -11, 11, 33))
"""Of room and body together; at 0 the corner of the room is behind the middle."""
SCALES = (0.95, 1.3, 1.7)
PLACES = (-0.65, 0.0, 0.65)
LIGHTS = ((-0.75, 0.85, -0.35), (0.0, 0.6, -1.0), (0.75, 0.85, -0.35))
"""Towards the light, as seen from the camera."""
AMBIENT, DIFFUSE, SHADOW = 0.42, 0.62, 0.5
DARKER_WALL = 0.8
"""Of one of the two walls, so that the corner shows in every light."""
STRIPE = 0.12
"""Half the width of the white stripe down the front of a body."""
JITTER = 0.15
"""Half-range of the shift of the camera, in pixels."""
EXPOSURE = 0.025
"""How much darker, at most, a picture is."""
Three = tuple[Tensor, Tensor, Tensor]


@dataclass(frozen=True)
class RayScene:
    """Draws eight factors as a 64x64 picture of a room, one ray for each quarter of a pixel.

    As in 3D Shapes: the hues of floor, walls and body, the body's scale and shape (sphere, box,
    cylinder, cone), and an orientation that turns room and body together, seen by the corner of
    the room and by a white stripe down the body. Beyond these: the body's place, and the side that
    the light comes from, which shades walls and body and casts a soft shadow on the floor.
    Nuisances: a shift of the camera by a fraction of a pixel, the exposure, and the noise of the
    pixels. Two scenes that differ in a factor differ by more than any two of equal factors.

    Example:
        >>> scene = RayScene()
        >>> codes = torch.zeros(2, len(scene.space), dtype=torch.long)
        >>> scene.render(codes, torch.zeros(2, scene.num_nuisances)).shape
        torch.Size([2, 3, 64, 64])

    Source: Burgess and Kim (2018), 3D Shapes, for the kind of scene.
    """

    @property
    def space(self) -> SlotSpace:
        """The factors, in column order."""
        return SPACE

    @property
    def num_nuisances(self) -> int:
        """Shift of the camera in x and y, exposure, noise."""
        return 4

    def render(
        self, factors: Int[Tensor, "n 8"], nuisances: Float[Tensor, "n 4"]
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
    device = factors.device
    floor, wall, hue, scale, shape, orientation, place, light = factors.unbind(1)
    turn = torch.tensor(TURNS, device=device)[orientation][:, None]
    size = torch.tensor(SCALES, device=device)[scale][:, None]
    across = torch.tensor(PLACES, device=device)[place][:, None]
    sun = torch.nn.functional.normalize(torch.tensor(LIGHTS, device=device), dim=1)[light]
    lx, ly, lz = sun[:, 0:1], sun[:, 1:2], sun[:, 2:3]
    rays = _camera(nuisances[:, :2])

    back, brightness, is_floor = _room(rays, turn, (lx, ly, lz))
    x, _, z = rays.at(back)
    shade = _shadow(x - across, z, size, (lx, ly, lz))
    brightness = torch.where(is_floor, brightness * (1 - SHADOW * shade), brightness)
    front, lit, stripe = _body(rays, shape, turn, size, across, (lx, ly, lz))

    below = hue_palette(5, saturation=0.6, value=0.85).to(device)[floor][:, :, None]
    behind = hue_palette(5, saturation=0.45, value=0.95).to(device)[wall][:, :, None]
    colour = hue_palette(6, saturation=0.9, value=0.95).to(device)[hue][:, :, None]
    room = torch.where(is_floor[:, None], below, behind) * brightness[:, None]
    body = torch.where(stripe[:, None], 1.0, colour) * lit[:, None]
    picture = torch.where((front < back)[:, None], body, room)
    picture = picture * (1 - EXPOSURE * nuisances[:, 2, None, None])
    fine = picture.reshape(len(factors), 3, SIDE * SAMPLES, SIDE * SAMPLES)
    return finish(torch.nn.functional.avg_pool2d(fine, SAMPLES), nuisances[:, 3])


def _camera(jitter: Float[Tensor, "n 2"]) -> Rays:
    """Rays through the pixels of a camera that looks slightly down."""
    px, py = pixel_centres(SIDE * SAMPLES, jitter.device)
    shift = (2 * jitter - 1) * JITTER
    half = SIDE / 2
    right = (px.reshape(1, -1) + shift[:, 0:1] - half) * (ZOOM / half)
    up = -(py.reshape(1, -1) + shift[:, 1:2] - half) * (ZOOM / half)
    tilt = math.atan2(EYE[1] - LOOK_AT_HEIGHT, -EYE[2])
    along_y = up * math.cos(tilt) - math.sin(tilt)
    along_z = up * math.sin(tilt) + math.cos(tilt)
    x, y, z = (torch.full_like(right[:, :1], value) for value in EYE)
    return Rays((x, y, z), (right, along_y, along_z))


def _turned(x: Tensor, z: Tensor, angle: Tensor) -> tuple[Tensor, Tensor]:
    """Coordinates in a frame that is turned about the vertical."""
    c, s = angle.cos(), angle.sin()
    return c * x - s * z, s * x + c * z


def _room(rays: Rays, turn: Tensor, light: Three) -> Three:
    """How far floor or walls are, how bright, and where it is the floor."""
    (ox, oy, oz), (dx, dy, dz) = rays
    corner = turn - math.pi / 4  # the two walls meet in the direction x = z
    sx, sz = _turned(ox, oz, corner)
    ax, az = _turned(dx, dz, corner)
    lx, lz = _turned(light[0], light[2], corner)
    one = torch.where(ax > TINY, (WALL_DISTANCE - sx) / ax.clamp(min=TINY), NEVER)
    two = torch.where(az > TINY, (WALL_DISTANCE - sz) / az.clamp(min=TINY), NEVER)
    down = torch.where(dy < -TINY, -oy / dy.clamp(max=-TINY), NEVER)
    walls = torch.minimum(one, two)
    facing = torch.where(one < two, -lx.clamp(max=0) * DARKER_WALL, -lz.clamp(max=0))
    base = torch.where(one < two, AMBIENT * DARKER_WALL, AMBIENT)
    is_floor = down < walls
    brightness = torch.where(is_floor, AMBIENT + DIFFUSE * light[1], base + DIFFUSE * facing)
    return torch.minimum(walls, down), brightness, is_floor


def _shadow(x: Tensor, z: Tensor, size: Tensor, light: Three) -> Tensor:
    """A soft shadow: how near a point of the floor is to the line that a body's axis casts."""
    lx, ly, lz = light
    end_x, end_z = -0.7 * size * lx / ly, -0.7 * size * lz / ly
    length = (end_x * end_x + end_z * end_z).clamp(min=TINY)
    part = ((x * end_x + z * end_z) / length).clamp(0, 1)
    distance = torch.hypot(x - part * end_x, z - part * end_z) / size
    return (1 - (distance - 0.3) / 0.25).clamp(0, 1)


def _body(
    rays: Rays, shape: Tensor, turn: Tensor, size: Tensor, across: Tensor, light: Three
) -> Three:
    """How far the body is, how bright, and where its stripe is."""
    (ox, oy, oz), (dx, dy, dz) = rays
    sx, sz = _turned((ox - across) / size, oz / size, turn)
    ax, az = _turned(dx / size, dz / size, turn)
    lx, lz = _turned(light[0], light[2], turn)
    own = Rays((sx, oy / size, sz), (ax, dy / size, az))
    distance, lit = torch.full_like(dx, NEVER), torch.zeros_like(dx)
    for kind, meet in enumerate((hit_sphere, hit_box, hit_cylinder, hit_cone)):
        rows = (shape == kind).nonzero()[:, 0]
        mine = Rays(*((a[rows], b[rows], c[rows]) for a, b, c in own))
        hit = meet(mine)
        nx, ny, nz = hit.normal
        facing = nx * lx[rows] + ny * light[1][rows] + nz * lz[rows]
        distance[rows] = hit.distance
        lit[rows] = AMBIENT + DIFFUSE * facing.clamp(min=0)
    x, _, z = own.at(distance)
    return distance, lit, (x.abs() < STRIPE) & (z < 0)
