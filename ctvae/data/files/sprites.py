"""Sprite archives: dSprites, and the LPC characters."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ctvae.data.files.checking import describe_file
from ctvae.data.files.npz import npz_array, npz_keys, npz_rows
from ctvae.data.files.rows import RowStore
from ctvae.data.files.stored import FactorGrid, LabelledImages, Pictures, rank_values
from ctvae.data.images import ImageSet
from ctvae.errors import FormatError

__all__ = ["open_dsprites", "open_lpc_sprites", "read_dsprites", "read_lpc_sprites"]

DSPRITES_FACTORS = ("shape", "scale", "orientation", "x", "y")
WAY_OUT = "it is another file, or damaged"


@dataclass(frozen=True)
class _Binary:
    """Makes images of sprites stored as 0 and 1."""

    path: Path

    def __call__(self, rows: NDArray[Any]) -> NDArray[np.uint8]:
        if rows.min(initial=0) < 0 or rows.max(initial=0) > 1:
            got = f"imgs hold {rows.min()} to {rows.max()}"
            raise FormatError(describe_file(self.path, got, "imgs must be 0 or 1", WAY_OUT))
        return rows[:, None].astype(np.uint8) * np.uint8(255)


@dataclass(frozen=True)
class _Coloured:
    """Makes images of sprites stored as indices of a palette."""

    path: Path
    palette: NDArray[np.uint8]

    def __call__(self, rows: NDArray[Any]) -> NDArray[np.uint8]:
        if rows.min(initial=0) < 0 or rows.max(initial=0) >= len(self.palette):
            got = f"imgs hold {rows.min()} to {rows.max()}"
            expected = f"imgs must index the palette, 0..{len(self.palette) - 1}"
            raise FormatError(describe_file(self.path, got, expected, WAY_OUT))
        return np.ascontiguousarray(self.palette[rows].transpose(0, 3, 1, 2))


def open_dsprites(path: str | Path) -> FactorGrid:
    """Opens a dSprites archive: white sprites on black, the full product of five factors.

    The published archive is compressed, so a call for images reads it through as a stream (its
    memory stays small); an uncompressed copy is mapped. The pickled ``metadata`` is never read.

    Args:
        path: An ``npz`` with ``imgs`` (n, 64, 64) and ``latents_classes`` (n, 5), or (n, 6) with
            the constant colour first, as in the original.

    Returns:
        The grid, images ``(n, 1, 64, 64)`` in 0..255, factors shape, scale, orientation, x, y.

    Raises:
        FormatError: When the file is no such archive, or not the full product.

    Source: Matthey, Higgins, Hassabis, Lerchner (2017).
    """
    return _dsprites(path).to_grid()


def read_dsprites(path: str | Path, *, size: int | None = None) -> ImageSet:
    """Reads a dSprites archive, or any part of one, into memory.

    Args:
        path: As for ``open_dsprites``; not every combination of factors need be there.
        size: The side to average images down to; as stored where ``None``.

    Returns:
        Images ``(n, 1, side, side)`` uint8 in 0..255, factors shape, scale, orientation, x, y.

    Raises:
        FormatError: When the file is no such archive.

    Source: Matthey, Higgins, Hassabis, Lerchner (2017).
    """
    sprites = _dsprites(path)
    return sprites.subset(torch.arange(len(sprites)), size=size)


def open_lpc_sprites(path: str | Path) -> LabelledImages:
    """Opens the LPC characters: four attributes that actions move, and the pose, which none does.

    Not every character is there, so they are no grid.

    Args:
        path: An ``npz`` with ``imgs`` (n, 64, 64) palette indices, ``palette`` (colours, 3) and
            ``latents`` (n, 7): body, bottomwear, topwear, hair, action, direction, frame.

    Returns:
        Colour images ``(n, 3, 64, 64)``, all seven factors; ``moves`` and ``unit`` name the first
        four.

    Raises:
        FormatError: When the file is no such archive.

    Source: Liberated Pixel Cup; Li and Mandt (2018).
    """
    path = Path(path)
    npz_keys(path, ["imgs", "palette", "latents", "latent_names"])
    latents = npz_array(path, "latents", axes=2)
    names = tuple(str(name) for name in npz_array(path, "latent_names", axes=1, kinds="U"))
    if latents.shape[1] != len(names) or len(names) < 4:
        got = f"latents has {latents.shape[1]} columns for names {names}"
        raise FormatError(describe_file(path, got, "one column per name, four at least", WAY_OUT))
    palette = npz_array(path, "palette", axes=2)
    if palette.shape[1] != 3 or palette.min(initial=0) < 0 or palette.max(initial=0) > 255:
        got = f"a palette of shape {palette.shape}"
        raise FormatError(describe_file(path, got, "a palette (colours, 3) in 0..255", WAY_OUT))
    rows = npz_rows(path, "imgs", axes=3, kinds="iu")
    pictures = Pictures(rows, (3, *_sides(rows)), _Coloured(path, palette.astype(np.uint8)))
    codes, space = rank_values(torch.from_numpy(latents.astype(np.int64)), names)
    return LabelledImages(pictures, codes, space, names[:4], names[:4])


def read_lpc_sprites(path: str | Path, *, size: int | None = None) -> ImageSet:
    """Reads the LPC characters into memory.

    Args:
        path: As for ``open_lpc_sprites``.
        size: The side to average images down to; as stored where ``None``.

    Returns:
        Colour images ``(n, 3, side, side)`` uint8, all seven factors; ``moves`` names the first
        four.

    Raises:
        FormatError: When the file is no such archive.

    Source: Liberated Pixel Cup; Li and Mandt (2018).
    """
    characters = open_lpc_sprites(path)
    return characters.subset(torch.arange(len(characters)), size=size)


def _dsprites(path: str | Path) -> LabelledImages:
    path = Path(path)
    npz_keys(path, ["imgs", "latents_classes"])
    classes = npz_array(path, "latents_classes", axes=2)
    if classes.shape[1] == len(DSPRITES_FACTORS) + 1:
        if len(np.unique(classes[:, 0])) > 1:
            got = "the first of 6 latents, the constant colour, varies"
            raise FormatError(describe_file(path, got, "one colour", WAY_OUT))
        classes = classes[:, 1:]
    if classes.shape[1] != len(DSPRITES_FACTORS):
        got = f"latents_classes has {classes.shape[1]} columns"
        raise FormatError(describe_file(path, got, "5 (or 6, the colour first)", WAY_OUT))
    rows = npz_rows(path, "imgs", axes=3, kinds="iu")
    pictures = Pictures(rows, (1, *_sides(rows)), _Binary(path))
    codes, space = rank_values(torch.from_numpy(classes.astype(np.int64)), DSPRITES_FACTORS)
    return LabelledImages(pictures, codes, space)


def _sides(rows: RowStore) -> tuple[int, int]:
    _, height, width = rows.shape
    return height, width
