"""causal-learn's FCI, run on our own tests and without its side effects."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from io import StringIO
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from ctvae.graph.causal_graph import CausalGraph
from ctvae.graph.continuous import ContinuousEstimate
from ctvae.graph.discovery import (
    DiscoveryResult,
    DiscoveryStatus,
    ThinTables,
    observational_rows,
)
from ctvae.graph.independence import BoundTest, GSquared, IndependenceTest
from ctvae.graph.knowledge import Constraints, Knowledge
from ctvae.graph.pc import check_test_settings, evidence_of_tests
from ctvae.graph.skeleton import Skeleton, find_skeleton
from ctvae.graph.table_tests import IndependenceResults
from ctvae.randomness import Seed
from ctvae.regimes import Samples

__all__ = ["FCI"]

BRIDGE = "ctvae"
"""The name under which causal-learn knows our tests."""


@dataclass(frozen=True)
class FCI:
    """Finds what is certain where causes may be hidden: a PAG, by tests (causal-learn's FCI).

    ``a o-> b`` says that b does not cause a, ``a <-> b`` that a hidden cause acts on both, and a
    circle that either is possible. Uses observational rows only.

    Args:
        alpha: The level of the tests, in (0, 1).
        max_conditioning: The largest conditioning set of the first search; ``None`` for no limit.
        test: The test.

    Raises:
        DataError: When a setting is out of range.

    Example:
        >>> from ctvae.graph import learn_graph
        >>> a, b = torch.arange(400) % 2, torch.arange(400) // 2 % 2
        >>> learn_graph(torch.stack([a, b, a | b], 1), method=FCI()).graph
        CausalGraph(PAG on slot0, slot1, slot2: slot0 o-> slot2, slot1 o-> slot2)

    Source: Spirtes, Meek and Richardson (1995), Causal inference in the presence of latent
    variables and selection bias; Zhang (2008), the rules; Zheng et al. (2024), causal-learn.

    Cost: as ``PC``, and then subsets of the possible d-separating sets, one test at a time.
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
            knowledge: Edges that the graph must or must not have, and tiers. That a causes b is
                ``a -> b``; that b does not cause a is an arrow head at b alone, ``a o-> b``, since
                a hidden cause may join them.
            seed: The seed of a test that draws.

        Returns:
            The PAG and for every pair the test that spoke most clearly for independence.
        """
        _load_causallearn()  # seconds, at the first call, which are no part of the search
        start = time.process_time()
        rows = observational_rows(samples, method="FCI")
        names = samples.slots.names
        rules = (knowledge or Knowledge()).over(names)
        test = _Remembered(self.test.bind(rows.codes, weights=rows.weights, seed=seed))
        skeleton = find_skeleton(
            test,
            len(names),
            alpha=self.alpha,
            max_conditioning=self.max_conditioning,
            apart=rules.apart,
            kept=rules.kept,
        )
        if knowledge is None:
            graph = self._graph(rows.codes, test, names)
        else:
            graph = self._graph_of_known(rows.codes, test, names, rules, skeleton)
        thin = ThinTables.of(skeleton, names)
        return DiscoveryResult(
            graph=graph,
            status=DiscoveryStatus.DONE if thin is None else DiscoveryStatus.FEW_ROWS_PER_CELL,
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
            The PAG, without weights.

        Raises:
            DataError: When the test is one of codes.
        """
        test = _Remembered(self.test.bind(data, seed=seed))
        find_skeleton(test, len(names), alpha=self.alpha, max_conditioning=self.max_conditioning)
        return ContinuousEstimate(self._graph(data, test, tuple(names)))

    def _graph(self, data: Tensor, test: _Remembered, names: tuple[str, ...]) -> CausalGraph:
        if len(names) < 2:
            return CausalGraph.from_edges(nodes=names)
        with _quietly():
            graph, _ = _load_causallearn().fci(
                data.cpu().numpy(),
                BRIDGE,
                float(self.alpha),
                depth=-1 if self.max_conditioning is None else self.max_conditioning,
                show_progress=False,
                node_names=list(names),
                ours=test,
            )
        return CausalGraph.from_causallearn(np.asarray(graph.graph), names)

    def _graph_of_known(
        self,
        data: Tensor,
        test: _Remembered,
        names: tuple[str, ...],
        rules: Constraints,
        skeleton: Skeleton,
    ) -> CausalGraph:
        # causal-learn's rules, but not its fci, which reads "b does not cause a" as "a causes b"
        # and makes a collider of every slot between two that are kept apart
        rule = _load_causallearn()
        parted = {}
        for (i, j), given in skeleton.separating.items():
            parted[i, j] = parted[j, i] = set(given)
        graph = CausalGraph.from_edges(
            nodes=names,
            circle_circle=[
                (names[i], names[j]) for i, j in np.argwhere(np.triu(skeleton.adjacent))
            ],
        ).to_causallearn()
        nodes, ask = graph.get_nodes(), rule.CIT(data.cpu().numpy(), method=BRIDGE, ours=test)
        required = _required(rules, nodes)
        with _quietly():
            rule.rule0(graph, nodes, parted, required, verbose=False)
            rule.removeByPossibleDsep(graph, ask, self.alpha, parted)
            rule.rule0(graph, nodes, parted, required, verbose=False)
            _put_arrow_heads(graph, rules)
            first = changed = True
            while changed:
                changed = rule.rulesR1R2cycle(graph, None, changeFlag=False)
                changed = rule.ruleR3(graph, parted, None, changed)
                if changed or first:
                    changed = rule.ruleR4B(graph, -1, data, ask, self.alpha, parted, changed, None)
                first = False
                for follow in (rule.ruleR5, rule.ruleR6, rule.ruleR7):
                    changed = follow(graph, changed)
                for follow in (rule.rule8, rule.rule9):
                    changed = follow(graph, nodes, changed)
                changed = rule.rule10(graph, changed)
        return CausalGraph.from_causallearn(np.asarray(graph.graph), names)


class _Remembered:
    """A test that keeps its p-values, so that a search that asks one by one gets them at once."""

    def __init__(self, test: BoundTest) -> None:
        self._test = test
        self._known: dict[tuple[int, int, frozenset[int]], float] = {}

    def __call__(
        self, x: Int[Tensor, " tests"], y: Int[Tensor, " tests"], given: Int[Tensor, "tests size"]
    ) -> IndependenceResults:
        results = self._test(x, y, given)
        lines = zip(x.tolist(), y.tolist(), given.tolist(), strict=True)
        for (a, b, rest), p_value in zip(lines, results.p_value.tolist(), strict=True):
            self._known[min(a, b), max(a, b), frozenset(rest)] = p_value
        return results

    def p_value(self, x: int, y: int, given: Iterable[int]) -> float:
        rest = frozenset(int(k) for k in given)
        key = (min(x, y), max(x, y), rest)
        if key not in self._known:
            self(torch.tensor([x]), torch.tensor([y]), torch.tensor([sorted(rest)]).long())
        return self._known[key]


@cache
def _load_causallearn() -> Any:  # noqa: ANN401  # an untyped module
    """Loads causal-learn's FCI, once, and tells it of a test that hands its questions on.

    Returns:
        Its module of FCI.
    """
    from causallearn.utils.cit import CIT_Base, register_ci_test

    class Bridge(CIT_Base):  # type: ignore[misc]  # an untyped base
        def __init__(self, data: np.ndarray, *, ours: _Remembered) -> None:
            super().__init__(data)
            self.method = BRIDGE
            self._ours = ours

        def __call__(self, x: int, y: int, given: Iterable[int] | None = None) -> float:
            return self._ours.p_value(int(x), int(y), given or ())

    register_ci_test(BRIDGE, Bridge)
    return import_module("causallearn.search.ConstraintBased.FCI")


@contextmanager
def _quietly() -> Iterator[None]:
    with warnings.catch_warnings(), redirect_stdout(StringIO()):  # it prints edges it finds
        warnings.simplefilter("ignore")
        yield


def _required(rules: Constraints, nodes: Sequence[Any]) -> Any:  # noqa: ANN401  # untyped
    from causallearn.utils.PCUtils.BackgroundKnowledge import BackgroundKnowledge

    known = BackgroundKnowledge()
    for i, j in rules.kept:
        known.add_required_by_node(nodes[i], nodes[j])
    return known


def _put_arrow_heads(graph: Any, rules: Constraints) -> None:  # noqa: ANN401  # untyped
    """Marks every slot that does not cause a neighbour, and leaves the other end open."""
    ends = graph.graph  # [i, j] is the mark at i
    causes = (ends == -1) & (ends.T == 1)
    ends[rules.forbidden & (ends != 0) & ~causes] = 1
    graph.reconstitute_dpath(graph.get_graph_edges())
