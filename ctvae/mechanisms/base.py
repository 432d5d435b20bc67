"""What a conditional law of a slot must offer."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ctvae.errors import CodeError, MechanismError, ShapeError, StateSpaceError
from ctvae.slots import SlotSpace

__all__ = ["TABLE_BUDGET", "Mechanism", "check_mechanisms", "check_parents", "tabulate"]

TABLE_BUDGET = 2**26
"""The largest table that a mechanism writes unasked, in entries (512 MiB as float64)."""


@runtime_checkable
class Mechanism(Protocol):
    """The law of one slot given its parents.

    Anything that can state its cardinalities, evaluate its law at rows of parents and write itself
    as a table is a mechanism; the engines need no more. A law too large for a table raises
    ``StateSpaceError`` from ``table`` and is evaluated row by row. The parents stand in the order
    of the slots' columns. A mechanism does not change after a model was made from it.
    """

    @property
    def cardinality(self) -> int:
        """The number of codes of the slot."""

    @property
    def parent_cardinalities(self) -> tuple[int, ...]:
        """The number of codes of each parent, in the order of the slots' columns."""

    @property
    def device(self) -> torch.device:
        """Where the law is evaluated, and its parents' codes are expected."""

    def table(self) -> Float[Tensor, "*parents codes"]:
        """Writes the law as probabilities.

        Returns:
            ``(*parent_cardinalities, cardinality)``; the last axis sums to one.
        """

    def log_probs(self, parents: Int[Tensor, "*batch parents"]) -> Float[Tensor, "*batch codes"]:
        """Evaluates the law at rows of parents.

        Args:
            parents: The parents' codes; ``(*batch, 0)`` where there is no parent.

        Returns:
            Nats; ``-inf`` for a code of probability zero.
        """

    def to(self, device: torch.device | str) -> Mechanism:
        """Moves the law.

        Args:
            device: Where to.

        Returns:
            The same law on the device.
        """


def on_device(mechanism: Mechanism, device: torch.device) -> Mechanism:
    """Moves a law only where it has to be moved: a law that stays is the same law.

    Args:
        mechanism: The law.
        device: Where to.

    Returns:
        The law itself where it is there already.
    """
    return mechanism if mechanism.device == device else mechanism.to(device)


def tabulate(
    mechanism: Mechanism, *, budget: int = TABLE_BUDGET
) -> Float[Tensor, "*parents codes"]:
    """Writes a law as a table by evaluating it at every row of parents.

    For mechanisms that have no table of their own: their ``table`` calls this.

    Args:
        mechanism: The law.
        budget: The largest table allowed, in entries.

    Returns:
        ``(*parents, codes)`` probabilities.

    Raises:
        StateSpaceError: When the table would exceed the budget.

    Cost: O(rows * codes) memory, one batched evaluation.
    """
    sizes, codes = tuple(mechanism.parent_cardinalities), mechanism.cardinality
    entries = math.prod(sizes) * codes
    if entries > budget:
        msg = (
            f"the table of {codes} codes given {len(sizes)} parents has {entries:.3g} entries "
            f"(budget {budget:.3g}); sample() and log_prob() need no table, exact queries do: "
            "give the slot fewer parents, or draw samples with estimate()"
        )
        raise StateSpaceError(msg, entries=entries)
    rows = torch.cartesian_prod(*(torch.arange(size, device=mechanism.device) for size in sizes))
    if not sizes:
        rows = torch.empty((1, 0), dtype=torch.long, device=mechanism.device)
    table = mechanism.log_probs(rows.reshape(-1, len(sizes))).exp()
    return table.reshape(*sizes, codes)


def check_parents(
    parents: Int[Tensor, "*batch parents"], cardinalities: Sequence[int]
) -> Int[Tensor, "*batch parents"]:
    """Checks rows of parents' codes, which would else be read as rows of a table that are not.

    Args:
        parents: The parents' codes.
        cardinalities: The number of codes of each parent.

    Returns:
        The same codes.

    Raises:
        ShapeError: When the last axis is not one column per parent.
        CodeError: When a code is no integer of its parent's codebook.

    Cost: one pass over the codes.
    """
    sizes = tuple(cardinalities)
    if not isinstance(parents, Tensor) or not parents.ndim or parents.shape[-1] != len(sizes):
        got = tuple(parents.shape) if isinstance(parents, Tensor) else repr(parents)
        msg = f"parents must be (*batch, {len(sizes)}), got {got}"
        raise ShapeError(msg)
    if parents.dtype == torch.bool or parents.is_floating_point() or parents.is_complex():
        msg = f"parents' codes must be integers, got dtype {parents.dtype}; a slot is finite"
        raise CodeError(msg)
    outside = (parents < 0) | (parents >= torch.tensor(sizes, device=parents.device))
    if bool(outside.any()):
        column = int(outside.reshape(-1, len(sizes)).any(0).nonzero()[0])
        bad = int(parents[..., column][outside[..., column]].reshape(-1)[0])
        msg = (
            f"value {bad} is outside the codebook of parent {column} (codes 0..{sizes[column] - 1})"
        )
        raise CodeError(msg)
    return parents


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
        MechanismError: When a law is missing, belongs to no slot, has other cardinalities, or is
            not on the device of the others.
    """
    if not isinstance(mechanisms, Mapping):
        msg = f"mechanisms are a mapping of slot names to laws, got {mechanisms!r}"
        raise MechanismError(msg)
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
        if not isinstance(law, Mechanism) or isinstance(law, type):
            msg = (
                f"the mechanism of slot {slot.name!r} is a {type(law).__name__}; write "
                "ct.TableMechanism(probabilities), or another law"
            )
            raise MechanismError(msg)
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
    devices = {str(law.device): name for name, law in laws.items()}
    if len(devices) > 1:
        found = ", ".join(f"{name!r} on {device}" for device, name in sorted(devices.items()))
        msg = f"all mechanisms must be on one device, got {found}; move them with .to(device)"
        raise MechanismError(msg)
    return laws
