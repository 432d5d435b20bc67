"""The Pyro face with exogenous noise: Gumbel sites and deterministic slots, for rung 3."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ctvae.errors import EvidenceError, ShapeError
from ctvae.inference.counterfactual import check_units
from ctvae.inference.variational import PyroModel, plate_size
from ctvae.mechanisms.program import Program
from ctvae.randomness import Seed, make_generator

__all__ = ["abduct_noise", "draw_name", "noise_name", "structural_model"]


def noise_name(slot: str) -> str:
    """Names the site of a slot's noise.

    Args:
        slot: The slot.

    Returns:
        ``slot.noise``.
    """
    return f"{slot}.noise"


def draw_name(slot: str) -> str:
    """Names the site of what a randomised experiment on a slot draws.

    Args:
        slot: The slot.

    Returns:
        ``slot.draw``.
    """
    return f"{slot}.draw"


def structural_model(program: Program, num_rows: int | None = None) -> PyroModel:
    r"""Writes a world as a Pyro program with explicit noise and deterministic slots.

    .. math:: g_k \sim \mathrm{Gumbel}(0, 1)^{K}, \qquad
        x_k = \arg\max_v \log P(v \mid \mathrm{pa}_k) + g_{kv}

    The site ``slot.noise`` of each slot holds its noise ``(rows, codes)``; the slot is a
    ``pyro.deterministic`` site without event axes, so that handlers with worlds of their own on
    axes left of the plate (ChiRho) broadcast. The noise belongs to the unit: running the programs
    of two worlds with one noise gives a unit's codes in both. Gumbel-max noise is one choice among
    many that give the same interventional laws. What a randomised experiment draws is not the
    unit's: a slot under ``Stochastic`` reads the site ``slot.draw`` in its place.

    Evidence on a deterministic slot is *ignored* by Pyro, in silence. To condition a unit on its
    codes, draw its noise with ``abduct_noise`` and condition on that.

    Args:
        program: The world.
        num_rows: The size of the plate ``rows``; one row, or one per world, where ``None``.

    Returns:
        A function without arguments that returns name to codes ``(num_rows,)``.

    Raises:
        ShapeError: When the number of rows does not fit the worlds.

    Source: Oberst and Sontag (2019).
    """
    rows = plate_size(program, num_rows)

    def model() -> dict[str, Tensor]:
        import pyro
        import pyro.distributions as dist
        from pyro.ops.indexing import Vindex

        names, values = program.slots.names, dict[int, Tensor]()
        with pyro.plate("rows", rows):
            for column in program.order:
                law, name = program.laws[column], names[column]
                if law.forced is not None:
                    codes = law.forced.expand(rows).clone()
                    values[column] = pyro.deterministic(name, codes, event_dim=0)
                    continue
                zeros = torch.zeros(
                    law.mechanism.cardinality, dtype=program.dtype, device=program.device
                )
                gumbel = dist.Gumbel(zeros, zeros + 1).to_event(1)
                own = law.row_noise
                if own is True:
                    noise = pyro.sample(noise_name(name), gumbel)
                elif own is False:
                    noise = pyro.sample(draw_name(name), gumbel)
                else:
                    noise = pyro.sample(noise_name(name), gumbel)
                    draw = pyro.sample(draw_name(name), gumbel)
                    noise = torch.where(own[:, None], noise, draw)
                regime = () if law.regime is None else (law.regime,)
                read = (*regime, *(values[parent] for parent in law.parents))
                table = law.natural_table.to(program.dtype).log()
                logits = Vindex(table)[(*read, slice(None))] if read else table
                codes = (logits + noise).argmax(-1)
                if law.response is not None:
                    shown = (law.regime, codes) if law.regime is not None else (codes,)
                    codes = Vindex(law.response)[shown]
                values[column] = pyro.deterministic(name, codes, event_dim=0)
        return {names[column]: values[column] for column in range(len(names))}

    return model


def abduct_noise(
    program: Program, observed: Int[Tensor, "rows slots"], *, seed: Seed = None
) -> dict[str, Float[Tensor, "rows codes"]]:
    r"""Draws the noise of observed units, which gives back their codes exactly.

    .. math:: g_v = -\log(E_v + p_v T), \qquad E_x = 0, \quad E_v, T \sim \mathrm{Exp}(1)

    The posterior of Gumbel noise given that the code was x: the largest perturbed log-probability
    is a free Gumbel variable, all others are truncated below it.

    Args:
        program: The world in which the units were seen; no slot may be shifted there.
        observed: The units' codes.
        seed: For the draws.

    Returns:
        Site to noise, for ``pyro.condition`` of ``structural_model`` of this or another world;
        forced slots have none. What an experiment drew comes as ``slot.draw``, which repeats that
        experiment; drop it where the other world makes an experiment of its own on that slot.

    Raises:
        ShapeError: When the units do not match the worlds, or a slot is shifted.
        EvidenceError: When a unit has a code of probability zero.

    Source: Maddison, Tarlow and Minka (2014), top-down sampling; Oberst and Sontag (2019).
    Cost: O(rows * codes) for each slot.
    """
    if observed.ndim != 2:
        msg = f"units are rows of codes (batch, slots), got {tuple(observed.shape)}"
        raise ShapeError(msg)
    if program.batch not in {None, len(observed)}:
        msg = f"there are {program.batch} worlds, one per unit; got {len(observed)} units"
        raise ShapeError(msg)
    check_units(program, observed)
    generator = make_generator(seed, observed.device)
    columns = dict(enumerate(observed.unbind(-1)))
    shape = (len(observed),)
    found = {}
    for column in program.order:
        law, name = program.laws[column], program.slots.names[column]
        if law.forced is not None:
            continue
        if law.response is not None:
            msg = f"slot {name!r} is shifted: its natural code was not seen; see counterfactual()"
            raise ShapeError(msg)
        read = program.parent_codes(column, columns, shape, law.regime)
        log_p = law.mechanism.log_probs(read).double()
        own = columns[column][:, None]
        if not bool((log_p.gather(1, own) > -torch.inf).all()):
            msg = f"a unit has a code of slot {name!r} that has probability zero given its parents"
            raise EvidenceError(msg)
        uniform = torch.rand(
            (len(observed), log_p.shape[1] + 1),
            generator=generator,
            device=observed.device,
            dtype=torch.float64,
        )
        waits = (-torch.log1p(-uniform)).clamp(min=torch.finfo(torch.float64).tiny)
        others = waits[:, :-1].scatter(1, own, 0)
        noise = -(others + log_p.exp() * waits[:, -1:]).log()
        noise = _separated(log_p, noise, own).to(program.dtype)
        if law.row_noise is True:
            found[noise_name(name)] = noise
        elif law.row_noise is False:
            found[draw_name(name)] = noise
        else:
            # What a row did not use tells nothing: its law is the one before anything was seen.
            wait = torch.rand(noise.shape, generator=generator, device=noise.device).double()
            prior = -(-torch.log1p(-wait)).clamp(min=torch.finfo(torch.float64).tiny).log()
            prior, unit = prior.to(noise), law.row_noise[:, None]
            found[noise_name(name)] = torch.where(unit, noise, prior)
            found[draw_name(name)] = torch.where(unit, prior, noise)
    return found


def _separated(log_p: Tensor, noise: Tensor, own: Tensor) -> Tensor:
    """Keeps rounding from making another code as large as the one that was seen."""
    top = (log_p + noise).gather(1, own)
    room = 1e-5 * (1 + top.abs())  # survives single precision
    limit = torch.where(log_p > -torch.inf, top - room - log_p, torch.inf)
    return torch.minimum(noise, limit.scatter(1, own, torch.inf))
