"""Cars3D, a folder of MATLAB files, one per car model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctvae.data.files.checking import describe_file, existing_folder
from ctvae.data.files.layouts import colour_pictures
from ctvae.data.files.stored import FactorGrid
from ctvae.errors import FormatError
from ctvae.slots import SlotSpace

__all__ = ["CarRows", "open_cars3d"]

AZIMUTHS, ELEVATIONS = 24, 4


@dataclass(frozen=True)
class CarRows:
    """Views of cars, in the order (elevation, azimuth, car), the car fastest.

    Attributes:
        path: The folder.
        files: One per car, each with ``im`` (height, width, 3, 24 azimuths, 4 elevations).
        sides: Height and width of an image.
    """

    path: Path
    files: tuple[Path, ...]
    sides: tuple[int, int]

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of all images."""
        return (ELEVATIONS * AZIMUTHS * len(self.files), *self.sides, 3)

    def blocks(self, rows: NDArray[np.int64]) -> Iterator[NDArray[Any]]:
        """Reads rows: the file of each car is read once, and held alone.

        Args:
            rows: Row numbers, strictly increasing.

        Yields:
            The rows in their order, all at once.
        """
        view, car = np.divmod(rows, len(self.files))
        images = np.empty((len(rows), *self.shape[1:]), np.uint8)
        for k in np.unique(car):
            here = np.flatnonzero(car == k)
            elevation, azimuth = np.divmod(view[here], AZIMUTHS)
            stored = _load(self.files[k])
            images[here] = stored[:, :, :, azimuth, elevation].transpose(3, 0, 1, 2)
        if len(rows):
            yield images


def open_cars3d(folder: str | Path) -> FactorGrid:
    """Opens Cars3D: car models seen from 24 azimuths and 4 elevations.

    Each car's file is read when an image of it is asked for.

    Args:
        folder: The folder ``cars`` of the published archive: one ``.mat`` file per model (183),
            and ``list.txt`` with their names. Where the list is there, every file on it must be;
            else all ``.mat`` files are taken in the order of their names.

    Returns:
        The grid of three factors: elevation (4), azimuth (24), object (the models).

    Raises:
        FormatError: When there are no such files, one on the list is missing, or one holds
            something else.

    Source: Reed, Zhang, Zhang, Lee, *Deep Visual Analogy-Making*, NeurIPS 2015.
    """
    folder = existing_folder(folder)
    files = _car_files(folder)
    sides = {_sides(path) for path in files}
    if len(sides) > 1:
        raise FormatError(
            describe_file(folder, f"images of sides {sorted(sides)}", "one side", "fetch it again")
        )
    store = CarRows(folder, files, sides.pop())
    space = SlotSpace.from_cardinalities({
        "elevation": ELEVATIONS,
        "azimuth": AZIMUTHS,
        "object": len(files),
    })
    return FactorGrid(colour_pictures(store), space)


def _car_files(folder: Path) -> tuple[Path, ...]:
    listed = folder / "list.txt"
    if listed.is_file():
        names = [line.strip() for line in listed.read_text().splitlines() if line.strip()]
        files = [folder / f"{name.removesuffix('.mat')}.mat" for name in names]
        missing = [path.name for path in files if not path.is_file()]
        if missing:
            raise FormatError(
                describe_file(
                    folder,
                    f"{len(missing)} files of list.txt are missing, {missing[0]} first",
                    f"{len(files)} files",
                    "unpack the archive whole",
                )
            )
    else:
        files = sorted(folder.glob("*.mat"))
    if not files:
        raise FormatError(
            describe_file(folder, "no .mat files", "one per car model", "give the folder 'cars'")
        )
    return tuple(files)


def _sides(path: Path) -> tuple[int, int]:
    from scipy import io

    try:
        found = {name: (shape, kind) for name, shape, kind in io.whosmat(path)}
    except Exception as error:  # scipy raises whatever its parser meets
        raise FormatError(_unreadable(path, error)) from error
    if "im" not in found:
        raise FormatError(
            describe_file(path, f"variables {sorted(found)}", "im", "it is no file of Cars3D")
        )
    shape, kind = found["im"]
    if len(shape) != 5 or shape[2:] != (3, AZIMUTHS, ELEVATIONS) or kind != "uint8":
        raise FormatError(
            describe_file(
                path,
                f"im has shape {shape} of {kind}",
                f"(height, width, 3, {AZIMUTHS}, {ELEVATIONS}) of uint8",
                "it is no file of Cars3D",
            )
        )
    return shape[0], shape[1]


def _load(path: Path) -> NDArray[np.uint8]:
    from scipy import io

    try:
        image: NDArray[np.uint8] = io.loadmat(path, variable_names=["im"])["im"]
    except Exception as error:  # scipy raises whatever its parser meets
        raise FormatError(_unreadable(path, error)) from error
    return image


def _unreadable(path: Path, error: Exception) -> str:
    return describe_file(
        path,
        f"it cannot be read ({error})",
        "a MATLAB file of version 7 or less",
        "it is truncated or damaged: fetch it again",
    )
