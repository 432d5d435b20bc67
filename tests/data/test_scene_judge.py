"""Reading factors from pictures: right on true pictures, whatever their nuisances."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ctvae.data import SceneJudge, SpriteScene, factor_sheet
from ctvae.data.contact_sheet import tile
from ctvae.errors import ShapeError


@pytest.fixture(scope="module")
def seen() -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(8)
    scene = SpriteScene()
    sizes = scene.space.cardinalities
    codes = torch.stack([torch.randint(k, (30,), generator=generator) for k in sizes], 1)
    nuisances, others = torch.rand(2, 30, scene.num_nuisances, generator=generator)
    return codes, others, scene.render(codes, nuisances)


def test_true_pictures_are_read_in_nuisances_of_others(
    seen: tuple[Tensor, Tensor, Tensor],
) -> None:
    codes, others, images = seen
    judge = SceneJudge(SpriteScene(), others)
    rows = torch.arange(30)
    read = judge.read(images.float() / 255, rows)
    # 2 pictures of 120 were misread on four other draws: more than 3 of 30 would be 1 in 300.
    assert int((read != codes).any(1).sum()) <= 3
    assert torch.equal(judge.read(images, rows), read)
    assert bool(judge.exists(codes, rows).all())


def test_a_judge_does_not_find_factors_in_grey(seen: tuple[Tensor, Tensor, Tensor]) -> None:
    codes, others, images = seen
    judge = SceneJudge(SpriteScene(), others)
    read = judge.read(torch.full(images.shape, 0.2), torch.arange(30))
    assert not bool((read == codes).all(1).any())


def test_a_judge_refuses_the_nuisances_of_another_renderer() -> None:
    with pytest.raises(ShapeError, match="nuisances"):
        SceneJudge(SpriteScene(), torch.zeros(3, 4))


def test_a_sheet_shows_every_value_in_its_place() -> None:
    pictures = torch.arange(5, dtype=torch.uint8)[:, None, None, None].expand(5, 3, 2, 2)
    sheet = tile(pictures, 3)
    assert sheet.shape == (7, 10, 3)
    assert sheet[1::3, 1::3, 0].tolist() == [[0, 1, 2], [3, 4, 255]]
    whole = factor_sheet(SpriteScene(), seed=0)
    assert whole.shape == (8 * 65 + 1, 6 * 65 + 1, 3)
    blank = [bool((whole[1 + 65 * k :, -64:][:64] == 255).all()) for k in range(8)]
    assert blank == [size < 6 for size in SpriteScene().space.cardinalities]
    with pytest.raises(ShapeError, match="needs pictures"):
        tile(pictures[:0], 3)
