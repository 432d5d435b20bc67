"""How far a learned graph depends on the rows drawn and on the order of the columns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ctvae.errors import CTVAEError, DataError
from ctvae.graph.causal_graph import CausalGraph
from ctvae.graph.discovery import DiscoveryMethod, as_samples, check_learnable, learn_graph
from ctvae.graph.distances import shd
from ctvae.graph.knowledge import Knowledge
from ctvae.graph.outcomes import Failure
from ctvae.randomness import Seed, check_count, make_generator, spawn
from ctvae.regimes import Samples
from ctvae.slots import Slot, SlotSpace

__all__ = ["Stability", "bootstrap", "permute_columns"]

Progress = Callable[[int, int], None]
"""Told how many runs are done, and how many there are."""


@dataclass(frozen=True)
class Stability:
    """The graphs that a method learned from resampled rows or permuted columns.

    Attributes:
        graphs: One a run that ended, nodes in slot order.
        failures: Why the other runs did not.
    """

    graphs: tuple[CausalGraph, ...]
    failures: tuple[Failure, ...] = field(default=())

    @property
    def nodes(self) -> tuple[str, ...]:
        """The slots, rows and columns of the matrices."""
        return self.graphs[0].nodes

    @cached_property
    def directed(self) -> Float[np.ndarray, "slots slots"]:
        """The share of the graphs that hold i -> j; an undirected edge counts for neither way."""
        return self._share(lambda graph, a, b: (a, b) in graph.directed)

    @cached_property
    def adjacent(self) -> Float[np.ndarray, "slots slots"]:
        """The share of the graphs in which i and j are adjacent, symmetric."""
        return self._share(lambda graph, a, b: graph.adjacent(a, b))

    @property
    def mean_shd(self) -> float:
        """The mean structural Hamming distance between two of the graphs; 0 where all are equal."""
        pairs = [shd(a, b) for k, a in enumerate(self.graphs) for b in self.graphs[:k]]
        return float(np.mean(pairs)) if pairs else 0.0

    def consensus(self, threshold: float = 0.5) -> CausalGraph:
        """Gives the edges that more than a share of the graphs hold.

        Args:
            threshold: The share of graphs in which two slots must be adjacent, in [.5, 1); an
                edge is directed where as many direct it so.

        Returns:
            The graph; edges along a cycle that no single graph holds are left undirected.

        Raises:
            DataError: When the threshold is out of range.
        """
        if not 0.5 <= threshold < 1:
            msg = f"threshold is a share of the graphs in [0.5, 1), got {threshold}"
            raise DataError(msg)
        there = self.directed > threshold
        reach = there.copy()
        for k in range(len(reach)):
            reach |= reach[:, k, None] & reach[None, k]
        directed = there & ~reach.T
        open_ = (self.adjacent > threshold) & ~directed & ~directed.T
        return CausalGraph.from_numpy((directed | open_).astype(np.int8), self.nodes)

    def __repr__(self) -> str:
        runs = len(self.graphs) + len(self.failures)
        return f"Stability({runs} runs, {len(self.failures)} failed, mean SHD {self.mean_shd:.2f})"

    def _share(
        self, holds: Callable[[CausalGraph, str, str], bool]
    ) -> Float[np.ndarray, "slots slots"]:
        counts = np.zeros((len(self.nodes),) * 2)
        for graph in self.graphs:
            counts += [[a != b and holds(graph, a, b) for b in self.nodes] for a in self.nodes]
        return counts / len(self.graphs)


def bootstrap(
    codes: Int[Tensor, "rows slots"] | Samples,
    slots: SlotSpace | Sequence[Slot] | None = None,
    *,
    method: DiscoveryMethod,
    targets: Bool[Tensor, "rows slots"] | None = None,
    regimes: Int[Tensor, " rows"] | None = None,
    knowledge: Knowledge | None = None,
    num_resamples: int = 100,
    n_jobs: int = 1,
    seed: Seed = 0,
    progress: Progress | None = None,
) -> Stability:
    """Learns the graph again and again from rows drawn with replacement within each regime.

    Args:
        codes: Codes ``(rows, slots)``, or ``Samples``.
        slots: The columns, as in ``learn_graph``.
        method: Any method.
        targets: Known targets, as in ``learn_graph``.
        regimes: Regimes whose targets are not known, as in ``learn_graph``.
        knowledge: What the graphs must and must not hold.
        num_resamples: How many graphs are learned, at least 1.
        n_jobs: How many at a time, in processes of their own, each of which first imports torch
            for some seconds; -1 for one on each core. On a cluster, change joblib's backend:
            ``joblib.parallel_config(backend="dask")``.
        seed: For the rows drawn and for methods that draw.
        progress: Told after each graph how many are done, and how many there are.

    Returns:
        The graphs, the same whatever ``n_jobs`` and backend are.

    Raises:
        DataError: When every run fails, with the first reason.

    Example:
        >>> from ctvae.graph import GES
        >>> a = torch.arange(400) % 2
        >>> rows = torch.stack([a, (a + (torch.arange(400) % 5 == 0)) % 2], 1)
        >>> bootstrap(rows, method=GES(), num_resamples=5).adjacent[0, 1]
        np.float64(1.0)

    Source: Friedman, Goldszmidt and Wyner (1999), Data analysis with Bayesian networks: a
    bootstrap approach.

    Cost: ``num_resamples`` runs of the method.
    """
    samples = as_samples(codes, slots, targets, regimes).unweighted()
    check_learnable(samples)
    check_count(num_resamples, "num_resamples", least=1)
    seeds = spawn(seed, num_resamples)
    group = _groups(samples)

    def drawn() -> Iterator[tuple[Samples, int]]:
        for one in seeds:
            yield samples.take_rows(_draw_within(group, one)), one

    return _collect(drawn(), len(seeds), method, knowledge, samples.slots.names, n_jobs, progress)


def permute_columns(
    codes: Int[Tensor, "rows slots"] | Samples,
    slots: SlotSpace | Sequence[Slot] | None = None,
    *,
    method: DiscoveryMethod,
    targets: Bool[Tensor, "rows slots"] | None = None,
    regimes: Int[Tensor, " rows"] | None = None,
    knowledge: Knowledge | None = None,
    num_orders: int = 20,
    n_jobs: int = 1,
    seed: Seed = 0,
    progress: Progress | None = None,
) -> Stability:
    """Learns the graph from the same rows with the columns in random orders.

    A method whose graphs differ reads something off the order of the columns. The method's own
    seed is the same in each run.

    Args:
        codes: Codes ``(rows, slots)``, or ``Samples``.
        slots: The columns, as in ``learn_graph``.
        method: Any method.
        targets: Known targets, as in ``learn_graph``.
        regimes: Regimes whose targets are not known, as in ``learn_graph``.
        knowledge: What the graphs must and must not hold.
        num_orders: How many graphs are learned, at least 1.
        n_jobs: How many at a time, as in ``bootstrap``.
        seed: For the orders, and for methods that draw.
        progress: Told after each graph how many are done, and how many there are.

    Returns:
        The graphs, nodes in the order of the columns as given.

    Raises:
        DataError: When every run fails, with the first reason.

    Example:
        >>> from ctvae.graph import GES
        >>> a = torch.arange(400) % 2
        >>> rows = torch.stack([a, (a + (torch.arange(400) % 5 == 0)) % 2, 1 - a], 1)
        >>> permute_columns(rows, method=GES(), num_orders=4).mean_shd
        0.0

    Cost: ``num_orders`` runs of the method.
    """
    samples = as_samples(codes, slots, targets, regimes)
    check_learnable(samples)
    check_count(num_orders, "num_orders", least=1)
    own, *seeds = spawn(seed, num_orders + 1)

    def permuted() -> Iterator[tuple[Samples, int]]:
        for one in seeds:
            order = torch.randperm(len(samples.slots), generator=make_generator(one))
            yield samples.take_columns(order.tolist()), own

    return _collect(
        permuted(), num_orders, method, knowledge, samples.slots.names, n_jobs, progress
    )


def _collect(
    runs: Iterator[tuple[Samples, int]],
    count: int,
    method: DiscoveryMethod,
    knowledge: Knowledge | None,
    nodes: Sequence[str],
    n_jobs: int,
    progress: Progress | None,
) -> Stability:
    from joblib import Parallel, delayed

    if isinstance(n_jobs, bool) or not isinstance(n_jobs, int) or n_jobs == 0:
        msg = f"n_jobs= takes an integer of at least 1, or -1 for one on each core, got {n_jobs!r}"
        raise DataError(msg)
    jobs = (delayed(_learn)(samples, method, knowledge, one) for samples, one in runs)
    found: list[CausalGraph | Failure] = []
    for outcome in Parallel(n_jobs=n_jobs, return_as="generator")(jobs):
        found.append(outcome)
        if progress is not None:
            progress(len(found), count)
    graphs = tuple(g.reorder(nodes) for g in found if isinstance(g, CausalGraph))
    failures = tuple(f for f in found if isinstance(f, Failure))
    if not graphs:
        msg = f"all {count} runs of {method!r} failed; the first: {failures[0].reason}"
        raise DataError(msg)
    return Stability(graphs, failures)


def _learn(
    samples: Samples, method: DiscoveryMethod, knowledge: Knowledge | None, seed: int
) -> CausalGraph | Failure:
    try:
        return learn_graph(samples, method=method, knowledge=knowledge, seed=seed).graph
    except CTVAEError as error:
        return Failure(str(error))


def _groups(samples: Samples) -> Int[Tensor, " rows"]:
    """Numbers the regimes of rows: by what was done, or by what is called one regime."""
    if samples.regimes is not None:
        return samples.regimes.long()
    if samples.targets is not None:
        return samples.targets.unique(dim=0, return_inverse=True)[1]
    return torch.zeros(len(samples), dtype=torch.long, device=samples.codes.device)


def _draw_within(group: Int[Tensor, " rows"], seed: int) -> Int[Tensor, " rows"]:
    generator = make_generator(seed)
    drawn = []
    for one in group.unique().tolist():
        rows = torch.nonzero(group == one)[:, 0]
        places = torch.randint(len(rows), (len(rows),), generator=generator)
        drawn.append(rows[places.to(rows.device)])
    return torch.cat(drawn)
