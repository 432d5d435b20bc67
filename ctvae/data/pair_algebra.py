"""Targets from pairs alone: which actions move one slot, by how they combine."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from ctvae.data.linking import Labels, connected
from ctvae.mechanisms.actions import Action, ShiftAction

if TYPE_CHECKING:
    from ctvae.data.transitions import Transitions

__all__ = ["find_targets"]

NOWHERE = -1
"""Where an action was not seen from an image."""
EVIDENCE = 0.5
"""Share of the images at which two actions meet that must speak for one slot."""


def find_targets(pairs: Transitions) -> tuple[Action, ...] | None:
    r"""Finds which actions move the same slot, where images recur in several pairs.

    Edits of two slots commute, and neither can undo or repeat the other. So two actions share a
    slot exactly where, from images at which both are seen, (1) one leads to what the other alone
    can reach, forwards or backwards, or (2) their order matters: :math:`b(a(x)) \ne a(b(x))`, or
    where (3) one undoes the other: :math:`b(a(x)) = x`. All are read off the pairs; groups are
    joined by them. Of two shift actions of a slot, the one that undoes the first goes the other
    way.

    Args:
        pairs: Edits whose actions may lack targets; the targets that are there are not used.

    Returns:
        The actions with targets, slots numbered by their first action; ``None`` where some action
        meets no other, so that the pairs do not say.

    Example:
        >>> from ctvae.data import StepBy, mini_sprites, transition_pairs
        >>> found = find_targets(transition_pairs(mini_sprites(), StepBy()))
        >>> [action.target for action in found]
        [0, 1, 2, 3, 4, 0, 1, 2, 3, 4]

    Cost: O(actions^2 * images).
    """
    count, actions = len(pairs.images), pairs.actions
    before, action, after = (t.cpu().numpy() for t in (pairs.before, pairs.action, pairs.after))
    leads = np.full((len(actions), count), NOWHERE, dtype=np.int64)
    leads[action, before] = after
    reach = np.stack([
        connected(before[action == a], after[action == a], count) for a in range(len(actions))
    ])
    joined, met = [], np.zeros(len(actions), dtype=bool)
    for a, b in combinations(range(len(actions)), 2):
        together = _meetings(leads, reach, a, b)
        met[[a, b]] |= any(len(votes) for votes in together)
        if any(len(votes) and votes.mean() > EVIDENCE for votes in together):
            joined.append((a, b))
    if not met.all():
        return None
    ends = np.array(joined, dtype=np.int64).reshape(-1, 2)
    slot = connected(ends[:, 0], ends[:, 1], len(actions))
    return tuple(_placed(actions, leads, slot, a) for a in range(len(actions)))


def _meetings(leads: Labels, reach: Labels, a: int, b: int) -> tuple[Labels, Labels]:
    """Where two actions meet at an image, and where one follows the other: is it one slot?"""
    meet = np.flatnonzero((leads[a] != NOWHERE) & (leads[b] != NOWHERE))
    by_a, by_b = leads[a, meet], leads[b, meet]
    alone = (reach[a, by_b] == reach[a, meet]) | (reach[b, by_a] == reach[b, meet])
    ab, ba = leads[b, by_a], leads[a, by_b]
    ordered = (ab != NOWHERE) & (ba != NOWHERE) & (ab != ba)
    start = np.flatnonzero(leads[a] != NOWHERE)
    back = leads[b, leads[a, start]]
    return alone | ordered, back[back != NOWHERE] == start[back != NOWHERE]


def _placed(actions: tuple[Action, ...], leads: Labels, slot: Labels, a: int) -> Action:
    """An action with its target and, for a shift, its direction."""
    _, first, number = np.unique(slot, return_index=True, return_inverse=True)
    target = int(np.argsort(np.argsort(first))[number[a]])
    one = actions[a]
    if not isinstance(one, ShiftAction):
        return replace(one, target=target)
    leader = int(np.flatnonzero(slot == slot[a])[0])
    middle = leads[leader]
    known = np.flatnonzero(middle != NOWHERE)
    undone = float((leads[a, middle[known]] == known).mean())
    return replace(one, target=target, direction=-1 if a != leader and undone > EVIDENCE else 1)
