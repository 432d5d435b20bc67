"""Renderers: every factor is seen in every picture, whatever the nuisances."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from ctvae.data import RayScene, Renderer, SpriteScene
from ctvae.data import ray_shapes as rays
from ctvae.data.canvas import NOISE, PART, pixel_noise
from ctvae.errors import CodeError, ShapeError

SCENES: dict[str, Renderer] = {"sprites": SpriteScene(), "room": RayScene()}
BODIES: dict[str, tuple[Callable[[rays.Rays], rays.Hit], Callable[..., Tensor]]] = {
    "sphere": (
        rays.hit_sphere,
        lambda x, y, z: x**2 + (y - rays.SPHERE) ** 2 + z**2 - rays.SPHERE**2,
    ),
    "box": (
        rays.hit_box,
        lambda x, y, z: torch.stack([
            x.abs() - rays.BOX_HALF,
            z.abs() - rays.BOX_HALF,
            -y,
            y - rays.BOX_HEIGHT,
        ]).amax(0),
    ),
    "cylinder": (
        rays.hit_cylinder,
        lambda x, y, z: torch.stack([
            torch.hypot(x, z) - rays.CYLINDER,
            -y,
            y - rays.CYLINDER_HEIGHT,
        ]).amax(0),
    ),
    "cone": (
        rays.hit_cone,
        lambda x, y, z: torch.stack([
            torch.hypot(x, z) - rays.CONE * (1 - y / rays.CONE_HEIGHT),
            -y,
        ]).amax(0),
    ),
}


@pytest.fixture(params=SCENES)
def scene(request: pytest.FixtureRequest) -> Renderer:
    return SCENES[request.param]


def draw_scenes(scene: Renderer, count: int, seed: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    sizes = scene.space.cardinalities
    codes = [torch.randint(size, (count,), generator=generator) for size in sizes]
    return torch.stack(codes, 1), torch.rand(count, scene.num_nuisances, generator=generator)


def squared_distance(one: Tensor, other: Tensor) -> Tensor:
    return ((one.float() - other.float()) / 255).square().flatten(1).sum(1)


def test_pictures_are_what_the_interface_says(scene: Renderer, device: torch.device) -> None:
    assert isinstance(scene, Renderer)
    assert len(scene.space) >= 8
    assert all(3 <= size <= 6 for size in scene.space.cardinalities)
    codes, nuisances = draw_scenes(scene, PART + 3, seed=0)
    images = scene.render(codes.to(device), nuisances.to(device))
    assert images.shape == (PART + 3, 3, 64, 64)
    assert images.dtype == torch.uint8
    assert images.device.type == device.type
    assert scene.render(codes[:0], nuisances[:0]).shape == (0, 3, 64, 64)


def test_a_picture_depends_on_its_own_row_alone(scene: Renderer) -> None:
    codes, nuisances = draw_scenes(scene, PART + 5, seed=1)
    images = scene.render(codes, nuisances)
    order = torch.randperm(len(codes), generator=torch.Generator().manual_seed(0))
    again = scene.render(codes[order], nuisances[order])
    assert int((images[order].int() - again.int()).abs().max()) <= 1  # vector and scalar sums


@pytest.mark.parametrize("column", range(8))
def test_every_factor_moves_pixels_more_than_all_nuisances_do(scene: Renderer, column: int) -> None:
    """All pairs of values of a factor, in scenes with the smallest bodies: the least squared
    distance of two pictures, each with nuisances of its own, is more than twice the largest of two
    pictures of equal factors."""
    small = scene.space.index("size" if "size" in scene.space.names else "scale")
    codes, nuisances = draw_scenes(scene, 16, seed=5)
    _, others = draw_scenes(scene, 16, seed=6)
    codes[:, small] = 0
    first, second = [], []
    for value in range(scene.space.cardinalities[column]):
        codes[:, column] = value
        first.append(scene.render(codes, nuisances))
        second.append(scene.render(codes, others))
    pairs = itertools.permutations(range(len(first)), 2)
    least = min(float(squared_distance(first[a], second[b]).min()) for a, b in pairs)
    alike = zip(first, second, strict=True)
    noise = max(float(squared_distance(one, other).max()) for one, other in alike)
    assert least > 2 * noise


def test_noise_is_even_small_and_another_for_every_scene() -> None:
    noise = pixel_noise(torch.tensor([0.0, 0.5, 0.5 + 2**-24]))
    assert float(noise.abs().max()) <= NOISE * (1 + 1e-6)
    flat = noise.flatten(1) / NOISE
    # Mean and variance of 4096 uniform numbers, six standard errors.
    assert float(flat.mean(1).abs().max()) < 6 * (1 / 3 / 4096) ** 0.5
    assert float((flat.square().mean(1) - 1 / 3).abs().max()) < 6 * (4 / 45 / 4096) ** 0.5
    assert float(torch.corrcoef(flat).triu(1).abs().max()) < 6 / 4096**0.5


@pytest.mark.parametrize("body", BODIES)
def test_rays_stop_where_a_fine_march_first_meets_the_body(body: str) -> None:
    """The closed form against the first sign change of the body's inequality along the ray."""
    meet, inside = BODIES[body]
    generator = torch.Generator().manual_seed(0)
    along = torch.rand(3, 1, 400, generator=generator).double() - 0.5
    along[1] -= 0.1
    along[2] = 1
    start = (torch.zeros(1, 1).double(), torch.ones(1, 1).double() * 1.6, -torch.ones(1, 1) * 2.5)
    one = rays.Rays((start[0], start[1], start[2].double()), (along[0], along[1], along[2]))
    hit = meet(one)
    steps = torch.linspace(0, 5, 5001).double()[:, None, None]
    reached = inside(*one.at(steps)) <= 0
    first = torch.where(reached, steps, torch.inf).amin(0)
    both = hit.distance < rays.NEVER
    # What only grazes the body lies between two steps.
    deep = reached.sum(0) >= 10
    assert bool((both >= deep).all())
    assert 20 < int(deep.sum()) < 380
    assert torch.allclose(hit.distance[deep], first[deep], atol=5 / 5000 * 1.01)
    nx, ny, nz = (part[deep] for part in hit.normal)
    assert torch.allclose(nx**2 + ny**2 + nz**2, torch.ones_like(nx))
    x, y, z = (part[deep] for part in one.at(hit.distance))
    ahead = inside(x + 1e-3 * nx, y + 1e-3 * ny, z + 1e-3 * nz)
    behind = inside(x - 1e-3 * nx, y - 1e-3 * ny, z - 1e-3 * nz)
    assert bool((ahead > behind).all())


BAD: dict[str, tuple[Callable[[Renderer], object], type[Exception], str]] = {
    "code outside": (
        lambda s: s.render(torch.full((1, 8), 9), torch.zeros(1, s.num_nuisances)),
        CodeError,
        "outside the codebook",
    ),
    "too few nuisances": (
        lambda s: s.render(torch.zeros(2, 8).long(), torch.zeros(2, 1)),
        ShapeError,
        "a row of",
    ),
    "nuisances of other rows": (
        lambda s: s.render(torch.zeros(2, 8).long(), torch.zeros(3, s.num_nuisances)),
        ShapeError,
        "a row of",
    ),
    "whole nuisances": (
        lambda s: s.render(torch.zeros(2, 8).long(), torch.zeros(2, s.num_nuisances).long()),
        ShapeError,
        "int64 nuisances",
    ),
    "factors missing": (
        lambda s: s.render(torch.zeros(2, 5).long(), torch.zeros(2, s.num_nuisances)),
        ShapeError,
        "one column per slot",
    ),
}


@pytest.mark.parametrize("case", BAD, ids=str)
def test_bad_input_is_refused(scene: Renderer, case: str) -> None:
    make, error, message = BAD[case]
    with pytest.raises(error, match=message):
        make(scene)
