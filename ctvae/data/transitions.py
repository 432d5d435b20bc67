"""Transition pairs (before, action, after) from any set of images with known factors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

import torch
from jaxtyping import Int
from torch import Tensor

from ctvae.counting import joint_index
from ctvae.data.images import ImageSet
from ctvae.data.pair_rules import Move, PairRule
from ctvae.errors import DataError, ShapeError, UnknownActionError
from ctvae.mechanisms.actions import Action, NoAction, check_names
from ctvae.regimes import Regime

__all__ = [
    "ComposedPairs",
    "Transitions",
    "composed_pairs",
    "transition_pairs",
    "with_renderings",
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

    def moved(self, moves: Sequence[Move]) -> tuple[Tensor, Tensor]:
        """Rows where factors go from one value to another, and the rows they go to."""
        here = torch.ones(len(self.factors), dtype=torch.bool)
        for column, start, _ in moves:
            here &= self.factors[:, column] == start
        source = here.nonzero()[:, 0]
        wanted = self.factors[source].clone()
        for column, _, end in moves:
            wanted[:, column] = end
        keys = joint_index(wanted, self.cardinalities)
        place = torch.searchsorted(self.keys, keys).clamp(max=max(len(self.keys) - 1, 0))
        found = self.keys[place] == keys
        return self.rows[source[found]], self.rows[self.order[place[found]]]


def transition_pairs(
    images: ImageSet, rule: PairRule, *, rows: Int[Tensor, " rows"] | None = None
) -> Transitions:
    """Finds every pair of images that differ as the rule says, and in nothing else.

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
        >>> from ctvae.data import StepBy, mini_sprites
        >>> len(transition_pairs(mini_sprites(), StepBy()))
        24064

    Cost: O(steps * n log n) for ``steps`` value changes of all factors.
    """
    lookup = _Lookup(images, rows)
    names, sizes = images.moved.names, images.moved.cardinalities
    columns = [images.space.index(name) for name in names]
    parts: list[Tensor] = []
    for action, moves in rule.changes(names, sizes):
        before, after = lookup.moved([move._replace(factor=columns[move.factor]) for move in moves])
        parts.append(torch.stack([before, torch.full_like(before, action), after]))
    before, action, after = torch.cat(parts, 1) if parts else torch.empty(3, 0).long()
    return Transitions(images.images, before, action, after, rule.actions(names, sizes))


def with_renderings(
    pairs: Transitions,
    images: ImageSet,
    *,
    rows: Int[Tensor, " rows"] | None = None,
    name: str = "drawn again",
) -> Transitions:
    """Adds pairs in which nothing happens but that the nuisances change.

    Each image is paired with the next one that shows the same moved factors, and the last of them
    with the first; an image that is alone in that is left out. The action leaves every slot, so
    slots are held where only nuisances change. What a spare vector holds changes, though: leave
    these pairs out where one is trained.

    Args:
        pairs: Pairs over the images.
        images: The images, with nuisances among their factors.
        rows: The images that may be used; all of them where ``None``.
        name: Of the action.

    Returns:
        The pairs with those of one more action.

    Raises:
        DataError: When no two images show the same factors.

    Example:
        >>> from ctvae.data import StepBy, colour_world
        >>> images = colour_world().edits(20, seed=0)
        >>> pairs = transition_pairs(images, StepBy())
        >>> with_renderings(pairs, images).actions[-1]
        NoAction(name='drawn again')
    """
    rows = torch.arange(len(images)) if rows is None else rows
    shown = joint_index(images.moved_factors[rows], images.moved.cardinalities)
    shown, order = shown.sort(stable=True)
    _, number, count = shown.unique_consecutive(return_inverse=True, return_counts=True)
    last = count.cumsum(0)[number] - 1
    place = torch.arange(len(rows))
    following = torch.where(place == last, last - count[number] + 1, place + 1)
    several = count[number] > 1
    before, after = rows[order[several]], rows[order[following[several]]]
    if not len(before):
        msg = "no two images show the same factors, so there are no other renderings to pair"
        raise DataError(msg)
    action = torch.full_like(before, len(pairs.actions))
    return Transitions(
        pairs.images,
        torch.cat([pairs.before, before]),
        torch.cat([pairs.action, action]),
        torch.cat([pairs.after, after]),
        check_names([*pairs.actions, NoAction(name)]),
        pairs.regime,
    )


def composed_pairs(
    images: ImageSet, rule: PairRule, *, rows: Int[Tensor, " rows"] | None = None
) -> ComposedPairs:
    """Finds every pair of images that two actions on different factors lead to, as the rule says.

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
    names, sizes = images.moved.names, images.moved.cardinalities
    columns = [images.space.index(name) for name in names]
    changes = [change for change in rule.changes(names, sizes) if change.moves]
    parts: list[Tensor] = []
    for one, two in product(changes, changes):
        moves = (*one.moves, *two.moves)
        moved = [move.factor for move in moves]
        if one.moves[0].factor > two.moves[0].factor or len(set(moved)) < len(moved):
            continue
        before, after = lookup.moved([move._replace(factor=columns[move.factor]) for move in moves])
        actions = [torch.full_like(before, change.action) for change in (one, two)]
        parts.append(torch.stack([before, *actions, after]))
    table = torch.cat(parts, 1) if parts else torch.empty(4, 0).long()
    return ComposedPairs(table[0], table[1:3].T.contiguous(), table[3])
