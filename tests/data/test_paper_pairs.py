"""Pairs as the paper draws them, and its pairs of photographs."""

from __future__ import annotations

import dataclasses
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from torch import Tensor

from ctvae.data import (
    ImageSet,
    PaperPairs,
    StepBy,
    attribute_pairs,
    open_celeba,
    open_smallnorb,
    paper_pairs,
    split_groups,
    transition_pairs,
)
from ctvae.errors import DataError, ShapeError
from ctvae.slots import SlotSpace
from tests.data.files import written
from tests.data.grids import grid


def edges(pairs: PaperPairs) -> list[set[tuple[int, int, int]]]:
    """Rows of the source set and the action of every pair, part by part."""
    return [
        set(
            zip(
                pairs.rows[p.before].tolist(),
                p.action.tolist(),
                pairs.rows[p.after].tolist(),
                strict=True,
            )
        )
        for p in (pairs.train, pairs.valid, pairs.test)
    ]


def actions_of(before: Tensor, after: Tensor) -> Tensor:
    """Action = factor + factors * (decrease), worked out from the factors alone."""
    factor = (before != after).int().argmax(1)
    return factor + before.shape[1] * (after < before).any(1)


def test_pairs_are_one_step_apart_within_one_part_and_both_ways() -> None:
    sprites = grid([3, 4, 4, 8, 8])
    pairs = paper_pairs(sprites, settings_per_value_pair=60, seed=5)
    parts = split_groups(torch.arange(len(sprites)), seed=5)
    factors = sprites.factors[:, :5]
    for found, rows in zip(edges(pairs), parts, strict=True):
        before, action, after = torch.tensor(sorted(found)).T
        assert torch.isin(before, rows).all()
        assert torch.isin(after, rows).all()
        assert ((factors[before] - factors[after]).abs().sum(1) == 1).all()
        assert torch.equal(actions_of(factors[before], factors[after]), action)
        assert {(b, (a + 5) % 10, x) for x, a, b in found} == found
    lengths = [len(p) for p in (pairs.train, pairs.valid, pairs.test)]
    assert [len(found) for found in edges(pairs)] == lengths  # no pair twice


def test_many_settings_find_every_pair_of_the_split() -> None:
    """Drawn often enough, the paper's pairs are all adjacent pairs of each part."""
    images = grid([5, 4, 6])
    pairs = paper_pairs(images, settings_per_value_pair=2000, seed=0)
    for found, rows in zip(edges(pairs), split_groups(torch.arange(120), seed=0), strict=True):
        whole = transition_pairs(images, StepBy(), rows=rows)
        triples = zip(
            whole.before.tolist(), whole.action.tolist(), whole.after.tolist(), strict=True
        )
        assert found == set(triples)


@pytest.mark.statistical
def test_the_share_kept_is_that_of_two_images_in_one_part() -> None:
    """The share is .535, found within six standard errors: false alarms below 1e-6."""
    images = grid([400, 20, 20])
    pairs = paper_pairs(images, settings_per_value_pair=20, seed=1)
    drawn = 20 * (399 + 19 + 19)
    kept = sum(len(p) for p in (pairs.train, pairs.valid, pairs.test)) / 2
    # Of a value change's 20 draws out of 400 (factor 0) or 8,000, the i-th repeats one of the
    # earlier with chance below i / 400.
    twice = 399 * 190 / 400 + 38 * 190 / 8000
    expected, error = 0.535 * drawn, 6 * (drawn * 0.535 * 0.465) ** 0.5
    assert expected - error - twice < kept < expected + error


def test_the_pool_holds_the_images_used_and_nothing_else() -> None:
    sprites = grid([3, 4, 4, 8, 8])
    pairs = paper_pairs(sprites, settings_per_value_pair=20, seed=0, size=4)
    used = torch.cat([p.used_images() for p in (pairs.train, pairs.valid, pairs.test)])
    assert torch.equal(used.sort().values, torch.arange(len(pairs.images)))
    assert torch.equal(pairs.images.factors, sprites.factors[pairs.rows])
    assert tuple(pairs.images.images.shape[1:]) == (1, 4, 4)
    assert len(pairs.images) < len(sprites)


def test_equal_seeds_give_equal_pairs_and_others_do_not() -> None:
    sprites = grid([3, 4, 4, 8, 8])
    first, again, other = (
        paper_pairs(sprites, settings_per_value_pair=60, seed=seed) for seed in (0, 0, 1)
    )
    assert edges(first) == edges(again)
    assert edges(first) != edges(other)
    generator = torch.Generator().manual_seed(0)
    assert edges(paper_pairs(sprites, settings_per_value_pair=60, seed=generator)) == edges(first)


def test_a_grid_in_a_file_gives_the_pairs_of_its_images_in_memory(tmp_path: Path) -> None:
    stored = open_smallnorb(written.smallnorb(tmp_path / "norb"))
    posed = dataclasses.replace(stored, moves=("elevation", "azimuth", "lighting"))
    memory = posed.subset(torch.arange(len(posed)))
    from_file, from_memory = (
        paper_pairs(images, settings_per_value_pair=100, seed=0) for images in (posed, memory)
    )
    assert edges(from_file) == edges(from_memory)
    assert torch.equal(from_file.images.images, from_memory.images.images)
    assert [a.name for a in from_file.train.actions[:4]] == [
        "elevation +1",
        "azimuth +1",
        "lighting +1",
        "elevation -1",
    ]


def test_factors_that_do_not_move_are_held_and_missing_images_fall_away() -> None:
    images = grid([4, 4], kept=0.8, contexts=12, seed=0)
    pairs = paper_pairs(images, settings_per_value_pair=300, seed=0)
    assert len(pairs.train.actions) == 4
    for found in edges(pairs):
        before, action, after = torch.tensor(sorted(found)).T
        assert torch.equal(images.factors[before, 2], images.factors[after, 2])
        expected = actions_of(images.factors[before, :2], images.factors[after, :2])
        assert torch.equal(expected, action)


def test_pairs_lie_where_the_images_lie(device: torch.device) -> None:
    images = grid([5, 5], contexts=4)
    moved = dataclasses.replace(
        images, images=images.images.to(device), factors=images.factors.to(device)
    )
    pairs = paper_pairs(moved, settings_per_value_pair=50, seed=0)
    assert pairs.train.images.device.type == device.type
    assert pairs.train.before.device.type == device.type
    on_cpu = paper_pairs(images, settings_per_value_pair=50, seed=0)
    assert torch.equal(pairs.train.before.cpu(), on_cpu.train.before)


def test_photographs_of_a_pair_agree_on_all_listed_attributes_but_one(tmp_path: Path) -> None:
    photos = open_celeba(written.celeba(tmp_path / "celeba", photos=96), side=8)
    names = ("Bald", "Bangs", "Big_Lips")
    pairs = attribute_pairs(photos, names, photos_per_side=40, seed=0)
    codes = photos.factors(torch.arange(96))[:, :3]
    part = torch.arange(96) % 3
    brute: list[set[tuple[int, int, int]]] = [set(), set(), set()]
    for i in range(96):
        for j in range(96):
            differs = (codes[i] != codes[j]).nonzero()[:, 0]
            if len(differs) == 1 and part[i] == part[j]:
                k = int(differs[0])
                brute[int(part[i])].add((i, k + 3 * int(codes[i, k]), j))
    found = edges(pairs)
    assert all(one <= other for one, other in zip(found, brute, strict=True))
    # 12 photographs a side, 40 drawn but at most 12 of them used: most pairs are found
    assert sum(map(len, found)) > 0.3 * sum(map(len, brute))
    assert [a.name for a in pairs.train.actions[:3]] == [f"{name} +1" for name in names]


def test_at_most_so_many_photographs_are_drawn_for_each_side(tmp_path: Path) -> None:
    photos = open_celeba(written.celeba(tmp_path / "celeba", photos=96), side=8)
    pairs = attribute_pairs(photos, written.ATTRIBUTES, photos_per_side=2, seed=0)
    rises = torch.cat([p.action < 4 for p in (pairs.train, pairs.valid, pairs.test)])
    assert 0 < int(rises.sum()) <= 4 * 8 * 2 * 2


def test_without_a_published_split_a_seeded_one_is_made(tmp_path: Path) -> None:
    folder = written.celeba(tmp_path / "celeba", photos=96, partition=False)
    photos = open_celeba(folder, side=8)
    pairs = attribute_pairs(photos, seed=3)
    parts = split_groups(torch.arange(96), seed=3)
    for found, rows in zip(edges(pairs), parts, strict=True):
        assert {row for before, _, after in found for row in (before, after)} <= set(rows.tolist())
    assert edges(attribute_pairs(photos, seed=3)) == edges(pairs)


def test_bad_requests_are_refused(tmp_path: Path) -> None:
    twice = ImageSet(
        torch.zeros(2, 1, 8, 8),
        torch.zeros(2, 1).long(),
        SlotSpace.from_cardinalities({"a": 2}),
    )
    with pytest.raises(DataError, match="equal factors"):
        paper_pairs(twice)
    with pytest.raises(ShapeError, match="at least 1"):
        paper_pairs(grid([2, 2]), settings_per_value_pair=0)
    with pytest.raises(DataError, match="part has no pair, of 4 images"):
        paper_pairs(grid([2, 2]), seed=0)
    photos = open_celeba(written.celeba(tmp_path / "celeba"))
    many = dataclasses.replace(
        photos, space=SlotSpace.from_cardinalities(dict.fromkeys(written.ATTRIBUTES, 3))
    )
    with pytest.raises(DataError, match="two values"):
        attribute_pairs(many)


def test_values_are_drawn_for_every_change() -> None:
    """No value change of a long factor is left out."""
    images = grid([60, 8, 8])
    pairs = paper_pairs(images, settings_per_value_pair=200, seed=0)
    before, action, _ = torch.tensor(sorted(edges(pairs)[0])).T
    values = images.factors[before[action == 0], 0].unique().tolist()
    assert values == list(range(59))
    assert all(b - a == 1 for a, b in pairwise(values))
