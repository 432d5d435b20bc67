"""Linked codes: what pairs alone say about the values that images share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from jaxtyping import Int, Int64
from torch import Tensor

from ctvae.errors import UnknownActionError
from ctvae.mechanisms.actions import Action, SetAction, ShiftAction

if TYPE_CHECKING:
    from ctvae.data.transitions import Transitions

__all__ = ["OPEN", "LinkedCodes", "connected", "link_codes"]

OPEN = -1
"""Where the pairs do not say."""
SMALLEST_CIRCLE = 3
"""On a circle of two values, a step forward and a step back are the same."""

Labels = Int64[np.ndarray, " n"]


@dataclass(frozen=True)
class LinkedCodes:
    """Codes of images that pairs imply, before any network is trained.

    Attributes:
        codes: ``(images, slots)``, -1 where the pairs leave the value open.
        places: ``(images, slots)``, the codes counted from where their context begins: where these
            are known and the code is open, all codes of the context are, up to one number; -1
            elsewhere.
        contexts: ``(images,)`` the context of each image: images joined by any pairs.
        circles: ``(slots,)``, true where steps lead around a circle.
        cardinalities: The number of codes of each slot.
        contradictions: How many pairs disagree with the codes: a target that keeps its value, or
            goes where its action does not lead.
        pairs: How many pairs there are.
    """

    codes: Int[Tensor, "images slots"]
    places: Int[Tensor, "images slots"]
    contexts: Int[Tensor, " images"]
    circles: tuple[bool, ...]
    cardinalities: tuple[int, ...]
    contradictions: int
    pairs: int

    def known(self, rows: Int[Tensor, " rows"]) -> float:
        """Says how much of some images is known.

        Args:
            rows: Rows of the pool.

        Returns:
            The share of these images all of whose codes are known.
        """
        return float((self.codes[rows] >= 0).all(1).double().mean())

    def placed(self, rows: Int[Tensor, " rows"]) -> float:
        """Says how much of some images is known, or would be if contexts were brought together.

        Args:
            rows: Rows of the pool.

        Returns:
            The share of these images of which each slot has a code or a place.
        """
        found = (self.codes[rows] >= 0) | (self.places[rows] >= 0)
        return float(found.all(1).double().mean())


def link_codes(pairs: Transitions) -> LinkedCodes:
    r"""Follows what pairs hold: images linked by edits of other slots show one value.

    An edit holds every factor but its target. So the two images of a pair show the same value in
    every slot that the action does not target, and equality is transitive: for slot k the images
    fall into the connected components of the pairs that do not target k. Pairs that do target k
    then say how these *cells* relate: a set action leads to one value wherever it starts, and
    shift actions number the cells of one *context* (images joined by any pairs) along a line.

    Contexts are brought together by the values that set actions name; under shifts, by the ends of
    the line, for those contexts that show as many values as any does: this assumes that each of
    them shows the whole range. Smaller contexts stay open.

    Shifts that lead around a circle number its values from anywhere; which value of one context is
    which of another then stays open, and only the largest context is numbered.

    It needs images that recur in several pairs, as in grids of factors and in scenes that are
    edited more than once. Pairs that share no image say nothing here.

    Args:
        pairs: Edits with known targets.

    Returns:
        The codes, numbered along the line of shifts, or by the values of set actions.

    Raises:
        UnknownActionError: When an action has no target.

    Example:
        >>> from ctvae.data import StepBy, mini_sprites, transition_pairs
        >>> link_codes(transition_pairs(mini_sprites(), StepBy())).cardinalities
        (3, 4, 4, 8, 8)

    Cost: O(slots * pairs).
    """
    open_ended = [action.name for action in pairs.actions if action.target is None]
    if open_ended:
        msg = f"the action {open_ended[0]!r} has no target yet, so what it holds is not known"
        raise UnknownActionError(msg)
    count = len(pairs.images)
    before, action, after = (t.cpu().numpy() for t in (pairs.before, pairs.action, pairs.after))
    target = np.array([a.target for a in pairs.actions])[action]
    context = connected(before, after, count)
    columns, sizes, contradictions = [], [], 0
    for slot in range(int(target.max()) + 1):
        held, moved = target != slot, target == slot
        cell = connected(before[held], after[held], count)
        here, there = cell[before[moved]], cell[after[moved]]
        of_cell = np.zeros(int(cell.max()) + 1, dtype=np.int64)
        of_cell[cell] = context
        found = _read_cells(pairs.actions, here, action[moved], there, of_cell, cell)
        contradictions += _contradictions(pairs.actions, found.code, here, action[moved], there)
        columns.append((found.code[cell], found.place[cell], found.circle))
        sizes.append(int(found.code.max()) + 1)
    codes, places, circles = zip(*columns, strict=True)
    return LinkedCodes(
        torch.from_numpy(np.stack(codes, 1)),
        torch.from_numpy(np.stack(places, 1)),
        torch.from_numpy(context),
        circles,
        tuple(sizes),
        contradictions,
        len(pairs),
    )


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


class _Cells(NamedTuple):
    """The code and place of every cell of one slot, -1 where open."""

    code: Labels
    place: Labels
    circle: bool


def _read_cells(
    actions: tuple[Action, ...],
    here: Labels,
    action: Labels,
    there: Labels,
    context: Labels,
    cell: Labels,
) -> _Cells:
    code = np.full(len(context), OPEN, dtype=np.int64)
    values = np.array([a.value if isinstance(a, SetAction) else OPEN for a in actions])[action]
    if (values != OPEN).any():
        code[there[values != OPEN]] = values[values != OPEN]
        _, known = np.unique(code[code != OPEN], return_inverse=True)
        code[code != OPEN] = known
        return _Cells(code, np.full_like(code, OPEN), circle=False)
    steps = np.array([a.direction if isinstance(a, ShiftAction) else 0 for a in actions])[action]
    place = _places(here, there, steps, len(context))
    joined = np.zeros(len(context), dtype=bool)
    joined[here] = joined[there] = True
    period = int(np.gcd.reduce(np.abs(place[here] + steps - place[there]), initial=0))
    if period >= SMALLEST_CIRCLE:
        place = np.where(joined, place % period, OPEN)
        largest = np.bincount(context[cell]).argmax()
        return _Cells(np.where(context == largest, place, OPEN), place, circle=True)
    low, high = (np.full(int(context.max()) + 1, end) for end in (2**31, -(2**31)))
    np.minimum.at(low, context[joined], place[joined])
    np.maximum.at(high, context[joined], place[joined])
    extent = np.where(high >= low, high - low, -1)
    place = np.where(joined, place - low[context], OPEN)
    full = extent[context] == extent.max()
    return _Cells(np.where(full, place, OPEN), place, circle=False)


def _places(here: Labels, there: Labels, steps: Labels, count: int) -> Labels:
    """Numbers points along a line so that edges lead as many steps on as they say."""
    # One point of each component is 0; a pass goes one edge further. Edges that contradict those
    # passed first are left for ``_contradictions`` to count.
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


def _contradictions(
    actions: tuple[Action, ...], code: Labels, here: Labels, action: Labels, there: Labels
) -> int:
    """Pairs whose target does not go where its action leads, among those with known codes."""
    shift = np.array([a.direction if isinstance(a, ShiftAction) else 0 for a in actions])[action]
    start, end = code[here], code[there]
    known = (start >= 0) & (end >= 0)
    off = end - start - shift
    period = int(np.gcd.reduce(np.abs(off[known & (shift != 0)]), initial=0))
    beside = off % period != 0 if period >= SMALLEST_CIRCLE else off != 0
    wrong = np.where(shift != 0, beside, end == start)
    return int((known & wrong).sum())
