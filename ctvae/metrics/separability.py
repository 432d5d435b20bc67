"""How well each slot alone predicts each factor: accuracy by tables, explained variance, SAP."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ctvae.counting import cross_tables
from ctvae.errors import ShapeError
from ctvae.metrics.rows import check_both, check_codes, split_rows
from ctvae.randomness import Seed

__all__ = [
    "DiagonalScores",
    "SAPScores",
    "accuracy_matrix",
    "attribute_separation",
    "diagonal_scores",
    "r2_matrix",
]


def accuracy_matrix(
    factors: Int[Tensor, "rows factors"],
    codes: Int[Tensor, "rows slots"],
    *,
    held_out: float = 0.5,
    seed: Seed = 0,
) -> Float[Tensor, "factors slots"]:
    """Measures the accuracy of reading each factor off each slot alone.

    Every code answers with the value that was most frequent under it, on other rows than those
    scored; a code not seen there answers with the most frequent value of all. The right predictor
    for nominal codes: a line through their numbers means nothing.

    Args:
        factors: True codes of the factors.
        codes: Codes of the slots.
        held_out: The share of rows to score on.
        seed: For the split.

    Returns:
        Accuracies in [0, 1].

    Example:
        >>> s = torch.arange(400)[:, None] % 5
        >>> accuracy_matrix(s, torch.cat([(s + 2) % 5, 0 * s], 1))[:, 0].tolist()
        [1.0]

    Cost: O(rows * factors * slots).
    """
    check_both(factors, codes)
    values, used = int(factors.max()) + 1, int(codes.max()) + 1
    train, test = split_rows(len(codes), held_out, seed=seed)
    fitted, judged = (
        cross_tables(factors[rows], codes[rows], values, used) for rows in (train, test)
    )
    usual = fitted.sum(3, keepdim=True).argmax(2, keepdim=True)  # factors, slots, 1, 1
    unseen = fitted.sum(2, keepdim=True) == 0
    answer = torch.where(unseen, usual, fitted.argmax(2, keepdim=True))
    return judged.gather(2, answer).sum((2, 3)) / len(test)


def r2_matrix(
    values: Float[Tensor, "rows factors"],
    codes: Int[Tensor, "rows slots"],
    *,
    held_out: float = 0.5,
    seed: Seed = 0,
) -> Float[Tensor, "factors slots"]:
    r"""Measures the share of each factor's variance that each slot alone explains.

    .. math:: R^2_{ij} = 1 - \frac{\sum_r (s_{ri} - \hat s_i(z_{rj}))^2}{\sum_r (s_{ri}
        - \bar s_i)^2}

    Every code answers with the mean under it, which is regression on codes given one column each;
    fitted on other rows than those scored. For factors on a scale; of nominal ones take
    ``accuracy_matrix``.

    Args:
        values: Values of the factors, on a scale.
        codes: Codes of the slots.
        held_out: The share of rows to score on.
        seed: For the split.

    Returns:
        At most 1, cut off at 0 (worse than the mean); 0 for a constant factor.

    Raises:
        ShapeError: When values are not one row per row of codes.

    Example:
        >>> codes = torch.arange(400)[:, None] % 4
        >>> r2_matrix(codes.double().square(), (codes + 1) % 4).tolist()
        [[1.0]]

    Source: Lippe et al. (2022), CITRIS, appendix C, with tables for networks.
    """
    check_codes(codes)
    if values.ndim != 2 or len(values) != len(codes):
        msg = f"values must be ({len(codes)}, factors), got {tuple(values.shape)}"
        raise ShapeError(msg)
    train, test = split_rows(len(codes), held_out, seed=seed)
    values, size = values.double(), int(codes.max()) + 1
    centre = values[train].mean(0)
    columns = []
    for slot in codes.unbind(1):
        told = torch.nn.functional.one_hot(slot, size).double()
        count = told[train].sum(0)[:, None]
        mean = (told[train].T @ values[train]) / count
        guess = torch.where(count > 0, mean, centre)[slot[test]]
        columns.append((values[test] - guess).square().sum(0))
    left = torch.stack(columns, 1)
    whole = (values[test] - centre).square().sum(0)[:, None]
    return (1 - left / whole).nan_to_num(0.0, 0.0, 0.0).clamp(0, 1)


class DiagonalScores(NamedTuple):
    """How far a matrix of worth lies on the diagonal, once slots are matched with factors.

    Attributes:
        diagonal: Mean worth of its own slot for a factor; 1 is ideal for accuracy and R2.
        off_diagonal: Mean over matched slots of the greatest worth for another factor; 0 is ideal
            for R2, the frequency of the usual value for accuracy. NaN with a single factor.
    """

    diagonal: float
    off_diagonal: float


def diagonal_scores(
    worth: Float[Tensor, "factors slots"], slot_of_factor: Sequence[int]
) -> DiagonalScores:
    """Sums up a matrix of accuracies, R2 or correlations as CITRIS does.

    Args:
        worth: What slot j is worth for factor i.
        slot_of_factor: For each factor its slot, as ``match_slots`` gives it.

    Returns:
        The mean on the diagonal, and the mean of the greatest figures beside it.

    Raises:
        ShapeError: When there is not one slot per factor.

    Example:
        >>> diagonal_scores(torch.tensor([[0.0, 1.0], [0.5, 0.25]]), [1, 0])
        DiagonalScores(diagonal=0.75, off_diagonal=0.125)

    Source: Lippe et al. (2022), CITRIS, section 6.
    """
    slots = list(slot_of_factor)
    if len(slots) != len(worth) or not all(0 <= slot < worth.shape[1] for slot in slots):
        msg = f"need one of {worth.shape[1]} slots for each of {len(worth)} factors, got {slots}"
        raise ShapeError(msg)
    matched = worth[:, slots].double()
    own = matched.diagonal()
    if len(slots) < 2:
        return DiagonalScores(float(own.mean()), torch.nan)
    here = torch.eye(len(slots), dtype=torch.bool, device=worth.device)
    beside = matched.masked_fill(here, -torch.inf).max(0).values
    return DiagonalScores(float(own.mean()), float(beside.mean()))


class SAPScores(NamedTuple):
    """By how much the best slot predicts a factor better than the second best.

    Attributes:
        score: As published: mean difference of accuracies; at most 1 minus the frequency of the
            usual value, because every slot reaches that.
        adjusted: The same over that maximum: 1 is ideal.
        accuracy: ``(factors, slots)`` accuracies on held-out rows.
        chance: ``(factors,)`` accuracy of always giving the usual value.
    """

    score: float
    adjusted: float
    accuracy: Float[Tensor, "factors slots"]
    chance: Float[Tensor, " factors"]


def attribute_separation(
    factors: Int[Tensor, "rows factors"],
    codes: Int[Tensor, "rows slots"],
    *,
    held_out: float = 0.5,
    seed: Seed = 0,
) -> SAPScores:
    """Measures the separated attribute predictability (SAP) by tables.

    As published a line reads the number of a code, which loses perfect nominal codes (about .6).

    Args:
        factors: True codes of the factors; constant ones are left out of the means.
        codes: Codes of the slots. A single slot is compared with chance.
        held_out: The share of rows to score on.
        seed: For the split.

    Returns:
        The score, raw and adjusted; NaN where no factor varies.

    Example:
        >>> s = torch.cartesian_prod(torch.arange(4), torch.arange(4)).repeat(200, 1)
        >>> found = attribute_separation(s, s.flip(1))
        >>> 0.7 < found.score < 0.8, found.adjusted > 0.95
        (True, True)

    Source: Kumar et al. (2018), Variational inference of disentangled latent concepts.
    """
    accuracy = accuracy_matrix(factors, codes, held_out=held_out, seed=seed)
    constant = torch.zeros_like(codes[:, :1])
    chance = accuracy_matrix(factors, constant, held_out=held_out, seed=seed)
    best = torch.cat([accuracy, chance], 1).topk(2, dim=1).values
    gap, chance = best[:, 0] - best[:, 1], chance[:, 0]
    varies = chance < 1
    adjusted = (gap / (1 - chance))[varies]
    score = float(gap[varies].mean())
    return SAPScores(score, float(adjusted.mean()), accuracy, chance)
