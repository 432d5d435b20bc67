"""Whether setting one slot changed the laws of the others."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

__all__ = ["change_evidence"]


def change_evidence(
    natural: Int[Tensor, "observational slots"],
    done: Int[Tensor, "rows slots"],
    target: int,
    cardinalities: Sequence[int],
) -> Float[Tensor, " slots"]:
    r"""Weighs, for every slot, whether setting the target changed the slot's law.

    .. math:: \log B_k = \log P(x_k \mid \text{a natural law, and one for each value of } t)
        - \log P(x_k \mid \text{one law})

    Setting t leaves the law of every slot be that is no descendant of t: the natural rows and the
    rows of each value then share one law. Each law has a uniform Dirichlet prior. The values are
    told apart because their mean can hide a change: where t is drawn evenly and was even before,
    no slot's law over all values differs from the natural one.

    Args:
        natural: Codes of rows in which nothing was set.
        done: Codes of rows in which only the target was set, to values that do not depend on the
            other slots.
        target: Its column.
        cardinalities: The number of codes of each slot.

    Returns:
        Log Bayes factors in nats, positive where a change is the better account; NaN for the
        target itself.

    Example:
        >>> natural, done = torch.tensor([[0, 0], [1, 1]]), torch.tensor([[0, 0], [0, 0]])
        >>> change_evidence(natural.repeat(50, 1), done.repeat(50, 1), 0, (2, 2))[1] > 3
        tensor(True)

    Source: Gunel and Dickey (1974), Bayes factors for independence in contingency tables.
    Cost: one pass over the rows.
    """
    # group 0 holds the natural rows, group v + 1 those of value v
    group = torch.cat([torch.zeros_like(natural[:, target]), done[:, target] + 1])
    codes = torch.cat([natural, done])
    groups = cardinalities[target] + 1
    found = []
    for k, size in enumerate(cardinalities):
        counts = torch.bincount(group * size + codes[:, k], minlength=groups * size)
        table = counts.double().reshape(groups, size)
        found.append(_log_marginal(table).sum() - _log_marginal(table.sum(0)))
    factors = torch.stack(found)
    factors[target] = torch.nan
    return factors


def _log_marginal(counts: Float[Tensor, "... codes"]) -> Float[Tensor, "..."]:
    """Gives the log marginal likelihood of rows of one law, any law as likely as any other."""
    size = torch.tensor(float(counts.shape[-1]), dtype=torch.float64, device=counts.device)
    several = torch.lgamma(size) - torch.lgamma(size + counts.sum(-1))
    return torch.lgamma(counts + 1).sum(-1) + several
