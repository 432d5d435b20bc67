"""Exact answers by tensor contraction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import opt_einsum
import torch
from jaxtyping import Float, Int
from torch import Tensor

from ctvae.errors import EvidenceError, ShapeError, StateSpaceError
from ctvae.mechanisms.program import Program

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["DEFAULT_BUDGET", "log_prob", "query"]

DEFAULT_BUDGET = 2**26
"""The largest intermediate table that an exact query may need, in entries (512 MiB as float64)."""

BATCH = -1
"""The axis of worlds and evidence rows, beside the slots' columns."""


def log_prob(program: Program, codes: Int[Tensor, "*batch slots"]) -> Float[Tensor, "*batch"]:
    r"""Gives the log-probability of rows, :math:`\sum_k \log P(x_k \mid x_{\mathrm{pa}(k)})`.

    Args:
        program: The world.
        codes: Rows of codes; where values were forced per row, the axis before the last is the
            batch.

    Returns:
        Nats; ``-inf`` for a row that contradicts a forced value.

    Raises:
        ShapeError: When the rows do not match the batch of the forced values.

    Cost: O(rows * slots).
    """
    if program.batch is not None and (codes.ndim < 2 or codes.shape[-2] != program.batch):
        msg = f"values were forced for {program.batch} rows, got codes {tuple(codes.shape)}"
        raise ShapeError(msg)
    columns = dict(enumerate(codes.unbind(-1)))
    total = torch.zeros(codes.shape[:-1], dtype=program.dtype, device=codes.device)
    for column in program.order:
        own = columns[column]
        if column in program.forced:
            agrees = own == program.forced[column]
            total = total.masked_fill(~agrees, -torch.inf)
            continue
        index = program.row_index(column, columns)
        table = program.log_tables[column]
        total = total + table[torch.zeros_like(own) if index is None else index, own]
    return total


def query(
    program: Program,
    targets: Sequence[int],
    given: Mapping[int, Int[Tensor, "*batch"]],
    *,
    budget: int = DEFAULT_BUDGET,
) -> Float[Tensor, "*batch_codes"]:
    r"""Answers :math:`P(\text{targets} \mid \text{given})` exactly in one world.

    Slots that are ancestors neither of the targets nor of the evidence are dropped, tables are
    read at the forced and observed codes, and the rest is one contraction whose order is searched
    once per structure and kept. Computed in float64 where any table is float64.

    Args:
        program: The world; under an intervention, the evidence is evidence in that world.
        targets: Columns asked for, all different.
        given: Column to observed codes, ``()`` or ``(batch,)``.
        budget: The largest intermediate table allowed, in entries.

    Returns:
        Probabilities ``(codes of each target)``, with the batch first wherever evidence or forced
        values have one, also where the targets do not depend on it.

    Raises:
        ShapeError: When batches differ in length.
        StateSpaceError: When the contraction would exceed the budget.
        EvidenceError: When the evidence has probability zero in this world.

    Source: variable elimination as einsum; path search by opt_einsum (Smith, Gray 2018).
    Cost: exponential in the width of the pruned graph; estimated before anything is computed.
    """
    batches = {len(codes) for codes in (*given.values(), *program.forced.values()) if codes.ndim}
    if len(batches) > 1:
        msg = f"evidence and forced values must share one batch length, got {sorted(batches)}"
        raise ShapeError(msg)
    fixed = {**given, **program.forced}
    operands: list[Tensor] = []
    axes: list[tuple[int, ...]] = []
    possible = torch.ones((), dtype=program.dtype, device=program.device)
    for column in sorted(program.ancestors({*targets, *given})):
        if column not in program.forced:
            factor, free = _factor(program, column, fixed)
        elif column in given:
            factor, free = (given[column] == program.forced[column]).to(program.dtype), ()
        else:
            continue
        if column in given:
            factor = _rescale(factor, free)
        if free:
            operands.append(factor)
            axes.append((BATCH, *free) if factor.ndim > len(free) else free)
        else:
            possible = possible * factor
    for column in targets:
        if column in fixed:
            size = program.slots[column].cardinality
            operands.append(torch.nn.functional.one_hot(fixed[column], size).to(program.dtype))
            axes.append((BATCH, column) if fixed[column].ndim else (column,))
    uses_batch = any(BATCH in term for term in axes)
    output = (BATCH, *targets) if uses_batch else tuple(targets)
    shapes = tuple(tuple(operand.shape) for operand in operands)
    joint = _contraction(tuple(axes), output, shapes, budget)(*operands)
    if len(operands) == 1:
        joint = joint.clone()  # a contraction of one table is a view of it: the model's own
    if batches and not uses_batch:
        _check_budget(joint.numel() * max(batches), budget, batched=True)
        joint = joint.expand(*batches, *joint.shape).clone()
    if not given:
        return joint
    return _normalise(program, joint, possible, len(targets), given)


def _factor(
    program: Program, column: int, fixed: Mapping[int, Tensor]
) -> tuple[Tensor, tuple[int, ...]]:
    """Reads a column's table at the fixed codes; the batch, where there is one, comes first."""
    scope = (*program.parents[column], column)
    table = program.tables[column].to(program.dtype)
    known = [axis for axis, member in enumerate(scope) if member in fixed]
    if not known:
        return table, scope
    rest = [axis for axis in range(len(scope)) if axis not in known]
    read = table.permute(*known, *rest)[tuple(fixed[scope[axis]] for axis in known)]
    return read, tuple(scope[axis] for axis in rest)


def _rescale(factor: Tensor, free: tuple[int, ...]) -> Tensor:
    """Divides a factor of evidence by its largest entry, which the normalisation cancels."""
    # Undivided, the product over much evidence would underflow and look impossible.
    largest = factor.amax(tuple(range(-len(free), 0)), keepdim=True) if free else factor
    return factor / largest.masked_fill(largest == 0, 1)


def _normalise(
    program: Program,
    joint: Tensor,
    possible: Tensor,
    num_targets: int,
    given: Mapping[int, Tensor],
) -> Tensor:
    # After rescaling, what was read off entirely is 1 where the evidence can be and 0 elsewhere.
    total = joint.sum(tuple(range(-num_targets, 0))) * possible
    if bool((total <= 0).any()):
        names = ", ".join(program.slots.names[column] for column in given)
        msg = f"the evidence on {names} has probability zero in this world: nothing to condition on"
        if total.ndim:
            msg += f" (first at row {int((total <= 0).nonzero()[0])})"
        raise EvidenceError(msg)
    return joint / total.reshape(total.shape + (1,) * num_targets)


@lru_cache(maxsize=1024)
def _contraction(
    axes: tuple[tuple[int, ...], ...],
    output: tuple[int, ...],
    shapes: tuple[tuple[int, ...], ...],
    budget: int,
) -> Callable[..., Any]:
    def write(term: tuple[int, ...]) -> str:
        return "".join(opt_einsum.get_symbol(axis + 1) for axis in term)  # BATCH is symbol 0

    equation = f"{','.join(map(write, axes))}->{write(output)}"
    _, info = opt_einsum.contract_path(equation, *shapes, shapes=True, optimize="auto")
    _check_budget(int(info.largest_intermediate), budget, batched=BATCH in output)
    return opt_einsum.contract_expression(equation, *shapes, optimize=info.path)


def _check_budget(entries: int, budget: int, *, batched: bool) -> None:
    if entries > budget:
        msg = (
            f"this query needs a table of {entries:.3g} entries (budget {budget:.3g}); ask for "
            f"fewer slots at once, condition on more, {'split the batch, ' if batched else ''}"
            "raise budget=, or draw samples instead"
        )
        raise StateSpaceError(msg)
