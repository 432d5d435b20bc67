"""Exact answers by tensor contraction."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ctvae.errors import EvidenceError, ShapeError
from ctvae.inference.batching import batch_length, impossible
from ctvae.inference.contraction import (
    DEFAULT_BUDGET,
    Cost,
    check_budget,
    contract,
)
from ctvae.inference.elimination import sum_out
from ctvae.inference.structure import Factor, Part, Question, prepare, structure_of
from ctvae.mechanisms.local_law import LocalLaw
from ctvae.mechanisms.program import Program

__all__ = ["DEFAULT_BUDGET", "Joint", "cost", "joint", "log_evidence", "log_prob", "query"]


def log_prob(program: Program, codes: Int[Tensor, "*batch slots"]) -> Float[Tensor, "*batch"]:
    r"""Gives the log-probability of rows, :math:`\sum_k \log P(x_k \mid x_{\mathrm{pa}(k)})`.

    Args:
        program: The world.
        codes: Rows of codes; where there is one world per row, the axis before the last is the
            batch.

    Returns:
        Nats; ``-inf`` for a row that contradicts a forced value.

    Raises:
        ShapeError: When the rows do not match the batch of the worlds.

    Cost: O(rows * slots); no table larger than the rows is made.
    """
    if program.batch is not None and (codes.ndim < 2 or codes.shape[-2] != program.batch):
        msg = f"there are {program.batch} worlds, one per row; got codes {tuple(codes.shape)}"
        raise ShapeError(msg)
    columns = dict(enumerate(codes.unbind(-1)))
    shape = tuple(codes.shape[:-1])
    total = torch.zeros(shape, dtype=program.dtype, device=codes.device)
    for column in program.order:
        own, law = columns[column], program.laws[column]
        if law.forced is not None:
            total = total.masked_fill(own != law.forced, -torch.inf)
        elif law.is_small:
            regime = None if law.regime is None else law.regime.expand(shape)
            index = program.row_index(column, columns, regime)
            total = total + law.log_rows[torch.zeros_like(own) if index is None else index, own]
        else:
            read = program.parent_codes(column, columns, shape, law.regime)
            rows = law.reported_log_probs(read)
            total = total + rows.gather(-1, own[..., None]).squeeze(-1)
    return total


def query(
    program: Program,
    targets: Sequence[int],
    given: Mapping[int, Int[Tensor, "*batch"]],
    *,
    causes: Sequence[int] = (),
    budget: int = DEFAULT_BUDGET,
) -> Float[Tensor, "*batch_codes"]:
    r"""Answers :math:`P(\text{targets} \mid do(\text{causes} = c), \text{given})` for every c.

    Slots that are ancestors neither of the targets nor of the evidence are dropped, as are those
    that the evidence separates from the targets; tables are read at the forced and observed codes,
    and the rest is one contraction whose order is searched once per structure and kept. Computed
    in float64 where any table is float64.

    Args:
        program: The world; under an intervention, the evidence is evidence in that world.
        targets: Columns asked for, all different.
        given: Column to observed codes, ``()`` or ``(batch,)``.
        causes: Columns set to each of their codes in turn, none of them a target or observed.
        budget: The largest intermediate table allowed, in entries; a batch is split to stay below.

    Returns:
        Probabilities ``(codes of each cause, codes of each target)``, with the batch first wherever
        evidence or worlds have one, also where the targets do not depend on it.

    Raises:
        EvidenceError: When the evidence has probability zero in this world.

    Source: variable elimination as einsum; path search by opt_einsum (Smith, Gray 2018).
    Cost: exponential in the width of the pruned graph; estimated before anything is computed.
    """
    batch = batch_length(program, given)
    question = _prepare(program, targets, causes, given, batch)
    pieces = _pieces(question.cost, batch, budget)
    if pieces > 1:
        assert batch is not None
        answers = [
            query(
                program.rows(rows),
                targets,
                _given_rows(given, rows),
                causes=causes,
                budget=budget,
            )
            for rows in torch.arange(batch, device=program.device).chunk(pieces)
        ]
        return torch.cat(answers)
    check_budget(question.cost, budget, batched=batch is not None)
    evidence = _Evidence(program, given, batch)
    rescale = bool(given.keys() - program.forced.keys())
    table, _, safe = evidence.evaluate(question.main, rescale=rescale)
    if not (safe and evidence.loose_are_safe(question)):
        return _query_in_logs(program, targets, causes, given, batch, budget)
    width = len(targets) + len(causes)
    table = _with_axes(program, table, question, (*causes, *targets), width)
    if batch is not None and table.ndim == width:
        table = table.expand(batch, *table.shape)
    if given:
        total = table.sum(tuple(range(-len(targets), 0)), keepdim=True)
        possible = (total > 0) & _ones_behind(evidence.possible(question), width)
        if not bool(possible.all()):
            raise EvidenceError(impossible(program, given, possible, batch))
        if not program.forced.keys() >= given.keys():
            table = table / total
    # A contraction of one table is a view of it: the model's own.
    return table.clone(memory_format=torch.contiguous_format)


def _query_in_logs(
    program: Program,
    targets: Sequence[int],
    causes: Sequence[int],
    given: Mapping[int, Tensor],
    batch: int | None,
    budget: int,
) -> Tensor:
    """The same answer where entries of a contraction would be lost: from the logs of every row."""
    axes = (*causes, *targets)
    sizes = [program.slots[column].cardinality for column in axes]
    grid = torch.cartesian_prod(*(torch.arange(k, device=program.device) for k in sizes))
    grid, rows = grid.reshape(-1, len(sizes)), 1 if batch is None else batch
    index = torch.arange(rows, device=program.device).repeat_interleave(len(grid))
    codes = dict(zip(axes, grid.repeat(rows, 1).unbind(-1), strict=True))
    seen = {c: one[index] if one.ndim else one for c, one in given.items()}
    asked = {column: codes[column] for column in targets}
    laws = list(program.rows(index).laws)
    for column in causes:
        laws[column] = LocalLaw((), laws[column].mechanism, forced=codes[column], own_noise=False)
    logs = sum_out(Program.pack(program.slots, laws), {**seen, **asked}, budget=budget)
    logs = logs.expand(len(index))
    for column in asked.keys() & seen.keys():
        logs = logs.masked_fill(asked[column] != seen[column], -torch.inf)
    logs = logs.reshape(rows, math.prod(sizes[: len(causes)]), -1)
    possible = (logs.amax(-1) > -torch.inf).all(-1)
    if not bool(possible.all()):
        raise EvidenceError(impossible(program, given, possible[:, None], batch))
    answer = logs.softmax(-1).to(program.dtype)
    return answer.reshape(*sizes) if batch is None else answer.reshape(rows, *sizes)


class Joint(NamedTuple):
    """A joint law up to a factor.

    Attributes:
        table: ``(codes of each target)``.
        safe: Whether no entry was lost beside larger ones.
    """

    table: Float[Tensor, "*codes"]
    safe: bool


def joint(
    program: Program,
    targets: Sequence[int],
    given: Mapping[int, Int[Tensor, ""]],
    *,
    budget: int = DEFAULT_BUDGET,
) -> Joint:
    r"""Gives :math:`P(\text{targets}, \text{given})` up to a factor; differentiable in the tables.

    Args:
        program: One world.
        targets: Columns asked for.
        given: Column to one observed code.
        budget: The largest intermediate table allowed, in entries.

    Returns:
        The table, and whether no entry of it was lost.
    """
    question = _prepare(program, targets, (), given, None)
    check_budget(question.cost, budget, batched=False)
    evidence = _Evidence(program, given, None)
    table, _, safe = evidence.evaluate(question.main, rescale=bool(given))
    table = _with_axes(program, table, question, tuple(targets), len(targets))
    constants = evidence.constants(question)
    sizes = constants.detach()
    table = table * (constants / torch.where(sizes > 0, sizes, 1)).prod(0)
    for part in question.loose:
        value, _, complete = evidence.evaluate(part, rescale=True)
        table, safe = table * value, safe and complete
    return Joint(table, safe)


def log_evidence(
    program: Program,
    given: Mapping[int, Int[Tensor, "*batch"]],
    *,
    budget: int = DEFAULT_BUDGET,
) -> Float[Tensor, "*batch"]:
    r"""Gives :math:`\log P(\text{given})` in one world; differentiable in the tables.

    Args:
        program: The world.
        given: Column to observed codes, ``()`` or ``(batch,)``.
        budget: The largest intermediate table allowed, in entries; a batch is split to stay below.

    Returns:
        Nats, ``()`` or ``(batch,)``; ``-inf`` for impossible evidence, zero for none.

    Cost: as ``query``; every intermediate table is rescaled, and where even so an entry would be
        lost beside larger ones, slots are summed out one by one in logarithms instead.
    """
    batch = batch_length(program, given)
    question = _prepare(program, (), (), given, batch)
    pieces = _pieces(question.cost, batch, budget)
    if pieces > 1:
        assert batch is not None
        return torch.cat([
            log_evidence(program.rows(rows), _given_rows(given, rows), budget=budget)
            for rows in torch.arange(batch, device=program.device).chunk(pieces)
        ])
    check_budget(question.cost, budget, batched=batch is not None)
    evidence = _Evidence(program, given, batch)
    total = evidence.constants(question).log().sum(0)
    for part in (question.main, *question.loose):
        value, scale, safe = evidence.evaluate(part, rescale=True)
        if not safe:
            logs = sum_out(program, given, budget=budget).to(program.dtype)
            return logs[0] if batch is None else logs.expand(batch).clone()
        total = total + value.log() + scale
    return total if batch is None or total.ndim else total.expand(batch).clone()


def cost(
    program: Program,
    targets: Sequence[int],
    given: Mapping[int, Int[Tensor, "*batch"]],
    *,
    causes: Sequence[int] = (),
) -> Cost:
    """Estimates what a query costs, without computing it.

    Args:
        program: The world.
        targets: Columns asked for.
        given: Column to observed codes.
        causes: Columns set to each of their codes.

    Returns:
        The largest table and the number of operations.
    """
    return _prepare(program, targets, causes, given, batch_length(program, given)).cost


class _Evidence(NamedTuple):
    """Reads the tables of a program at what is forced and observed."""

    program: Program
    given: Mapping[int, Tensor]
    batch: int | None

    def evaluate(self, part: Part, *, rescale: bool) -> tuple[Tensor, Tensor, bool]:
        """Contracts one part, ones where it is empty; and whether no entry was lost."""
        program = self.program
        one = torch.ones((), dtype=program.dtype, device=program.device)
        if part.plan is None:
            return one, one.log(), True
        operands = [self.read(factor) for factor in part.factors]
        for column, _ in part.indicators:
            size = program.slots[column].cardinality
            code = program.forced.get(column, self.given.get(column))
            assert code is not None
            operands.append(torch.nn.functional.one_hot(code, size).to(program.dtype))
        table, scale, least = contract(part.plan, operands, rescale=rescale)
        if not rescale:
            return table, scale, True
        laws = (program.laws[factor.column] for factor in part.factors)
        smallest = min(float(least), min((law.least for law in laws), default=1.0))
        return table, scale, smallest**2 >= torch.finfo(program.dtype).tiny

    def read(self, factor: Factor) -> Tensor:
        """Reads one table; rows come first where there are any."""
        law = self.program.laws[factor.column]
        table = law.table.to(self.program.dtype)
        if not factor.known:
            return table
        codes = tuple(self.code(column, law.regime) for column in factor.known)
        return table.permute(factor.order)[codes]

    def code(self, column: int, regime: Tensor | None) -> Tensor:
        """Gives what is known of a column, or the rows' regime."""
        if column < 0:
            assert regime is not None
            return regime
        forced = self.program.forced.get(column)
        return self.given[column] if forced is None else forced

    def constants(self, question: Question) -> Tensor:
        """Gives the factors that are read off entirely, one per row of the result."""
        program = self.program
        found = [self.read(factor) for factor in question.constants]
        found += [
            (self.given[column] == program.forced[column]).to(program.dtype)
            for column in question.agreements
        ]
        if not found:
            return torch.ones((1,), dtype=program.dtype, device=program.device)
        return torch.stack(torch.broadcast_tensors(*found))

    def loose_are_safe(self, question: Question) -> bool:
        """Says whether no entry is lost in what the evidence cuts off and that may be zero."""
        return all(self.evaluate(part, rescale=True)[2] for part in self._uncertain(question))

    def _uncertain(self, question: Question) -> list[Part]:
        laws = self.program.laws
        return [
            part
            for part in question.loose
            if not all(laws[factor.column].is_positive for factor in part.factors)
        ]

    def possible(self, question: Question) -> Tensor:
        """Says whether what the evidence cuts off can be, per row."""
        able = (self.constants(question) > 0).all(0)
        for part in self._uncertain(question):
            able = able & (self.evaluate(part, rescale=True)[0] > 0)
        return able


def _prepare(
    program: Program,
    targets: Sequence[int],
    causes: Sequence[int],
    given: Mapping[int, Tensor],
    batch: int | None,
) -> Question:
    seen = tuple((column, codes.ndim > 0) for column, codes in sorted(given.items()))
    return prepare(structure_of(program), tuple(targets), tuple(causes), seen, batch)


def _pieces(needed: Cost, batch: int | None, budget: int) -> int:
    """Says into how many pieces a batch must be split to stay within the budget."""
    if batch is None or batch < 2 or needed.entries <= budget:
        return 1
    return min(batch, -(-needed.entries // budget))


def _given_rows(given: Mapping[int, Tensor], rows: Tensor) -> dict[int, Tensor]:
    return {column: codes[rows] if codes.ndim else codes for column, codes in given.items()}


def _with_axes(
    program: Program, joint: Tensor, question: Question, asked: tuple[int, ...], width: int
) -> Tensor:
    """Adds an axis for every cause that the targets do not depend on."""
    if not question.missing:
        return joint
    lead = joint.ndim - (width - len(question.missing))
    for place, column in enumerate(asked):
        if column in question.missing:
            joint = joint.unsqueeze(lead + place)
    sizes = [program.slots[column].cardinality for column in asked]
    return joint.expand(*joint.shape[:lead], *sizes)


def _ones_behind(rows: Tensor, count: int) -> Tensor:
    return rows.reshape(rows.shape + (1,) * count) if rows.ndim else rows
