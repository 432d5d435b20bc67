"""Pairs over a grid of factors without pictures: only who is joined with whom matters."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import torch
from torch import Tensor

from ctvae.data import ImageSet, PairRule, Transitions, transition_pairs
from ctvae.mechanisms import ShiftAction
from ctvae.slots import SlotSpace


def grid(sizes: Sequence[int], *, kept: float = 1.0, contexts: int = 1, seed: int = 0) -> ImageSet:
    """A random part of a full grid, in several contexts that no action moves."""
    factors = torch.tensor(list(product(*(range(k) for k in sizes), range(contexts))))
    some = torch.rand(len(factors), generator=torch.Generator().manual_seed(seed)) < kept
    factors = factors[some]
    names = [f"f{k}" for k in range(len(sizes))]
    space = SlotSpace.from_cardinalities(
        dict(zip([*names, "context"], [*sizes, contexts], strict=True))
    )
    return ImageSet(torch.zeros(len(factors), 1, 8, 8), factors, space, moves=tuple(names))


def grid_pairs(images: ImageSet, rule: PairRule) -> Transitions:
    return transition_pairs(images, rule)


def circle_pairs(size: int, other: int) -> tuple[Transitions, Tensor]:
    """A circle of values beside a line, and the factors of the images."""
    factors = torch.cartesian_prod(torch.arange(size), torch.arange(other))
    number = torch.arange(size * other).reshape(size, other)
    around = torch.stack([number, number.roll(-1, 0)], -1).flatten(0, 1)
    along = torch.stack([number[:, :-1], number[:, 1:]], -1).flatten(0, 1)
    actions = (
        ShiftAction("a +1", 0, 1),
        ShiftAction("a -1", 0, -1),
        ShiftAction("b +1", 1, 1),
        ShiftAction("b -1", 1, -1),
    )
    parts = [(around, 0), (around.flip(1), 1), (along, 2), (along.flip(1), 3)]
    before = torch.cat([ends[:, 0] for ends, _ in parts])
    after = torch.cat([ends[:, 1] for ends, _ in parts])
    action = torch.cat([torch.full((len(ends),), a) for ends, a in parts])
    return Transitions(torch.zeros(size * other, 1, 8, 8), before, action, after, actions), factors


def same_partition(codes: Tensor, values: Tensor) -> bool:
    """Whether codes are values renamed."""
    pairs = torch.stack([codes, values], 1).unique(dim=0)
    return len(pairs) == len(codes.unique()) == len(values.unique())
