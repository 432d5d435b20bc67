"""What a conditional law of a slot must offer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from ctvae.errors import MechanismError
from ctvae.slots import SlotSpace

__all__ = ["Mechanism", "check_mechanisms"]


@runtime_checkable
class Mechanism(Protocol):
    """The law of one slot given its parents.

    Anything that can state its cardinalities and write itself as a table is a mechanism; the
    engines need no more. The parents' axes stand in the order of the slots' columns.
    """

    @property
    def cardinality(self) -> int:
        """The number of codes of the slot."""

    @property
    def parent_cardinalities(self) -> tuple[int, ...]:
        """The number of codes of each parent, in the order of the slots' columns."""

    def table(self) -> Float[Tensor, "*parents codes"]:
        """Writes the law as probabilities.

        Returns:
            ``(*parent_cardinalities, cardinality)``; the last axis sums to one.
        """

    def to(self, device: torch.device | str) -> Mechanism:
        """Moves the law.

        Args:
            device: Where to.

        Returns:
            The same law on the device.
        """


def check_mechanisms(
    slots: SlotSpace,
    parents_of: Callable[[str], tuple[str, ...]],
    mechanisms: Mapping[str, Mechanism],
) -> dict[str, Mechanism]:
    """Checks that every slot has a law, and that it fits the slot and its parents.

    Args:
        slots: The slots.
        parents_of: Slot name to the names of its parents, in column order.
        mechanisms: Slot name to law.

    Returns:
        The same laws in column order.

    Raises:
        MechanismError: When a law is missing, belongs to no slot, or has other cardinalities.
    """
    unknown = sorted(set(mechanisms) - set(slots.names))
    if unknown:
        msg = f"mechanisms for {unknown}, which are no slots ({', '.join(slots.names)})"
        raise MechanismError(msg)
    laws = {}
    for slot in slots:
        if slot.name not in mechanisms:
            given = ", ".join(sorted(mechanisms)) or "none"
            msg = f"slot {slot.name!r} has no mechanism (given: {given})"
            raise MechanismError(msg)
        law, parents = mechanisms[slot.name], parents_of(slot.name)
        sizes = tuple(slots[parent].cardinality for parent in parents)
        if (tuple(law.parent_cardinalities), law.cardinality) != (sizes, slot.cardinality):
            msg = (
                f"the mechanism of slot {slot.name!r} is for parents "
                f"{tuple(law.parent_cardinalities)} and {law.cardinality} codes; the graph needs "
                f"{sizes} ({', '.join(parents) or 'no parents'}, in column order) and "
                f"{slot.cardinality} codes"
            )
            raise MechanismError(msg)
        laws[slot.name] = law
    return laws
