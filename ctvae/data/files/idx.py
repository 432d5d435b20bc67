"""MNIST, and the idx files it comes in."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import torch

from ctvae.data.files.checking import describe_file
from ctvae.data.files.layouts import grey_pictures
from ctvae.data.files.rows import (
    JoinedRows,
    RowStore,
    first_bytes,
    read_all,
    rows_after_header,
)
from ctvae.data.files.stored import LabelledImages
from ctvae.errors import FormatError
from ctvae.slots import Slot, SlotSpace

__all__ = ["idx_rows", "open_mnist"]

DTYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
HEADER = 4 + 4 * 8  # bytes, of eight axes
DIGITS = 10


def open_mnist(path: str | Path) -> LabelledImages:
    """Opens MNIST, or a set in its format: grey images of ten classes.

    Plain files are mapped, gzipped ones are read through as a stream at each call.

    Args:
        path: A folder with ``train-images-idx3-ubyte``, ``t10k-images-idx3-ubyte`` or both, plain
            or gzipped, or one such file; the labels (``...-labels-idx1-ubyte``) lie beside.

    Returns:
        Images ``(n, 1, 28, 28)`` with the factor ``digit``; ``parts`` are the rows of training
        and test where both are there.

    Raises:
        FormatError: When a file is missing or is no such file.

    Source: LeCun, Bottou, Bengio, Haffner, *Gradient-Based Learning Applied to Document
    Recognition*, Proc. IEEE 1998.
    """
    path = Path(path)
    files = [path] if path.is_file() else sorted(path.glob("*images*idx3*"), reverse=True)
    if not files:
        raise FormatError(
            describe_file(
                path, "no file ...-images-idx3-ubyte", "the idx files of MNIST", "check the path"
            )
        )
    by_stem = {file.name.removesuffix(".gz"): file for file in files}  # one of plain and gzipped
    images = JoinedRows(tuple(_images(file) for file in by_stem.values()))
    labels = torch.cat([_labels(file) for file in by_stem.values()])
    sizes = [part.shape[0] for part in images.parts]
    parts = torch.arange(len(labels)).split(sizes) if len(sizes) > 1 else ()
    space = SlotSpace([Slot("digit", DIGITS)])
    return LabelledImages(grey_pictures(images), labels[:, None], space, parts=tuple(parts))


def idx_rows(path: Path) -> RowStore:
    """Gives the rows of an idx file: two zeros, type, number of axes, sizes, elements.

    All numbers are big-endian.

    Args:
        path: The file, plain or gzipped.

    Returns:
        Its rows.

    Raises:
        FormatError: When it is no such file.
    """
    header = first_bytes(path, HEADER)
    magic = header[:4]
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in DTYPES or not 1 <= magic[3] <= 8:
        raise FormatError(
            describe_file(
                path,
                f"magic number {magic.hex() or 'none'}",
                "0000, a type 08..0e, 1 to 8 axes",
                "it is no idx file",
            )
        )
    sizes = header[4 : 4 + 4 * magic[3]]
    if len(sizes) < 4 * magic[3]:
        raise FormatError(
            describe_file(path, "a header cut short", f"{magic[3]} sizes", "it is truncated")
        )
    shape = struct.unpack(f">{magic[3]}I", sizes)
    if min(shape) < 1:
        raise FormatError(
            describe_file(path, f"a shape {shape}", "sizes of at least 1", "it is damaged")
        )
    return rows_after_header(path, np.dtype(DTYPES[magic[2]]), shape, 4 + len(sizes))


def _images(path: Path) -> RowStore:
    magic = first_bytes(path, 4)
    if magic != b"\0\0\x08\x03":
        got = f"magic number {magic.hex() or 'none'}"
        raise FormatError(
            describe_file(path, got, "00000803, images of bytes", "it is no file of images")
        )
    return idx_rows(path)


def _labels(images: Path) -> torch.Tensor:
    name = images.name.removesuffix(".gz").replace("images", "labels").replace("idx3", "idx1")
    beside = (images.with_name(name), images.with_name(f"{name}.gz"))
    path = next((path for path in beside if path.is_file()), None)
    if path is None:
        raise FormatError(
            describe_file(
                images, f"{name} is missing beside it", "the labels", "put them into one folder"
            )
        )
    store, count = idx_rows(path), idx_rows(images).shape[0]
    if store.shape != (count,):
        got = f"labels of shape {store.shape}"
        raise FormatError(
            describe_file(path, got, f"({count},)", "images and labels are of different sets")
        )
    labels = read_all(store)
    if labels.dtype.kind not in "iu" or labels.min() < 0 or labels.max() >= DIGITS:
        got = f"labels {labels.min()} to {labels.max()} of {labels.dtype}"
        raise FormatError(
            describe_file(path, got, f"integers 0..{DIGITS - 1}", "it is another set")
        )
    return torch.from_numpy(labels.astype(np.int16))
