"""Labels for unlabelled pairs, by how edits of different slots combine."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from jaxtyping import Int64

from ctvae.data.cells import Labels, connected
from ctvae.mechanisms.actions import Action, SetAction

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


def share_labels(pairs: Transitions) -> Transitions:
    r"""Labels pairs whose action is not known, where images recur in several pairs.

    Edits of two slots commute, so that two pairs from one image, and the two that undo their order,
    close a square; its opposite sides are one action. Two edits of *one* slot never close one. So
    squares sort the pairs by slot before any label is looked at (the prime factors of a Cartesian
    product of graphs). Then all pairs between two values of a slot have one action, which any
    labelled one among them names; and where none does, a set action is named by the value it leads
    to, and other actions by elimination: from one value, an action leads to one other.

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
    low, high = np.minimum(before, after), np.maximum(before, after)
    keys, edge = np.unique(low * count + high, return_inverse=True)
    ends = np.stack([keys // count, keys % count], 1)
    factor = _factors(ends, _squares(ends, count), count)[edge]
    found, sure = action.copy(), factor != UNKNOWN
    for slot in np.unique(factor[sure]):
        mine, others = factor == slot, sure & (factor != slot)
        cell = connected(before[others], after[others], count)
        here, there = cell[before[mine]], cell[after[mine]]
        inside = _large(cell, ends, count)
        mine[mine] = inside[here] & inside[there]
        here, there = cell[before[mine]], cell[after[mine]]
        found[mine] = _complete(here, action[mine], there, pairs.actions)
    return replace(pairs, action=torch.from_numpy(found).to(pairs.action))


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
    sets = np.array([isinstance(one, SetAction) for one in actions])
    seen = np.unique(action[action != UNKNOWN])
    if len(seen) and sets[seen].all():
        goal = moves[:, 1]
        named = _vote(goal, label, int(goal.max()) + 1, len(actions))
        label = np.where(label == UNKNOWN, named[goal], label)
    elif len(seen):
        label = _eliminate(moves, label, seen)
    return np.where(action == UNKNOWN, label[move.reshape(-1)], action)


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
