"""causal-learn's PC, run without its side effects."""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass
from enum import Enum

import numpy as np

from ctvae.errors import DataError
from ctvae.graph import equivalence, formats
from ctvae.graph.causal_graph import CausalGraph
from ctvae.graph.discovery import (
    DiscoveryResult,
    DiscoveryStatus,
    EdgeEvidence,
    observational_rows,
)
from ctvae.randomness import Seed
from ctvae.regimes import Samples

__all__ = ["PC", "IndependenceTest"]

ROWS_PER_CELL = 5
"""Below this expected count the chi-squared law of the statistics fails (Cochran, 1954)."""
STRONGER_COLLIDERS_FIRST = 3

Tests = dict[tuple[int, int], list[tuple[tuple[int, ...], float]]]


class IndependenceTest(Enum):
    """A test of conditional independence on counts."""

    G_SQUARED = "gsq"
    """The likelihood-ratio statistic, ``2 N`` times the conditional mutual information."""
    CHI_SQUARED = "chisq"
    """Pearson's statistic."""


@dataclass(frozen=True)
class PC:
    """Finds the CPDAG by tests of conditional independence (causal-learn's PC).

    The order-independent ("stable") skeleton; colliders are oriented from the stronger to the
    weaker test, then Meek's rules. Assumes that there is no hidden common cause and that every
    dependence is visible in the tests. Uses observational rows only. Not for slots with many
    codes: where tables have fewer than 5 rows per cell a dependence looks like independence,
    which the status ``FEW_ROWS_PER_CELL`` reports.

    Args:
        alpha: The level of the tests, in (0, 1); smaller means fewer edges.
        max_conditioning: The largest conditioning set; ``None`` for no limit.
        test: The statistic.

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

    Cost: O(slots^(2 + max_conditioning)) tests, each a pass over the rows, on one CPU core.
    """

    alpha: float = 0.01
    max_conditioning: int | None = None
    test: IndependenceTest = IndependenceTest.G_SQUARED

    def __post_init__(self) -> None:
        if not 0 < self.alpha < 1:
            msg = f"alpha is the level of a test, above 0 and below 1; got {self.alpha}"
            raise DataError(msg)
        if self.max_conditioning is not None and self.max_conditioning < 0:
            msg = f"max_conditioning must be at least 0, or None, got {self.max_conditioning}"
            raise DataError(msg)
        if not isinstance(self.test, IndependenceTest):
            msg = f"test must be an IndependenceTest such as {IndependenceTest.G_SQUARED}"
            raise DataError(f"{msg}, got {self.test!r}")

    def discover(self, samples: Samples, *, seed: Seed = 0) -> DiscoveryResult:
        """Learns the graph from the observational rows; nothing is drawn.

        Args:
            samples: Rows, of which those with a target are left out.
            seed: Unused.

        Returns:
            The graph (a CPDAG when the status is ``DONE``) and for every pair the test that
            spoke most clearly for independence. Edges on a directed cycle, which causal-learn can
            return, are left undirected.
        """
        from causallearn.search.ConstraintBased.PC import pc

        del seed
        start = time.process_time()
        codes = observational_rows(samples, method="PC").cpu().numpy()
        names = samples.slots.names
        if codes.shape[1] < 2:
            return _lonely(self, samples, len(codes), time.process_time() - start)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = pc(
                codes,
                alpha=self.alpha,
                indep_test=self.test.value,
                stable=True,
                uc_rule=0,
                uc_priority=STRONGER_COLLIDERS_FIRST,
                show_progress=False,
                max_k=self.max_conditioning,
            )
        matrix = _untangle(found.G.graph)
        tests = _read_tests(found.test.pvalue_cache)
        graph = CausalGraph.from_numpy(matrix, names)
        cardinalities = [len(np.unique(column)) for column in codes.T]
        if _has_thin_tables(matrix, tests, self.alpha, cardinalities, len(codes)):
            status = DiscoveryStatus.FEW_ROWS_PER_CELL
        elif equivalence.is_cpdag(matrix):
            status = DiscoveryStatus.DONE
        else:
            status = DiscoveryStatus.INVALID_CPDAG
        return DiscoveryResult(
            graph=graph,
            status=status,
            method=self,
            rows_used=len(codes),
            cpu_seconds=time.process_time() - start,
            edge_evidence=_test_evidence(graph, tests),
        )


def _lonely(method: PC, samples: Samples, rows: int, seconds: float) -> DiscoveryResult:
    graph = CausalGraph.from_edges(nodes=samples.slots.names)
    return DiscoveryResult(graph, DiscoveryStatus.DONE, method, rows, seconds)


def _untangle(endpoints: np.ndarray) -> np.ndarray:
    """Reads endpoint codes as a PDAG, leaving undirected what is bidirected or on a cycle."""
    there = (endpoints == formats.TAIL) & (endpoints.T != 0)
    there |= (endpoints == formats.ARROW) & (endpoints.T == formats.ARROW)
    directed = there & ~there.T
    reach = directed.copy()
    for k in range(len(reach)):
        reach |= reach[:, k, None] & reach[None, k]
    there |= (directed & reach.T).T
    return there.astype(np.int8)


def _read_tests(cache: dict[str, object]) -> Tests:
    # causal-learn keeps the p-value of every test under "x;y|s.t", x below y
    tests: Tests = {}
    for key, p_value in cache.items():
        pair, _, given = key.partition("|")
        if ";" in pair:
            x, y = (int(part) for part in pair.split(";"))
            conditioning = tuple(int(part) for part in given.split(".") if part)
            tests.setdefault((x, y), []).append((conditioning, float(str(p_value))))
    return tests


def _has_thin_tables(
    matrix: np.ndarray, tests: Tests, alpha: float, cardinalities: list[int], rows: int
) -> bool:
    """Says whether some pair was parted by tests on thin tables alone."""
    for (x, y), results in tests.items():
        if matrix[x, y] or matrix[y, x]:
            continue
        accepted = [given for given, p_value in results if p_value > alpha]
        cells = [
            float(np.prod([cardinalities[k] for k in (x, y, *given)], dtype=float))
            for given in accepted
        ]
        if cells and min(cells) * ROWS_PER_CELL > rows:
            return True
    return False


def _test_evidence(graph: CausalGraph, tests: Tests) -> dict[tuple[str, str], EdgeEvidence]:
    names = graph.nodes
    evidence = {}
    for (x, y), results in tests.items():
        given, p_value = max(results, key=lambda result: (result[1], -len(result[0])))
        for a, b in ((names[x], names[y]), (names[y], names[x])):
            evidence[a, b] = EdgeEvidence(
                a,
                b,
                graph.mark(a, b),
                p_value=p_value,
                separating_set=tuple(names[k] for k in given),
            )
    return evidence
