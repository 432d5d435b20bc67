"""Two worlds of one unit as one model: the twin network."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from ctvae.errors import ShapeError, StateSpaceError
from ctvae.mechanisms.base import TABLE_BUDGET, Mechanism
from ctvae.mechanisms.couplings import Coupling
from ctvae.mechanisms.local_law import LocalLaw, is_same_law
from ctvae.mechanisms.program import Program
from ctvae.mechanisms.table import TableMechanism
from ctvae.slots import SlotSpace

__all__ = ["OTHER_WORLD", "coupled_table", "twin_laws"]

OTHER_WORLD = "'"
"""What follows a slot's name where its code in the other world is meant."""

Laws = dict[str, tuple[tuple[str, ...], Mechanism]]


def twin_laws(
    factual: Program, world: Program, couplings: Sequence[Coupling], *, budget: int = TABLE_BUDGET
) -> tuple[SlotSpace, Laws]:
    r"""Writes two worlds of one unit as one model over the slots and their other selves.

    .. math:: P(x, x') = \prod_k P(x_k \mid \mathrm{pa}_k) \prod_{k \text{ reached}}
        K\big(p_k(\cdot \mid \mathrm{pa}_k), q_k(\cdot \mid \mathrm{pa}'_k)\big)[x_k, x'_k]

    A slot that the intervention does not reach is the same in both worlds and has no other self.

    Args:
        factual: The first world.
        world: The other one.
        couplings: For each column, how a unit's noise links its codes in both.
        budget: The largest table allowed, in entries.

    Returns:
        The slots, the reached ones once more under their name and a prime; and for each name the
        names of its parents, in column order, and its law.

    Raises:
        ShapeError: When there is one world per row.
        StateSpaceError: When a table would exceed the budget.

    Source: Balke and Pearl (1994), Probabilistic evaluation of counterfactual queries.
    Cost: a reached slot's table has its codes squared times its parents' codes in both worlds.
    """
    if factual.batch is not None or world.batch is not None:
        msg = "a twin network is of two worlds; for one world per row use counterfactual()"
        raise ShapeError(msg)
    names = factual.slots.names
    changed = {c for c, law in enumerate(world.laws) if law is not factual.laws[c]}
    reached = sorted(world.descendants(changed))
    others = {c: len(names) + place for place, c in enumerate(reached)}
    slots = SlotSpace([
        *factual.slots,
        *(replace(factual.slots[c], name=names[c] + OTHER_WORLD) for c in reached),
    ])
    laws: Laws = {}
    for column, name in enumerate(names):
        law = factual.laws[column]
        parents = tuple(names[p] for p in law.parents)
        laws[name] = (parents, TableMechanism(law.table.to(factual.dtype)))
    for column in reached:
        law, new = factual.laws[column], world.laws[column]
        after = tuple(others.get(p, p) for p in new.parents)
        if new.forced is not None or not (law.own_noise and new.own_noise):
            scope = sorted(after)
            table = new.table.to(factual.dtype)
            order = sorted(range(len(after)), key=lambda k: after[k])
            table = table.permute(*order, len(order))
        else:
            scope, table = coupled_table(
                slots, column, law, new, after, couplings[column], budget=budget
            )
        parents = tuple(slots.names[c] for c in scope)
        laws[names[column] + OTHER_WORLD] = (parents, TableMechanism(table))
    return slots, laws


def coupled_table(
    slots: SlotSpace,
    column: int,
    law: LocalLaw,
    new: LocalLaw,
    after: tuple[int, ...],
    coupling: Coupling,
    *,
    budget: int = TABLE_BUDGET,
) -> tuple[list[int], Float[Tensor, "*parents codes"]]:
    """Writes the law of a slot's other self, given its own code and the parents in both worlds.

    Args:
        slots: The columns of both worlds.
        column: The slot.
        law: Its law in this world, one world.
        new: Its law in the other one, which the same noise drives.
        after: The columns that the new law reads, in the order of its axes.
        coupling: How the noise links the two codes.
        budget: The largest table allowed, in entries.

    Returns:
        The columns of the table's axes, increasing, and the table.

    Raises:
        StateSpaceError: When the table would exceed the budget.

    Cost: the product of the codes of all columns read, times the slot's codes.
    """
    scope = sorted({column, *law.parents, *after})
    sizes = [slots[c].cardinality for c in scope]
    size = slots[column].cardinality
    entries = math.prod(sizes) * size
    if entries > budget:
        msg = (
            f"the other world's law of slot {slots.names[column]!r} needs a table of "
            f"{entries:.3g} entries (budget {budget:.3g}); counterfactual() draws without one"
        )
        raise StateSpaceError(msg, entries=entries)
    device = law.mechanism.device
    axes = torch.meshgrid(*(torch.arange(k, device=device) for k in sizes), indexing="ij")
    codes = {c: axis.reshape(-1) for c, axis in zip(scope, axes, strict=True)}
    before_rows, after_rows = _rows(law), _rows(new)
    row = _index(slots, law.parents, codes)
    other = _index(slots, after, codes)
    dtype = torch.promote_types(before_rows.dtype, after_rows.dtype)
    pair, place = torch.stack([row, other]).unique(dim=1, return_inverse=True)
    p, q = before_rows[pair[0]].to(dtype), after_rows[pair[1]].to(dtype)
    kernel = coupling.kernel(p, q)
    if is_same_law(law.mechanism, new.mechanism):
        identity = torch.eye(size, dtype=dtype, device=device)
        kernel = torch.where((pair[0] == pair[1])[:, None, None], identity, kernel)
    if law.response is not None:
        kernel = _behind(law.response, p, kernel, q)
    probs = kernel[place, codes[column]]
    return scope, new.respond(probs).reshape(*sizes, size)


def _rows(law: LocalLaw) -> Tensor:
    return law.natural_table.reshape(-1, law.mechanism.cardinality)


def _index(slots: SlotSpace, parents: Sequence[int], codes: dict[int, Tensor]) -> Tensor:
    index = torch.zeros_like(next(iter(codes.values())))
    for parent in parents:
        index = index * slots[parent].cardinality + codes[parent]
    return index


def _behind(response: Tensor, p: Tensor, kernel: Tensor, q: Tensor) -> Tensor:
    """Averages a kernel over the natural codes that a reported code may stand for."""
    shown = torch.nn.functional.one_hot(response, p.shape[-1]).to(p)  # (natural, reported)
    natural = p[:, None, :] * shown.T  # (pairs, reported, natural)
    total = natural.sum(-1, keepdim=True)
    mixed = (natural / torch.where(total > 0, total, 1)) @ kernel
    return torch.where(total > 0, mixed, q[:, None, :])
