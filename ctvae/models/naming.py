"""Names for slots and codes, from a few labelled images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch
from jaxtyping import Int
from torch import Tensor

from ctvae.errors import ShapeError
from ctvae.metrics import align_codes, information_matrix, match_slots
from ctvae.slots import SlotSpace

if TYPE_CHECKING:
    from ctvae.models.ctvae import CTVAE

__all__ = ["Naming", "name_slots"]


class Naming(NamedTuple):
    """A model whose slots and codes carry the names of factors and values.

    Attributes:
        model: The renamed model; it has no SCM, because one over other names would be wrong.
        wrong_codes: Factor to the share of the labelled images whose code stands for another value.
    """

    model: CTVAE
    wrong_codes: dict[str, float]


def name_slots(
    model: CTVAE, images: Tensor, factors: Int[Tensor, "n factors"], space: SlotSpace
) -> Naming:
    """Renames slots and codes so that code v of slot ``hue`` is the value v of the factor hue.

    Slots are matched with factors by mutual information, codes with values by agreement, both one
    to one. Where the values have names, the codes take them. Where a slot has more codes than its
    factor has values, the codes left over come last and are named ``spare 0``, ``spare 1``, ...;
    where it has fewer, code v is *not* the value v for all v, though the names stay right, and
    ``wrong_codes`` says how often.

    Args:
        model: A fitted model.
        images: Labelled images, some of every value.
        factors: Their factors.
        space: The factors' names, and with ``states`` those of their values.

    Returns:
        The renamed model, and how many of the labelled images contradict the names.

    Raises:
        ShapeError: When there are more factors than slots, or labels do not match the images.
    """
    if len(space) > len(model.slots) or factors.shape != (len(images), len(space)):
        msg = (
            f"{len(images)} images with labels {tuple(factors.shape)} for {len(space)} factors "
            f"and {len(model.slots)} slots; every factor needs a slot"
        )
        raise ShapeError(msg)
    space.check_codes(factors)
    codes, truth = model.encode(images).cpu(), factors.cpu()
    slots = match_slots(information_matrix(truth, codes))
    left_over = [slot for slot in range(len(model.slots)) if slot not in slots]
    orders: list[Tensor] = []
    wrong: dict[str, float] = {}
    states: dict[str, tuple[str, ...]] = {}
    for factor, slot in enumerate(slots):
        size, used = space[factor].cardinality, model.slots[slot].cardinality
        found = align_codes(truth[:, factor], codes[:, slot], size, used)
        last = torch.where(found.value_of_code < 0, size, found.value_of_code)
        orders.append(last.argsort(stable=True))
        if space[factor].states:
            values = last[orders[-1]].tolist()
            states[space[factor].name] = _states(space[factor].states, values)
        # Judged after renaming: with fewer codes than values, code v cannot be the value v.
        renamed = orders[-1].argsort()[codes[:, slot]]
        wrong[space[factor].name] = float((renamed != truth[:, factor]).double().mean())
    names = [*space.names, *(model.slot_names[slot] for slot in left_over)]
    orders += [torch.arange(model.slots[slot].cardinality) for slot in left_over]
    states |= {slot.name: slot.states for slot in model.slots if slot.name in names[len(space) :]}
    return Naming(model.renamed(names, [*slots, *left_over], orders, states), wrong)


def _states(names: tuple[str, ...], values: Sequence[int]) -> tuple[str, ...]:
    """Names codes after the values they stand for; values come first, in increasing order."""
    known = [names[value] for value in values if value < len(names)]
    return (*known, *(f"spare {k}" for k in range(len(values) - len(known))))
