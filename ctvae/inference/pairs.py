"""Couplings of all slots of a model, from units that were seen in two worlds."""

from __future__ import annotations

import torch
from jaxtyping import Int
from torch import Tensor

from ctvae.errors import ShapeError
from ctvae.inference.coupling_fit import CouplingFit, fit_coupling
from ctvae.mechanisms.couplings import Coupling
from ctvae.mechanisms.program import Program
from ctvae.randomness import Seed, spawn

__all__ = ["fit_couplings"]


def fit_couplings(
    factual: Program,
    world: Program,
    before: Int[Tensor, "units slots"],
    after: Int[Tensor, "units slots"],
    *,
    misread: float = 0.0,
    otherwise: Coupling | None = None,
    seed: Seed = 0,
) -> dict[str, CouplingFit]:
    """Fits the coupling of every slot that responds, given its parents in both worlds.

    Args:
        factual: The world the units were seen in first.
        world: The other one.
        before: Their codes there.
        after: Their codes in the other one.
        misread: The probability that a code is read wrongly; used by the tests.
        otherwise: The coupling for pairs of laws that were not seen; ``None`` to refuse them.
        seed: For the tests' random draws.

    Returns:
        Slot name to fit; slots that are set, or whose noise is not the unit's own, have none.

    Raises:
        ShapeError: When units before and after differ in number, or a slot is shifted.

    Source: the mechanism's rows are the margins; see ``coupling_fit``.
    """
    if before.shape != after.shape or before.ndim != 2 or not len(before):
        msg = (
            "pairs are of the same units in the same order: (units, slots) before and after, got "
            f"{tuple(before.shape)} and {tuple(after.shape)}"
        )
        raise ShapeError(msg)
    for program in (factual, world):
        if program.batch not in {None, len(before)}:
            msg = f"there are {program.batch} worlds, one per unit; got {len(before)} units"
            raise ShapeError(msg)
    changed = {c for c, law in enumerate(world.laws) if law is not factual.laws[c]}
    seeds = spawn(seed, len(factual.slots))
    fits = {}
    for column in sorted(world.descendants(changed)):
        law, new = factual.laws[column], world.laws[column]
        name = factual.slots.names[column]
        if law.response is not None or new.response is not None:
            msg = f"slot {name!r} is shifted: its natural code was not seen in both worlds"
            raise ShapeError(msg)
        own = [one.own_noise is True for one in (law, new)]
        if law.forced is not None or new.forced is not None or not all(own):
            continue
        laws = []
        for program, codes in ((factual, before), (world, after)):
            columns = dict(enumerate(codes.unbind(-1)))
            read = program.parent_codes(column, columns, (len(codes),), program.laws[column].regime)
            laws.append(program.laws[column].mechanism.log_probs(read).exp())
        fits[name] = fit_coupling(
            before[:, column],
            after[:, column],
            *(one.to(torch.float64) for one in laws),
            otherwise=otherwise,
            misread=misread,
            seed=seeds[column],
        )
    return fits
