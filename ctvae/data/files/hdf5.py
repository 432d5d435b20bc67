"""Shapes3D, and the HDF5 file it comes in."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ctvae.data.files.checking import describe_file, existing_file
from ctvae.data.files.layouts import colour_pictures
from ctvae.data.files.rows import BLOCK_BYTES, row_runs
from ctvae.data.files.stored import FactorGrid, LabelledImages, rank_values
from ctvae.errors import FormatError
from ctvae.interop.extras import load_extra

__all__ = ["Hdf5Rows", "open_shapes3d"]

SPARSE = 64  # picking a row within a chunk takes h5py as long as reading some 60 to 120 rows
FACTORS = ("floor_hue", "wall_hue", "object_hue", "scale", "shape", "orientation")


@dataclass(frozen=True)
class Hdf5Rows:
    """Rows of a data set of an HDF5 file, read chunk by chunk, each chunk once per call.

    Attributes:
        path: The file, opened anew at each call.
        name: The data set.
        shape: Its shape.
        chunk: The number of rows in a chunk, which can only be read whole; 1 where the data set
            is not chunked.
    """

    path: Path
    name: str
    shape: tuple[int, ...]
    chunk: int

    def blocks(self, rows: NDArray[np.int64]) -> Iterator[NDArray[Any]]:
        """Reads rows.

        Args:
            rows: Row numbers, strictly increasing.

        Yields:
            The rows in their order, some at a time.

        Raises:
            FormatError: When a chunk is damaged.
        """
        if not len(rows):
            return
        h5py = load_extra("h5py", extra="data")
        most = max(1, BLOCK_BYTES // max(1, math.prod(self.shape[1:])))
        try:
            with h5py.File(self.path, "r") as file:
                stored = file[self.name]
                for run in row_runs(rows, self.chunk, most):
                    span = slice(run[0], run[-1] + 1)
                    few = len(run) * SPARSE < span.stop - span.start
                    yield stored[run] if few else stored[span][run - run[0]]
        except (OSError, KeyError, ValueError) as error:
            raise FormatError(
                describe_file(
                    self.path, f"{self.name} cannot be read ({error})", "images", "fetch it again"
                )
            ) from error


def open_shapes3d(path: str | Path) -> FactorGrid:
    """Opens Shapes3D: one object in a room, the full product of six factors.

    Needs ``h5py`` (``pip install ctvae[data]``). Images are read from the file when asked for;
    where it is compressed in chunks of many rows, rows near each other cost less than scattered
    ones.

    Args:
        path: An HDF5 file with ``images`` (n, 64, 64, 3) uint8 and ``labels`` (n, 6) floats.

    Returns:
        The grid of six factors: floor, wall and object hue, scale, shape, orientation; values
        are numbered in their order.

    Raises:
        FormatError: When the file is no such file, or not the full product.
        CTVAEError: When ``h5py`` is not installed.

    Source: Burgess and Kim, *3D Shapes Dataset* (2018).
    """
    path = existing_file(path)
    h5py = load_extra("h5py", extra="data")
    try:
        with h5py.File(path, "r") as file:
            missing = sorted({"images", "labels"} - set(file))
            if missing:
                raise FormatError(
                    describe_file(
                        path,
                        f"data sets {missing} are missing (found {sorted(file)})",
                        "images and labels",
                        "it is another HDF5 file",
                    )
                )
            images, labels = file["images"], file["labels"]
            if images.dtype != np.uint8 or labels.dtype.kind not in "fiu":
                raise FormatError(
                    describe_file(
                        path,
                        f"images of dtype {images.dtype}, labels of dtype {labels.dtype}",
                        "uint8 and numbers",
                        "it is another HDF5 file",
                    )
                )
            if labels.ndim != 2 or labels.shape[1] != len(FACTORS):
                raise FormatError(
                    describe_file(
                        path, f"labels of shape {labels.shape}", "(n, 6)", "it is another HDF5 file"
                    )
                )
            store = Hdf5Rows(path, "images", images.shape, (images.chunks or (1,))[0])
            values = torch.from_numpy(labels[:].astype(np.float64))
    except OSError as error:
        raise FormatError(
            describe_file(
                path, f"it is no HDF5 file, or is truncated ({error})", "HDF5", "fetch it again"
            )
        ) from error
    codes, space = rank_values(values, FACTORS)
    return LabelledImages(colour_pictures(store), codes, space).to_grid()
