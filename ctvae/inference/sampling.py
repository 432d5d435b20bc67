"""Ancestral sampling by table thresholds."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ctvae.mechanisms.local_law import cumulative_cuts
from ctvae.mechanisms.program import Program
from ctvae.randomness import Seed, check_count, make_generator

__all__ = ["draw_by_cuts", "draw_by_rows", "draw_column", "sample"]

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
        Codes ``(num_samples, slots)``, or ``(num_samples, batch, slots)`` where there is one world
        per row.

    Raises:
        ShapeError: When the number of rows is no integer or negative.

    Cost: O(rows * slots * codes) for few codes, O(rows * slots * log codes) for many.
    """
    num_samples = check_count(num_samples, "num_samples")
    batch = program.batch
    shape = (num_samples,) if batch is None else (num_samples, batch)
    rows = num_samples * (1 if batch is None else batch)
    device, slots = program.device, len(program.slots)
    noise = torch.rand(slots, rows, generator=make_generator(seed, device), device=device)
    states: dict[int, Tensor] = {}
    for column in program.order:
        states[column] = draw_column(program, column, states, noise[column], shape)
    # One stack at the end: writing column by column costs a quarter more.
    columns = [states[column] for column in range(slots)]
    return torch.stack(columns, -1).long().reshape(*shape, slots)


def draw_column(
    program: Program,
    column: int,
    states: dict[int, Tensor],
    noise: Float[Tensor, " rows"],
    shape: tuple[int, ...],
) -> Int[Tensor, " rows"]:
    """Draws one column given its parents.

    Args:
        program: The world.
        column: Which column.
        states: Column to codes ``(rows,)``, at least for the parents.
        noise: A uniform number per row.
        shape: The shape of which the rows are the flattened form; its last axis is the batch where
            there is one world per row.

    Returns:
        Codes, int32 or int64.
    """
    law = program.laws[column]
    if law.forced is not None:
        return law.forced.expand(shape).reshape(-1).to(torch.int32)
    regime = None if law.regime is None else law.regime.expand(shape).reshape(-1).to(torch.int32)
    if law.is_small:
        return draw_by_cuts(law.cuts, program.row_index(column, states, regime), noise)
    read = program.parent_codes(column, states, tuple(noise.shape), regime)
    return draw_by_rows(law.reported_log_probs(read).exp(), noise)


def draw_by_cuts(
    cuts: Float[Tensor, "cuts rows"], index: Int[Tensor, " n"] | None, noise: Float[Tensor, " n"]
) -> Int[Tensor, " n"]:
    """Draws codes from rows of a table, given by their thresholds.

    Args:
        cuts: The thresholds of every row of the table, cut by cut.
        index: Which row each draw takes; ``None`` for the only one.
        noise: A uniform number per draw.

    Returns:
        Codes, int32.
    """
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
    return (place - row * count).to(torch.int32)


def draw_by_rows(probs: Float[Tensor, "n codes"], noise: Float[Tensor, " n"]) -> Int[Tensor, " n"]:
    """Draws one code from each law of a list of laws.

    Args:
        probs: Probabilities, up to a factor per row.
        noise: A uniform number per row.

    Returns:
        Codes, int32.
    """
    cuts = cumulative_cuts(probs)
    return (noise >= cuts).sum(0, dtype=torch.int32)
