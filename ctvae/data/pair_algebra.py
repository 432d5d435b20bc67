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
DISORDER = 0.25
"""Share of the squares of two actions that must stay open; fewer may be due to wrong labels."""
FEW_SQUARES = 0.1
"""Of the usual share of squares: two actions that close fewer where they meet move one slot."""
BY_CHANCE = 1e-9
"""As improbable must it be that two slots close so few squares only because images are missing."""


class Meetings(NamedTuple):
    """What actions do where they meet.

    Attributes:
        leads: ``(actions, images)`` the image that an action leads to, -1 where it was not seen.
        share: ``(actions, actions)``, true where two actions move a slot in common for sure.
        apart: ``(actions, actions)``, false where two meet so often that they would close squares
            if they moved different slots, and do not.
        reach: ``(actions,)`` how many images an action by itself can lead to from one, at most.
        still: ``(actions,)``, true for actions that lead from images to themselves.
        met: ``(actions,)``, true for actions that meet another.
    """

    leads: Labels
    share: Bool[np.ndarray, "actions actions"]
    apart: Bool[np.ndarray, "actions actions"]
    reach: Labels
    still: Bool[np.ndarray, " actions"]
    met: Bool[np.ndarray, " actions"]


def how_actions_meet(pairs: Transitions) -> Meetings:
    r"""Reads off pairs which actions move a slot in common.

    Edits of different slots commute, and neither can undo or repeat the other. So two actions share
    a slot where, from images at which both are seen, (1) one leads to what the other alone can
    reach, forwards or backwards, or both alone reach one further image; (2) their order matters,
    :math:`b(a(x)) \ne a(b(x))`; (3) one undoes the other, :math:`b(a(x)) = x`; or (4) they meet
    often, and their two orders next to never lead on to one image, while those of others do. An
    action with several outcomes from one image draws them: order says nothing of it.

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
    share = np.zeros((actions, actions), dtype=bool)
    squares, meets, met = (
        np.zeros(share.shape),
        np.zeros(share.shape),
        np.zeros(actions, dtype=bool),
    )
    for a, b in combinations(range(actions), 2):
        meet = np.flatnonzero((leads[a] != NOWHERE) & (leads[b] != NOWHERE))
        alone, disorder, closed = _at_one_image(leads, reach, meet, a, b)
        back = _back(leads, a, b)
        met[[a, b]] |= bool(len(meet)) | bool(len(back))
        one = any(len(v) and v.mean() > EVIDENCE for v in (alone, back))
        if not drawn[a] and not drawn[b]:
            one |= disorder > DISORDER * (disorder + closed)
            meets[a, b], squares[a, b] = len(meet), closed
        if not one and not (sets[a] and sets[b]):
            one = len(np.unique(reach[a] * count + reach[b])) < count
        share[a, b] = one
    rate = squares / meets.clip(min=1)
    usual = np.where(share, 0, rate).max()  # of the images that squares need, so many are there
    apart = _squares_are_there(rate, meets, usual)
    share |= ~apart
    share, apart = share | share.T, apart & apart.T
    moved = np.bincount(action[before != after], minlength=actions)
    still = moved <= (1 - EVIDENCE) * np.bincount(action, minlength=actions)
    still &= np.bincount(action, minlength=actions) > 0
    share[still], share[:, still] = False, False
    size = np.array([np.bincount(row).max() for row in reach])
    return Meetings(leads, share, apart, size, still, met)


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


def _squares_are_there(
    rate: np.ndarray, meets: np.ndarray, usual: float
) -> Bool[np.ndarray, "actions actions"]:
    """False where two actions close so few squares that they cannot move different slots."""
    if usual <= FEW_SQUARES:
        return np.ones(rate.shape, dtype=bool)
    surprise = meets * -np.log1p(-min(usual, 0.99))
    return np.asarray((rate >= FEW_SQUARES * usual) | (surprise < -np.log(BY_CHANCE)))


def _at_one_image(
    leads: Labels, reach: Labels, meet: Labels, a: int, b: int
) -> tuple[np.ndarray, int, int]:
    """Where two actions meet: one alone reaches both ends; squares that stay open, and close."""
    by_a, by_b = leads[a, meet], leads[b, meet]
    moved = (by_a != meet) & (by_b != meet)
    alone = (reach[a, by_b] == reach[a, meet]) | (reach[b, by_a] == reach[b, meet])
    ab, ba = leads[b, by_a], leads[a, by_b]
    whole = (ab != NOWHERE) & (ba != NOWHERE)
    return alone & moved, int((whole & (ab != ba)).sum()), int((whole & (ab == ba)).sum())


def _back(leads: Labels, a: int, b: int) -> np.ndarray:
    """Where one action follows the other: does it lead back?"""
    start = np.flatnonzero((leads[a] != NOWHERE) & (leads[a] != np.arange(leads.shape[1])))
    back = leads[b, leads[a, start]]
    return np.asarray(back[back != NOWHERE] == start[back != NOWHERE])


def _follow(leads: Labels, start: Labels) -> Labels:
    """Where an action leads from images, -1 where from nowhere or not seen."""
    return np.where(start == NOWHERE, NOWHERE, leads[start])
