"""What an order of the slots is worth, and how much better each slot would stand elsewhere."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

__all__ = ["OrderWorth", "climb", "move", "resample"]

CLEAR_GAIN = 1e-9
"""Nats; smaller differences are rounding."""


class OrderWorth:
    r"""The worth of orders of the slots, a sum over slots.

    .. math:: W(\prec) = \sum_k t_k(\{c \in C_k : c \prec k\})

    where :math:`C_k` are the candidates to be parents of slot k, and :math:`t_k` is a table over
    their subsets. With the largest weight of a parent set within each subset this is the score of
    the best DAG that agrees with the order; with the log of the sum, the order's posterior.

    Args:
        candidates: The columns of each slot's candidates.
        tables: For each slot ``(2^candidates,)`` nats: entry S is for the candidates at the ones
            among S's bits.

    Source: Friedman and Koller (2003), Being Bayesian about network structure; Teyssier and Koller
    (2005), Ordering-based search.

    Cost: a slot's worth at all places is found in O(slots + candidates it has and is).
    """

    def __init__(
        self, candidates: Sequence[Sequence[int]], tables: Sequence[Float[np.ndarray, " subsets"]]
    ) -> None:
        self._candidates = [np.array(own, dtype=np.int64) for own in candidates]
        self._bits = [1 << np.arange(len(own)) for own in candidates]
        self._tables = tables
        self._listeners: list[list[tuple[int, int]]] = [[] for _ in candidates]
        for slot, own in enumerate(candidates):
            for bit, candidate in enumerate(own):
                self._listeners[candidate].append((slot, 1 << bit))

    def __len__(self) -> int:
        return len(self._candidates)

    def before(self, slot: int, place: Int[np.ndarray, " slots"]) -> int:
        """Gives the candidates of a slot that stand before it.

        Args:
            slot: The slot.
            place: The place of every slot in the order.

        Returns:
            The set, as bits.
        """
        return int(self._bits[slot][place[self._candidates[slot]] < place[slot]].sum())

    def total(self, place: Int[np.ndarray, " slots"]) -> float:
        """Gives the worth of an order.

        Args:
            place: The place of every slot.

        Returns:
            Nats.
        """
        return float(sum(t[self.before(k, place)] for k, t in enumerate(self._tables)))

    def by_place(self, slot: int, place: Int[np.ndarray, " slots"]) -> Float[np.ndarray, " slots"]:
        """Gives the worth of the orders in which one slot stands elsewhere.

        Args:
            slot: The slot that is moved; all others keep their order.
            place: The place of every slot.

        Returns:
            Nats for each place, up to what all places share.
        """
        others = place - (place > place[slot])  # the places among the others
        steps = np.zeros(len(self) + 1)
        own = others[self._candidates[slot]]
        turn = own.argsort()
        worth = self._tables[slot][np.concatenate(([0], self._bits[slot][turn].cumsum()))]
        steps[0] = worth[0]
        steps[own[turn] + 1] = np.diff(worth)
        for listener, bit in self._listeners[slot]:
            at = others[listener]
            known = others[self._candidates[listener]] < at
            rest = int(self._bits[listener][known].sum()) & ~bit
            table = self._tables[listener]
            gain = table[rest | bit] - table[rest]
            steps[0] += gain  # at any place up to the listener's the slot stands before it
            steps[at + 1] -= gain
        return steps[:-1].cumsum()


def move(place: Int[np.ndarray, " slots"], slot: int, to: int) -> Int[np.ndarray, " slots"]:
    """Moves one slot to another place.

    Args:
        place: The place of every slot.
        slot: The slot.
        to: Its new place.

    Returns:
        The new places.

    Example:
        >>> move(np.array([0, 1, 2]), 0, 2).tolist()
        [2, 0, 1]
    """
    others = place - (place > place[slot])
    moved = others + (others >= to)
    moved[slot] = to
    return moved


def climb(
    worth: OrderWorth, place: Int[np.ndarray, " slots"], generator: np.random.Generator
) -> Int[np.ndarray, " slots"]:
    """Moves slots to their best places until no single move helps.

    Args:
        worth: What orders are worth.
        place: Where to start.
        generator: For the sequence in which slots are tried.

    Returns:
        The places in a local optimum.

    Source: Teyssier and Koller (2005), with insertions in the place of swaps of neighbours.
    Cost: a few sweeps over the slots.
    """
    better = True
    while better:
        better = False
        for slot in generator.permutation(len(worth)):
            values = worth.by_place(slot, place)
            to = int(values.argmax())
            if values[to] > values[place[slot]] + CLEAR_GAIN:
                place, better = move(place, slot, to), True
    return place


def resample(
    worth: OrderWorth, place: Int[np.ndarray, " slots"], generator: np.random.Generator
) -> Int[np.ndarray, " slots"]:
    """Redraws the place of every slot once, given the order of the others.

    A sweep of Gibbs sampling: no proposal is refused, and orders in proportion to the exponential
    of their worth are its stationary law.

    Args:
        worth: What orders are worth: the log of the sum over parent sets.
        place: The places.
        generator: For the draws.

    Returns:
        New places.

    Source: Kuipers, Suter and Moffa (2022), Efficient sampling and structure learning of Bayesian
    networks, section 3, the move of one node.
    """
    for slot in generator.permutation(len(worth)):
        values = worth.by_place(slot, place)
        odds = np.exp(values - values.max()).cumsum()
        to = int(np.searchsorted(odds, generator.random() * odds[-1], side="right"))
        place = move(place, slot, min(to, len(odds) - 1))
    return place
