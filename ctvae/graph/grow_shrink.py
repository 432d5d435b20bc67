"""Parents of slots within orders, by growing and shrinking, remembered in trees."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Int8

from ctvae.graph.knowledge import Constraints

__all__ = ["GrowShrink"]

WITHOUT_REQUIRED = 1e9
"""Nats taken off for each required parent that comes too late: finite, so that orders which put
fewer of them too late are better."""


@dataclass
class _Node:
    """A set of parents that was reached by adding the best one each time."""

    parents: int
    score: float
    branches: list[_Branch] | None = None
    shrunk: tuple[float, int] | None = None


@dataclass
class _Branch:
    added: int
    score: float
    node: _Node | None = field(default=None)


class GrowShrink:
    """Picks parents among the slots before one: adds the best while that helps, then removes.

    What was found for one prefix is remembered in a tree, of which prefixes that allow the same
    additions share a branch.

    Args:
        scores: Scores of parent sets of a child, sets as bits; asked for many at a time.
        constraints: Required and forbidden edges.

    Source: Andrews, Ramsey, Sanchez-Romero, Camchong and Kummerfeld (2023), Fast scalable and
    accurate discovery of DAGs using the best order score search and grow-shrink trees.
    """

    def __init__(
        self, scores: Callable[[int, Sequence[int]], Sequence[float]], constraints: Constraints
    ) -> None:
        self._scores = scores
        self._required = _bits(constraints.required)
        self._allowed = _bits(~constraints.forbidden)
        self._roots = [
            _Node(needed, scores(slot, [needed])[0]) for slot, needed in enumerate(self._required)
        ]

    def __len__(self) -> int:
        return len(self._roots)

    def best(self, slot: int, prefix: int) -> tuple[float, int]:
        """Picks the parents of a slot.

        Args:
            slot: The slot.
            prefix: The slots before it, as bits.

        Returns:
            Their score in nats and the parents, as bits.
        """
        node = self._roots[slot]
        missing = (self._required[slot] & ~prefix).bit_count()
        open_to = self._allowed[slot] & ~self._required[slot]
        while True:
            if node.branches is None:
                node.branches = self._grow(slot, node, open_to)
            for branch in node.branches:
                open_to &= ~(1 << branch.added)
                if prefix >> branch.added & 1:
                    if branch.node is None:
                        branch.node = _Node(node.parents | 1 << branch.added, branch.score)
                    node = branch.node
                    break
            else:
                if node.shrunk is None:
                    node.shrunk = self._shrink(slot, node)
                return node.shrunk[0] - WITHOUT_REQUIRED * missing, node.shrunk[1]

    def matrix(self, order: Sequence[int]) -> Int8[np.ndarray, "slots slots"]:
        """Gives the DAG of an order.

        Args:
            order: All slots.

        Returns:
            ``[i, j] = 1`` for i -> j.
        """
        found = np.zeros((len(order), len(order)), dtype=np.int8)
        prefix = 0
        for slot in order:
            parents = self.best(slot, prefix)[1]
            found[[k for k in order if parents >> k & 1], slot] = 1
            prefix |= 1 << slot
        return found

    def _grow(self, slot: int, node: _Node, open_to: int) -> list[_Branch]:
        adds = [k for k in range(len(self)) if open_to >> k & 1]
        scores = self._scores(slot, [node.parents | 1 << k for k in adds])
        found = [_Branch(k, s) for k, s in zip(adds, scores, strict=True) if s > node.score]
        return sorted(found, key=lambda branch: (-branch.score, branch.added))

    def _shrink(self, slot: int, node: _Node) -> tuple[float, int]:
        score, parents = node.score, node.parents
        while True:
            free = parents & ~self._required[slot]
            rest = [parents & ~(1 << k) for k in range(len(self)) if free >> k & 1]
            scores = self._scores(slot, rest)
            better = max(zip(scores, rest, strict=True), default=(score, parents))
            if better[0] <= score:
                return score, parents
            score, parents = better


def _bits(there: np.ndarray) -> list[int]:
    """For each column the rows that are true, as bits."""
    return [sum(1 << int(k) for k in np.flatnonzero(column)) for column in there.T]
