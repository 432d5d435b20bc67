"""Readers of the field's image files. Nothing is unpickled."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from ctvae.data.images import ImageSet, pool_images
from ctvae.errors import FormatError, ShapeError
from ctvae.slots import Slot, SlotSpace

__all__ = ["read_dsprites", "read_image_file", "read_lpc_sprites"]

DSPRITES_FACTORS = ("shape", "scale", "orientation", "x", "y")


def read_dsprites(path: str | Path, *, size: int | None = None) -> ImageSet:
    """Reads a dSprites archive: white sprites on black, five factors.

    Args:
        path: An ``npz`` with ``imgs`` (n, 64, 64) and ``latents_classes`` (n, 5), or (n, 6) with
            the constant colour first, as in the original.
        size: The side to average images down to; as stored where ``None``.

    Returns:
        Images ``(n, 1, side, side)`` uint8 in 0..255, factors shape, scale, orientation, x, y.

    Raises:
        FormatError: When the file is no such archive.

    Source: Matthey, Higgins, Hassabis, Lerchner (2017).
    """
    data = _read_npz(path, {"imgs": 3, "latents_classes": 2})
    classes = data["latents_classes"]
    if classes.shape[1] == len(DSPRITES_FACTORS) + 1:
        if len(np.unique(classes[:, 0])) > 1:
            msg = f"{path}: the first of 6 latents is the constant colour, but it varies"
            raise FormatError(msg)
        classes = classes[:, 1:]
    if classes.shape[1] != len(DSPRITES_FACTORS):
        msg = f"{path}: latents_classes has {classes.shape[1]} columns, expected 5 (or 6)"
        raise FormatError(msg)
    images = data["imgs"]
    if images.min(initial=0) < 0 or images.max(initial=0) > 1:
        msg = f"{path}: imgs must be 0 or 1, found {images.min()} to {images.max()}"
        raise FormatError(msg)
    pictures = torch.from_numpy(images.astype(np.uint8) * np.uint8(255))[:, None]
    return _image_set(path, pictures, classes, DSPRITES_FACTORS, DSPRITES_FACTORS, size)


def read_lpc_sprites(path: str | Path, *, size: int | None = None) -> ImageSet:
    """Reads the LPC characters: four attributes that actions move, and the pose, which none does.

    Args:
        path: An ``npz`` with ``imgs`` (n, 64, 64) palette indices, ``palette`` (colours, 3) and
            ``latents`` (n, 7): body, bottomwear, topwear, hair, action, direction, frame.
        size: The side to average images down to; as stored where ``None``.

    Returns:
        Colour images ``(n, 3, side, side)`` uint8, all seven factors; ``moves`` names the first
        four.

    Raises:
        FormatError: When the file is no such archive.

    Source: Liberated Pixel Cup; Li and Mandt (2018).
    """
    data = _read_npz(path, {"imgs": 3, "palette": 2, "latents": 2, "latent_names": 1})
    names = tuple(str(name) for name in data["latent_names"])
    if data["latents"].shape[1] != len(names) or len(names) < 4:
        msg = f"{path}: latents has {data['latents'].shape[1]} columns for names {names}"
        raise FormatError(msg)
    palette = data["palette"]
    if palette.shape[1] != 3 or palette.min(initial=0) < 0 or palette.max(initial=0) > 255:
        msg = f"{path}: a palette is (colours, 3) in 0..255, got {palette.shape}"
        raise FormatError(msg)
    if data["imgs"].min(initial=0) < 0 or data["imgs"].max(initial=0) >= len(palette):
        msg = f"{path}: imgs must index the palette, 0..{len(palette) - 1}"
        raise FormatError(msg)
    if not len(data["imgs"]):
        msg = f"{path}: there are no images"
        raise FormatError(msg)
    indices = data["imgs"]
    side = size or indices.shape[1]
    parts = []
    for start in range(0, len(indices), 2048):  # the whole in colour would be large
        rgb = palette.astype(np.uint8)[indices[start : start + 2048]]
        parts.append(_pool(path, torch.from_numpy(rgb).permute(0, 3, 1, 2), side))
    character = names[:4]
    return _image_set(path, torch.cat(parts), data["latents"], names, character, None)


def read_image_file(path: str | Path, *, size: int | None = None) -> ImageSet:
    """Reads an image file of a kind that the library knows, told by its keys.

    Args:
        path: A dSprites or an LPC ``npz``.
        size: The side to average images down to; as stored where ``None``.

    Returns:
        The images with their factors.

    Raises:
        FormatError: When the file is of no known kind.
    """
    keys = set(_npz_keys(path))
    if {"imgs", "palette", "latents"} <= keys:
        return read_lpc_sprites(path, size=size)
    if {"imgs", "latents_classes"} <= keys:
        return read_dsprites(path, size=size)
    msg = (
        f"{path}: arrays {sorted(keys)} are of no known kind; expected dSprites (imgs, "
        "latents_classes) or LPC sprites (imgs, palette, latents, latent_names)"
    )
    raise FormatError(msg)


def _npz_keys(path: str | Path) -> list[str]:
    path = Path(path)
    if not path.is_file():
        msg = f"{path}: no such file"
        raise FormatError(msg)
    try:
        with zipfile.ZipFile(path) as archive:
            return [name.removesuffix(".npy") for name in archive.namelist()]
    except (zipfile.BadZipFile, OSError) as error:
        msg = f"{path} is no npz archive, or is truncated: {error}"
        raise FormatError(msg) from error


def _read_npz(path: str | Path, wanted: dict[str, int]) -> dict[str, np.ndarray]:
    keys = _npz_keys(path)
    missing = sorted(set(wanted) - set(keys))
    if missing:
        msg = f"{path}: arrays {missing} are missing (found {sorted(keys)})"
        raise FormatError(msg)
    arrays = {}
    try:
        with np.load(path, allow_pickle=False) as archive:
            for name in wanted:
                arrays[name] = archive[name]
    except (zipfile.BadZipFile, zlib.error, OSError, ValueError, EOFError) as error:
        msg = f"{path} cannot be read: {error}"
        raise FormatError(msg) from error
    for name, axes in wanted.items():
        if arrays[name].ndim != axes:
            msg = f"{path}: {name} has shape {arrays[name].shape}, expected {axes} axes"
            raise FormatError(msg)
        if name != "latent_names" and arrays[name].dtype.kind not in "iu":
            msg = f"{path}: {name} has dtype {arrays[name].dtype}, expected integers"
            raise FormatError(msg)
    return arrays


def _pool(path: str | Path, images: torch.Tensor, side: int) -> torch.Tensor:
    try:
        return pool_images(images, side)
    except ShapeError as error:
        msg = f"{path}: {error}"
        raise FormatError(msg) from error


def _image_set(
    path: str | Path,
    images: torch.Tensor,
    factors: np.ndarray,
    names: Sequence[str],
    moves: Sequence[str],
    size: int | None,
) -> ImageSet:
    if len(images) != len(factors) or len(images) == 0:
        msg = f"{path}: {len(images)} images for {len(factors)} rows of factors"
        raise FormatError(msg)
    codes = torch.from_numpy(factors.astype(np.int64))
    # Values are renumbered 0, 1, ... in their order: a file may hold every second step only.
    columns = [column.unique(return_inverse=True) for column in codes.unbind(1)]
    space = SlotSpace(Slot(n, len(values)) for n, (values, _) in zip(names, columns, strict=True))
    ranks = torch.stack([rank for _, rank in columns], 1)
    side = size or images.shape[-1]
    return ImageSet(_pool(path, images, side), ranks, space, moves=tuple(moves), unit=tuple(moves))
