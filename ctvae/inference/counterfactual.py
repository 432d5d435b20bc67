"""Counterfactuals: what one unit's codes would have been in another world."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ctvae.errors import EvidenceError, ShapeError
from ctvae.inference.contraction import DEFAULT_BUDGET
from ctvae.inference.elimination import sample_given
from ctvae.inference.sampling import draw_by_cuts, draw_by_rows, draw_column
from ctvae.mechanisms.couplings import Coupling
from ctvae.mechanisms.local_law import (
    LocalLaw,
    SwitchMechanism,
    cumulative_cuts,
    is_same_law,
)
from ctvae.mechanisms.program import Program
from ctvae.randomness import Seed, check_count, make_generator, spawn

__all__ = ["check_units", "counterfactual", "counterfactual_of_some"]

KERNEL_BUDGET = 2**24
"""Entries of the kernels made at once."""


def counterfactual(
    factual: Program,
    world: Program,
    observed: Int[Tensor, "batch slots"],
    num_samples: int,
    couplings: Sequence[Coupling],
    *,
    seed: Seed = None,
) -> Int[Tensor, "batch num_samples slots"]:
    r"""Draws the codes that observed units would have had in another world.

    Abduction, action and prediction, slot by slot, parents first: a unit whose slot k had the law
    p (given its parents as observed) and has the law q in the other world (given its parents there)
    takes

    .. math:: x'_k \sim K(p, q)[x_k, \cdot]

    with the kernel K of the coupling, which has integrated the unit's noise out. Noises of
    different slots are independent, so this is the joint law of the unit's codes. Slots that no
    changed law reaches, and slots whose law and parents are the same in both worlds, are copied.
    A forced slot takes its value, and noise that is not the unit's own (a randomised experiment in
    either world) is fresh.

    Args:
        factual: The world in which the units were seen.
        world: The other world, over the same slots.
        observed: The units' codes.
        num_samples: Draws per unit.
        couplings: For each column, how a unit's noise links its two codes: a choice, not a fact
            of the data.
        seed: For the draws.

    Returns:
        Codes, int64.

    Raises:
        ShapeError: When the worlds are not one, or one per unit.
        EvidenceError: When a unit has codes that cannot be in the factual world.

    Source: Pearl (2009), theorem 7.1.7 (the three steps); Oberst and Sontag (2019).
    Cost: O(batch * num_samples * slots reached), and one kernel for each pair of parents' codes
        that occurs.
    """
    rows = len(observed)
    for program in (factual, world):
        if program.batch not in {None, rows}:
            msg = f"there are {program.batch} worlds, one per unit; got {rows} units"
            raise ShapeError(msg)
    check_units(factual, observed)
    num_samples = check_count(num_samples, "num_samples")
    changed = {c for c, law in enumerate(world.laws) if law is not factual.laws[c]}
    reached = world.descendants(changed)
    seen = dict(enumerate(observed.unbind(-1)))
    columns = [c for c in world.order if c in reached]
    noise = torch.rand(
        2 * len(columns),
        num_samples * rows,
        generator=make_generator(seed, observed.device),
        device=observed.device,
    )
    # Units run fastest, as worlds per row do: draw s of unit b is row s * rows + b.
    tile = (num_samples, rows)
    states = {c: codes.expand(tile).reshape(-1) for c, codes in seen.items()}
    facts = dict(states)
    for place, column in enumerate(columns):
        law, new = factual.laws[column], world.laws[column]
        own_noise = _own_noise(law, new)
        if new.forced is not None or own_noise is False:
            states[column] = draw_column(world, column, states, noise[2 * place], tile).long()
            continue
        before = _Rows(factual, column, facts, tile)
        after = _Rows(world, column, states, tile)
        natural = facts[column]
        if law.response is not None:
            natural = before.natural_code(facts[column], noise[2 * place + 1])
        elif not bool(before.is_possible(natural).all()):
            row = int((~before.is_possible(natural)).nonzero()[0]) % rows
            raise EvidenceError(_cannot_be(factual, column, row))
        draws = _draw(before, after, natural, couplings[column], noise[2 * place])
        if isinstance(own_noise, Tensor):
            # An experiment that took place, and reads no parent, is one of both worlds.
            fresh = natural
            if law is not new:
                fresh = draw_by_rows(after.natural_probs(), noise[2 * place]).long()
            draws = torch.where(own_noise.expand(tile).reshape(-1), draws, fresh)
        states[column] = after.reported(draws)
    codes = torch.stack([states[c] for c in range(len(seen))], -1).long()
    return codes.reshape(num_samples, rows, len(seen)).transpose(0, 1).contiguous()


def counterfactual_of_some(
    factual: Program,
    world: Program,
    seen: Mapping[int, Int[Tensor, "*batch"]],
    num_samples: int,
    couplings: Sequence[Coupling],
    *,
    budget: int = DEFAULT_BUDGET,
    seed: Seed = None,
) -> Int[Tensor, "*batch num_samples slots"]:
    """Draws counterfactuals of units of which only some slots were seen.

    Each draw completes the unit from the law given what was seen, and asks about that unit.

    Args:
        factual: The world in which the units were seen.
        world: The other world.
        seen: Column to observed codes, ``()`` or ``(batch,)``.
        num_samples: Draws per unit.
        couplings: For each column, how a unit's noise links its two codes.
        budget: The largest table allowed for the completion, in entries.
        seed: For the draws.

    Returns:
        Codes, int64.

    Raises:
        EvidenceError: When nothing was seen, or it has probability zero.
        ShapeError: When worlds per row and units differ in number.
    """
    if not seen:
        msg = "observed= is empty: there is no unit to ask about; sample() draws new ones"
        raise EvidenceError(msg)
    for_units, for_worlds = spawn(seed, 2)
    units = sample_given(factual, seen, num_samples, budget=budget, seed=for_units)
    count = units.shape[1] if units.ndim == 3 else 1
    whole = units.reshape(num_samples, count, units.shape[-1]).transpose(0, 1)
    if world.batch not in {None, count}:
        msg = f"there are {world.batch} worlds, one per unit; got {count} units"
        raise ShapeError(msg)
    index = torch.arange(count, device=whole.device).repeat_interleave(num_samples)
    picked, other = factual.rows(index), world.rows(index)
    shared = [law is world.laws[column] for column, law in enumerate(factual.laws)]
    laws = zip(picked.laws, other.laws, shared, strict=True)
    # What the two worlds share must stay one law: that is how they are told apart.
    other = replace(other, laws=tuple(old if same else new for old, new, same in laws))
    draws = counterfactual(
        picked,
        other,
        whole.flatten(0, 1),
        1,
        couplings,
        seed=for_worlds,
    ).reshape(whole.shape)
    return draws[0] if units.ndim == 2 else draws


def check_units(factual: Program, observed: Int[Tensor, "batch slots"]) -> None:
    """Refuses units that cannot be in the world in which they were seen.

    Laws that have no table are checked where a counterfactual reads them.

    Args:
        factual: The world.
        observed: The units' codes.

    Raises:
        EvidenceError: When a unit contradicts a forced value or has a code of probability zero.

    Cost: a comparison for each forced slot, a look-up for each table that has zeros.
    """
    columns = dict(enumerate(observed.unbind(-1)))
    for column, law in enumerate(factual.laws):
        own = columns[column]
        if law.forced is not None:
            able = own == law.forced
        elif law.is_small and not law.is_positive:
            index = factual.row_index(column, columns, law.regime)
            row = torch.zeros_like(own) if index is None else index.long()
            able = law.log_rows[row, own] > -torch.inf
        else:
            continue
        if not bool(able.all()):
            raise EvidenceError(_cannot_be(factual, column, int((~able).nonzero()[0])))


def _cannot_be(factual: Program, column: int, row: int) -> str:
    name, law = factual.slots.names[column], factual.laws[column]
    if law.forced is not None:
        code = int(law.forced[row] if law.forced.ndim else law.forced)
        return (
            f"unit {row} has another code of slot {name!r} than {code}, which it was set to in "
            "the world where it was seen; ask the natural model about natural units"
        )
    return (
        f"unit {row} has a code of slot {name!r} that has probability zero given its parents in "
        "the world where it was seen"
    )


class _Rows:
    """Which row of a column's natural law each draw takes in one world."""

    def __init__(
        self, program: Program, column: int, codes: dict[int, Tensor], tile: tuple[int, int]
    ) -> None:
        law = program.laws[column]
        shape = (tile[0] * tile[1],)
        self.law, self.codes = law, codes
        self.regime = None if law.regime is None else law.regime.expand(tile).reshape(-1)
        index = program.row_index(column, codes, self.regime) if law.is_small else None
        self.index = torch.zeros(shape, dtype=torch.long, device=program.device)
        if index is not None:
            self.index = index.long()
        # A law too large for a table is evaluated at each draw's own parents.
        self.parents = (
            None if law.is_small else program.parent_codes(column, codes, shape, self.regime)
        )

    def table(self) -> Float[Tensor, "rows codes"]:
        """The natural law as rows; one per draw where it has no table."""
        if self.parents is not None:
            return self.law.mechanism.log_probs(self.parents).exp()
        table = self.law.natural_table
        return table.reshape(-1, table.shape[-1])

    def number(self) -> Int[Tensor, " n"]:
        """The row of ``table`` that each draw takes."""
        if self.parents is None:
            return self.index
        return torch.arange(len(self.parents), device=self.parents.device)

    def natural_probs(self) -> Float[Tensor, "n codes"]:
        return self.table()[self.number()]

    def is_possible(self, codes: Tensor) -> Bool[Tensor, " n"]:
        return self.table()[self.number(), codes] > 0

    def same_as(self, other: _Rows) -> Bool[Tensor, " n"]:
        """Where both worlds have one law and one row of it."""
        if is_same_law(self.law.mechanism, other.law.mechanism):
            if self.parents is not None and other.parents is not None:
                return (self.parents == other.parents).all(-1)
            return self.index == other.index
        same = torch.zeros_like(self.index, dtype=torch.bool)
        if not isinstance(other.law.mechanism, SwitchMechanism) and not isinstance(
            self.law.mechanism, SwitchMechanism
        ):
            return same
        mine, my_columns, my_read = self.picked()
        theirs, their_columns, their_read = other.picked()
        for k, read in enumerate(my_columns):
            for j, their in enumerate(their_columns):
                alike = (mine == theirs) & (my_read == k) & (their_read == j)
                if len(read) == len(their) and bool(alike.any()):
                    for column, twin in zip(read, their, strict=True):
                        alike = alike & (self.codes[column] == other.codes[twin])
                    same |= alike
        return same

    def picked(self) -> tuple[Int[Tensor, "#n"], list[tuple[int, ...]], Int[Tensor, "#n"]]:
        """Gives the law that each draw's regime picks, and the columns which that law reads.

        Returns:
            A number that is the law's in every world; the tuples of columns that occur; and which
            of these tuples each draw reads.
        """
        law, mechanism = self.law, self.law.mechanism
        if isinstance(mechanism, SwitchMechanism):
            laws = [id(choice) for choice in mechanism.choices]
            columns = [tuple(law.parents[k] for k in read) for read in mechanism.positions]
        else:
            laws, columns = [id(mechanism)], [law.parents]
        tuples = list(dict.fromkeys(columns))
        regime = torch.zeros_like(self.index[:1])
        if isinstance(mechanism, SwitchMechanism) and self.regime is not None:
            regime = self.regime
        read = torch.tensor([tuples.index(own) for own in columns], device=regime.device)
        return torch.tensor(laws, device=regime.device)[regime], tuples, read[regime]

    def reported(self, codes: Tensor) -> Tensor:
        response = self.law.response
        if response is None:
            return codes
        return response[codes] if self.regime is None else response[self.regime, codes]

    def natural_code(self, reported: Tensor, noise: Tensor) -> Tensor:
        """Draws the natural code behind a reported one, as in a world with a clipped shift."""
        probs = self.natural_probs()
        every = torch.arange(probs.shape[-1], device=probs.device).expand_as(probs)
        response = self.law.response
        assert response is not None
        shown = response[every] if self.regime is None else response[self.regime[:, None], every]
        behind = torch.where(shown == reported[:, None], probs, 0)
        if not bool((behind.sum(-1) > 0).all()):
            msg = "a unit has a code that the shift of its world cannot report"
            raise EvidenceError(msg)
        return draw_by_rows(behind, noise).long()


def _own_noise(law: LocalLaw, new: LocalLaw) -> bool | Bool[Tensor, " batch"]:
    """Whether a unit's own noise drives the slot in both worlds."""
    first, second = law.row_noise, new.row_noise
    if first is False or second is False:
        return False
    if isinstance(first, Tensor):
        return first & second if isinstance(second, Tensor) else first
    return second if isinstance(second, Tensor) else True


def _draw(
    before: _Rows, after: _Rows, codes: Tensor, coupling: Coupling, noise: Tensor
) -> Int[Tensor, " n"]:
    """Draws from the kernels, of which one is made for each pair of rows that occurs."""
    same = before.same_as(after)
    moved = (~same).nonzero().squeeze(-1)
    draws = codes.clone()
    if not len(moved):
        return draws
    p, q = before.table(), after.table()
    dtype = torch.promote_types(p.dtype, q.dtype)
    pair = before.number()[moved] * len(q) + after.number()[moved]
    found, pair = _distinct(pair, len(p) * len(q))
    size = p.shape[-1]
    step = max(1, KERNEL_BUDGET // size**2)
    for start in range(0, len(found), step):
        some = found[start : start + step]
        kernel = coupling.kernel(p[some // len(q)].to(dtype), q[some % len(q)].to(dtype))
        cuts = cumulative_cuts(kernel.reshape(-1, size))
        chosen, row = moved, pair
        if len(some) < len(found):
            here = (pair >= start) & (pair < start + step)
            chosen, row = moved[here], pair[here] - start
        index = row * size + codes[chosen]
        draws[chosen] = draw_by_cuts(cuts, index, noise[chosen]).long()
    return draws


def _distinct(pairs: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The numbers that occur, and where each draw's number stands among them."""
    if count > 4 * len(pairs):
        found, place = pairs.unique(return_inverse=True)
        return found, place
    there = torch.zeros(count, dtype=torch.bool, device=pairs.device)
    there[pairs] = True
    place = there.cumsum(0) - 1
    return there.nonzero().squeeze(-1), place[pairs]
