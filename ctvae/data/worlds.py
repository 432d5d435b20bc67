"""Rendered worlds: pictures whose factors follow a known structural causal model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ctvae.data.images import ImageSet
from ctvae.data.render import draw_shapes, hue_palette
from ctvae.graph.causal_graph import CausalGraph
from ctvae.mechanisms.table import TableMechanism
from ctvae.randomness import Seed, make_generator, spawn
from ctvae.regimes import Regime
from ctvae.scm import SCM
from ctvae.slots import Slot, SlotSpace

__all__ = ["ColourWorld", "colour_world", "every_edit"]

RADII = (0.10, 0.145, 0.19)
JITTER_PIXELS = 0.2
SHADE = 0.06
"""Half-range of the lightness that differs from scene to scene."""


@dataclass(frozen=True)
class ColourWorld:
    """A coloured shape on a grey ground, its five factors drawn from a known SCM.

    Every scene has nuisances of its own that no action moves and no factor causes: a shift of a
    fraction of a pixel, the lightness of the shape, the grey of the ground. Two renderings of one
    set of factors are therefore two images.

    Attributes:
        scm: The law of shape, size, hue, x and y.
    """

    scm: SCM

    def __repr__(self) -> str:
        return f"ColourWorld({self.scm.slots!r})"

    @property
    def graph(self) -> CausalGraph:
        """The true graph over the factors."""
        return self.scm.graph

    def render(self, factors: Int[Tensor, "n 5"], nuisances: Float[Tensor, "n 4"]) -> Tensor:
        """Draws scenes.

        Args:
            factors: Codes of shape, size, hue, x and y.
            nuisances: Numbers in [0, 1]: shift in x and y, lightness, ground.

        Returns:
            ``(n, 3, 32, 32)`` uint8.
        """
        shape, size, hue, x, y = factors.unbind(1)
        jitter = (nuisances[:, :2] - 0.5) * 2 * JITTER_PIXELS / 32
        cells = torch.tensor([self.scm.slots["x"].cardinality, self.scm.slots["y"].cardinality])
        centre = 0.2 + 0.6 * torch.stack([x, y], 1) / (cells - 1) + jitter
        shade = 1 - 2 * SHADE * nuisances[:, 2:3]
        colour = hue_palette(self.scm.slots["hue"].cardinality)[hue] * shade
        ground = 0.08 + 0.17 * nuisances[:, 3]
        return draw_shapes(shape, colour, torch.tensor(RADII)[size], centre, ground)

    def nuisances(self, num_scenes: int, *, seed: Seed) -> Float[Tensor, "scenes 4"]:
        """Draws the nuisances of the scenes that ``edits`` with this seed shows.

        Args:
            num_scenes: How many scenes.
            seed: The seed given to ``edits``.

        Returns:
            Numbers in [0, 1]: shift in x and y, lightness, ground.
        """
        return torch.rand(num_scenes, 4, generator=make_generator(spawn(seed, 2)[1]))

    def edits(self, num_scenes: int, *, seed: Seed) -> ImageSet:
        """Draws scenes with every edit of a single factor, to teach slots from pairs.

        Base factors are uniform and independent: edits hold all other factors, so nothing of the
        graph can be read off them.

        Args:
            num_scenes: How many scenes; each gives one image per value of each factor.
            seed: For factors and nuisances.

        Returns:
            Images of the edit regime; a further factor ``scene`` numbers the scenes.
        """
        generator = make_generator(spawn(seed, 2)[0])
        sizes = self.scm.slots.cardinalities
        base = torch.stack([torch.randint(k, (num_scenes,), generator=generator) for k in sizes], 1)
        nuisances = self.nuisances(num_scenes, seed=seed)
        codes, owner = every_edit(base, sizes)
        space = SlotSpace([*self.scm.slots, Slot("scene", num_scenes)])
        return ImageSet(
            self.render(codes, nuisances[owner]),
            torch.cat([codes, owner[:, None]], 1),
            space,
            Regime.EDIT,
            moves=self.scm.slots.names,
            unit=("scene",),
        )

    def sample(self, num_rows: int, *, seed: Seed) -> ImageSet:
        """Draws independent scenes from the observational law.

        Args:
            num_rows: How many.
            seed: For factors and nuisances.

        Returns:
            Images of the observational regime.
        """
        for_factors, for_nuisances = spawn(seed, 2)
        factors = self.scm.sample(num_rows, seed=for_factors)
        nuisances = torch.rand(num_rows, 4, generator=make_generator(for_nuisances))
        targets = torch.zeros_like(factors, dtype=torch.bool)
        images = self.render(factors, nuisances)
        return ImageSet(images, factors, self.scm.slots, Regime.OBSERVATIONAL, targets)

    def sample_do(self, rows_per_factor: int, *, seed: Seed) -> ImageSet:
        """Draws independent scenes under ``do`` on one factor at a time, to a uniform value.

        Args:
            rows_per_factor: How many scenes for each factor.
            seed: For values, factors and nuisances.

        Returns:
            Images of the interventional regime with their targets.
        """
        parts, targets = [], []
        for column, child in enumerate(spawn(seed, len(self.scm.slots))):
            for_values, for_factors, for_nuisances = spawn(child, 3)
            size = self.scm.slots[column].cardinality
            values = torch.randint(size, (rows_per_factor,), generator=make_generator(for_values))
            codes = self.scm.do(slot=column, value=values).sample(1, seed=for_factors)[0]
            nuisances = torch.rand(rows_per_factor, 4, generator=make_generator(for_nuisances))
            hit = torch.zeros_like(codes, dtype=torch.bool)
            hit[:, column] = True
            parts.append((self.render(codes, nuisances), codes))
            targets.append(hit)
        images, factors = (torch.cat(column) for column in zip(*parts, strict=True))
        space = self.scm.slots
        return ImageSet(images, factors, space, Regime.INTERVENTIONAL, torch.cat(targets))


def every_edit(
    base: Int[Tensor, "scenes factors"], cardinalities: Sequence[int]
) -> tuple[Int[Tensor, "n factors"], Int[Tensor, " n"]]:
    """Lists scenes with every change of a single factor.

    Args:
        base: The scenes' factors.
        cardinalities: The number of values of each factor.

    Returns:
        Factors, the scenes as they are first; and the scene of each row.

    Example:
        >>> every_edit(torch.tensor([[0, 1]]), [2, 3])[0].tolist()
        [[0, 1], [1, 1], [0, 0], [0, 2]]
    """
    scene = torch.arange(len(base), device=base.device)
    factors, scenes = [base], [scene]
    for column, size in enumerate(cardinalities):
        for value in range(size):
            other = base[:, column] != value
            edited = base[other].clone()
            edited[:, column] = value
            factors.append(edited)
            scenes.append(scene[other])
    return torch.cat(factors), torch.cat(scenes)


def colour_world(*, strength: float = 0.7) -> ColourWorld:
    """Makes the built-in world: five factors, six edges, four of them without observable direction.

    ``shape -> size``, ``shape -> hue <- size``, ``hue -> x``, ``size -> y <- x``. Each factor with
    parents takes the value they prefer with probability ``strength`` and a uniform one otherwise,
    so two rows of a table that prefer different values are ``strength`` apart in total variation.

    Args:
        strength: In [0, 1); the strength of every edge.

    Returns:
        The world.

    Example:
        >>> colour_world().sample(2, seed=0).images.shape
        torch.Size([2, 3, 32, 32])
    """
    slots = SlotSpace(
        Slot(name, size)
        for name, size in (("shape", 3), ("size", 3), ("hue", 6), ("x", 6), ("y", 6))
    )
    edges = [
        ("shape", "size"),
        ("shape", "hue"),
        ("size", "hue"),
        ("hue", "x"),
        ("size", "y"),
        ("x", "y"),
    ]
    graph = CausalGraph.from_edges(directed=edges, nodes=slots.names)
    preferred = {
        "size": list(range(3)),
        "hue": [2 * shape + (size > 0) for shape, size in product(range(3), range(3))],
        "x": [5, 3, 1, 0, 2, 4],
        "y": [(2 * size + x) % 6 for size, x in product(range(3), range(6))],
    }
    mechanisms = {"shape": TableMechanism(torch.tensor([0.4, 0.35, 0.25]).double())}
    for name, values in preferred.items():
        parents = [slots[parent].cardinality for parent in graph.parents(name)]
        size = slots[name].cardinality
        one_hot = torch.nn.functional.one_hot(torch.tensor(values), size).double()
        table = strength * one_hot + (1 - strength) / size
        mechanisms[name] = TableMechanism(table.reshape(*parents, size))
    return ColourWorld(SCM(graph, slots=slots, mechanisms=mechanisms))
