"""Small files in the true formats of the data sets, written by the tests."""

from __future__ import annotations

import gzip
import struct
import warnings
from itertools import product
from pathlib import Path

import h5py
import numpy as np
from PIL import Image
from scipy import io

SHAPES3D = (3, 2, 2, 2, 2, 3)
VALUES = (
    np.arange(3) / 10,
    np.arange(2) / 10,
    np.arange(2) / 10,
    np.array([0.75, 1.25]),
    np.arange(2.0),
    np.array([-30.0, 0.0, 30.0]),
)
NORB = {"46789": "training", "01235": "testing"}
ATTRIBUTES = ("Bald", "Bangs", "Big_Lips", "Male")


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def product_of(*sizes: int) -> np.ndarray:
    return np.array(list(product(*(range(size) for size in sizes))))


def dsprites(path: Path, *, save=np.savez_compressed, **changes: np.ndarray) -> Path:
    """The original's columns, a smaller grid, and a pickled ``metadata`` as in the original."""
    classes = product_of(1, 3, 2, 2, 2, 2)
    arrays: dict[str, np.ndarray] = {
        "imgs": noise(len(classes), 8, 8) % 2,
        "latents_classes": classes,
        "metadata": np.array({"title": "dSprites"}, dtype=object),
    }
    save(path, **(arrays | changes))
    return path


def mpi3d(path: Path, *, save=np.savez, count: int = 460_800, side: int = 2) -> Path:
    """All rows of the complex shapes, each image telling its row number."""
    images = np.zeros((count, side, side, 3), np.uint8)
    row = np.arange(count)
    images[:, 0, 0] = np.stack([row >> 16, row >> 8 & 255, row & 255], 1)
    save(path, images=images)
    return path


def shapes3d(path: Path, *, chunks: tuple[int, ...] | None = None, **changes: np.ndarray) -> Path:
    grid = product_of(*SHAPES3D)
    arrays = {
        "images": noise(len(grid), 8, 8, 3),
        "labels": np.stack([v[grid[:, k]] for k, v in enumerate(VALUES)], 1),
    } | changes
    compression = "gzip" if chunks else None
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            known = {"chunks": chunks, "compression": compression} if name == "images" else {}
            file.create_dataset(name, data=array, **known)
    return path


def cars3d(folder: Path, *, cars: int = 3, **changes: np.ndarray) -> Path:
    """One file per car, named as ``list.txt`` says; ``changes`` go to the last car."""
    folder.mkdir(exist_ok=True)
    names = [f"car_{k:03d}_mesh" for k in range(1, cars + 1)]
    for k, name in enumerate(names):
        variables = {"im": noise(8, 8, 3, 24, 4, seed=k), "other": np.zeros(2)}
        variables |= changes if k == cars - 1 else {}
        io.savemat(folder / f"{name}.mat", variables, do_compression=True)
    (folder / "list.txt").write_text("\n".join(names) + "\n")
    return folder


def matrix(path: Path, array: np.ndarray, *, magic: int | None = None) -> Path:
    """A binary matrix as SmallNORB stores it; gzipped where the name says so."""
    kinds = {"u1": 0x1E3D4C55, "i4": 0x1E3D4C54, "f4": 0x1E3D4C51}
    sizes = [*array.shape, 1, 1][: max(3, array.ndim)]
    header = struct.pack("<ii", magic or kinds[array.dtype.str[1:]], array.ndim)
    content = header + struct.pack(f"<{len(sizes)}i", *sizes) + array.tobytes()
    path.write_bytes(gzip.compress(content, 1) if path.suffix == ".gz" else content)
    return path


def norb_labels(part: str) -> np.ndarray:
    """Category, instance, elevation, azimuth (0, 2, ...), lighting, in a shuffled order."""
    grid = product_of(2, len(part), 3, 2, 2)
    grid[:, 1] = np.array([int(digit) for digit in part])[grid[:, 1]]
    grid[:, 3] *= 2
    return np.random.default_rng(int(part)).permutation(grid).astype(np.int32)


def smallnorb(folder: Path, *, parts=tuple(NORB), suffix: str = ".mat") -> Path:
    folder.mkdir(exist_ok=True)
    for part in parts:
        labels = norb_labels(part)
        stem = f"smallnorb-5x{part}x9x18x6x2x96x96-{NORB[part]}"
        images = noise(len(labels), 2, 8, 8, seed=int(part))
        matrix(folder / f"{stem}-dat{suffix}", images)
        matrix(folder / f"{stem}-cat{suffix}", labels[:, 0].copy())
        matrix(folder / f"{stem}-info{suffix}", labels[:, 1:].copy())
    return folder


def idx(path: Path, array: np.ndarray) -> Path:
    header = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    content = header + array.astype(np.uint8).tobytes()
    path.write_bytes(gzip.compress(content, 1) if path.suffix == ".gz" else content)
    return path


def mnist(folder: Path, *, suffix: str = "", test_side: int = 8) -> Path:
    folder.mkdir(exist_ok=True)
    for k, (part, count, side) in enumerate([("train", 12, 8), ("t10k", 5, test_side)]):
        idx(folder / f"{part}-images-idx3-ubyte{suffix}", noise(count, side, side, seed=k))
        idx(folder / f"{part}-labels-idx1-ubyte{suffix}", np.arange(count) % 10)
    return folder


def celeba(folder: Path, *, photos: int = 24, partition: bool = True) -> Path:
    """Photographs of 178x218 with a table of four attributes that take all settings."""
    (folder / "img_align_celeba").mkdir(parents=True, exist_ok=True)
    settings = product_of(2, 2, 2, 2)
    lines = [str(photos), " ".join(ATTRIBUTES)]
    parts = []
    for k in range(photos):
        name = f"{k + 1:06d}.jpg"
        flat = np.full((218, 178, 3), (k * 9, 255 - k * 9, 40), np.uint8)
        Image.fromarray(flat).save(folder / "img_align_celeba" / name, quality=95)
        lines.append(name + " " + " ".join(f"{2 * v - 1:2d}" for v in settings[k % 16]))
        parts.append(f"{name} {k % 3}")
    (folder / "list_attr_celeba.txt").write_text("\n".join(lines) + "\n")
    if partition:
        (folder / "list_eval_partition.txt").write_text("\n".join(parts) + "\n")
    return folder


def cut(path: Path, share: float = 0.5) -> Path:
    """The file, cut off."""
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    return path


def fortran(path: Path) -> Path:
    with warnings.catch_warnings():
        np.savez(path, images=np.asfortranarray(noise(4, 2, 2, 3)))
    return path
