"""Searches over orders of the slots: BOSS and GRaSP, on batched scores."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float
from torch import Tensor

from ctvae.graph import equivalence
from ctvae.graph.causal_graph import CausalGraph
from ctvae.graph.class_search import direct_by_knowledge
from ctvae.graph.continuous import ContinuousEstimate
from ctvae.graph.discovery import DiscoveryResult, DiscoveryStatus, observational_rows
from ctvae.graph.grow_shrink import GrowShrink
from ctvae.graph.knowledge import Knowledge
from ctvae.graph.local_scores import BDeu, LocalScore, check_score
from ctvae.graph.penalised_scores import PenalisedScores
from ctvae.graph.tucking import relax_by_tucks
from ctvae.randomness import Seed, check_count, spawn
from ctvae.regimes import Samples

__all__ = ["BOSS", "GRaSP"]

CLEAR_GAIN = 1e-6
"""Nats; smaller differences do not move a slot."""


@dataclass(frozen=True)
class BOSS:
    """Finds the CPDAG by moving one slot at a time to its best place in an order.

    Each order is worth the score of the DAG whose parents are found by growing and shrinking
    among the slots before; every slot in turn is moved to where that is highest, until none
    moves. Uses observational rows only; assumes that there is no hidden common cause.

    Args:
        score: ``BDeu(...)``, ``BIC()``, or ``GaussianBIC(...)`` for floats.
        starts: Random orders to start from; the best end is kept.

    Raises:
        DataError: When a setting is out of range.

    Example:
        >>> import torch
        >>> from ctvae.graph import learn_graph
        >>> a, b = torch.arange(400) % 2, torch.arange(400) // 2 % 2
        >>> learn_graph(torch.stack([a, b, a | b], 1), method=BOSS()).graph
        CausalGraph(DAG on slot0, slot1, slot2: slot0 -> slot2, slot1 -> slot2)

    Source: Andrews et al. (2023), Fast scalable and accurate discovery of DAGs using the best
    order score search and grow-shrink trees.

    Cost: a sweep looks up O(slots^2) parent sets in trees; new ones are scored in batches.
    """

    score: LocalScore = field(default_factory=BDeu)
    starts: int = 3

    def __post_init__(self) -> None:
        check_score(self.score)
        check_count(self.starts, "starts", least=1)

    def discover(
        self, samples: Samples, *, knowledge: Knowledge | None = None, seed: Seed = 0
    ) -> DiscoveryResult:
        """Learns the graph from the observational rows.

        Args:
            samples: Rows, of which those with a target are left out, on any device.
            knowledge: Edges that the graph must or must not have, and tiers.
            seed: For the starts.

        Returns:
            The CPDAG (with knowledge that directs more, an MPDAG) and score gains.
        """
        begun = time.process_time()
        rows = observational_rows(samples, method="BOSS")
        scores = PenalisedScores(
            rows.codes,
            rows.slots.names,
            score=self.score,
            knowledge=knowledge,
            weights=rows.weights,
        )
        dag = self._search(scores, seed)
        return _result(self, scores, dag, rows.num_units, begun)

    def estimate(
        self, data: Float[Tensor, "rows variables"], names: Sequence[str], *, seed: Seed = 0
    ) -> ContinuousEstimate:
        """Learns the graph of continuous variables, by a score of floats such as ``GaussianBIC``.

        Args:
            data: Floats.
            names: Of the variables.
            seed: For the starts.

        Returns:
            The CPDAG, without weights.

        Raises:
            DataError: When the score is one of codes.
        """
        scores = PenalisedScores(data, names, score=self.score)
        return ContinuousEstimate(_class_of(scores, self._search(scores, seed)))

    def _search(self, scores: PenalisedScores, seed: Seed) -> np.ndarray:
        trees = GrowShrink(scores, scores.constraints)
        generator = np.random.default_rng(spawn(seed, 1)[0])
        ends = [
            _best_moves(trees, scores.constraints.draw_order(generator), generator)
            for _ in range(self.starts)
        ]
        order = max(ends, key=lambda end: _worth(trees, end))
        return trees.matrix(order)


@dataclass(frozen=True)
class GRaSP:
    """Finds the CPDAG by relaxing an order: tucks that keep or raise the score, to some depth.

    A tuck moves a slot and those of its ancestors that come after one of its parents before that
    parent. Uses observational rows only; assumes that there is no hidden common cause.

    Args:
        score: ``BDeu(...)``, ``BIC()``, or ``GaussianBIC(...)`` for floats.
        depth: How many tucks in turn may leave the score as it is.
        starts: Random orders to start from; the best end is kept.

    Raises:
        DataError: When a setting is out of range.

    Example:
        >>> import torch
        >>> from ctvae.graph import learn_graph
        >>> a, b = torch.arange(400) % 2, torch.arange(400) // 2 % 2
        >>> learn_graph(torch.stack([a, b, a | b], 1), method=GRaSP()).graph
        CausalGraph(DAG on slot0, slot1, slot2: slot0 -> slot2, slot1 -> slot2)

    Source: Lam, Andrews and Ramsey (2022), Greedy relaxations of the sparsest permutation
    algorithm.

    Cost: every tuck looks up the parents of the slots between; the search over tucks that change
    nothing grows as edges^depth at worst.
    """

    score: LocalScore = field(default_factory=BDeu)
    depth: int = 3
    starts: int = 1

    def __post_init__(self) -> None:
        check_score(self.score)
        check_count(self.depth, "depth", least=1)
        check_count(self.starts, "starts", least=1)

    def discover(
        self, samples: Samples, *, knowledge: Knowledge | None = None, seed: Seed = 0
    ) -> DiscoveryResult:
        """Learns the graph from the observational rows.

        Args:
            samples: Rows, of which those with a target are left out, on any device.
            knowledge: Edges that the graph must or must not have, and tiers.
            seed: For the starts and the order of the tucks.

        Returns:
            The CPDAG (with knowledge that directs more, an MPDAG) and score gains.
        """
        begun = time.process_time()
        rows = observational_rows(samples, method="GRaSP")
        scores = PenalisedScores(
            rows.codes,
            rows.slots.names,
            score=self.score,
            knowledge=knowledge,
            weights=rows.weights,
        )
        dag = self._search(scores, seed)
        return _result(self, scores, dag, rows.num_units, begun)

    def estimate(
        self, data: Float[Tensor, "rows variables"], names: Sequence[str], *, seed: Seed = 0
    ) -> ContinuousEstimate:
        """Learns the graph of continuous variables, by a score of floats such as ``GaussianBIC``.

        Args:
            data: Floats.
            names: Of the variables.
            seed: For the starts and the order of the tucks.

        Returns:
            The CPDAG, without weights.

        Raises:
            DataError: When the score is one of codes.
        """
        scores = PenalisedScores(data, names, score=self.score)
        return ContinuousEstimate(_class_of(scores, self._search(scores, seed)))

    def _search(self, scores: PenalisedScores, seed: Seed) -> np.ndarray:
        trees = GrowShrink(scores, scores.constraints)
        generator = np.random.default_rng(spawn(seed, 1)[0])
        ends = [
            relax_by_tucks(
                trees, scores.constraints.draw_order(generator), generator, depth=self.depth
            )
            for _ in range(self.starts)
        ]
        order = max(ends, key=lambda end: _worth(trees, end))
        return trees.matrix(order)


def _worth(trees: GrowShrink, order: list[int]) -> float:
    total, prefix = 0.0, 0
    for slot in order:
        total += trees.best(slot, prefix)[0]
        prefix |= 1 << slot
    return total


def _best_moves(trees: GrowShrink, start: list[int], generator: np.random.Generator) -> list[int]:
    order, moved = start, True
    while moved:
        moved = False
        for slot in generator.permutation(len(order)).tolist():
            after = _best_place(trees, order, slot)
            moved |= after != order
            order = after
    return order


def _best_place(trees: GrowShrink, order: list[int], slot: int) -> list[int]:
    """Moves one slot to where the order is worth most, all others kept."""
    others = [k for k in order if k != slot]
    worth = np.zeros(len(order))
    prefix, before = 0, 0.0
    for place in range(len(order)):
        worth[place] += before + trees.best(slot, prefix)[0]
        if place < len(others):
            before += trees.best(others[place], prefix)[0]
            prefix |= 1 << others[place]
    after = 0.0
    for place in range(len(others) - 1, -1, -1):  # the slot stands before others[place]
        prefix &= ~(1 << others[place])
        after += trees.best(others[place], prefix | 1 << slot)[0]
        worth[place] += after
    now, best = order.index(slot), int(worth.argmax())
    if worth[best] <= worth[now] + CLEAR_GAIN:
        return order
    return [*others[:best], slot, *others[best:]]


def _class_of(scores: PenalisedScores, dag: np.ndarray) -> CausalGraph:
    matrix = direct_by_knowledge(equivalence.to_cpdag(dag), scores.constraints)
    assert matrix is not None, "the DAG itself obeys"
    return scores.graph(matrix)


def _result(
    method: BOSS | GRaSP, scores: PenalisedScores, dag: np.ndarray, rows: int, begun: float
) -> DiscoveryResult:
    graph = _class_of(scores, dag)
    return DiscoveryResult(
        graph=graph,
        status=DiscoveryStatus.DONE,
        method=method,
        rows_used=rows,
        cpu_seconds=time.process_time() - begun,
        edge_evidence=scores.evidence(graph),
    )
