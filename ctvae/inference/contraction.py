"""Sums of products of tables: an order searched once, pairwise steps, no underflow."""

from __future__ import annotations

import string
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import opt_einsum
import torch
from jaxtyping import Float
from torch import Tensor

from ctvae.errors import StateSpaceError

__all__ = [
    "BATCH",
    "DEFAULT_BUDGET",
    "Contracted",
    "Cost",
    "Plan",
    "check_budget",
    "contract",
    "plan",
]

DEFAULT_BUDGET = 2**26
"""The largest intermediate table that an exact answer may need, in entries (512 MiB in float64)."""

BATCH = -1
"""The axis of worlds and evidence rows, beside the slots' columns."""

READ_AT_ONCE = 4096
"""Tables of up to so many entries wait for one pass that finds their smallest."""

Axes = tuple[int, ...]


class Cost(NamedTuple):
    """What an exact answer costs, known before anything is computed.

    Attributes:
        entries: The size of the largest table, in entries.
        operations: Multiplications and additions.
    """

    entries: int
    operations: float


class Plan(NamedTuple):
    """An order of pairwise sums of products.

    Attributes:
        steps: For each step the positions of its operands in the shrinking list of tables, and
            its equation; the result is put at the list's end. A step of more axes than torch can
            take has no equation: the plan then tells its cost and cannot be carried out.
        batched: For each step whether its result has rows, as its first axis.
        cost: What it costs.
    """

    steps: tuple[tuple[tuple[int, ...], str | None], ...]
    batched: tuple[bool, ...]
    cost: Cost


class Contracted(NamedTuple):
    """A sum of products.

    Attributes:
        table: The result.
        scale: The logarithm by which it is too small, ``()`` or ``(batch,)``.
        least: The smallest entry but zero of all rescaled tables, the largest of each being one.
            Where its square is no normal number of the dtype, entries may have been lost.
    """

    table: Float[Tensor, "*output"]
    scale: Float[Tensor, "*batch"]
    least: Float[Tensor, ""]


@lru_cache(maxsize=4096)
def plan(axes: tuple[Axes, ...], output: Axes, shapes: tuple[tuple[int, ...], ...]) -> Plan:
    """Searches the order in which tables are multiplied and summed.

    Args:
        axes: For each table its axes: columns, or ``BATCH`` as the first one.
        output: The axes of the result, ``BATCH`` first.
        shapes: The tables' shapes.

    Returns:
        The plan; searched once for equal arguments and kept.

    Source: path search by opt_einsum (Smith and Gray 2018).
    Cost: about a millisecond for 20 tables, a second for 1,000.
    """

    def write(term: Axes) -> str:
        return "".join(opt_einsum.get_symbol(axis + 1) for axis in term)  # BATCH is symbol 0

    equation = f"{','.join(map(write, axes))}->{write(output)}"
    path, info = opt_einsum.contract_path(equation, *shapes, shapes=True, optimize="auto")
    terms, steps, batched = list(axes), [], []
    for group in path:
        chosen = sorted(group, reverse=True)
        taken = [terms.pop(position) for position in chosen]
        kept = set(output).union(*terms)
        result = tuple(sorted({axis for term in taken for axis in term if axis in kept}))
        if not terms:
            result = output
        steps.append((tuple(chosen), _letters(taken, result)))
        batched.append(BATCH in result)
        terms.append(result)
    largest = max(int(info.largest_intermediate), max(map(_entries, shapes), default=1))
    return Plan(tuple(steps), tuple(batched), Cost(largest, float(info.opt_cost)))


def contract(steps: Plan, operands: Sequence[Tensor], *, rescale: bool) -> Contracted:
    r"""Multiplies and sums tables as planned.

    With ``rescale`` every intermediate table is divided by its largest entry, row by row, and the
    logarithm of the divisor is kept: products over hundreds of slots do not underflow. Single
    entries still may, beside others that are larger by more than the numbers' range; ``least``
    tells. The divisors are constants to autograd, so that derivatives stay exact.

    Args:
        steps: The plan.
        operands: The tables, in the order of the plan.
        rescale: Whether to divide.

    Returns:
        The result and what was divided out.

    Raises:
        StateSpaceError: One step would join more slots than torch has axes.
    """
    tables = list(operands)
    scale = torch.zeros((), dtype=tables[0].dtype, device=tables[0].device)
    kept: list[Tensor] = []
    for (group, equation), has_rows in zip(steps.steps, steps.batched, strict=True):
        if equation is None:
            msg = "one step would join more slots than torch has axes (52)"
            raise StateSpaceError(msg, entries=steps.cost.entries)
        result = torch.einsum(equation, *(tables.pop(position) for position in group))
        if rescale:
            result, step = _divide(result, has_rows=has_rows)
            scale = scale + step
            small = result.numel() <= READ_AT_ONCE
            flat = result.detach().reshape(-1)
            kept.append(flat if small else _least(flat))
        tables.append(result)
    least = _least(torch.cat([tables[0].new_ones(1), *kept])).squeeze(0)
    return Contracted(tables[0], scale, least)


def check_budget(cost: Cost, budget: int, *, batched: bool) -> None:
    """Refuses an answer that would need too large a table.

    Args:
        cost: What it costs.
        budget: The largest table allowed, in entries.
        batched: Whether splitting a batch would help.

    Raises:
        StateSpaceError: With the figure and the way out.
    """
    if cost.entries > budget:
        msg = (
            f"this answer needs a table of {cost.entries:.3g} entries (budget {budget:.3g}); ask "
            f"for fewer slots at once, condition on more, "
            f"{'split the batch, ' if batched else ''}raise budget=, or ask estimate() for a "
            "sampled answer with its standard error"
        )
        raise StateSpaceError(msg, entries=cost.entries)


def _divide(table: Tensor, *, has_rows: bool) -> tuple[Tensor, Tensor]:
    fixed = table.detach()
    largest = fixed.flatten(1).amax(1) if has_rows and table.ndim > 1 else fixed.abs()
    if not has_rows:
        largest = fixed.amax()
    largest = torch.where(largest > 0, largest, 1)
    divisor = largest.reshape(-1, *(1,) * (table.ndim - 1)) if has_rows else largest
    return table / divisor, largest.log()


def _least(entries: Tensor) -> Float[Tensor, " 1"]:
    """The smallest entry but zero."""
    return torch.where(entries > 0, entries, 1).amin(0, keepdim=True)


def _letters(terms: Sequence[Axes], result: Axes) -> str | None:
    """Writes one step with letters of its own, where torch's 52 are enough."""
    found = dict.fromkeys(axis for term in terms for axis in term)
    if len(found) > len(string.ascii_letters):
        return None
    letter = dict(zip(found, string.ascii_letters, strict=False))
    written = ("".join(letter[axis] for axis in term) for term in (*terms, result))
    *inputs, output = written
    return f"{','.join(inputs)}->{output}"


def _entries(shape: Sequence[int]) -> int:
    size = 1
    for length in shape:
        size *= length
    return size
