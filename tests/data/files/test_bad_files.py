"""Files that are not what they should be: a typed error that says what, and the way out."""

from __future__ import annotations

import gzip
import pickle
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from scipy import io

from ctvae.data import open_image_file
from ctvae.data.files import (
    open_cars3d,
    open_celeba,
    open_dsprites,
    open_mnist,
    open_mpi3d,
    open_shapes3d,
    open_smallnorb,
)
from ctvae.errors import FormatError
from tests.data.files import written
from tests.data.files.written import noise

DAT = "smallnorb-5x46789x9x18x6x2x96x96-training-dat.mat"
CAT, INFO = DAT.replace("-dat", "-cat"), DAT.replace("-dat", "-info")


class Bomb:
    """Leaves a trace where it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return Path.touch, (self.trace,)


def norb(path: Path, change: Callable[[Path], object]) -> object:
    folder = written.smallnorb(path / "norb", parts=("46789",))
    change(folder)
    return open_smallnorb(folder)


def mnist(path: Path, change: Callable[[Path], object]) -> object:
    folder = written.mnist(path / "mnist")
    change(folder)
    digits = open_mnist(folder)
    return digits.images(torch.arange(len(digits)))


def celeba(path: Path, change: Callable[[Path], object]) -> object:
    folder = written.celeba(path / "celeba")
    change(folder)
    photos = open_celeba(folder)
    return photos.images(torch.arange(len(photos)))


def cars(path: Path, im: np.ndarray) -> object:
    grid = open_cars3d(written.cars3d(path / "cars", im=im))
    return grid.images(torch.arange(len(grid)))


def edit(path: Path, old: str, new: str) -> None:
    path.write_text(path.read_text().replace(old, new, 1))


def zipped_and_cut(path: Path) -> Path:
    path.write_bytes(gzip.compress(written.idx(path, noise(50, 8, 8)).read_bytes()))
    return written.cut(path)


def text(path: Path) -> Path:
    path.write_text("no data")
    return path


def v73(path: Path) -> object:
    written.cars3d(path / "cars")
    with h5py.File(path / "cars/car_003_mesh.mat", "w") as file:
        file["im"] = np.zeros(3)
    return open_cars3d(path / "cars")


def odd_cars(path: Path) -> object:
    folder = written.cars3d(path / "cars")
    io.savemat(folder / "car_003_mesh.mat", {"im": noise(4, 4, 3, 24, 4)})
    return open_cars3d(folder)


def corrupt_stream(path: Path) -> object:
    whole = bytearray(written.mpi3d(path / "m.npz", save=np.savez_compressed).read_bytes())
    whole[len(whole) // 2 : len(whole) // 2 + 64] = bytes(64)
    (path / "m.npz").write_bytes(bytes(whole))
    return open_mpi3d(path / "m.npz").images(torch.tensor([460_799]))


def grid_without_its_last_row(path: Path) -> Path:
    classes = written.product_of(1, 3, 2, 2, 2, 2)
    return written.dsprites(path, imgs=noise(47, 8, 8) % 2, latents_classes=classes[:47])


def grid_with_a_row_twice(path: Path) -> Path:
    classes = written.product_of(1, 3, 2, 2, 2, 2)
    classes[1] = classes[0]
    return written.dsprites(path, latents_classes=classes)


BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    # files of no known kind
    "text": (lambda p: open_image_file(text(p / "a.h5")), "no known kind"),
    "no file": (lambda p: open_image_file(p / "none.h5"), "no such file"),
    "no folder": (lambda p: open_cars3d(p / "none"), "no such folder"),
    "file for a folder": (lambda p: open_celeba(text(p / "a")), "it is a file"),
    "folder for a file": (lambda p: open_shapes3d(p), "it is a folder"),
    "empty folder": (lambda p: open_image_file(p), "a folder with nothing"),
    # npz
    "not the full product": (
        lambda p: open_dsprites(grid_without_its_last_row(p / "d.npz")),
        "47 different combinations.*full product 3 x 2 x 2 x 2 x 2 = 48",
    ),
    "a row twice": (
        lambda p: open_dsprites(grid_with_a_row_twice(p / "d.npz")),
        "48 images with 47 different",
    ),
    "pickled images": (
        lambda p: open_dsprites(
            written.dsprites(p / "d.npz", imgs=np.array([{}, None], dtype=object))
        ),
        "nothing is unpickled",
    ),
    "MPI3D cut into a part": (
        lambda p: open_mpi3d(written.mpi3d(p / "m.npz", count=1000)),
        "1000 images; expected 1036800 = 6 x 6 x 2.* or 460800 = 4 x 4",
    ),
    "MPI3D of floats": (
        lambda p: open_mpi3d(_saved(p / "m.npz", images=np.zeros((4, 2, 2, 3)))),
        "float64; expected integers",
    ),
    "MPI3D grey": (
        lambda p: open_mpi3d(_saved(p / "m.npz", images=np.zeros((460_800, 1, 1, 1), np.uint8))),
        "colours come last",
    ),
    "MPI3D flat": (
        lambda p: open_mpi3d(_saved(p / "m.npz", images=np.zeros((460_800, 3), np.uint8))),
        "expected 4 axes",
    ),
    "MPI3D without images": (lambda p: open_mpi3d(_saved(p / "m.npz", a=noise(3))), "missing"),
    "Fortran order": (lambda p: open_mpi3d(written.fortran(p / "m.npz")), "ascontiguousarray"),
    "MPI3D truncated": (lambda p: open_mpi3d(written.cut(written.mpi3d(p / "m.npz"))), "truncated"),
    "MPI3D damaged": (corrupt_stream, "cannot be read.*fetch it again"),
    # HDF5
    "HDF5 without labels": (
        lambda p: open_shapes3d(_h5(p / "s.h5", images=noise(4, 8, 8, 3))),
        r"\['labels'\] are missing",
    ),
    "HDF5 of floats": (
        lambda p: open_shapes3d(written.shapes3d(p / "s.h5", images=np.zeros((144, 8, 8, 3)))),
        "images of dtype float64",
    ),
    "HDF5 labels of five columns": (
        lambda p: open_shapes3d(written.shapes3d(p / "s.h5", labels=np.zeros((144, 5)))),
        r"labels of shape \(144, 5\); expected \(n, 6\)",
    ),
    "HDF5 not the full product": (
        lambda p: open_shapes3d(written.shapes3d(p / "s.h5", labels=np.zeros((144, 6)))),
        "144 images with 1 different",
    ),
    "HDF5 of other lengths": (
        lambda p: open_shapes3d(written.shapes3d(p / "s.h5", images=noise(9, 8, 8, 3))),
        "9 images for 144 rows",
    ),
    "HDF5 grey": (
        lambda p: open_shapes3d(written.shapes3d(p / "s.h5", images=noise(144, 8, 8))),
        "colours come last",
    ),
    "HDF5 truncated": (
        lambda p: open_shapes3d(written.cut(written.shapes3d(p / "s.h5"))),
        "truncated",
    ),
    # MATLAB
    "cars of another shape": (lambda p: cars(p, noise(8, 8, 3, 24, 3)), "24, 4"),
    "cars of floats": (lambda p: cars(p, np.zeros((8, 8, 3, 24, 4))), "double"),
    "a car missing": (lambda p: _without(written.cars3d(p / "cars")), "car_002_mesh.mat first"),
    "a car truncated": (
        lambda p: open_cars3d(
            written.cut(written.cars3d(p / "cars") / "car_001_mesh.mat", 0.01).parent
        ),
        "cannot be read",
    ),
    "a car that ends too soon": (
        lambda p: open_cars3d(
            written.cut(written.cars3d(p / "cars") / "car_003_mesh.mat", 0.8).parent
        ).images(torch.tensor([2])),
        "cannot be read",
    ),
    "a car of MATLAB 7.3": (v73, "version 7 or less"),
    "cars of two sides": (odd_cars, "one side"),
    "no im": (lambda p: open_cars3d(_mat(p / "cars")), "expected im"),
    # SmallNORB
    "wrong magic": (
        lambda p: norb(p, lambda f: written.matrix(f / DAT, noise(120, 2, 8, 8), magic=0x1234)),
        "magic number 0x1234; expected one of 0x1e3d4c51",
    ),
    "packed matrix": (
        lambda p: norb(p, lambda f: written.matrix(f / DAT, noise(3), magic=0x1E3D4C52)),
        "packed matrices are not read",
    ),
    "matrix truncated": (lambda p: norb(p, lambda f: written.cut(f / DAT)), "truncated"),
    "matrix cut in its header": (
        lambda p: norb(p, lambda f: (f / DAT).write_bytes((f / DAT).read_bytes()[:14])),
        "a header of 4 axes",
    ),
    "empty matrix": (lambda p: norb(p, lambda f: (f / CAT).write_bytes(b"")), "magic number"),
    "no info": (lambda p: norb(p, lambda f: (f / INFO).unlink()), "no such file"),
    "no categories": (lambda p: norb(p, lambda f: (f / CAT).unlink()), "no such file"),
    "info of other rows": (
        lambda p: norb(p, lambda f: written.matrix(f / INFO, np.zeros((9, 4), np.int32))),
        "do not belong together",
    ),
    "images of one camera": (
        lambda p: norb(p, lambda f: written.matrix(f / DAT, noise(120, 1, 8, 8))),
        "n, 2, height, width",
    ),
    "labels of floats": (
        lambda p: norb(p, lambda f: written.matrix(f / INFO, np.zeros((120, 4), np.float32))),
        "of float32; expected .120, 4. of integers",
    ),
    "labels not the full product": (
        lambda p: norb(p, lambda f: written.matrix(f / INFO, np.zeros((120, 4), np.int32))),
        "full product",
    ),
    "third camera": (
        lambda p: open_smallnorb(written.smallnorb(p / "norb"), camera=2),
        "camera 0 or 1",
    ),
    "no matrices": (lambda p: open_smallnorb(p), "no file ...-dat.mat"),
    # idx
    "idx of another magic": (
        lambda p: mnist(p, lambda f: (f / "t10k-images-idx3-ubyte").write_bytes(bytes(40))),
        "00000803",
    ),
    "idx truncated": (
        lambda p: mnist(p, lambda f: written.cut(f / "train-images-idx3-ubyte")),
        "truncated",
    ),
    "idx cut in its header": (
        lambda p: mnist(p, lambda f: written.cut(f / "train-images-idx3-ubyte", 0.01)),
        "header cut short",
    ),
    "gzip truncated": (
        lambda p: mnist(p, lambda f: zipped_and_cut(f / "train-images-idx3-ubyte")),
        "cannot be read|ends too soon|50 images|of different sets",
    ),
    "labels missing": (
        lambda p: mnist(p, lambda f: (f / "t10k-labels-idx1-ubyte").unlink()),
        "t10k-labels-idx1-ubyte is missing",
    ),
    "labels of another set": (
        lambda p: mnist(p, lambda f: written.idx(f / "t10k-labels-idx1-ubyte", np.zeros(4))),
        "different sets",
    ),
    "labels of letters": (
        lambda p: mnist(p, lambda f: written.idx(f / "t10k-labels-idx1-ubyte", np.full(5, 10))),
        r"integers 0\.\.9",
    ),
    "images of two sides": (
        lambda p: open_mnist(written.mnist(p / "m", test_side=4)),
        "read the two files one by one",
    ),
    "no idx files": (lambda p: open_mnist(p), "no file ...-images-idx3-ubyte"),
    # CelebA
    "no table": (
        lambda p: celeba(p, lambda f: (f / "list_attr_celeba.txt").unlink()),
        "list_attr_celeba.txt is missing",
    ),
    "a photograph missing": (
        lambda p: celeba(p, lambda f: (f / "img_align_celeba/000007.jpg").unlink()),
        "1 photographs of list_attr_celeba.txt are missing, 000007.jpg first",
    ),
    "a photograph damaged": (
        lambda p: celeba(p, lambda f: text(f / "img_align_celeba/000007.jpg")),
        "000007.jpg: it cannot be read",
    ),
    "a photograph truncated": (
        lambda p: celeba(p, lambda f: written.cut(f / "img_align_celeba/000007.jpg")),
        "000007.jpg: it cannot be read",
    ),
    "photographs smaller than the square": (
        lambda p: open_celeba(written.celeba(p / "c"), crop=200).images(torch.arange(1)),
        "a photograph of 178x218; expected at least 200x200",
    ),
    "a table cut off": (
        lambda p: celeba(p, lambda f: edit(f / "list_attr_celeba.txt", "24", "25")),
        "24 photographs after '25'",
    ),
    "a value of two": (
        lambda p: celeba(p, lambda f: edit(f / "list_attr_celeba.txt", "-1", "2")),
        "line 3 has 4 values",
    ),
    "an empty table": (
        lambda p: celeba(p, lambda f: (f / "list_attr_celeba.txt").write_text("")),
        "0 photographs",
    ),
    "a partition of another table": (
        lambda p: celeba(p, lambda f: edit(f / "list_eval_partition.txt", "000003", "900003")),
        "1 photographs have none",
    ),
    "a fourth part": (
        lambda p: celeba(p, lambda f: edit(f / "list_eval_partition.txt", "1.jpg 0", "1.jpg 3")),
        "part 0, 1 or 2",
    ),
}


def _saved(path: Path, **arrays: np.ndarray) -> Path:
    np.savez(path, **arrays)  # type: ignore[arg-type]
    return path


def _h5(path: Path, **arrays: np.ndarray) -> Path:
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file[name] = array
    return path


def _without(folder: Path) -> object:
    (folder / "car_002_mesh.mat").unlink()
    return open_cars3d(folder)


def _mat(folder: Path) -> Path:
    folder.mkdir()
    io.savemat(folder / "a.mat", {"mesh": np.zeros(3)})
    return folder


@pytest.mark.parametrize("case", BAD)
def test_a_wrong_file_is_refused(case: str, tmp_path: Path) -> None:
    make, message = BAD[case]
    with pytest.raises(FormatError, match=message) as caught:
        make(tmp_path)
    assert "; expected " in str(caught.value)
    assert str(tmp_path) in str(caught.value)


def test_nothing_is_ever_unpickled(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    bomb = np.array([Bomb(trace)], dtype=object)
    pickle.loads(pickle.dumps(Bomb(trace)))
    assert trace.exists()  # the bomb does go off where someone unpickles it
    trace.unlink()
    grid = open_dsprites(written.dsprites(tmp_path / "d.npz", metadata=bomb))
    grid.sample(3, seed=0)
    with pytest.raises(FormatError):
        open_dsprites(written.dsprites(tmp_path / "e.npz", latents_classes=bomb))
    with pytest.raises(FormatError):
        open_dsprites(written.dsprites(tmp_path / "f.npz", imgs=bomb))
    assert not trace.exists()
