"""Interventions of different kinds in different rows, on one linear batch axis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

from ctvae.errors import InterventionError
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

    def checked(self, slots: SlotSpace, column: int, parents: tuple[int, ...]) -> PerRow:
        """Checks every choice and the rows' picks.

        Args:
            slots: The columns.
            column: The slot.
            parents: The columns of its natural parents.

        Returns:
            The intervention with checked choices and an index of its own.

        Raises:
            InterventionError: When a choice is no intervention of one world, or a row picks none.
        """
        name = slots.names[column]
        if not isinstance(self.choices, Sequence) or isinstance(self.choices, str):
            msg = f"slot {name!r}: choices are a list of interventions, got {self.choices!r}"
            raise InterventionError(msg)
        choices: list[Intervention | None] = []
        for choice in self.choices:
            given = Hard(choice) if isinstance(choice, int | str | Tensor) else choice
            if given is not None and not isinstance(given, Intervention):
                msg = f"slot {name!r}: a choice is an intervention, a code or None, got {choice!r}"
                raise InterventionError(msg)
            if given is not None and given.num_worlds is not None:
                msg = f"slot {name!r}: each choice of PerRow is for one world, got {given}"
                raise InterventionError(msg)
            choices.append(None if given is None else given.checked(slots, column, parents))
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
        forced = [one.forced for one in laws if one.forced is not None]
        if len(forced) == len(laws):
            return LocalLaw((), law.mechanism, forced=torch.stack(forced)[index], own_noise=False)
        reads = self.reads(slots, law.parents)
        identity = torch.arange(size, device=device)
        mechanisms = [
            one.mechanism
            if one.forced is None
            else TableMechanism(torch.nn.functional.one_hot(one.forced, size).to(law.dtype))
            for one in laws
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
        Slot name to ``PerRow``; a slot that every row sets to a code, to ``Hard``.

    Raises:
        InterventionError: When there is no row, or one is no mapping or sets a slot twice.

    Example:
        >>> space = SlotSpace.from_cardinalities({"a": 2, "b": 3})
        >>> {name: str(law) for name, law in join_rows([{"a": 1}, {"b": 2}], space).items()}
        {'a': 'PerRow(None, 1: 2 rows)', 'b': 'PerRow(None, 2: 2 rows)'}

    Cost: one pass over the rows in Python; for many rows give tensors, or ``PerRow`` itself.
    """
    picks: dict[str, list[int]] = {}
    choices: dict[str, dict[object, int]] = {}
    if not rows or not all(isinstance(row, Mapping) for row in rows):
        msg = "do([...]) takes one mapping per row, such as [{'hue': 5}, {'shape': 2}, {}]"
        raise InterventionError(msg)
    for number, row in enumerate(rows):
        for key, what in row.items():
            name = slots.names[slots.index(key)]
            index = picks.setdefault(name, [0] * len(rows))
            known = choices.setdefault(name, {None: 0})
            if index[number]:
                msg = f"row {number} sets slot {name!r} twice, by name and by index"
                raise InterventionError(msg)
            if isinstance(what, Tensor):
                msg = f"row {number}, slot {name!r}: one code or intervention, got a tensor"
                raise InterventionError(msg)
            if not isinstance(what, int | str | Intervention):
                msg = f"row {number}, slot {name!r}: one code or intervention, got {what!r}"
                raise InterventionError(msg)
            index[number] = known.setdefault(what, len(known))
    return {
        name: PerRow(list(choices[name]), torch.tensor(picks[name]))  # type: ignore[arg-type]
        for name in picks
    }
