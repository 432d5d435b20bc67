"""Matched correlation, for values and latents that lie on a scale."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from ctvae.errors import ShapeError
from ctvae.metrics.matching import matched_information

__all__ = ["MeanCorrelation", "correlation_matrix", "mean_correlation", "ranks"]


def _check(values: Tensor, latents: Tensor) -> None:
    if values.ndim != 2 or latents.ndim != 2 or len(values) != len(latents) or len(values) < 2:
        got = f"{tuple(values.shape)} and {tuple(latents.shape)}"
        msg = f"need values (rows, factors) and latents (rows, latents) of the same rows, got {got}"
        raise ShapeError(msg)


def correlation_matrix(
    values: Float[Tensor, "rows factors"], latents: Float[Tensor, "rows latents"]
) -> Float[Tensor, "factors latents"]:
    """Gives Pearson's correlation of every factor with every latent.

    Args:
        values: Values of the factors, on a scale.
        latents: Latents, or codes that have an order.

    Returns:
        Figures in [-1, 1]; 0 for a constant column.

    Raises:
        ShapeError: When there are not the same rows of both, at least two.

    Example:
        >>> x = torch.tensor([[0.0], [1.0], [2.0]])
        >>> correlation_matrix(x, torch.cat([-x, 0 * x], 1)).round(decimals=12).tolist()
        [[-1.0, 0.0]]
    """
    _check(values, latents)
    sides = [side.double() - side.double().mean(0) for side in (values, latents)]
    a, b = (side / side.norm(dim=0) for side in sides)
    return (a.T @ b).nan_to_num(0.0).clamp(-1, 1)


def ranks(values: Float[Tensor, "rows columns"]) -> Float[Tensor, "rows columns"]:
    """Ranks every column, equal values sharing the mean of their ranks.

    Args:
        values: Numbers.

    Returns:
        Ranks from 1.

    Example:
        >>> ranks(torch.tensor([[5.0], [7.0], [5.0]])).T.tolist()
        [[1.5, 3.0, 1.5]]
    """
    columns = []
    for column in values.unbind(1):
        _, place, count = column.unique(return_inverse=True, return_counts=True)
        columns.append((count.cumsum(0) - (count - 1) / 2)[place])
    return torch.stack(columns, 1).double()


class MeanCorrelation(NamedTuple):
    """The mean correlation coefficient (MCC) of factors and latents matched one to one.

    Attributes:
        pearson: Mean absolute correlation under its best matching.
        spearman: The same of ranks: 1 for any monotone map of each factor.
    """

    pearson: float
    spearman: float


def mean_correlation(
    values: Float[Tensor, "rows factors"], latents: Float[Tensor, "rows latents"]
) -> MeanCorrelation:
    r"""Measures how far latents are the factors up to order, sign and scale (MCC).

    .. math:: \max_\sigma \tfrac{1}{n_s} \sum_i |\rho(s_i, z_{\sigma(i)})|

    Needs an order on both sides. Codes of a nominal slot have none: renaming them changes this
    figure, so use ``matched_information`` and ``permutation_accuracy``.

    Args:
        values: Values of the factors, on a scale.
        latents: Latents, or codes that have an order.

    Returns:
        Two figures in [0, 1]; a factor without a latent, where latents are fewer, counts 0.

    Raises:
        ShapeError: When there are not the same rows of both, at least two.

    Example:
        >>> x = torch.tensor([[0.0, 1.0], [1.0, 0.0], [2.0, 5.0], [3.0, 2.0]])
        >>> mean_correlation(x, -2 * x.flip(1)).spearman
        1.0

    Source: Hyvarinen and Morioka (2016), Unsupervised feature extraction by time-contrastive
    learning; Khemakhem et al. (2020).
    """
    _check(values, latents)
    plain = correlation_matrix(values, latents)
    of_ranks = correlation_matrix(ranks(values), ranks(latents))
    return MeanCorrelation(matched_information(plain.abs()), matched_information(of_ranks.abs()))
