"""Tables learned from rows of which some slots were not observed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool
from torch import Tensor

from ctvae.errors import ShapeError
from ctvae.inference.derivatives import expected_counts
from ctvae.mechanisms.local_law import LocalLaw
from ctvae.mechanisms.program import Program
from ctvae.mechanisms.table import TableMechanism, check_independent, fit_tables
from ctvae.regimes import Samples

__all__ = ["Learned", "learn_tables"]


class Learned(NamedTuple):
    """Tables learned from incomplete rows.

    Attributes:
        tables: Slot name to table.
        objective: The log-posterior of the tables before each step, nats, up to a constant; it
            never falls.
        converged: Whether the last step gained less than the tolerance per row.
    """

    tables: dict[str, TableMechanism]
    objective: tuple[float, ...]
    converged: bool


class _Pattern(NamedTuple):
    """Distinct rows in which the same slots were observed and the same ones set."""

    given: dict[int, Tensor]
    done: dict[int, Tensor]
    weights: Tensor


def learn_tables(
    rows: Samples,
    parents: Mapping[str, Sequence[int]],
    *,
    pseudocount: float = 1.0,
    max_steps: int = 200,
    tolerance: float = 1e-8,
) -> Learned:
    r"""Learns the tables of all slots by exact expectation maximisation.

    .. math:: \theta_{k, v \mid u} \leftarrow
        \frac{E[n_{k, v, u} \mid \text{rows}, \theta] + \alpha}
             {\sum_w E[n_{k, w, u} \mid \text{rows}, \theta] + K \alpha}

    The posterior mode under a symmetric Dirichlet prior of parameter :math:`\alpha + 1`; for
    complete rows the same tables as by counting. Entries must be missing at random: whether one is
    missing may depend on what was observed, not on the missing code itself.

    Args:
        rows: Rows of codes with their regime and what was observed; a slot that was set by ``do``
            must be observed.
        parents: Slot name to the columns of its parents, increasing.
        pseudocount: The prior count of every cell.
        max_steps: The largest number of steps.
        tolerance: Stops when a step gains less than this, in nats per row.

    Returns:
        The tables.

    Raises:
        RegimeError: When the rows are edits or counterfactual pairs.
        ShapeError: When a slot that was set is not observed.

    Source: Dempster, Laird and Rubin (1977); Lauritzen (1995) for graphical models.
    Cost: a step is one contraction and one derivative for each pattern of missing entries; rows
    that are equal are counted once.
    """
    check_independent(rows)
    observed = rows.observed
    if observed is None:
        return Learned(fit_tables(rows, parents, pseudocount=pseudocount), (), converged=True)
    if rows.targets is not None and bool((rows.targets & ~observed).any()):
        msg = "a slot that was set by do() has a known code: observed must be true where targets is"
        raise ShapeError(msg)
    patterns = _patterns(rows, observed)
    names = rows.slots.names
    tables = _start(rows, observed, parents, pseudocount)
    history: list[float] = []
    for _ in range(max_steps):
        counts, objective = _expect(rows, parents, tables, patterns)
        objective += pseudocount * sum(float(t.table().log().sum()) for t in tables.values())
        gained = objective - history[-1] if history else torch.inf
        history.append(objective)
        if gained < tolerance * max(1, len(rows)):
            return Learned(tables, tuple(history), converged=True)
        tables = {
            name: TableMechanism.from_counts(count, pseudocount=pseudocount)
            for name, count in zip(names, counts, strict=True)
        }
    return Learned(tables, tuple(history), converged=False)


def _patterns(rows: Samples, observed: Bool[Tensor, "rows slots"]) -> list[_Pattern]:
    targets = torch.zeros_like(observed) if rows.targets is None else rows.targets
    masks, which = torch.cat([observed, targets], 1).unique(dim=0, return_inverse=True)
    count = len(rows.slots)
    found = []
    for number, mask in enumerate(masks):
        seen, done = mask[:count], mask[count:]
        mine = torch.where(seen, rows.codes[which == number], 0)
        distinct, weights = mine.unique(dim=0, return_counts=True)
        columns = seen.nonzero().squeeze(-1).tolist()
        found.append(
            _Pattern(
                {c: distinct[:, c] for c in columns if not done[c]},
                {c: distinct[:, c] for c in columns if done[c]},
                weights,
            )
        )
    return found


def _start(
    rows: Samples,
    observed: Bool[Tensor, "rows slots"],
    parents: Mapping[str, Sequence[int]],
    pseudocount: float,
) -> dict[str, TableMechanism]:
    """Counts the complete families of each table, and tilts those that have none."""
    tables = {}
    sizes = rows.slots.cardinalities
    for name, causes in parents.items():
        column = rows.slots.index(name)
        family = [*causes, column]
        known = observed[:, family].all(1)
        if rows.targets is not None:
            known = known & ~rows.targets[:, column]
        table = TableMechanism.fit(
            rows.codes[known, column],
            rows.codes[known][:, list(causes)],
            cardinality=sizes[column],
            parent_cardinalities=[sizes[cause] for cause in causes],
            pseudocount=pseudocount,
        )
        tables[name] = _tilted(table) if not bool(known.any()) else table
    return tables


def _tilted(table: TableMechanism) -> TableMechanism:
    """Breaks the symmetry of a slot that was never observed, at which the steps would stand."""
    probs = table.table().clone()
    steps = torch.arange(probs.numel(), device=probs.device, dtype=probs.dtype)
    tilt = 1 + 0.2 * torch.sin(1 + 2.4 * steps).reshape(probs.shape)
    tilted = probs * tilt
    return TableMechanism(tilted / tilted.sum(-1, keepdim=True))


def _expect(
    rows: Samples,
    parents: Mapping[str, Sequence[int]],
    tables: Mapping[str, TableMechanism],
    patterns: Sequence[_Pattern],
) -> tuple[list[Tensor], float]:
    total, objective = [torch.zeros_like(tables[name].table()) for name in rows.slots.names], 0.0
    for pattern in patterns:
        laws = []
        for column, name in enumerate(rows.slots.names):
            forced = pattern.done.get(column)
            law = tables[name]
            laws.append(
                LocalLaw(tuple(parents[name]), law)
                if forced is None
                else LocalLaw((), law, forced=forced)
            )
        program = Program.pack(rows.slots, laws)
        counts, logs = expected_counts(program, pattern.given, pattern.weights)
        total = [one + more for one, more in zip(total, counts, strict=True)]
        objective += float((logs * pattern.weights).sum())
    return total, objective
