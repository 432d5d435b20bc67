"""DAGs drawn from a posterior, and how often one slot is a descendant of another in them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from graphlib import TopologicalSorter

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor

from ctvae.graph.order_moves import OrderWorth
from ctvae.graph.order_search import total_before, total_within
from ctvae.graph.parent_tables import ParentTables

__all__ = ["ParentMasks", "descendant_shares", "draw_dags", "draw_given_order"]

ParentMasks = tuple[int, ...]
"""A DAG: by slot its parents, as the ones among the bits of an integer."""


def draw_dags(
    weights: Float[Tensor, "slots subsets"], count: int, generator: np.random.Generator
) -> Counter[ParentMasks]:
    r"""Draws DAGs from the posterior of which ``edge_probabilities`` gives the edges.

    An order is drawn from its end, :math:`P(\text{k last of } C) \propto
    f(C \setminus k) \sum_{S \subseteq C \setminus k} w_k(S)`, f being the sum over all that comes
    before, and then every slot's parents among the slots before it.

    Args:
        weights: ``(slots, 2^slots)`` log weights of parent sets.
        count: How many.
        generator: For the draws.

    Returns:
        The DAGs, and how often each was drawn.

    Example:
        >>> import torch
        >>> w = torch.full((2, 4), -torch.inf, dtype=torch.float64)
        >>> w[0, 0] = w[1, 1] = 0.0  # slot 1 has the parent 0
        >>> draw_dags(w, 10, np.random.default_rng(0))
        Counter({(0, 1): 10})

    Source: Koivisto and Sood (2004), the sums; Friedman and Koller (2003), orders before DAGs.
    Cost: O(slots 2^slots) once, then each draw O(sets that are not ruled out).
    """
    slots, subsets = weights.shape
    within = total_within(weights.double())
    sums, before = within.cpu().numpy(), total_before(within).cpu().numpy()
    table = weights.double().cpu().numpy()
    possible = [np.flatnonzero(row > -np.inf) for row in table]
    every = np.arange(slots)
    left = np.full(count, subsets - 1)
    parents = np.zeros((count, slots), dtype=np.int64)
    for _ in range(slots):
        rest = left[:, None] & ~(1 << every)
        last = np.where(left[:, None] >> every & 1, before[rest] + sums[every, rest], -np.inf)
        chosen = _draw(last, generator)
        left = rest[np.arange(count), chosen]
        for slot in np.unique(chosen):
            rows, sets = np.flatnonzero(chosen == slot), possible[slot]
            inside = (sets & ~left[rows, None]) == 0
            parents[rows, slot] = sets[
                _draw(np.where(inside, table[slot, sets], -np.inf), generator)
            ]
    return Counter(map(tuple, parents.tolist()))


def draw_given_order(
    tables: ParentTables,
    orders: OrderWorth,
    place: Int[np.ndarray, " slots"],
    count: int,
    generator: np.random.Generator,
) -> Counter[ParentMasks]:
    """Draws DAGs that agree with an order, each slot's parents by their weight.

    Args:
        tables: The weights of every slot's parent sets.
        orders: The candidates, as ``tables.posterior()`` gives them.
        place: The place of each slot in the order.
        count: How many.
        generator: For the draws.

    Returns:
        The DAGs, and how often each was drawn.

    Cost: one pass over every slot's table.
    """
    columns = []
    for slot, table in enumerate(tables.weights):
        allowed = orders.before(slot, place)
        inside = (np.arange(len(table)) & ~allowed) == 0
        mass = np.exp(np.where(inside, table - table[inside].max(), -np.inf)).cumsum()
        chosen = np.searchsorted(mass, generator.random(count) * mass[-1], side="right")
        masks = {s: sum(1 << c for c in tables.columns(slot, s)) for s in set(chosen.tolist())}
        columns.append([masks[s] for s in chosen.tolist()])
    return Counter(zip(*columns, strict=True))


def descendant_shares(dags: Mapping[ParentMasks, int]) -> Float[np.ndarray, "slots slots"]:
    """Says in which share of some DAGs a slot is a descendant of another.

    Args:
        dags: DAGs over the same slots, one at least, and how often each counts.

    Returns:
        ``[i, j]`` the share in which there is a directed path from i to j; zeros on the diagonal.

    Example:
        >>> descendant_shares({(0, 1, 2): 3, (0, 0, 0): 1})[0].tolist()  # 0 -> 1 -> 2, or nothing
        [0.0, 0.75, 0.75]

    Cost: O(edges + slots^2 / 8) a DAG.
    """
    slots = len(next(iter(dags)))
    width = (slots + 7) // 8
    total = np.zeros((slots, slots))
    for parents, times in dags.items():
        known = [_columns(mask) for mask in parents]
        above = [0] * slots
        for slot in TopologicalSorter(dict(enumerate(known))).static_order():
            for parent in known[slot]:
                above[slot] |= above[parent] | 1 << parent
        rows = np.frombuffer(b"".join(mask.to_bytes(width, "little") for mask in above), np.uint8)
        bits = np.unpackbits(rows.reshape(slots, width), axis=1, count=slots, bitorder="little")
        total[bits.T.astype(bool)] += times
    return total / sum(dags.values())


def _draw(
    weights: Float[np.ndarray, "draws choices"], generator: np.random.Generator
) -> Int[np.ndarray, " draws"]:
    """Draws one choice a row; a weight of minus infinity is never drawn."""
    mass = np.exp(weights - weights.max(1, keepdims=True)).cumsum(1)
    return (mass > generator.random((len(mass), 1)) * mass[:, -1:]).argmax(1)


def _columns(mask: int) -> list[int]:
    """Lists the ones among the bits of an integer."""
    found = []
    while mask:
        found.append((mask & -mask).bit_length() - 1)
        mask &= mask - 1
    return found
