"""Actions: labelled edits of the slots of a unit, as data sets of pairs name them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias, cast

import torch
from jaxtyping import Bool
from torch import Tensor

from ctvae.errors import UnknownActionError, UnknownSlotError, did_you_mean

__all__ = [
    "Action",
    "JointAction",
    "NoAction",
    "OpenAction",
    "PermuteAction",
    "SetAction",
    "ShiftAction",
    "SlotAction",
    "StochasticAction",
    "action_index",
    "inverse_pairs",
    "part_on",
    "retarget",
    "target_mask",
    "targets_of",
]


@dataclass(frozen=True)
class ShiftAction:
    """Moves a slot some steps up or down the order of its values, or around their circle.

    Attributes:
        name: The action's label, unique in its set.
        target: The slot it moves; ``None`` when that is to be learned.
        direction: +1 or -1. Which way is up is a free choice of the learned order; only that the
            two directions of a slot are opposite is used.
        steps: How many steps it goes.
    """

    name: str
    target: int | None
    direction: int
    steps: int = 1

    @property
    def targets(self) -> tuple[int, ...] | None:
        """The slot it moves."""
        return _single(self.target)

    @property
    def displacement(self) -> int:
        """The steps it goes, with their sign."""
        return self.direction * self.steps


@dataclass(frozen=True)
class SetAction:
    """Sets a slot to a value, whatever it was.

    Attributes:
        name: The action's label, unique in its set.
        target: The slot it sets; ``None`` when that is to be learned.
        value: The label of the value; which learned code that is, the counted tables say.
    """

    name: str
    target: int | None
    value: int

    @property
    def targets(self) -> tuple[int, ...] | None:
        """The slot it sets."""
        return _single(self.target)


@dataclass(frozen=True)
class PermuteAction:
    """Takes each value of a slot to one other, and no two to the same: an unknown bijection.

    Attributes:
        name: The action's label, unique in its set.
        target: The slot it moves; ``None`` when that is to be learned.
    """

    name: str
    target: int | None

    @property
    def targets(self) -> tuple[int, ...] | None:
        """The slot it moves."""
        return _single(self.target)


@dataclass(frozen=True)
class StochasticAction:
    """Gives a slot a random value; the counted table says with which probabilities.

    Attributes:
        name: The action's label, unique in its set.
        target: The slot it moves; ``None`` when that is to be learned.
    """

    name: str
    target: int | None

    @property
    def targets(self) -> tuple[int, ...] | None:
        """The slot it moves."""
        return _single(self.target)


SlotAction: TypeAlias = ShiftAction | SetAction | PermuteAction | StochasticAction
"""An action on one slot."""


@dataclass(frozen=True)
class JointAction:
    """Moves several slots at once, each by a part of its own.

    The law of the whole is the product of those of its parts: given the codes before, the new codes
    of its targets are independent. A part that has the name of another action is that action.

    Attributes:
        name: The action's label, unique in its set.
        parts: What it does to each of its targets; at least two, on different slots.

    Raises:
        UnknownSlotError: When a part has no target, two parts have one, or there is one part only.
    """

    name: str
    parts: tuple[SlotAction, ...]

    def __post_init__(self) -> None:
        targets = [part.target for part in self.parts]
        if None in targets or len(set(targets)) < max(len(targets), 2):
            msg = (
                f"the parts of the joint action {self.name!r} have targets {targets}; they must be "
                "at least two different slots: an action of unknown targets is an OpenAction"
            )
            raise UnknownSlotError(msg)

    @property
    def targets(self) -> tuple[int, ...]:
        """The slots it moves, increasing."""
        return tuple(sorted(cast("int", part.target) for part in self.parts))


@dataclass(frozen=True)
class NoAction:
    """Leaves every slot as it is.

    Attributes:
        name: The action's label, unique in its set.
    """

    name: str

    @property
    def targets(self) -> tuple[int, ...]:
        """No slot."""
        return ()


@dataclass(frozen=True)
class OpenAction:
    """An action of which only the name is known: what it moves, and how, is to be found.

    Attributes:
        name: The action's label, unique in its set.
    """

    name: str

    @property
    def targets(self) -> None:
        """Not known."""
        return


Action: TypeAlias = SlotAction | JointAction | NoAction | OpenAction


def _single(target: int | None) -> tuple[int, ...] | None:
    return None if target is None else (target,)


def targets_of(action: Action) -> tuple[int, ...]:
    """Gives the slots that an action moves.

    Args:
        action: An action whose targets are known.

    Returns:
        The slots, increasing; none for a no-op.

    Raises:
        UnknownActionError: When its targets are not known.

    Example:
        >>> targets_of(SetAction("hue=2", 1, 2)), targets_of(NoAction("nothing"))
        ((1,), ())
    """
    if action.targets is None:
        msg = f"the action {action.name!r} has no target yet, so what it holds is not known"
        raise UnknownActionError(msg)
    return action.targets


def target_mask(
    actions: Sequence[Action], slots: int, device: torch.device | str = "cpu"
) -> Bool[Tensor, "actions slots"]:
    """Marks the slots that each action moves.

    Args:
        actions: Actions whose targets are known.
        slots: The number of slots.
        device: Where the marks go.

    Returns:
        ``(actions, slots)``, true where the action moves the slot.

    Example:
        >>> target_mask([SetAction("hue=2", 1, 2), NoAction("nothing")], 2).int().tolist()
        [[0, 1], [0, 0]]
    """
    mask = torch.zeros(len(actions), slots, dtype=torch.bool)
    for a, action in enumerate(actions):
        mask[a, list(targets_of(action))] = True
    return mask.to(device)


def part_on(action: Action, slot: int) -> SlotAction | None:
    """Gives what an action does to one slot.

    Args:
        action: An action whose targets are known.
        slot: The slot.

    Returns:
        The action itself, or its part on the slot; ``None`` where it leaves the slot alone.
    """
    if isinstance(action, NoAction | OpenAction):
        return None
    parts = action.parts if isinstance(action, JointAction) else (action,)
    return next((part for part in parts if part.target == slot), None)


def retarget(action: Action, slots: Mapping[int, int]) -> Action:
    """Renames the slots that an action moves.

    Args:
        action: An action whose targets are known.
        slots: Old slot to new slot.

    Returns:
        The action on the new slots.

    Example:
        >>> retarget(SetAction("hue=2", 1, 2), {0: 1, 1: 0})
        SetAction(name='hue=2', target=0, value=2)
    """
    if isinstance(action, JointAction):
        parts = tuple(cast("SlotAction", retarget(part, slots)) for part in action.parts)
        return replace(action, parts=parts)
    if isinstance(action, NoAction | OpenAction):
        return action
    return replace(action, target=slots[targets_of(action)[0]])


def action_index(actions: Sequence[Action], key: int | str) -> int:
    """Gives the position of an action.

    Args:
        actions: The set of actions.
        key: A name or an index.

    Returns:
        The index in ``[0, actions)``.

    Raises:
        UnknownActionError: When there is no such action.

    Example:
        >>> action_index([ShiftAction("hue+", 0, 1), ShiftAction("hue-", 0, -1)], "hue-")
        1
    """
    names = [action.name for action in actions]
    if isinstance(key, str) and key in names:
        return names.index(key)
    if isinstance(key, int) and not isinstance(key, bool) and 0 <= key < len(actions):
        return key
    listed = ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")
    msg = f"action {key!r} is not one of the {len(names)} actions ({listed})"
    raise UnknownActionError(msg + did_you_mean(key, names))


def inverse_pairs(actions: Sequence[Action]) -> int:
    """Counts the pairs of inverse actions in a set whose targets are to be learned.

    Args:
        actions: Shift actions, half of them up and half of them down.

    Returns:
        The number of pairs, which is the number of slots.

    Raises:
        UnknownSlotError: When the set is no set of inverse pairs.
    """
    shifts = all(isinstance(action, ShiftAction) for action in actions)
    if not shifts or len(actions) % 2 or not actions:
        msg = (
            f"{len(actions)} actions without targets: learning targets needs shift actions in "
            "inverse pairs, two per slot; otherwise give every action its target, or name the slots"
        )
        raise UnknownSlotError(msg)
    return len(actions) // 2


def check_names(actions: Iterable[Action]) -> tuple[Action, ...]:
    """Refuses a set in which two actions share a name.

    Args:
        actions: The actions.

    Returns:
        The actions as a tuple.

    Raises:
        UnknownActionError: When a name is used twice.
    """
    actions = tuple(actions)
    names = [action.name for action in actions]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        msg = f"two actions are named {twice[0]!r}; names must be unique"
        raise UnknownActionError(msg)
    return actions
