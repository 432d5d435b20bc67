"""Labels for unlabelled pairs, by how edits of different slots combine."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from jaxtyping import Int64

from ctvae.data.cells import Labels, connected
from ctvae.mechanisms.actions import (
    Action,
    JointAction,
    NoAction,
    OpenAction,
    PermuteAction,
    SetAction,
    ShiftAction,
)

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

    from ctvae.data.transitions import Transitions

__all__ = ["share_labels"]

UNKNOWN = -1
ENOUGH_MEETINGS = 40
"""Two kinds of edges that meet at fewer images are not judged: that they close no square by chance,
where half of the images are there, then has probability 1e-9."""
LEAST_SHARE = 0.02
"""Of a context: a smaller group of edges is no slot, a smaller cell of images no value."""
FEW_SQUARES = 0.1
"""Kinds of edges that close a square at a smaller share of their meetings move one slot."""
FEW_LABELS = 0.1
"""A smaller share of the labels of an action or of a change of value is taken for wrong."""


def share_labels(pairs: Transitions) -> Transitions:
    r"""Labels pairs whose action is not known, where images recur in several pairs.

    Edits of two slots commute, so that two pairs from one image, and the two that undo their order,
    close a square; its opposite sides are one action. Two edits of *one* slot never close one. So
    squares sort the pairs by slot before any label is looked at (the prime factors of a Cartesian
    product of graphs). Then all pairs between two values of a slot have one action, which any
    labelled one among them names; and where none does, a set action is named by the value it leads
    to, shifts and permutations by elimination: from one value, such an action leads to one other,
    and from no two values to one. Of an open action, its labelled pairs say which it is. A slot
    with actions of several of these kinds, or with random ones beside others, is left as it is,
    because one change of its value may have been any of them. Slots that joint actions move
    together count as one here.

    Args:
        pairs: Edits, with action -1 where it is not known.

    Returns:
        The same pairs, labelled as far as the labels reach; -1 elsewhere. Labels that were there
        stay.

    Example:
        >>> from ctvae.data import StepBy, mini_sprites, transition_pairs
        >>> whole = transition_pairs(mini_sprites(), StepBy())
        >>> few = whole.action.clone()
        >>> few[torch.arange(len(few)) % 100 != 0] = -1
        >>> shared = share_labels(replace(whole, action=few))
        >>> bool((shared.action == whole.action).all())
        True

    Source: Feigenbaum, Hershberger and Schaeffer (1985), A polynomial time algorithm for finding
    the prime factors of Cartesian-product graphs, whose relation this is.

    Cost: O(sum of squared degrees), with one sparse product of the pairs' graph with itself.
    """
    before, action, after = (t.cpu().numpy() for t in (pairs.before, pairs.action, pairs.after))
    if (action != UNKNOWN).all():
        return pairs
    count = len(pairs.images)
    action = _unmoved(before == after, action, pairs.actions)
    rows = np.flatnonzero(before != after)
    whole, (before, action, after) = action, (x[rows] for x in (before, action, after))
    low, high = np.minimum(before, after), np.maximum(before, after)
    keys, edge = np.unique(low * count + high, return_inverse=True)
    ends = np.stack([keys // count, keys % count], 1)
    factor = _same_actions(_factors(ends, _squares(ends, count), count)[edge], action)
    found, sure = action.copy(), factor != UNKNOWN
    for slot in np.unique(factor[sure]):
        mine, others = factor == slot, sure & (factor != slot)
        cell = connected(before[others], after[others], count)
        here, there = cell[before[mine]], cell[after[mine]]
        inside = _large(cell, ends, count)
        mine[mine] = inside[here] & inside[there]
        here, there = cell[before[mine]], cell[after[mine]]
        found[mine] = _complete(here, action[mine], there, pairs.actions)
    whole = whole.copy()
    whole[rows] = found
    return replace(pairs, action=torch.from_numpy(whole).to(pairs.action))


def _unmoved(still: np.ndarray, action: Labels, actions: tuple[Action, ...]) -> Labels:
    """Labels pairs of an image with itself, where only one action can have made them."""
    seen = set(action[still & (action != UNKNOWN)].tolist())
    seen |= {a for a, one in enumerate(actions) if isinstance(one, NoAction)}
    sole = seen.pop() if len(seen) == 1 else UNKNOWN
    return np.where(still & (action == UNKNOWN), sole, action)


class _Squares(NamedTuple):
    """Squares of a graph, and the two pairs of opposite sides of each, as rows of its edges."""

    first: Int64[np.ndarray, "squares 2"]
    second: Int64[np.ndarray, "squares 2"]


def _squares(ends: Labels, count: int) -> _Squares:
    """Finds the squares without diagonals whose opposite corners meet nowhere else."""
    graph = _adjacency(ends, count, np.ones(len(ends)))
    number = np.arange(count, dtype=np.float64)
    # Two corners that are no neighbours and have two neighbours in common: the sum of these and of
    # their squares gives both.
    common = (graph @ graph).tocoo()
    upper = (common.row < common.col) & (common.data == 2)
    rows, columns = common.row[upper].astype(np.int64), common.col[upper].astype(np.int64)
    apart = ~_is_edge(ends, rows, columns, count)
    rows, columns = rows[apart], columns[apart]
    total, squares = (
        _at(_adjacency(ends, count, np.ones(len(ends)), scale=number**power) @ graph, rows, columns)
        for power in (1, 2)
    )
    half = np.rint(np.sqrt(np.maximum(2 * squares - total**2, 0)))
    one, other = np.rint((total - half) / 2), np.rint((total + half) / 2)
    one, other = one.astype(np.int64), other.astype(np.int64)
    open_ = ~_is_edge(ends, one, other, count)
    y, z, x, w = (corner[open_] for corner in (rows, columns, one, other))
    sides = [_edge(ends, a, b, count) for a, b in ((x, y), (w, z), (x, z), (w, y))]
    return _Squares(np.stack(sides[:2], 1), np.stack(sides[2:], 1))


def _factors(ends: Labels, squares: _Squares, count: int) -> Labels:
    """Numbers the slots that edges move, -1 where squares do not tell."""
    opposite = np.concatenate([squares.first, squares.second])
    kind = connected(opposite[:, 0], opposite[:, 1], len(ends))
    kinds = int(kind.max()) + 1
    from scipy.sparse import coo_matrix

    member = np.concatenate([ends[:, 0], ends[:, 1]])
    incidence = coo_matrix(
        (np.ones(2 * len(ends)), (member, np.concatenate([kind, kind]))), shape=(count, kinds)
    ).tocsr()
    incidence.data[:] = 1
    meetings = (incidence.T @ incidence).tocoo()
    enough = (meetings.row < meetings.col) & (meetings.data >= ENOUGH_MEETINGS)
    a, b, met = meetings.row[enough], meetings.col[enough], meetings.data[enough]
    sides = kind[squares.first[:, 0]], kind[squares.second[:, 0]]
    corners = coo_matrix(
        (np.full(2 * len(sides[0]), 4.0), (np.concatenate(sides), np.concatenate(sides[::-1]))),
        shape=(kinds, kinds),
    ).tocsr()
    closed = _at(corners, a, b)
    alone = closed < FEW_SQUARES * met
    group = connected(a[alone].astype(np.int64), b[alone].astype(np.int64), kinds)[kind]
    # Edges that close no square with others are left out: they could bridge any two values.
    context = connected(ends[:, 0], ends[:, 1], count)[ends[:, 0]]
    size, around = np.bincount(group)[group], np.bincount(context)[context]
    established = (size >= LEAST_SHARE * around) & (size >= ENOUGH_MEETINGS)
    return np.where(established, group, UNKNOWN)


def _same_actions(factor: Labels, action: Labels) -> Labels:
    """Joins slots in which one action is seen: a circle of four values looks like two slots."""
    both = (factor != UNKNOWN) & (action != UNKNOWN)
    if not both.any():
        return factor
    table = np.zeros((int(factor.max()) + 1, int(action.max()) + 1))
    np.add.at(table, (factor[both], action[both]), 1)
    often = table > FEW_LABELS * table.sum(0)
    slots, labels = np.nonzero(often)
    joined = connected(slots, labels + len(table), sum(table.shape))
    return np.where(factor == UNKNOWN, UNKNOWN, joined[factor])


def _large(cell: Labels, ends: Labels, count: int) -> np.ndarray:
    """Which cells hold a fair share of their context; a small one may be a part of another."""
    context = connected(ends[:, 0], ends[:, 1], count)
    around = np.zeros(int(cell.max()) + 1, dtype=np.int64)
    around[cell] = np.bincount(context)[context]
    return np.asarray(np.bincount(cell) >= LEAST_SHARE * around)


def _complete(here: Labels, action: Labels, there: Labels, actions: tuple[Action, ...]) -> Labels:
    """The actions of one slot's pairs, from the cells they join and the labels among them."""
    moves, move = np.unique(np.stack([here, there], 1), axis=0, return_inverse=True)
    label = _vote(move.reshape(-1), action, len(moves), len(actions))
    several = _several(move.reshape(-1), action, len(moves))
    seen = np.unique(action[action != UNKNOWN])
    if len(seen) == 1 and not isinstance(actions[seen[0]], ShiftAction | SetAction):
        label = np.full_like(label, seen[0])
    elif len(seen) and _name_a_value(actions, seen, moves, label):
        goal = moves[:, 1]
        named = _vote(goal, label, int(goal.max()) + 1, len(actions))
        label = np.where(label == UNKNOWN, named[goal], label)
    elif len(seen) and _are_one_to_one(actions, seen, moves, label):
        label = _eliminate(moves, label, seen)
    else:
        return action
    # Where two actions do the same, a pair without a label may be of either.
    label = np.where(several, UNKNOWN, label)
    return np.where(action == UNKNOWN, label[move.reshape(-1)], action)


def _name_a_value(
    actions: tuple[Action, ...], seen: Labels, moves: Labels, label: Labels
) -> np.bool_ | bool:
    """Whether each of some actions leads to one value, wherever it starts."""
    if all(isinstance(actions[a], SetAction) for a in seen):
        return True
    goals = [len(np.unique(moves[label == a, 1])) for a in seen]
    opened = all(isinstance(actions[a], OpenAction) for a in seen)
    return opened and max(goals) == 1 and (np.bincount(label + 1)[1:] > 1).any()


def _are_one_to_one(
    actions: tuple[Action, ...], seen: Labels, moves: Labels, label: Labels
) -> bool:
    """Whether each of some actions leads from one value to one, and from no two to one."""
    if all(_is_one_to_one(actions[a]) for a in seen):
        return True
    ends = [moves[label == a].T for a in seen]
    opened = all(isinstance(actions[a], OpenAction) for a in seen)
    return opened and all(len(np.unique(e)) == len(e) for pair in ends for e in pair)


def _is_one_to_one(action: Action) -> bool:
    parts = action.parts if isinstance(action, JointAction) else (action,)
    return all(isinstance(part, ShiftAction | PermuteAction) for part in parts)


def _eliminate(moves: Labels, label: Labels, seen: Labels) -> Labels:
    """Names moves whose start has used up all actions but one, until nothing changes."""
    while True:
        starts, start = np.unique(moves[:, 0], return_inverse=True)
        goals, goal = np.unique(moves[:, 1], return_inverse=True)
        used = np.zeros((len(starts) + len(goals), len(seen)), dtype=bool)
        known = label != UNKNOWN
        place = np.searchsorted(seen, label[known])
        used[start[known], place] = True
        used[len(starts) + goal[known], place] = True
        free = ~(used[start] | used[len(starts) + goal])
        sure = ~known & (free.sum(1) == 1)
        if not sure.any():
            return label
        label = np.where(sure, seen[free.argmax(1)], label)


def _vote(group: Labels, label: Labels, groups: int, labels: int) -> Labels:
    """The most frequent known label of each group."""
    known = label != UNKNOWN
    votes = np.zeros((groups, labels), dtype=np.int64)
    np.add.at(votes, (group[known], label[known]), 1)
    return np.where(votes.any(1), votes.argmax(1), UNKNOWN)


def _several(group: Labels, label: Labels, groups: int) -> np.ndarray:
    """Groups in which two labels are seen, neither of them rarely."""
    known = label != UNKNOWN
    votes = np.zeros((groups, int(label.max()) + 2))
    np.add.at(votes, (group[known], label[known]), 1)
    return np.asarray((votes > FEW_LABELS * votes.sum(1, keepdims=True)).sum(1) > 1)


def _adjacency(
    ends: Labels, count: int, weights: np.ndarray, *, scale: np.ndarray | None = None
) -> csr_matrix:
    """A graph's matrix, its columns scaled."""
    from scipy.sparse import coo_matrix, diags

    both = np.concatenate([ends, ends[:, ::-1]])
    values = np.concatenate([weights, weights])
    graph = coo_matrix((values, (both[:, 0], both[:, 1])), shape=(count, count)).tocsr()
    return graph if scale is None else (graph @ diags(scale)).tocsr()


def _at(matrix: csr_matrix, rows: Labels, columns: Labels) -> np.ndarray:
    """Entries of a sparse matrix."""
    if not len(rows):
        return np.zeros(0)
    return np.asarray(matrix[rows, columns]).reshape(-1)


def _edge(ends: Labels, a: Labels, b: Labels, count: int) -> Labels:
    """The rows of edges, which are sorted."""
    keys = ends[:, 0] * count + ends[:, 1]
    place = np.searchsorted(keys, np.minimum(a, b) * count + np.maximum(a, b))
    return np.minimum(place, max(len(keys) - 1, 0))


def _is_edge(ends: Labels, a: Labels, b: Labels, count: int) -> np.ndarray:
    found = ends[_edge(ends, a, b, count)]
    return (found[:, 0] == np.minimum(a, b)) & (found[:, 1] == np.maximum(a, b))
