"""Relaxing an order by tucks, the moves of GRaSP."""

from __future__ import annotations

import numpy as np

from ctvae.graph.grow_shrink import GrowShrink

__all__ = ["relax_by_tucks"]

CLEAR_GAIN = 1e-6
"""Nats; smaller differences count as none."""

Flips = frozenset[tuple[int, int]]


def relax_by_tucks(
    trees: GrowShrink, start: list[int], generator: np.random.Generator, *, depth: int
) -> list[int]:
    """Tucks slots before their parents while that raises the score, also after equal steps.

    Args:
        trees: The parents of slots within orders.
        start: An order of all slots.
        generator: Decides in which order tucks are tried.
        depth: How many tucks in turn may leave the score as it is.

    Returns:
        An order that no such sequence of tucks makes better.

    Source: Lam, Andrews and Ramsey (2022), GRaSP_2.
    """
    order = start
    while True:
        better = _search(trees, order, generator, [], depth)
        if better is None:
            return order
        order = better


def _search(
    trees: GrowShrink,
    order: list[int],
    generator: np.random.Generator,
    history: list[Flips],
    depth: int,
) -> list[int] | None:
    """Looks for tucks that raise the score; after the first, only edges between covered pairs."""
    parents = _parents(trees, order)
    for place in generator.permutation(len(order)).tolist():
        y = order[place]
        sources = [k for k in order[:place] if parents[y] >> k & 1]
        for index in generator.permutation(len(sources)).tolist():
            x = sources[index]
            covered = parents[x] | 1 << x == parents[y]
            if history and not covered:
                continue
            start = order.index(x)
            tucked = _tuck(order, start, place, parents)
            gain = _worth(trees, tucked, start, place) - _worth(trees, order, start, place)
            if gain > CLEAR_GAIN:
                return tucked
            if gain > -CLEAR_GAIN and depth > 1:
                flipped = (history[-1] if history else frozenset()) ^ _turned(
                    trees, tucked, x, parents[x]
                )
                if flipped and flipped not in history:
                    found = _search(trees, tucked, generator, [*history, flipped], depth - 1)
                    if found is not None:
                        return found
    return None


def _parents(trees: GrowShrink, order: list[int]) -> dict[int, int]:
    found, prefix = {}, 0
    for slot in order:
        found[slot] = trees.best(slot, prefix)[1]
        prefix |= 1 << slot
    return found


def _tuck(order: list[int], start: int, end: int, parents: dict[int, int]) -> list[int]:
    """Moves the slot at ``end``, and its ancestors that stand between, before that at ``start``."""
    above = 1 << order[end]
    for slot in order[end:start:-1]:
        if above >> slot & 1:
            above |= parents[slot]
    between = order[start : end + 1]
    first = [k for k in between[1:] if above >> k & 1]
    rest = [k for k in between if k not in first]
    return [*order[:start], *first, *rest, *order[end + 1 :]]


def _worth(trees: GrowShrink, order: list[int], start: int, end: int) -> float:
    prefix = sum(1 << k for k in order[:start])
    total = 0.0
    for slot in order[start : end + 1]:
        total += trees.best(slot, prefix)[0]
        prefix |= 1 << slot
    return total


def _turned(trees: GrowShrink, order: list[int], x: int, before: int) -> Flips:
    """The pairs that a tuck turned: the new parents of the slot that others were tucked before."""
    prefix = sum(1 << k for k in order[: order.index(x)])
    fresh = trees.best(x, prefix)[1] & ~before
    return frozenset((min(x, k), max(x, k)) for k in order if fresh >> k & 1)
