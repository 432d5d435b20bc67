"""Interventions: what ``do`` takes; values, shifts and randomised experiments."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol, TypeVar, runtime_checkable

import torch
from jaxtyping import Float, Int
from numpy.typing import ArrayLike
from torch import Tensor

from ctvae.errors import CodeError, InterventionError, MechanismError, ShapeError
from ctvae.mechanisms.local_law import LocalLaw, SwitchMechanism
from ctvae.mechanisms.table import TableMechanism
from ctvae.slots import SlotKey, SlotSpace

__all__ = ["Hard", "Intervention", "Key", "Shift", "Stochastic"]

Key = TypeVar("Key", bound=SlotKey)
"""How a mapping names slots. Mappings are invariant in their keys; ``dict[str, int]`` needs it."""


@runtime_checkable
class Intervention(Protocol):
    """Replaces the law of one slot by another one, and touches no other slot.

    A kind of intervention is a small immutable value that can check itself against a slot, say
    which slots it reads, and rewrite the slot's ``LocalLaw``; the engines need no more.
    """

    @property
    def num_worlds(self) -> int | None:
        """The number of worlds, where there is one per row; ``None`` for one world."""

    def checked(self, slots: SlotSpace, column: int, parents: tuple[int, ...]) -> Intervention:
        """Checks the intervention against a slot.

        Args:
            slots: The columns.
            column: The slot.
            parents: The columns of its natural parents.

        Returns:
            The intervention with its values as tensors of its own.
        """

    def reads(self, slots: SlotSpace, parents: tuple[int, ...]) -> tuple[int, ...]:
        """Gives the slots that the new law listens to.

        Args:
            slots: The columns.
            parents: The columns of the natural parents.

        Returns:
            Columns, increasing.
        """

    def rewrite(self, slots: SlotSpace, law: LocalLaw) -> LocalLaw:
        """Gives the slot's law in the intervened world.

        Args:
            slots: The columns.
            law: The natural law.

        Returns:
            The new law, on the device of the natural one.
        """


@dataclass(frozen=True, eq=False)
class Hard:
    """Sets a slot to a value and cuts it off from its parents.

    Attributes:
        value: A code, the name of one, or codes ``(batch,)`` for one world per row.

    Example:
        >>> print(Hard(5), Hard(torch.tensor([0, 1, 2])))
        5 <3 rows>
    """

    value: int | str | Int[Tensor, "*batch"]

    def __str__(self) -> str:
        if isinstance(self.value, str):
            return self.value
        worlds = self.num_worlds
        return str(int(self.value)) if worlds is None else f"<{worlds} rows>"

    @property
    def num_worlds(self) -> int | None:
        """The number of worlds, where there is one per row; ``None`` for one world."""
        return len(self.value) if isinstance(self.value, Tensor) and self.value.ndim else None

    def checked(self, slots: SlotSpace, column: int, parents: tuple[int, ...]) -> Hard:
        """Checks the value against the slot's codebook.

        Args:
            slots: The columns.
            column: The slot.
            parents: The columns of its natural parents.

        Returns:
            The same intervention; its int64 codes are a copy, so that later changes of the
            caller's tensor do not reach the model.

        Raises:
            InterventionError: When a value is no integer code of the slot, or has two axes.
        """
        del parents
        try:
            codes = slots.check_value(column, self.value)
        except (CodeError, ShapeError) as error:
            raise InterventionError(str(error)) from error
        if codes.ndim and not len(codes):
            msg = f"values of slot {slots.names[column]!r} must be () or (batch,), got no row"
            raise InterventionError(msg)
        return Hard(codes.detach().clone())

    def reads(self, slots: SlotSpace, parents: tuple[int, ...]) -> tuple[int, ...]:
        """Gives the slots that the new law listens to: none.

        Args:
            slots: The columns.
            parents: The columns of the natural parents.

        Returns:
            No column.
        """
        del slots, parents
        return ()

    def rewrite(self, slots: SlotSpace, law: LocalLaw) -> LocalLaw:
        """Cuts the parents and forces the value.

        Args:
            slots: The columns.
            law: The natural law.

        Returns:
            A law without parents.
        """
        del slots
        codes = torch.as_tensor(self.value, dtype=torch.long, device=law.mechanism.device)
        return LocalLaw((), law.mechanism, forced=codes, own_noise=False)


@dataclass(frozen=True, eq=False)
class Shift:
    r"""Moves a slot by a number of codes from where it would have been.

    .. math:: x = (x_{\text{natural}} + s) \bmod K \quad\text{or}\quad
        \min(\max(x_{\text{natural}} + s, 0), K - 1)

    The slot still listens to its parents: incoming influence is not cut.

    Attributes:
        amount: How far, in codes, of either sign; ``(batch,)`` for one world per row.
        wrap: Whether codes past one end come in at the other (a cyclic slot), or stop at the end.

    Example:
        >>> print(Shift(-1, wrap=False))
        Shift(-1, clipped)
    """

    amount: int | Int[Tensor, "*batch"]
    wrap: bool

    def __str__(self) -> str:
        worlds = self.num_worlds
        amount = f"{int(self.amount):+d}" if worlds is None else f"<{worlds} rows>"
        return f"Shift({amount}, {'wrapped' if self.wrap else 'clipped'})"

    @property
    def num_worlds(self) -> int | None:
        """The number of worlds, where there is one per row; ``None`` for one world."""
        return len(self.amount) if isinstance(self.amount, Tensor) and self.amount.ndim else None

    def checked(self, slots: SlotSpace, column: int, parents: tuple[int, ...]) -> Shift:
        """Checks the amount.

        Args:
            slots: The columns.
            column: The slot.
            parents: The columns of its natural parents.

        Returns:
            The intervention with its amount as an int64 tensor of its own.

        Raises:
            InterventionError: When the amount is no integer, or has two axes.
        """
        del parents
        where = f"Shift of slot {slots.names[column]!r}"
        try:
            amount = torch.as_tensor(self.amount)
        except (TypeError, ValueError, RuntimeError) as error:
            msg = f"{where} takes a whole number of codes, got {self.amount!r}"
            raise InterventionError(msg) from error
        if amount.dtype == torch.bool or amount.is_floating_point() or amount.is_complex():
            msg = f"{where} takes a whole number of codes, got {self.amount!r}"
            raise InterventionError(msg)
        if amount.ndim > 1 or not amount.numel():
            msg = f"{where} takes an amount () or (batch,), got shape {tuple(amount.shape)}"
            raise InterventionError(msg)
        if not isinstance(self.wrap, bool):
            msg = f"{where}: wrap must be True (cyclic) or False (clipped), got {self.wrap!r}"
            raise InterventionError(msg)
        return Shift(amount.detach().long().clone(), wrap=self.wrap)

    def reads(self, slots: SlotSpace, parents: tuple[int, ...]) -> tuple[int, ...]:
        """Gives the slots that the new law listens to: the natural parents.

        Args:
            slots: The columns.
            parents: The columns of the natural parents.

        Returns:
            The same columns.
        """
        del slots
        return parents

    def rewrite(self, slots: SlotSpace, law: LocalLaw) -> LocalLaw:
        """Reports another code than the one the mechanism gave.

        Args:
            slots: The columns.
            law: The natural law.

        Returns:
            The natural law with a response.
        """
        del slots
        size, device = law.mechanism.cardinality, law.mechanism.device
        amount = torch.as_tensor(self.amount, dtype=torch.long, device=device)
        kinds, regime = amount, None
        mechanism = law.mechanism
        if amount.ndim:
            kinds, regime = amount.unique(return_inverse=True)
            sizes = tuple(mechanism.parent_cardinalities)
            every = tuple(range(len(sizes)))
            mechanism = SwitchMechanism((mechanism,) * len(kinds), (every,) * len(kinds), sizes)
        moved = torch.arange(size, device=device) + kinds[..., None]
        response = moved.remainder(size) if self.wrap else moved.clamp(0, size - 1)
        return replace(law, mechanism=mechanism, response=response, regime=regime)


@dataclass(frozen=True, eq=False)
class Stochastic:
    """Draws a slot from a given law, whatever its parents: a randomised experiment.

    The draw is fresh: it has nothing to do with the unit's own noise.

    Attributes:
        probs: ``(codes,)`` probabilities; ``(batch, codes)`` for one world per row.

    Example:
        >>> print(Stochastic([0.5, 0.5]))
        Stochastic
    """

    probs: Float[Tensor, "*batch codes"] | ArrayLike

    def __str__(self) -> str:
        worlds = self.num_worlds
        return "Stochastic" if worlds is None else f"Stochastic(<{worlds} rows>)"

    @property
    def num_worlds(self) -> int | None:
        """The number of worlds, where there is one per row; ``None`` for one world."""
        return len(self.probs) if isinstance(self.probs, Tensor) and self.probs.ndim == 2 else None

    def checked(self, slots: SlotSpace, column: int, parents: tuple[int, ...]) -> Stochastic:
        """Checks the probabilities against the slot.

        Args:
            slots: The columns.
            column: The slot.
            parents: The columns of its natural parents.

        Returns:
            The intervention with its probabilities as a tensor of its own.

        Raises:
            InterventionError: When they are no law over the slot's codes.
        """
        del parents
        slot = slots[column]
        try:
            table = TableMechanism(self.probs).table()
        except MechanismError as error:
            msg = f"Stochastic of slot {slot.name!r}: {error}"
            raise InterventionError(msg) from error
        if table.ndim > 2 or table.shape[-1] != slot.cardinality:
            msg = (
                f"Stochastic of slot {slot.name!r} takes probabilities ({slot.cardinality},) or "
                f"(batch, {slot.cardinality}), got {tuple(table.shape)}"
            )
            raise InterventionError(msg)
        return Stochastic(table)

    def reads(self, slots: SlotSpace, parents: tuple[int, ...]) -> tuple[int, ...]:
        """Gives the slots that the new law listens to: none.

        Args:
            slots: The columns.
            parents: The columns of the natural parents.

        Returns:
            No column.
        """
        del slots, parents
        return ()

    def rewrite(self, slots: SlotSpace, law: LocalLaw) -> LocalLaw:
        """Replaces the law by one without parents.

        Args:
            slots: The columns.
            law: The natural law.

        Returns:
            The new law; where it differs from row to row, each row is a regime.
        """
        del slots
        device = law.mechanism.device
        table = TableMechanism(self.probs).to(device)
        rows = self.num_worlds
        regime = None if rows is None else torch.arange(rows, device=device)
        return LocalLaw((), table, regime=regime, own_noise=False)
