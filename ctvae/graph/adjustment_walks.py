"""Which adjustment sets are valid in a DAG: all treatments and outcomes at once, by walks.

The matrices follow the library's one convention: ``A[i, j] = 1`` is ``i -> j``. Users reach these
functions through ``sid`` and its relatives.
"""

from __future__ import annotations

from enum import Enum

import numpy as np
from jaxtyping import Bool, Int

__all__ = ["AdjustmentRule", "invalid_sets", "reachability", "wrong_effects"]

Adjacency = Bool[np.ndarray, "nodes nodes"]


class AdjustmentRule(Enum):
    """Which set a graph proposes to adjust for."""

    PARENTS = "the treatment's parents"
    ANCESTORS = "the treatment's ancestors"
    OPTIMAL = "the optimal set: the parents of the nodes between treatment and outcome"


def reachability(adjacency: Adjacency) -> Adjacency:
    """Gives ancestors and descendants.

    Args:
        adjacency: ``(nodes, nodes)`` matrix of a DAG.

    Returns:
        ``(nodes, nodes)`` booleans, true at ``[i, j]`` where ``i`` is ``j`` or an ancestor of it.

    Example:
        >>> reachability(np.eye(3, k=1, dtype=bool))[0].tolist()
        [True, True, True]

    Cost: O(nodes^3 log nodes).
    """
    below = np.asarray(adjacency, dtype=bool) | np.eye(len(adjacency), dtype=bool)
    steps = 1
    while steps < len(adjacency):
        below = _product(below, below)
        steps *= 2
    return below


def invalid_sets(
    adjacency: Adjacency,
    treatments: Int[np.ndarray, " queries"],
    sets: Bool[np.ndarray, "queries nodes"],
) -> Bool[np.ndarray, "queries nodes"]:
    """Says for which outcomes a set is no valid adjustment set for a treatment.

    A set is valid when it holds no descendant of a node on a causal path (the treatment apart) and
    blocks every other path. The second is read off walks that leave the treatment and never come
    back: a walk is open when all its colliders, and no other of its nodes, are in the set.

    Args:
        adjacency: ``(nodes, nodes)`` matrix of a DAG.
        treatments: The column of the treatment of each query.
        sets: The nodes adjusted for, never the treatment.

    Returns:
        ``(queries, nodes)``, true where adjusting for the query's set gives another law of that
        outcome than setting the treatment does, for some law that factorises over the DAG.

    Example:
        >>> fork = np.array([[0, 1, 1], [0, 0, 1], [0, 0, 0]], dtype=bool)  # 0 -> 1, 2; 1 -> 2
        >>> nothing = np.zeros((1, 3), dtype=bool)
        >>> invalid_sets(fork, np.array([1]), nothing)[0].tolist()
        [True, False, True]

    Source: Shpitser, VanderWeele and Robins (2010), the criterion; Henckel, Wuertz and Weichwald
    (2024), Adjustment identification distance, the walks.

    Cost: O(queries * nodes^2) a step, as many steps as the longest open walk has edges.
    """
    return _invalid(adjacency, reachability(adjacency), treatments, sets)


def wrong_effects(
    truth: Adjacency,
    guess: Adjacency,
    treatments: Int[np.ndarray, " treatments"],
    rule: AdjustmentRule,
) -> Bool[np.ndarray, "treatments nodes"]:
    """Says which effects a guessed DAG would get wrong, were another DAG true.

    The guess answers "no effect" where the rule tells it so (the outcome is among the treatment's
    parents; for the other two rules, it is no descendant), and else adjusts for the rule's set.

    Args:
        truth: ``(nodes, nodes)`` matrix of the true DAG.
        guess: ``(nodes, nodes)`` matrix of the guessed DAG.
        treatments: The columns of the treatments.
        rule: The set to adjust for.

    Returns:
        ``(treatments, nodes)``, true where the answer is wrong in the truth.

    Example:
        >>> edge = np.array([[0, 1], [0, 0]], dtype=bool)
        >>> wrong_effects(edge, edge.T, np.arange(2), AdjustmentRule.PARENTS).tolist()
        [[False, True], [True, False]]

    Source: Peters and Buehlmann (2015), parents; Henckel, Wuertz and Weichwald (2024), the others.

    Cost: as ``invalid_sets``; the optimal set needs one such call per treatment.
    """
    rows = np.arange(len(treatments))
    below, true_below = reachability(guess), reachability(truth)
    no_effect = ~below[treatments]
    if rule is AdjustmentRule.OPTIMAL:
        invalid = _invalid_optimal_sets(truth, true_below, guess, below, treatments)
    else:
        sets = (guess if rule is AdjustmentRule.PARENTS else below).T[treatments]
        sets[rows, treatments] = False
        no_effect = sets if rule is AdjustmentRule.PARENTS else no_effect
        invalid = _invalid(truth, true_below, treatments, sets)
    wrong = np.where(no_effect, true_below[treatments], invalid)
    wrong[rows, treatments] = False
    return wrong


def _invalid(
    adjacency: Adjacency, below: Adjacency, treatments: np.ndarray, sets: np.ndarray
) -> np.ndarray:
    mediators = below[treatments]
    mediators[np.arange(len(treatments)), treatments] = False
    forbidding = mediators & _product(sets, below.T)  # on the way, and an ancestor of the set
    return _non_causal_walks(adjacency, treatments, sets) | _product(forbidding, below)


def _invalid_optimal_sets(
    truth: Adjacency,
    true_below: Adjacency,
    guess: Adjacency,
    below: Adjacency,
    treatments: np.ndarray,
) -> np.ndarray:
    outcomes = np.arange(len(truth))
    invalid = np.zeros((len(treatments), len(truth)), dtype=bool)
    for row, treatment in enumerate(treatments):
        between = below[treatment] & below.T  # [outcome, node]: on a causal path
        between[:, treatment] = False
        forbidden = _product(between, below)
        forbidden[:, treatment] = True
        sets = _product(between, guess.T) & ~forbidden
        per_outcome = _invalid(truth, true_below, np.full(len(truth), treatment), sets)
        invalid[row] = per_outcome[outcomes, outcomes]
    return invalid


def _non_causal_walks(adjacency: Adjacency, treatments: np.ndarray, sets: np.ndarray) -> np.ndarray:
    # where open walks from the treatment arrive: up at a parent, down at a child, and down with
    # all edges pointing away from the treatment; each round extends the newly reached ends
    away = np.asarray(adjacency, dtype=np.float32)
    free, held = ~sets, sets
    elsewhere = np.ones_like(sets)
    elsewhere[np.arange(len(treatments)), treatments] = False
    up = np.asarray(adjacency, dtype=bool).T[treatments]
    causal = np.asarray(adjacency, dtype=bool)[treatments]
    down = np.zeros_like(up)
    new_up, new_down, new_causal = up, down, causal
    while new_up.any() or new_down.any() or new_causal.any():
        to_parents = (new_up & free) | ((new_down | new_causal) & held)
        to_children = (new_up | new_down) & free
        new_up = _product(to_parents, away.T) & elsewhere & ~up
        new_down = _product(to_children, away) & elsewhere & ~down
        new_causal = _product(new_causal & free, away) & elsewhere & ~causal
        up, down, causal = up | new_up, down | new_down, causal | new_causal
    return up | down


def _product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    # booleans have no fast matrix product; sums of up to 2**24 ones are exact in single precision
    return a.astype(np.float32) @ b.astype(np.float32) > 0
