"""Images, splits, pairs and readers."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from ctvae.data import (
    ImageSet,
    SetTo,
    StepBy,
    Transitions,
    composed_pairs,
    mini_sprites,
    pool_images,
    split_groups,
    transition_pairs,
)
from ctvae.data.files import read_dsprites, read_image_file, read_lpc_sprites
from ctvae.data.worlds import colour_world
from ctvae.errors import DataError, FormatError, RegimeError, ShapeError, UnknownActionError
from ctvae.graph import learn_graph
from ctvae.graph.interventional import InterventionalBDeu
from ctvae.mechanisms.actions import ShiftAction, targets_of
from ctvae.regimes import Regime
from ctvae.slots import SlotSpace


@pytest.fixture(scope="module")
def sprites() -> ImageSet:
    return mini_sprites()


def test_mini_sprites_match_their_published_figures(sprites: ImageSet) -> None:
    train, _, test = split_groups(sprites.units)
    pairs = [transition_pairs(sprites, StepBy(), rows=rows) for rows in split_groups(sprites.units)]
    assert [len(p) for p in pairs] == [11_660, 526, 526]
    assert torch.bincount(pairs[2].action).tolist() == [54, 48, 47, 58, 56] * 2
    images = sprites.images
    mean_image = ((images[test] - images[train].mean(0)) ** 2).mean()
    copying = ((images[pairs[2].before] - images[pairs[2].after]) ** 2).mean()
    assert float(mean_image) == pytest.approx(0.03137, abs=5e-6)
    assert float(copying) == pytest.approx(0.01947, abs=5e-6)
    assert len(torch.unique(images.flatten(1), dim=0)) == 3072


def test_a_sprite_is_what_the_formula_says(sprites: ImageSet) -> None:
    """One image against a second, scalar implementation of the specification."""
    shape, scale, turn, x, y = 2, 3, 1, 5, 2
    row = ((((shape * 4) + scale) * 4 + turn) * 8 + x) * 8 + y
    assert sprites.factors[row].tolist() == [shape, scale, turn, x, y]
    radius, angle = (0.09, 0.12, 0.15, 0.18)[scale], turn * np.pi / 8
    picture = np.zeros((32, 32))
    for i, j, a, b in itertools.product(range(32), range(32), range(4), range(4)):
        px, py = (4 * j + b + 0.5) / 128, (4 * i + a + 0.5) / 128
        dx, dy = px - (0.2 + 0.6 * x / 7), py - (0.2 + 0.6 * y / 7)
        u = (np.cos(angle) * dx + np.sin(angle) * dy) / radius
        v = (-np.sin(angle) * dx + np.cos(angle) * dy) / radius
        picture[i, j] += (-1 <= v <= 0.6 and abs(u) <= 0.55 * (v + 1)) / 16
    assert np.allclose(sprites.images[row, 0].numpy(), picture)


def test_splits_share_no_unit_and_lose_nothing() -> None:
    groups = torch.arange(40).repeat_interleave(3)
    parts = split_groups(groups, seed=1)
    assert sorted(torch.cat(parts).tolist()) == list(range(120))
    owners = [set(groups[part].tolist()) for part in parts]
    assert not (owners[0] & owners[1])
    assert not (owners[0] & owners[2])
    assert not (owners[1] & owners[2])
    assert [len(owner) for owner in owners] == [28, 6, 6]
    assert all(torch.equal(a, b) for a, b in zip(parts, split_groups(groups, seed=1), strict=True))


@pytest.mark.parametrize("rule", [StepBy(), SetTo()], ids=lambda r: type(r).__name__)
def test_pairs_differ_in_the_target_alone_and_are_all_there(
    sprites: ImageSet, rule: StepBy | SetTo
) -> None:
    rows = torch.randperm(3072, generator=torch.Generator().manual_seed(0))[:400]
    pairs = transition_pairs(sprites, rule, rows=rows)
    assert set(pairs.used_images().tolist()) <= set(rows.tolist())
    before, after = sprites.factors[pairs.before], sprites.factors[pairs.after]
    target = torch.tensor([targets_of(a)[0] for a in pairs.actions])[pairs.action]
    changed = before != after
    assert torch.equal(changed.nonzero()[:, 1], target)
    brute = 0
    chosen = sprites.factors[rows]
    for row in chosen:
        differs = chosen != row
        one = differs.sum(1) == 1
        step = (chosen - row).abs().sum(1)
        brute += int((one & ((step == 1) | isinstance(rule, SetTo))).sum())
    assert len(pairs) == brute
    if isinstance(rule, StepBy):
        direction = torch.tensor([float(a.direction) for a in pairs.actions])[pairs.action]  # type: ignore[union-attr]
        assert torch.equal((after - before).sum(1).float(), direction)
    else:
        value = torch.tensor([a.value for a in pairs.actions])[pairs.action]  # type: ignore[union-attr]
        assert torch.equal(after.gather(1, target[:, None])[:, 0], value)


def test_composed_pairs_are_two_steps_on_two_factors(sprites: ImageSet) -> None:
    test = split_groups(sprites.units)[2]
    pairs = composed_pairs(sprites, StepBy(), rows=test)
    assert len(pairs.before) == 1762
    difference = sprites.factors[pairs.after] - sprites.factors[pairs.before]
    assert bool((difference.abs().sum(1) == 2).all())
    assert bool(((difference != 0).sum(1) == 2).all())


def test_pooling_averages() -> None:
    images = torch.arange(16.0).reshape(1, 1, 4, 4) / 16
    assert torch.allclose(pool_images(images, 2)[0, 0, 0, 0], images[0, 0, :2, :2].mean())
    white = torch.full((1, 3, 4, 4), 255, dtype=torch.uint8)
    assert int(pool_images(white, 2).min()) == 255


def test_world_edits_hold_all_but_one_factor_and_the_scene() -> None:
    images = colour_world().edits(6, seed=0)
    assert images.regime is Regime.EDIT
    assert len(images) == 6 * 20
    assert len(torch.unique(images.images.flatten(1), dim=0)) == len(images)
    pairs = transition_pairs(images, StepBy())
    assert len(pairs) == 6 * 2 * (2 + 2 + 5 + 5 + 5)
    assert len(transition_pairs(images, SetTo())) == 6 * (6 + 6 + 30 + 30 + 30)


@pytest.mark.statistical
def test_world_samples_follow_its_law_under_do() -> None:
    """False alarms below 1e-6: each share is within six standard errors."""
    world = colour_world()
    found = world.sample_do(2000, seed=3)
    assert found.regime is Regime.INTERVENTIONAL
    assert found.targets is not None
    assert found.targets.sum(0).tolist() == [2000] * 5
    hue = found.targets[:, 2]
    values = found.factors[hue, 2]
    expected = world.scm.do(slot="hue", value=values).query("x").mean(0)
    share = torch.bincount(found.factors[hue, 3], minlength=6) / 2000
    assert bool(((share - expected).abs() < 6 * (expected * (1 - expected) / 2000).sqrt()).all())
    shape = torch.bincount(found.factors[hue, 0], minlength=3) / 2000
    natural = world.scm.query("shape")
    assert bool(((shape - natural).abs() < 6 * (natural * (1 - natural) / 2000).sqrt()).all())


def test_two_renderings_of_equal_factors_differ() -> None:
    world = colour_world()
    a, b = world.sample(50, seed=0), world.sample(50, seed=1)
    seen = torch.cat([a.images, b.images]).flatten(1)
    assert len(torch.unique(seen, dim=0)) == 100


def test_edits_are_refused_as_samples_of_a_law() -> None:
    images = colour_world().edits(4, seed=0)
    with pytest.raises(RegimeError, match="edit"):
        learn_graph(images.samples(), method=InterventionalBDeu())


def test_the_real_lpc_file(shared_data: Path) -> None:
    images = read_image_file(shared_data / "lpc_sprites/lpc_sprites_train.npz", size=32)
    assert tuple(images.images.shape) == (18_000, 3, 32, 32)
    assert images.moves == ("body", "bottomwear", "topwear", "hair")
    assert images.moved.cardinalities == (6, 6, 6, 6)
    assert len(images.units.unique()) == 1000
    assert torch.bincount(images.units).tolist() == [18] * 1000


def test_the_real_dsprites_file(shared_data: Path) -> None:
    images = read_image_file(shared_data / "dsprites/dsprites_downsampled.npz", size=32)
    assert tuple(images.images.shape) == (46_080, 1, 32, 32)
    assert images.moved.cardinalities == (3, 6, 10, 16, 16)
    full = torch.cartesian_prod(*[torch.arange(k) for k in (3, 6, 10, 16, 16)])
    assert torch.equal(images.factors, full)


def _dsprites_like(path: Path, **changes: np.ndarray) -> Path:
    rng = np.random.default_rng(0)
    arrays = {
        "imgs": rng.integers(0, 2, (6, 64, 64), dtype=np.uint8),
        "latents_classes": np.stack([np.arange(6) % k for k in (3, 6, 2, 2, 2)], 1),
    } | changes
    np.savez(path, **arrays)  # type: ignore[arg-type]
    return path


def test_a_small_dsprites_file_with_the_colour_column_is_read(tmp_path: Path) -> None:
    classes = np.stack([np.arange(6) * 0, *(np.arange(6) % k for k in (3, 6, 2, 2, 2))], 1)
    path = _dsprites_like(tmp_path / "d.npz", latents_classes=classes)
    images = read_dsprites(path, size=32)
    assert images.space.names == ("shape", "scale", "orientation", "x", "y")
    assert images.space.cardinalities == (3, 6, 2, 2, 2)
    assert images.images.dtype == torch.uint8


def _pairs(**changes: object) -> Transitions:
    parts: dict[str, object] = {
        "images": torch.zeros(4, 1, 8, 8),
        "before": torch.tensor([0, 1]),
        "action": torch.tensor([0, 1]),
        "after": torch.tensor([1, 0]),
        "actions": (ShiftAction("+", 0, 1), ShiftAction("-", 0, -1)),
    } | changes
    return Transitions(**parts)  # type: ignore[arg-type]


def _truncated(path: Path) -> Path:
    whole = _dsprites_like(path / "whole.npz").read_bytes()
    cut = path / "cut.npz"
    cut.write_bytes(whole[: len(whole) // 2])
    return cut


def _foreign(path: Path) -> Path:
    np.savez(path / "foreign.npz", a=np.zeros(3))
    return path / "foreign.npz"


def _text(path: Path) -> Path:
    (path / "text.npz").write_text("no archive")
    return path / "text.npz"


def _pickled(path: Path) -> Path:
    objects = np.array([{"a": 1}, None], dtype=object)
    return _dsprites_like(path / "pickled.npz", latents_classes=objects)


BAD: dict[str, tuple[Callable[[Path], object], type[Exception], str]] = {
    "no such file": (lambda p: read_image_file(p / "none.npz"), FormatError, "no such file"),
    "truncated npz": (lambda p: read_image_file(_truncated(p)), FormatError, "truncated"),
    "text file": (
        lambda p: read_image_file(_text(p)),
        FormatError,
        "no npz",
    ),
    "foreign npz": (
        lambda p: read_image_file(_foreign(p)),
        FormatError,
        "no known kind",
    ),
    "pickled array": (lambda p: read_image_file(_pickled(p)), FormatError, "cannot be read"),
    "lpc keys missing": (
        lambda p: read_lpc_sprites(_dsprites_like(p / "d.npz")),
        FormatError,
        "missing",
    ),
    "float images": (
        lambda p: read_dsprites(_dsprites_like(p / "d.npz", imgs=np.zeros((6, 64, 64)))),
        FormatError,
        "expected integers",
    ),
    "grey levels": (
        lambda p: read_dsprites(_dsprites_like(p / "d.npz", imgs=np.full((6, 64, 64), 9))),
        FormatError,
        "0 or 1",
    ),
    "wrong axes": (
        lambda p: read_dsprites(_dsprites_like(p / "d.npz", imgs=np.zeros((6, 64), np.uint8))),
        FormatError,
        "axes",
    ),
    "rows that do not match": (
        lambda p: read_dsprites(_dsprites_like(p / "d.npz", imgs=np.zeros((5, 64, 64), np.uint8))),
        FormatError,
        "5 images for 6 rows",
    ),
    "too many latents": (
        lambda p: read_dsprites(
            _dsprites_like(p / "d.npz", latents_classes=np.zeros((6, 9), np.int64))
        ),
        FormatError,
        "9 columns",
    ),
    "side that does not divide": (
        lambda p: read_dsprites(_dsprites_like(p / "d.npz"), size=48),
        FormatError,
        "cannot pool",
    ),
    "no pairs": (
        lambda p: transition_pairs(mini_sprites(), StepBy(), rows=torch.tensor([0, 3071])),
        DataError,
        "no pairs",
    ),
    "equal factors": (
        lambda p: transition_pairs(
            ImageSet(
                torch.zeros(2, 1, 8, 8),
                torch.zeros(2, 1).long(),
                SlotSpace.from_cardinalities({"a": 2}),
            ),
            StepBy(),
        ),
        DataError,
        "equal factors",
    ),
    "action outside the set": (
        lambda p: _pairs(action=torch.tensor([0, 2])),
        UnknownActionError,
        "action id 2",
    ),
    "one action only": (lambda p: _pairs(action=torch.tensor([1, 1])), DataError, "one and the"),
    "lengths that differ": (lambda p: _pairs(after=torch.tensor([0])), ShapeError, "one length"),
    "images of two axes": (lambda p: _pairs(images=torch.zeros(4, 8)), ShapeError, "images"),
    "stacks that differ": (
        lambda p: Transitions.from_arrays(
            torch.zeros(2, 1, 8, 8), torch.zeros(2), torch.zeros(3, 1, 8, 8), ()
        ),
        ShapeError,
        "differ in shape",
    ),
    "fractions": (
        lambda p: split_groups(torch.arange(9), fractions=(0.5, 0.2)),
        DataError,
        "sum to one",
    ),
    "do without targets": (
        lambda p: ImageSet(
            torch.zeros(2, 1, 8, 8),
            torch.zeros(2, 1).long(),
            SlotSpace.from_cardinalities({"a": 2}),
            Regime.INTERVENTIONAL,
        ),
        RegimeError,
        "need targets",
    ),
}


@pytest.mark.parametrize("case", BAD, ids=str)
def test_bad_input_is_refused(case: str, tmp_path: Path) -> None:
    make, error, message = BAD[case]
    with pytest.raises(error, match=message):
        make(tmp_path)
