"""Actions: labelled interventions on one slot of a unit, as data sets of pairs name them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from ctvae.errors import UnknownActionError, UnknownSlotError, did_you_mean

__all__ = [
    "Action",
    "SetAction",
    "ShiftAction",
    "action_from_dict",
    "action_index",
    "action_to_dict",
    "inverse_pairs",
]


@dataclass(frozen=True)
class ShiftAction:
    """Moves a slot by one step up or down the order of its values, or around their circle.

    Attributes:
        name: The action's label, unique in its set.
        target: The slot it moves; ``None`` when that is to be learned.
        direction: +1 or -1. Which way is up is a free choice of the learned order; only that the
            two directions of a slot are opposite is used.
    """

    name: str
    target: int | None
    direction: int


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


Action: TypeAlias = ShiftAction | SetAction


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


def action_to_dict(action: Action) -> dict[str, int | str | None]:
    """Writes an action as JSON values.

    Args:
        action: The action.

    Returns:
        Its fields and its class.
    """
    return {"class": type(action).__name__, **vars(action)}


def action_from_dict(fields: Mapping[str, object]) -> Action:
    """Reads an action written by ``action_to_dict``.

    Args:
        fields: Its fields and its class.

    Returns:
        The action.

    Raises:
        UnknownActionError: When the class is none of the actions.

    Example:
        >>> action_from_dict(action_to_dict(SetAction("hue=2", 0, 2)))
        SetAction(name='hue=2', target=0, value=2)
    """
    kinds: dict[str, type[ShiftAction] | type[SetAction]] = {
        kind.__name__: kind for kind in (ShiftAction, SetAction)
    }
    values = dict(fields)
    kind = kinds.get(str(values.pop("class", None)))
    if kind is None:
        msg = f"{fields!r} is no action; known classes: {', '.join(kinds)}"
        raise UnknownActionError(msg)
    return kind(**values)  # type: ignore[arg-type]  # JSON values, checked by the dataclass


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
