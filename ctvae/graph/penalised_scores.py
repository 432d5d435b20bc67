"""Scores less a penalty for edges, as searches over classes ask for, and the graphs they find."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations

import numpy as np
from jaxtyping import Int8, Shaped
from torch import Tensor

from ctvae.graph.causal_graph import CausalGraph
from ctvae.graph.discovery import EdgeEvidence
from ctvae.graph.interventional import score_gains
from ctvae.graph.knowledge import Constraints, Knowledge
from ctvae.graph.local_scores import LocalScore

__all__ = ["PenalisedScores"]


class PenalisedScores:
    """The scores of parent sets on some rows, the variables in the order of their names.

    The order makes searches that break ties by column give the same graph whatever the order of
    the columns.

    Args:
        data: Rows: codes, or floats where the score is one of floats.
        columns: The names of the columns.
        score: The score.
        knowledge: What the graph must and must not hold.
        weights: How often each row counts; once each where ``None``.
    """

    def __init__(
        self,
        data: Tensor,
        columns: Sequence[str],
        *,
        score: LocalScore,
        knowledge: Knowledge | None = None,
        weights: Shaped[Tensor, " rows"] | None = None,
    ) -> None:
        self._columns = tuple(columns)
        self._order = sorted(range(len(columns)), key=lambda k: columns[k])
        self.names = [columns[k] for k in self._order]
        self.constraints: Constraints = (knowledge or Knowledge()).over(self.names)
        self._scores, self._penalty = score.bind(data[:, self._order], weights=weights)

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
        return [v - self._penalty * len(p) for v, p in zip(values, parents, strict=True)]

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
