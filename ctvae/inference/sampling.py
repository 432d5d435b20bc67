"""Ancestral sampling by table thresholds."""

from __future__ import annotations

import torch
from jaxtyping import Int
from torch import Tensor

from ctvae.errors import ShapeError
from ctvae.mechanisms.program import Program
from ctvae.randomness import Seed, make_generator

__all__ = ["sample"]

FEW_CUTS = 16
"""Up to so many thresholds are compared one by one; more are searched."""


def sample(program: Program, num_samples: int, *, seed: Seed = None) -> Int[Tensor, "*n slots"]:
    r"""Draws rows of codes.

    Every slot has a uniform number :math:`u` of its own and takes the code

    .. math:: \min \{ v : u < \textstyle\sum_{w \le v} P(w \mid \mathrm{parents}) \}

    The numbers are drawn for all slots, forced or not: with equal seeds, slots that an
    intervention does not reach are equal in every world.

    Args:
        program: The world.
        num_samples: How many rows.
        seed: For the draws.

    Returns:
        Codes ``(num_samples, slots)``, or ``(num_samples, batch, slots)`` where values were forced
        per row.

    Raises:
        ShapeError: When the number of rows is negative.

    Cost: O(rows * slots * codes) for few codes, O(rows * slots * log codes) for many.
    """
    if num_samples < 0:
        msg = f"the number of samples must not be negative, got {num_samples}"
        raise ShapeError(msg)
    batch = program.batch
    shape = (num_samples,) if batch is None else (num_samples, batch)
    rows = num_samples * (1 if batch is None else batch)
    device, slots = program.device, len(program.slots)
    generator = make_generator(seed, device)
    noise = torch.rand(slots, rows, generator=generator, device=device)
    states: dict[int, Tensor] = {}
    for column in program.order:
        if column in program.forced:
            codes = program.forced[column].expand(shape).reshape(-1)
            states[column] = codes.to(torch.int32)
        else:
            index = program.row_index(column, states)
            states[column] = _draw(program.thresholds[column], index, noise[column])
    # One stack at the end: writing column by column costs a quarter more.
    columns = [states[column] for column in range(slots)]
    return torch.stack(columns, -1).long().reshape(*shape, slots)


def _draw(cuts: Tensor, index: Tensor | None, noise: Tensor) -> Tensor:
    count, rows = cuts.shape
    if count <= FEW_CUTS:
        state = torch.zeros(len(noise), dtype=torch.int32, device=noise.device)
        for cut in cuts:
            level = cut[0] if index is None else cut.index_select(0, index)
            state += noise >= level
        return state
    # Row r of the table occupies [r, r + 1): one increasing list serves all rows.
    start = torch.arange(rows, device=cuts.device, dtype=torch.float64)
    ladder = (cuts.T.double() + start[:, None]).reshape(-1)
    row = (
        torch.zeros(len(noise), dtype=torch.int32, device=noise.device) if index is None else index
    )
    place = torch.searchsorted(ladder, noise.double() + row, right=True, out_int32=True)
    return place - row * count
