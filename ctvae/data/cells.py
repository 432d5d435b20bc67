"""Cells of one slot: groups of images that show one value, and which value that is."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Int64

from ctvae.mechanisms.actions import PermuteAction, SetAction, ShiftAction, SlotAction

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

__all__ = ["OPEN", "Labels", "MovedPairs", "Order", "SlotReading", "connected", "read_slot"]

OPEN = -1
"""Where the pairs do not say."""
SMALLEST_CIRCLE = 3
"""On a circle of two values, a step forward and a step back are the same."""

Labels = Int64[np.ndarray, " n"]


class Order(Enum):
    """How the values of a slot lie, as far as its actions say."""

    LINE = "steps lead up and down"
    CIRCLE = "steps lead around"
    NONE = "no step leads from each value to each other"


class MovedPairs(NamedTuple):
    """The pairs that move one slot, between its cells.

    Attributes:
        here: The cell before.
        there: The cell after.
        steps: The displacement of shifts, 0 elsewhere.
        law: Pairs of one law lead from one value to one, and from no two values to one; -1 for
            pairs of which that is not known. A shift down has the law of the shift up.
        value: The value that a set action names, -1 elsewhere.
    """

    here: Labels
    there: Labels
    steps: Labels
    law: Labels
    value: Labels

    @classmethod
    def of(
        cls, parts: tuple[SlotAction | None, ...], here: Labels, action: Labels, there: Labels
    ) -> MovedPairs:
        """Looks up what the actions of pairs do.

        Args:
            parts: What each action does to the slot.
            here: The cell before.
            action: The action of each pair, one that moves the slot.
            there: The cell after.

        Returns:
            The pairs.
        """
        steps = [p.displacement if isinstance(p, ShiftAction) else 0 for p in parts]
        values = [p.value if isinstance(p, SetAction) else OPEN for p in parts]
        keys = [_law(part) for part in parts]
        known = {key: number for number, key in enumerate(dict.fromkeys(k for k in keys if k))}
        laws = [known[key] if key else OPEN for key in keys]
        looked_up = (np.array(column, dtype=np.int64)[action] for column in (steps, laws, values))
        return cls(here, there, *looked_up)


class SlotReading(NamedTuple):
    """What the pairs say of one slot, image by image.

    Attributes:
        code: The code, -1 where open.
        place: The code counted from where its context begins, or the number of its cell in it; -1
            where the context stands alone.
        context: Images whose values of the slot are joined by pairs.
        order: How the values lie.
        period: The size of the circle in steps; 0 where there is none.
        unit: The steps between neighbouring codes of a line or circle.
    """

    code: Labels
    place: Labels
    context: Labels
    order: Order
    period: int
    unit: int


def connected(first: Labels, second: Labels, count: int) -> Labels:
    """Numbers the connected components of some points.

    Args:
        first: One end of each edge.
        second: The other end.
        count: The number of points.

    Returns:
        The component of each point.
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    edges = coo_matrix((np.ones(len(first), dtype=bool), (first, second)), shape=(count, count))
    labels: Labels = connected_components(edges, directed=False)[1].astype(np.int64)
    return labels


def read_slot(cell: Labels, pairs: MovedPairs, fibres: Callable[[], Labels]) -> SlotReading:
    """Tells which cells show one value, and numbers the values.

    Cells that one law leads to from one cell are one, and so are all cells that a set action names
    a value. Where shifts reach every value from every other, codes count their steps. Elsewhere
    the cells of the largest context are numbered, and those that a set action names.

    Args:
        cell: The cell of each image: images joined by pairs that hold the slot.
        pairs: The pairs that move it.
        fibres: Groups images so that different ones of one group show different values of the
            slot; called where that is needed.

    Returns:
        Codes and places of all images.
    """
    count = int(cell.max()) + 1
    if bool((pairs.steps == 0).any()):
        merged = _merge(pairs, count)
        cell, count = merged[cell], int(merged.max()) + 1
        pairs = pairs._replace(here=merged[pairs.here], there=merged[pairs.there])
    shifts = pairs.steps != 0
    context = connected(pairs.here, pairs.there, count)
    joined = np.zeros(count, dtype=bool)
    joined[pairs.here] = joined[pairs.there] = True
    stepped = connected(pairs.here[shifts], pairs.there[shifts], count)
    if shifts.any() and len(np.unique(context[joined])) == len(np.unique(stepped[joined])):
        return _along_steps(cell, pairs, context, joined)
    return _by_name(cell, pairs, context, joined, fibres())


def _law(part: SlotAction | None) -> tuple[str, int] | None:
    if isinstance(part, ShiftAction):
        return "", part.steps
    return (part.name, 0) if isinstance(part, PermuteAction) else None


def _merge(pairs: MovedPairs, count: int) -> Labels:
    """Joins cells that must show one value, until nothing changes."""
    label, down = np.arange(count), pairs.steps < 0
    while True:
        here, there = label[pairs.here], label[pairs.there]
        start, end = np.where(down, there, here), np.where(down, here, there)
        lawful, named = pairs.law != OPEN, pairs.value != OPEN
        law = pairs.law[lawful] * count
        joins = [
            _same(law + start[lawful], end[lawful]),
            _same(law + end[lawful], start[lawful]),
            _same(pairs.value[named], there[named]),
        ]
        first, second = (np.concatenate(ends) for ends in zip(*joins, strict=True))
        found = np.unique(connected(first, second, count)[label], return_inverse=True)[1]
        if found.max() == label.max():
            return found
        label = found


def _same(key: Labels, member: Labels) -> tuple[Labels, Labels]:
    """Edges between the members of each key."""
    _, first, number = np.unique(key, return_index=True, return_inverse=True)
    return member[first][number], member


def _along_steps(cell: Labels, pairs: MovedPairs, context: Labels, joined: Labels) -> SlotReading:
    shifts = pairs.steps != 0
    unit = int(np.gcd.reduce(np.abs(pairs.steps[shifts])))
    here, there, steps = pairs.here[shifts], pairs.there[shifts], pairs.steps[shifts] // unit
    place = _places(here, there, steps, len(context))
    period = int(np.gcd.reduce(np.abs(place[here] + steps - place[there]), initial=0))
    largest = context == np.bincount(context[cell]).argmax()
    order = Order.LINE
    if period >= SMALLEST_CIRCLE:
        order, full = Order.CIRCLE, largest
        place = np.where(joined, place % period, OPEN)
    else:
        period = 0
        low, high = (np.full(int(context.max()) + 1, end) for end in (2**31, -(2**31)))
        np.minimum.at(low, context[joined], place[joined])
        np.maximum.at(high, context[joined], place[joined])
        extent = np.where(high >= low, high - low, -1)
        place = np.where(joined, place - low[context], OPEN)
        full = extent[context] == extent.max()
    if unit > 1:  # other contexts may show the values that these steps leap over
        full = largest
        place = np.where(full, place, OPEN)
    code = np.where(full, place, OPEN)
    return SlotReading(code[cell], place[cell], context[cell], order, period, unit)


def _places(here: Labels, there: Labels, steps: Labels, count: int) -> Labels:
    """Numbers points along a line so that edges lead as many steps on as they say."""
    # One point of each component is 0; a pass goes one edge further. Edges that contradict those
    # passed first are left for others to count.
    first, second = np.concatenate([here, there]), np.concatenate([there, here])
    step = np.concatenate([steps, -steps])
    place, done = np.zeros(count, dtype=np.int64), np.zeros(count, dtype=bool)
    roots = np.unique(connected(here, there, count), return_index=True)[1]
    done[roots] = True
    while True:
        reached = done[first] & ~done[second]
        if not reached.any():
            return place
        place[second[reached]] = place[first[reached]] + step[reached]
        done[second[reached]] = True


def _by_name(
    cell: Labels, pairs: MovedPairs, context: Labels, joined: Labels, fibre: Labels
) -> SlotReading:
    """Numbers the values that set actions name, and those of the largest context."""
    count, named = len(context), pairs.value != OPEN
    label = np.full(count, 2**31)
    np.minimum.at(label, pairs.there[named], pairs.value[named])
    images = np.bincount(cell, minlength=count)
    largest = np.bincount(context[cell], weights=joined[cell], minlength=1).argmax()
    code = np.full(count, OPEN, dtype=np.int64)
    distinct = _distinct(cell, fibre, count)
    known = list(np.flatnonzero(label < 2**31))
    candidates = np.flatnonzero(joined & (context == largest) & (label == 2**31))
    for one in candidates[np.argsort(-images[candidates], kind="stable")]:
        # Two cells that may show one value are not both given a code.
        row = distinct.indices[distinct.indptr[one] : distinct.indptr[one + 1]]
        if np.isin(known, row).all():
            known.append(one)
    first = np.full(count, len(cell))
    np.minimum.at(first, cell, np.arange(len(cell)))
    chosen = np.array(known, dtype=np.int64)
    code[chosen[np.lexsort((first[chosen], label[chosen]))]] = np.arange(len(chosen))
    ordered = np.argsort(context, kind="stable")
    begins = np.unique(context[ordered], return_index=True, return_inverse=True)
    rank = np.empty(count, dtype=np.int64)
    rank[ordered] = np.arange(count) - begins[1][begins[2]]
    place = np.where(joined, rank, OPEN)
    return SlotReading(code[cell], place[cell], context[cell], Order.NONE, 0, 0)


def _distinct(cell: Labels, fibre: Labels, count: int) -> csr_matrix:
    """Which cells show different values for sure: those that meet in a fibre."""
    from scipy.sparse import coo_matrix

    ones = np.ones(len(cell), dtype=np.int64)
    member = coo_matrix((ones, (fibre, cell)), shape=(int(fibre.max()) + 1, count)).tocsr()
    return (member.T @ member).tocsr()
