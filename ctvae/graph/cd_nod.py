"""Discovery from rows of several regimes with the regime as a node (CD-NOD)."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from ctvae.errors import RegimeError
from ctvae.graph import equivalence
from ctvae.graph.causal_graph import CausalGraph
from ctvae.graph.colliders import orient
from ctvae.graph.discovery import DiscoveryResult, DiscoveryStatus, ThinTables
from ctvae.graph.independence import BoundTest, GSquared, IndependenceTest
from ctvae.graph.knowledge import Constraints, Knowledge
from ctvae.graph.pc import check_test_settings, evidence_of_tests, untangle
from ctvae.graph.skeleton import find_skeleton, run_tests
from ctvae.randomness import Seed
from ctvae.regimes import Samples

__all__ = ["CDNOD", "REGIME"]

REGIME = "(regime)"
"""The name of the regime in evidence and warnings."""


@dataclass(frozen=True)
class CDNOD:
    """Finds the graph and the slots whose law changes, from rows of several regimes, by tests.

    The regime is one more variable, which may cause slots and is caused by none; ``PC`` on
    all of them directs edges by where the changes enter. Assumes that there is no hidden common
    cause but those that the regime stands for. It says which slots change between some regimes,
    and not in which; ``InterventionalBDeu`` and ``OrderMCMC`` tell regimes apart.

    Args:
        alpha: The level of the tests, in (0, 1).
        max_conditioning: The largest conditioning set; ``None`` for no limit.
        test: The test.

    Raises:
        DataError: When a setting is out of range.

    Example:
        >>> from ctvae.graph import learn_graph
        >>> row = torch.arange(600)
        >>> cause = torch.where(row < 300, row % 2, (row % 4) // 3)
        >>> codes = torch.stack([cause, (cause + (row % 5 == 0)) % 2], 1)
        >>> result = learn_graph(codes, method=CDNOD(), regimes=(row >= 300).long())
        >>> result.graph, result.changing_slots
        (CausalGraph(DAG on slot0, slot1: slot0 -> slot1), ('slot0',))

    Source: Huang, Zhang, Zhang, Ramsey, Sanchez-Romero, Glymour and Schoelkopf (2020), Causal
    discovery from heterogeneous/nonstationary data.

    Cost: as ``PC`` with one slot more.
    """

    alpha: float = 0.01
    max_conditioning: int | None = None
    test: IndependenceTest = field(default_factory=GSquared)

    def __post_init__(self) -> None:
        check_test_settings(self.alpha, self.max_conditioning, self.test)

    def discover(
        self, samples: Samples, *, knowledge: Knowledge | None = None, seed: Seed = 0
    ) -> DiscoveryResult:
        """Learns the graph; all rows are used.

        Args:
            samples: Rows of at least two regimes; of rows with known targets, each set of targets
                is one.
            knowledge: Edges that the graph must or must not have, and tiers.
            seed: The seed of a test that draws.

        Returns:
            The graph over the slots (an MPDAG when the status is ``DONE``), the slots that change
            and for every pair the test that spoke most clearly for independence; the regime is
            ``"(regime)"`` there, as in ``result.evidence("(regime)", "hue")``.
        """
        start = time.process_time()
        names = samples.slots.names
        codes = torch.cat([samples.codes, _regimes(samples)[:, None]], 1)
        rules = _with_regime((knowledge or Knowledge()).over(names))
        test = self.test.bind(codes, weights=samples.weights, seed=seed)
        skeleton = find_skeleton(
            test,
            len(names) + 1,
            alpha=self.alpha,
            max_conditioning=self.max_conditioning,
            apart=rules.apart,
            kept=rules.kept,
        )
        oriented = orient(skeleton, test, rules, max_conditioning=self.max_conditioning)
        whole = untangle(oriented)
        matrix = whole[:-1, :-1]
        with_regime = CausalGraph.from_numpy(whole, (*names, REGIME))
        thin = ThinTables.of(skeleton, with_regime.nodes)
        status = DiscoveryStatus.DONE
        if thin is not None:
            status = DiscoveryStatus.FEW_ROWS_PER_CELL
        elif not equivalence.is_mpdag(matrix):
            status = DiscoveryStatus.INVALID_CPDAG
        elif _unplaced(whole, test, self.alpha):
            status = DiscoveryStatus.UNPLACED_CHANGE
        return DiscoveryResult(
            graph=CausalGraph.from_numpy(matrix, names),
            status=status,
            method=self,
            rows_used=samples.num_units,
            cpu_seconds=time.process_time() - start,
            edge_evidence=evidence_of_tests(with_regime, skeleton),
            thin_tables=thin,
            changing_slots=tuple(n for n, there in zip(names, whole[-1], strict=False) if there),
        )


def _regimes(samples: Samples) -> Int[Tensor, " rows"]:
    regimes = samples.regimes
    if regimes is None and samples.targets is not None:
        regimes = samples.targets.unique(dim=0, return_inverse=True)[1]
    if regimes is None or len(regimes.unique()) < 2:
        msg = (
            "CDNOD compares regimes, and these rows are of one only; pass regimes= (or targets=) "
            "to learn_graph, or use PC"
        )
        raise RegimeError(msg)
    return regimes.long()


def _with_regime(rules: Constraints) -> Constraints:
    """Adds the regime as the last column, which nothing causes."""
    required = np.pad(rules.required, (0, 1))
    forbidden = np.pad(rules.forbidden, (0, 1))
    forbidden[:, -1] = True
    return Constraints(required, forbidden)


def _unplaced(whole: np.ndarray, test: BoundTest, alpha: float) -> bool:
    """Says whether some slot clearly depends on the regime and is not below it in the graph."""
    # nothing causes the regime, so that only its descendants depend on it; tests given other
    # slots may all the same have parted it from every slot by which a change could enter
    slots = len(whole) - 1
    queries = np.stack([np.arange(slots), np.full(slots, slots)], 1)
    depends = run_tests(test, queries).p_value.cpu().numpy() * slots <= alpha
    below = np.arange(slots + 1) == slots
    for _ in range(slots):
        below |= whole[below].any(0)
    return bool((depends & ~below[:-1]).any())
