"""Arrays in files, read by rows: a large one is never loaded whole to take a few."""

from __future__ import annotations

import gzip
import math
import mmap
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ctvae.data.files.checking import describe_file
from ctvae.errors import FormatError

__all__ = [
    "JoinedRows",
    "MappedRows",
    "RowStore",
    "StreamedRows",
    "first_bytes",
    "is_gzipped",
    "open_plain_or_gzip",
    "read_all",
    "row_runs",
    "rows_after_header",
]

BLOCK_BYTES = 1 << 22  # of the array, held at once beside what is asked for

OpenStream: TypeAlias = Callable[[], AbstractContextManager[BinaryIO]]


class RowStore(Protocol):
    """An array in a file whose rows (first axis) are read when asked for."""

    @property
    def path(self) -> Path:
        """The file, for messages."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the whole array."""

    def blocks(self, rows: NDArray[np.int64]) -> Iterator[NDArray[Any]]:
        """Reads rows.

        Args:
            rows: Row numbers, strictly increasing.

        Yields:
            The rows in their order, some at a time.
        """


@dataclass(frozen=True)
class MappedRows:
    """Uncompressed rows, mapped into memory: only the pages that hold them are read.

    Attributes:
        path: The file.
        dtype: Of its elements, byte order included.
        shape: Of the array.
        offset: Where its first element lies, in bytes.

    Raises:
        FormatError: When the file ends before the array does.
    """

    path: Path
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    offset: int

    def __post_init__(self) -> None:
        needed = self.offset + math.prod(self.shape) * self.dtype.itemsize
        size = self.path.stat().st_size
        if size < needed:
            raise FormatError(
                _truncated(self.path, f"{size} bytes", f"{needed} bytes for {self.shape}")
            )

    def blocks(self, rows: NDArray[np.int64]) -> Iterator[NDArray[Any]]:
        """Reads rows.

        Args:
            rows: Row numbers, strictly increasing.

        Yields:
            The rows in their order, some at a time.
        """
        if not len(rows):
            return
        with self.path.open("rb") as file:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        scattered = int(rows[-1] - rows[0]) >= 2 * len(rows)
        if scattered and hasattr(mmap, "MADV_RANDOM"):
            mapped.madvise(mmap.MADV_RANDOM)  # else megabytes are read ahead at every row
        flat = np.frombuffer(mapped, self.dtype, math.prod(self.shape), self.offset)
        array = flat.reshape(self.shape)
        most = _rows_in_block(self)
        for start in range(0, len(rows), most):
            yield array[rows[start : start + most]]


@dataclass(frozen=True)
class StreamedRows:
    """Compressed rows: the stream is read through, up to the last row wanted, a block at a time.

    Every call begins at the start of the stream, so take the rows in one call.

    Attributes:
        path: The file.
        dtype: Of its elements, byte order included.
        shape: Of the array.
        offset: How many bytes of the stream precede its first element.
        open: Opens the decompressed stream.
    """

    path: Path
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    offset: int
    open: OpenStream

    def blocks(self, rows: NDArray[np.int64]) -> Iterator[NDArray[Any]]:
        """Reads rows.

        Args:
            rows: Row numbers, strictly increasing.

        Yields:
            The rows in their order, some at a time.

        Raises:
            FormatError: When the stream is damaged or ends too soon.
        """
        if not len(rows):
            return
        most = _rows_in_block(self)
        try:
            with self.open() as stream:
                stream.read(self.offset)
                for start in range(0, int(rows[-1]) + 1, most):
                    block = self._next_rows(stream, min(most, self.shape[0] - start))
                    first, last = np.searchsorted(rows, [start, start + most])
                    if first < last:
                        yield block[rows[first:last] - start]
        except (zipfile.BadZipFile, zlib.error, OSError, EOFError) as error:
            raise FormatError(
                describe_file(
                    self.path,
                    f"it cannot be read ({error})",
                    f"an undamaged stream of {self.shape}",
                    "it is truncated or damaged: fetch it again",
                )
            ) from error

    def _next_rows(self, stream: BinaryIO, count: int) -> NDArray[Any]:
        shape = (count, *self.shape[1:])
        needed = math.prod(shape) * self.dtype.itemsize
        data = stream.read(needed)
        if len(data) < needed:
            raise FormatError(
                _truncated(self.path, "the stream ends too soon", f"an array of {self.shape}")
            )
        return np.frombuffer(data, self.dtype).reshape(shape)


@dataclass(frozen=True)
class JoinedRows:
    """Rows of several stores, one after the other.

    Attributes:
        parts: The stores; all but the first axis of their shapes agree.

    Raises:
        FormatError: When they do not.
    """

    parts: tuple[RowStore, ...]

    def __post_init__(self) -> None:
        for part in self.parts:
            if part.shape[1:] != self.parts[0].shape[1:]:
                raise FormatError(
                    describe_file(
                        part.path,
                        f"rows of shape {part.shape[1:]}",
                        f"{self.parts[0].shape[1:]}, as in {self.parts[0].path.name}",
                        "read the two files one by one",
                    )
                )

    @property
    def path(self) -> Path:
        """The folder of the first file."""
        return self.parts[0].path.parent

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of all parts together."""
        return (sum(part.shape[0] for part in self.parts), *self.parts[0].shape[1:])

    def blocks(self, rows: NDArray[np.int64]) -> Iterator[NDArray[Any]]:
        """Reads rows.

        Args:
            rows: Row numbers over all parts, strictly increasing.

        Yields:
            The rows in their order, some at a time.
        """
        start = 0
        for part in self.parts:
            first, last = np.searchsorted(rows, [start, start + part.shape[0]])
            if first < last:
                yield from part.blocks(rows[first:last] - start)
            start += part.shape[0]


def is_gzipped(path: Path) -> bool:
    """Tells by its first two bytes whether a file is gzipped.

    Args:
        path: The file.

    Returns:
        Whether it is.
    """
    with path.open("rb") as stream:
        return stream.read(2) == b"\x1f\x8b"


def open_plain_or_gzip(path: Path) -> AbstractContextManager[BinaryIO]:
    """Opens the content of a file.

    Args:
        path: The file, plain or gzipped.

    Returns:
        The stream of its bytes.
    """
    return gzip.open(path, "rb") if is_gzipped(path) else path.open("rb")  # type: ignore[return-value]


def first_bytes(path: Path, count: int) -> bytes:
    """Reads the beginning of a file, by which its kind is told.

    Args:
        path: The file, plain or gzipped.
        count: How many bytes.

    Returns:
        The first bytes of its content, fewer where it is shorter.

    Raises:
        FormatError: When it cannot be unpacked.
    """
    try:
        with open_plain_or_gzip(path) as stream:
            return stream.read(count)
    except (zlib.error, OSError, EOFError) as error:
        raise FormatError(
            _truncated(path, f"it cannot be read ({error})", "a file, plain or gzipped")
        ) from error


def rows_after_header(
    path: Path, dtype: np.dtype[Any], shape: tuple[int, ...], offset: int
) -> MappedRows | StreamedRows:
    """Gives the rows of a binary file: mapped where it is plain, streamed where it is gzipped.

    Args:
        path: The file.
        dtype: Of its elements.
        shape: Of the array.
        offset: The length of its header in bytes.

    Returns:
        The rows.
    """
    if is_gzipped(path):
        return StreamedRows(path, dtype, shape, offset, partial(open_plain_or_gzip, path))
    return MappedRows(path, dtype, shape, offset)


def read_all(store: RowStore) -> NDArray[Any]:
    """Reads every row: for labels, which are small.

    Args:
        store: The rows.

    Returns:
        The array.
    """
    return np.concatenate(list(store.blocks(np.arange(store.shape[0]))))


def row_runs(rows: NDArray[np.int64], chunk: int, most: int) -> list[NDArray[np.int64]]:
    """Cuts rows into runs, each of which lies in neighbouring chunks of a file.

    Args:
        rows: Row numbers, strictly increasing.
        chunk: The number of rows in a chunk, which can only be read whole.
        most: The most rows of the file that a run may span; at least one chunk is allowed.

    Returns:
        The runs; no chunk belongs to two of them.

    Example:
        >>> [run.tolist() for run in row_runs(np.array([0, 3, 4, 20, 21]), 4, 100)]
        [[0, 3, 4], [20, 21]]
    """
    chunks = rows // chunk
    blocks = chunks // max(1, most // chunk)
    cuts = (np.diff(chunks) > 1) | (np.diff(blocks) > 0)
    return np.split(rows, np.flatnonzero(cuts) + 1)


def _rows_in_block(store: MappedRows | StreamedRows) -> int:
    return max(1, BLOCK_BYTES // max(1, math.prod(store.shape[1:]) * store.dtype.itemsize))


def _truncated(path: Path, got: str, expected: str) -> str:
    return describe_file(path, got, expected, "it is truncated: fetch it again")
