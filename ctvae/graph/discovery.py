"""Learning a graph from codes: the one call, its result, and what a method must offer."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from html import escape
from inspect import signature
from typing import Protocol

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ctvae.errors import DataError, GraphError, RegimeError, ShapeError, did_you_mean
from ctvae.graph.causal_graph import CausalGraph
from ctvae.graph.evidence import EdgeEvidence, ThinTables
from ctvae.graph.knowledge import Knowledge
from ctvae.graph.marks import Edge
from ctvae.graph.odd_columns import column_warnings
from ctvae.graph.statuses import DiscoveryStatus
from ctvae.randomness import Seed
from ctvae.regimes import Regime, Samples
from ctvae.slots import Slot, SlotKey, SlotSpace

__all__ = [
    "DiscoveryMethod",
    "DiscoveryResult",
    "DiscoveryStatus",
    "EdgeEvidence",
    "ThinTables",
    "as_samples",
    "check_learnable",
    "learn_graph",
    "observational_rows",
]


class DiscoveryMethod(Protocol):
    """What ``learn_graph`` asks of a method: an object that holds only its own settings."""

    def discover(
        self, samples: Samples, *, knowledge: Knowledge | None = None, seed: Seed = 0
    ) -> DiscoveryResult:
        """Learns a graph over the slots of some rows.

        Args:
            samples: Rows of independent units, with their weights.
            knowledge: What the graph must and must not hold; passed only where something is
                known. A method that cannot obey it refuses with a ``GraphError``, and one without
                this argument is never asked to.
            seed: The seed of a method that draws; ignored by the others.

        Returns:
            The graph with its evidence.
        """
        ...


@dataclass(frozen=True)
class DiscoveryResult:
    """A learned graph and why it looks as it does.

    Attributes:
        graph: The graph over the slots, nodes in slot order.
        status: How the search ended; ``status.advice`` says what to do next.
        method: The method with its settings.
        rows_used: How many rows the method looked at, each as often as it counts.
        cpu_seconds: Processor time of the search.
        edge_probabilities: ``(slots, slots)`` float64, ``[i, j]`` the posterior probability of
            ``i -> j``; ``None`` where the method gives no posterior.
        descendant_probabilities: ``(slots, slots)`` float64, ``[i, j]`` the posterior probability
            that j is a descendant of i, from DAGs drawn from the posterior, so that its standard
            error is at most .016 where 1000 are; ``None`` where the method gives no posterior.
        target_probabilities: ``(regimes, slots)`` float64, ``[r, k]`` the probability that what was
            done in regime r changed slot k's own law, given the graph; the regimes that occur, in
            order. ``None`` where targets were known.
        thin_tables: A warning where tests had too few rows to see a dependence; ``None`` where
            there is nothing to warn of.
        changing_slots: The slots whose own law differs between regimes, where a method finds
            those without telling the regimes apart; else ``None``.
        warnings: Sentences about columns that hold one code only, or nearly as many as there are
            rows.
        edge_evidence: Evidence by ordered pair of names; read it with ``evidence``.
    """

    graph: CausalGraph
    status: DiscoveryStatus
    method: DiscoveryMethod
    rows_used: int
    cpu_seconds: float
    edge_probabilities: Float[Tensor, "slots slots"] | None = None
    descendant_probabilities: Float[Tensor, "slots slots"] | None = None
    target_probabilities: Float[Tensor, "regimes slots"] | None = None
    thin_tables: ThinTables | None = None
    changing_slots: tuple[str, ...] | None = None
    warnings: tuple[str, ...] = ()
    edge_evidence: Mapping[Edge, EdgeEvidence] = field(default_factory=dict, repr=False)

    def evidence(self, i: SlotKey, j: SlotKey) -> EdgeEvidence:
        """Says why there is, or is no, edge between two slots.

        Args:
            i: A slot, by name or column.
            j: Another slot.

        Returns:
            What the method found out about ``i -> j``.
        """
        if isinstance(i, str) and isinstance(j, str) and (i, j) in self.edge_evidence:
            return self.edge_evidence[i, j]
        source, target = self._name(i), self._name(j)
        mark = self.graph.mark(source, target)
        return self.edge_evidence.get((source, target), EdgeEvidence(source, target, mark))

    def _name(self, key: SlotKey) -> str:
        names = self.graph.nodes
        if isinstance(key, str) and key in names:
            return key
        if isinstance(key, int) and not isinstance(key, bool) and 0 <= key < len(names):
            return names[key]
        msg = f"slot {key!r} is not in this graph (nodes: {', '.join(names)})"
        raise GraphError(msg + did_you_mean(key, names))

    def __repr__(self) -> str:
        return (
            f"DiscoveryResult({self.status.name}, {self.graph!r}, {self.method!r}, "
            f"{self.rows_used} rows, {self.cpu_seconds:.2f} CPU s"
            f"{''.join(f'; {one}' for one in self.warnings)})"
        )

    def _repr_html_(self) -> str:
        said = "<br>".join(map(escape, (f"{self.method!r}: {self.status.advice}", *self.warnings)))
        return f"<p>{said}</p>{self.graph._repr_html_()}"


def learn_graph(
    codes: Int[Tensor, "rows slots"] | Int[np.ndarray, "rows slots"] | Samples,
    slots: SlotSpace | Sequence[Slot] | Sequence[str] | None = None,
    *,
    method: DiscoveryMethod,
    targets: Bool[Tensor, "rows slots"] | None = None,
    regimes: Int[Tensor, " rows"] | None = None,
    knowledge: Knowledge | None = None,
    seed: Seed = 0,
) -> DiscoveryResult:
    """Learns a causal graph over slots from rows of codes.

    The rows must be independent units without hidden common causes of the slots. A method that
    cannot use interventional rows looks at the observational ones only and says so in
    ``rows_used``. There is no default method, since none fits all data.

    Args:
        codes: Codes ``(rows, slots)``, also as an array of numpy, or ``Samples``, which bring
            slots, regime, targets and weights; ``ct.data.read_csv`` and ``read_columns`` make them.
        slots: The columns; names alone, or ``None`` for ``slot0, slot1, ...``, give each one code
            more than the largest that occurs.
        method: ``PC(...)``, ``GES()``, ``InterventionalBDeu(...)`` or any object with ``discover``.
        targets: ``(rows, slots)`` booleans, true where a slot was set by ``do``; ``None`` for
            observational rows, or where that is not known.
        regimes: ``(rows,)`` integers, where targets are not known: 0 for observational rows, and
            one number for all rows to which the same was done.
        knowledge: Required and forbidden edges and tiers, which the graph obeys.
        seed: The seed of methods that draw.

    Returns:
        The graph, edge probabilities where the method has them, status and evidence.

    Raises:
        RegimeError: On edit or counterfactual rows, which are no samples of an intervention.
        DataError: When there are no rows, or ``Samples`` come with slots, targets or regimes
            again.
        GraphError: When the knowledge names no slot, or the method cannot obey it.

    Example:
        >>> import ctvae.graph as g
        >>> cause = torch.arange(600) % 3
        >>> codes = torch.stack([cause, (cause + (torch.arange(600) % 7 == 0)) % 3], 1)
        >>> done = torch.zeros(600, 2, dtype=torch.bool)
        >>> done[300:, 0] = True
        >>> learn_graph(codes, method=g.InterventionalBDeu(), targets=done).graph
        CausalGraph(DAG on slot0, slot1: slot0 -> slot1)
    """
    if isinstance(method, type) or not hasattr(method, "discover"):
        named = method.__name__ if isinstance(method, type) else repr(method)
        msg = (
            "method= takes an object with discover(), such as ct.graph.GES(), ct.graph.PC() or "
            f"ct.graph.OrderMCMC(); got {named}"
        )
        raise DataError(msg)
    samples = as_samples(codes, slots, targets, regimes)
    check_learnable(samples)
    if samples.weights is not None:  # what counts for nothing has no codes and no regime
        samples = samples.take_rows(samples.weights > 0)
    if knowledge is not None:
        knowledge.over(samples.slots.names)
    if knowledge is None:
        result = method.discover(samples, seed=seed)
    elif "knowledge" not in signature(method.discover).parameters:
        msg = f"{method!r} takes no knowledge; leave it out, or use a method that does, such as GES"
        raise GraphError(msg)
    else:
        result = method.discover(samples, knowledge=knowledge, seed=seed)
    broken = None if knowledge is None else knowledge.violation(result.graph)
    if broken is not None:
        msg = f"{method!r} cannot obey this knowledge: {broken}; use OrderMCMC, which can"
        raise GraphError(msg)
    said = dict.fromkeys((*column_warnings(samples), *result.warnings))
    return replace(result, warnings=tuple(said))


def check_learnable(samples: Samples) -> None:
    """Refuses rows from which no graph can be learned.

    Args:
        samples: Rows.

    Raises:
        RegimeError: On edit or counterfactual rows.
        DataError: When there are no rows, or entries that were not observed.
    """
    if samples.observed is not None and not bool(samples.observed.all()):
        msg = (
            "a graph is learned from complete rows, and some entries of these samples were not "
            "observed; keep the rows that are complete, samples.take_rows(samples.observed.all(1))"
        )
        raise DataError(msg)
    if not samples.regime.independent_rows:
        reason = {
            Regime.EDIT: "one factor was replaced with its descendants held, which implies an "
            "empty graph; use rows where descendants respond",
            Regime.COUNTERFACTUAL: "the before and after rows of one unit share their noise and "
            "never count as independent; use one row per unit, Samples.from_pairs(...)",
        }[samples.regime]
        msg = f"{samples.regime.value} rows are no samples of do: {reason}"
        raise RegimeError(msg)
    if not samples.num_units:
        msg = "there are no rows to learn from"
        raise DataError(msg)


def observational_rows(samples: Samples, *, method: str) -> Samples:
    """Keeps the rows in which nothing was set by ``do``.

    Args:
        samples: Rows.
        method: The method's name, for the error.

    Returns:
        The observational rows.

    Raises:
        RegimeError: When there are none.
    """
    natural = torch.ones_like(samples.codes[:, 0], dtype=torch.bool)
    if samples.targets is not None:
        natural = ~samples.targets.any(1)
    if samples.regimes is not None:
        natural = samples.regimes == 0
    kept = samples.take_rows(natural)
    if not kept.num_units:
        msg = (
            f"{method} needs observational rows, and in each of the {len(samples)} rows something "
            "was done; use InterventionalBDeu or OrderMCMC, which learn from such rows"
        )
        raise RegimeError(msg)
    return replace(kept, regime=Regime.OBSERVATIONAL, targets=None, regimes=None)


def as_samples(
    codes: Tensor | np.ndarray | Samples,
    slots: SlotSpace | Sequence[Slot] | Sequence[str] | None,
    targets: Tensor | None,
    regimes: Tensor | None,
) -> Samples:
    """Reads rows as ``learn_graph`` takes them.

    Args:
        codes: Codes ``(rows, slots)``, or ``Samples``.
        slots: The columns, or their names; ``None`` names them.
        targets: Known targets.
        regimes: Regimes whose targets are not known.

    Returns:
        The rows with their slots and regime.

    Raises:
        DataError: When there are no rows, or ``Samples`` come with slots, targets or regimes.
        ShapeError: When the codes are no table.
    """
    if isinstance(codes, Samples):
        if any(one is not None for one in (slots, targets, regimes)):
            msg = (
                "Samples bring their own slots, targets and regimes; pass the plain codes to "
                "replace them"
            )
            raise DataError(msg)
        return codes
    codes = _table(codes)
    space = slots if isinstance(slots, SlotSpace) else _space(codes, slots)
    if regimes is not None:
        return Samples(codes, space, Regime.INTERVENTIONAL, targets, regimes=regimes)
    if targets is None:
        return Samples(codes, space)
    if targets.dtype != torch.bool:
        msg = f"targets must be booleans (rows, slots), got dtype {targets.dtype}"
        raise ShapeError(msg)
    return Samples(codes, space, Regime.INTERVENTIONAL, targets)


def _table(codes: Tensor | np.ndarray) -> Tensor:
    if isinstance(codes, np.ndarray) and codes.dtype.kind in "iu":
        codes = torch.from_numpy(codes.astype(np.int64))
    if isinstance(codes, Tensor) and codes.ndim == 2:
        return codes
    got = f"shape {tuple(codes.shape)}" if isinstance(codes, Tensor) else type(codes).__name__
    if isinstance(codes, np.ndarray):
        got += f" of {codes.dtype}; codes are integers"
    elif hasattr(codes, "columns"):
        got += "; ct.data.read_columns makes Samples of a data frame"
    msg = f"codes must be an integer tensor (rows, slots) or Samples, got {got}"
    raise ShapeError(msg)


def _space(codes: Tensor, slots: Sequence[Slot] | Sequence[str] | None) -> SlotSpace:
    given: list[Slot | str] = [] if slots is None else list(slots)
    names = [one for one in given if isinstance(one, str)]
    if slots is not None and len(names) < max(len(given), 1):
        return SlotSpace(one for one in given if not isinstance(one, str))
    if math.prod(codes.shape) == 0:
        msg = f"there are no rows to learn from (codes of shape {tuple(codes.shape)})"
        raise DataError(msg)
    sizes = [max(1, int(k) + 1) for k in codes.amax(0)]
    return SlotSpace.from_cardinalities(dict(zip(names, sizes, strict=False)) if names else sizes)
