"""How the interventions of one ``do`` join those of earlier ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from graphlib import CycleError, TopologicalSorter
from typing import TypeAlias

import torch
from torch import Tensor

from ctvae.errors import InterventionError
from ctvae.mechanisms.interventions import Hard, Intervention, Key
from ctvae.mechanisms.per_row import PerRow, join_rows
from ctvae.slots import SlotKey, SlotSpace

__all__ = ["Done", "merge_interventions"]

Done: TypeAlias = "int | str | Tensor | Intervention"
"""What a slot is set to: a code, its name, codes ``(batch,)``, or an intervention."""


def merge_interventions(
    slots: SlotSpace,
    parents: Sequence[tuple[int, ...]],
    earlier: Mapping[str, Intervention],
    interventions: Mapping[Key, Done] | Sequence[Mapping[Key, Done]] | None,
    *,
    slot: SlotKey | None = None,
    value: Done | None = None,
) -> dict[str, Intervention]:
    """Adds the interventions of one ``do`` to those of earlier ones.

    Args:
        slots: The columns.
        parents: The natural parents of each column.
        earlier: Name to intervention; replaced where the same slot is done again.
        interventions: Slot to what is done, or one such mapping per row; or ``None``, with
        slot: one slot and
        value: what is done to it.

    Returns:
        Name to checked intervention, in column order.

    Raises:
        InterventionError: When both or neither form is used, a slot is set twice, a value does
            not fit its slot, rules make a cycle, or numbers of rows differ.

    Example:
        >>> slots = SlotSpace.from_cardinalities({"shape": 3, "hue": 8})
        >>> done = merge_interventions(slots, [(), (0,)], {"shape": Hard(2)}, {"hue": 5})
        >>> {name: str(hard) for name, hard in done.items()}
        {'shape': '2', 'hue': '5'}
    """
    merged, seen = dict(earlier), set[int]()
    for key, what in _asked(slots, interventions, slot, value):
        column = slots.index(key)
        name = slots.names[column]
        if column in seen:
            msg = f"slot {name!r} is set twice, by name and by index"
            raise InterventionError(msg)
        seen.add(column)
        if isinstance(what, type):
            msg = (
                f"slot {name!r}: an intervention or codes, got the class {what.__name__}; make one "
                f"of it, {what.__name__}(...)"
            )
            raise InterventionError(msg)
        if callable(what) and not isinstance(what, Intervention):
            msg = f"slot {name!r}: for a rule write Conditional(rule, parents=[...]), got {what!r}"
            raise InterventionError(msg)
        law = what if isinstance(what, Intervention) else Hard(what)
        law = law.checked(slots, column, parents[column])
        if _changes_nothing(law) and law.num_worlds in {e.num_worlds for e in earlier.values()}:
            continue
        if isinstance(law, PerRow) and None in law.choices and name in earlier:
            law = _keep_earlier(name, law, earlier[name]).checked(slots, column, parents[column])
        merged[name] = law
    worlds = {name: law.num_worlds for name, law in merged.items() if law.num_worlds is not None}
    if len(set(worlds.values())) > 1:
        found = ", ".join(f"{name}: {count}" for name, count in sorted(worlds.items()))
        msg = f"values per row must have one length, got {found}; earlier do(...) values count too"
        raise InterventionError(msg)
    done = {name: merged[name] for name in slots.names if name in merged}
    _check_acyclic(slots, parents, done)
    return done


def _asked(
    slots: SlotSpace,
    interventions: Mapping[Key, Done] | Sequence[Mapping[Key, Done]] | None,
    slot: SlotKey | None,
    value: Done | None,
) -> Iterable[tuple[SlotKey, Done]]:
    one = slot is not None and value is not None
    if interventions is None and one:
        assert slot is not None
        assert value is not None
        return [(slot, value)]
    if slot is None and value is None:
        if isinstance(interventions, Mapping):
            return interventions.items()
        if isinstance(interventions, list | tuple):
            return join_rows(interventions, slots).items()
    msg = (
        "say either slot= and value=, or a mapping such as {'hue': 5}, or one mapping per row "
        "such as [{'hue': 5}, {'shape': 2}]"
    )
    raise InterventionError(msg)


def _changes_nothing(law: Intervention) -> bool:
    return isinstance(law, PerRow) and all(choice is None for choice in law.choices)


def _keep_earlier(name: str, law: PerRow, earlier: Intervention) -> PerRow:
    """Rows that are not done again keep what was done to them."""
    if earlier.num_worlds is None:
        return replace(law, choices=[earlier if c is None else c for c in law.choices])
    if isinstance(earlier, Hard):
        codes, place = torch.as_tensor(earlier.value).unique(return_inverse=True)
        earlier = PerRow([Hard(code) for code in codes], place)
    if not isinstance(earlier, PerRow) or earlier.num_worlds != law.num_worlds:
        msg = (
            f"slot {name!r} was done per row before ({earlier}), and this do() leaves some rows "
            "out; give every row what it should have"
        )
        raise InterventionError(msg)
    left_out = torch.tensor([choice is None for choice in law.choices])[law.index.cpu()]
    index = torch.where(left_out, earlier.index.cpu() + len(law.choices), law.index.cpu())
    return PerRow([*law.choices, *earlier.choices], index)


def _check_acyclic(
    slots: SlotSpace, parents: Sequence[tuple[int, ...]], done: Mapping[str, Intervention]
) -> None:
    reads = {
        column: done[name].reads(slots, parents[column]) if name in done else parents[column]
        for column, name in enumerate(slots.names)
    }
    try:
        TopologicalSorter(reads).prepare()
    except CycleError as error:
        cycle = " -> ".join(slots.names[column] for column in error.args[1])
        msg = f"these interventions make a cycle: {cycle}; a rule reads only slots it cannot reach"
        raise InterventionError(msg) from error
