"""Actions as JSON values, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from ctvae.errors import UnknownActionError
from ctvae.mechanisms.actions import (
    Action,
    JointAction,
    NoAction,
    OpenAction,
    PermuteAction,
    SetAction,
    ShiftAction,
    StochasticAction,
)

__all__ = ["action_from_dict", "action_to_dict"]

KINDS: Mapping[str, type] = {
    kind.__name__: kind
    for kind in (
        ShiftAction,
        SetAction,
        PermuteAction,
        StochasticAction,
        JointAction,
        NoAction,
        OpenAction,
    )
}


def action_to_dict(action: Action) -> dict[str, object]:
    """Writes an action as JSON values.

    Args:
        action: The action.

    Returns:
        Its fields and its class; the parts of a joint action in the same form.
    """
    fields: dict[str, object] = {"class": type(action).__name__, **vars(action)}
    if isinstance(action, JointAction):
        fields["parts"] = [action_to_dict(part) for part in action.parts]
    return fields


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
    values = dict(fields)
    kind = KINDS.get(str(values.pop("class", None)))
    if kind is None:
        msg = f"{fields!r} is no action; known classes: {', '.join(KINDS)}"
        raise UnknownActionError(msg)
    if kind is JointAction:
        parts = cast("Sequence[Mapping[str, object]]", values["parts"])
        values["parts"] = tuple(action_from_dict(part) for part in parts)
    return cast("Action", kind(**values))
