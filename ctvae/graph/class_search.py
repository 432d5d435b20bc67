"""Greedy search over Markov equivalence classes: the operators of GES, scored many at a time.

Sets of slots are the bits of integers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Int8

from ctvae.graph import equivalence
from ctvae.graph.knowledge import Constraints

__all__ = ["Gains", "greedy_equivalence_search"]

Gains = Callable[[int, Sequence[int]], Sequence[float]]
"""Takes a child and parent sets, as bits, and gives their scores in nats."""
CLEAR_GAIN = 1e-9
"""Nats; smaller differences are rounding."""


class _Move(NamedTuple):
    """An operator on the pair x, y: an edge into y, or out of the graph.

    ``before`` and ``after`` are the parents of y in a DAG of the class before and after it;
    ``turned`` are the neighbours of y whose edges it directs; ``shield`` must block every way
    along which an edge x -> y would close a cycle.
    """

    x: int
    y: int
    before: int
    after: int
    turned: int
    shield: int


class _Class:
    """A CPDAG as bits: parents, neighbours and adjacent slots of each slot."""

    def __init__(self, matrix: Int8[np.ndarray, "slots slots"]) -> None:
        there = matrix.astype(bool)
        self.matrix = matrix
        self.size = len(matrix)
        self.parents = _columns(there & ~there.T)
        self.children = _columns((there & ~there.T).T)
        self.neighbours = _columns(there & there.T)
        self.adjacent = _columns(there | there.T)

    def is_clique(self, slots: int) -> bool:
        return all(slots & ~(self.adjacent[k] | 1 << k) == 0 for k in _members(slots))

    def reaches(self, source: int, goal: int, shield: int) -> bool:
        """Whether a way along edges, none against its arrow, avoids the shield."""
        seen, stack = shield | 1 << source, [source]
        while stack:
            k = stack.pop()
            fresh = (self.children[k] | self.neighbours[k]) & ~seen
            if fresh >> goal & 1:
                return True
            seen |= fresh
            stack.extend(_members(fresh))
        return False

    def insertions(self, x: int, y: int) -> Iterator[_Move]:
        """The operators Insert(x, y, T) whose new neighbours and parents form a clique."""
        shared = self.neighbours[y] & self.adjacent[x]
        if not self.is_clique(shared):
            return
        open_to = self.neighbours[y] & ~self.adjacent[x]
        stack = [(0, open_to)]
        while stack:
            turned, rest = stack.pop()
            base = shared | turned
            before = base | self.parents[y]
            yield _Move(x, y, before, before | 1 << x, turned, base)
            for k in _members(rest):
                rest &= ~(1 << k)
                if base & ~self.adjacent[k] == 0:
                    stack.append((turned | 1 << k, rest & self.adjacent[k]))

    def deletions(self, x: int, y: int) -> Iterator[_Move]:
        """The operators Delete(x, y, H) that leave a clique."""
        shared = self.neighbours[y] & self.adjacent[x]
        stack = [(0, shared)]  # what stays is grown, clique by clique
        while stack:
            stays, rest = stack.pop()
            after = (stays | self.parents[y]) & ~(1 << x)
            yield _Move(x, y, after | 1 << x, after, shared & ~stays, 0)
            for k in _members(rest):
                rest &= ~(1 << k)
                if stays & ~self.adjacent[k] == 0:
                    stack.append((stays | 1 << k, rest & self.adjacent[k]))

    def around(self, x: int, y: int) -> tuple[int, ...]:
        """All that the operators on a pair and their scores depend on, but for other ways."""
        near = self.neighbours[y]
        return (
            self.parents[y],
            near,
            self.adjacent[x] & near,
            *(self.adjacent[k] & near for k in _members(near)),
        )


def greedy_equivalence_search(
    slots: int, scores: Gains, constraints: Constraints
) -> Int8[np.ndarray, "slots slots"]:
    """Adds edges to the empty class while that helps most, then takes edges away.

    With knowledge the search starts from the class of the required edges and visits only classes
    of which some member obeys; the class found is then directed as far as the knowledge tells.

    With a score that is the same for all members of a class, and enough rows, the class found is
    the true one. Among equal gains the operator on the first pair of columns is taken.

    Args:
        slots: The number of slots.
        scores: Scores of parent sets of a child; asked for many at a time.
        constraints: Required and forbidden edges.

    Returns:
        The CPDAG, ``[i, j] = 1`` for i -> j and ones both ways for i - j; with knowledge that
        directs more, an MPDAG.

    Source: Chickering (2002), Optimal structure identification with greedy search.
    Cost: each step scores the operators of the pairs whose surroundings changed; exponential in
    the number of neighbours that form cliques, at worst.
    """
    matrix = equivalence.to_cpdag(constraints.required.astype(np.int8))
    pairs = [(x, y) for x in range(slots) for y in range(slots) if x != y]
    for adding in (True, False):
        known: dict[tuple[int, int], tuple[tuple[int, ...], list[tuple[float, _Move]]]] = {}
        while True:
            state = _Class(matrix)
            moves = _moves(state, pairs, scores, known, adding=adding)
            legal = (move for _, move in moves if not adding or _is_legal(state, move))
            after = (_apply(state, move, adding=adding) for move in legal)
            best = next((m for m in after if direct_by_knowledge(m, constraints) is not None), None)
            if best is None:
                break
            matrix = best
    known_too = direct_by_knowledge(matrix, constraints)
    assert known_too is not None, "the search visits only classes that obey"
    return known_too


def direct_by_knowledge(
    matrix: Int8[np.ndarray, "slots slots"], constraints: Constraints
) -> Int8[np.ndarray, "slots slots"] | None:
    """Directs the edges of a class as far as knowledge tells.

    Args:
        matrix: A CPDAG.
        constraints: Required and forbidden edges.

    Returns:
        The MPDAG of the members that obey, or ``None`` where none does.

    Source: Meek (1995), Causal inference and causal explanation with background knowledge.
    """
    there = matrix.astype(bool)
    if (constraints.required & ~there).any() or (there & ~there.T & constraints.forbidden).any():
        return None
    if not constraints.directs and not (there & constraints.forbidden).any():
        return matrix
    closed = equivalence.close_under_meek((there & ~constraints.forbidden).astype(np.int8))
    directed = (closed & (1 - closed.T)).astype(bool)
    lost = ((closed | closed.T) != (matrix | matrix.T)).any()
    if lost or (directed & constraints.forbidden).any():
        return None
    extension = equivalence.consistent_extension(closed)
    same = extension is not None and np.array_equal(equivalence.to_cpdag(extension), matrix)
    return closed if same else None


def _moves(
    state: _Class,
    pairs: Sequence[tuple[int, int]],
    scores: Gains,
    known: dict[tuple[int, int], tuple[tuple[int, ...], list[tuple[float, _Move]]]],
    *,
    adding: bool,
) -> list[tuple[float, _Move]]:
    """All operators that gain something, the best first; scored anew where things changed."""
    asked: dict[int, list[tuple[tuple[int, int], _Move]]] = {}
    there = []
    for x, y in pairs:
        joined = state.adjacent[y] >> x & 1
        if joined == adding or (
            not adding and not (state.parents[y] | state.neighbours[y]) >> x & 1
        ):
            known.pop((x, y), None)
            continue
        there.append((x, y))
        around = state.around(x, y)
        if (x, y) in known and known[x, y][0] == around:
            continue
        known[x, y] = (around, [])
        found = state.insertions(x, y) if adding else state.deletions(x, y)
        asked.setdefault(y, []).extend(((x, y), move) for move in found)
    for y, operators in asked.items():
        sets = list(dict.fromkeys(s for _, move in operators for s in (move.before, move.after)))
        worth = dict(zip(sets, scores(y, sets), strict=True))
        for pair, move in operators:
            gain = worth[move.after] - worth[move.before]
            if gain > CLEAR_GAIN:
                known[pair][1].append((gain, move))
    moves = [one for pair in there for one in known[pair][1]]
    return sorted(moves, key=lambda one: (-one[0], one[1].x, one[1].y, one[1].turned))


def _is_legal(state: _Class, move: _Move) -> bool:
    return not state.reaches(move.y, move.x, move.shield)


def _apply(state: _Class, move: _Move, *, adding: bool) -> Int8[np.ndarray, "slots slots"]:
    matrix = state.matrix.copy()
    x, y = move.x, move.y
    if adding:
        matrix[x, y] = 1
        for k in _members(move.turned):
            matrix[y, k] = 0
    else:
        matrix[x, y] = matrix[y, x] = 0
        for k in _members(move.turned):
            matrix[k, y] = 0  # y -> k
            if matrix[x, k] and matrix[k, x]:
                matrix[k, x] = 0  # x -> k
    extension = equivalence.consistent_extension(matrix)
    assert extension is not None, "a valid operator leaves a class"
    return equivalence.to_cpdag(extension)


def _members(slots: int) -> Iterator[int]:
    while slots:
        lowest = slots & -slots
        yield lowest.bit_length() - 1
        slots ^= lowest


def _columns(there: np.ndarray) -> list[int]:
    """For each column the rows that are true, as bits."""
    return [sum(1 << int(k) for k in np.flatnonzero(column)) for column in there.T]
