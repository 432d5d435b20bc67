"""How far slots are the factors: mutual information, matching, wrong codes, atomicity."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ctvae.counting import contingency_table

__all__ = [
    "Alignment",
    "align_codes",
    "exactly_one_changed",
    "information_matrix",
    "match_slots",
    "slots_changed",
]


def _sizes(codes: Tensor) -> list[int]:
    return [int(column.max()) + 1 for column in codes.unbind(1)]


def information_matrix(
    factors: Int[Tensor, "rows factors"], codes: Int[Tensor, "rows slots"]
) -> Float[Tensor, "factors slots"]:
    r"""Measures the share of each factor's entropy that each slot tells.

    .. math:: N_{ij} = I(s_i; z_j) / H(s_i)

    Normalised by the factor's entropy alone (not symmetric). Plug-in estimate, too high by about
    ``(K - 1)(L - 1) / (2 n)`` nats.

    Args:
        factors: True codes of the factors.
        codes: Codes of the slots.

    Returns:
        Figures in [0, 1]; a constant factor gives 0.

    Example:
        >>> s = torch.tensor([[0, 0], [0, 1], [1, 0], [1, 1]])
        >>> information_matrix(s, s).tolist()
        [[1.0, 0.0], [0.0, 1.0]]
    """
    rows = []
    for factor, levels in zip(factors.unbind(1), _sizes(factors), strict=True):
        row = []
        for slot, used in zip(codes.unbind(1), _sizes(codes), strict=True):
            joint = contingency_table(torch.stack([factor, slot], 1), [levels, used])
            p = joint / joint.sum()
            entropy = torch.special.entr
            of_factor = entropy(p.sum(1)).sum()
            shared = of_factor + entropy(p.sum(0)).sum() - entropy(p).sum()
            row.append((shared / of_factor).nan_to_num().clamp(0, 1))
        rows.append(torch.stack(row))
    return torch.stack(rows)


def match_slots(information: Float[Tensor, "factors slots"]) -> list[int]:
    """Gives each factor a slot of its own, the most informative assignment.

    Args:
        information: What ``information_matrix`` gave; at least as many slots as factors.

    Returns:
        For each factor its slot.

    Example:
        >>> match_slots(torch.tensor([[0.1, 0.9], [0.8, 0.2]]))
        [1, 0]

    Source: Kuhn (1955).
    """
    from scipy.optimize import linear_sum_assignment

    _, slots = linear_sum_assignment(information.cpu().numpy(), maximize=True)
    return [int(slot) for slot in slots]


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
    from scipy.optimize import linear_sum_assignment

    counts = contingency_table(torch.stack([codes, values], 1), [num_codes, num_values])
    rows, columns = linear_sum_assignment(counts.cpu().numpy(), maximize=True)
    value_of_code = torch.full((num_codes,), -1, device=codes.device)
    index = torch.tensor(rows, device=codes.device)
    value_of_code[index] = torch.tensor(columns, device=codes.device)
    wrong = (value_of_code[codes] != values).double().mean()
    return Alignment(value_of_code, float(wrong))


def slots_changed(
    before: Int[Tensor, "pairs slots"], after: Int[Tensor, "pairs slots"]
) -> Int[Tensor, " pairs"]:
    """Counts the slots in which two rows of codes differ.

    Args:
        before: Codes before.
        after: Codes after.

    Returns:
        ``(pairs,)``; 1 is ideal for an action on one factor, and 0 is collapse.

    Example:
        >>> slots_changed(torch.tensor([[0, 1]]), torch.tensor([[0, 2]])).tolist()
        [1]
    """
    return (before != after).sum(1)


def exactly_one_changed(
    before: Int[Tensor, "rows factors"],
    after: Int[Tensor, "rows factors"],
    factor: Int[Tensor, " rows"],
) -> Bool[Tensor, " rows"]:
    """Tells where a named factor changed and no other did.

    Args:
        before: Factors before.
        after: Factors after.
        factor: The factor that was to change, per row.

    Returns:
        ``(rows,)`` booleans.

    Example:
        >>> exactly_one_changed(
        ...     torch.tensor([[0, 1]]), torch.tensor([[0, 2]]), torch.tensor([1])
        ... ).tolist()
        [True]
    """
    differs = before != after
    own = differs.gather(1, factor[:, None])[:, 0]
    return own & (differs.sum(1) == 1)
