"""BDeu scores of observational rows less a penalty for edges, as searches over classes ask for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import permutations

import numpy as np
import torch
from jaxtyping import Int, Int8
from torch import Tensor

from ctvae.graph.causal_graph import CausalGraph
from ctvae.graph.discovery import EdgeEvidence, observational_rows
from ctvae.graph.interventional import score_gains
from ctvae.graph.knowledge import Constraints, Knowledge
from ctvae.graph.scores import BDeuScores
from ctvae.regimes import Samples

__all__ = ["PenalisedScores"]


class PenalisedScores:
    """The scores of parent sets on the observational rows, slots in the order of their names.

    The order makes searches that break ties by column give the same graph whatever the order of
    the columns. Codes that never occur are not counted as codes.

    Args:
        samples: Rows, of which those with a target are left out.
        method: The method's name, for errors.
        knowledge: What the graph must and must not hold.
        equivalent_sample_size: The weight of the prior on each table, in rows, above 0.
        edge_penalty: Nats taken off for every edge; ``None`` for log(K - 2) of K slots, an edge
            probability of 1 / (K - 1).
    """

    def __init__(
        self,
        samples: Samples,
        *,
        method: str,
        knowledge: Knowledge | None,
        equivalent_sample_size: float,
        edge_penalty: float | None,
    ) -> None:
        codes = observational_rows(samples, method=method)
        self._columns = samples.slots.names
        self._order = sorted(range(len(self._columns)), key=lambda k: self._columns[k])
        self.names = [self._columns[k] for k in self._order]
        self.num_rows = len(codes)
        self.constraints: Constraints = (knowledge or Knowledge()).over(self.names)
        self._penalty = edge_penalty
        if edge_penalty is None:
            self._penalty = math.log(max(1, len(self.names) - 2))
        self._scores = BDeuScores(
            *_seen_codes(codes[:, self._order]), equivalent_sample_size=equivalent_sample_size
        )

    def __call__(self, child: int, sets: Sequence[int]) -> list[float]:
        """Scores parent sets of a child.

        Args:
            child: The child, by its place among the names.
            sets: Sets of parents, as bits.

        Returns:
            Nats.
        """
        parents = [tuple(k for k in range(s.bit_length()) if s >> k & 1) for s in sets]
        values = self._scores.batch(child, parents).tolist()
        return [v - (self._penalty or 0) * len(p) for v, p in zip(values, parents, strict=True)]

    def graph(self, matrix: Int8[np.ndarray, "slots slots"]) -> CausalGraph:
        """Puts a graph over the names back into the order of the columns.

        Args:
            matrix: The graph, rows and columns in the order of the names.

        Returns:
            The graph, nodes in slot order.
        """
        back = np.argsort(self._order)
        return CausalGraph.from_numpy(matrix[np.ix_(back, back)], self._columns)

    def evidence(self, graph: CausalGraph) -> dict[tuple[str, str], EdgeEvidence]:
        """Gives the score gain of every ordered pair in one DAG of a class, without the penalty.

        Args:
            graph: The class.

        Returns:
            Evidence by ordered pair of names.
        """
        dag = graph.reorder(self.names).consistent_extension()
        position = {name: k for k, name in enumerate(self.names)}
        parents = [tuple(position[p] for p in dag.parents(name)) for name in self.names]
        gains = score_gains(parents, self._scores)
        return {
            (a, b): EdgeEvidence(a, b, graph.mark(a, b), score_gain=gains[position[a], position[b]])
            for a, b in permutations(self.names, 2)
        }


def _seen_codes(
    codes: Int[Tensor, "rows slots"],
) -> tuple[Int[Tensor, "rows slots"], list[int]]:
    """Numbers anew the codes of each slot that occur."""
    columns = [column.unique(return_inverse=True) for column in codes.T]
    return torch.stack([place for _, place in columns], 1), [len(seen) for seen, _ in columns]
