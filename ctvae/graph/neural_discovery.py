"""Discovery with networks in the place of tables, for slots of many codes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ctvae.errors import DataError, RegimeError
from ctvae.graph.acyclicity import Acyclicity, Order, Spectral
from ctvae.graph.causal_graph import CausalGraph
from ctvae.graph.differentiable import GraphPosterior, greedy_dag
from ctvae.graph.discovery import DiscoveryResult, EdgeEvidence
from ctvae.graph.graph_learner import average_gains, neighbours
from ctvae.graph.interventional import equivalence_status
from ctvae.graph.knowledge import Constraints, Knowledge
from ctvae.graph.masked_conditionals import MaskedConditionals
from ctvae.graph.settling import pair_probabilities, settle
from ctvae.randomness import Seed, check_count, make_generator, spawn
from ctvae.regimes import Samples

__all__ = ["DifferentiableDiscovery"]

LEAST_ROWS = 20
"""Fewer rows cannot be halved into rows to learn from and rows to judge by."""
RISE, FALL = 50, 0.4
"""Steps in which the learning rate rises, and the last share of the steps, in which it falls."""
ROWS_AT_ONCE = 1024
KNOWN = 1.0
"""Nats per row that a required edge is worth, and a forbidden one costs, while gradients move."""


@dataclass(frozen=True)
class DifferentiableDiscovery:
    r"""Learns edge probabilities by gradients, with a network for every slot's law.

    .. math::
        \max_P \; \mathbb{E}_{G \sim P} \sum_k \sum_{r:\, k \notin T_r}
        \log P_{G}^{(-r)}(x_{rk} \mid x_{r,\mathrm{Pa}_k}) - \lambda \sum_{ij} P_{ij}
        + H(P) - w\,h(P)

    Tables of counts need rows for every row of parents, and with 64 or 128 codes there are none;
    networks share what they learn among codes. Two sets of networks are trained on a half of the
    rows each and judged on the other half, :math:`P^{(-r)}`, so an edge that only fits noise gains
    nothing. An edge must gain :math:`\lambda = \tfrac12 \log N`, the BIC of one number: what the
    numbers of its network cost shows on the other half. All gains of one edge more or less are
    taken exactly, for graphs drawn for the other edges; pairs are oriented by the rows in which
    either slot was set, where there are such rows for both.

    Afterwards the likely edges, as a DAG, are changed by single edges as long as that gains, over
    all rows. The probabilities are those of the three states of each pair, given all other edges
    of that DAG; they are too sure of themselves where several edges would have to change together.

    Assumes known targets that were set whatever their parents, independent rows, and no hidden
    common cause. With few codes prefer ``OrderMCMC``, whose scores are exact and which is faster.

    Args:
        steps: Steps of the networks; the posterior moves in every second of the last three
            quarters.
        batch_size: Rows of each half in a step.
        width: Hidden units of each slot's network.
        rank: The numbers that stand for a code.
        learning_rate: Of the networks.
        graph_learning_rate: Of the posterior's log-odds.
        price: How many times half the logarithm of the rows an edge costs, at least 0.
        acyclicity: The measure of cycles h.
        acyclicity_weight: w at the end, in nats per row; it rises linearly from 0.
        order: Directions from priorities of the slots; ``None`` for each pair on its own.

    Raises:
        DataError: When a setting is out of range.

    Example:
        >>> from ctvae.graph import learn_graph
        >>> codes = torch.tensor([[0, 0], [1, 1]]).repeat(100, 1)
        >>> targets = torch.tensor([[True, False]]).expand(200, 2)
        >>> result = learn_graph(codes, method=DifferentiableDiscovery(steps=60), targets=targets)
        >>> result.graph
        CausalGraph(DAG on slot0, slot1: slot0 -> slot1)

    Source: Lippe, Cohen and Gavves (2022), ENCO. Departures: gains of single edges exactly
    instead of by sampling, rows held out crosswise instead of fit to observational rows alone,
    a price in nats, and the ascent at the end.
    Cost: O(batch * slots^2 * width * codes) for a step; for each round of the ascent the same for
    all rows.
    """

    steps: int = 800
    batch_size: int = 256
    width: int = 32
    rank: int = 16
    learning_rate: float = 1e-2
    graph_learning_rate: float = 5e-2
    price: float = 1.0
    acyclicity: Acyclicity = field(default_factory=Spectral)
    acyclicity_weight: float = 1.0
    order: Order | None = None

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "width", "rank"):
            check_count(getattr(self, name), name, least=1)
        for name in ("learning_rate", "graph_learning_rate"):
            if not 0 < getattr(self, name) < float("inf"):
                msg = f"{name} must be above 0, got {getattr(self, name)}"
                raise DataError(msg)
        for name in ("price", "acyclicity_weight"):
            if not 0 <= getattr(self, name) < float("inf"):
                msg = f"{name} must be at least 0, got {getattr(self, name)}"
                raise DataError(msg)

    def discover(
        self, samples: Samples, *, knowledge: Knowledge | None = None, seed: Seed = 0
    ) -> DiscoveryResult:
        """Learns the graph; all rows are used.

        Args:
            samples: Observational or interventional rows with known targets, on the device on
                which the networks are trained.
            knowledge: Edges that the graph must or must not have, and tiers.
            seed: For the halves, the first parameters, the batches and the graphs drawn.

        Returns:
            The DAG, edge probabilities on the codes' device, and for every ordered pair its
            probability and score gain, in nats over rows that the networks did not see.

        Raises:
            RegimeError: When targets are not known.
            DataError: When there are too few rows to halve them.
        """
        start = time.process_time()
        samples = samples.unweighted()
        if samples.regimes is not None:
            msg = (
                "DifferentiableDiscovery needs targets (rows, slots), got regimes whose targets "
                "are not known; use OrderMCMC or InterventionalBDeu, which find them"
            )
            raise RegimeError(msg)
        if len(samples) < LEAST_ROWS:
            msg = (
                f"DifferentiableDiscovery learns from one half of the rows and judges by the "
                f"other, got {len(samples)} rows; give at least {LEAST_ROWS}, or use "
                "InterventionalBDeu"
            )
            raise DataError(msg)
        names = samples.slots.names
        by_name = sorted(range(len(names)), key=lambda k: names[k])
        rules = (knowledge or Knowledge()).over([names[k] for k in by_name])
        search = _Search.begin(self, samples, by_name, rules, seed)
        search.train()
        dag, gains = settle(search.likely_dag(), search.total_gains, search.prices)
        chances = pair_probabilities(dag, gains, search.prices)
        back = torch.from_numpy(np.argsort(by_name))
        dag, gains, chances = (m[back][:, back] for m in (dag, gains, chances))
        graph = CausalGraph.from_numpy(dag.numpy().astype(np.int8), names)
        return DiscoveryResult(
            graph=graph,
            status=equivalence_status(graph, samples.targets),
            method=self,
            rows_used=len(samples),
            cpu_seconds=time.process_time() - start,
            edge_probabilities=chances.to(samples.codes.device),
            edge_evidence=_evidence(graph, chances, gains),
        )


@dataclass(frozen=True)
class _Search:
    """What changes while a graph is learned: networks and posterior."""

    method: DifferentiableDiscovery
    halves: tuple[Int[Tensor, "rows slots"], Int[Tensor, "rows slots"]]
    natural: tuple[Float[Tensor, "rows slots"], Float[Tensor, "rows slots"]]
    laws: tuple[MaskedConditionals, MaskedConditionals]
    posterior: GraphPosterior
    prices: Float[Tensor, "slots slots"]
    """Infinite for forbidden edges, minus infinite for required ones."""
    generator: torch.Generator

    @classmethod
    def begin(
        cls,
        method: DifferentiableDiscovery,
        samples: Samples,
        columns: list[int],
        rules: Constraints,
        seed: Seed,
    ) -> _Search:
        device = samples.codes.device
        cards = [samples.slots.cardinalities[k] for k in columns]
        generator = make_generator(spawn(seed, 1)[0], device)
        natural = torch.ones(samples.codes.shape, device=device)
        if samples.targets is not None:
            natural = (~samples.targets).float()
        rows = torch.randperm(len(samples), generator=generator, device=device)
        first, second = (part[:, None] for part in rows.tensor_split(2))
        one, other = (
            MaskedConditionals(cards, width=method.width, rank=method.rank, seed=s).to(device)
            for s in spawn(seed, 3)[1:]
        )
        halves = samples.codes[first, columns], samples.codes[second, columns]
        told = natural[first, columns], natural[second, columns]
        one.start_from_marginals(halves[0], told[0])
        other.start_from_marginals(halves[1], told[1])
        return cls(
            method=method,
            halves=halves,
            natural=told,
            laws=(one, other),
            posterior=GraphPosterior(len(cards), order=method.order).to(device),
            prices=_prices(method.price, len(samples), rules),
            generator=generator,
        )

    def train(self) -> None:
        """Moves the networks in every step and the posterior in some."""
        steps, posterior = self.method.steps, self.posterior
        parameters = [p for laws in self.laws for p in laws.parameters()]
        optimiser = torch.optim.AdamW(parameters, lr=self.method.learning_rate, weight_decay=1e-4)
        rate = torch.optim.lr_scheduler.LambdaLR(optimiser, _rate(steps))
        mover = torch.optim.Adam(
            posterior.parameters(), lr=self.method.graph_learning_rate, betas=(0.9, 0.9)
        )
        for step in range(steps):
            optimiser.zero_grad()
            self._misfit().backward()
            optimiser.step()
            rate.step()
            if 4 * step >= steps and step % 2:
                mover.zero_grad()
                self._unworth(step / steps).backward()
                mover.step()

    def likely_dag(self) -> Bool[Tensor, "slots slots"]:
        """Gives a DAG of likely edges with all required ones and no forbidden one."""
        chances = self.posterior.probabilities().detach().cpu()
        chances = chances.masked_fill(self.prices == torch.inf, 0.0)
        return greedy_dag(chances.masked_fill(self.prices == -torch.inf, torch.inf))

    def total_gains(self, dag: Bool[Tensor, "slots slots"]) -> Float[Tensor, "slots slots"]:
        """Sums what each edge gains beside the others of a graph, over rows not learned from."""
        total = torch.zeros(dag.shape, dtype=torch.float64)
        graph = dag.to(self.generator.device).float()
        with torch.no_grad():
            for laws, codes, natural in zip(
                reversed(self.laws), self.halves, self.natural, strict=True
            ):
                for rows, keep in zip(
                    codes.split(ROWS_AT_ONCE), natural.split(ROWS_AT_ONCE), strict=True
                ):
                    gains = laws.edge_gains(rows, graph.expand(len(rows), *graph.shape))
                    total += (gains * keep[:, None]).sum(0).double().cpu()
        return total

    def _batch(self, half: int) -> tuple[Tensor, Tensor, Tensor]:
        """Draws rows and one graph for each."""
        codes = self.halves[half]
        rows = torch.randint(
            len(codes),
            (self.method.batch_size,),
            generator=self.generator,
            device=codes.device,
        )
        with torch.no_grad():
            graphs = self.posterior.sample(len(rows), seed=self.generator)
        return codes[rows], self.natural[half][rows], graphs

    def _misfit(self) -> Tensor:
        loss = torch.zeros((), device=self.generator.device)
        for half, laws in enumerate(self.laws):
            codes, natural, graphs = self._batch(half)
            tried = neighbours(graphs, seed=self.generator)
            loss = loss - (laws.row_log_probs(codes, tried) * natural).sum() / len(codes)
        return loss

    def _unworth(self, done: float) -> Tensor:
        """What the posterior loses: the negative of its expected worth, and its cycles."""
        gains, natural = [], []
        with torch.no_grad():
            for half, laws in enumerate(reversed(self.laws)):
                codes, keep, graphs = self._batch(half)
                gains.append(laws.edge_gains(codes, graphs) * keep[:, None])
                natural.append(keep)
            num_rows = sum(map(len, self.halves))
            prices = (self.prices / num_rows).clamp(-KNOWN, KNOWN).to(gains[0])
            worth = average_gains(torch.cat(gains), torch.cat(natural), prices)
        lost = -self.posterior.expected_gain(*worth) - self.posterior.entropy() / num_rows
        weight = done * self.method.acyclicity_weight
        return lost + weight * self.posterior.penalty(self.method.acyclicity)


def _prices(price: float, num_rows: int, rules: Constraints) -> Tensor:
    half_log = torch.tensor(num_rows, dtype=torch.get_default_dtype()).log() / 2
    forbidden, required = torch.from_numpy(rules.forbidden), torch.from_numpy(rules.required)
    prices = (price * half_log).expand(forbidden.shape)
    return prices.masked_fill(forbidden, torch.inf).masked_fill(required, -torch.inf)


def _rate(steps: int) -> Callable[[int], float]:
    def factor(step: int) -> float:
        rise = min(1.0, (step + 1) / min(RISE, steps))
        return rise * min(1.0, max(0.05, (1 - step / steps) / FALL))

    return factor


def _evidence(
    graph: CausalGraph, chances: Tensor, gains: Tensor
) -> dict[tuple[str, str], EdgeEvidence]:
    names = graph.nodes
    return {
        (names[i], names[j]): EdgeEvidence(
            names[i],
            names[j],
            graph.mark(names[i], names[j]),
            probability=float(chances[i, j]),
            score_gain=float(gains[i, j]),
        )
        for i in range(len(names))
        for j in range(len(names))
        if i != j
    }
