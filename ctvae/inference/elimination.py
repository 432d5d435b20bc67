"""Slots taken out one by one, and put back: explanations and draws given evidence."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ctvae.errors import EvidenceError
from ctvae.inference.batching import batch_length, impossible
from ctvae.inference.contraction import BATCH, Cost, check_budget
from ctvae.inference.sampling import draw_by_rows, draw_column
from ctvae.mechanisms.program import Program
from ctvae.randomness import Seed, check_count, make_generator

__all__ = ["Explanation", "most_probable", "sample_given", "sum_out"]


class Explanation(NamedTuple):
    """The likeliest row that agrees with evidence.

    Attributes:
        codes: ``(slots,)`` or ``(batch, slots)``.
        log_prob: The logarithm of the row's probability, nats, ``()`` or ``(batch,)``.
    """

    codes: Int[Tensor, "*batch slots"]
    log_prob: Float[Tensor, "*batch"]


class Bucket(NamedTuple):
    """What is known of a slot when those taken out after it have their codes.

    Attributes:
        column: The slot.
        others: The columns that the table reads, before the slot itself.
        table: ``(batch or 1, *others, codes)``.
    """

    column: int
    others: tuple[int, ...]
    table: Tensor


class Table(NamedTuple):
    """A table of some columns, rows first.

    Attributes:
        axes: The columns.
        values: ``(batch or 1, *axes)``.
    """

    axes: tuple[int, ...]
    values: Tensor


def most_probable(
    program: Program, given: Mapping[int, Int[Tensor, "*batch"]], *, budget: int
) -> Explanation:
    r"""Gives the most probable explanation of evidence.

    .. math:: \arg\max_x P(x) \text{ over the rows } x \text{ that agree with the evidence}

    Args:
        program: The world.
        given: Column to observed codes, ``()`` or ``(batch,)``.
        budget: The largest table allowed, in entries.

    Returns:
        The row and the logarithm of its probability P(x); among rows of equal probability one is
        picked, always the same.

    Raises:
        EvidenceError: When the evidence has probability zero.
        ShapeError: When evidence and worlds differ in their number of rows.

    Source: bucket elimination with maxima, Dechter (1999).
    Cost: exponential in the width of the elimination order; estimated first.
    """
    batch = batch_length(program, given)
    columns = [c for c in range(len(program.slots)) if c not in program.forced]
    tables, logs = _read(program, columns, given)
    buckets, rest = _take_out(program, tables, _maximum, budget)
    best = logs + rest
    possible = best > -torch.inf
    if not bool(possible.all()):
        raise EvidenceError(impossible(program, given, possible, batch))
    states = _known(program, given, batch)
    for bucket in reversed(buckets):
        rows = _look_up(program, bucket, states, batch)
        states[bucket.column] = rows.argmax(-1)
    codes = torch.stack([states[c] for c in range(len(program.slots))], -1)
    if batch is None:
        return Explanation(codes[0], best.reshape(-1)[0])
    return Explanation(codes, best.expand(batch).clone())


def sum_out(
    program: Program, given: Mapping[int, Int[Tensor, "*batch"]], *, budget: int
) -> Float[Tensor, "*batch"]:
    r"""Gives :math:`\log P(\text{given})` by sums of logarithms, which lose nothing.

    Args:
        program: The world.
        given: Column to observed codes, ``()`` or ``(batch,)``.
        budget: The largest table allowed, in entries.

    Returns:
        Nats, ``(1,)`` or ``(batch,)``, float64; differentiable in the tables.

    Cost: exponential in the width of the elimination order; estimated first.
    """
    causes = program.ancestors(set(given)) - program.forced.keys()
    tables, logs = _read(program, sorted(causes), given, torch.float64)
    _, rest = _take_out(program, tables, _log_sum, budget)
    return logs + rest


def sample_given(
    program: Program,
    given: Mapping[int, Int[Tensor, "*batch"]],
    num_samples: int,
    *,
    budget: int,
    seed: Seed = None,
) -> Int[Tensor, "num_samples *batch slots"]:
    """Draws whole rows from the law given evidence, exactly.

    The ancestors of the evidence are taken out one by one, and drawn back in the reverse order;
    all others are drawn from their parents.

    Args:
        program: The world.
        given: Column to observed codes, ``()`` or ``(batch,)``.
        num_samples: How many rows.
        budget: The largest table allowed, in entries.
        seed: For the draws.

    Returns:
        Codes, columns in slot order.

    Raises:
        EvidenceError: When the evidence has probability zero.
        ShapeError: When evidence and worlds differ in their number of rows.

    Source: forward filtering, backward sampling on a bucket tree (Dechter 1999).
    Cost: exponential in the width of the elimination order; estimated first.
    """
    num_samples = check_count(num_samples, "num_samples")
    batch = batch_length(program, given)
    causes = program.ancestors(set(given)) - program.forced.keys()
    tables, logs = _read(program, sorted(causes), given)
    buckets, rest = _take_out(program, tables, _log_sum, budget)
    possible = logs + rest > -torch.inf
    if not bool(possible.all()):
        raise EvidenceError(impossible(program, given, possible, batch))
    rows = num_samples * (1 if batch is None else batch)
    device, count = program.device, len(program.slots)
    noise = torch.rand(count, rows, generator=make_generator(seed, device), device=device)
    tile = (num_samples, 1 if batch is None else batch)
    known = _known(program, given, batch)
    states = {c: codes.expand(tile).reshape(-1) for c, codes in known.items()}
    for bucket in reversed(buckets):
        laws = _look_up(program, bucket, states, rows)
        laws = (laws - laws.amax(-1, keepdim=True)).exp()
        states[bucket.column] = draw_by_rows(laws, noise[bucket.column]).long()
    shape = tile if batch is not None else (num_samples,)
    for column in program.order:
        if column not in states:
            states[column] = draw_column(program, column, states, noise[column], shape).long()
    codes = torch.stack([states[c] for c in range(count)], -1)
    return codes.reshape(*shape, count)


def _known(program: Program, given: Mapping[int, Tensor], batch: int | None) -> dict[int, Tensor]:
    fixed = {**given, **program.forced}
    return {column: codes.expand(1 if batch is None else batch) for column, codes in fixed.items()}


def _read(
    program: Program,
    columns: Sequence[int],
    given: Mapping[int, Tensor],
    dtype: torch.dtype | None = None,
) -> tuple[list[Table], Tensor]:
    """Reads logarithms of the tables at what is known; those read entirely are summed up."""
    fixed = {**given, **program.forced}
    dtype = program.dtype if dtype is None else dtype
    logs = torch.zeros((1,), dtype=dtype, device=program.device)
    tables = []
    for column in set(given) & program.forced.keys():
        agrees = (given[column] == program.forced[column]).reshape(-1)
        logs = logs + torch.where(agrees, 0, -torch.inf)
    for column in columns:
        law = program.laws[column]
        regime = () if law.regime is None else (BATCH,)
        scope = (*regime, *law.parents, column)
        known = [k for k, member in enumerate(scope) if member == BATCH or member in fixed]
        free = [k for k in range(len(scope)) if k not in known]
        probs = law.table.to(dtype)
        # The derivative at a zero is left out, where log() would have an infinite one.
        table = torch.where(probs > 0, probs, 1).log().masked_fill(probs <= 0, -torch.inf)
        codes = [law.regime if scope[k] == BATCH else fixed[scope[k]] for k in known]
        values = table.permute(*known, *free)[tuple(codes)] if known else table
        values = values if values.ndim > len(free) else values[None]
        if free:
            tables.append(Table(tuple(scope[k] for k in free), values))
        else:
            logs = logs + values
    return tables, logs


def _take_out(
    program: Program,
    tables: list[Table],
    summary: Callable[[Tensor], Tensor],
    budget: int,
) -> tuple[list[Bucket], Tensor]:
    """Takes out slot by slot, the one with the smallest table next."""
    sizes = program.slots.cardinalities
    order, largest = _order([table.axes for table in tables], sizes)
    rows = max((len(table.values) for table in tables), default=1)
    check_budget(Cost(largest * rows, float(largest * rows)), budget, batched=rows > 1)
    dtype = tables[0].values.dtype if tables else program.dtype
    rest = torch.zeros((1,), dtype=dtype, device=program.device)
    buckets: list[Bucket] = []
    for column in order:
        mine = [table for table in tables if column in table.axes]
        tables = [table for table in tables if column not in table.axes]
        others = tuple(sorted({axis for table in mine for axis in table.axes} - {column}))
        joined: Tensor | None = None
        for table in mine:
            spread = _spread(table, (*others, column))
            joined = spread if joined is None else joined + spread
        assert joined is not None
        full = joined.expand(-1, *(sizes[axis] for axis in others), sizes[column])
        buckets.append(Bucket(column, others, full))
        message = summary(full)
        if others:
            tables.append(Table(others, message))
        else:
            rest = rest + message
    return buckets, rest


def _order(scopes: list[tuple[int, ...]], sizes: Sequence[int]) -> tuple[list[int], int]:
    """Finds an order greedily: the slot whose table is smallest goes next."""
    near: dict[int, set[int]] = {}
    for scope in scopes:
        for column in scope:
            near.setdefault(column, set()).update(scope)

    def entries(column: int) -> int:
        size = 1
        for other in near[column]:
            size *= sizes[other]
        return size

    cost = {column: entries(column) for column in near}
    order, largest = [], 1
    while near:
        column = min(cost, key=lambda c: (cost[c], c))
        largest = max(largest, cost.pop(column))
        order.append(column)
        joined = near.pop(column) - {column}
        for other in joined:
            near[other] = (near[other] | joined) - {column}
        for other in joined:
            cost[other] = entries(other)
    return order, largest


def _spread(table: Table, axes: tuple[int, ...]) -> Tensor:
    """Puts a table's axes in their places among others."""
    order = sorted(range(len(table.axes)), key=lambda k: axes.index(table.axes[k]))
    values = table.values.permute(0, *(k + 1 for k in order))
    there = [table.axes[k] for k in order]
    shape = [values.shape[1 + there.index(axis)] if axis in there else 1 for axis in axes]
    return values.reshape(len(values), *shape)


def _look_up(
    program: Program, bucket: Bucket, states: Mapping[int, Tensor], rows: int | None
) -> Float[Tensor, "rows codes"]:
    """Reads a bucket at the codes of the slots put back before; units run fastest."""
    count = 1 if rows is None else rows
    held = len(bucket.table)
    index = torch.arange(count, device=program.device) % held
    for other in bucket.others:
        index = index * program.slots[other].cardinality + states[other]
    return bucket.table.reshape(-1, bucket.table.shape[-1])[index]


def _maximum(logs: Tensor) -> Tensor:
    return logs.amax(-1)


def _log_sum(logs: Tensor) -> Tensor:
    """As ``logsumexp``, with finite derivatives where all is ``-inf``."""
    top = logs.detach().amax(-1, keepdim=True)
    top = torch.where(top > -torch.inf, top, 0)
    total = (logs - top).exp().sum(-1)
    some = torch.where(total > 0, total, 1).log() + top.squeeze(-1)
    return some.masked_fill(total <= 0, -torch.inf)
