"""How laws and interventions are written as tensors, and read again to the last bit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor

from ctvae.errors import FormatError
from ctvae.mechanisms.base import Mechanism
from ctvae.mechanisms.interventions import Hard, Intervention
from ctvae.mechanisms.table import TableMechanism
from ctvae.persistence import take
from ctvae.slots import SlotSpace

__all__ = ["laws_from_tensors", "laws_to_tensors"]

Shapes = dict[str, list[int]]


def laws_to_tensors(
    mechanisms: Mapping[str, Mechanism], interventions: Mapping[str, Intervention]
) -> tuple[dict[str, Tensor], Shapes]:
    """Writes every law as its table and every intervention as its values.

    Args:
        mechanisms: Slot name to law.
        interventions: Slot name to intervention.

    Returns:
        Tensors by name, and the shape of each intervention's values by slot name.

    Raises:
        FormatError: When an intervention is not ``Hard``.
    """
    tensors = {f"table.{name}": law.table() for name, law in mechanisms.items()}
    shapes: Shapes = {}
    for name, done in interventions.items():
        if not isinstance(done, Hard):
            msg = f"slot {name!r}: only Hard interventions can be saved, got {done!r}"
            raise FormatError(msg)
        tensors[f"do.{name}"] = torch.as_tensor(done.value)
        shapes[name] = list(tensors[f"do.{name}"].shape)
    return tensors, shapes


def laws_from_tensors(
    slots: SlotSpace,
    parents_of: Callable[[str], tuple[str, ...]],
    shapes: Shapes,
    tensors: Mapping[str, Tensor],
    where: str | Path,
) -> tuple[dict[str, Mechanism], dict[str, Hard]]:
    """Reads what ``laws_to_tensors`` wrote.

    Args:
        slots: The slots.
        parents_of: Slot name to the names of its parents, in column order.
        shapes: The shape of each intervention's values by slot name.
        tensors: Tensors by name.
        where: The folder, for the messages.

    Returns:
        Slot name to table, and what to do again.
    """
    mechanisms: dict[str, Mechanism] = {}
    for slot in slots:
        sizes = tuple(slots[name].cardinality for name in parents_of(slot.name))
        table = take(tensors, f"table.{slot.name}", (*sizes, slot.cardinality), where)
        mechanisms[slot.name] = TableMechanism(table)
    done = {
        name: Hard(take(tensors, f"do.{name}", tuple(shape), where))
        for name, shape in shapes.items()
    }
    return mechanisms, done
