"""Sets of images in files: factor grids and labelled images, read by rows when asked for."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import torch
from jaxtyping import Int, UInt8
from numpy.typing import NDArray
from torch import Tensor

from ctvae.counting import joint_index
from ctvae.data.files.checking import describe_file
from ctvae.data.files.rows import RowStore
from ctvae.data.images import ImageSet, pool_images
from ctvae.errors import DataError, FormatError, ShapeError
from ctvae.randomness import Seed, check_count, make_generator
from ctvae.slots import Slot, SlotSpace

__all__ = ["FactorGrid", "LabelledImages", "Pictures", "StoredImages", "rank_values"]

AsImages: TypeAlias = Callable[[NDArray[Any]], NDArray[np.uint8]]


@dataclass(frozen=True)
class Pictures:
    """Rows of a file, and how they become images.

    Attributes:
        store: The rows.
        shape: Channels, height and width of an image.
        as_images: Makes images ``(n, channels, height, width)``, uint8, of some rows.
    """

    store: RowStore
    shape: tuple[int, int, int]
    as_images: AsImages

    def read(
        self, rows: Int[Tensor, " rows"], size: int | None
    ) -> UInt8[Tensor, "rows channels height width"]:
        """Reads images, a block at a time.

        Args:
            rows: Row numbers, in any order.
            size: The side to average down to, block by block; as stored where ``None``.

        Returns:
            The images in the order of ``rows``, on the CPU.

        Raises:
            ShapeError: When a row is outside the file, or is no integer.
            FormatError: When the side is no multiple of ``size``, or the file is damaged.
        """
        channels, height, width = self.shape
        rows = _checked_rows(rows, self.store.shape[0])
        if size is not None and (size < 1 or height != width or width % size):
            msg = f"cannot pool images of {height}x{width} to {size}x{size}"
            raise FormatError(
                describe_file(self.store.path, msg, "a side that divides", "choose another size=")
            )
        unique, place = np.unique(rows.numpy(), return_inverse=True)
        blocks = (torch.from_numpy(self.as_images(b)) for b in self.store.blocks(unique))
        parts = [block if size is None else pool_images(block, size) for block in blocks]
        sides = (size, size) if size else (height, width)
        images = torch.cat(parts) if parts else torch.zeros(0, channels, *sides, dtype=torch.uint8)
        in_order = len(unique) == len(rows) and bool((np.diff(place) > 0).all())
        return images if in_order else images[torch.from_numpy(place)]


class StoredImages(ABC):
    """Images in a file with their factors: what all readers have in common.

    Attributes:
        pictures: Where the images lie.
        space: The factors by name.
        moves: The names of the factors that actions may move; all where empty.
        unit: The names of the factors that number the units a split must keep whole; all where
            empty.
    """

    pictures: Pictures
    space: SlotSpace
    moves: tuple[str, ...]
    unit: tuple[str, ...]

    @abstractmethod
    def factors(self, rows: Int[Tensor, " rows"]) -> Int[Tensor, "rows factors"]:
        """Gives the factors of some images.

        Args:
            rows: Row numbers.

        Returns:
            Their codes, on the CPU.
        """

    def __len__(self) -> int:
        return self.pictures.store.shape[0]

    def __repr__(self) -> str:
        channels, height, width = self.pictures.shape
        sizes = ", ".join(f"{slot.name} {slot.cardinality}" for slot in self.space[:8])
        rest = f", ... {len(self.space)} factors" if len(self.space) > 8 else ""
        return (
            f"{type(self).__name__}({len(self)} images {channels}x{height}x{width} in "
            f"{self.pictures.store.path.name}: {sizes}{rest})"
        )

    def images(
        self, rows: Int[Tensor, " rows"], *, size: int | None = None
    ) -> UInt8[Tensor, "rows channels height width"]:
        """Reads some images.

        Args:
            rows: Row numbers, in any order.
            size: The side to average down to; as stored where ``None``.

        Returns:
            The images, 0..255, on the CPU.
        """
        return self.pictures.read(rows, size)

    def subset(self, rows: Int[Tensor, " rows"], *, size: int | None = None) -> ImageSet:
        """Reads some images with their factors.

        Args:
            rows: Row numbers, in any order.
            size: The side to average down to; as stored where ``None``.

        Returns:
            The images in memory.
        """
        images, factors = self.images(rows, size=size), self.factors(rows)
        return ImageSet(images, factors, self.space, moves=self.moves, unit=self.unit)

    def sample(self, num_images: int, *, seed: Seed, size: int | None = None) -> ImageSet:
        """Reads images drawn at random, no image twice.

        Args:
            num_images: How many.
            seed: For the draw.
            size: The side to average down to; as stored where ``None``.

        Returns:
            The images in memory, in the order of the file.

        Raises:
            DataError: When there are not so many.
        """
        num_images = check_count(num_images, "num_images", least=1)
        if num_images > len(self):
            msg = f"{num_images} images asked for, and there are {len(self)}"
            raise DataError(msg)
        order = torch.randperm(len(self), generator=make_generator(seed))
        return self.subset(order[:num_images].sort().values, size=size)


@dataclass(frozen=True, eq=False, repr=False)
class LabelledImages(StoredImages):
    """Images in a file with their labels, of which not every combination need be there.

    Attributes:
        pictures: Where the images lie.
        codes: ``(n, factors)`` their factors, in any integer dtype.
        space: The factors by name.
        moves: The names of the factors that actions may move; all where empty.
        unit: The names of the factors that number the units a split must keep whole; all where
            empty.
        parts: The rows of each part of the published split, in its order (training, then
            validation if any, then test); empty where the files give none.

    Raises:
        FormatError: When there are not as many labels as images.
    """

    pictures: Pictures
    codes: Int[Tensor, "n factors"]
    space: SlotSpace
    moves: tuple[str, ...] = ()
    unit: tuple[str, ...] = ()
    parts: tuple[Int[Tensor, " part"], ...] = ()

    def __post_init__(self) -> None:
        if len(self.codes) != len(self):
            raise FormatError(_wrong_count(self.pictures, len(self.codes)))

    def factors(self, rows: Int[Tensor, " rows"]) -> Int[Tensor, "rows factors"]:
        """Gives the factors of some images.

        Args:
            rows: Row numbers.

        Returns:
            Their codes, on the CPU.
        """
        return self.codes[_checked_rows(rows, len(self))].long()

    def to_grid(self) -> FactorGrid:
        """Makes a factor grid, where every combination of values has its one image.

        Returns:
            The grid, over the same file.

        Raises:
            FormatError: When a combination is missing or comes twice.
        """
        sizes = self.space.cardinalities
        place = joint_index(self.codes.long(), sizes)
        distinct = len(place.unique())
        if not distinct == len(self) == math.prod(sizes):
            raise FormatError(
                describe_file(
                    self.pictures.store.path,
                    f"{len(self)} images with {distinct} different combinations of factors",
                    f"the full product {' x '.join(map(str, sizes))} = {math.prod(sizes)}",
                    "a part of a grid is no grid; read_image_file takes parts of dSprites",
                )
            )
        in_order = bool((place.diff() > 0).all())
        order = None if in_order else place
        return FactorGrid(self.pictures, self.space, order, self.moves, self.unit)


@dataclass(frozen=True, eq=False, repr=False)
class FactorGrid(StoredImages):
    """A grid of images in a file: one for every combination of factor values.

    Images are read by rows when asked for, so that a set of millions costs no memory. One file,
    the same four questions for every grid: ``row(factors)``, ``factors(rows)``,
    ``images(rows)``, ``subset(rows)``.

    Attributes:
        pictures: Where the images lie.
        space: The factors by name.
        order: ``(n,)`` the place of each row in the product of the factors' values, last factor
            fastest; ``None`` where the rows lie in that order.
        moves: The names of the factors that actions may move; all where empty.
        unit: The names of the factors that number the units a split must keep whole; all where
            empty.

    Raises:
        FormatError: When there is not one image per combination.
    """

    pictures: Pictures
    space: SlotSpace
    order: Int[Tensor, " n"] | None = None
    moves: tuple[str, ...] = ()
    unit: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if len(self) != math.prod(self.space.cardinalities):
            raise FormatError(_wrong_count(self.pictures, math.prod(self.space.cardinalities)))

    @cached_property
    def _rows(self) -> Tensor | None:
        return None if self.order is None else self.order.argsort()

    def factors(self, rows: Int[Tensor, " rows"]) -> Int[Tensor, "rows factors"]:
        """Gives the factors of some images.

        Args:
            rows: Row numbers.

        Returns:
            Their codes, on the CPU.
        """
        rows = _checked_rows(rows, len(self))
        place = rows if self.order is None else self.order[rows]
        return torch.stack(torch.unravel_index(place, self.space.cardinalities), -1)

    def row(self, factors: Int[Tensor, "*batch factors"]) -> Int[Tensor, "*batch"]:
        """Finds images by their factors.

        Args:
            factors: Codes, one column per factor.

        Returns:
            Row numbers.
        """
        codes = self.space.check_codes(factors)
        place = joint_index(codes, self.space.cardinalities)
        return place if self._rows is None else self._rows.to(place.device)[place]


def rank_values(labels: Tensor, names: Sequence[str]) -> tuple[Int[Tensor, "n factors"], SlotSpace]:
    """Numbers the values of each factor 0, 1, ... in their order.

    A file may hold every second step of a factor only, or values in degrees.

    Args:
        labels: ``(n, factors)`` values, integers or floats.
        names: The factors.

    Returns:
        Codes in a small dtype, and the factors.

    Example:
        >>> codes, space = rank_values(torch.tensor([[0.0, 30.0], [0.5, -30.0]]), ["hue", "angle"])
        >>> codes.tolist(), space.cardinalities
        ([[0, 1], [1, 0]], (2, 2))
    """
    columns = [column.unique(return_inverse=True) for column in labels.unbind(1)]
    space = SlotSpace(Slot(n, len(values)) for n, (values, _) in zip(names, columns, strict=True))
    most = max((len(values) for values, _ in columns), default=0)
    dtype = torch.int16 if most < 2**15 else torch.int32
    return torch.stack([rank for _, rank in columns], 1).to(dtype), space


def _checked_rows(rows: Tensor, count: int) -> Tensor:
    """The rows on the CPU, where files are read."""
    if rows.ndim != 1 or rows.is_floating_point() or rows.dtype == torch.bool:
        msg = f"rows must be integers (rows,), got {rows.dtype} of shape {tuple(rows.shape)}"
        raise ShapeError(msg)
    if len(rows) and not 0 <= int(rows.min()) <= int(rows.max()) < count:
        msg = f"rows {int(rows.min())} to {int(rows.max())} are not all within 0..{count - 1}"
        raise ShapeError(msg)
    return rows.cpu().long()


def _wrong_count(pictures: Pictures, rows: int) -> str:
    return describe_file(
        pictures.store.path,
        f"{pictures.store.shape[0]} images for {rows} rows of factors",
        "as many images as rows of factors",
        "it is truncated, or the two files are of different sets",
    )
