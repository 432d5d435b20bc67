"""The archives of numpy: their arrays, whole or by rows. Nothing is unpickled."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ctvae.data.files.checking import describe_file, existing_file
from ctvae.data.files.rows import MappedRows, RowStore, StreamedRows
from ctvae.errors import FormatError

__all__ = ["npz_array", "npz_keys", "npz_rows"]

LOCAL_HEADER = 30  # bytes of a zip entry before its name; the lengths of name and extra end it
DAMAGED = (zipfile.BadZipFile, zlib.error, OSError, ValueError, EOFError)


def npz_keys(path: str | Path, wanted: Sequence[str] = ()) -> list[str]:
    """Lists the arrays of an archive.

    Args:
        path: The archive.
        wanted: Arrays that must be there.

    Returns:
        The names of all.

    Raises:
        FormatError: When it is no archive, or an array is missing.
    """
    path = existing_file(path)
    try:
        with zipfile.ZipFile(path) as archive:
            keys = [name.removesuffix(".npy") for name in archive.namelist()]
    except (zipfile.BadZipFile, OSError) as error:
        raise FormatError(
            describe_file(
                path, f"it is no npz archive, or is truncated ({error})", "an npz", "fetch it again"
            )
        ) from error
    missing = sorted(set(wanted) - set(keys))
    if missing:
        raise FormatError(
            describe_file(
                path,
                f"arrays {missing} are missing (found {sorted(keys)})",
                f"the arrays {sorted(wanted)}",
                "ctvae.data.open_image_file tells other kinds by their arrays",
            )
        )
    return keys


def npz_array(path: Path, name: str, *, axes: int, kinds: str = "iu") -> NDArray[Any]:
    """Reads one array whole: for labels, which are small.

    Args:
        path: The archive.
        name: The array.
        axes: How many axes it must have.
        kinds: The kinds of dtype allowed, as numpy letters.

    Returns:
        The array.

    Raises:
        FormatError: When it cannot be read without unpickling, or has another shape or dtype.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            array: NDArray[Any] = archive[name]
    except DAMAGED as error:
        raise FormatError(_unreadable(path, name, error)) from error
    _check_array(path, name, array.shape, array.dtype, axes, kinds)
    return array


def npz_rows(path: Path, name: str, *, axes: int, kinds: str = "u") -> RowStore:
    """Gives the rows of one array: mapped where it is stored, streamed where it is compressed.

    Args:
        path: The archive.
        name: The array.
        axes: How many axes it must have.
        kinds: The kinds of dtype allowed, as numpy letters.

    Returns:
        The rows, read when asked for.

    Raises:
        FormatError: When it is pickled, or has another shape or dtype, or is truncated.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entry = archive.getinfo(f"{name}.npy")
            with archive.open(entry) as stream:
                shape, dtype, header = _read_header(stream)
        with path.open("rb") as raw:
            raw.seek(entry.header_offset)
            local = raw.read(LOCAL_HEADER)
    except DAMAGED as error:
        raise FormatError(_unreadable(path, name, error)) from error
    _check_array(path, name, shape, dtype, axes, kinds)
    if entry.compress_type == zipfile.ZIP_STORED:
        lengths = int.from_bytes(local[26:28], "little") + int.from_bytes(local[28:30], "little")
        return MappedRows(path, dtype, shape, entry.header_offset + LOCAL_HEADER + lengths + header)
    return StreamedRows(path, dtype, shape, header, partial(_open_member, path, entry.filename))


def _read_header(stream: Any) -> tuple[tuple[int, ...], np.dtype[Any], int]:  # noqa: ANN401
    version = np.lib.format.read_magic(stream)
    readers = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    if version not in readers:
        msg = f"npy version {version} is not 1.0 or 2.0"
        raise ValueError(msg)
    shape, fortran, dtype = readers[version](stream)
    if fortran and len(shape) > 1:
        msg = "the array is in Fortran order; save np.ascontiguousarray of it"
        raise ValueError(msg)
    if dtype.hasobject:
        msg = "the array is pickled, and nothing is unpickled"
        raise ValueError(msg)
    return shape, dtype, stream.tell()


@contextmanager
def _open_member(path: Path, name: str) -> Iterator[BinaryIO]:
    with zipfile.ZipFile(path) as archive, archive.open(name) as stream:
        yield stream  # type: ignore[misc]  # a binary stream


def _check_array(
    path: Path, name: str, shape: tuple[int, ...], dtype: np.dtype[Any], axes: int, kinds: str
) -> None:
    if len(shape) != axes:
        raise FormatError(
            describe_file(path, f"{name} has shape {shape}", f"{axes} axes", "it is another file")
        )
    if dtype.kind not in kinds:
        wanted = "integers" if kinds in {"iu", "u"} else f"a dtype of kind {kinds}"
        raise FormatError(
            describe_file(path, f"{name} has dtype {dtype}", wanted, "it is another file")
        )
    if shape[0] == 0:
        raise FormatError(
            describe_file(
                path,
                f"there are no images: {name} is empty",
                "at least one row",
                "it is another file",
            )
        )


def _unreadable(path: Path, name: str, error: Exception) -> str:
    return describe_file(
        path,
        f"{name} cannot be read ({error})",
        "a plain array",
        "it is damaged, or pickled and so refused",
    )
