"""Targets from pairs alone: which slots each action moves."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain, combinations
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from ctvae.data.cells import OPEN, Labels, connected
from ctvae.data.linking import LinkedCodes, link_codes
from ctvae.data.pair_algebra import Meetings, how_actions_meet, orientation
from ctvae.mechanisms.actions import (
    Action,
    JointAction,
    NoAction,
    OpenAction,
    PermuteAction,
    SetAction,
    ShiftAction,
    SlotAction,
    StochasticAction,
)

if TYPE_CHECKING:
    from ctvae.data.transitions import Transitions

__all__ = ["find_targets"]

JOINT = -1
"""The group of an action that may move several slots."""
RARE = 0.05
"""A slot that changes in a smaller share of an action's pairs is no target of it, and pairs that
contradict a set of targets in a smaller share are wrong labels."""
MOST_GROUPS = 8
"""Of more groups of actions that could be made of each other, not all choices are tried."""


def find_targets(pairs: Transitions) -> tuple[Action, ...] | None:
    """Finds which slots each action moves, where images recur in several pairs.

    Actions that move a slot in common are told by how they combine (``how_actions_meet``). Where
    every action is said to move one slot, their groups are the slots. An open action may move
    several, or none: those that lead back to their image are no-ops, and an action that has a slot
    in common with two others that have none is joint. The slots are then those of the other
    actions, and the targets of a joint one those whose linked codes change along its pairs.

    Joint steps commute with single ones, so that either could be made of the other: three groups of
    actions, of which any two say the third. Then those are taken for single that make the fewest
    values of all slots; where two choices make equally many, the pairs do not say. They do not
    either where a slot is moved only together with another: the two are then one.

    Args:
        pairs: Edits whose actions may lack targets; the targets that are there are not used.

    Returns:
        The actions with targets, slots numbered by their first action, shifts with directions, open
        actions with the kind that their pairs show; ``None`` where the pairs do not say.

    Example:
        >>> from ctvae.data import StepBy, mini_sprites, transition_pairs
        >>> found = find_targets(transition_pairs(mini_sprites(), StepBy()))
        >>> [action.targets for action in found]
        [(0,), (1,), (2,), (3,), (4,), (0,), (1,), (2,), (3,), (4,)]

    Cost: O(actions^2 * images), and a linking of the codes for each choice of joint actions tried.
    """
    known = pairs.action >= 0
    pairs = pairs if bool(known.all()) else pairs.subset(known.nonzero()[:, 0])
    meetings = how_actions_meet(pairs)
    free = np.array([isinstance(one, OpenAction | JointAction) for one in pairs.actions])
    none = np.array([isinstance(one, NoAction) for one in pairs.actions]) | (meetings.still & free)
    if not (meetings.met | none).all() or none.all():
        return None
    simple = _groups(meetings.share, ~none)
    if not (free & ~none).any():
        return _placed(pairs, meetings, simple)
    choices = _choices(pairs, meetings, free, none)
    found = [one for group in choices if (one := _resolve(pairs, meetings, group, none))]
    if not found:
        choices = _one_for_all(choices[0], free & ~none)
        found = [one for group in choices if (one := _resolve(pairs, meetings, group, none))]
    if not found:
        return None
    least = min(one.cost for one in found)
    best = {one.targets: one for one in found if one.cost == least}
    if len(best) != 1:
        return None
    return next(iter(best.values())).actions


def _groups(share: np.ndarray, singles: np.ndarray) -> Labels:
    """Numbers the groups of single actions that share a slot; -1 for all other actions."""
    first, second = np.nonzero(share & singles & singles[:, None])
    found = connected(first, second, len(share))
    return _renumbered(np.where(singles, found, JOINT))


def _renumbered(group: Labels) -> Labels:
    """Numbers groups by their first action."""
    names = list(dict.fromkeys(group[group != JOINT].tolist()))
    return np.array([names.index(g) if g != JOINT else JOINT for g in group.tolist()])


def _alone(meetings: Meetings, free: np.ndarray) -> np.ndarray:
    """Actions that share slots only with such as share slots among themselves."""
    near = meetings.share | np.eye(len(free), dtype=bool)
    clique = [near[np.ix_(row, row)].all() for row in near]
    return np.array(clique) | ~free


def _choices(
    pairs: Transitions, meetings: Meetings, free: np.ndarray, none: np.ndarray
) -> list[Labels]:
    """Which actions may be the single ones: those of clear neighbours, or of short reach."""
    sizes = np.unique(meetings.reach[~none])
    singles = [_alone(meetings, free), *(~free | (meetings.reach <= size) for size in sizes)]
    groups = [_groups(meetings.share, one & ~none) for one in singles]
    tried = {tuple(g.tolist()): g for group in groups for g in _reduced(pairs, group)}
    return list(tried.values())


def _one_for_all(group: Labels, free: np.ndarray) -> list[Labels]:
    """All ways to let one action stand for its group, so that the others of it may be joint."""
    found = []
    for a in np.flatnonzero(free & (group != JOINT)):
        others = free & (group == group[a])
        others[a] = False
        if others.any():
            found.append(_renumbered(np.where(others, JOINT, group)))
    return found


def _reduced(pairs: Transitions, group: Labels) -> list[Labels]:
    """All ways to take some groups for joint that others could make up."""
    before, action, after = (t.numpy() for t in (pairs.before, pairs.action, pairs.after))
    owner, count = group[action], len(pairs.images)
    suspects = []
    for one in range(int(group.max()) + 1):
        rest = (owner != one) & (owner != JOINT)
        context = connected(before[rest], after[rest], count)
        mine = (owner == one) & (before != after)
        opened = all(
            isinstance(a, OpenAction | JointAction)
            for a, g in zip(pairs.actions, group, strict=True)
            if g == one
        )
        if opened and (context[before[mine]] == context[after[mine]]).mean() > RARE:
            suspects.append(one)
    most = len(suspects) if len(suspects) <= MOST_GROUPS else 2
    dropped = chain.from_iterable(combinations(suspects, n) for n in range(most + 1))
    return [_renumbered(np.where(np.isin(group, gone), JOINT, group)) for gone in dropped]


class _Resolved(NamedTuple):
    """One answer: fewer values are better, then fewer targets, then more slots."""

    cost: tuple[int, int, int]
    targets: tuple[tuple[int, ...], ...]
    actions: tuple[Action, ...]


def _resolve(
    pairs: Transitions, meetings: Meetings, group: Labels, none: np.ndarray
) -> _Resolved | None:
    """Finds the targets of all actions, given which of them move one slot each."""
    slots = int(group.max()) + 1
    if slots == 0:
        return None
    apart = (group[:, None] != group) & (group[:, None] != JOINT) & (group != JOINT)
    if not meetings.apart[apart].all():
        return None
    singles = _single_actions(pairs, meetings, group, none)
    linked = _link(pairs, singles, np.flatnonzero((group != JOINT) | none))
    if linked is None:
        return None
    codes = linked.codes.numpy()
    before, action, after = (t.numpy() for t in (pairs.before, pairs.action, pairs.after))
    targets: list[tuple[int, ...]] = []
    for a, one in enumerate(group):
        mine = action == a
        start, end = codes[before[mine]], codes[after[mine]]
        known = (start != OPEN) & (end != OPEN)
        if one != JOINT or none[a]:
            targets.append((int(one),) if one != JOINT else ())
            continue
        if known.mean(0).min() <= RARE:
            return None
        changes = ((start != end) & known).sum(0) / known.sum(0)
        targets.append(tuple(np.flatnonzero(changes > RARE).tolist()))
    kinds = _Kinds(codes, before, action, after, pairs.actions, tuple(targets))
    actions = tuple(
        kinds.joint(a, slots_moved) if group[a] == JOINT else kinds.single(a, singles[a])
        for a, slots_moved in enumerate(targets)
    )
    whole = _link(pairs, actions, np.arange(len(actions)))
    if whole is None or not _agree(targets, meetings.share):
        return None
    values = int((torch.maximum(whole.codes, whole.places).amax(0) + 1).sum())
    moved = sum(len(slots_moved) for slots_moved in targets)
    return _Resolved((values, moved, -slots), tuple(targets), actions)


def _agree(targets: list[tuple[int, ...]], share: np.ndarray) -> bool:
    """Whether all actions that move one slot alone, and the same one, were seen to share it."""
    sole = np.array([where[0] if len(where) == 1 else JOINT for where in targets])
    same = (sole[:, None] == sole) & (sole != JOINT) & ~np.eye(len(sole), dtype=bool)
    return bool(share[same].all())


def _link(pairs: Transitions, actions: tuple[Action, ...], chosen: Labels) -> LinkedCodes | None:
    """Links the codes of the pairs of some actions, where they do not contradict each other."""
    rows = torch.isin(pairs.action, torch.from_numpy(chosen))
    moved = [action.targets for a, action in enumerate(actions) if a in set(chosen.tolist())]
    if len(pairs.action[rows].unique()) < 2 or not any(moved):
        return None
    # Actions that are not looked at hold everything: none of their pairs is there.
    filled = tuple(
        action if a in set(chosen.tolist()) else NoAction(action.name)
        for a, action in enumerate(actions)
    )
    linked = link_codes(replace(pairs.subset(rows.nonzero()[:, 0]), actions=filled))
    wrong = linked.contradictions > RARE * linked.pairs or min(linked.cardinalities) < 2
    return None if wrong else linked


def _placed(pairs: Transitions, meetings: Meetings, group: Labels) -> tuple[Action, ...]:
    none = group == JOINT
    return _single_actions(pairs, meetings, group, none)


def _single_actions(
    pairs: Transitions, meetings: Meetings, group: Labels, none: np.ndarray
) -> tuple[Action, ...]:
    """Gives single actions their target, and shifts their direction; others are left open."""
    found: list[Action] = []
    for a, one in enumerate(pairs.actions):
        target = int(group[a])
        if none[a]:
            found.append(NoAction(one.name))
        elif isinstance(one, ShiftAction):
            peers = np.flatnonzero(group == target)
            b = next(int(p) for p in peers if isinstance(pairs.actions[p], ShiftAction))
            leader = pairs.actions[b]
            assert isinstance(leader, ShiftAction)
            way = 1 if a == b else orientation(meetings.leads, one, a, leader, b)
            found.append(replace(one, target=target, direction=way))
        elif isinstance(one, OpenAction | JointAction | NoAction):
            draws = StochasticAction(one.name, target)
            found.append(draws if target != JOINT else OpenAction(one.name))
        else:
            found.append(replace(one, target=target))
    return tuple(found)


class _Kinds(NamedTuple):
    """Tells the kind of open actions from the codes that they lead to."""

    codes: Labels
    before: Labels
    action: Labels
    after: Labels
    actions: tuple[Action, ...]
    targets: tuple[tuple[int, ...], ...]

    def single(self, a: int, one: Action) -> Action:
        """The kind of an action on one slot, where it was open."""
        opened = isinstance(self.actions[a], OpenAction | JointAction)
        return self.part(a, self.targets[a][0], one.name) if opened and self.targets[a] else one

    def joint(self, a: int, slots: tuple[int, ...]) -> Action:
        """The kind of an action that may move several slots."""
        name = self.actions[a].name
        if len(slots) == 1:
            return self.part(a, slots[0], name)
        if not slots:
            return NoAction(name)
        return JointAction(name, tuple(self.part(a, slot, f"{name} in {slot}") for slot in slots))

    def part(self, a: int, slot: int, name: str) -> SlotAction:
        """What an action does to one slot: one value to one, all values to one, or anything."""
        mine = self.action == a
        start, end = self.codes[self.before[mine], slot], self.codes[self.after[mine], slot]
        known = (start != OPEN) & (end != OPEN)
        moves = np.unique(np.stack([start[known], end[known]], 1), axis=0)
        starts, ends = (len(np.unique(column)) for column in moves.T)
        named = any(
            isinstance(other, SetAction) and slot in where
            for other, where in zip(self.actions, self.targets, strict=True)
        )
        if len(moves) and starts == ends == len(moves):
            return PermuteAction(name, slot)
        if ends == 1 and not named:
            return SetAction(name, slot, int(moves[0, 1]))
        return StochasticAction(name, slot)
