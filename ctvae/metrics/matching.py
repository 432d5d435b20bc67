"""Slots matched with factors, codes with values: one to one, whatever their names and order."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ctvae.counting import contingency_table, cross_tables
from ctvae.errors import ShapeError
from ctvae.metrics.rows import check_both

__all__ = [
    "Alignment",
    "PermutationAccuracy",
    "align_codes",
    "match_slots",
    "matched_information",
    "permutation_accuracy",
]


def _assign(worth: Tensor) -> tuple[list[int], list[int]]:
    """The one-to-one assignment of most worth, as rows and their columns."""
    from scipy.optimize import linear_sum_assignment

    rows, columns = linear_sum_assignment(worth.detach().cpu().numpy(), maximize=True)
    return [int(row) for row in rows], [int(column) for column in columns]


def match_slots(information: Float[Tensor, "factors slots"]) -> list[int]:
    """Gives each factor a slot of its own, the most informative assignment.

    Args:
        information: What ``information_matrix`` gave; at least as many slots as factors.

    Returns:
        For each factor its slot.

    Raises:
        ShapeError: When there are more factors than slots.

    Example:
        >>> match_slots(torch.tensor([[0.1, 0.9], [0.8, 0.2]]))
        [1, 0]

    Source: Kuhn (1955).
    """
    factors, slots = information.shape
    if factors > slots:
        msg = f"{factors} factors cannot each have one of {slots} slots; see matched_information"
        raise ShapeError(msg)
    return _assign(information)[1]


def matched_information(information: Float[Tensor, "factors slots"]) -> float:
    r"""Measures what each factor's own slot tells of it, under the best matching.

    .. math:: \max_\sigma \tfrac{1}{n_s} \sum_i N_{i \sigma(i)}

    The nominal counterpart of ``mean_correlation``, which needs an order.

    Args:
        information: Shares of the factors' entropies, or any worth of slot j for factor i.

    Returns:
        The mean over all factors; those left without a slot, where slots are fewer, count 0. NaN
        without factors.

    Example:
        >>> matched_information(torch.tensor([[0.5, 1.0], [1.0, 0.25]]))
        1.0

    Source: Kuhn (1955).
    """
    if not len(information):
        return torch.nan
    return float(information[_assign(information)].double().sum()) / len(information)


class Alignment(NamedTuple):
    """Which code of a slot stands for which value of a factor.

    Attributes:
        value_of_code: ``(codes,)`` the value of each code; -1 for a code without one.
        error: The share of rows whose code stands for another value than their own.
    """

    value_of_code: Int[Tensor, " codes"]
    error: float


def align_codes(
    values: Int[Tensor, " rows"], codes: Int[Tensor, " rows"], num_values: int, num_codes: int
) -> Alignment:
    """Matches the codes of a slot with the values of a factor, one to one.

    Args:
        values: True values.
        codes: Codes.
        num_values: The number of values of the factor.
        num_codes: The number of codes of the slot.

    Returns:
        The assignment with the most rows right, and its error on these rows.

    Example:
        >>> a = align_codes(torch.tensor([0, 1, 1]), torch.tensor([1, 0, 0]), 2, 2)
        >>> a.value_of_code.tolist(), a.error
        ([1, 0], 0.0)
    """
    counts = contingency_table(torch.stack([codes, values], 1), [num_codes, num_values])
    rows, columns = _assign(counts)
    value_of_code = torch.full((num_codes,), -1, device=codes.device)
    value_of_code[rows] = torch.tensor(columns, device=codes.device)
    wrong = (value_of_code[codes] != values).double().mean()
    return Alignment(value_of_code, float(wrong))


class PermutationAccuracy(NamedTuple):
    """How often codes name the value, when slots and codes are renamed at best.

    Attributes:
        accuracy: Mean over factors; a factor without a slot counts 0.
        chance: Mean over factors of the share of the most frequent value.
        per_pair: ``(factors, slots)`` the share of rows right with the codes of that slot.
        slot_of_factor: ``(factors,)`` the slot of each factor; -1 for none.
    """

    accuracy: float
    chance: float
    per_pair: Float[Tensor, "factors slots"]
    slot_of_factor: Int[Tensor, " factors"]


def permutation_accuracy(
    factors: Int[Tensor, "rows factors"], codes: Int[Tensor, "rows slots"]
) -> PermutationAccuracy:
    r"""Measures the accuracy of codes under the best renaming of slots and of codes.

    .. math:: \max_\sigma \tfrac{1}{n_s} \sum_i \max_{\pi_i}
        \Pr\big(\pi_i(z_{\sigma(i)}) = s_i\big)

    with one-to-one :math:`\sigma` and :math:`\pi_i`: a slot that splits one value over two codes
    loses the rows of one of them. The renaming is chosen on the rows that it is judged on, so with
    few rows for each code the figure is too high; ``align_codes`` on one part and its
    ``value_of_code`` on another are free of that.

    Args:
        factors: True codes of the factors.
        codes: Codes of the slots.

    Returns:
        The accuracy, beside what a constant answer would reach.

    Example:
        >>> s = torch.tensor([[0, 0], [0, 1], [1, 0], [1, 1]])
        >>> permutation_accuracy(s, 1 - s.flip(1)).accuracy
        1.0

    Source: Kuhn (1955); used for clusters by Yang et al. (2010), Image clustering using local
    discriminant models. Cost: factors * slots assignments, of codes^3 each.
    """
    check_both(factors, codes)
    joint = cross_tables(factors, codes, int(factors.max()) + 1, int(codes.max()) + 1)
    right = torch.stack([torch.stack([_trace(pair) for pair in row]) for row in joint])
    share = right / len(codes)
    rows, columns = _assign(share)
    slot_of_factor = torch.full((len(share),), -1, device=codes.device)
    slot_of_factor[rows] = torch.tensor(columns, device=codes.device)
    most = joint[:, 0].sum(2).max(1).values / len(codes)
    return PermutationAccuracy(
        matched_information(share), float(most.mean()), share, slot_of_factor
    )


def _trace(counts: Tensor) -> Tensor:
    return counts[_assign(counts)].sum()
