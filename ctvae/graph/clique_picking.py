"""Clique-Picking: how many ways a chordal graph can be directed without cycle or v-structure.

Sets of nodes are Python integers with one bit per node, so that they can be compared, intersected
and looked up at once. Users reach these counts through ``class_size`` and ``sample_member``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from random import Random
from typing import NamedTuple

__all__ = ["ChordalCounts", "bits", "connected_parts", "count_orders"]


class Pick(NamedTuple):
    """The orientations that begin with one maximal clique, and with none before it in the tree.

    Attributes:
        clique: Its nodes, as bits.
        barred: Subsets, growing, that belong to an earlier clique: no order begins with one.
        weight: How many orders of the clique begin with none of them.
        parts: What stays open once the clique comes first: connected sets of two nodes or more.
        blocks: The nodes after the clique in causal order; the nodes of one block are taken
            together.
    """

    clique: int
    barred: tuple[int, ...]
    weight: int
    parts: tuple[int, ...]
    blocks: tuple[int, ...]


class ChordalCounts:
    r"""Counts and draws the acyclic orientations of chordal graphs that have no v-structure.

    With :math:`\Pi` the maximal cliques of a connected chordal graph :math:`G`,

    .. math::

        \#(G) = \sum_{K \in \Pi} \phi(K) \prod_{H \in \mathcal{C}_G(K)} \#(H),

    where :math:`\mathcal{C}_G(K)` are the undirected components once K comes first, and
    :math:`\phi(K)` counts the orders of K that begin with no separator on the way from the root of
    the clique tree to K (these are counted at an earlier clique).

    Args:
        neighbours: For each node its neighbours, as bits; every connected set that is asked for
            must induce a chordal graph (not checked here).

    Example:
        >>> path = ChordalCounts([0b010, 0b101, 0b010])
        >>> path.size(0b111), path.size(0b011)
        (3, 2)

    Source: Wienoebst, Bannach and Liskiewicz (2021), Polynomial-time algorithms for counting and
    sampling Markov equivalent DAGs, theorem 2 and algorithm 2; (2023), JMLR 24, with applications.

    Cost: O(cliques^2 (nodes + edges)) for a graph; the counts of its parts are kept.
    """

    def __init__(self, neighbours: Sequence[int]) -> None:
        self._neighbours = tuple(neighbours)
        self._picks: dict[int, list[Pick]] = {}
        self._sizes: dict[int, int] = {}

    def size(self, part: int) -> int:
        """Counts the orientations of a connected part.

        Args:
            part: The nodes, as bits.

        Returns:
            The exact number, at least 1.
        """
        stack = [part]  # as deep as the largest clique, which may exceed Python's own stack
        while stack:
            top = stack[-1]
            if top in self._sizes:
                stack.pop()
                continue
            picks = self._picks_of(top)
            ahead = [part for pick in picks for part in pick.parts if part not in self._sizes]
            if ahead:
                stack += ahead
            else:
                self._sizes[top] = sum(map(self._worth, picks))
        return self._sizes[part]

    def draw(self, part: int, rng: Random) -> list[int]:
        """Draws one orientation of a connected part, each with the same probability.

        Args:
            part: The nodes, as bits.
            rng: Where the random numbers come from.

        Returns:
            All nodes of the part in a causal order that has this orientation.
        """
        found: list[int] = []
        stack = [part]
        while stack:
            top = stack.pop()
            if top.bit_count() == 1:
                found.append(top.bit_length() - 1)
                continue
            at = rng.randrange(self.size(top))
            for pick in self._picks_of(top):
                at -= self._worth(pick)
                if at < 0:
                    break
            found += _order_of(pick, rng)
            for block in reversed(pick.blocks):
                stack += connected_parts(self._neighbours, block)
        return found

    def _worth(self, pick: Pick) -> int:
        return pick.weight * math.prod(self._sizes[part] for part in pick.parts)

    def _picks_of(self, part: int) -> list[Pick]:
        if part not in self._picks:
            self._picks[part] = [
                self._pick(part, clique, barred)
                for clique, barred in _maximal_cliques(self._neighbours, part)
            ]
        return self._picks[part]

    def _pick(self, part: int, clique: int, barred: tuple[int, ...]) -> Pick:
        _, blocks = _search(self._neighbours, clique, part & ~clique)
        parts = tuple(
            open_part
            for block in blocks
            if block.bit_count() > 1
            for open_part in connected_parts(self._neighbours, block)
            if open_part.bit_count() > 1
        )
        weight = count_orders(clique.bit_count(), [one.bit_count() for one in barred])
        return Pick(clique, barred, weight, parts, tuple(blocks))


def count_orders(size: int, barred: Sequence[int]) -> int:
    """Counts the orders of a set that begin with none of a growing chain of its subsets.

    Args:
        size: The number of elements.
        barred: The sizes of the subsets, ascending, each below ``size``.

    Returns:
        The number of orders.

    Example:
        >>> count_orders(3, []), count_orders(3, [1]), count_orders(3, [1, 2])
        (6, 4, 3)

    Source: Wienoebst, Bannach and Liskiewicz (2021), proposition 2.
    """
    first: list[int] = []  # orders of each subset that begin with no smaller one
    for k, inner in enumerate([*barred, size]):
        taken = (first[i] * math.factorial(inner - barred[i]) for i in range(k))
        first.append(math.factorial(inner) - sum(taken))
    return first[-1]


def bits(mask: int) -> Iterator[int]:
    """Gives the nodes of a set, ascending.

    Args:
        mask: The set, as bits.

    Yields:
        The places of its ones.

    Example:
        >>> list(bits(0b1010))
        [1, 3]
    """
    while mask:
        lowest = mask & -mask
        yield lowest.bit_length() - 1
        mask ^= lowest


def connected_parts(neighbours: Sequence[int], mask: int) -> list[int]:
    """Splits a set of nodes into its connected parts.

    Args:
        neighbours: For each node its neighbours, as bits.
        mask: The set, as bits.

    Returns:
        The parts, as bits, by their smallest node.

    Example:
        >>> connected_parts([0b010, 0b101, 0b010], 0b101)
        [1, 4]
    """
    parts = []
    while mask:
        part, edge = 0, mask & -mask
        while edge:
            part |= edge
            reached = 0
            for node in bits(edge):
                reached |= neighbours[node]
            edge = reached & mask & ~part
        parts.append(part)
        mask &= ~part
    return parts


def _search(neighbours: Sequence[int], first: int, rest: int) -> tuple[list[int], list[int]]:
    # Lexicographic breadth-first search (the paper's algorithm 1): the nodes in visited order, and
    # for the nodes of ``rest`` the sets that no node before them tells apart.
    order, blocks, met = [], [], first
    cells = [cell for cell in (first, rest) if cell]
    while cells:
        lowest = cells[0] & -cells[0]
        node = lowest.bit_length() - 1
        order.append(node)
        if not lowest & met:
            blocks.append(cells[0])
            met |= cells[0]
        cells[0] ^= lowest
        split = []
        for cell in cells:
            near = cell & neighbours[node]
            if near:
                split.append(near)
            if near != cell:
                split.append(cell ^ near)
        cells = split
    return order, blocks


def _maximal_cliques(neighbours: Sequence[int], part: int) -> list[tuple[int, tuple[int, ...]]]:
    # The nodes of a rooted clique tree: each maximal clique, and the separators on the way to it
    # from the root that it contains (the paper's FP), growing.
    order, _ = _search(neighbours, 0, part)
    place = {node: k for k, node in enumerate(order)}
    cliques: list[int] = []
    parents: list[int] = []
    home: dict[int, int] = {}
    seen = 0
    for node in order:
        before = neighbours[node] & seen
        nearest = home[max(bits(before), key=place.__getitem__)] if before else -1
        if nearest >= 0 and cliques[nearest] == before:
            home[node] = nearest
        else:
            home[node] = len(cliques)
            cliques.append(before)
            parents.append(nearest)
        cliques[home[node]] |= 1 << node
        seen |= 1 << node
    found = []
    for at, clique in enumerate(cliques):
        barred, child = set(), at
        while parents[child] >= 0:
            separator = cliques[child] & cliques[parents[child]]
            if separator & ~clique == 0:
                barred.add(separator)
            child = parents[child]
        found.append((clique, tuple(sorted(barred, key=int.bit_count))))
    return found


def _order_of(pick: Pick, rng: Random) -> list[int]:
    # Of all orders of a clique at least a third begin with no barred subset, so that few are thrown
    # away: one subset of each size bars at most sum_k 1 / C(n, k) <= 2 / 3 of them.
    order = list(bits(pick.clique))
    while True:
        rng.shuffle(order)
        prefixes, so_far = set(), 0
        for node in order:
            so_far |= 1 << node
            prefixes.add(so_far)
        if prefixes.isdisjoint(pick.barred):
            return order
