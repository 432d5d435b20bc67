"""Sets of images with their factors and regime, and splits that keep groups whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from ctvae.counting import joint_index
from ctvae.errors import DataError, RegimeError, ShapeError
from ctvae.randomness import Seed, make_generator
from ctvae.regimes import Regime, Samples
from ctvae.slots import SlotSpace

__all__ = ["ImageSet", "pool_images", "split_groups"]


@dataclass(frozen=True)
class ImageSet:
    """Images, the factors they show, and how they came about.

    Attributes:
        images: ``(n, channels, height, width)``, uint8 in 0..255 or floats in [0, 1].
        factors: ``(n, factors)`` true codes of the factors, nuisances included.
        space: The factors by name.
        regime: How the rows were produced.
        targets: ``(n, factors)`` true where a factor was set by ``do``; ``None`` when nothing was.
        moves: The names of the factors that actions may move (all where empty); the others are
            nuisances.
        unit: The names of the factors that number the units a split must keep whole (the
            characters, the scenes); all factors where empty, so that each image is a unit.

    Raises:
        ShapeError: When the parts do not fit together.
        RegimeError: When interventional images come without targets.
    """

    images: Tensor
    factors: Int[Tensor, "n factors"]
    space: SlotSpace
    regime: Regime = Regime.OBSERVATIONAL
    targets: Bool[Tensor, "n factors"] | None = None
    moves: tuple[str, ...] = ()
    unit: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.images.ndim != 4:
            msg = f"images must be (n, channels, height, width), got {tuple(self.images.shape)}"
            raise ShapeError(msg)
        if self.factors.ndim != 2 or len(self.factors) != len(self.images):
            msg = f"{len(self.images)} images with factors of shape {tuple(self.factors.shape)}"
            raise ShapeError(msg)
        self.space.check_codes(self.factors)
        if self.regime is Regime.INTERVENTIONAL and self.targets is None:
            msg = "interventional images need targets (n, factors): which factors were set"
            raise RegimeError(msg)
        for field in ("moves", "unit"):
            names = getattr(self, field) or self.space.names
            for name in names:
                self.space.index(name)
            object.__setattr__(self, field, names)

    def __len__(self) -> int:
        return len(self.images)

    def __repr__(self) -> str:
        _, channels, height, width = self.images.shape
        return f"ImageSet({len(self)} images {channels}x{height}x{width}, {self.regime.value})"

    @property
    def moved(self) -> SlotSpace:
        """The factors that actions may move, in their column order."""
        return SlotSpace(slot for slot in self.space if slot.name in self.moves)

    @property
    def moved_factors(self) -> Int[Tensor, "n moved"]:
        """The codes of the factors that actions may move."""
        return self.factors[:, [self.space.index(slot.name) for slot in self.moved]]

    @property
    def units(self) -> Int[Tensor, " n"]:
        """The unit of each image, numbered from 0 in the order of their factors."""
        columns = [self.space.index(name) for name in self.unit]
        sizes = [self.space[column].cardinality for column in columns]
        return joint_index(self.factors[:, columns], sizes).unique(return_inverse=True)[1]

    def subset(self, rows: Int[Tensor, " rows"]) -> ImageSet:
        """Takes some of the images.

        Args:
            rows: Row numbers.

        Returns:
            A new set, in the order of ``rows``.
        """
        targets = None if self.targets is None else self.targets[rows]
        images, factors = self.images[rows], self.factors[rows]
        return replace(self, images=images, factors=factors, targets=targets)

    def samples(self) -> Samples:
        """Gives the true factors that actions may move as rows of codes.

        Returns:
            Codes with regime and targets: what discovery on the true factors starts from.
        """
        columns = [self.space.index(slot.name) for slot in self.moved]
        targets = None if self.targets is None else self.targets[:, columns]
        return Samples(self.factors[:, columns], self.moved, self.regime, targets)


def pool_images(images: Tensor, size: int) -> Tensor:
    """Averages square blocks of pixels down to a smaller side.

    Args:
        images: ``(n, channels, side, side)``, uint8 or floats; the side a multiple of ``size``.
        size: The side wanted.

    Returns:
        Images of the same dtype; uint8 is rounded.

    Raises:
        ShapeError: When the side is no multiple of ``size``.

    Example:
        >>> pool_images(torch.tensor([[[[0.0, 1.0], [1.0, 0.0]]]]), 1).item()
        0.5
    """
    side = images.shape[-1]
    if images.ndim != 4 or images.shape[-2] != side or side % size:
        msg = f"cannot pool images of shape {tuple(images.shape)} to {size}x{size}"
        raise ShapeError(msg)
    if side == size:
        return images
    parts = [
        torch.nn.functional.avg_pool2d(part.float(), side // size) for part in images.split(4096)
    ]
    if images.dtype == torch.uint8:
        return torch.cat([part.round().to(torch.uint8) for part in parts])
    return torch.cat(parts).to(images.dtype)


def split_groups(
    groups: Int[Tensor, " n"], *, fractions: Sequence[float] = (0.7, 0.15, 0.15), seed: Seed = 42
) -> tuple[Int[Tensor, " part"], ...]:
    """Splits rows into parts that share no group.

    Args:
        groups: The group of each row: one per image for an image-disjoint split, the character
            or scene where several images show one. Numbered ``0 .. groups - 1``.
        fractions: The share of the groups in each part; they sum to one.
        seed: For the permutation of the groups.

    Returns:
        Row numbers of each part, increasing.

    Raises:
        DataError: When the fractions do not sum to one.

    Example:
        >>> train, valid, test = split_groups(torch.arange(3072))
        >>> len(train), len(valid), len(test)
        (2150, 461, 461)
    """
    if abs(sum(fractions) - 1) > 1e-9 or min(fractions) < 0:
        msg = f"fractions must be non-negative and sum to one, got {tuple(fractions)}"
        raise DataError(msg)
    count = int(groups.max()) + 1
    order = torch.randperm(count, generator=make_generator(seed))
    bounds = [0]
    for share in fractions[:-1]:
        bounds.append(bounds[-1] + round(share * count))
    bounds.append(count)
    part = torch.empty(count, dtype=torch.long)
    for k in range(len(fractions)):
        part[order[bounds[k] : bounds[k + 1]]] = k
    return tuple((part[groups] == k).nonzero()[:, 0] for k in range(len(fractions)))
