"""What an exact answer must multiply: found from the graph alone, once per structure."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from ctvae.inference.contraction import BATCH, Cost, Plan, plan
from ctvae.mechanisms.program import Program

__all__ = ["Factor", "Part", "Question", "Structure", "prepare", "structure_of"]


class Structure(NamedTuple):
    """All of a program that decides how a question is answered, but no number.

    Attributes:
        sizes: The number of codes of each column.
        parents: The parents of each column in this world.
        forced: Column and whether its forced codes differ from row to row.
        regimes: The columns whose law differs from row to row.
        batch: The number of rows, where there are any.
    """

    sizes: tuple[int, ...]
    parents: tuple[tuple[int, ...], ...]
    forced: tuple[tuple[int, bool], ...]
    regimes: frozenset[int]
    batch: int | None


class Factor(NamedTuple):
    """One column's table, read at what is known.

    Attributes:
        column: Whose law it is.
        order: The table's axes, those that are known first.
        known: The columns read, in that order; ``BATCH`` for the regime.
        axes: The axes that stay, ``BATCH`` first where rows differ.
    """

    column: int
    order: tuple[int, ...]
    known: tuple[int, ...]
    axes: tuple[int, ...]


class Part(NamedTuple):
    """Factors that hang together once evidence is read: what evidence d-connects.

    Attributes:
        factors: Them.
        indicators: Columns asked for whose code is known, as tables of one row.
        output: The axes of the result.
        plan: How they are multiplied and summed.
    """

    factors: tuple[Factor, ...]
    indicators: tuple[tuple[int, tuple[int, ...]], ...]
    output: tuple[int, ...]
    plan: Plan | None


class Question(NamedTuple):
    """A question, prepared.

    Attributes:
        main: What the slots asked for hang together with.
        loose: Parts that the evidence cuts off: they matter only where evidence may be impossible.
        constants: Factors that evidence reads entirely.
        agreements: Observed columns that are forced.
        missing: Causes and slots asked for that no table joins to the rest.
    """

    main: Part
    loose: tuple[Part, ...]
    constants: tuple[Factor, ...]
    agreements: tuple[int, ...]
    missing: tuple[int, ...]

    @property
    def cost(self) -> Cost:
        """What the answer costs."""
        plans = [part.plan for part in (self.main, *self.loose) if part.plan is not None]
        return Cost(
            max((p.cost.entries for p in plans), default=1), sum(p.cost.operations for p in plans)
        )


def structure_of(program: Program) -> Structure:
    """Takes the structure of a program.

    Args:
        program: The world.

    Returns:
        Its structure.
    """
    laws = enumerate(program.laws)
    return Structure(
        program.slots.cardinalities,
        program.parents,
        tuple((column, codes.ndim > 0) for column, codes in sorted(program.forced.items())),
        frozenset(column for column, law in laws if law.regime is not None),
        program.batch,
    )


@lru_cache(maxsize=4096)
def prepare(
    structure: Structure,
    targets: tuple[int, ...],
    causes: tuple[int, ...],
    given: tuple[tuple[int, bool], ...],
    batch: int | None,
) -> Question:
    """Prunes a question to the tables that matter, and searches their order.

    Slots that cause neither the targets nor the evidence are dropped; known codes are read off the
    tables, which cuts the rest into the parts that the evidence d-connects.

    Args:
        structure: The world.
        targets: Columns asked for.
        causes: Columns set to each of their codes, whose axes stay: they have no parents.
        given: Observed columns, and whether their codes differ from row to row.
        batch: The number of rows, where there are any.

    Returns:
        The question; prepared once for equal arguments and kept.
    """
    forced = {column: differs for column, differs in structure.forced if column not in causes}
    rows = {**dict(given), **forced}
    free_parents = [() if c in causes else p for c, p in enumerate(structure.parents)]
    relevant = _ancestors(free_parents, {*targets, *(column for column, _ in given)})
    factors, agreements = [], []
    for column in sorted(relevant.difference(causes)):
        if column not in forced:
            factors.append(_factor(structure, column, rows))
        elif any(column == seen for seen, _ in given):
            agreements.append(column)
    parts = _parts([factor for factor in factors if set(factor.axes) - {BATCH}])
    asked = {*causes, *targets}
    joined: list[Factor] = []
    loose: list[list[Factor]] = []
    for part in parts:
        if asked.intersection(*[{a for f in part for a in f.axes}]):
            joined += part
        else:
            loose.append(part)
    indicators = tuple(
        (column, (BATCH, column) if rows[column] else (column,))
        for column in targets
        if column in rows
    )
    there = {axis for factor in joined for axis in factor.axes}
    there.update(axis for _, axes in indicators for axis in axes)
    output = tuple(axis for axis in (BATCH, *causes, *targets) if axis in there)
    return Question(
        _planned(structure, batch, joined, indicators, output),
        tuple(
            _planned(structure, batch, part, (), (BATCH,) if _has_rows(part) else ())
            for part in loose
        ),
        tuple(factor for factor in factors if not set(factor.axes) - {BATCH}),
        tuple(agreements),
        tuple(axis for axis in (*causes, *targets) if axis not in there),
    )


def _ancestors(parents: list[tuple[int, ...]], columns: set[int]) -> set[int]:
    found, stack = set(columns), list(columns)
    while stack:
        new = [p for p in parents[stack.pop()] if p not in found]
        found.update(new)
        stack.extend(new)
    return found


def _factor(structure: Structure, column: int, rows: dict[int, bool]) -> Factor:
    regime = (BATCH,) if column in structure.regimes else ()
    scope = (*regime, *structure.parents[column], column)
    known = tuple(k for k, member in enumerate(scope) if member == BATCH or member in rows)
    rest = tuple(k for k in range(len(scope)) if k not in known)
    differs = any(scope[k] == BATCH or rows[scope[k]] for k in known)
    axes = tuple(scope[k] for k in rest)
    return Factor(
        column, (*known, *rest), tuple(scope[k] for k in known), (BATCH, *axes) if differs else axes
    )


def _parts(factors: list[Factor]) -> list[list[Factor]]:
    """Splits factors into groups that share no column."""
    home: dict[int, int] = {}
    groups: dict[int, list[Factor]] = {}
    for number, factor in enumerate(factors):
        columns = set(factor.axes) - {BATCH}
        merged = [factor]
        for other in {home[column] for column in columns if column in home}:
            merged = groups.pop(other) + merged
        groups[number] = merged
        for member in merged:
            home.update(dict.fromkeys(set(member.axes) - {BATCH}, number))
    return [sorted(group) for group in groups.values()]


def _has_rows(factors: list[Factor]) -> bool:
    return any(BATCH in factor.axes for factor in factors)


def _planned(
    structure: Structure,
    batch: int | None,
    factors: list[Factor],
    indicators: tuple[tuple[int, tuple[int, ...]], ...],
    output: tuple[int, ...],
) -> Part:
    axes = (*(factor.axes for factor in factors), *(own for _, own in indicators))
    shapes = tuple(
        tuple((batch or 1) if axis == BATCH else structure.sizes[axis] for axis in term)
        for term in axes
    )
    return Part(tuple(factors), indicators, output, plan(axes, output, shapes) if axes else None)
