"""One temperature for the scores of a posterior, fitted on validation pairs."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ctvae.errors import DataError
from ctvae.metrics.retrieval import check_posterior

__all__ = ["fit_temperature", "tempered"]

COLDEST, HOTTEST = 1e-3, 1e3
"""Where the best temperature is at no end (all right, or no better than chance), one of these."""
HALVINGS = 60
"""Of a bracket 14 nats wide: the temperature is found to 1e-17, relatively."""


def tempered(
    log_probs: Float[Tensor, "*batch actions"], temperature: float
) -> Float[Tensor, "*batch actions"]:
    r"""Makes a posterior less sure (temperature above 1), or more.

    .. math:: p_T(a) \propto p(a)^{1/T}

    The order of actions stays, and so does accuracy.

    Args:
        log_probs: Log-probabilities, or scores in nats.
        temperature: Positive.

    Returns:
        Log-probabilities.

    Raises:
        DataError: When the temperature is not positive and finite.

    Example:
        >>> p = torch.tensor([0.9, 0.1])
        >>> [round(q, 6) for q in tempered(p.log(), 2.0).exp().tolist()]
        [0.75, 0.25]

    Source: Guo et al. (2017), On calibration of modern neural networks.
    """
    if not 0 < temperature < torch.inf:
        msg = f"a temperature is positive and finite, got {temperature}"
        raise DataError(msg)
    return (log_probs / temperature).log_softmax(-1)


def fit_temperature(
    log_probs: Float[Tensor, "pairs actions"], labels: Int[Tensor, " pairs"]
) -> float:
    r"""Finds the temperature under which validation pairs have the least log loss.

    .. math:: T = 1 / \arg\min_\beta \sum_r \Big[ \log \sum_a e^{\beta \ell_{ra}}
        - \beta \ell_{r y_r} \Big]

    The loss is convex in :math:`\beta`, so its slope is followed to zero by halving. Fit on
    validation pairs, never on those that are scored; report calibration before and after.

    Args:
        log_probs: Log-probabilities of all actions, nats.
        labels: The true actions.

    Returns:
        The temperature, within [1e-3, 1e3]: the lower end where every answer is right, the upper
        one where the answers are worse than none; 1 where all probabilities are equal.

    Raises:
        ShapeError: When there is not one label per pair.
        DataError: When a true action has probability zero: no temperature mends that.

    Example:
        >>> sure = torch.tensor([[0.9, 0.1]]).log().repeat(4, 1)  # right 3 times in 4
        >>> round(fit_temperature(sure, torch.tensor([0, 0, 0, 1])), 6)
        2.0

    Source: Guo et al. (2017), On calibration of modern neural networks. Cost: 60 passes.
    """
    check_posterior(log_probs, labels)
    scores = log_probs.double()
    true = scores.gather(1, labels[:, None].long())
    if bool((true == -torch.inf).any()):
        row = int((true[:, 0] == -torch.inf).nonzero()[0])
        msg = (
            f"the true action of pair {row} has probability zero, so that no temperature gives a "
            "finite loss; smooth the model's tables first"
        )
        raise DataError(msg)
    # The slope of the loss is the mean of this under the posterior; what is impossible stays so.
    regret = torch.where(scores == -torch.inf, 0.0, scores - true)
    if not bool(regret.any()):
        return 1.0

    def rises(beta: Tensor) -> bool:
        return bool(((scores * beta).softmax(1) * regret).sum() > 0)

    ends = torch.tensor([1 / HOTTEST, 1 / COLDEST], dtype=torch.double, device=scores.device)
    low, high = ends.log()
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if rises(middle.exp()) else (middle, high)
    return float((-(low + high) / 2).exp())
