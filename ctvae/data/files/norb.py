"""SmallNORB, and the binary matrices it comes in."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ctvae.data.files.checking import describe_file, existing_file, existing_folder
from ctvae.data.files.rows import (
    JoinedRows,
    MappedRows,
    RowStore,
    StreamedRows,
    first_bytes,
    read_all,
    rows_after_header,
)
from ctvae.data.files.stored import FactorGrid, LabelledImages, Pictures, rank_values
from ctvae.errors import FormatError

__all__ = ["matrix_rows", "open_smallnorb"]

FACTORS = ("category", "instance", "elevation", "azimuth", "lighting")
MAGIC = {
    0x1E3D4C51: "<f4",
    0x1E3D4C53: "<f8",
    0x1E3D4C54: "<i4",
    0x1E3D4C55: "u1",
    0x1E3D4C56: "<i2",
}
PACKED = 0x1E3D4C52
HEADER = 8 + 4 * 8  # bytes, of eight axes
CAMERAS = 2


@dataclass(frozen=True)
class _Camera:
    """Takes the view of one camera of each pair."""

    camera: int

    def __call__(self, rows: NDArray[Any]) -> NDArray[np.uint8]:
        return np.ascontiguousarray(rows[:, self.camera : self.camera + 1])


def open_smallnorb(folder: str | Path, *, camera: int = 0) -> FactorGrid:
    """Opens SmallNORB: photographs of toys, five categories of ten instances.

    The two parts, training and testing, hold five instances each; both are read where both are
    there, training first. Plain files are mapped, gzipped ones are read through as a stream at
    each call, so unpack them.

    Args:
        folder: A folder with the matrices ``...-dat.mat``, ``...-cat.mat`` and ``...-info.mat`` of
            one part or both, plain or gzipped.
        camera: Which of the two pictures of each pair: 0, as is usual, or 1.

    Returns:
        The grid of five factors, grey images of 96x96: category, instance, elevation (9),
        azimuth (18), lighting (6). The rows keep the order of the files.

    Raises:
        FormatError: When a file is missing or is no such matrix, or the parts are not the full
            product.

    Source: LeCun, Huang, Bottou, *Learning Methods for Generic Object Recognition with Invariance
    to Pose and Lighting*, CVPR 2004.
    """
    folder = existing_folder(folder)
    if camera not in range(CAMERAS):
        raise FormatError(
            describe_file(folder, f"camera={camera!r}", "camera 0 or 1", "choose one of the two")
        )
    found = {path.name.split("-dat.mat")[0] for path in folder.glob("*-dat.mat*")}
    if not found:
        raise FormatError(
            describe_file(
                folder, "no file ...-dat.mat", "the matrices of SmallNORB", "check the path"
            )
        )
    prefixes = sorted(found, key=lambda prefix: ("testing" in prefix, prefix))
    images, labels = zip(*(_part(folder, prefix) for prefix in prefixes), strict=True)
    store = JoinedRows(images)
    _, _, height, width = store.shape
    codes, space = rank_values(torch.from_numpy(np.concatenate(labels)), FACTORS)
    pictures = Pictures(store, (1, height, width), _Camera(camera))
    return LabelledImages(pictures, codes, space).to_grid()


def matrix_rows(path: Path) -> MappedRows | StreamedRows:
    """Gives the rows of a binary matrix: magic number, number of axes, sizes, elements.

    All numbers are little-endian, and at least three sizes are stored, however few the axes.

    Args:
        path: The matrix, plain or gzipped.

    Returns:
        Its rows.

    Raises:
        FormatError: When it is no such matrix.
    """
    header = first_bytes(path, HEADER)
    magic, axes = struct.unpack("<ii", header[:8]) if len(header) >= 8 else (0, 0)
    sizes = header[8 : 8 + 4 * max(3, axes)]
    if magic not in MAGIC:
        kinds = ", ".join(f"{known:#x}" for known in MAGIC)
        packed = "packed matrices are not read" if magic == PACKED else "it is no such matrix"
        raise FormatError(
            describe_file(path, f"magic number {magic & 0xFFFFFFFF:#x}", f"one of {kinds}", packed)
        )
    if not 1 <= axes <= 8 or len(sizes) < 4 * max(3, axes):
        raise FormatError(
            describe_file(
                path, f"a header of {axes} axes", "1 to 8 axes", "it is truncated or damaged"
            )
        )
    shape = struct.unpack(f"<{max(3, axes)}i", sizes)[:axes]
    if min(shape) < 1:
        raise FormatError(
            describe_file(path, f"a shape {shape}", "sizes of at least 1", "it is damaged")
        )
    return rows_after_header(path, np.dtype(MAGIC[magic]), shape, 8 + len(sizes))


def _part(folder: Path, prefix: str) -> tuple[RowStore, NDArray[np.int64]]:
    images, category, info = (
        matrix_rows(_plain_first(folder, f"{prefix}-{kind}.mat")) for kind in ("dat", "cat", "info")
    )
    count = images.shape[0]
    expected = (
        (images, "u", 4, (count, CAMERAS), "(n, 2, height, width) of bytes"),
        (category, "i", 1, (count,), f"({count},) of integers"),
        (info, "i", 2, (count, 4), f"({count}, 4) of integers"),
    )
    for store, kind, axes, shape, text in expected:
        if store.dtype.kind != kind or len(store.shape) != axes or store.shape[:2] != shape:
            got = f"shape {store.shape} of {store.dtype}"
            way_out = "the three files do not belong together"
            raise FormatError(describe_file(store.path, got, text, way_out))
    labels = np.column_stack([read_all(category), read_all(info)])
    return images, labels.astype(np.int64)


def _plain_first(folder: Path, name: str) -> Path:
    plain = folder / name
    return plain if plain.is_file() else existing_file(folder / f"{name}.gz")
