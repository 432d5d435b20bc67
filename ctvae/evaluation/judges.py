"""Judges: what factors a drawn picture shows, told by the nearest true picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ctvae.counting import joint_index

if TYPE_CHECKING:
    from ctvae.data.images import ImageSet
    from ctvae.data.worlds import ColourWorld

__all__ = ["GridJudge", "Judge", "WorldJudge", "unit_pixels"]


class Judge(Protocol):
    """Reads the factors of drawn pictures by comparison with true ones."""

    def read(self, pictures: Tensor, rows: Int[Tensor, " n"]) -> Int[Tensor, "n factors"]:
        """Reads pictures.

        Args:
            pictures: ``(n, channels, size, size)`` in [0, 1].
            rows: The image of the judged set that each picture was made from.

        Returns:
            The moved factors of the nearest true picture with the same nuisances.
        """

    def exists(
        self, factors: Int[Tensor, "n factors"], rows: Int[Tensor, " n"]
    ) -> Bool[Tensor, " n"]:
        """Tells which moved factors have a true picture to be found.

        Args:
            factors: Moved factors.
            rows: The image each belongs to.

        Returns:
            ``(n,)`` booleans.
        """


def _nearest(pictures: Tensor, gallery: Tensor) -> Tensor:
    flat = gallery.flatten(1)
    norms = flat.square().sum(1)
    parts = [
        (norms - 2 * part @ flat.T).argmin(1) for part in pictures.flatten(1).float().split(2048)
    ]
    return torch.cat(parts)


def unit_pixels(images: Tensor) -> Tensor:
    """Gives pixels as floats.

    Args:
        images: uint8, or floats in [0, 1].

    Returns:
        Floats in [0, 1].
    """
    return images.float() / 255 if images.dtype == torch.uint8 else images.float()


class GridJudge:
    """Judges by the nearest existing image with the same nuisances (the same pose).

    Args:
        gallery: All existing images, held-out ones included.
        judged: The images that pictures are made from, a subset of the gallery.
    """

    def __init__(self, gallery: ImageSet, judged: ImageSet) -> None:
        self.gallery, self.judged = gallery, judged
        names = [s for s in gallery.space if s.name not in gallery.moves]
        columns = [gallery.space.index(slot.name) for slot in names]
        sizes = [slot.cardinality for slot in names]
        self._group = joint_index(gallery.factors[:, columns], sizes)
        self._judged_group = joint_index(judged.factors[:, columns], sizes)

    def read(self, pictures: Tensor, rows: Int[Tensor, " n"]) -> Int[Tensor, "n factors"]:
        """Reads pictures.

        Args:
            pictures: ``(n, channels, size, size)`` in [0, 1].
            rows: The judged image that each picture was made from.

        Returns:
            The moved factors of the nearest image.
        """
        found = torch.zeros(len(pictures), len(self.gallery.moved), dtype=torch.long)
        wanted = self._judged_group[rows]
        for group in wanted.unique():
            mine = wanted == group
            members = (self._group == group).nonzero()[:, 0]
            near = _nearest(pictures[mine].cpu(), unit_pixels(self.gallery.images[members]))
            found[mine] = self.gallery.moved_factors[members[near]]
        return found

    def exists(
        self, factors: Int[Tensor, "n factors"], rows: Int[Tensor, " n"]
    ) -> Bool[Tensor, " n"]:
        """Tells which moved factors exist in the gallery.

        Args:
            factors: Moved factors.
            rows: The judged image each belongs to.

        Returns:
            ``(n,)`` booleans.
        """
        sizes = [*self.gallery.moved.cardinalities, int(self._group.max()) + 1]
        known = torch.cat([self.gallery.moved_factors, self._group[:, None]], 1)
        asked = torch.cat([factors, self._judged_group[rows][:, None]], 1)
        return torch.isin(joint_index(asked, sizes), joint_index(known, sizes))


class WorldJudge:
    """Judges by the nearest of all combinations of factors, rendered in the scene's nuisances.

    Args:
        world: The world.
        nuisances: ``(n, 4)`` the nuisances of each judged image.
    """

    def __init__(self, world: ColourWorld, nuisances: Float[Tensor, "n 4"]) -> None:
        self.world, self.nuisances = world, nuisances
        sizes = world.scm.slots.cardinalities
        self._all = torch.cartesian_prod(*[torch.arange(size) for size in sizes])

    def read(self, pictures: Tensor, rows: Int[Tensor, " n"]) -> Int[Tensor, "n factors"]:
        """Reads pictures.

        Args:
            pictures: ``(n, 3, size, size)`` in [0, 1].
            rows: The judged image that each picture was made from.

        Returns:
            The factors of the nearest rendering.
        """
        found = torch.zeros(len(pictures), self._all.shape[1], dtype=torch.long)
        for row in rows.unique():
            mine = rows == row
            scene = self.nuisances[row].expand(len(self._all), -1)
            gallery = unit_pixels(self.world.render(self._all, scene))
            found[mine] = self._all[_nearest(pictures[mine].cpu(), gallery)]
        return found

    def exists(
        self, factors: Int[Tensor, "n factors"], rows: Int[Tensor, " n"]
    ) -> Bool[Tensor, " n"]:
        """Tells that every combination exists.

        Args:
            factors: Moved factors.
            rows: The judged image each belongs to.

        Returns:
            ``(n,)`` of true.
        """
        del rows
        return torch.ones(len(factors), dtype=torch.bool)
