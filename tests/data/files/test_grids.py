"""The one interface of factor grids, over every grid data set."""

from __future__ import annotations

import dataclasses
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from scipy import io

from ctvae.data import FactorGrid, open_image_file, read_image_file
from ctvae.data.files import (
    open_cars3d,
    open_dsprites,
    open_mpi3d,
    open_shapes3d,
    open_smallnorb,
)
from ctvae.data.files.rows import BLOCK_BYTES, JoinedRows, MappedRows, StreamedRows
from ctvae.errors import CodeError, ShapeError
from tests.data.files import written

GRIDS: dict[str, Callable[[Path], FactorGrid]] = {
    "dSprites compressed": lambda p: open_dsprites(written.dsprites(p / "d.npz")),
    "dSprites stored": lambda p: open_dsprites(written.dsprites(p / "d.npz", save=np.savez)),
    "MPI3D": lambda p: open_mpi3d(written.mpi3d(p / "m.npz")),
    "Shapes3D contiguous": lambda p: open_shapes3d(written.shapes3d(p / "s.h5")),
    "Shapes3D chunked": lambda p: open_shapes3d(written.shapes3d(p / "s.h5", chunks=(50, 4, 4, 1))),
    "Cars3D": lambda p: open_cars3d(written.cars3d(p / "cars")),
    "SmallNORB": lambda p: open_smallnorb(written.smallnorb(p / "norb")),
    "SmallNORB gzipped": lambda p: open_smallnorb(written.smallnorb(p / "norb", suffix=".mat.gz")),
    "SmallNORB training": lambda p: open_smallnorb(written.smallnorb(p / "norb", parts=("46789",))),
}


def some_rows(grid: FactorGrid, count: int = 40) -> torch.Tensor:
    return torch.randint(len(grid), (count,), generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize("kind", GRIDS)
def test_rows_and_factors_are_inverse_of_each_other(kind: str, tmp_path: Path) -> None:
    grid = GRIDS[kind](tmp_path)
    rows = torch.arange(len(grid)) if len(grid) < 10_000 else some_rows(grid, 5000)
    factors = grid.factors(rows)
    assert torch.equal(grid.row(factors), rows)
    assert len(factors.unique(dim=0)) == len(rows.unique())
    assert int(np.prod(grid.space.cardinalities)) == len(grid)
    assert torch.equal(grid.row(factors.reshape(-1, 4, factors.shape[1])), rows.reshape(-1, 4))


@pytest.mark.parametrize("kind", GRIDS)
def test_reading_some_rows_is_reading_all_and_taking_some(kind: str, tmp_path: Path) -> None:
    """In any order, with repeats, and averaged down block by block."""
    grid = GRIDS[kind](tmp_path)
    whole = grid.images(torch.arange(len(grid)))
    assert tuple(whole.shape) == (len(grid), *grid.pictures.shape)
    assert whole.dtype == torch.uint8
    rows = some_rows(grid)
    assert torch.equal(grid.images(rows), whole[rows])
    small = grid.subset(rows, size=1)
    mean = whole[rows].float().mean((2, 3), keepdim=True)
    assert float((small.images.float() - mean).abs().max()) <= 0.5 + 1e-4
    assert torch.equal(small.factors, grid.factors(rows))
    assert len(grid.images(rows[:0])) == 0


@pytest.mark.parametrize("kind", GRIDS)
def test_samples_repeat_with_their_seed_and_hold_no_image_twice(kind: str, tmp_path: Path) -> None:
    grid = GRIDS[kind](tmp_path)
    first, again, other = (grid.sample(30, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(first.factors, again.factors)
    assert torch.equal(first.images, again.images)
    assert not torch.equal(first.factors, other.factors)
    rows = grid.row(first.factors)
    assert len(rows.unique()) == 30
    assert torch.equal(grid.images(rows), first.images)


def test_rows_outside_a_grid_are_refused(tmp_path: Path) -> None:
    grid = GRIDS["dSprites stored"](tmp_path)
    for ask in (grid.factors, grid.images, grid.subset):
        with pytest.raises(ShapeError, match=r"rows 3 to 48 are not all within 0\.\.47"):
            ask(torch.tensor([3, 48]))
    with pytest.raises(CodeError, match="shape"):
        grid.row(torch.tensor([3, 0, 0, 0, 0]))


def test_rows_follow_the_device_of_the_factors(tmp_path: Path, device: torch.device) -> None:
    grid = GRIDS["SmallNORB"](tmp_path)
    rows = torch.arange(len(grid), device=device)
    found = grid.row(grid.factors(rows).to(device))
    assert found.device.type == device.type
    assert torch.equal(found, rows)
    assert torch.equal(grid.images(rows[:3]), grid.images(rows[:3].cpu()))


def test_dsprites_rows_are_the_original_s(tmp_path: Path) -> None:
    images = written.noise(48, 8, 8) % 2
    grid = open_dsprites(written.dsprites(tmp_path / "d.npz"))
    assert dict(zip(grid.space.names, grid.space.cardinalities, strict=True)) == {
        "shape": 3,
        "scale": 2,
        "orientation": 2,
        "x": 2,
        "y": 2,
    }
    row = grid.row(torch.tensor([2, 1, 0, 1, 1]))
    assert int(row) == 2 * 16 + 8 + 3
    assert np.array_equal(grid.images(row[None])[0, 0].numpy(), images[43] * 255)


def test_mpi3d_rows_are_the_product_of_its_readme(tmp_path: Path) -> None:
    """Its README: reshape to [4, 4, 2, 3, 3, 40, 40, side, side, 3]."""
    grid = open_mpi3d(written.mpi3d(tmp_path / "m.npz"))
    factors = torch.tensor([3, 1, 1, 2, 0, 17, 39])
    row = int(grid.row(factors))
    assert row == np.ravel_multi_index(factors.tolist(), (4, 4, 2, 3, 3, 40, 40))
    assert grid.images(torch.tensor([row]))[0, :, 0, 0].tolist() == [
        row >> 16,
        row >> 8 & 255,
        row & 255,
    ]
    assert grid.space.names[0] == "object_color"
    assert grid.space.names[-1] == "vertical_axis"


def test_shapes3d_numbers_the_values_of_its_labels_in_their_order(tmp_path: Path) -> None:
    path = written.shapes3d(tmp_path / "s.h5", chunks=(7, 8, 8, 3))
    grid = open_shapes3d(path)
    assert grid.space.names == (
        "floor_hue",
        "wall_hue",
        "object_hue",
        "scale",
        "shape",
        "orientation",
    )
    with h5py.File(path) as file:
        labels, images = file["labels"][:], file["images"][:]
    row = int(np.flatnonzero((labels == [0.2, 0.1, 0, 1.25, 1, 30]).all(1))[0])
    assert grid.factors(torch.tensor([row])).tolist() == [[2, 1, 0, 1, 1, 2]]
    assert np.array_equal(grid.images(torch.tensor([row]))[0].permute(1, 2, 0), images[row])


def test_cars3d_takes_each_view_from_the_file_of_its_car(tmp_path: Path) -> None:
    folder = written.cars3d(tmp_path / "cars")
    grid = open_cars3d(folder)
    assert grid.space.cardinalities == (4, 24, 3)
    image = grid.images(grid.row(torch.tensor([[3, 17, 1]])))[0]
    stored = io.loadmat(folder / "car_002_mesh.mat")["im"]
    assert np.array_equal(image.permute(1, 2, 0), stored[:, :, :, 17, 3])
    (folder / "list.txt").unlink()
    assert torch.equal(open_cars3d(folder).images(torch.arange(9)), grid.images(torch.arange(9)))


@pytest.mark.parametrize("camera", [0, 1])
def test_smallnorb_joins_its_parts_and_takes_one_camera(tmp_path: Path, camera: int) -> None:
    grid = open_smallnorb(written.smallnorb(tmp_path / "norb"), camera=camera)
    assert grid.space.cardinalities == (2, 10, 3, 2, 2)
    training, testing = written.norb_labels("46789"), written.norb_labels("01235")
    images = written.noise(len(testing), 2, 8, 8, seed=1235)
    row = len(training) + 7
    category, instance, elevation, azimuth, lighting = testing[7]
    codes = [category, instance, elevation, azimuth // 2, lighting]
    assert grid.factors(torch.tensor([row])).tolist() == [codes]
    assert np.array_equal(grid.images(torch.tensor([row]))[0, 0], images[7, camera])


def test_the_real_dsprites_grid(shared_data: Path) -> None:
    grid = open_image_file(shared_data / "dsprites/dsprites_downsampled.npz")
    assert isinstance(grid, FactorGrid)
    assert grid.order is None
    assert grid.space.cardinalities == (3, 6, 10, 16, 16)
    some = grid.sample(64, seed=0)
    with np.load(shared_data / "dsprites/dsprites_downsampled.npz") as archive:
        images, classes = archive["imgs"], archive["latents_classes"]
    rows = grid.row(some.factors)
    assert np.array_equal(some.images[:, 0].numpy(), images[rows] * 255)
    assert np.array_equal(some.factors.numpy(), classes[rows])


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed], ids=["mapped", "streamed"])
def test_a_large_file_is_never_loaded_whole(tmp_path: Path, save: Callable[..., None]) -> None:
    """1,000 images cost the memory of a few blocks, not of the file."""
    grid = open_mpi3d(written.mpi3d(tmp_path / "m.npz", save=save, side=6))
    kind = MappedRows if save is np.savez else StreamedRows
    assert isinstance(grid.pictures.store, kind)
    whole, few_blocks = 460_800 * 6 * 6 * 3, 5 * BLOCK_BYTES
    assert few_blocks < whole / 2
    tracemalloc.start()
    images = grid.sample(1000, seed=0).images
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(images) == 1000
    assert peak < few_blocks


def test_only_the_chunks_of_the_rows_wanted_are_read(tmp_path: Path) -> None:
    grid = open_shapes3d(written.shapes3d(tmp_path / "s.h5", chunks=(12, 8, 8, 3)))
    blocks = list(grid.pictures.store.blocks(np.array([0, 5, 13, 100])))
    assert [len(block) for block in blocks] == [
        3,
        1,
    ]  # chunks 0 and 1 are neighbours, chunk 8 is not
    with h5py.File(tmp_path / "s.h5") as file:
        assert np.array_equal(np.concatenate(blocks), file["images"][[0, 5, 13, 100]])


@pytest.mark.parametrize("rows", [[0, 140], [0, 1, 2, 140], [3], list(range(144))], ids=len)
def test_few_and_many_rows_of_one_chunk_are_read_alike(tmp_path: Path, rows: list[int]) -> None:
    path = written.shapes3d(tmp_path / "s.h5", chunks=(144, 4, 4, 1))
    found = open_shapes3d(path).images(torch.tensor(rows)).permute(0, 2, 3, 1).numpy()
    with h5py.File(path) as file:
        assert np.array_equal(found, file["images"][:][rows])


def test_plain_matrices_are_mapped_and_gzipped_ones_streamed(tmp_path: Path) -> None:
    for suffix, kind in ((".mat", MappedRows), (".mat.gz", StreamedRows)):
        folder = written.smallnorb(tmp_path / suffix, suffix=suffix)
        store = open_smallnorb(folder).pictures.store
        assert isinstance(store, JoinedRows)
        assert all(isinstance(part, kind) for part in store.parts)


@pytest.mark.parametrize("kind", GRIDS)
def test_every_kind_is_recognised(kind: str, tmp_path: Path) -> None:
    grid = GRIDS[kind](tmp_path)
    path = next(iter(tmp_path.iterdir()))
    found = open_image_file(path)
    assert isinstance(found, FactorGrid)
    assert repr(found) == repr(grid)
    rows = some_rows(grid)
    assert torch.equal(found.images(rows), grid.images(rows))


def test_reading_a_recognised_file_is_reading_all_of_it(tmp_path: Path) -> None:
    folder = written.smallnorb(tmp_path / "norb")
    grid, images = open_smallnorb(folder), read_image_file(folder, size=4)
    assert torch.equal(images.images, grid.images(torch.arange(len(grid)), size=4))
    by_file = read_image_file(next(folder.glob("*dat*")), size=4)
    assert torch.equal(by_file.images, images.images)


def test_a_grid_says_which_factors_move(tmp_path: Path) -> None:
    grid = GRIDS["SmallNORB"](tmp_path)
    posed = dataclasses.replace(grid, moves=("elevation", "azimuth"), unit=("category", "instance"))
    images = posed.sample(50, seed=0)
    assert images.moved.names == ("elevation", "azimuth")
    assert int(images.units.max()) < 20
