"""Slots: named finite random variables, the vocabulary that every layer shares."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import TypeAlias, overload

import torch
from jaxtyping import Int
from torch import Tensor

from ctvae.errors import (
    CodeError,
    ShapeError,
    UnknownSlotError,
    did_you_mean,
)

__all__ = ["Slot", "SlotKey", "SlotSpace"]

SlotKey: TypeAlias = int | str


@dataclass(frozen=True)
class Slot:
    """A named finite random variable with codes ``0 .. cardinality - 1``.

    Attributes:
        name: The slot's name, unique within a model.
        cardinality: The number of codes, at least 1.
        states: The names of the codes, one each, or none at all. ``do`` and ``given`` take a name
            where a code is expected.

    Raises:
        CodeError: When the name, the cardinality or the states are not what they should be.

    Example:
        >>> Slot("hue", 8)
        Slot(name='hue', cardinality=8)
        >>> Slot("smoke", 2, states=("yes", "no"))
        Slot(name='smoke', cardinality=2, states=('yes', 'no'))
    """

    name: str
    cardinality: int
    states: tuple[str, ...] = ()

    def __repr__(self) -> str:
        states = f", states={self.states!r}" if self.states else ""
        return f"Slot(name={self.name!r}, cardinality={self.cardinality!r}{states})"

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            msg = f"a slot's name must be a non-empty text, got {self.name!r}"
            raise CodeError(msg)
        if isinstance(self.cardinality, bool) or not isinstance(self.cardinality, int):
            msg = f"slot {self.name!r}: cardinality must be an integer, got {self.cardinality!r}"
            raise CodeError(msg)
        if self.cardinality < 1:
            msg = f"slot {self.name!r}: cardinality must be at least 1, got {self.cardinality}"
            raise CodeError(msg)
        if not isinstance(self.states, Iterable):
            msg = f"slot {self.name!r}: states must be texts, one per code, got {self.states!r}"
            raise CodeError(msg)
        object.__setattr__(self, "states", tuple(self.states))
        texts = all(isinstance(state, str) and state for state in self.states)
        named = texts and len(set(self.states)) == len(self.states) == self.cardinality
        if self.states and not named:
            msg = (
                f"slot {self.name!r}: states must be {self.cardinality} different non-empty texts, "
                f"one per code, got {self.states!r}"
            )
            raise CodeError(msg)


class SlotSpace(Sequence[Slot]):
    """An ordered set of slots: names <-> columns <-> codes, with range checks.

    Args:
        slots: The slots in column order; names must be unique.

    Raises:
        CodeError: When two slots share a name or an item is no ``Slot``.

    Example:
        >>> space = SlotSpace([Slot("shape", 3), Slot("hue", 8)])
        >>> space.index("hue"), space.cardinalities
        (1, (3, 8))
        >>> space.index("hu")
        Traceback (most recent call last):
        ...
        ctvae.errors.UnknownSlotError: slot 'hu' is not in this model (slots: shape, hue); did you mean 'hue'?
    """  # noqa: E501

    __slots__ = ("_position", "_slots")

    def __init__(self, slots: Iterable[Slot]) -> None:
        if not isinstance(slots, Iterable):
            msg = f"slots must be a list of Slot objects, got {slots!r}; write [ct.Slot('hue', 8)]"
            raise CodeError(msg)
        self._slots = tuple(slots)
        self._position: dict[str, int] = {}
        for column, slot in enumerate(self._slots):
            if not isinstance(slot, Slot):
                msg = f"slots must be Slot objects, got {slot!r}; write ct.Slot('hue', 8)"
                raise CodeError(msg)
            if slot.name in self._position:
                msg = f"two slots are named {slot.name!r}; names must be unique"
                raise CodeError(msg)
            self._position[slot.name] = column

    @classmethod
    def from_cardinalities(
        cls, cardinality: Mapping[str, int] | Sequence[int], *, prefix: str = "slot"
    ) -> SlotSpace:
        """Makes slots from their cardinalities.

        Args:
            cardinality: Name to cardinality, or cardinalities alone (names ``slot0, slot1, ...``).
            prefix: The prefix of generated names.

        Returns:
            The slot space, in the order given.

        Example:
            >>> SlotSpace.from_cardinalities([3, 8]).names
            ('slot0', 'slot1')
        """
        if isinstance(cardinality, Mapping):
            return cls(Slot(name, size) for name, size in cardinality.items())
        return cls(Slot(f"{prefix}{k}", size) for k, size in enumerate(cardinality))

    @overload
    def __getitem__(self, key: SlotKey) -> Slot: ...
    @overload
    def __getitem__(self, key: slice) -> Sequence[Slot]: ...
    def __getitem__(self, key: SlotKey | slice) -> Slot | Sequence[Slot]:
        if isinstance(key, slice):
            return self._slots[key]
        return self._slots[self.index(key)]

    def __contains__(self, item: object) -> bool:
        return item in (self._position if isinstance(item, str) else self._slots)

    def __len__(self) -> int:
        return len(self._slots)

    def __iter__(self) -> Iterator[Slot]:
        return iter(self._slots)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SlotSpace) and self._slots == other._slots

    def __hash__(self) -> int:
        return hash(self._slots)

    def __repr__(self) -> str:
        return "SlotSpace(" + ", ".join(f"{s.name}:{s.cardinality}" for s in self._slots) + ")"

    @property
    def names(self) -> tuple[str, ...]:
        """The names in column order."""
        return tuple(slot.name for slot in self._slots)

    @property
    def cardinalities(self) -> tuple[int, ...]:
        """The number of codes of each slot, in column order."""
        return tuple(slot.cardinality for slot in self._slots)

    def index(self, value: SlotKey, start: int = 0, stop: int | None = None) -> int:
        """Gives the column of a slot.

        Args:
            value: A name, or a column index in ``[0, slots)``.
            start: Unused; kept for the ``Sequence`` protocol.
            stop: Unused; kept for the ``Sequence`` protocol.

        Returns:
            The column in ``[0, slots)``.

        Raises:
            UnknownSlotError: When there is no such slot.
        """
        del start, stop
        if isinstance(value, str) and value in self._position:
            return self._position[value]
        integer = isinstance(value, Integral) and not isinstance(value, bool)
        if integer and 0 <= int(value) < len(self):
            return int(value)
        known = ", ".join(self.names)
        msg = f"slot {value!r} is not in this model (slots: {known})"
        if not isinstance(value, str):
            msg += f"; indices run from 0 to {len(self) - 1}"
        raise UnknownSlotError(msg + did_you_mean(value, self.names))

    def check_value(self, key: SlotKey, value: int | str | Tensor) -> Tensor:
        """Checks one slot's code or codes.

        Args:
            key: The slot.
            value: An integer, the name of a code where the slot has names, or an integer tensor of
                shape ``()`` or ``(batch,)``.

        Returns:
            The codes as an int64 tensor of shape ``()`` or ``(batch,)`` (on the tensor's device).

        Raises:
            CodeError: When a value is not an integer or lies outside the codebook.
            ShapeError: When a tensor has more than one axis.
        """
        slot = self[key]
        if isinstance(value, str):
            return torch.tensor(_code_of(slot, value))
        tensor = value if isinstance(value, Tensor) else _as_tensor(slot, value)
        if tensor.dtype == torch.bool or tensor.is_floating_point() or tensor.is_complex():
            msg = (
                f"slot {slot.name!r} takes integer codes 0..{slot.cardinality - 1}, "
                f"got {_describe(value)}; a slot is finite"
            )
            raise CodeError(msg)
        if tensor.is_meta:
            msg = f"codes of slot {slot.name!r} are on the device meta, which holds no codes"
            raise CodeError(msg)
        if tensor.ndim > 1:
            msg = f"values of slot {slot.name!r} must be () or (batch,), got {tuple(tensor.shape)}"
            raise ShapeError(msg)
        tensor = tensor.long()
        outside = (tensor < 0) | (tensor >= slot.cardinality)
        if bool(outside.any()):
            bad = int(tensor[outside].reshape(-1)[0])
            msg = (
                f"value {bad} is outside the codebook of slot {slot.name!r} "
                f"(codes 0..{slot.cardinality - 1})"
            )
            raise CodeError(msg)
        return tensor

    def check_codes(self, codes: Tensor) -> Int[Tensor, "*batch slots"]:
        """Checks rows of codes.

        Args:
            codes: Integer codes ``(*batch, slots)``, columns in slot order.

        Returns:
            The same codes as int64.

        Raises:
            ShapeError: When the last axis is not one column per slot.
            CodeError: When a code is not an integer of its slot's codebook.

        Cost: one pass over the codes.
        """
        if not isinstance(codes, Tensor):
            msg = f"codes must be an integer tensor (*batch, {len(self)}), got {_describe(codes)}"
            raise ShapeError(msg)
        if codes.ndim < 1 or codes.shape[-1] != len(self):
            msg = (
                f"codes must be (*batch, {len(self)}), one column per slot "
                f"({', '.join(self.names)}); got {tuple(codes.shape)}"
            )
            raise ShapeError(msg)
        if codes.dtype == torch.bool or codes.is_floating_point() or codes.is_complex():
            msg = f"codes must be integers, got dtype {codes.dtype}; a slot is finite"
            raise CodeError(msg)
        if codes.is_meta:
            msg = "the codes are on the device meta, which holds no codes"
            raise CodeError(msg)
        codes = codes.long()
        sizes = torch.tensor(self.cardinalities, device=codes.device)
        outside = (codes < 0) | (codes >= sizes)
        if bool(outside.any()):
            column = int(outside.reshape(-1, len(self)).any(0).nonzero()[0])
            slot = self._slots[column]
            bad = int(codes[..., column][outside[..., column]].reshape(-1)[0])
            msg = (
                f"value {bad} is outside the codebook of slot {slot.name!r} "
                f"(codes 0..{slot.cardinality - 1})"
            )
            raise CodeError(msg)
        return codes

    def to_dict(self, codes: Int[Tensor, "*batch slots"]) -> dict[str, Int[Tensor, "*batch"]]:
        """Splits rows of codes by name.

        Args:
            codes: Codes ``(*batch, slots)``.

        Returns:
            Name to codes ``(*batch,)``.

        Example:
            >>> space = SlotSpace.from_cardinalities({"shape": 3, "hue": 8})
            >>> space.to_dict(torch.tensor([[2, 5]]))["hue"].tolist()
            [5]
        """
        codes = self.check_codes(codes)
        return {name: codes[..., k] for k, name in enumerate(self.names)}


def _code_of(slot: Slot, state: str) -> int:
    if state not in slot.states:
        known = f"states: {', '.join(slot.states)}" if slot.states else "its codes have no names"
        msg = (
            f"slot {slot.name!r} has no state {state!r} ({known}); codes are "
            f"0..{slot.cardinality - 1}"
        )
        raise CodeError(msg + did_you_mean(state, slot.states))
    return slot.states.index(state)


def _as_tensor(slot: Slot, value: object) -> Tensor:
    try:
        return torch.as_tensor(value)
    except (TypeError, ValueError, RuntimeError) as error:
        msg = (
            f"slot {slot.name!r} takes integer codes 0..{slot.cardinality - 1}, "
            f"got {_describe(value)}"
        )
        raise CodeError(msg) from error


def _describe(value: object) -> str:
    if isinstance(value, Tensor):
        return f"a tensor of dtype {value.dtype} and shape {tuple(value.shape)}"
    return f"{value!r} ({type(value).__name__})"
