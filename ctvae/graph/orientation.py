"""Which end of each edge stands above the other in a drawing."""

from __future__ import annotations

from collections.abc import Sequence

from ctvae.graph.marks import Edge

__all__ = ["point_down"]


def point_down(
    names: Sequence[str], edges: Sequence[Edge], loose: Sequence[Edge] = ()
) -> list[Edge]:
    """Turns edges so that they form no cycle.

    Args:
        names: The nodes; the order breaks ties.
        edges: Pairs ``(a, b)``, a above b; one that closes a cycle with those before it is turned.
        loose: Pairs that may stand either way. They follow the edges, and among nodes that these
            leave open, go outwards from the node with the most neighbours.

    Returns:
        Each pair once, in the order of names.

    Example:
        >>> point_down("abc", [("a", "b"), ("b", "c"), ("c", "a")])
        [('a', 'b'), ('a', 'c'), ('b', 'c')]
        >>> point_down("abc", [], loose=[("a", "b"), ("b", "c")])
        [('b', 'a'), ('b', 'c')]

    Cost: O(nodes * (nodes + edges)).
    """
    number = {name: k for k, name in enumerate(names)}
    firm = _without_cycles(len(names), [(number[a], number[b]) for a, b in edges])
    open_ends = [(number[a], number[b]) for a, b in loose]
    place = {node: k for k, node in enumerate(_order(len(names), firm, open_ends))}
    turned = ((a, b) if place[a] < place[b] else (b, a) for a, b in [*firm, *open_ends])
    return [(names[a], names[b]) for a, b in sorted(set(turned))]


def _without_cycles(size: int, edges: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    below = [1 << k for k in range(size)]  # bit sets of what can be reached
    kept: dict[tuple[int, int], None] = {}
    for a, b in edges:
        top, bottom = (b, a) if below[b] >> a & 1 else (a, b)
        kept[top, bottom] = None
        reached = below[bottom]
        below = [reach | reached if reach >> top & 1 else reach for reach in below]
    return list(kept)


def _order(
    size: int, firm: Sequence[tuple[int, int]], loose: Sequence[tuple[int, int]]
) -> list[int]:
    parents: list[set[int]] = [set() for _ in range(size)]
    near: list[set[int]] = [set() for _ in range(size)]
    for a, b in firm:
        parents[b].add(a)
    for a, b in [*firm, *loose]:
        near[a].add(b)
        near[b].add(a)
    order: list[int] = []
    first: dict[int, int] = {}  # node to the place of its first neighbour
    left = set(range(size))
    while left:
        ready = [node for node in left if not parents[node] & left]
        node = min(ready, key=lambda k: (first.get(k, size), -len(near[k]), k))
        left.remove(node)
        for other in near[node]:
            first.setdefault(other, len(order))
        order.append(node)
    return order
