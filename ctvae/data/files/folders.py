"""CelebA: a folder of photographs and a table of attributes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from ctvae.data.files.checking import describe_file, existing_folder
from ctvae.data.files.layouts import colour_pictures
from ctvae.data.files.stored import LabelledImages
from ctvae.errors import FormatError
from ctvae.slots import SlotSpace

__all__ = ["PhotoRows", "attribute_table", "open_celeba"]

TABLE, PARTITION = "list_attr_celeba.txt", "list_eval_partition.txt"
PHOTOS_AT_ONCE = 256
PARTS = 3


@dataclass(frozen=True)
class PhotoRows:
    """Photographs of a folder, cut to a square in the middle and resized.

    Attributes:
        path: The folder.
        names: The files.
        crop: The side of the square in pixels of the photograph.
        side: The side it is resized to.
    """

    path: Path
    names: tuple[str, ...]
    crop: int
    side: int

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of all images."""
        return (len(self.names), self.side, self.side, 3)

    def blocks(self, rows: NDArray[np.int64]) -> Iterator[NDArray[Any]]:
        """Reads rows: each photograph's file when it is asked for.

        Args:
            rows: Row numbers, strictly increasing.

        Yields:
            The rows in their order, some at a time.
        """
        for start in range(0, len(rows), PHOTOS_AT_ONCE):
            some = rows[start : start + PHOTOS_AT_ONCE]
            yield np.stack([self._photo(self.path / self.names[row]) for row in some])

    def _photo(self, path: Path) -> NDArray[np.uint8]:
        try:
            with Image.open(path) as photo:
                width, height = photo.size
                left, top = (width - self.crop) // 2, (height - self.crop) // 2
                if min(left, top) < 0:
                    raise FormatError(
                        describe_file(
                            path,
                            f"a photograph of {width}x{height}",
                            f"at least {self.crop}x{self.crop}",
                            "choose a smaller crop=",
                        )
                    )
                square = photo.convert("RGB").crop((left, top, left + self.crop, top + self.crop))
                return np.asarray(square.resize((self.side, self.side), Image.Resampling.BILINEAR))
        except (OSError, UnidentifiedImageError) as error:
            raise FormatError(
                describe_file(
                    path, f"it cannot be read ({error})", "a photograph", "fetch it again"
                )
            ) from error


def open_celeba(folder: str | Path, *, side: int = 64, crop: int = 148) -> LabelledImages:
    """Opens CelebA: photographs of faces with 40 attributes.

    Photographs are read when asked for. They are no grid, and no photograph is another one
    edited: see :func:`ctvae.data.attribute_pairs`.

    Args:
        folder: A folder with ``list_attr_celeba.txt`` and the photographs in ``img_align_celeba``
            (or beside the table), and where present ``list_eval_partition.txt``; the published
            folders ``Anno``, ``Eval`` and ``Img`` are looked into.
        side: The side that photographs are resized to.
        crop: The side of the square cut from the middle before; 148 of 178x218 is usual.

    Returns:
        Colour images and the attributes (0 absent, 1 present) in the order of the table;
        ``parts`` are the rows of training, validation and test where the partition is there.

    Raises:
        FormatError: When a table or a photograph is missing or is not what it should be.

    Source: Liu, Luo, Wang, Tang, *Deep Learning Face Attributes in the Wild*, ICCV 2015.
    """
    folder = existing_folder(folder)
    table = _find(folder, TABLE, ("", "Anno"))
    if table is None:
        raise FormatError(
            describe_file(folder, f"{TABLE} is missing", "the table of attributes", "add the file")
        )
    names, attributes, codes = attribute_table(table)
    photos = _photo_folder(folder)
    missing = sorted(set(names) - {path.name for path in photos.iterdir()})
    if missing:
        raise FormatError(
            describe_file(
                photos,
                f"{len(missing)} photographs of {TABLE} are missing, {missing[0]} first",
                f"{len(names)} photographs",
                "unpack the archive whole",
            )
        )
    partition = _find(folder, PARTITION, ("", "Eval"))
    parts = _parts(partition, names) if partition else ()
    store = PhotoRows(photos, names, crop, side)
    space = SlotSpace.from_cardinalities(dict.fromkeys(attributes, 2))
    return LabelledImages(colour_pictures(store), codes, space, parts=parts)


def attribute_table(path: Path) -> tuple[tuple[str, ...], tuple[str, ...], Tensor]:
    """Reads a table of attributes: their count, their names, and a line per photograph.

    Args:
        path: The text file; an attribute is 1 or -1.

    Returns:
        The photographs, the attributes, and codes ``(photographs, attributes)``, 0 or 1.

    Raises:
        FormatError: When the lines do not fit together.
    """
    first, header, *lines = [*path.read_text().splitlines(), "", ""]
    attributes = tuple(header.split())
    words = [line.split() for line in lines if line.strip()]
    if first.strip() != str(len(words)) or not attributes or not words:
        raise FormatError(
            describe_file(
                path,
                f"{len(words)} photographs after {first.strip()!r} and {len(attributes)} names",
                "the number of photographs, the names of the attributes, a line per photograph",
                "it is truncated, or another file",
            )
        )
    for number, row in enumerate(words, 3):
        if len(row) != len(attributes) + 1 or not set(row[1:]) <= {"1", "-1"}:
            raise FormatError(
                describe_file(
                    path,
                    f"line {number} has {len(row) - 1} values, {sorted(set(row[1:]))[:4]}",
                    f"{len(attributes)} values, each 1 or -1",
                    "it is damaged, or another file",
                )
            )
    codes = torch.tensor([[value == "1" for value in row[1:]] for row in words])
    return tuple(row[0] for row in words), attributes, codes.to(torch.uint8)


def _parts(path: Path, names: tuple[str, ...]) -> tuple[Tensor, ...]:
    words = [line.split() for line in path.read_text().splitlines() if line.strip()]
    known = {str(part) for part in range(PARTS)}
    part_of = {row[0]: row[1] for row in words if len(row) == 2 and row[1] in known}
    missing = [name for name in names if name not in part_of]
    if missing or len(part_of) < len(words):
        raise FormatError(
            describe_file(
                path,
                f"{len(words)} lines, of which {len(part_of)} name a photograph and a part; "
                f"{len(missing)} photographs have none",
                "a line 'photograph part' for each photograph, part 0, 1 or 2",
                "it belongs to another table; remove it to go without",
            )
        )
    number = torch.tensor([int(part_of[name]) for name in names])
    return tuple((number == part).nonzero()[:, 0] for part in range(PARTS))


def _find(folder: Path, name: str, within: tuple[str, ...]) -> Path | None:
    return next((folder / w / name for w in within if (folder / w / name).is_file()), None)


def _photo_folder(folder: Path) -> Path:
    name = "img_align_celeba"
    found = [folder / name / name, folder / name, folder / "Img" / name, folder]
    return next(path for path in found if path.is_dir())
