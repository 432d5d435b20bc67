"""How the pixels of a stored image lie, for the sets that store plain bytes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ctvae.data.files.checking import describe_file
from ctvae.data.files.rows import RowStore
from ctvae.data.files.stored import Pictures
from ctvae.errors import FormatError

__all__ = ["colour_pictures", "grey_pictures"]


def colour_pictures(store: RowStore) -> Pictures:
    """Takes rows as colour images, the colours last.

    Args:
        store: Rows ``(n, height, width, 3)``.

    Returns:
        The images.

    Raises:
        FormatError: When the rows have another shape.
    """
    if len(store.shape) != 4 or store.shape[-1] != 3:
        raise FormatError(
            describe_file(
                store.path,
                f"images of shape {store.shape}",
                "(n, height, width, 3)",
                "colours come last; this is another file",
            )
        )
    _, height, width, _ = store.shape
    return Pictures(store, (3, height, width), _colours_first)


def grey_pictures(store: RowStore) -> Pictures:
    """Takes rows as grey images.

    Args:
        store: Rows ``(n, height, width)``.

    Returns:
        The images, of one channel.

    Raises:
        FormatError: When the rows have another shape.
    """
    if len(store.shape) != 3:
        raise FormatError(
            describe_file(
                store.path,
                f"images of shape {store.shape}",
                "(n, height, width)",
                "grey images have three axes; this is another file",
            )
        )
    _, height, width = store.shape
    return Pictures(store, (1, height, width), _one_channel)


def _colours_first(rows: NDArray[Any]) -> NDArray[np.uint8]:
    return np.ascontiguousarray(rows.transpose(0, 3, 1, 2))


def _one_channel(rows: NDArray[Any]) -> NDArray[np.uint8]:
    return np.ascontiguousarray(rows[:, None])
