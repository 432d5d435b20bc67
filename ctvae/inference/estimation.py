"""Sampled answers, which say that they are sampled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ctvae.counting import joint_index
from ctvae.errors import EvidenceError, StateSpaceError
from ctvae.inference.batching import batch_length
from ctvae.inference.contraction import DEFAULT_BUDGET
from ctvae.inference.sampling import draw_column
from ctvae.mechanisms.program import Program
from ctvae.randomness import Seed, check_count, make_generator

__all__ = ["Estimate", "estimate"]


class Estimate(NamedTuple):
    """A sampled answer.

    Attributes:
        value: Estimated probabilities, in the shape of the exact answer.
        standard_error: The standard error of each; zero where every draw agreed, which is no proof.
        num_samples: Draws per answer.
        effective_samples: How many unweighted draws the weighted ones are worth, ``()`` or
            ``(batch,)``; below some hundreds, believe neither value nor error.
    """

    value: Float[Tensor, "*batch_codes"]
    standard_error: Float[Tensor, "*batch_codes"]
    num_samples: int
    effective_samples: Float[Tensor, "*batch"]


def estimate(
    program: Program,
    targets: Sequence[int],
    given: Mapping[int, Int[Tensor, "*batch"]],
    num_samples: int,
    *,
    seed: Seed = None,
) -> Estimate:
    r"""Estimates :math:`P(\text{targets} \mid \text{given})` by likelihood weighting.

    .. math::
        \hat p = \frac{\sum_s w_s 1[y_s]}{\sum_s w_s}, \quad
        w_s = \prod_{e} P(e \mid \mathrm{pa}_s(e)), \quad
        \widehat{se} = \frac{\sqrt{\sum_s w_s^2 (1[y_s] - \hat p)^2}}{\sum_s w_s}

    Args:
        program: The world.
        targets: Columns asked for.
        given: Column to observed codes, ``()`` or ``(batch,)``.
        num_samples: Draws per answer, at least 2.
        seed: For the draws.

    Returns:
        The estimate with its standard error.

    Raises:
        ShapeError: When there are too few draws, or batches differ in length.
        EvidenceError: When no draw agrees with the evidence.
        StateSpaceError: When the answer has too many entries.

    Source: Fung and Chang (1990); the error is that of a ratio of means.
    Cost: O(num_samples * batch * ancestors); no table of the joint law is made.
    """
    num_samples = check_count(num_samples, "num_samples", least=2)
    rows = batch_length(program, given)
    batch = 1 if rows is None else rows
    shape = [program.slots[column].cardinality for column in targets]
    cells = _product(shape) * batch
    if cells > DEFAULT_BUDGET:
        msg = (
            f"the answer itself has {cells:.3g} entries (budget {DEFAULT_BUDGET:.3g}); ask for "
            "fewer slots at once, or count what you need in the rows of sample()"
        )
        raise StateSpaceError(msg, entries=cells)
    tile, device = (num_samples, batch), program.device
    relevant = program.ancestors({*targets, *given})
    columns = [column for column in program.order if column in relevant]
    generator = make_generator(seed, device)
    states: dict[int, Tensor] = {}
    weights = torch.zeros(tile, dtype=torch.float64, device=device)
    for column in columns:
        law = program.laws[column]
        if column in given:
            states[column] = given[column].expand(tile).reshape(-1)
            weights = weights + _log_weight(program, column, states, tile)
        else:
            noise = torch.rand(num_samples * batch, generator=generator, device=device)
            states[column] = draw_column(program, column, states, noise, tile).long()
        if law.forced is not None:
            states[column] = law.forced.expand(tile).reshape(-1)
    if bool((weights.amax(0) == -torch.inf).any()):
        msg = (
            f"none of {num_samples} draws agrees with the evidence: it is impossible or too rare; "
            "ask query(), draw more, or observe less"
        )
        raise EvidenceError(msg)
    weights = (weights - weights.amax(0)).exp()
    drawn = joint_index(torch.stack([states[column] for column in targets], -1), shape)
    drawn = drawn.reshape(tile).T

    def sums(of: Tensor) -> Float[Tensor, "batch cells"]:
        zeros = torch.zeros((batch, _product(shape)), dtype=of.dtype, device=device)
        return zeros.scatter_add(1, drawn, of.T)

    total, squares = weights.sum(0)[:, None], (weights**2).sum(0)[:, None]
    value = sums(weights) / total
    # The weighted squares of (hit - value), over the draws that hit a cell and those that do not.
    hit = sums(weights**2)
    spread = (hit * (1 - value) ** 2 + (squares - hit).clamp(min=0) * value**2).sqrt() / total
    effective = (total**2 / squares)[:, 0]
    if rows is not None:
        return Estimate(
            value.reshape(batch, *shape), spread.reshape(batch, *shape), num_samples, effective
        )
    return Estimate(value.reshape(shape), spread.reshape(shape), num_samples, effective[0])


def _log_weight(
    program: Program, column: int, states: Mapping[int, Tensor], tile: tuple[int, int]
) -> Float[Tensor, "samples batch"]:
    law, own = program.laws[column], states[column]
    if law.forced is not None:
        agrees = own.reshape(tile) == law.forced
        return torch.where(agrees, 0.0, -torch.inf).double()
    regime = None if law.regime is None else law.regime.expand(tile).reshape(-1)
    if law.is_small:
        index = program.row_index(column, states, regime)
        rows = law.log_rows[torch.zeros_like(own) if index is None else index.long(), own]
    else:
        read = program.parent_codes(column, states, tuple(own.shape), regime)
        rows = law.reported_log_probs(read).gather(-1, own[:, None]).squeeze(-1)
    return rows.double().reshape(tile)


def _product(sizes: Sequence[int]) -> int:
    size = 1
    for length in sizes:
        size *= length
    return size
