"""Graphs of continuous variables, learned on the scale of the data and without it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple, Protocol

import torch
from jaxtyping import Float
from torch import Tensor

from ctvae.errors import DataError, ShapeError
from ctvae.graph.causal_graph import CausalGraph
from ctvae.graph.kinds import GraphKind
from ctvae.graph.settling import reachable
from ctvae.graph.sortability import r2_sortability, varsortability
from ctvae.randomness import Seed

__all__ = [
    "ContinuousEstimate",
    "ContinuousMethod",
    "ScaledGraph",
    "ScaledGraphs",
    "learn_continuous_graph",
    "strongest_dag",
]


class ContinuousEstimate(NamedTuple):
    """What a method learned on one scale.

    Attributes:
        graph: The graph.
        weights: ``[i, j]`` the weight of ``i -> j``; ``None`` where a method has none.
        left_out: How many edges would have closed a cycle.
    """

    graph: CausalGraph
    weights: Float[Tensor, "variables variables"] | None = None
    left_out: int = 0


class ContinuousMethod(Protocol):
    """What ``learn_continuous_graph`` asks of a method."""

    def estimate(
        self, data: Float[Tensor, "rows variables"], names: Sequence[str], *, seed: Seed = 0
    ) -> ContinuousEstimate:
        """Learns a graph on the scale given.

        Args:
            data: Centred rows, float64.
            names: Of the variables.
            seed: The seed of a method that draws.

        Returns:
            The graph, with weights where the method has them.
        """
        ...


@dataclass(frozen=True)
class ScaledGraph:
    """A graph learned on one scale of the data.

    Attributes:
        graph: The graph; of a method with weights the DAG of those from the threshold up, where
            these have a cycle the strongest first.
        weights: ``(variables, variables)`` float64, ``[i, j]`` the weight of ``i -> j`` on that
            scale, before the threshold; ``None`` where the method has none.
        left_out: How many weights from the threshold up would have closed a cycle.
        varsortability: The share of the graph's paths along which the variance of the *raw* data
            grows; near 1, sorting by variance gives the same order. ``None`` without edges, and for
            graphs that leave directions open.
        r2_sortability: The same for the explained variance.
        cpu_seconds: Processor time.
    """

    graph: CausalGraph
    weights: Float[Tensor, "variables variables"] | None
    left_out: int
    varsortability: float | None
    r2_sortability: float | None
    cpu_seconds: float

    def __repr__(self) -> str:
        shares = [
            "-" if share is None else f"{share:.2f}"
            for share in (self.varsortability, self.r2_sortability)
        ]
        return f"{self.graph!r}, varsortability {shares[0]}, R2-sortability {shares[1]}"


@dataclass(frozen=True)
class ScaledGraphs:
    """What a method learns on the data as they are and on standardised data.

    Attributes:
        raw: Learned from centred data.
        standardised: Learned from data with every variance 1.
        method: The method with its settings.
        rows_used: How many rows.
    """

    raw: ScaledGraph
    standardised: ScaledGraph
    method: ContinuousMethod
    rows_used: int

    @property
    def num_differences(self) -> int:
        """In how many pairs the marks of the two differ; above 0, units decided on the answer."""
        raw, scaled = self.raw.graph, self.standardised.graph
        return sum(
            raw.marks_between(a, b) != scaled.marks_between(a, b)
            for a, b in combinations(raw.nodes, 2)
        )

    @property
    def advice(self) -> str:
        """What the difference between the two graphs means."""
        if not self.num_differences:
            return "both scales give one graph, so the units did not decide it"
        return (
            f"the graphs differ in {self.num_differences} pairs, so the units of the variables "
            "decide; unless these mean something, believe neither, and prefer a method that "
            "ignores scale"
        )

    def __repr__(self) -> str:
        return (
            f"ScaledGraphs({self.rows_used} rows, {self.method!r}\n  raw: {self.raw!r}\n"
            f"  standardised: {self.standardised!r}\n  {self.advice})"
        )


def learn_continuous_graph(
    data: Float[Tensor, "rows variables"],
    names: Sequence[str] | None = None,
    *,
    method: ContinuousMethod,
    seed: Seed = 0,
) -> ScaledGraphs:
    """Learns a graph over continuous variables twice: from raw and from standardised data.

    It is a call of its own beside ``learn_graph``, which takes codes of slots: floats have no
    codes, and one graph would not be an honest answer. Methods that minimise squared errors lean on
    the variances of the variables, which simulated data give away and real ones owe to their units;
    so both answers come, each with the sortability of its order.

    Rows must be independent and observational, without hidden common causes.

    Args:
        data: ``(rows, variables)`` floats, on any device.
        names: Of the variables; ``x0, x1, ...`` where ``None``.
        method: ``DAGMALinear(...)``, ``DAGMAMLP(...)``, ``DirectLiNGAM()``, ``PC(test=FisherZ())``,
            ``FCI(test=FisherZ())``, ``GES(score=GaussianBIC())`` (``BOSS`` and ``GRaSP``
            likewise), or any object with ``estimate``.
        seed: The seed of methods that draw.

    Returns:
        Both graphs, with weights and sortabilities.

    Raises:
        ShapeError: When the data are no floats of two axes, or there is not one name per variable.
        DataError: When there are fewer than two rows, an entry is not finite, a column is constant,
            a name occurs twice, or the method has no ``estimate``.

    Example:
        >>> from ctvae.graph import CentralPath, DAGMALinear
        >>> noise = torch.randn(500, 2, generator=torch.Generator().manual_seed(0))
        >>> data = torch.stack([noise[:, 0], 2 * noise[:, 0] + noise[:, 1]], 1)
        >>> quick = DAGMALinear(path=CentralPath(scales=(1.0, 0.9), steps=200))
        >>> found = learn_continuous_graph(data, ["dose", "effect"], method=quick)
        >>> found.raw.graph, found.raw.varsortability
        (CausalGraph(DAG on dose, effect: dose -> effect), 1.0)

    Source: Reisach, Seiler and Weichwald (2021), Beware of the simulated DAG.
    """
    if isinstance(method, type) or not hasattr(method, "estimate"):
        named = method.__name__ if isinstance(method, type) else repr(method)
        msg = (
            "method= takes an object with estimate(), such as PC(test=FisherZ()) or "
            f"DAGMALinear(); got {named}"
        )
        raise DataError(msg)
    data, names = _check(data, names)
    centred = data - data.mean(0)
    scaled = centred / centred.std(0, correction=0)
    # The columns go in the order of their names, so that permuting them changes nothing.
    by_name = sorted(range(len(names)), key=lambda k: names[k])
    found = [
        _learn(rows[:, by_name], [names[k] for k in by_name], names, data, method, seed)
        for rows in (centred, scaled)
    ]
    return ScaledGraphs(raw=found[0], standardised=found[1], method=method, rows_used=len(data))


def _learn(
    rows: Tensor,
    ordered: Sequence[str],
    names: Sequence[str],
    data: Tensor,
    method: ContinuousMethod,
    seed: Seed,
) -> ScaledGraph:
    start = time.process_time()
    found = method.estimate(rows, ordered, seed=seed)
    graph, weights = found.graph.reorder(names), found.weights
    back = [list(ordered).index(name) for name in names]
    some = graph.kind is GraphKind.DAG and graph.num_edges > 0
    return ScaledGraph(
        graph=graph,
        weights=None if weights is None else weights[back][:, back],
        left_out=found.left_out,
        varsortability=varsortability(data, graph) if some else None,
        r2_sortability=r2_sortability(data, graph) if some else None,
        cpu_seconds=time.process_time() - start,
    )


def strongest_dag(
    weights: Float[Tensor, "variables variables"], threshold: float, names: Sequence[str]
) -> ContinuousEstimate:
    """Takes weights as edges from the strongest down, without those that close a cycle.

    Args:
        weights: ``[i, j]`` the weight of ``i -> j``.
        threshold: Weights below it are no edges, and zeros never are.
        names: Of the variables.

    Returns:
        The DAG, the weights, and how many edges were left out.
    """
    sizes = weights.detach().abs().cpu()
    strong = (sizes >= max(threshold, torch.finfo(sizes.dtype).tiny)).nonzero().tolist()
    dag, left_out = torch.zeros(sizes.shape, dtype=torch.bool), 0
    for i, j in sorted(strong, key=lambda edge: -float(sizes[edge[0], edge[1]])):
        if bool(reachable(dag)[j, i]) or i == j:
            left_out += 1
        else:
            dag[i, j] = True
    graph = CausalGraph.from_numpy(dag.numpy().astype("int8"), names)
    return ContinuousEstimate(graph, weights, left_out)


def _check(data: Tensor, names: Sequence[str] | None) -> tuple[Tensor, list[str]]:
    if not isinstance(data, Tensor) or data.ndim != 2 or not data.is_floating_point():
        got = (
            f"{data.dtype} {tuple(data.shape)}" if isinstance(data, Tensor) else type(data).__name__
        )
        if not isinstance(data, Tensor):
            got += "; torch.as_tensor(array) makes one of an array, frame.to_numpy() the array"
        msg = (
            f"data must be a float tensor (rows, variables), got {got}; for codes of slots use "
            "learn_graph"
        )
        raise ShapeError(msg)
    labels = [f"x{k}" for k in range(data.shape[1])] if names is None else list(names)
    if len(labels) != data.shape[1]:
        msg = f"names must be one per variable, got {len(labels)} for {data.shape[1]} columns"
        raise ShapeError(msg)
    if len(set(labels)) < len(labels):
        msg = f"names must differ, got {', '.join(labels)}"
        raise DataError(msg)
    if len(data) < 2:
        msg = f"a graph is learned from two rows at least, got {len(data)}"
        raise DataError(msg)
    for name, column in zip(labels, data.T, strict=True):
        if not bool(torch.isfinite(column).all()):
            msg = f"column {name!r} holds NaN or infinite entries; drop those rows first"
            raise DataError(msg)
        if bool((column == column[0]).all()):
            msg = f"column {name!r} is constant and cannot be standardised; leave it out"
            raise DataError(msg)
    return data.double(), labels
