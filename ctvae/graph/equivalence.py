"""Markov equivalence on adjacency matrices: v-structures, Meek's rules, consistent extensions.

The matrices follow the library's one convention: ``A[i, j] = 1`` is ``i -> j``, and ones both
ways are ``i - j``. Users reach these functions through the methods of ``CausalGraph``.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Int8

__all__ = [
    "close_under_meek",
    "consistent_extension",
    "is_cpdag",
    "is_mpdag",
    "to_cpdag",
    "to_i_cpdag",
    "v_structures",
]

Adjacency = Int8[np.ndarray, "nodes nodes"]


def _split(adjacency: Adjacency) -> tuple[np.ndarray, np.ndarray]:
    there = np.asarray(adjacency).astype(bool)
    return there & ~there.T, there & there.T


def v_structures(adjacency: Adjacency) -> Bool[np.ndarray, "nodes nodes"]:
    """Marks the directed edges that take part in an unshielded collider.

    Args:
        adjacency: ``(nodes, nodes)`` matrix of a DAG or PDAG.

    Returns:
        ``(nodes, nodes)`` booleans, true at ``[i, j]`` where ``i -> j <- k`` with ``i`` and ``k``
        not adjacent for some ``k``.

    Example:
        >>> v_structures(np.array([[0, 0, 1], [0, 0, 1], [0, 0, 0]], dtype=np.int8)).sum()
        np.int64(2)

    Source: Verma and Pearl (1990), Equivalence and synthesis of causal models.

    Cost: O(nodes^3) in one matrix product.
    """
    directed, undirected = _split(adjacency)
    apart = ~(directed | directed.T | undirected)
    np.fill_diagonal(apart, val=False)
    return directed & (apart.astype(np.float32) @ directed.astype(np.float32) > 0)


def close_under_meek(adjacency: Adjacency) -> Adjacency:
    """Orients every undirected edge that Meek's four rules compel.

    Rules 1 to 3 suffice for the CPDAG of a DAG; rule 4 matters once edges are directed by
    background knowledge or interventions.

    Args:
        adjacency: ``(nodes, nodes)`` matrix of a PDAG.

    Returns:
        A new matrix ``(nodes, nodes)``, int8, closed under the rules; an edge that the rules
        would orient both ways (no consistent extension exists) stays undirected.

    Example:
        >>> chain = np.array([[0, 1, 0], [0, 0, 1], [0, 1, 0]], dtype=np.int8)
        >>> close_under_meek(chain).tolist()  # 0 -> 1 - 2 with 0 and 2 not adjacent
        [[0, 1, 0], [0, 0, 1], [0, 0, 0]]

    Source: Meek (1995), Causal inference and causal explanation with background knowledge,
    section 2.1.

    Cost: O(nodes^3) a round, at most one round per edge.
    """
    directed, undirected = _split(adjacency)
    adjacent = directed | undirected | directed.T
    apart = (~adjacent).astype(np.float32)  # integers have no fast matrix product
    np.fill_diagonal(apart, 0)
    while undirected.any():
        compelled = undirected & _meek_round(directed, undirected, adjacent, apart)
        compelled &= ~compelled.T
        if not compelled.any():
            break
        directed |= compelled
        undirected &= ~(compelled | compelled.T)
    return (directed | undirected).astype(np.int8)


def _meek_round(
    directed: np.ndarray, undirected: np.ndarray, adjacent: np.ndarray, apart: np.ndarray
) -> np.ndarray:
    d, u = directed.astype(np.float32), undirected.astype(np.float32)
    rule_1 = d.T @ apart > 0  # k -> i - j, k and j apart
    rule_2 = d @ d > 0  # i -> k -> j
    compelled = rule_1 | rule_2
    for j in range(len(d)):
        parents = np.flatnonzero(directed[:, j])
        if not len(parents):
            continue
        to_parents = u[:, parents]  # rule 3: i - k -> j <- l - i, k and l apart
        rule_3 = ((to_parents @ apart[np.ix_(parents, parents)]) * to_parents).any(1)
        two_steps = (u * apart[:, j]) @ d[:, parents]  # rule 4: i - l -> k -> j, l and j apart
        rule_4 = ((two_steps > 0) & adjacent[:, parents]).any(1)
        compelled[:, j] |= rule_3 | rule_4
    return compelled


def to_cpdag(
    adjacency: Adjacency, *, directed: Bool[np.ndarray, "nodes nodes"] | None = None
) -> Adjacency:
    """Gives the completed PDAG of a DAG: the edges that all Markov-equivalent DAGs share.

    With ``directed``, the smaller class of those members that agree on some edges: under
    interventions on known targets those are the edges of which some regime sets exactly one end.

    Args:
        adjacency: ``(nodes, nodes)`` matrix of a DAG (not checked here).
        directed: ``(nodes, nodes)`` booleans, true at the pairs whose direction is known;
            ``None`` for none.

    Returns:
        ``(nodes, nodes)`` int8; ones both ways where the class holds both directions.

    Example:
        >>> to_cpdag(np.array([[0, 1], [0, 0]], dtype=np.int8)).tolist()
        [[0, 1], [1, 0]]

    Source: Verma and Pearl (1990); Meek (1995); Hauser and Buehlmann (2012), Characterization and
    greedy learning of interventional Markov equivalence classes, theorem 10.

    Cost: O(nodes^3) a round of Meek's rules.
    """
    there = np.asarray(adjacency).astype(bool)
    compelled = v_structures(adjacency)
    if directed is not None:
        compelled |= there & directed
    reversible = there & ~compelled
    return close_under_meek((compelled | reversible | reversible.T).astype(np.int8))


def to_i_cpdag(adjacency: Adjacency, targets: Bool[np.ndarray, "regimes nodes"]) -> Adjacency:
    """Gives the edges that all DAGs share which interventions cannot tell from this one.

    An edge of which some regime acts on exactly one end keeps its direction.

    Args:
        adjacency: ``(nodes, nodes)`` matrix of a DAG (not checked here).
        targets: True where a regime acts on a node; all false for observational rows.

    Returns:
        ``(nodes, nodes)`` int8; ones both ways where the class holds both directions.

    Example:
        >>> edge = np.array([[0, 1], [0, 0]], dtype=np.int8)
        >>> to_i_cpdag(edge, np.array([[False, True]])).tolist()
        [[0, 1], [0, 0]]

    Source: Hauser and Buehlmann (2012), theorem 10.
    """
    acted = targets.astype(np.float32)
    alone = acted.T @ (1 - acted)
    return to_cpdag(adjacency, directed=alone + alone.T > 0)


def consistent_extension(adjacency: Adjacency) -> Adjacency | None:
    """Directs every undirected edge without a cycle and without a new v-structure.

    Args:
        adjacency: ``(nodes, nodes)`` matrix of a PDAG.

    Returns:
        The matrix of one DAG, int8 (the same one at every call), or ``None`` where no DAG
        extends the graph.

    Example:
        >>> consistent_extension(np.array([[0, 1], [1, 0]], dtype=np.int8)).tolist()
        [[0, 0], [1, 0]]

    Source: Dor and Tarsi (1992), A simple algorithm to construct a consistent extension of a
    partially oriented graph.

    Cost: O(nodes^4) at worst.
    """
    directed, undirected = _split(adjacency)
    result = directed.copy()
    left = np.ones(len(result), dtype=bool)
    while left.any():
        sink = _find_sink(directed & left & left[:, None], undirected & left & left[:, None], left)
        if sink is None:
            return None
        result[:, sink] |= undirected[:, sink] & left
        left[sink] = False
    return result.astype(np.int8)


def _find_sink(directed: np.ndarray, undirected: np.ndarray, left: np.ndarray) -> int | None:
    # a node that may come last: nothing leaves it and no new v-structure would enter it
    adjacent = directed | directed.T | undirected
    for node in np.flatnonzero(left & ~directed.any(1)):
        friends = np.flatnonzero(undirected[node])
        around = np.flatnonzero(adjacent[node])
        block = adjacent[np.ix_(friends, around)] | (friends[:, None] == around)
        if block.all():
            return int(node)
    return None


def is_cpdag(adjacency: Adjacency) -> bool:
    """Says whether a graph is the completed PDAG of some DAG.

    A graph closed under Meek's rules may still fail (for instance an undirected 4-cycle, or
    orientations that only background knowledge justifies); this test is strict.

    Args:
        adjacency: ``(nodes, nodes)`` matrix.

    Returns:
        True when a DAG extends it and has it as its CPDAG.

    Example:
        >>> is_cpdag(np.array([[0, 1], [0, 0]], dtype=np.int8))
        False
    """
    extension = consistent_extension(adjacency)
    return extension is not None and bool(np.array_equal(to_cpdag(extension), adjacency))


def is_mpdag(adjacency: Adjacency) -> bool:
    """Says whether a graph is directed as far as it can be, and holds the DAGs that agree with it.

    Such a graph is part of a Markov equivalence class: its members share skeleton, v-structures
    and directed edges, and on every undirected edge they disagree. A CPDAG is one, and a DAG.

    Args:
        adjacency: ``(nodes, nodes)`` matrix.

    Returns:
        True when a DAG extends it and Meek's rules direct nothing more.

    Example:
        >>> chain = np.array([[0, 1, 0], [0, 0, 1], [0, 1, 0]], dtype=np.int8)
        >>> is_mpdag(chain)  # 0 -> 1 - 2 with 0 and 2 not adjacent: 1 -> 2 is compelled
        False

    Source: Meek (1995), theorem 4.
    """
    closed = close_under_meek(adjacency)
    return bool(np.array_equal(closed, adjacency)) and consistent_extension(adjacency) is not None
