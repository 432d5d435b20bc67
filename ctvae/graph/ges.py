"""Greedy equivalence search with batched scores."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from jaxtyping import Float
from torch import Tensor

from ctvae.graph.class_search import greedy_equivalence_search
from ctvae.graph.continuous import ContinuousEstimate
from ctvae.graph.discovery import DiscoveryResult, DiscoveryStatus, observational_rows
from ctvae.graph.knowledge import Knowledge
from ctvae.graph.local_scores import BDeu, LocalScore, check_score
from ctvae.graph.penalised_scores import PenalisedScores
from ctvae.randomness import Seed
from ctvae.regimes import Samples

__all__ = ["GES"]


@dataclass(frozen=True)
class GES:
    r"""Finds the CPDAG by greedy search over equivalence classes for the best sum of scores.

    .. math:: \sum_k \big[ \mathrm{score}_k(\mathrm{Pa}_k) - \lambda |\mathrm{Pa}_k| \big]

    Assumes that there is no hidden common cause; with many rows the greedy search is exact. Uses
    observational rows only. Columns are put in the order of their names, so permuting them
    permutes the answer and changes nothing else.

    Args:
        score: ``BDeu(...)`` or ``BIC()`` for codes, with their penalty :math:`\lambda`; for
            floats, in ``learn_continuous_graph``, ``GaussianBIC(...)``.

    Raises:
        DataError: When the score is none.

    Example:
        >>> import torch
        >>> from ctvae.graph import learn_graph
        >>> a, b = torch.arange(400) % 2, torch.arange(400) // 2 % 2
        >>> codes = torch.stack([a, b, a | b], 1)
        >>> learn_graph(codes, method=GES()).graph
        CausalGraph(DAG on slot0, slot1, slot2: slot0 -> slot2, slot1 -> slot2)

    Source: Chickering (2002), Optimal structure identification with greedy search.

    Cost: exponential in the largest clique of the graph at worst; on Alarm (37 slots, 5,000 rows)
    about one CPU second.
    """

    score: LocalScore = field(default_factory=BDeu)

    def __post_init__(self) -> None:
        check_score(self.score)

    def discover(
        self, samples: Samples, *, knowledge: Knowledge | None = None, seed: Seed = 0
    ) -> DiscoveryResult:
        """Learns the graph from the observational rows; nothing is drawn.

        Args:
            samples: Rows, of which those with a target are left out, on any device.
            knowledge: Edges that the graph must or must not have, and tiers.
            seed: Unused.

        Returns:
            The CPDAG (with knowledge that directs more, an MPDAG) and for every ordered pair the
            score gain of the edge in one DAG of the class, without the edge penalty.
        """
        del seed
        start = time.process_time()
        rows = observational_rows(samples, method="GES")
        scores = PenalisedScores(
            rows.codes,
            rows.slots.names,
            score=self.score,
            knowledge=knowledge,
            weights=rows.weights,
        )
        matrix = greedy_equivalence_search(len(scores.names), scores, scores.constraints)
        graph = scores.graph(matrix)
        return DiscoveryResult(
            graph=graph,
            status=DiscoveryStatus.DONE,
            method=self,
            rows_used=rows.num_units,
            cpu_seconds=time.process_time() - start,
            edge_evidence=scores.evidence(graph),
        )

    def estimate(
        self, data: Float[Tensor, "rows variables"], names: Sequence[str], *, seed: Seed = 0
    ) -> ContinuousEstimate:
        """Learns the graph of continuous variables, by a score of floats such as ``GaussianBIC``.

        Args:
            data: Floats.
            names: Of the variables.
            seed: Unused.

        Returns:
            The CPDAG, without weights.

        Raises:
            DataError: When the score is one of codes.
        """
        del seed
        scores = PenalisedScores(data, names, score=self.score)
        matrix = greedy_equivalence_search(len(names), scores, scores.constraints)
        return ContinuousEstimate(scores.graph(matrix))
