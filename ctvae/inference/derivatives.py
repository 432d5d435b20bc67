"""Many answers from the derivatives of one: effects of all slots, expected counts of all cells."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ctvae.counting import joint_index
from ctvae.errors import EvidenceError, ShapeError
from ctvae.inference.contraction import DEFAULT_BUDGET
from ctvae.inference.exact import joint, log_evidence, query
from ctvae.mechanisms.base import Mechanism
from ctvae.mechanisms.local_law import LocalLaw
from ctvae.mechanisms.program import Program

__all__ = ["expected_counts", "single_effects"]


def single_effects(
    program: Program,
    target: int,
    given: Mapping[int, Int[Tensor, ""]],
    *,
    budget: int = DEFAULT_BUDGET,
) -> list[Float[Tensor, "causes codes"]]:
    r"""Gives :math:`P(y \mid do(x_k = v), \text{given})` for every slot k and every v.

    The joint law of target and evidence is multilinear in the entries of the tables, and setting a
    slot leaves out its own factor, so

    .. math:: P(y, e \mid do(x_k = v)) =
        \sum_u \frac{\partial P(y, e)}{\partial \theta_{k, v \mid u}}

    for all slots at once: one contraction and its derivatives, with no division that positivity
    would be needed for.

    Args:
        program: One world; a slot that is forced there is set anew.
        target: The column asked for.
        given: Column to observed code, evidence in each of the intervened worlds.
        budget: The largest intermediate table allowed, in entries.

    Returns:
        For each column ``(codes of the column, codes of the target)``; for the target itself the
        identity. A row of ``nan`` says that the evidence cannot be where the slot has that code.

    Raises:
        ShapeError: When there is one world or one piece of evidence per row.

    Source: the differential approach of Darwiche (2003), applied to the truncated factorisation.
    Cost: one contraction and as many derivatives as the target has codes, whatever the number of
        slots; one query for each slot and code where evidence contradicts itself beyond the range
        of the numbers.
    """
    if program.batch is not None or any(codes.ndim for codes in given.values()):
        msg = "all effects at once are for one world and one piece of evidence; ask row by row"
        raise ShapeError(msg)
    free = _free(program)
    table, safe = joint(free, [target], given, budget=budget)
    if not safe:
        columns = range(len(program.slots))
        return [_one_by_one(program, target, given, column, budget) for column in columns]
    leaves = [law.table for law in free.laws]
    one = torch.eye(len(table), dtype=table.dtype, device=table.device)
    grads = torch.autograd.grad(
        table, leaves, grad_outputs=one, is_grads_batched=True, allow_unused=True
    )
    size = program.slots[target].cardinality
    effects = []
    for column, slot in enumerate(program.slots):
        grad = grads[column]
        if column == target:
            effect = torch.eye(size, dtype=table.dtype, device=table.device)
        elif grad is None:
            effect = table.detach().expand(slot.cardinality, -1)
        else:
            effect = grad.reshape(size, -1, slot.cardinality).sum(1).T
        total = effect.sum(1, keepdim=True)
        # Evidence far likelier where the slot is set than here takes the derivatives too far.
        if not bool(((total > 0) & total.isfinite()).all()):
            effects.append(_one_by_one(program, target, given, column, budget))
            continue
        effects.append(effect / total)
    return effects


def _one_by_one(
    program: Program, target: int, given: Mapping[int, Tensor], column: int, budget: int
) -> Tensor:
    """The effects of one slot, one query for each code, where derivatives would lose entries."""
    size = program.slots[target].cardinality
    if column == target:
        return torch.eye(size, dtype=program.dtype, device=program.device)
    rows = []
    for code in range(program.slots[column].cardinality):
        laws = list(program.laws)
        value = torch.tensor(code, device=program.device)
        laws[column] = LocalLaw((), laws[column].mechanism, forced=value, own_noise=False)
        row = torch.full((size,), torch.nan, dtype=program.dtype, device=program.device)
        with contextlib.suppress(EvidenceError):
            row = query(Program.pack(program.slots, laws), [target], given, budget=budget)
        rows.append(row)
    return torch.stack(rows)


def expected_counts(
    program: Program,
    given: Mapping[int, Int[Tensor, " rows"]],
    weights: Float[Tensor, " rows"],
    *,
    budget: int = DEFAULT_BUDGET,
) -> tuple[list[Float[Tensor, "*parents codes"]], Float[Tensor, " rows"]]:
    r"""Counts every cell of every table in rows of which some slots were not observed.

    .. math:: E[n_{k, v, u} \mid \text{rows}] =
        \theta_{k, v \mid u} \sum_r w_r
        \frac{\partial \log P(\text{row}_r)}{\partial \theta_{k, v \mid u}}

    Of a row only the slots that cause what was observed are counted: the rest of it would be drawn
    from the tables themselves, and teaches nothing.

    Args:
        program: The world the rows are from.
        given: Column to observed codes; columns left out were observed in none of these rows.
        weights: How often each row counts.
        budget: The largest intermediate table allowed, in entries; rows are split to stay below.

    Returns:
        For each column the expected counts, zeros where it is forced; and each row's log-evidence
        in nats.

    Raises:
        EvidenceError: When a row has probability zero.

    Source: Russell, Binder, Koller and Kanazawa (1995); Darwiche (2003).
    Cost: one contraction and one derivative for all columns and rows.
    """
    free = _free(program, cut=True)
    logs = log_evidence(free, given, budget=budget)
    logs = logs if logs.ndim else logs.expand(len(weights))
    if not bool((logs > -torch.inf).all()):
        row = int((logs == -torch.inf).nonzero()[0])
        msg = f"row {row} has probability zero under the tables; give a positive pseudocount"
        raise EvidenceError(msg)
    leaves = [law.table for law in free.laws]
    total = (logs * weights.to(logs)).sum()
    grads: Sequence[Tensor | None] = [None] * len(leaves)
    if total.requires_grad:
        grads = torch.autograd.grad(total, leaves, allow_unused=True)
    counts = [
        torch.zeros_like(leaf) if grad is None else (leaf * grad).detach()
        for leaf, grad in zip(leaves, grads, strict=True)
    ]
    return counts, logs.detach()


@dataclass(frozen=True, eq=False)
class _Leaf:
    """A table that derivatives are taken by."""

    probs: Tensor

    @property
    def cardinality(self) -> int:
        return self.probs.shape[-1]

    @property
    def parent_cardinalities(self) -> tuple[int, ...]:
        return tuple(self.probs.shape[:-1])

    @property
    def device(self) -> torch.device:
        return self.probs.device

    def table(self) -> Tensor:
        return self.probs

    def log_probs(self, parents: Tensor) -> Tensor:
        index = joint_index(parents, self.parent_cardinalities)
        return self.probs.reshape(-1, self.cardinality)[index].log()

    def to(self, device: torch.device | str) -> Mechanism:
        return _Leaf(self.probs.to(device))


def _free(program: Program, *, cut: bool = False) -> Program:
    """The same world with tables that derivatives can be taken by; forced ones too, unless cut."""
    laws = []
    for law in program.laws:
        table = law.table.detach()
        if law.forced is not None and not cut:
            size = table.shape[-1]
            point = torch.nn.functional.one_hot(law.forced, size).to(program.dtype)
            laws.append(LocalLaw((), _Leaf(point.requires_grad_())))
            continue
        leaf = _Leaf(table.to(program.dtype).clone().requires_grad_())
        laws.append(replace(law, mechanism=leaf, response=None))
    return Program(program.slots, tuple(laws), program.order)
