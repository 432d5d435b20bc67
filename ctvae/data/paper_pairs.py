"""Transition pairs as the CT-VAE paper draws them: a fixed number of settings per value change."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Int
from torch import Tensor

from ctvae.counting import joint_index
from ctvae.data.files.stored import FactorGrid, LabelledImages
from ctvae.data.images import ImageSet, pool_images, split_groups
from ctvae.data.pair_rules import StepBy
from ctvae.data.transitions import Transitions
from ctvae.errors import DataError
from ctvae.randomness import Seed, check_count, make_generator

__all__ = ["PaperPairs", "attribute_pairs", "paper_pairs"]

PUBLISHED_ATTRIBUTES = 10


class PaperPairs(NamedTuple):
    """Pairs of an image-disjoint split, over one pool.

    Attributes:
        images: The pool: every image that occurs in a pair, with its factors.
        rows: ``(pool,)`` where the pool's images lie in the set they come from.
        train: Pairs of two training images; action = factor + factors * (decrease).
        valid: Pairs of two validation images.
        test: Pairs of two test images.
    """

    images: ImageSet
    rows: Int[Tensor, " pool"]
    train: Transitions
    valid: Transitions
    test: Transitions


def paper_pairs(
    images: ImageSet | FactorGrid,
    *,
    settings_per_value_pair: int = 1000,
    seed: Seed = 42,
    size: int | None = None,
) -> PaperPairs:
    """Draws pairs one step apart: for each value change, some settings of the other factors.

    For each moved factor and each two neighbouring values ``v, v + 1`` (no wrap), settings of all
    other factors are drawn at random, with replacement. A pair is kept where both images lie in
    one part of a random 70/15/15 split of the images: ``.7**2 + 2 * .15**2 = .535`` of them on
    average. Kept pairs are used in both directions, and equal ones once. Of a large grid only the
    images in pairs are read.

    Departures from the published script: everything is seeded (its settings were not); and it
    dropped, as a duplicate, any pair that shared its first image with an earlier pair of the same
    factor, where we drop equal pairs only.

    Args:
        images: A factor grid, or images in memory, no two with equal factors; settings whose
            images are not there fall away.
        settings_per_value_pair: How many settings are drawn for each value change.
        seed: For the split, which is ``split_groups(torch.arange(n), seed=seed)``, and then for
            the settings.
        size: The side to average images down to; as they are where ``None``.

    Returns:
        The pool and the pairs of the three parts.

    Raises:
        DataError: When two images have equal factors, or a part has no pair.

    Example:
        >>> from ctvae.slots import SlotSpace
        >>> factors = torch.cartesian_prod(torch.arange(8), torch.arange(40))
        >>> space = SlotSpace.from_cardinalities({"hue": 8, "x": 40})
        >>> images = ImageSet(torch.zeros(320, 1, 8, 8), factors, space)
        >>> pairs = paper_pairs(images, settings_per_value_pair=20, seed=0)
        >>> [action.name for action in pairs.train.actions]
        ['hue +1', 'x +1', 'hue -1', 'x -1']

    Source: Gendron, Witbrock, Dobbie, *Disentanglement of Latent Representations via Causal
    Interventions*, IJCAI 2023, and its published code (470ba42).
    """
    count = check_count(settings_per_value_pair, "settings_per_value_pair", least=1)
    generator = make_generator(seed)
    part = _part_of(split_groups(torch.arange(len(images)), seed=generator), len(images))
    find = images.row if isinstance(images, FactorGrid) else _finder(images)
    names = images.moves or images.space.names
    steps: list[Tensor] = []
    for k, name in enumerate(slot.name for slot in images.space if slot.name in names):
        column = images.space.index(name)
        changes = images.space[column].cardinality - 1
        shape = (changes, count)
        settings = [torch.randint(s.cardinality, shape, generator=generator) for s in images.space]
        settings[column] = torch.arange(changes)[:, None].expand(shape)
        low = torch.stack(settings, -1).flatten(0, 1)
        high = low.clone()
        high[:, column] += 1
        steps.append(_labelled(find(low), find(high), k, part))
    moved = [slot for slot in images.space if slot.name in names]
    return _assemble(images, torch.cat(steps, 1), part, [slot.name for slot in moved], size)


def attribute_pairs(
    photos: LabelledImages,
    attributes: Sequence[str] = (),
    *,
    photos_per_side: int = 8,
    seed: Seed = 42,
    size: int | None = None,
) -> PaperPairs:
    """Joins photographs that differ in one attribute: the paper's pairs of CelebA. Not atomic.

    For each attribute and each setting of the others, up to ``photos_per_side`` photographs with
    and without the attribute are drawn, with replacement, and joined each with each. A pair is
    kept where both photographs lie in one part of the published split, used in both directions,
    and counted once.

    **The two photographs of a pair show two persons.** Identity, pose and background change with
    the attribute, and the attributes that are not listed may change too: no action is applied to
    a unit, so nothing here is a transition in the sense of :class:`ctvae.data.Transitions`, and
    scores on such pairs say little about interventions. Use them to compare with the paper only.

    Args:
        photos: Images with attributes of two values.
        attributes: The attributes that must agree but for one; the first ten of the table (which
            is in alphabetical order), as published, where empty.
        photos_per_side: How many photographs are drawn for each side, eight as published; fewer
            where there are fewer.
        seed: For the draws, and for a random 70/15/15 split where ``photos`` has no published
            one.
        size: The side to average images down to; as they are where ``None``.

    Returns:
        The pool and the pairs of the three parts.

    Raises:
        DataError: When an attribute has other than two values, or a part has no pair.

    Source: Gendron, Witbrock, Dobbie, IJCAI 2023, and its published code (470ba42).
    """
    m = check_count(photos_per_side, "photos_per_side", least=1)
    generator = make_generator(seed)
    names = tuple(attributes) or photos.space.names[:PUBLISHED_ATTRIBUTES]
    columns = [photos.space.index(name) for name in names]
    if any(photos.space[column].cardinality != 2 for column in columns):
        msg = f"attributes have two values, absent and present; got {photos.space}"
        raise DataError(msg)
    parts = photos.parts
    if len(parts) != 3:
        parts = split_groups(torch.arange(len(photos)), seed=generator)
    part = _part_of(parts, len(photos))
    codes = photos.factors(torch.arange(len(photos)))[:, columns]
    steps: list[Tensor] = []
    for k in range(len(columns)):
        without, with_it = _agreeing(codes, k, m, generator)
        steps.append(_labelled(without, with_it, k, part))
    return _assemble(photos, torch.cat(steps, 1), part, names, size)


def _agreeing(
    codes: Tensor, column: int, most: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Rows that differ in one column alone, drawn setting by setting; -1 where there are fewer."""
    others = torch.cat([codes[:, :column], codes[:, column + 1 :]], 1)
    key = joint_index(others, [2] * others.shape[1]) * 2 + codes[:, column]
    key, order = key.sort(stable=True)
    cells, counts = key.unique_consecutive(return_counts=True)
    starts = counts.cumsum(0) - counts
    low = ((cells[:-1] % 2 == 0) & (cells[1:] == cells[:-1] + 1)).nonzero()[:, 0]
    sides = []
    for cell in (low, low + 1):
        share = torch.rand(len(low), most, generator=generator, dtype=torch.float64)
        drawn = starts[cell, None] + (share * counts[cell, None]).long()
        there = torch.arange(most) < counts[cell, None]
        sides.append(torch.where(there, order[drawn], -1))
    without = sides[0][:, :, None].expand(-1, most, most).flatten()
    return without, sides[1][:, None, :].expand(-1, most, most).flatten()


def _finder(images: ImageSet) -> Callable[[Tensor], Tensor]:
    """Finds rows by their factors; -1 where there is none."""
    sizes = images.space.cardinalities
    keys, order = joint_index(images.factors.cpu(), sizes).sort()
    if bool((keys.diff() == 0).any()):
        msg = "two images have equal factors; add a factor that tells them apart (a scene)"
        raise DataError(msg)

    def find(factors: Tensor) -> Tensor:
        wanted = joint_index(factors, sizes)
        place = torch.searchsorted(keys, wanted).clamp(max=len(keys) - 1)
        return torch.where(keys[place] == wanted, order[place], -1)

    return find


def _part_of(parts: Sequence[Tensor], count: int) -> Tensor:
    part = torch.full((count,), -1)
    for number, rows in enumerate(parts):
        part[rows] = number
    return part


def _labelled(low: Tensor, high: Tensor, factor: int, part: Tensor) -> Tensor:
    """Keeps the pairs within one part, each once: rows (low, high, factor)."""
    there = (low >= 0) & (high >= 0) & (part[low] == part[high]) & (part[low] >= 0)
    edge = (low[there] * len(part) + high[there]).unique()
    low, high = edge // len(part), edge % len(part)
    return torch.stack([low, high, torch.full_like(low, factor)])


def _assemble(
    images: ImageSet | FactorGrid | LabelledImages,
    steps: Tensor,
    part: Tensor,
    names: Sequence[str],
    size: int | None,
) -> PaperPairs:
    low, high, factor = steps
    rows = torch.cat([low, high]).unique()
    pool = _pool(images, rows, names, size)
    device = pool.images.device
    before, after = torch.cat([low, high]), torch.cat([high, low])
    action = torch.cat([factor, factor + len(names)])
    actions = StepBy().actions(names, [2] * len(names))
    pairs = []
    for number, name in enumerate(("training", "validation", "test")):
        here = (part[before] == number).to(device)
        if not bool(here.any()):
            msg = (
                f"the {name} part has no pair, of {len(part)} images and {len(low)} pairs in all; "
                "draw more settings, or give more images"
            )
            raise DataError(msg)
        ends = [torch.searchsorted(rows, end).to(device)[here] for end in (before, after)]
        labels = action.to(device)[here]
        pairs.append(Transitions(pool.images, ends[0], labels, ends[1], actions))
    return PaperPairs(pool, rows, *pairs)


def _pool(
    images: ImageSet | FactorGrid | LabelledImages,
    rows: Tensor,
    names: Sequence[str],
    size: int | None,
) -> ImageSet:
    if isinstance(images, ImageSet):
        some = images.subset(rows.to(images.images.device))
        shown = some.images if size is None else pool_images(some.images, size)
        return ImageSet(shown, some.factors, some.space, moves=tuple(names), unit=some.unit)
    some = images.subset(rows, size=size)
    return ImageSet(some.images, some.factors, some.space, moves=tuple(names), unit=some.unit)
