"""From gains of single edges to a DAG that no single change betters, and probabilities of pairs."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Bool, Float
from torch import Tensor

__all__ = ["pair_probabilities", "reachable", "settle"]

CERTAIN = 1e9
"""Log-odds of a required edge; a finite number, since infinite ones have no softmax."""
CLEAR_GAIN = 1e-3
"""Nats below which two scores differ by rounding."""


def settle(
    dag: Bool[Tensor, "slots slots"],
    total_gains: Callable[[Tensor], Float[Tensor, "slots slots"]],
    prices: Float[Tensor, "slots slots"],
) -> tuple[Bool[Tensor, "slots slots"], Float[Tensor, "slots slots"]]:
    """Adds, removes and turns edges as long as that gains.

    In a round every slot's parents change at most once, so the gains of a round add up and every
    round betters the score: it ends.

    Args:
        dag: Where to start.
        total_gains: For a DAG, ``[i, j]`` what i gains as a parent of j beside j's other parents.
        prices: What an edge has to gain; infinite where it is forbidden, minus infinite where it is
            required, and then part of ``dag``.

    Returns:
        A DAG that no single change betters, and the gains beside it.
    """
    dag = dag.clone()
    while True:
        gains = total_gains(dag)
        worth = (gains - prices.to(gains)).tolist()
        touched: set[int] = set()
        for gain, i, j, turned in sorted(_moves(dag, worth), reverse=True):
            children = {i, j} if turned else {j}
            if gain <= CLEAR_GAIN or children & touched:
                continue
            changed = dag.clone()
            changed[i, j] = ~changed[i, j]
            if turned:
                changed[j, i] = True
            if not bool(reachable(changed).diagonal().any()):
                dag, touched = changed, touched | children
        if not touched:
            return dag, gains


def pair_probabilities(
    dag: Bool[Tensor, "slots slots"],
    gains: Float[Tensor, "slots slots"],
    prices: Float[Tensor, "slots slots"],
) -> Float[Tensor, "slots slots"]:
    r"""Gives the probability of every edge, all other pairs being as in a DAG.

    .. math:: P(i \to j) = \frac{e^{g_{ij} - \lambda_{ij}}}
        {1 + e^{g_{ij} - \lambda_{ij}} + e^{g_{ji} - \lambda_{ji}}}

    Args:
        dag: The DAG.
        gains: What each edge gains beside it.
        prices: The log-odds against an edge; infinite for forbidden and required ones.

    Returns:
        ``[i, j]`` float64; zero where ``i -> j`` would close a cycle with the other edges.

    Example:
        >>> even = torch.zeros(2, 2)
        >>> pair_probabilities(even.bool(), even, even).mul(3).round().tolist()
        [[0.0, 1.0], [1.0, 0.0]]
    """
    worth = (gains.double() - prices.to(gains).double()).clamp_max(CERTAIN)
    slots = len(dag)
    for i in range(slots):
        for j in range(slots):
            rest = dag.clone()
            rest[i, j] = rest[j, i] = False
            if i == j or bool(reachable(rest)[j, i]):
                worth[i, j] = -torch.inf
    states = torch.stack([worth, worth.T, torch.zeros_like(worth)])
    return states.softmax(0)[0]


def reachable(graph: Bool[Tensor, "slots slots"]) -> Bool[Tensor, "slots slots"]:
    """Says which slots a directed path of one edge or more leads to.

    Args:
        graph: Directed edges.

    Returns:
        ``[i, j]`` true where a path leads from i to j; the diagonal is false on a DAG.

    Cost: O(slots^3 log slots).
    """
    reach = graph.float()
    for _ in range(len(graph).bit_length()):
        reach = ((reach + reach @ reach) > 0).float()
    return reach > 0


def _moves(
    dag: Bool[Tensor, "slots slots"], worth: list[list[float]]
) -> list[tuple[float, int, int, bool]]:
    """Every single change: its gain, the edge, and whether it is turned."""
    moves = []
    here = dag.tolist()
    for i in range(len(here)):
        for j in range(len(here)):
            if here[i][j]:
                moves.append((-worth[i][j], i, j, False))
                moves.append((worth[j][i] - worth[i][j], i, j, True))
            elif i != j and not here[j][i]:
                moves.append((worth[i][j], i, j, False))
    return moves
