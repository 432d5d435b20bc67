"""Exact Bayesian discovery from rows with known targets of intervention."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ctvae.errors import DataError, GraphError, StateSpaceError
from ctvae.graph import equivalence, order_search
from ctvae.graph.causal_graph import CausalGraph
from ctvae.graph.discovery import DiscoveryResult, DiscoveryStatus, EdgeEvidence
from ctvae.graph.knowledge import Constraints, Knowledge
from ctvae.graph.local_scores import LocalScores
from ctvae.graph.odd_columns import without_constants
from ctvae.graph.posterior_dags import descendant_shares, draw_dags
from ctvae.graph.scores import BDeuScores, check_score_settings
from ctvae.graph.target_scores import UnknownTargetScores, scores_of
from ctvae.randomness import Seed, check_count, spawn
from ctvae.regimes import Samples

__all__ = ["InterventionalBDeu", "check_parent_limit", "equivalence_status", "score_gains"]

DRAWS = 1000
"""How many DAGs are drawn to see which slots are descendants of which."""


@dataclass(frozen=True)
class InterventionalBDeu:
    r"""Finds the best DAG and the probability of every edge, exactly, from known targets.

    .. math::
        \log P(D, G) = \sum_k \big[ \mathrm{BDeu}_k(\mathrm{Pa}_k;\ \text{rows where } k
        \text{ was no target}) + \log \rho_k(\mathrm{Pa}_k) \big], \quad
        \rho_k(S) \propto \binom{K-1}{|S|}^{-1} e^{-\lambda |S|}

    A row in which slot k was set says nothing of k's mechanism but speaks for all other slots, so
    observational and interventional rows are used together; without targets this is Bayesian
    network learning. Where only the regimes of rows are known, the score finds their targets as
    well (``UnknownTargetScores``). Assumes no hidden common cause and independent rows; known
    targets were set whatever their parents, unknown ones may also be soft. A slot that holds one
    code in all rows gets no edges, whatever the prior says.

    Two priors over DAGs stand behind the two answers. The graph maximises the score above, whose
    prior is uniform over parent-set sizes (times the penalty). The edge probabilities average
    over pairs (order of the slots, DAG that agrees with it) with the same :math:`\rho`: their prior
    weighs a DAG by :math:`\prod_k \rho_k` times its number of topological orders. That is the
    price of an exact sum; with many rows the two agree.

    Do not use it for slots with hundreds of codes: a table then has fewer rows than cells and the
    score prefers no edges.

    Args:
        equivalent_sample_size: The weight of the prior on each table, in rows, above 0.
        max_parents: The largest parent set considered; ``None`` for no limit.
        edge_penalty: :math:`\lambda \ge 0`, nats taken off for every edge.
        max_slots: The largest number of slots accepted.

    Raises:
        DataError: When a setting is out of range.

    Example:
        >>> from ctvae.graph import learn_graph
        >>> codes = torch.tensor([[0, 0], [1, 1]]).repeat(50, 1)
        >>> targets = torch.tensor([[True, False]]).expand(100, 2)
        >>> result = learn_graph(codes, method=InterventionalBDeu(), targets=targets)
        >>> result.graph, result.edge_probabilities[0, 1].item() > 0.99
        (CausalGraph(DAG on slot0, slot1: slot0 -> slot1), True)

    Source: Cooper and Yoo (1999), the score; Silander and Myllymaki (2006), A simple approach for
    finding the globally optimal Bayesian network structure; Koivisto and Sood (2004), Exact
    Bayesian structure discovery in Bayesian networks; Friedman and Koller (2003), the prior.

    Cost: K * C(K-1, <= max_parents) tables of at most ``rows`` distinct rows, then O(K^2 2^K)
    time and O(K 2^K) memory.
    """

    equivalent_sample_size: float = 1.0
    max_parents: int | None = 4
    edge_penalty: float = 0.0
    max_slots: int = 14

    def __post_init__(self) -> None:
        check_score_settings(self.equivalent_sample_size, self.edge_penalty)
        limit = self.max_parents
        if limit is not None and (not isinstance(limit, int) or limit < 0):
            msg = f"max_parents must be an integer at least 0, or None for no limit, got {limit!r}"
            raise DataError(msg)
        check_count(self.max_slots, "max_slots", least=1)

    def discover(
        self, samples: Samples, *, knowledge: Knowledge | None = None, seed: Seed = 0
    ) -> DiscoveryResult:
        """Learns the graph; all rows are used.

        Args:
            samples: Observational or interventional rows, on any device.
            knowledge: Edges that the graph must or must not have, and tiers; the posterior is
                over the DAGs that obey.
            seed: For the DAGs of which the descendants' probabilities are counted; all else is
                exact.

        Returns:
            The best DAG, edge probabilities on the codes' device, and for every ordered pair its
            probability and score gain.

        Raises:
            StateSpaceError: When there are more slots than ``max_slots``.
        """
        start = time.process_time()
        names = samples.slots.names
        slots = len(names)
        if slots > self.max_slots:
            msg = (
                f"{slots} slots have 2^{slots} = {2**slots:.1e} subsets, more than the "
                f"{self.max_slots} slots this method is set to; raise max_slots (memory grows as "
                f"{slots} * 2^{slots} * 8 bytes = {slots * 2**slots * 8 / 2**20:.0f} MiB, a few "
                "times), or use GES or PC on observational rows"
            )
            raise StateSpaceError(msg)
        by_name = sorted(range(slots), key=lambda k: names[k])
        back = np.argsort(by_name)
        scores = scores_of(samples, by_name, equivalent_sample_size=self.equivalent_sample_size)
        rules = (knowledge or Knowledge()).over([names[k] for k in by_name])
        rules = without_constants(rules, samples, by_name)
        check_parent_limit(rules, slots if self.max_parents is None else self.max_parents)
        table = self._score_table(scores, rules, samples.codes.device)
        parents = order_search.best_dag(table)
        matrix = np.zeros((slots, slots), dtype=np.int8)
        for k, set_ in enumerate(parents):
            matrix[list(set_), k] = 1
        graph = CausalGraph.from_numpy(matrix[np.ix_(back, back)], names)
        targets, changed = find_targets(samples, scores, parents, back.tolist())
        drawn = draw_dags(table, DRAWS, np.random.default_rng(spawn(seed, 1)))
        below = torch.from_numpy(descendant_shares(drawn)).to(table.device)
        edges = order_search.edge_probabilities(table)
        return DiscoveryResult(
            graph=graph,
            status=equivalence_status(graph, targets),
            method=self,
            rows_used=samples.num_units,
            cpu_seconds=time.process_time() - start,
            edge_probabilities=edges[back][:, back],
            descendant_probabilities=below[back][:, back],
            target_probabilities=changed,
            edge_evidence=self._evidence(
                graph, [names[k] for k in by_name], parents, scores, edges
            ),
        )

    def _score_table(
        self, scores: BDeuScores, rules: Constraints, device: torch.device
    ) -> Float[Tensor, "slots subsets"]:
        slots = len(rules.required)
        limit = slots - 1 if self.max_parents is None else min(self.max_parents, slots - 1)
        table = torch.full((slots, 2**slots), -torch.inf, dtype=torch.float64, device=device)
        prior = order_search.parent_set_prior(slots, limit, edge_penalty=self.edge_penalty)
        for child in range(slots):
            needed = tuple(int(k) for k in np.flatnonzero(rules.required[:, child]))
            others = [
                k for k in np.flatnonzero(~rules.forbidden[:, child]).tolist() if k not in needed
            ]
            for size in range(len(needed), limit + 1):
                sets = [(*needed, *more) for more in combinations(others, size - len(needed))]
                columns = [sum(1 << p for p in set_) for set_ in sets]
                table[child, columns] = scores.batch(child, sets) + prior[size]
        return table

    def _evidence(
        self,
        graph: CausalGraph,
        names: Sequence[str],
        parents: Sequence[tuple[int, ...]],
        scores: BDeuScores,
        probabilities: Tensor,
    ) -> dict[tuple[str, str], EdgeEvidence]:
        chances = probabilities.tolist()
        gains = score_gains(parents, scores)
        return {
            (names[i], names[j]): EdgeEvidence(
                names[i],
                names[j],
                graph.mark(names[i], names[j]),
                probability=chances[i][j],
                score_gain=gain,
            )
            for (i, j), gain in gains.items()
        }


def check_parent_limit(rules: Constraints, max_parents: int) -> None:
    """Refuses knowledge that asks for more parents of a slot than a method considers.

    Args:
        rules: The knowledge.
        max_parents: The largest parent set considered.

    Raises:
        GraphError: When some slot has more required parents.
    """
    most = int(rules.required.sum(0).max(initial=0))
    if most > max_parents:
        msg = f"the knowledge requires {most} parents of one slot, more than max_parents, which is "
        msg += f"{max_parents}; raise it"
        raise GraphError(msg)


def score_gains(
    parents: Sequence[tuple[int, ...]], scores: LocalScores
) -> dict[tuple[int, int], float]:
    """Compares every ordered pair's score with and without the edge, all other parents kept.

    Args:
        parents: The parents' columns of each slot in a DAG.
        scores: The data's scores.

    Returns:
        ``(i, j)`` to the log Bayes factor in nats of i as a parent of j.
    """
    gains = {}
    for j, known in enumerate(parents):
        pairs = [i for i in range(len(parents)) if i != j]
        without = [tuple(p for p in known if p != i) for i in pairs]
        with_edge = scores.batch(j, [(*rest, i) for rest, i in zip(without, pairs, strict=True)])
        difference = (with_edge - scores.batch(j, without)).tolist()
        gains.update({(i, j): gain for i, gain in zip(pairs, difference, strict=True)})
    return gains


def find_targets(
    samples: Samples,
    scores: BDeuScores,
    parents: Sequence[tuple[int, ...]],
    columns: Sequence[int],
) -> tuple[Bool[Tensor, "rows slots"] | None, Float[Tensor, "regimes slots"] | None]:
    """Gives what is known, or was found, about the targets of rows.

    Args:
        samples: The rows.
        scores: Their scores.
        parents: The parents of each slot in the DAG found, as the scores number them.
        columns: The number of each slot in the scores.

    Returns:
        Sets of targets that occur, one row each; and for every regime the probabilities that it
        changed each slot's law, ``None`` where targets were known.
    """
    if not isinstance(scores, UnknownTargetScores):
        return samples.targets, None
    log_odds = scores.target_log_odds(parents)[:, list(columns)]
    chances = torch.cat([torch.zeros_like(log_odds[:1]), log_odds.sigmoid()])
    return chances > 0.5, chances


def equivalence_status(
    graph: CausalGraph, targets: Bool[Tensor, "rows slots"] | None
) -> DiscoveryStatus:
    """Says whether other DAGs explain the rows as well as the one found.

    Args:
        graph: A DAG, its nodes in the order of the columns.
        targets: True where a slot was set, one row for each set of targets or more; ``None`` for
            observational rows.

    Returns:
        ``DONE`` where the graph is the only member of its interventional equivalence class.

    Source: Hauser and Buehlmann (2012), theorem 10.
    """
    matrix = graph.to_numpy()
    if targets is None:
        targets = torch.zeros(1, len(matrix), dtype=torch.bool)
    regimes = torch.unique(targets, dim=0).cpu().numpy()
    essential = equivalence.to_i_cpdag(matrix, regimes)
    return (
        DiscoveryStatus.DONE
        if np.array_equal(essential, matrix)
        else DiscoveryStatus.EQUIVALENT_GRAPHS
    )
