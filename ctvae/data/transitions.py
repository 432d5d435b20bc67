"""Transition pairs (before, action, after) from any set of images with known factors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, product
from typing import NamedTuple, Protocol

import torch
from jaxtyping import Int
from torch import Tensor

from ctvae.counting import joint_index
from ctvae.data.images import ImageSet
from ctvae.errors import DataError, ShapeError, UnknownActionError
from ctvae.mechanisms.actions import Action, SetAction, ShiftAction
from ctvae.regimes import Regime

__all__ = [
    "ComposedPairs",
    "PairRule",
    "SetTo",
    "StepAround",
    "StepBy",
    "Transitions",
    "composed_pairs",
    "transition_pairs",
]


@dataclass(frozen=True)
class Transitions:
    """Pairs of images of one unit, before and after a labelled action.

    Pairs point into a pool of images, so that an image in many pairs is held once. They are edits
    (one factor replaced, all else held): fit for learning slots and actions, unfit as independent
    rows for discovery.

    Attributes:
        images: The pool ``(n, channels, height, width)``, uint8 or floats in [0, 1].
        before: ``(pairs,)`` rows of the pool.
        action: ``(pairs,)`` in ``[0, actions)``, or -1 where it is not known.
        after: ``(pairs,)`` rows of the pool.
        actions: What the labels mean.
        regime: ``EDIT``, or ``COUNTERFACTUAL`` where descendants respond.

    Raises:
        DataError: When there is no pair, or every pair has one and the same action.
        ShapeError: When the parts do not fit together.
        UnknownActionError: When a label lies outside the set of actions.
    """

    images: Tensor
    before: Int[Tensor, " pairs"]
    action: Int[Tensor, " pairs"]
    after: Int[Tensor, " pairs"]
    actions: tuple[Action, ...]
    regime: Regime = Regime.EDIT

    def __post_init__(self) -> None:
        lengths = {len(self.before), len(self.action), len(self.after)}
        if len(lengths) != 1 or self.images.ndim != 4:
            msg = (
                f"before, action and after must have one length, got {len(self.before)}, "
                f"{len(self.action)}, {len(self.after)}; images (n, channels, height, width), "
                f"got {tuple(self.images.shape)}"
            )
            raise ShapeError(msg)
        rows = torch.cat([self.before, self.after])
        if rows.is_floating_point() or self.action.is_floating_point():
            msg = "before, action and after must be integers"
            raise ShapeError(msg)
        if len(rows) and (int(rows.min()) < 0 or int(rows.max()) >= len(self.images)):
            msg = f"pairs point outside the pool of {len(self.images)} images"
            raise ShapeError(msg)
        if len(self.before) == 0:
            msg = "there are no pairs: no two images differ in exactly one of the factors moved"
            raise DataError(msg)
        wrong = (self.action < -1) | (self.action >= len(self.actions))
        if bool(wrong.any()):
            msg = (
                f"action id {int(self.action[wrong][0])} is outside the set of "
                f"{len(self.actions)} actions (ids 0..{len(self.actions) - 1})"
            )
            raise UnknownActionError(msg)
        known = self.action[self.action >= 0]
        if len(known) == 0:
            msg = "no pair has a label; a few labels name the actions that the others then share"
            raise DataError(msg)
        if len(self.actions) < 2 or int(known.max()) == int(known.min()):
            msg = "all pairs have one and the same action; telling actions apart needs at least two"
            raise DataError(msg)

    def __len__(self) -> int:
        return len(self.before)

    def __repr__(self) -> str:
        return (
            f"Transitions({len(self)} pairs of {len(self.images)} images, "
            f"{len(self.actions)} actions, {self.regime.value})"
        )

    @classmethod
    def from_arrays(
        cls, before: Tensor, action: Tensor, after: Tensor, actions: Sequence[Action]
    ) -> Transitions:
        """Makes pairs from two stacks of images.

        Args:
            before: ``(pairs, channels, height, width)``.
            action: ``(pairs,)`` in ``[0, actions)``.
            after: ``(pairs, channels, height, width)``.
            actions: What the labels mean.

        Returns:
            The pairs.

        Raises:
            ShapeError: When the two stacks differ in shape.
        """
        if before.shape != after.shape:
            msg = f"before {tuple(before.shape)} and after {tuple(after.shape)} differ in shape"
            raise ShapeError(msg)
        rows = torch.arange(len(before))
        images = torch.cat([before, after])
        return cls(images, rows, action, rows + len(before), tuple(actions))

    def subset(self, rows: Int[Tensor, " rows"]) -> Transitions:
        """Takes some of the pairs.

        Args:
            rows: Pair numbers.

        Returns:
            New transitions over the same pool.
        """
        return Transitions(
            self.images,
            self.before[rows],
            self.action[rows],
            self.after[rows],
            self.actions,
            self.regime,
        )

    def used_images(self) -> Int[Tensor, " used"]:
        """Lists the images that occur in a pair.

        Returns:
            Rows of the pool, increasing.
        """
        return torch.unique(torch.cat([self.before, self.after]))


class PairRule(Protocol):
    """Which pairs of values of one factor are joined by which action."""

    def actions(self, names: Sequence[str], cardinalities: Sequence[int]) -> tuple[Action, ...]:
        """Lists the actions.

        Args:
            names: The factors moved.
            cardinalities: The number of values of each.

        Returns:
            The actions; ``target`` counts the factors moved.
        """

    def steps(self, factor: int, cardinalities: Sequence[int]) -> list[tuple[int, int, int]]:
        """Lists the value changes of one factor.

        Args:
            factor: Which of the factors moved.
            cardinalities: The number of values of each.

        Returns:
            Triples (value before, value after, action).
        """


@dataclass(frozen=True)
class StepBy:
    """Actions +1 and -1 on every factor, without wrap; action = factor + factors * (decrease)."""

    def actions(self, names: Sequence[str], cardinalities: Sequence[int]) -> tuple[Action, ...]:
        """Lists two actions per factor.

        Args:
            names: The factors moved.
            cardinalities: The number of values of each.

        Returns:
            All increases, then all decreases.
        """
        del cardinalities
        up = [ShiftAction(f"{name} +1", k, 1) for k, name in enumerate(names)]
        down = [ShiftAction(f"{name} -1", k, -1) for k, name in enumerate(names)]
        return (*up, *down)

    def steps(self, factor: int, cardinalities: Sequence[int]) -> list[tuple[int, int, int]]:
        """Lists neighbouring values, both ways.

        Args:
            factor: Which of the factors moved.
            cardinalities: The number of values of each.

        Returns:
            Triples (value before, value after, action).
        """
        edges = range(cardinalities[factor] - 1)
        up = [(v, v + 1, factor) for v in edges]
        down = [(v + 1, v, factor + len(cardinalities)) for v in edges]
        return up + down


@dataclass(frozen=True)
class StepAround:
    """Actions +1 and -1 on every factor, around the circle of its values; numbered as ``StepBy``.

    A factor of two values is stepped without wrap: on so small a circle both steps are one.
    """

    def actions(self, names: Sequence[str], cardinalities: Sequence[int]) -> tuple[Action, ...]:
        """Lists two actions per factor.

        Args:
            names: The factors moved.
            cardinalities: The number of values of each.

        Returns:
            All increases, then all decreases.
        """
        return StepBy().actions(names, cardinalities)

    def steps(self, factor: int, cardinalities: Sequence[int]) -> list[tuple[int, int, int]]:
        """Lists neighbouring values, both ways.

        Args:
            factor: Which of the factors moved.
            cardinalities: The number of values of each.

        Returns:
            Triples (value before, value after, action).
        """
        last, down = cardinalities[factor] - 1, factor + len(cardinalities)
        around = [(last, 0, factor), (0, last, down)] if last > 1 else []
        return StepBy().steps(factor, cardinalities) + around


@dataclass(frozen=True)
class SetTo:
    """One action per factor and value: set the factor to the value, from any other value."""

    def actions(self, names: Sequence[str], cardinalities: Sequence[int]) -> tuple[Action, ...]:
        """Lists one action per factor and value.

        Args:
            names: The factors moved.
            cardinalities: The number of values of each.

        Returns:
            The actions, factor by factor.
        """
        return tuple(
            SetAction(f"{name} = {v}", k, v)
            for k, (name, size) in enumerate(zip(names, cardinalities, strict=True))
            for v in range(size)
        )

    def steps(self, factor: int, cardinalities: Sequence[int]) -> list[tuple[int, int, int]]:
        """Lists every change of value.

        Args:
            factor: Which of the factors moved.
            cardinalities: The number of values of each.

        Returns:
            Triples (value before, value after, action).
        """
        first = sum(cardinalities[:factor])
        values = range(cardinalities[factor])
        return [(u, v, first + v) for u in values for v in values if u != v]


class ComposedPairs(NamedTuple):
    """Pairs of images two actions apart.

    Attributes:
        before: ``(pairs,)`` rows of the pool.
        sequence: ``(pairs, 2)`` the two actions, on different factors, in one of their two orders.
        after: ``(pairs,)`` rows of the pool.
    """

    before: Int[Tensor, " pairs"]
    sequence: Int[Tensor, "pairs 2"]
    after: Int[Tensor, " pairs"]


class _Lookup:
    """Finds images by their factors among some rows of a set."""

    def __init__(self, images: ImageSet, rows: Tensor | None) -> None:
        self.cardinalities = images.space.cardinalities
        self.rows = torch.arange(len(images)) if rows is None else rows
        self.factors = images.factors[self.rows]
        self.keys, self.order = joint_index(self.factors, self.cardinalities).sort()
        if bool((self.keys.diff() == 0).any()):
            msg = "two images have equal factors; add a factor that tells them apart (a scene)"
            raise DataError(msg)

    def moved(self, changes: Sequence[tuple[int, int, int]]) -> tuple[Tensor, Tensor]:
        """Rows where factors go from one value to another, and the rows they go to."""
        here = torch.ones(len(self.factors), dtype=torch.bool)
        for column, start, _ in changes:
            here &= self.factors[:, column] == start
        source = here.nonzero()[:, 0]
        wanted = self.factors[source].clone()
        for column, _, end in changes:
            wanted[:, column] = end
        keys = joint_index(wanted, self.cardinalities)
        place = torch.searchsorted(self.keys, keys).clamp(max=max(len(self.keys) - 1, 0))
        found = self.keys[place] == keys
        return self.rows[source[found]], self.rows[self.order[place[found]]]


def transition_pairs(
    images: ImageSet, rule: PairRule, *, rows: Int[Tensor, " rows"] | None = None
) -> Transitions:
    """Finds every pair of images that differ in exactly one moved factor, as the rule says.

    Both images of a pair lie in ``rows``, so that pairs of an image-disjoint split share no image.

    Args:
        images: Images with known factors, no two of them with equal factors.
        rule: Which changes count, and as which action.
        rows: The images that may be used; all of them where ``None``.

    Returns:
        The pairs, over the whole pool of images.

    Raises:
        DataError: When two images have equal factors, or no pair exists.

    Example:
        >>> from ctvae.data import mini_sprites
        >>> len(transition_pairs(mini_sprites(), StepBy()))
        24064

    Cost: O(steps * n log n) for ``steps`` value changes of all factors.
    """
    lookup = _Lookup(images, rows)
    names, sizes = images.moved.names, images.moved.cardinalities
    parts: list[Tensor] = []
    for k, name in enumerate(names):
        column = images.space.index(name)
        for start, end, action in rule.steps(k, sizes):
            before, after = lookup.moved([(column, start, end)])
            parts.append(torch.stack([before, torch.full_like(before, action), after]))
    before, action, after = torch.cat(parts, 1) if parts else torch.empty(3, 0).long()
    return Transitions(images.images, before, action, after, rule.actions(names, sizes))


def composed_pairs(
    images: ImageSet, rule: PairRule, *, rows: Int[Tensor, " rows"] | None = None
) -> ComposedPairs:
    """Finds every pair of images that differ in exactly two moved factors, each as the rule says.

    The image between the two need not exist.

    Args:
        images: Images with known factors, no two of them with equal factors.
        rule: Which changes count, and as which action.
        rows: The images that may be used; all of them where ``None``.

    Returns:
        The pairs, the action on the earlier factor first.

    Raises:
        DataError: When two images have equal factors.

    Cost: O(steps^2 * n log n).
    """
    lookup = _Lookup(images, rows)
    sizes = images.moved.cardinalities
    columns = [images.space.index(name) for name in images.moved.names]
    parts: list[Tensor] = []
    for j, k in combinations(range(len(columns)), 2):
        for one, two in product(rule.steps(j, sizes), rule.steps(k, sizes)):
            changes = [(columns[j], one[0], one[1]), (columns[k], two[0], two[1])]
            before, after = lookup.moved(changes)
            actions = [torch.full_like(before, step[2]) for step in (one, two)]
            parts.append(torch.stack([before, *actions, after]))
    table = torch.cat(parts, 1) if parts else torch.empty(4, 0).long()
    return ComposedPairs(table[0], table[1:3].T.contiguous(), table[3])
