"""Interventions that give a slot another law, which may read other slots."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

from jaxtyping import Float, Int
from numpy.typing import ArrayLike
from torch import Tensor

from ctvae.errors import InterventionError, MechanismError
from ctvae.mechanisms.base import Mechanism, on_device
from ctvae.mechanisms.function import FunctionMechanism
from ctvae.mechanisms.local_law import LocalLaw
from ctvae.mechanisms.table import TableMechanism
from ctvae.slots import SlotKey, SlotSpace

__all__ = ["Conditional", "Soft"]


@dataclass(frozen=True, eq=False)
class Soft:
    """Replaces a slot's mechanism by another one; the unit keeps its noise.

    Attributes:
        law: A mechanism, or a table ``(*parents, codes)``, for the parents.
        parents: The slots that the new law reads, the axes of its table in this order; the natural
            parents, in column order, where ``None``. A mechanism that is no table reads them in
            column order.

    Example:
        >>> print(Soft([[0.9, 0.1], [0.5, 0.5]]))
        Soft
    """

    law: Mechanism | Float[Tensor, "*parents codes"] | ArrayLike
    parents: Sequence[SlotKey] | None = None

    def __str__(self) -> str:
        return "Soft"

    @property
    def num_worlds(self) -> int | None:
        """One world."""
        return None

    def checked(self, slots: SlotSpace, column: int, parents: tuple[int, ...]) -> Soft:
        """Checks the law against the slot and its parents.

        Args:
            slots: The columns.
            column: The slot.
            parents: The columns of its natural parents.

        Returns:
            The intervention with a mechanism whose parents stand in column order.

        Raises:
            InterventionError: When the law is none, or is not for these parents and codes.
        """
        listed = parents if self.parents is None else _columns(slots, column, self.parents)
        name = slots.names[column]
        if isinstance(self.law, type):
            msg = f"the new law of slot {name!r} is the class {self.law.__name__}; give one of it"
            raise InterventionError(msg)
        try:
            law = self._mechanism
        except MechanismError as error:
            msg = f"slot {name!r}: {error}"
            raise InterventionError(msg) from error
        order = sorted(range(len(listed)), key=lambda k: listed[k])
        if order != list(range(len(listed))):
            if not isinstance(law, TableMechanism) or len(law.parent_cardinalities) != len(listed):
                msg = (
                    f"slot {name!r}: a mechanism reads its parents in column order, so write "
                    f"parents={[slots.names[c] for c in sorted(listed)]}"
                )
                raise InterventionError(msg)
            law = TableMechanism(law.table().permute(*order, len(order)))
        needed = tuple(slots[c].cardinality for c in sorted(listed))
        if (tuple(law.parent_cardinalities), law.cardinality) != (
            needed,
            slots[column].cardinality,
        ):
            msg = (
                f"the new law of slot {name!r} is for parents "
                f"{tuple(law.parent_cardinalities)} and {law.cardinality} codes, expected {needed} "
                f"({', '.join(slots.names[c] for c in sorted(listed)) or 'no parents'}) and "
                f"{slots[column].cardinality}"
            )
            raise InterventionError(msg)
        return Soft(law, [slots.names[c] for c in sorted(listed)])

    def reads(self, slots: SlotSpace, parents: tuple[int, ...]) -> tuple[int, ...]:
        """Gives the slots that the new law listens to.

        Args:
            slots: The columns.
            parents: The columns of the natural parents.

        Returns:
            Columns, increasing.
        """
        return parents if self.parents is None else tuple(sorted(map(slots.index, self.parents)))

    def rewrite(self, slots: SlotSpace, law: LocalLaw) -> LocalLaw:
        """Replaces the mechanism.

        Args:
            slots: The columns.
            law: The natural law.

        Returns:
            The law of the new mechanism.
        """
        assert isinstance(self.law, Mechanism), "rewrite follows checked"
        mechanism = on_device(self.law, law.mechanism.device)
        return LocalLaw(self.reads(slots, law.parents), mechanism)

    @cached_property
    def _mechanism(self) -> Mechanism:
        """The law; a table is made once, so that doing the same again is the same law."""
        return self.law if isinstance(self.law, Mechanism) else TableMechanism(self.law)


@dataclass(frozen=True, eq=False)
class Conditional:
    """Sets a slot by a rule of other slots, and cuts it off from its natural parents.

    Attributes:
        rule: Takes one int64 tensor of codes per parent, in the order of ``parents``, and returns
            codes of the slot; tabulated once, on every row of parents. It sees codes, never their
            names. Or that table of codes.
        parents: The slots that the rule reads; not the slot itself, for which there is ``Shift``.

    Example:
        >>> print(Conditional(lambda shape: (shape + 1) % 3, parents=["shape"]))
        Conditional(shape)
    """

    rule: Callable[..., Tensor] | Int[Tensor, "*parents"] | FunctionMechanism
    parents: Sequence[SlotKey]

    def __str__(self) -> str:
        return f"Conditional({', '.join(map(str, self.parents))})"

    @property
    def num_worlds(self) -> int | None:
        """One world."""
        return None

    def checked(self, slots: SlotSpace, column: int, parents: tuple[int, ...]) -> Conditional:
        """Tabulates the rule.

        Args:
            slots: The columns.
            column: The slot.
            parents: The columns of its natural parents.

        Returns:
            The intervention with its rule as a mechanism, the parents in column order.

        Raises:
            InterventionError: When the rule fails or gives no codes of the slot.
        """
        del parents
        listed = _columns(slots, column, self.parents)
        name, order = slots.names[column], sorted(listed)
        names = [slots.names[c] for c in order]
        if isinstance(self.rule, FunctionMechanism):
            return Conditional(self.rule, names)
        rule = self.rule
        if isinstance(rule, Tensor):
            needed = tuple(slots[c].cardinality for c in listed)
            if tuple(rule.shape) != needed:
                msg = f"the rule of slot {name!r} is a table {tuple(rule.shape)}, expected {needed}"
                raise InterventionError(msg)
            rule = rule.cpu()

        def in_column_order(*grid: Tensor) -> Tensor:
            by_column = dict(zip(order, grid, strict=True))
            codes = [by_column[c] for c in listed]
            return rule[tuple(codes)] if isinstance(rule, Tensor) else rule(*codes)

        try:
            law = FunctionMechanism(
                in_column_order, slots[column].cardinality, [slots[c].cardinality for c in order]
            )
        except MechanismError as error:
            msg = f"the rule of slot {name!r}: {error}"
            raise InterventionError(msg) from error
        return Conditional(law, names)

    def reads(self, slots: SlotSpace, parents: tuple[int, ...]) -> tuple[int, ...]:
        """Gives the slots that the rule reads.

        Args:
            slots: The columns.
            parents: The columns of the natural parents.

        Returns:
            Columns, increasing.
        """
        del parents
        return tuple(sorted(map(slots.index, self.parents)))

    def rewrite(self, slots: SlotSpace, law: LocalLaw) -> LocalLaw:
        """Replaces the law by the rule.

        Args:
            slots: The columns.
            law: The natural law.

        Returns:
            A deterministic law.
        """
        assert isinstance(self.rule, FunctionMechanism), "rewrite follows checked"
        rule = on_device(self.rule, law.mechanism.device)
        return LocalLaw(self.reads(slots, law.parents), rule)


def _columns(slots: SlotSpace, column: int, keys: Sequence[SlotKey]) -> list[int]:
    """Finds the slots that an intervention reads, in the order listed."""
    if isinstance(keys, str) or not isinstance(keys, Sequence):
        msg = f"parents= takes a list of slots, got {keys!r}; write parents=[{keys!r}]"
        raise InterventionError(msg)
    found = [slots.index(key) for key in keys]
    name = slots.names[column]
    if len(set(found)) < len(found):
        msg = f"parents= of the intervention on {name!r} names a slot twice: {list(keys)}"
        raise InterventionError(msg)
    if column in found:
        msg = (
            f"the intervention on {name!r} reads {name!r} itself (cycle {name} -> {name}); "
            "to move a slot from its natural value use Shift"
        )
        raise InterventionError(msg)
    return found
