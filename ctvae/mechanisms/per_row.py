"""Interventions of different kinds in different rows, on one linear batch axis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral

import torch
from jaxtyping import Int
from torch import Tensor

from ctvae.errors import CodeError, InterventionError, ShapeError
from ctvae.mechanisms.interventions import Hard, Intervention
from ctvae.mechanisms.local_law import LocalLaw, SwitchMechanism
from ctvae.mechanisms.table import TableMechanism
from ctvae.slots import SlotKey, SlotSpace

__all__ = ["PerRow", "join_rows"]


@dataclass(frozen=True, eq=False)
class PerRow:
    """Picks for each row one of several interventions on a slot, or none.

    Attributes:
        choices: Interventions, codes, or ``None`` for the natural law; each for one world.
        index: ``(batch,)``, which choice each row takes.

    Example:
        >>> print(PerRow([None, 3], torch.tensor([0, 1, 1])))
        PerRow(None, 3: 3 rows)

    Source: the regime indicator F_X of Dawid (2002), Influence diagrams for causal modelling.
    """

    choices: Sequence[Intervention | int | str | None]
    index: Int[Tensor, " batch"]

    def __str__(self) -> str:
        return f"PerRow({', '.join(map(str, self.choices))}: {self.num_worlds} rows)"

    @property
    def num_worlds(self) -> int:
        """The number of worlds."""
        return len(self.index)

    def checked(self, slots: SlotSpace, column: int, parents: tuple[int, ...]) -> PerRow | Hard:
        """Checks every choice and the rows' picks.

        Args:
            slots: The columns.
            column: The slot.
            parents: The columns of its natural parents.

        Returns:
            The intervention with the choices that a row picks, checked, and an index of its own;
            ``Hard`` where every row picks a code.

        Raises:
            InterventionError: When a choice is no intervention of one world, or a row picks none.
        """
        name = slots.names[column]
        if not isinstance(self.choices, Sequence) or isinstance(self.choices, str):
            msg = f"slot {name!r}: choices are a list of interventions, got {self.choices!r}"
            raise InterventionError(msg)
        choices: list[Intervention | None] = []
        for choice in self.choices:
            given = Hard(choice) if isinstance(choice, Integral | str | Tensor) else choice
            if given is None:
                choices.append(None)
                continue
            if not isinstance(given, Intervention) or isinstance(given, type):
                msg = f"slot {name!r}: a choice is an intervention, a code or None, got {choice!r}"
                raise InterventionError(msg)
            own = given.checked(slots, column, parents)
            if own.num_worlds is not None:
                msg = f"slot {name!r}: each choice of PerRow is for one world, got {own}"
                raise InterventionError(msg)
            choices.append(own)
        index = self.index
        if not isinstance(index, Tensor) or index.ndim != 1:
            msg = f"slot {name!r}: index= takes integers (batch,), got {index!r}"
            raise InterventionError(msg)
        if index.dtype == torch.bool or index.is_floating_point() or index.is_complex():
            msg = f"slot {name!r}: index= takes integers (batch,), got dtype {index.dtype}"
            raise InterventionError(msg)
        index = index.long().clone()
        if not len(index) or not choices or not bool(((index >= 0) & (index < len(choices))).all()):
            msg = (
                f"slot {name!r}: index= takes for each row one of the {len(choices)} choices, got "
                f"{len(index)} rows"
                + (f" from {int(index.min())} to {int(index.max())}" if len(index) else "")
            )
            raise InterventionError(msg)
        picked, index = index.unique(return_inverse=True)
        choices = [choices[k] for k in picked.tolist()]
        if all(isinstance(choice, Hard) for choice in choices):
            codes = torch.stack([torch.as_tensor(c.value) for c in choices if isinstance(c, Hard)])
            return Hard(codes.to(index.device)[index])
        return PerRow(choices, index)

    def reads(self, slots: SlotSpace, parents: tuple[int, ...]) -> tuple[int, ...]:
        """Gives the slots that the law listens to in any row.

        Args:
            slots: The columns.
            parents: The columns of the natural parents.

        Returns:
            Columns, increasing.
        """
        found = set[int]()
        for choice in self._laws():
            found.update(parents if choice is None else choice.reads(slots, parents))
        return tuple(sorted(found))

    def rewrite(self, slots: SlotSpace, law: LocalLaw) -> LocalLaw:
        """Gives the law in which the rows' regimes pick.

        Args:
            slots: The columns.
            law: The natural law.

        Returns:
            The law, with a regime.
        """
        size, device = law.mechanism.cardinality, law.mechanism.device
        index = self.index.to(device)
        laws = [law if c is None else c.rewrite(slots, law) for c in self._laws()]
        reads = self.reads(slots, law.parents)
        identity = torch.arange(size, device=device)
        mechanisms = [
            one.mechanism if one.forced is None else TableMechanism(one.table) for one in laws
        ]
        responses = [identity if one.response is None else one.response for one in laws]
        switch = SwitchMechanism(
            tuple(mechanisms),
            tuple(tuple(map(reads.index, one.parents)) for one in laws),
            tuple(slots[parent].cardinality for parent in reads),
        )
        shifted = any(one.response is not None for one in laws)
        return LocalLaw(
            reads,
            switch,
            regime=index,
            response=torch.stack(responses) if shifted else None,
            own_noise=torch.tensor([bool(one.own_noise) for one in laws], device=device),
        )

    def _laws(self) -> list[Intervention | None]:
        laws = [choice for choice in self.choices if not isinstance(choice, int | str)]
        assert len(laws) == len(self.choices), "rewrite follows checked"
        return laws


def join_rows(
    rows: Sequence[Mapping[SlotKey, int | str | Intervention]], slots: SlotSpace
) -> dict[SlotKey, Intervention]:
    """Turns one mapping of interventions per row into one intervention per slot.

    Args:
        rows: For each row what is done there; an empty mapping for a row left alone.
        slots: The columns.

    Returns:
        Slot name to ``PerRow``.

    Raises:
        InterventionError: When there is no row, or one is no mapping or sets a slot twice.

    Example:
        >>> space = SlotSpace.from_cardinalities({"a": 2, "b": 3})
        >>> {name: str(law) for name, law in join_rows([{"a": 1}, {"b": 2}], space).items()}
        {'a': 'PerRow(None, 1: 2 rows)', 'b': 'PerRow(None, 2: 2 rows)'}

    Cost: one pass over the rows in Python; for many rows give tensors, or ``PerRow`` itself.
    """
    picks: dict[str, list[int]] = {}
    choices: dict[str, list[Intervention | int | str | None]] = {}
    places: dict[str, dict[object, int]] = {}  # of codes, and of interventions by identity
    if not rows or not all(isinstance(row, Mapping) for row in rows):
        msg = "do([...]) takes one mapping per row, such as [{'hue': 5}, {'shape': 2}, {}]"
        raise InterventionError(msg)
    for number, row in enumerate(rows):
        for key, what in row.items():
            name = slots.names[slots.index(key)]
            index = picks.setdefault(name, [0] * len(rows))
            known, found = places.setdefault(name, {}), choices.setdefault(name, [None])
            if index[number]:
                msg = f"row {number} sets slot {name!r} twice, by name and by index"
                raise InterventionError(msg)
            if isinstance(what, type):
                msg = f"row {number}, slot {name!r}: an intervention, got the class {what.__name__}"
                raise InterventionError(msg)
            if isinstance(what, Intervention):
                mark: object = ("intervention", id(what))
            else:
                seen_before = type(what) is int and what in known
                mark = what = what if seen_before else _code(slots, name, number, what)
            if mark not in known:
                known[mark] = len(found)
                found.append(what)
            index[number] = known[mark]
    if not picks:  # one world per row all the same
        first = slots.names[0]
        picks[first], choices[first] = [0] * len(rows), [None]
    return {name: PerRow(choices[name], torch.tensor(picks[name])) for name in picks}


def _code(slots: SlotSpace, name: str, row: int, what: object) -> int:
    """Checks a code, so that equal ones are one choice whatever their type."""
    try:
        code = slots.check_value(name, what)  # type: ignore[arg-type]
    except (CodeError, ShapeError) as error:
        msg = f"row {row}: {error}"
        raise InterventionError(msg) from error
    if code.ndim:
        msg = f"row {row}, slot {name!r}: one code or intervention, got {what!r}"
        raise InterventionError(msg)
    return int(code)
