"""The PC algorithm on batched tests."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import SupportsFloat, SupportsIndex

import numpy as np
from jaxtyping import Float
from torch import Tensor

from ctvae.errors import DataError
from ctvae.graph import equivalence
from ctvae.graph.causal_graph import CausalGraph
from ctvae.graph.colliders import Orientation, orient
from ctvae.graph.continuous import ContinuousEstimate
from ctvae.graph.discovery import (
    DiscoveryResult,
    DiscoveryStatus,
    EdgeEvidence,
    ThinTables,
    observational_rows,
)
from ctvae.graph.independence import GSquared, IndependenceTest
from ctvae.graph.knowledge import Knowledge
from ctvae.graph.skeleton import Skeleton, find_skeleton
from ctvae.randomness import Seed
from ctvae.regimes import Samples

__all__ = ["PC", "check_test_settings", "evidence_of_tests", "untangle"]


@dataclass(frozen=True)
class PC:
    """Finds the CPDAG by tests of conditional independence.

    The order-independent ("stable") skeleton; colliders are oriented from the clearer to the
    less clear, then Meek's rules. On one data set the graph is the one that causal-learn's PC
    finds (``stable=True, uc_rule=0, uc_priority=3``). Assumes that there is no hidden common
    cause and that every dependence is visible in the tests. Uses observational rows only. Not for
    slots with many codes: where tables have fewer than 5 rows per cell a dependence looks like
    independence, which the status ``FEW_ROWS_PER_CELL`` and ``thin_tables`` report.

    Args:
        alpha: The level of the tests, in (0, 1); smaller means fewer edges.
        max_conditioning: The largest conditioning set; ``None`` for no limit.
        test: The test, such as ``GSquared()`` or ``ChiSquared()``.

    Raises:
        DataError: When a setting is out of range.

    Example:
        >>> import torch
        >>> from ctvae.graph import learn_graph
        >>> a, b = torch.arange(400) % 2, torch.arange(400) // 2 % 2
        >>> codes = torch.stack([a, b, a | b], 1)
        >>> learn_graph(codes, method=PC(alpha=0.01)).graph
        CausalGraph(DAG on slot0, slot1, slot2: slot0 -> slot2, slot1 -> slot2)

    Source: Spirtes, Glymour and Scheines (2000); Colombo and Maathuis (2014), the stable skeleton;
    Zheng et al. (2024), causal-learn.

    Cost: O(slots^(2 + max_conditioning)) tests in dense graphs, those of a level in few passes.
    """

    alpha: float = 0.01
    max_conditioning: int | None = None
    test: IndependenceTest = field(default_factory=GSquared)

    def __post_init__(self) -> None:
        check_test_settings(self.alpha, self.max_conditioning, self.test)

    def discover(
        self, samples: Samples, *, knowledge: Knowledge | None = None, seed: Seed = 0
    ) -> DiscoveryResult:
        """Learns the graph from the observational rows.

        Args:
            samples: Rows, of which those with a target are left out.
            knowledge: Edges that the graph must or must not have, and tiers.
            seed: The seed of a test that draws.

        Returns:
            The graph (a CPDAG when the status is ``DONE``; with knowledge that directs more, an
            MPDAG) and for every pair the test that spoke most clearly for independence. Edges on
            a directed cycle, which contradicting colliders can make, are left undirected.
        """
        start = time.process_time()
        rows = observational_rows(samples, method="PC")
        names = samples.slots.names
        rules = (knowledge or Knowledge()).over(names)
        test = self.test.bind(rows.codes, weights=rows.weights, seed=seed)
        skeleton = find_skeleton(
            test,
            len(names),
            alpha=self.alpha,
            max_conditioning=self.max_conditioning,
            apart=rules.apart,
            kept=rules.kept,
        )
        oriented = orient(skeleton, test, rules, max_conditioning=self.max_conditioning)
        matrix = untangle(oriented)
        graph = CausalGraph.from_numpy(matrix, names)
        thin = ThinTables.of(skeleton, names)
        whole = equivalence.is_mpdag(matrix) if rules.directs else equivalence.is_cpdag(matrix)
        status = DiscoveryStatus.DONE if whole else DiscoveryStatus.INVALID_CPDAG
        return DiscoveryResult(
            graph=graph,
            status=status if thin is None else DiscoveryStatus.FEW_ROWS_PER_CELL,
            method=self,
            rows_used=rows.num_units,
            cpu_seconds=time.process_time() - start,
            edge_evidence=evidence_of_tests(graph, skeleton),
            thin_tables=thin,
        )

    def estimate(
        self, data: Float[Tensor, "rows variables"], names: Sequence[str], *, seed: Seed = 0
    ) -> ContinuousEstimate:
        """Learns the graph of continuous variables, by a test of floats such as ``FisherZ``.

        Args:
            data: Floats; scale and origin do not matter to that test.
            names: Of the variables.
            seed: The seed of a test that draws.

        Returns:
            The graph, without weights.

        Raises:
            DataError: When the test is one of codes.
        """
        test, rules = self.test.bind(data, seed=seed), Knowledge().over(names)
        skeleton = find_skeleton(
            test, len(names), alpha=self.alpha, max_conditioning=self.max_conditioning
        )
        oriented = orient(skeleton, test, rules, max_conditioning=self.max_conditioning)
        return ContinuousEstimate(CausalGraph.from_numpy(untangle(oriented), names))


def check_test_settings(alpha: float, max_conditioning: int | None, test: IndependenceTest) -> None:
    """Checks what methods that search by tests are set to.

    Args:
        alpha: The level of the tests.
        max_conditioning: The largest conditioning set; ``None`` for no limit.
        test: The test.

    Raises:
        DataError: When one is out of range.
    """
    if not isinstance(alpha, SupportsFloat) or not 0 < alpha < 1:
        msg = f"alpha is the level of a test, above 0 and below 1; got {alpha!r}"
        raise DataError(msg)
    whole = isinstance(max_conditioning, SupportsIndex) and not isinstance(max_conditioning, bool)
    if max_conditioning is not None and (not whole or max_conditioning < 0):
        msg = f"max_conditioning must be an integer at least 0, or None, got {max_conditioning!r}"
        raise DataError(msg)
    if isinstance(test, type) or not hasattr(test, "bind"):
        msg = f"test must be an object with bind(), such as GSquared(), got {test!r}"
        raise DataError(msg)


def untangle(graph: Orientation) -> np.ndarray:
    """Writes an oriented skeleton as a matrix, edges on a directed cycle left undirected.

    Args:
        graph: The oriented skeleton.

    Returns:
        ``(slots, slots)`` int8, ones both ways where undirected.
    """
    reach = graph.directed.copy()
    for k in range(len(reach)):
        reach |= reach[:, k, None] & reach[None, k]
    there = graph.directed | graph.undirected
    return (there | (graph.directed & reach.T).T).astype(np.int8)


def evidence_of_tests(
    graph: CausalGraph, skeleton: Skeleton
) -> dict[tuple[str, str], EdgeEvidence]:
    """Tells of every pair the test that spoke most clearly for independence.

    Args:
        graph: The graph found.
        skeleton: The record of the tests.

    Returns:
        Evidence by ordered pair of names.
    """
    names = graph.nodes
    evidence = {}
    for (x, y), record in skeleton.records.items():
        given = tuple(names[k] for k in record.given)
        for a, b in ((names[x], names[y]), (names[y], names[x])):
            evidence[a, b] = EdgeEvidence(
                a, b, graph.mark(a, b), p_value=record.p_value, separating_set=given
            )
    return evidence
