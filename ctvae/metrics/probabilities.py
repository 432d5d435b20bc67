"""Scores of probabilities and of evidence: Brier with its parts, the area under the ROC curve."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ctvae.errors import DataError, ShapeError
from ctvae.metrics.retrieval import check_posterior

__all__ = ["BrierScore", "auroc", "brier_score"]


class BrierScore(NamedTuple):
    """The Brier score and its parts: ``score = reliability - resolution + uncertainty + within``.

    Attributes:
        score: Mean squared distance of the probabilities from the truth, in [0, 2].
        reliability: How far probabilities are from the frequencies that follow them; 0 is ideal.
        resolution: How far those frequencies differ from the overall ones; more is better.
        uncertainty: That of the labels, the score of always giving their frequencies.
        within_bins: What the bins blur: 0 where all probabilities in a bin are equal.
    """

    score: float
    reliability: float
    resolution: float
    uncertainty: float
    within_bins: float


def brier_score(
    log_probs: Float[Tensor, "pairs actions"], labels: Int[Tensor, " pairs"], *, bins: int = 15
) -> BrierScore:
    r"""Measures the Brier score of many classes, and why it is what it is.

    .. math:: \tfrac{1}{n} \sum_r \sum_a (p_{ra} - y_{ra})^2
        = \sum_a \Big[ \sum_b \tfrac{n_{ab}}{n} (\bar p_{ab} - \bar y_{ab})^2
        - \sum_b \tfrac{n_{ab}}{n} (\bar y_{ab} - \bar y_a)^2 + \bar y_a (1 - \bar y_a) \Big] + w

    Every class is a yes-or-no question, its probabilities sorted into bins b of equal width.

    Args:
        log_probs: Log-probabilities of all classes, nats.
        labels: The true classes.
        bins: The number of bins.

    Returns:
        The score and its parts.

    Raises:
        ShapeError: When there is not one label per row.
        DataError: When a label is no class.

    Example:
        >>> p = torch.tensor([[0.75, 0.25]] * 4).double()
        >>> b = brier_score(p.log(), torch.tensor([0, 0, 0, 1]))
        >>> round(b.score, 6), round(b.reliability, 6), round(b.uncertainty, 6)
        (0.375, 0.0, 0.375)

    Source: Brier (1950); Murphy (1973), A new vector partition of the probability score;
    Stephenson et al. (2008) on the part within bins. Cost: O(pairs * classes).
    """
    check_posterior(log_probs, labels)
    p = log_probs.double().exp()
    rows, classes = p.shape
    y = torch.nn.functional.one_hot(labels.long(), classes).double()
    cell = (p * bins).long().clamp(0, bins - 1) + bins * torch.arange(classes, device=p.device)
    total = p.new_zeros(3, classes * bins)
    total.index_add_(1, cell.flatten(), torch.stack([torch.ones_like(p), p, y]).flatten(1))
    count, sure, hits = total.reshape(3, classes, bins)
    mean_p, mean_y = (sure / count).nan_to_num(), (hits / count).nan_to_num()
    overall = y.mean(0)
    reliability = float((count * (mean_p - mean_y).square()).sum() / rows)
    resolution = float((count * (mean_y - overall[:, None]).square()).sum() / rows)
    uncertainty = float((overall * (1 - overall)).sum())
    score = float((p - y).square().sum() / rows)
    within = score - reliability + resolution - uncertainty
    return BrierScore(score, reliability, resolution, uncertainty, within)


def auroc(positive: Float[Tensor, " positives"], negative: Float[Tensor, " negatives"]) -> float:
    r"""Measures how often a positive scores above a negative, equal scores counted half.

    .. math:: \Pr(s_+ > s_-) + \tfrac{1}{2} \Pr(s_+ = s_-)

    For rejection: give ``-log_evidence`` of the pairs that should be rejected, and of those that
    should not.

    Args:
        positive: Scores of what should score high.
        negative: Scores of what should score low; infinities are in order.

    Returns:
        A figure in [0, 1]; .5 where scores tell nothing.

    Raises:
        ShapeError: When a side is not a vector of scores, or is empty.
        DataError: When a score is NaN.

    Example:
        >>> auroc(torch.tensor([2.0, 3.0]), torch.tensor([1.0, 2.0]))
        0.875

    Source: Hanley and McNeil (1982). Cost: O(n log n).
    """
    if positive.ndim != 1 or negative.ndim != 1 or not len(positive) or not len(negative):
        got = f"{tuple(positive.shape)} and {tuple(negative.shape)}"
        msg = f"need a vector of scores on each side, at least one, got {got}"
        raise ShapeError(msg)
    if bool(positive.isnan().any() or negative.isnan().any()):
        msg = "scores hold NaN, which is neither above nor below another"
        raise DataError(msg)
    high, low = positive.double(), negative.double().sort().values
    below = torch.searchsorted(low, high, right=False) + torch.searchsorted(low, high, right=True)
    return float(below.double().mean() / (2 * len(low)))
