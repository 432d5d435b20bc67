"""Labelled images that are no grid: MNIST, CelebA, LPC sprites; and checksums."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ctvae.data import open_celeba, open_image_file, open_lpc_sprites, open_mnist, read_image_file
from ctvae.data.files import LabelledImages, check_sha256
from ctvae.errors import DataError, FormatError, ShapeError
from tests.data.files import written


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_mnist_has_both_parts_training_first(tmp_path: Path, suffix: str) -> None:
    digits = open_mnist(written.mnist(tmp_path / "mnist", suffix=suffix))
    assert [part.tolist() for part in digits.parts] == [list(range(12)), list(range(12, 17))]
    assert digits.factors(torch.arange(17))[:, 0].tolist() == [*range(10), 0, 1, *range(5)]
    images = np.concatenate([written.noise(12, 8, 8), written.noise(5, 8, 8, seed=1)])
    assert np.array_equal(digits.images(torch.tensor([16, 0, 12]))[:, 0], images[[16, 0, 12]])


def test_one_idx_file_is_read_with_the_labels_beside_it(tmp_path: Path) -> None:
    folder = written.mnist(tmp_path / "mnist")
    for opened in (open_image_file(folder / "t10k-images-idx3-ubyte"), open_mnist(folder)):
        assert isinstance(opened, LabelledImages)
    assert len(open_image_file(folder / "t10k-images-idx3-ubyte")) == 5


def test_the_real_mnist_files(shared_data: Path) -> None:
    """Counts of digits as published with the set; the first training images are 5, 0, 4, 1, 9."""
    digits = open_mnist(shared_data / "mnist")
    assert [len(part) for part in digits.parts] == [60_000, 10_000]
    labels = digits.factors(digits.parts[0])[:, 0]
    assert labels[:5].tolist() == [5, 0, 4, 1, 9]
    assert torch.bincount(labels).tolist() == [
        5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949,
    ]  # fmt: skip
    some = digits.subset(torch.tensor([0, 60_000, 69_999]), size=14)
    assert tuple(some.images.shape) == (3, 1, 14, 14)
    assert some.factors[:, 0].tolist() == [5, 7, 6]


def test_the_real_lpc_characters_read_by_rows(shared_data: Path) -> None:
    characters = open_lpc_sprites(shared_data / "lpc_sprites/lpc_sprites_train.npz")
    some = characters.sample(20, seed=0)
    with np.load(shared_data / "lpc_sprites/lpc_sprites_train.npz") as archive:
        latents, palette, images = archive["latents"], archive["palette"], archive["imgs"]
    ranks = np.stack([np.unique(column, return_inverse=True)[1] for column in latents.T], 1)
    for image, factors in zip(some.images, some.factors, strict=True):
        row = int(np.flatnonzero((ranks == factors.numpy()).all(1))[0])
        assert np.array_equal(image.permute(1, 2, 0), palette[images[row]])
    with pytest.raises(FormatError, match="full product"):
        characters.to_grid()


def test_celeba_photographs_are_cut_in_the_middle_and_resized(tmp_path: Path) -> None:
    folder = written.celeba(tmp_path / "celeba")
    wide = np.zeros((218, 178, 3), np.uint8)
    wide[35:183, 15:163] = 200  # the middle 148x148
    Image.fromarray(wide).save(folder / "img_align_celeba/000001.jpg", quality=100)
    photos = open_celeba(folder)
    images = photos.images(torch.tensor([5, 0]))
    assert tuple(images.shape) == (2, 3, 64, 64)
    assert abs(int(images[0, 0].float().mean()) - 45) <= 2
    assert float((images[1].float() - 200).abs().mean()) < 2
    assert tuple(open_celeba(folder, side=32, crop=178).images(torch.arange(2)).shape) == (
        2, 3, 32, 32,
    )  # fmt: skip
    assert photos.factors(torch.tensor([0, 1, 15, 16])).tolist() == [
        [0, 0, 0, 0],
        [0, 0, 0, 1],
        [1, 1, 1, 1],
        [0, 0, 0, 0],
    ]
    assert [part.tolist() for part in photos.parts] == [list(range(k, 24, 3)) for k in range(3)]


def test_celeba_s_published_folders_are_looked_into(tmp_path: Path) -> None:
    folder = written.celeba(tmp_path / "celeba")
    for name, within in (
        ("img_align_celeba", "Img"),
        ("list_attr_celeba.txt", "Anno"),
        ("list_eval_partition.txt", "Eval"),
    ):
        (folder / within).mkdir()
        (folder / name).rename(folder / within / name)
    photos = open_image_file(folder)
    assert isinstance(photos, LabelledImages)
    assert photos.space.names == written.ATTRIBUTES
    assert len(photos.parts) == 3
    assert len(read_image_file(folder, size=8).images) == 24


def test_celeba_without_a_partition_has_no_parts(tmp_path: Path) -> None:
    assert open_celeba(written.celeba(tmp_path / "celeba", partition=False)).parts == ()


def test_more_images_than_there_are_or_rows_outside_are_refused(tmp_path: Path) -> None:
    digits = open_mnist(written.mnist(tmp_path / "mnist"))
    with pytest.raises(DataError, match="18 images asked for, and there are 17"):
        digits.sample(18, seed=0)
    with pytest.raises(ShapeError, match=r"0\.\.16"):
        digits.images(torch.tensor([17]))
    with pytest.raises(ShapeError, match="-1 to 3 are not all within"):
        digits.factors(torch.tensor([3, -1]))
    with pytest.raises(ShapeError, match="integers"):
        digits.images(torch.tensor([0.5]))


def test_a_checksum_is_that_of_hashlib_and_a_wrong_one_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"x" * 100_000)
    digest = hashlib.sha256(b"x" * 100_000).hexdigest()
    assert check_sha256(path, digest.upper()) == path
    path.write_bytes(b"x" * 99_999)
    with pytest.raises(FormatError, match=f"expected {digest}"):
        check_sha256(path, digest)
    with pytest.raises(FormatError, match="64 hexadecimal digits"):
        check_sha256(path, "abc")
    with pytest.raises(FormatError, match="no such file"):
        check_sha256(tmp_path / "none", digest)


@pytest.mark.parametrize(
    "name", ["dsprites/dsprites_downsampled.npz", "mnist/train-labels-idx1-ubyte.gz"]
)
def test_the_real_files_have_their_published_checksums(shared_data: Path, name: str) -> None:
    lines = (shared_data / "SHA256SUMS").read_text().splitlines()
    known = {path.removeprefix("./"): digest for digest, path in map(str.split, lines)}
    assert check_sha256(shared_data / name, known[name]).is_file()
