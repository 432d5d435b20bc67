"""The kind of a file or folder, told by what is in it."""

from __future__ import annotations

from pathlib import Path

import torch

from ctvae.data.files.checking import describe_file, existing_file
from ctvae.data.files.folders import open_celeba
from ctvae.data.files.hdf5 import open_shapes3d
from ctvae.data.files.idx import open_mnist
from ctvae.data.files.matlab import open_cars3d
from ctvae.data.files.mpi3d import open_mpi3d
from ctvae.data.files.norb import MAGIC, open_smallnorb
from ctvae.data.files.npz import npz_keys
from ctvae.data.files.rows import first_bytes
from ctvae.data.files.sprites import open_dsprites, open_lpc_sprites, read_dsprites
from ctvae.data.files.stored import StoredImages
from ctvae.data.images import ImageSet
from ctvae.errors import FormatError

__all__ = ["open_image_file", "read_image_file"]

KINDS = (
    "dSprites (npz: imgs, latents_classes), LPC sprites (npz: imgs, palette, latents, "
    "latent_names), MPI3D (npz: images), Shapes3D (h5: images, labels), Cars3D (folder of .mat), "
    "SmallNORB (folder of ...-dat.mat), MNIST (idx), CelebA (folder with list_attr_celeba.txt)"
)


def open_image_file(path: str | Path) -> StoredImages:
    """Opens a file or folder of a kind that the library knows; images are read when asked for.

    Args:
        path: A dSprites, LPC or MPI3D ``npz``, a Shapes3D HDF5 file, an idx file of images, or
            the folder of Cars3D, SmallNORB, MNIST or CelebA.

    Returns:
        A factor grid, or labelled images where not every combination of factors is there.

    Raises:
        FormatError: When it is of no known kind.
    """
    path = Path(path)
    if path.is_dir():
        return _open_folder(path)
    head = first_bytes(existing_file(path), 8)
    if head.startswith(b"PK"):
        return _open_npz(path)
    if head.startswith(b"\x89HDF\r\n\x1a\n"):
        return open_shapes3d(path)
    if head.startswith(b"\0\0\x08\x03"):
        return open_mnist(path)
    if int.from_bytes(head[:4], "little") in MAGIC:
        return open_smallnorb(path.parent)
    raise FormatError(
        _unknown(path, f"it begins with {head[:8]!r}: no npz archive, HDF5, idx or NORB file")
    )


def read_image_file(path: str | Path, *, size: int | None = None) -> ImageSet:
    """Reads all images of a file or folder of a kind that the library knows.

    All of them are held in memory, at the side asked for; of a large set take some by
    ``open_image_file(path).sample(1000, seed=0)``.

    Args:
        path: As for ``open_image_file``; a dSprites archive may hold a part of the grid.
        size: The side to average images down to; as stored where ``None``.

    Returns:
        The images with their factors.

    Raises:
        FormatError: When it is of no known kind.
    """
    path = Path(path)
    if _is_dsprites(path):
        return read_dsprites(path, size=size)
    stored = open_image_file(path)
    return stored.subset(torch.arange(len(stored)), size=size)


def _is_dsprites(path: Path) -> bool:
    if path.is_dir() or not first_bytes(existing_file(path), 2).startswith(b"PK"):
        return False
    keys = set(npz_keys(path))
    return {"imgs", "latents_classes"} <= keys and "palette" not in keys


def _open_npz(path: Path) -> StoredImages:
    keys = set(npz_keys(path))
    if {"imgs", "palette", "latents"} <= keys:
        return open_lpc_sprites(path)
    if {"imgs", "latents_classes"} <= keys:
        return open_dsprites(path)
    if "images" in keys:
        return open_mpi3d(path)
    raise FormatError(_unknown(path, f"arrays {sorted(keys)}"))


def _open_folder(path: Path) -> StoredImages:
    if (path / "list_attr_celeba.txt").is_file() or (path / "Anno").is_dir():
        return open_celeba(path)
    if any(path.glob("*-dat.mat*")):
        return open_smallnorb(path)
    if any(path.glob("*images*idx3*")):
        return open_mnist(path)
    if any(path.glob("*.mat")) or (path / "list.txt").is_file():
        return open_cars3d(path)
    found = sorted(entry.name for entry in path.iterdir())[:4]
    raise FormatError(_unknown(path, f"a folder with {found or 'nothing'}"))


def _unknown(path: Path, got: str) -> str:
    way_out = "build a ctvae.data.ImageSet from your own arrays"
    return describe_file(path, f"{got}: it is of no known kind", KINDS, way_out)
