"""From the blocks of a BIF text to tables, with every check of what they say."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from ctvae.errors import GraphError, StateSpaceError, did_you_mean
from ctvae.interop.bif_blocks import Block, Row, Variable
from ctvae.interop.bif_scanner import Scanner
from ctvae.interop.parts import ModelParts, join_parts
from ctvae.mechanisms.base import TABLE_BUDGET
from ctvae.slots import Slot

__all__ = ["read_tables"]

SUM_TOLERANCE = 1e-6
"""How far a row may miss one: six decimals for each of three codes."""
SLACK = 1e-9
"""For the rounding of a sum that misses one by the tolerance itself, as three times 0.333333."""

Law = tuple[list[str], Float[Tensor, "*parents codes"]]


def read_tables(
    scanner: Scanner, variables: Mapping[str, Variable], blocks: Sequence[Block]
) -> ModelParts:
    """Makes the tables of all variables.

    Args:
        scanner: The text, for the lines of errors.
        variables: Name to variable.
        blocks: The probability blocks.

    Returns:
        The model.

    Raises:
        FormatError: When a name is unknown, a row is missing, repeated or no law, a variable has
            not one block, or the parents form a cycle.
        StateSpaceError: When a default row would fill a table of more entries than the budget.
    """
    laws: dict[str, Law] = {}
    places: dict[str, int] = {}
    for block in blocks:
        child, *parents = _names(scanner, block, variables)
        if child in laws:
            raise scanner.failure(f"a second probability block of {child!r}", block.at)
        if len({child, *parents}) <= len(parents):
            msg = f"{child!r} and its parents must be different, got {', '.join(parents)}"
            raise scanner.failure(msg, block.at)
        laws[child] = parents, _table(scanner, block, variables[child], parents, variables)
        places[child] = block.at
    for name, variable in variables.items():
        if name not in laws:
            msg = f"variable {name!r} has no probability block; is the file cut off?"
            raise scanner.failure(msg, variable.at)
    slots = [
        Slot(name, len(states), () if unnamed else states)
        for name, states, unnamed, _ in variables.values()
    ]
    try:
        return join_parts(slots, laws)
    except GraphError as error:
        cycle = _cycle(laws)
        msg = f"the parents form a cycle: {' -> '.join(cycle)}"
        raise scanner.failure(msg, places[cycle[0]]) from error


def _cycle(laws: Mapping[str, Law]) -> list[str]:
    """The first slot that is its own ancestor, and the way from it to itself."""
    for name in laws:
        child_of: dict[str, str] = {}
        queue = [name]
        while queue:
            child = queue.pop()
            fresh = [parent for parent in laws[child][0] if parent not in child_of]
            child_of.update(dict.fromkeys(fresh, child))
            queue.extend(fresh)
        if name in child_of:
            cycle = [name, child_of[name]]
            while cycle[-1] != name:
                cycle.append(child_of[cycle[-1]])
            return cycle
    return []


def _names(scanner: Scanner, block: Block, variables: Mapping[str, Variable]) -> Iterator[str]:
    """The child and its parents; names that only blanks part are several."""
    for group in block.names:
        whole = " ".join(word.text for word in group)
        for name in [whole] if whole in variables else [word.text for word in group]:
            if name not in variables:
                msg = f"variable {name!r} has no block; expected one of {', '.join(variables)}"
                raise scanner.failure(msg + did_you_mean(name, variables), group[0].at)
            yield name


def _table(
    scanner: Scanner,
    block: Block,
    child: Variable,
    parents: Sequence[str],
    variables: Mapping[str, Variable],
) -> Float[Tensor, "*parents codes"]:
    states = [variables[parent].states for parent in parents]
    shape = [len(own) for own in states]
    size = len(child.states)
    if block.table is not None:
        if block.rows or block.default is not None:
            at = (block.rows or [block.default or block.table])[0].at
            raise scanner.failure("expected a table or rows, got both", at)
        return _whole_table(scanner, block.table, shape, size)
    rows = _checked_rows(scanner, block, states, size)
    if block.default is None:
        for place, names in zip(_places(shape), itertools.product(*states), strict=True):
            if place not in rows:
                msg = (
                    f"{child.name!r} has {len(rows)} rows of {math.prod(shape)}; the first that is "
                    f"missing is ({', '.join(names)})"
                )
                raise scanner.failure(msg, block.at)
    elif math.prod(shape) * size > TABLE_BUDGET:
        entries = math.prod(shape) * size
        msg = f"the table of {child.name!r} needs {entries:.3g} entries (budget {TABLE_BUDGET:.3g})"
        raise StateSpaceError(str(scanner.failure(msg, block.at)), entries=entries)
    else:
        _check_row(scanner, block.default.numbers, size, block.default.at)
    fill = [] if block.default is None else block.default.numbers
    numbers = [rows.get(place, fill) for place in _places(shape)]
    return _normalised(torch.tensor(numbers, dtype=torch.float64)).reshape(*shape, size)


def _whole_table(
    scanner: Scanner, table: Row, shape: Sequence[int], size: int
) -> Float[Tensor, "*parents codes"]:
    expected = math.prod(shape) * size
    if len(table.numbers) != expected:
        msg = f"expected {expected} probabilities in this table, got {len(table.numbers)}"
        raise scanner.failure(msg, table.at)
    numbers = torch.tensor(table.numbers, dtype=torch.float64).reshape(size, -1).T
    for row in numbers.tolist():
        _check_row(scanner, row, size, table.at)
    return _normalised(numbers).reshape(*shape, size)


def _checked_rows(
    scanner: Scanner, block: Block, states: Sequence[Sequence[str]], size: int
) -> dict[tuple[int, ...], list[float]]:
    rows: dict[tuple[int, ...], list[float]] = {}
    for row in block.rows:
        place = _place(scanner, row, states)
        if place in rows:
            names = ", ".join(own[k] for own, k in zip(states, place, strict=True))
            raise scanner.failure(f"row ({names}) stands here a second time", row.at)
        _check_row(scanner, row.numbers, size, row.at)
        rows[place] = row.numbers
    return rows


def _place(scanner: Scanner, row: Row, states: Sequence[Sequence[str]]) -> tuple[int, ...]:
    names = [" ".join(word.text for word in group) for group in row.states]
    if len(names) == 1 < len(states):  # names apart by blanks alone
        names = [word.text for word in row.states[0]]
    if len(names) != len(states):
        msg = f"expected a state of each of {len(states)} parents, got ({', '.join(names)})"
        raise scanner.failure(msg, row.at)
    for name, own in zip(names, states, strict=True):
        if name not in own:
            msg = f"state {name!r} is unknown; expected one of {', '.join(own)}"
            raise scanner.failure(msg + did_you_mean(name, own), row.at)
    return tuple(own.index(name) for name, own in zip(names, states, strict=True))


def _check_row(scanner: Scanner, numbers: Sequence[float], size: int, at: int) -> None:
    if len(numbers) != size:
        raise scanner.failure(f"expected {size} probabilities, got {len(numbers)}", at)
    if min(numbers) < 0:
        raise scanner.failure(f"expected probabilities of at least 0, got {min(numbers)}", at)
    total = math.fsum(numbers)
    if abs(total - 1) > SUM_TOLERANCE + SLACK:
        msg = f"expected probabilities that sum to 1 within {SUM_TOLERANCE}, got {total:.9g}"
        raise scanner.failure(msg, at)


def _normalised(rows: Float[Tensor, "rows codes"]) -> Float[Tensor, "rows codes"]:
    """Divides the rows that miss one by more than half the tolerance; the table does the others."""
    sums = rows.sum(-1, keepdim=True)
    return torch.where((sums - 1).abs() > SUM_TOLERANCE / 2, rows / sums, rows)


def _places(shape: Sequence[int]) -> Iterator[tuple[int, ...]]:
    return itertools.product(*map(range, shape))
