"""How actions combine, read off pairs: which two move a slot in common."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Bool

from ctvae.data.cells import Labels, connected
from ctvae.mechanisms.actions import SetAction, ShiftAction, StochasticAction

if TYPE_CHECKING:
    from ctvae.data.transitions import Transitions

__all__ = ["Meetings", "how_actions_meet", "orientation"]

NOWHERE = -1
"""Where an action was not seen from an image."""
EVIDENCE = 0.5
"""Share of the images at which two actions meet that must speak for one slot."""
ENOUGH_MEETINGS = 40
"""Fewer meetings without a square are no evidence: where half of the images are there, edits of two
slots would close none of 40 with probability 1e-9."""
FEW_SQUARES = 0.1
"""Two actions that close a square at a smaller share of their meetings move one slot."""


class Meetings(NamedTuple):
    """What actions do where they meet.

    Attributes:
        leads: ``(actions, images)`` the image that an action leads to, -1 where it was not seen.
        share: ``(actions, actions)``, true where two actions move a slot in common for sure.
        closed: ``(actions, actions)``, false where two meet, but next to nowhere close a square.
        still: ``(actions,)``, true for actions that lead from images to themselves.
        met: ``(actions,)``, true for actions that meet another.
    """

    leads: Labels
    share: Bool[np.ndarray, "actions actions"]
    closed: Bool[np.ndarray, "actions actions"]
    still: Bool[np.ndarray, " actions"]
    met: Bool[np.ndarray, " actions"]


def how_actions_meet(pairs: Transitions) -> Meetings:
    r"""Reads off pairs which actions move a slot in common.

    Edits of different slots commute, and neither can undo or repeat the other. So two actions share
    a slot where, from images at which both are seen, (1) one leads to what the other alone can
    reach, forwards or backwards, or both alone reach one further image; (2) their order matters,
    :math:`b(a(x)) \ne a(b(x))`; (3) one undoes the other, :math:`b(a(x)) = x`; or (4) they meet
    often, and their two orders next to never lead on to one image. An action with several outcomes
    from one image draws them: order says nothing of it.

    Args:
        pairs: Edits; targets are not looked at.

    Returns:
        What the pairs say. That two actions share no slot is not said: some that do commute.

    Cost: O(actions^2 * images).
    """
    count, actions = len(pairs.images), len(pairs.actions)
    before, action, after = (t.cpu().numpy() for t in (pairs.before, pairs.action, pairs.after))
    leads = np.full((actions, count), NOWHERE, dtype=np.int64)
    leads[action, before] = after
    reach = np.stack([
        connected(before[action == a], after[action == a], count) for a in range(actions)
    ])
    drawn = np.zeros(actions, dtype=bool)
    drawn[action[leads[action, before] != after]] = True
    drawn |= [isinstance(one, StochasticAction) for one in pairs.actions]
    sets = [isinstance(one, SetAction) for one in pairs.actions]
    share, closed = (
        np.zeros((actions, actions), dtype=bool),
        np.ones((actions, actions), dtype=bool),
    )
    met = np.zeros(actions, dtype=bool)
    for a, b in combinations(range(actions), 2):
        meet = np.flatnonzero((leads[a] != NOWHERE) & (leads[b] != NOWHERE))
        alone, ordered, square = _at_one_image(leads, reach, meet, a, b)
        back = _back(leads, a, b)
        met[[a, b]] |= bool(len(meet)) | bool(len(back))
        certain = not drawn[a] and not drawn[b]
        votes = [alone | ordered if certain else alone, back]
        one = any(len(v) and v.mean() > EVIDENCE for v in votes)
        if certain and len(meet):
            closed[a, b] = closed[b, a] = square.mean() >= FEW_SQUARES
            one |= len(meet) >= ENOUGH_MEETINGS and not closed[a, b]
        if not one and not (sets[a] and sets[b]):
            one = len(np.unique(reach[a] * count + reach[b])) < count
        share[a, b] = share[b, a] = one
    moved = np.bincount(action[before != after], minlength=actions)
    still = moved <= (1 - EVIDENCE) * np.bincount(action, minlength=actions)
    still &= np.bincount(action, minlength=actions) > 0
    share[still], share[:, still] = False, False
    return Meetings(leads, share, closed, still, met)


def orientation(leads: Labels, one: ShiftAction, a: int, leader: ShiftAction, b: int) -> int:
    """Tells whether two shifts of a slot go the same way.

    Args:
        leads: The image that each action leads to.
        one: A shift.
        a: Its position.
        leader: The shift that says which way is up.
        b: Its position.

    Returns:
        +1 or -1; +1 where the pairs do not say.
    """
    common = int(np.gcd(one.steps, leader.steps))
    ahead = np.arange(leads.shape[1])
    for _ in range(one.steps // common):
        ahead = _follow(leads[b], ahead)
    back = ahead
    for _ in range(leader.steps // common):
        back = _follow(leads[a], back)
    known = back != NOWHERE
    undone = back[known] == np.flatnonzero(known)
    return -1 if len(undone) and undone.mean() > EVIDENCE else 1


def _at_one_image(
    leads: Labels, reach: Labels, meet: Labels, a: int, b: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where two actions meet: one alone reaches both ends, order matters, a square closes."""
    by_a, by_b = leads[a, meet], leads[b, meet]
    moved = (by_a != meet) & (by_b != meet)
    alone = (reach[a, by_b] == reach[a, meet]) | (reach[b, by_a] == reach[b, meet])
    ab, ba = leads[b, by_a], leads[a, by_b]
    whole = (ab != NOWHERE) & (ba != NOWHERE)
    return alone & moved, whole & (ab != ba), whole & (ab == ba)


def _back(leads: Labels, a: int, b: int) -> np.ndarray:
    """Where one action follows the other: does it lead back?"""
    start = np.flatnonzero((leads[a] != NOWHERE) & (leads[a] != np.arange(leads.shape[1])))
    back = leads[b, leads[a, start]]
    return np.asarray(back[back != NOWHERE] == start[back != NOWHERE])


def _follow(leads: Labels, start: Labels) -> Labels:
    """Where an action leads from images, -1 where from nowhere or not seen."""
    return np.where(start == NOWHERE, NOWHERE, leads[start])
