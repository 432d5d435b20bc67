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

    All slots that are neither ancestors of the targets nor of the evidence are dropped; the rest
    is one contraction whose order is searched once per structure and kept.

    Args:
        program: The world; under an intervention, the evidence is evidence in that world.
        targets: Columns asked for, all different.
        given: Column to observed codes, ``()`` or ``(batch,)``.
        budget: The largest intermediate table allowed, in entries.

    Returns:
        Probabilities ``(codes of each target)``, with the batch first where evidence or forced
        values have one.

    Raises:
        StateSpaceError: When the contraction would exceed the budget.
        EvidenceError: When the evidence has probability zero in this world.
        ShapeError: When batches differ in length.

    Source: variable elimination as einsum; path search by opt_einsum (Smith, Gray 2018).
    Cost: exponential in the width of the pruned graph; estimated before anything is computed.
    """
    batches = {len(v) for v in (*given.values(), *program.forced.values()) if v.ndim}
    if len(batches) > 1:
        msg = f"evidence and forced values must share one batch length, got {sorted(batches)}"
        raise ShapeError(msg)
    batch = len(program.slots)
    operands: list[Tensor] = []
    axes: list[tuple[int, ...]] = []
    for column in sorted(program.ancestors({*targets, *given})):
        if column in program.forced:
            _observe(program, column, program.forced[column], batch, operands, axes)
        else:
            operands.append(program.tables[column].to(program.dtype))
            axes.append((*program.parents[column], column))
        if column in given:
            _observe(program, column, given[column], batch, operands, axes)
    keep = tuple(targets)
    uses_batch = any(batch in a for a in axes)
    output = (batch, *keep) if uses_batch else keep
    shapes = tuple(tuple(operand.shape) for operand in operands)
    joint = _contraction(tuple(axes), output, shapes, budget)(*operands)
    if not given:
        return joint
    total = joint.flatten(1 if uses_batch else 0).sum(-1)
    if bool((total <= 0).any()):
        names = ", ".join(program.slots.names[column] for column in given)
        msg = f"the evidence on {names} has probability zero in this world: nothing to condition on"
        raise EvidenceError(msg)
    return joint / total.reshape(total.shape + (1,) * len(keep))


def _observe(
    program: Program,
    column: int,
    codes: Tensor,
    batch: int,
    operands: list[Tensor],
    axes: list[tuple[int, ...]],
) -> None:
    size = program.slots[column].cardinality
    operands.append(torch.nn.functional.one_hot(codes, size).to(program.device, program.dtype))
    axes.append((batch, column) if codes.ndim else (column,))


@lru_cache(maxsize=1024)
def _contraction(
    axes: tuple[tuple[int, ...], ...],
    output: tuple[int, ...],
    shapes: tuple[tuple[int, ...], ...],
    budget: int,
) -> Callable[..., Any]:
    symbol = opt_einsum.get_symbol
    inputs = ",".join("".join(map(symbol, term)) for term in axes)
    equation = f"{inputs}->{''.join(map(symbol, output))}"
    _, info = opt_einsum.contract_path(equation, *shapes, shapes=True, optimize="auto")
    largest = int(info.largest_intermediate)
    if largest > budget:
        msg = (
            f"this query needs a table of {largest:.3g} entries (budget {budget:.3g}); ask for "
            "fewer slots at once, condition on more, raise budget=, or draw samples instead"
        )
        raise StateSpaceError(msg)
    return opt_einsum.contract_expression(equation, *shapes, optimize=info.path)
