"""Actions as interventions on a causal model."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import torch
from jaxtyping import Int
from torch import Tensor

from ctvae.errors import UnknownActionError
from ctvae.mechanisms.actions import Action, JointAction, NoAction, SetAction, ShiftAction
from ctvae.mechanisms.interventions import Hard, Intervention, Shift
from ctvae.mechanisms.per_row import PerRow
from ctvae.slots import SlotSpace

__all__ = ["interventions_of", "per_unit"]


def interventions_of(
    actions: Sequence[Action], slots: SlotSpace, cyclic: Collection[str]
) -> list[dict[str, Intervention]]:
    """Says what each action does to a model, by the name of the factor.

    Args:
        actions: Set actions and shift actions, with their targets.
        slots: The factors.
        cyclic: The factors around whose values shifts go.

    Returns:
        One mapping for each action.

    Raises:
        UnknownActionError: When an action has no target, or no intervention does what it does.
    """
    around = {slots.names[slots.index(name)] for name in cyclic}
    return [_intervention(action, slots, around) for action in actions]


def _intervention(
    action: Action, slots: SlotSpace, around: Collection[str]
) -> dict[str, Intervention]:
    if action.targets is None:
        msg = f"action {action.name!r} has no target; a world must be told what to intervene on"
        raise UnknownActionError(msg)
    match action:
        case NoAction():
            return {}
        case JointAction(parts=parts):
            return {k: v for part in parts for k, v in _intervention(part, slots, around).items()}
        case SetAction(target=int(slot), value=value):
            return {slots.names[slots.index(slot)]: Hard(value)}
        case ShiftAction(target=int(slot)):
            name = slots.names[slots.index(slot)]
            return {name: Shift(action.displacement, wrap=name in around)}
    msg = f"{action!r} has no intervention here; use set and shift actions, alone or joint"
    raise UnknownActionError(msg)


def per_unit(
    done: Sequence[Mapping[str, Intervention]], action: Int[Tensor, " units"]
) -> dict[str, PerRow]:
    """Makes one batch of worlds, in which each unit has the interventions of its action.

    Args:
        done: What each action does.
        action: The action of each unit.

    Returns:
        Factor to the interventions of all units.
    """
    rows = {}
    for name in dict.fromkeys(name for one in done for name in one):
        choices = [None, *(one[name] for one in done if name in one)]
        place = torch.tensor([name in one for one in done], device=action.device)
        rows[name] = PerRow(choices, (place * place.cumsum(0))[action])
    return rows
