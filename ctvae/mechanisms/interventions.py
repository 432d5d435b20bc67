"""Interventions: what ``do`` takes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeVar, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ctvae.errors import CodeError, InterventionError, ShapeError
from ctvae.slots import SlotKey, SlotSpace

__all__ = ["Hard", "Intervention", "Key", "LocalLaw", "merge_interventions"]

Key = TypeVar("Key", bound=SlotKey)
"""How a mapping names slots. Mappings are invariant in their keys; ``dict[str, int]`` needs it."""


class LocalLaw(NamedTuple):
    """How one slot comes by its code in one world.

    Attributes:
        parents: The columns of its parents, increasing; none where the code is forced.
        table: ``(*parents, codes)`` probabilities; the natural table where the code is forced.
        forced: The forced codes, ``()`` or ``(batch,)``; ``None`` where the table decides.
    """

    parents: tuple[int, ...]
    table: Float[Tensor, "*parents codes"]
    forced: Int[Tensor, "*batch"] | None = None


@runtime_checkable
class Intervention(Protocol):
    """Replaces the law of one slot by another one, and touches no other slot.

    A kind of intervention is a small immutable value that can check itself against a slot and
    rewrite that slot's ``LocalLaw``; the engines need no more.
    """

    @property
    def num_worlds(self) -> int | None:
        """The number of worlds, where there is one per row; ``None`` for one world."""

    def checked(self, slots: SlotSpace, column: int) -> Intervention:
        """Checks the intervention against a slot.

        Args:
            slots: The columns.
            column: The slot.

        Returns:
            The intervention with its values as tensors of its own.
        """

    def rewrite(self, law: LocalLaw) -> LocalLaw:
        """Gives the slot's law in the intervened world.

        Args:
            law: The natural law.

        Returns:
            The new law, on the device of the natural one.
        """


@dataclass(frozen=True, eq=False)
class Hard:
    """Sets a slot to a value and cuts it off from its parents.

    Attributes:
        value: A code, or codes ``(batch,)`` for one world per row.

    Example:
        >>> print(Hard(5), Hard(torch.tensor([0, 1, 2])))
        5 <3 rows>
    """

    value: int | Int[Tensor, "*batch"]

    def __str__(self) -> str:
        worlds = self.num_worlds
        return str(int(self.value)) if worlds is None else f"<{worlds} rows>"

    @property
    def num_worlds(self) -> int | None:
        """The number of worlds, where there is one per row; ``None`` for one world."""
        return len(self.value) if isinstance(self.value, Tensor) and self.value.ndim else None

    def checked(self, slots: SlotSpace, column: int) -> Hard:
        """Checks the value against the slot's codebook.

        Args:
            slots: The columns.
            column: The slot.

        Returns:
            The same intervention; its int64 codes are a copy, so that later changes of the
            caller's tensor do not reach the model.

        Raises:
            InterventionError: When a value is no integer code of the slot, or has two axes.
        """
        try:
            codes = slots.check_value(column, self.value)
        except (CodeError, ShapeError) as error:
            raise InterventionError(str(error)) from error
        return Hard(codes.detach().clone())

    def rewrite(self, law: LocalLaw) -> LocalLaw:
        """Cuts the parents and forces the value.

        Args:
            law: The natural law.

        Returns:
            A law without parents.
        """
        codes = torch.as_tensor(self.value, dtype=torch.long, device=law.table.device)
        return LocalLaw((), law.table, codes)


def merge_interventions(
    slots: SlotSpace,
    earlier: Mapping[str, Intervention],
    interventions: Mapping[Key, int | Tensor | Intervention] | None,
    *,
    slot: SlotKey | None = None,
    value: int | Tensor | Intervention | None = None,
) -> dict[str, Intervention]:
    """Adds the interventions of one ``do`` to those of earlier ones.

    Args:
        slots: The columns.
        earlier: Name to intervention; replaced where the same slot is done again.
        interventions: Slot to code, codes ``(batch,)`` or intervention; or ``None``, with
        slot: one slot and
        value: its code, codes or intervention.

    Returns:
        Name to checked intervention, in column order.

    Raises:
        InterventionError: When both or neither form is used, a slot is set twice, a value does
            not fit its slot, or values per row differ in length.

    Example:
        >>> slots = SlotSpace.from_cardinalities({"shape": 3, "hue": 8})
        >>> done = merge_interventions(slots, {"shape": Hard(2)}, {"hue": 5})
        >>> {name: str(hard) for name, hard in done.items()}
        {'shape': '2', 'hue': '5'}
    """
    asked: Iterable[tuple[SlotKey, int | Tensor | Intervention]]
    if interventions is None and slot is not None and value is not None:
        asked = [(slot, value)]
    elif not isinstance(interventions, Mapping) or slot is not None or value is not None:
        msg = "say either slot= and value=, or a mapping such as {'hue': 5}"
        raise InterventionError(msg)
    else:
        asked = interventions.items()
    merged, seen = dict(earlier), set[int]()
    for key, what in asked:
        column = slots.index(key)
        if column in seen:
            msg = f"slot {slots.names[column]!r} is set twice, by name and by index"
            raise InterventionError(msg)
        seen.add(column)
        law = what if isinstance(what, Intervention) else Hard(what)
        merged[slots.names[column]] = law.checked(slots, column)
    worlds = {name: law.num_worlds for name, law in merged.items() if law.num_worlds is not None}
    if len(set(worlds.values())) > 1:
        found = ", ".join(f"{name}: {count}" for name, count in sorted(worlds.items()))
        msg = f"values per row must have one length, got {found}; earlier do(...) values count too"
        raise InterventionError(msg)
    return {name: merged[name] for name in slots.names if name in merged}
