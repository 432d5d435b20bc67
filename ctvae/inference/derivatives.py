"""Many answers from the derivatives of one: effects of all slots, expected counts of all cells."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

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
        For each column ``(codes of the column, codes of the target)``; for the target itself rows
        of the identity. A row of ``nan`` says that the evidence cannot be where the slot is set to
        that code.

    Raises:
        ShapeError: When there is one world or one piece of evidence per row.

    Source: the differential approach of Darwiche (2003), applied to the truncated factorisation.
    Cost: one contraction and as many derivatives as the target has codes, whatever the number of
        slots; one query more for each slot and code under which the evidence cannot be, or has a
        probability beyond the range of the numbers.
    """
    if program.batch is not None or any(codes.ndim for codes in given.values()):
        msg = "all effects at once are for one world and one piece of evidence; ask row by row"
        raise ShapeError(msg)
    free = _free(program, program.ancestors({target, *given}))
    table, safe = joint(free, [target], given, budget=budget)
    leaves = _leaves(free)
    one = torch.eye(len(table), dtype=table.dtype, device=table.device)
    found = torch.autograd.grad(
        table, list(leaves.values()), grad_outputs=one, is_grads_batched=True, allow_unused=True
    )
    grads = dict(zip(leaves, found, strict=True))
    size = program.slots[target].cardinality
    effects = []
    for column, slot in enumerate(program.slots):
        grad = grads.get(column)
        if grad is None:
            joints = table.detach().expand(slot.cardinality, -1)
        else:
            joints = grad.reshape(size, -1, slot.cardinality).sum(1).T
        total = joints.sum(1, keepdim=True)
        effect = joints / total
        can_be = torch.ones_like(total[:, 0], dtype=torch.bool)
        if column in given:
            can_be = torch.arange(slot.cardinality, device=can_be.device) == given[column]
            effect = effect.masked_fill(~can_be[:, None], torch.nan)
        # Evidence far likelier where the slot is set than here takes the derivatives too far.
        lost = ~((total[:, 0] > 0) & total[:, 0].isfinite())
        for code in (can_be & (lost if safe else True)).nonzero()[:, 0]:
            effect[code] = _effect(program, target, given, column, code, budget)
        effects.append(effect)
    return effects


def _effect(
    program: Program,
    target: int,
    given: Mapping[int, Tensor],
    column: int,
    code: Tensor,
    budget: int,
) -> Float[Tensor, " codes"]:
    """One query, where derivatives would lose entries; ``nan`` where the evidence cannot be."""
    laws = list(program.laws)
    laws[column] = LocalLaw((), laws[column].mechanism, forced=code, own_noise=False)
    world = Program.pack(program.slots, laws)
    try:
        return query(world, [target], given, budget=budget)
    except EvidenceError:
        size = program.slots[target].cardinality
        return torch.full((size,), torch.nan, dtype=program.dtype, device=program.device)


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
    natural = {column for column, law in enumerate(program.laws) if law.forced is None}
    free = _free(program, natural)
    logs = log_evidence(free, given, budget=budget)
    logs = logs if logs.ndim else logs.expand(len(weights))
    if not bool((logs > -torch.inf).all()):
        row = int((logs == -torch.inf).nonzero()[0])
        msg = f"row {row} has probability zero under the tables; give a positive pseudocount"
        raise EvidenceError(msg)
    leaves = _leaves(free)
    total = (logs * weights.to(logs)).sum()
    counts = [
        torch.zeros(
            (*law.mechanism.parent_cardinalities, law.mechanism.cardinality),
            dtype=program.dtype,
            device=program.device,
        )
        for law in program.laws
    ]
    if total.requires_grad:
        grads = torch.autograd.grad(total, list(leaves.values()), allow_unused=True)
        for (column, leaf), grad in zip(leaves.items(), grads, strict=True):
            if grad is not None:
                counts[column] = (leaf * grad).detach()
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


def _free(program: Program, columns: set[int]) -> Program:
    """The same world, these columns with tables that derivatives can be taken by."""
    laws = list(program.laws)
    for column in columns:
        law = laws[column]
        leaf = _Leaf(law.table.detach().to(program.dtype).clone().requires_grad_())
        laws[column] = LocalLaw(law.parents, leaf, regime=law.regime)
    return Program(program.slots, tuple(laws), program.order)


def _leaves(free: Program) -> dict[int, Tensor]:
    laws = enumerate(free.laws)
    return {column: law.table for column, law in laws if isinstance(law.mechanism, _Leaf)}
