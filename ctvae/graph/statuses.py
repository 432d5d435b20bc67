"""How searches end."""

from __future__ import annotations

from enum import Enum

__all__ = ["DiscoveryStatus"]


class DiscoveryStatus(Enum):
    """How a search ended; the text says what to do next."""

    DONE = "the search ended and its graph is of the kind that the method promises"
    EQUIVALENT_GRAPHS = (
        "other DAGs explain these rows equally well, so some directions are arbitrary: read "
        "edge_probabilities, compare .graph.cpdag(), or intervene on more slots"
    )
    CHAINS_DISAGREE = (
        "two chains give some edge probabilities more than .2 apart: read them as rough, and raise "
        "num_samples; the graph is the best one met all the same"
    )
    INVALID_CPDAG = (
        "colliders contradict each other, so no DAG has this graph as its CPDAG: use more rows or "
        "a smaller alpha, or a score-based method such as GES"
    )
    UNPLACED_CHANGE = (
        "some slot's law differs between regimes, and no slot was found by which the change could "
        "reach it: use more rows or a larger alpha, or InterventionalBDeu or OrderMCMC"
    )
    FEW_ROWS_PER_CELL = (
        "edges were removed by tests with fewer than 5 rows per table cell, which cannot see a "
        "dependence: merge codes, use more rows, or limit max_conditioning"
    )

    @property
    def advice(self) -> str:
        """What the status means and what to do next."""
        return self.value
