"""Bayesian discovery for many slots: a search over orders, and Gibbs sampling of them."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float

from ctvae.errors import DataError
from ctvae.graph.causal_graph import CausalGraph
from ctvae.graph.discovery import DiscoveryResult, DiscoveryStatus, EdgeEvidence
from ctvae.graph.interventional import check_parent_limit, equivalence_status, find_targets
from ctvae.graph.knowledge import Constraints, Knowledge
from ctvae.graph.odd_columns import without_constants
from ctvae.graph.order_moves import CLEAR_GAIN, OrderWorth, climb, move, resample
from ctvae.graph.parent_tables import ParentTables, other_candidates, rank_candidates
from ctvae.graph.posterior_dags import ParentMasks, descendant_shares, draw_given_order
from ctvae.graph.scores import BDeuScores, check_score_settings
from ctvae.graph.target_scores import scores_of
from ctvae.randomness import Seed, check_count, spawn
from ctvae.regimes import Samples

__all__ = ["OrderMCMC"]

DAGS_PER_ORDER = 5
"""How many DAGs are drawn for each order, to see which slots are descendants of which."""
PATIENCE = 3
"""How many rounds of starts without a better DAG end the search."""
DISAGREEMENT = 0.2
"""How far two chains' probabilities of one edge may lie apart."""


@dataclass(frozen=True)
class OrderMCMC:
    r"""Finds a high-scoring DAG, edge probabilities and targets, also for many slots.

    The score and the two priors are those of ``InterventionalBDeu``, which is exact and stops at
    about 14 slots:

    .. math::
        \log P(D, G) = \sum_k \big[ \mathrm{BDeu}_k(\mathrm{Pa}_k;\ \text{rows where } k
        \text{ was no target}) + \log \rho_k(\mathrm{Pa}_k) \big], \quad
        \rho_k(S) \propto \binom{K-1}{|S|}^{-1} e^{-\lambda |S|}

    Every slot has a few candidates to be its parents; all subsets of them are scored once. The
    graph is the best DAG met in a search over orders of the slots, from several starts, candidates
    being picked anew beside the parents found until none helps. The edge probabilities average the
    exact probabilities given an order over orders drawn by Gibbs sampling; two chains that disagree
    are told by the status ``CHAINS_DISAGREE``.

    Where only the regimes of rows are known, the score finds their targets as well
    (``UnknownTargetScores``). Assumes no hidden common cause and independent rows; known targets
    were set whatever their parents, unknown ones may also be soft. A slot that holds one code in
    all rows gets no edges, whatever the prior says. Columns are put in
    the order of their names, so permuting them permutes the answer and changes nothing else.

    Args:
        equivalent_sample_size: The weight of the prior on each table, in rows, above 0.
        max_parents: The largest parent set considered.
        max_candidates: The most candidates of a slot, at most 16.
        edge_penalty: :math:`\lambda \ge 0`, nats taken off for every edge.
        starts: Orders from which the search climbs in each round: random ones, and the best one
            with a few slots moved. Three rounds without a better DAG end it.
        num_samples: Orders drawn by each of two chains, after a quarter as many that are dropped;
            0 for no edge probabilities.

    Raises:
        DataError: When a setting is out of range.

    Example:
        >>> from ctvae.graph import learn_graph
        >>> codes = torch.tensor([[0, 0], [1, 1]]).repeat(50, 1)
        >>> targets = torch.tensor([[True, False]]).expand(100, 2)
        >>> result = learn_graph(codes, method=OrderMCMC(), targets=targets)
        >>> result.graph, result.edge_probabilities[0, 1].item() > 0.99
        (CausalGraph(DAG on slot0, slot1: slot0 -> slot1), True)

    Source: Cooper and Yoo (1999), the score; Friedman and Koller (2003), orders and the prior;
    Teyssier and Koller (2005), the search; Kuipers, Suter and Moffa (2022), candidates picked anew
    and the moves.

    Cost: tables of ``2^max_candidates`` entries for each slot, each one pass over the rows that
    differ in the candidates; a start or a draw costs O(slots * (slots + candidates)).
    """

    equivalent_sample_size: float = 1.0
    max_parents: int = 4
    max_candidates: int = 10
    edge_penalty: float = 0.0
    starts: int = 20
    num_samples: int = 100

    def __post_init__(self) -> None:
        check_score_settings(self.equivalent_sample_size, self.edge_penalty)
        check_count(self.max_parents, "max_parents")
        check_count(self.starts, "starts", least=1)
        check_count(self.num_samples, "num_samples")
        if not 1 <= check_count(self.max_candidates, "max_candidates") <= 16:
            msg = f"max_candidates must be 1 to 16 (tables of 2^n), got {self.max_candidates}"
            raise DataError(msg)

    def discover(
        self, samples: Samples, *, knowledge: Knowledge | None = None, seed: Seed = 0
    ) -> DiscoveryResult:
        """Learns the graph; all rows are used.

        Args:
            samples: Observational or interventional rows, on any device, on which the scores are
                computed.
            knowledge: Edges that the graph must or must not have, and tiers; the posterior is
                over the DAGs that obey.
            seed: For the starts and the chains.

        Returns:
            The best DAG met, edge probabilities on the codes' device, and evidence for every pair
            of a slot and a candidate; other pairs have probability zero.
        """
        start = time.process_time()
        names = samples.slots.names
        by_name = sorted(range(len(names)), key=lambda k: names[k])
        scores = scores_of(samples, by_name, equivalent_sample_size=self.equivalent_sample_size)
        seeds = [np.random.default_rng(s) for s in spawn(seed, 4)]
        rules = (knowledge or Knowledge()).over([names[k] for k in by_name])
        rules = without_constants(rules, samples, by_name)
        check_parent_limit(rules, min(self.max_parents, self.max_candidates))
        tables, place = self._search(scores, rules, seeds[0])
        parents = _best_parents(tables, place)
        chances, below, apart = self._sample(tables, place, seeds[1:3], seeds[3])
        back = np.argsort(by_name)
        matrix = np.zeros((len(names), len(names)), dtype=np.int8)
        for child, own in enumerate(parents):
            matrix[list(own), child] = 1
        graph = CausalGraph.from_numpy(matrix[np.ix_(back, back)], names)
        targets, changed = find_targets(samples, scores, parents, back.tolist())
        status = equivalence_status(graph, targets)
        probabilities = descendants = None
        if chances is not None and below is not None:
            status = DiscoveryStatus.CHAINS_DISAGREE if apart > DISAGREEMENT else status
            probabilities, descendants = (
                torch.from_numpy(shares[np.ix_(back, back)]).to(samples.codes.device)
                for shares in (chances, below)
            )
        return DiscoveryResult(
            graph=graph,
            status=status,
            method=self,
            rows_used=samples.num_units,
            cpu_seconds=time.process_time() - start,
            edge_probabilities=probabilities,
            descendant_probabilities=descendants,
            target_probabilities=changed,
            edge_evidence=_evidence(graph, [names[k] for k in by_name], tables, parents, chances),
        )

    def _search(
        self, scores: BDeuScores, rules: Constraints, generator: np.random.Generator
    ) -> tuple[ParentTables, np.ndarray]:
        gains = scores.single_gains().cpu().numpy()
        slots = len(gains)
        limit = min(self.max_parents, slots - 1)
        ranked = rank_candidates(scores, gains, rules)
        candidates = [tuple(sorted(own[: self.max_candidates])) for own in ranked]
        places = [generator.permutation(slots) for _ in range(self.starts)]
        tables: ParentTables | None = None
        best: tuple[float, ParentTables, np.ndarray] | None = None
        patience = PATIENCE
        while patience:
            tables = ParentTables.score(
                scores,
                candidates,
                max_parents=limit,
                edge_penalty=self.edge_penalty,
                rules=rules,
                earlier=tables,
            )
            orders = tables.best()
            found = [climb(orders, place, generator) for place in places]
            worth, place = max(
                ((orders.total(place), place) for place in found), key=lambda pair: pair[0]
            )
            patience -= 1
            if best is None or worth > best[0] + CLEAR_GAIN:
                best, patience = (worth, tables, place), PATIENCE
            places = [best[2], *(_elsewhere(best[2], k, generator) for k in range(1, self.starts))]
            candidates = other_candidates(
                scores,
                ranked,
                _best_parents(best[1], best[2]),
                max_parents=limit,
                max_candidates=self.max_candidates,
                rules=rules,
            )
        assert best is not None
        return best[1], best[2]

    def _sample(
        self,
        tables: ParentTables,
        place: np.ndarray,
        generators: Sequence[np.random.Generator],
        dag_generator: np.random.Generator,
    ) -> tuple[
        Float[np.ndarray, "slots slots"] | None, Float[np.ndarray, "slots slots"] | None, float
    ]:
        """Averages edges given an order, and descendants, over two chains of orders."""
        if not self.num_samples:
            return None, None, 0.0
        dags: Counter[ParentMasks] = Counter()
        orders, totals = tables.posterior()
        chains = []
        for generator in generators:
            chance, now = np.zeros((len(place), len(place))), place
            for _ in range(self.num_samples // 4):
                now = resample(orders, now, generator)
            for _ in range(self.num_samples):
                now = resample(orders, now, generator)
                _add_probabilities(chance, tables, orders, totals, now)
                dags.update(draw_given_order(tables, orders, now, DAGS_PER_ORDER, dag_generator))
            chains.append(chance / self.num_samples)
        apart = float(abs(chains[0] - chains[1]).max())
        return (chains[0] + chains[1]) / 2, descendant_shares(dags), apart


def _elsewhere(place: np.ndarray, number: int, generator: np.random.Generator) -> np.ndarray:
    """A new start: by turns a random order, and the best one with a few slots moved."""
    if number % 2:
        return generator.permutation(len(place))
    for slot in generator.choice(len(place), 1 + len(place) // 8, replace=False):
        place = move(place, slot, int(generator.integers(len(place))))
    return place


def _best_parents(tables: ParentTables, place: np.ndarray) -> list[tuple[int, ...]]:
    orders = OrderWorth(tables.candidates, tables.weights)
    return [
        tables.columns(slot, tables.best_parents(slot, orders.before(slot, place)))
        for slot in range(len(place))
    ]


def _add_probabilities(
    chance: np.ndarray,
    tables: ParentTables,
    orders: OrderWorth,
    totals: Sequence[np.ndarray],
    place: np.ndarray,
) -> None:
    """Adds P(i -> k | order) = 1 - (sum over parent sets without i) / (sum over all)."""
    for slot, own in enumerate(tables.candidates):
        before = orders.before(slot, place)
        for bit, candidate in enumerate(own):
            if before >> bit & 1:
                rest = totals[slot][before & ~(1 << bit)] - totals[slot][before]
                chance[candidate, slot] -= np.expm1(min(rest, 0.0))


def _evidence(
    graph: CausalGraph,
    names: Sequence[str],
    tables: ParentTables,
    parents: Sequence[tuple[int, ...]],
    chances: np.ndarray | None,
) -> dict[tuple[str, str], EdgeEvidence]:
    evidence = {}
    for child, own in enumerate(tables.candidates):
        chosen = sum(1 << bit for bit, column in enumerate(own) if column in parents[child])
        for bit, column in enumerate(own):
            source, target = names[column], names[child]
            table = tables.scores[child]
            gain = float(table[chosen | 1 << bit] - table[chosen & ~(1 << bit)])
            evidence[source, target] = EdgeEvidence(
                source,
                target,
                graph.mark(source, target),
                probability=None if chances is None else float(chances[column, child]),
                score_gain=gain if np.isfinite(gain) else None,
            )
    return evidence
