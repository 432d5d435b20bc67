"""Linked codes: what pairs alone say about the values that images share."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from ctvae.data.cells import OPEN, Labels, MovedPairs, Order, SlotReading, connected, read_slot
from ctvae.errors import DataError
from ctvae.mechanisms.actions import part_on, target_mask, targets_of

if TYPE_CHECKING:
    from ctvae.data.transitions import Transitions

__all__ = ["LinkedCodes", "link_codes"]


@dataclass(frozen=True)
class LinkedCodes:
    """Codes of images that pairs imply, before any network is trained.

    Attributes:
        codes: ``(images, slots)``, -1 where the pairs leave the value open.
        places: ``(images, slots)``, the codes counted from where their context begins, or the
            number of a value in its context where values have no order: where these are known and
            the code is open, all codes of the context are, up to one number or one renaming; -1
            elsewhere.
        contexts: ``(images, slots)``, images whose values of the slot are joined by pairs.
        orders: ``(slots,)``, how the values of each slot lie.
        cardinalities: The number of codes of each slot.
        contradictions: How many pairs disagree with the codes: different images none of whose
            targets changes, or a target that goes where its action does not lead.
        pairs: How many pairs there are.
    """

    codes: Int[Tensor, "images slots"]
    places: Int[Tensor, "images slots"]
    contexts: Int[Tensor, "images slots"]
    orders: tuple[Order, ...]
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

    An edit holds every factor but its targets. So the two images of a pair show the same value in
    every slot that the action does not target, and equality is transitive: for slot k the images
    fall into the connected components of the pairs that do not target k. Pairs that do target k
    then say how these *cells* relate: a set action leads to one value wherever it starts, a
    permutation from one value to one, and shifts number the cells of one *context* (images joined
    by any pairs) along a line or around a circle. A joint action says of each of its targets what
    its part there says, and holds all other slots. A no-op holds all.

    Contexts are brought together by the values that set actions name; under shifts, by the ends of
    the line, for those contexts that show as many values as any does: this assumes that each of
    them shows the whole range. Smaller contexts stay open. Circles, and values that no steps order,
    say nothing of which value of one context is which of another: only the largest context is
    numbered. So it is where all shifts of a slot leap over values.

    It needs images that recur in several pairs, as in grids of factors and in scenes that are
    edited more than once. Pairs that share no image say nothing here.

    Args:
        pairs: Edits with known targets.

    Returns:
        The codes, numbered along the steps of shifts, by the values of set actions, or by their
        first image.

    Raises:
        UnknownActionError: When the targets of an action are not known.
        DataError: When no action moves a slot.

    Example:
        >>> from ctvae.data import StepBy, mini_sprites, transition_pairs
        >>> link_codes(transition_pairs(mini_sprites(), StepBy())).cardinalities
        (3, 4, 4, 8, 8)

    Cost: O(slots * pairs).
    """
    slots = 1 + max((slot for action in pairs.actions for slot in targets_of(action)), default=-1)
    if slots == 0:
        msg = "no action moves a slot: pairs of no-ops alone say nothing of any value"
        raise DataError(msg)
    count = len(pairs.images)
    before, action, after = (t.cpu().numpy() for t in (pairs.before, pairs.action, pairs.after))
    moves = target_mask(pairs.actions, slots).numpy()[action]
    cells = np.stack([connected(before[~m], after[~m], count) for m in moves.T], 1)
    readings = []
    wrong = np.zeros(len(pairs), dtype=bool)
    for slot, moved in enumerate(moves.T):
        parts = tuple(part_on(one, slot) for one in pairs.actions)
        here, there = cells[before[moved], slot], cells[after[moved], slot]
        mine = MovedPairs.of(parts, here, action[moved], there)
        fibres = partial(_fibres, cells, slot, moves, before, after)
        found = read_slot(cells[:, slot], mine, fibres)
        wrong[moved] |= _astray(found, mine, before[moved], after[moved])
        readings.append(found)
    codes = np.stack([found.code for found in readings], 1)
    start, end = codes[before], codes[after]
    known = ((start != OPEN) & (end != OPEN)) | ~moves
    stays = (known & ((start == end) | ~moves)).all(1)
    wrong |= stays & (before != after) & moves.any(1)
    return LinkedCodes(
        torch.from_numpy(codes),
        torch.from_numpy(np.stack([found.place for found in readings], 1)),
        torch.from_numpy(np.stack([found.context for found in readings], 1)),
        tuple(found.order for found in readings),
        tuple(int(code.max()) + 1 for code in codes.T),
        int(wrong.sum()),
        len(pairs),
    )


def _fibres(cells: Labels, slot: int, moves: Labels, before: Labels, after: Labels) -> Labels:
    """Groups of images that differ in one slot at most, nuisances included."""
    if ((before != after) & ~moves.any(1)).any():  # other renderings: contexts mix nuisances
        alone = moves[:, slot] & (moves.sum(1) == 1)
        return connected(before[alone], after[alone], len(cells))
    fibre = connected(before, after, len(cells))
    for other in np.delete(cells, slot, axis=1).T:
        fibre = np.unique(fibre * len(cells) + other, return_inverse=True)[1]
    return fibre


def _astray(found: SlotReading, pairs: MovedPairs, before: Labels, after: Labels) -> np.ndarray:
    """Pairs whose slot does not go where its action leads, among those with known codes."""
    start, end = found.code[before], found.code[after]
    known = (start != OPEN) & (end != OPEN)
    off = (end - start) * found.unit - pairs.steps
    if found.period:
        off = off % (found.period * found.unit)
    stray = (pairs.steps != 0) & (found.unit > 0) & (off != 0)
    # Two values that set actions name must not have become one.
    named = known & (pairs.value != OPEN)
    _, group = np.unique(end[named], return_inverse=True)
    lowest = np.full(len(group), 2**31)
    np.minimum.at(lowest, group, pairs.value[named])
    stray[named] |= pairs.value[named] != lowest[group]
    return np.asarray(stray & known)
