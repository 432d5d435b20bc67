"""Pairs of images that no known action explains, by family, and walks of several actions."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from ctvae.counting import joint_index
from ctvae.data import ImageSet, PairRule, StepBy, Transitions, composed_pairs, transition_pairs


class Pairs(NamedTuple):
    """Rows of a pool of images, before and after."""

    before: Tensor
    after: Tensor


def without_action(pairs: Transitions, action: int) -> Transitions:
    """Withholds an action: its pairs are left out, and nothing knows of it.

    Args:
        pairs: Labelled pairs.
        action: Which.

    Returns:
        The other pairs, their actions numbered anew.
    """
    kept = pairs.subset((pairs.action != action).nonzero()[:, 0])
    actions = tuple(a for number, a in enumerate(pairs.actions) if number != action)
    return replace(kept, action=kept.action - (kept.action > action).long(), actions=actions)


def only_action(pairs: Transitions, action: int) -> Pairs:
    """Takes the pairs of one action.

    Args:
        pairs: Labelled pairs.
        action: Which.

    Returns:
        Its pairs.
    """
    mine = pairs.action == action
    return Pairs(pairs.before[mine], pairs.after[mine])


def families(images: ImageSet, rows: Tensor, *, seed: int) -> dict[str, Pairs]:
    """Finds pairs that no single step explains.

    Args:
        images: Images with known factors.
        rows: Those that may be used.
        seed: For the choice of partners.

    Returns:
        Family to its pairs; nuisances only where the images have some.
    """
    generator = torch.Generator().manual_seed(seed)
    double = transition_pairs(images, StepBy(2), rows=rows)
    two = composed_pairs(images, StepBy(), rows=rows)
    shuffled = rows[torch.randperm(len(rows), generator=generator)]
    found = {
        "double step": Pairs(double.before, double.after),
        "two factors": Pairs(two.before, two.after),
    }
    if len(images.moves) < len(images.space):
        single = transition_pairs(images, StepBy(), rows=rows)
        found["nuisance only"] = _new_nuisance(images, rows, Pairs(rows, rows), generator)
        known = Pairs(single.before, single.after)
        found["nuisance and a step"] = _new_nuisance(images, rows, known, generator)
    return found | {"random pairs": Pairs(rows, shuffled)}


def _new_nuisance(
    images: ImageSet, rows: Tensor, pairs: Pairs, generator: torch.Generator
) -> Pairs:
    """Replaces the image after by one of equal moved factors with other nuisances."""
    factors = images.moved_factors
    keys = joint_index(factors, images.moved.cardinalities)
    order = rows[keys[rows].argsort(stable=True)]
    first = torch.searchsorted(keys[order], keys[pairs.after])
    count = torch.searchsorted(keys[order], keys[pairs.after], right=True) - first
    pick = (torch.rand(len(first), generator=generator) * count).long()
    after = order[first + pick]
    differ = (images.factors[after] != images.factors[pairs.after]).any(1)
    return Pairs(pairs.before[differ], after[differ])


class Walks(NamedTuple):
    """Pairs several actions apart, with the actions."""

    before: Tensor
    sequence: Tensor
    after: Tensor


def walks(
    images: ImageSet, rule: PairRule, rows: Tensor, *, length: int, count: int, seed: int
) -> Walks:
    """Draws sequences of actions that lead from one image to another.

    Actions are uniform among those that can be taken. Images between need not exist. Sequences that
    end where they began are left out: among few images they would be most of all.

    Args:
        images: Images with known factors.
        rule: What actions do.
        rows: Images that may be at either end.
        length: Actions in a sequence.
        count: At most so many pairs.
        seed: For the draws.

    Returns:
        The pairs.
    """
    generator = torch.Generator().manual_seed(seed)
    sizes, whole = images.moved.cardinalities, images.space.cardinalities
    columns = torch.tensor([images.space.index(slot.name) for slot in images.moved])
    names = images.moved.names
    numbers = len(rule.actions(names, sizes))
    leads = torch.full((len(sizes), numbers, max(sizes)), -1)
    for change in rule.changes(names, sizes):
        for factor, value, other in change.moves:
            leads[factor, change.action, value] = other
    keys, order = joint_index(images.factors[rows], whole).sort()
    parts: list[tuple[Tensor, Tensor, Tensor]] = []
    found = 0
    for _ in range(50):
        start = rows[torch.randint(len(rows), (20_000,), generator=generator)]
        factors, taken = images.factors[start].clone(), []
        for _ in range(length):
            here = factors[:, columns]
            ends = leads[torch.arange(len(sizes)), :, here]  # walks, factors, actions
            noise = torch.rand(len(here), numbers, generator=generator)
            action = noise.masked_fill(~(ends >= 0).any(1), -1.0).argmax(1)
            to = ends.gather(2, action[:, None, None].expand(-1, len(sizes), 1))[..., 0]
            factors[:, columns] = torch.where(to >= 0, to, here)
            taken.append(action)
        wanted = joint_index(factors, whole)
        place = torch.searchsorted(keys, wanted).clamp(max=len(keys) - 1)
        there = (keys[place] == wanted) & (rows[order[place]] != start)
        parts.append((start[there], torch.stack(taken, 1)[there], rows[order[place[there]]]))
        found += int(there.sum())
        if found >= count:
            break
    return Walks(*(torch.cat(column)[:count] for column in zip(*parts, strict=True)))
