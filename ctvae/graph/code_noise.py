"""Discovery from codes that are read with errors: their confusion matrices, and a correction."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from ctvae.counting import contingency_table
from ctvae.errors import DataError, GraphError, RegimeError, ShapeError
from ctvae.graph.causal_graph import CausalGraph
from ctvae.graph.discovery import DiscoveryMethod, DiscoveryResult, learn_graph
from ctvae.graph.distances import shd
from ctvae.graph.imputation import NoisyRows
from ctvae.graph.kinds import GraphKind
from ctvae.graph.knowledge import Knowledge
from ctvae.randomness import Seed, check_count, make_generator, spawn
from ctvae.regimes import Samples
from ctvae.slots import SlotSpace

__all__ = ["NoiseCorrected", "confusion_matrices"]

LEAST_CONTRAST = 1e-3
"""The smallest singular value of a confusion matrix whose codes can still be told apart."""
KINDS = (GraphKind.DAG, GraphKind.CPDAG, GraphKind.MPDAG)


def confusion_matrices(
    read: Int[Tensor, "rows slots"],
    true: Int[Tensor, "rows slots"],
    slots: SlotSpace,
    *,
    pseudocount: float = 0.5,
) -> tuple[Float[Tensor, "true read"], ...]:
    r"""Estimates how codes are misread, from rows whose true codes are known.

    .. math:: Q_k[z, c] = \frac{n_{zc} + \alpha}{n_z + C_k\,\alpha}

    Errors of different slots are taken as independent given the true codes. Such rows come from
    images of known factors, once the slots' codes are matched to the factors' values, or from
    codes read twice.

    Args:
        read: Codes read off, ``(rows, slots)``.
        true: The true codes of the same rows.
        slots: The slots.
        pseudocount: The prior count :math:`\alpha` of every pair of codes, above 0.

    Returns:
        For each slot ``(true, read)`` float64, every row a law.

    Raises:
        ShapeError: When the two differ in shape.
        CodeError: When a code is no integer of its codebook.
        DataError: When the pseudocount is not above 0.

    Example:
        >>> slots = SlotSpace.from_cardinalities([2])
        >>> true = torch.tensor([[0], [0], [0], [1]])
        >>> confusion_matrices(torch.tensor([[0], [0], [1], [1]]), true, slots)[0]
        tensor([[0.6250, 0.3750],
                [0.2500, 0.7500]], dtype=torch.float64)
    """
    if read.shape != true.shape:
        msg = f"read and true codes must agree, got {tuple(read.shape)} and {tuple(true.shape)}"
        raise ShapeError(msg)
    if not 0 < pseudocount < float("inf"):
        msg = f"pseudocount must be above 0, got {pseudocount}"
        raise DataError(msg)
    read, true = slots.check_codes(read), slots.check_codes(true)
    found = []
    for k, size in enumerate(slots.cardinalities):
        pairs = torch.stack([true[:, k], read[:, k]], 1)
        counts = contingency_table(pairs, [size, size]) + pseudocount
        found.append(counts / counts.sum(1, keepdim=True))
    return tuple(found)


@dataclass(frozen=True)
class NoiseCorrected:
    r"""Corrects any method for codes that are misread now and then.

    A misread cause leaves a part of its effect unexplained, and other slots that know of the true
    code seem to be causes too; the more rows, the surer the false edges. Here the true codes are
    drawn given the codes read, their confusion matrices and a graph, by ``sweeps`` rounds of
    Gibbs sampling with tables drawn anew; then ``method`` learns the next graph from them, and so
    forth. Of the graphs of the last half of the ``rounds``, the one nearest to all others (least
    sum of SHD) is returned, with the mean of their edge probabilities.

    Assumes known targets, errors that are independent between slots and rows given the true codes,
    and confusion matrices near the truth. Interventions help it: from observational rows alone a
    confusion and an edge can look the same.

    Args:
        method: Any method whose graphs are DAGs, CPDAGs or MPDAGs.
        confusion: For each slot, in column order, ``(true, read)`` the law of the code read; see
            ``confusion_matrices``.
        rounds: How many graphs are learned, at least 2.
        sweeps: Gibbs rounds before each.

    Raises:
        DataError: When a matrix holds no laws, reads a code never as itself, or cannot tell two
            codes apart.
        ShapeError: When a count is out of range.

    Example:
        >>> from ctvae.graph import InterventionalBDeu, learn_graph
        >>> cause = torch.arange(600) % 2
        >>> codes = torch.stack([cause, (cause + (torch.arange(600) % 7 == 0)) % 2], 1)
        >>> done = torch.zeros(600, 2, dtype=torch.bool)
        >>> done[300:, 0] = True
        >>> reading = torch.tensor([[0.95, 0.05], [0.05, 0.95]])
        >>> method = NoiseCorrected(InterventionalBDeu(), (reading, reading), rounds=2)
        >>> learn_graph(codes, method=method, targets=done).graph
        CausalGraph(DAG on slot0, slot1: slot0 -> slot1)

    Source: Tanner and Wong (1987), The calculation of posterior distributions by data
    augmentation; Friedman (1998), The Bayesian structural EM algorithm, for learning structure on
    completed data.
    Cost: rounds * (the method + sweeps * O(rows * edges * codes)).
    """

    method: DiscoveryMethod
    confusion: Sequence[Float[Tensor, "true read"]]
    rounds: int = 8
    sweeps: int = 20

    def __post_init__(self) -> None:
        check_count(self.rounds, "rounds", least=2)
        check_count(self.sweeps, "sweeps", least=1)
        object.__setattr__(self, "confusion", tuple(map(_check, self.confusion)))

    def __repr__(self) -> str:
        errors = [float(1 - q.diagonal().mean()) for q in self.confusion]
        return f"NoiseCorrected({self.method!r}, {max(errors, default=0):.1%} misread at most)"

    def discover(
        self, samples: Samples, *, knowledge: Knowledge | None = None, seed: Seed = 0
    ) -> DiscoveryResult:
        """Learns the graph of the true codes.

        Args:
            samples: Codes as read, with known targets where something was done.
            knowledge: What the method may obey.
            seed: For the codes drawn and for the method.

        Returns:
            The result of the graph that is returned, with averaged ``edge_probabilities`` (and
            evidence as of that round's codes).

        Raises:
            RegimeError: When targets are not known.
            ShapeError: When there is not one matrix per slot, of the size of its codebook.
            GraphError: When the method's graphs are of another kind.
        """
        start = time.process_time()
        samples = samples.unweighted()
        names = samples.slots.names
        by_name = sorted(range(len(names)), key=lambda k: names[k])  # permuting changes nothing
        back = np.argsort(by_name)
        rows = self._rows(samples, by_name)
        seeds = spawn(seed, self.rounds + 2)
        generator = make_generator(seeds[-1], samples.codes.device)
        result = _learn(self.method, samples, samples.codes, knowledge, seeds[-2])
        found, codes = [], rows.read
        for one in seeds[: self.rounds]:
            parents = _parents(result.graph.reorder([names[k] for k in by_name]))
            for _ in range(self.sweeps):
                codes = rows.resample(codes, parents, generator=generator)
            result = _learn(self.method, samples, codes[:, back], knowledge, one)
            found.append(result)
        kept = found[self.rounds // 2 :]
        chosen = min(kept, key=lambda one: sum(shd(one.graph, other.graph) for other in kept))
        chances = [one.edge_probabilities for one in kept if one.edge_probabilities is not None]
        return replace(
            chosen,
            method=self,
            cpu_seconds=time.process_time() - start,
            edge_probabilities=torch.stack(chances).mean(0) if chances else None,
        )

    def _rows(self, samples: Samples, order: list[int]) -> NoisyRows:
        sizes = samples.slots.cardinalities
        got = tuple(len(q) for q in self.confusion)
        if got != tuple(sizes):
            msg = f"confusion must hold one matrix per slot, of {tuple(sizes)} codes; got {got}"
            raise ShapeError(msg)
        if samples.regimes is not None:
            msg = (
                "NoiseCorrected needs targets (rows, slots), got regimes whose targets are not "
                "known; find them first with learn_graph(..., regimes=...).target_probabilities"
            )
            raise RegimeError(msg)
        codes = samples.codes[:, order]
        never = torch.zeros(codes.shape, dtype=torch.bool, device=codes.device)
        return NoisyRows(
            read=codes,
            set_=never if samples.targets is None else samples.targets[:, order],
            cardinalities=tuple(sizes[k] for k in order),
            readings=tuple(self.confusion[k].to(codes.device).log() for k in order),
        )


def _learn(
    method: DiscoveryMethod,
    samples: Samples,
    codes: Int[Tensor, "rows slots"],
    knowledge: Knowledge | None,
    seed: int,
) -> DiscoveryResult:
    drawn = replace(samples, codes=codes)
    result = learn_graph(drawn, method=method, knowledge=knowledge, seed=seed)
    if result.graph.kind not in KINDS:
        msg = (
            f"NoiseCorrected draws codes from DAGs, and {method!r} gave a "
            f"{result.graph.kind.name}; use OrderMCMC, GES or PC"
        )
        raise GraphError(msg)
    return result


def _parents(graph: CausalGraph) -> list[list[int]]:
    matrix = graph.consistent_extension().to_numpy()
    return [np.flatnonzero(column).tolist() for column in matrix.T]


def _check(matrix: Tensor) -> Tensor:
    square = isinstance(matrix, Tensor) and matrix.ndim == 2 and len(matrix) == matrix.shape[1]
    if not square or not matrix.is_floating_point():
        got = tuple(matrix.shape) if isinstance(matrix, Tensor) else type(matrix).__name__
        msg = f"a confusion matrix is a square float tensor (true, read), got {got}"
        raise DataError(msg)
    laws = matrix.double()
    sums = laws.sum(1)
    if not bool((laws >= 0).all()) or not torch.allclose(sums, torch.ones_like(sums), atol=1e-4):
        msg = "each row of a confusion matrix is the law of the code read, given the true code"
        raise DataError(msg)
    if not bool((laws.diagonal() > 0).all()):
        msg = "a code is never read as itself; match the codes to the true ones first"
        raise DataError(msg)
    contrast = float(torch.linalg.svdvals(laws)[-1])
    if contrast < LEAST_CONTRAST:
        msg = (
            f"codes read say too little: two true codes are read alike (smallest singular value "
            f"{contrast:.1g}); merge these codes"
        )
        raise DataError(msg)
    return laws
