"""A temperature for action posteriors, chosen on pairs whose actions are known."""

from __future__ import annotations

import math
from typing import NamedTuple

from jaxtyping import Int
from torch import Tensor

from ctvae.inference.actions import ActionPosterior

__all__ = ["Tempering", "fit_action_temperature"]

RANGE = (0.1, 10.0)
"""Where every answer is right, the sharpest posterior fits best; here it ends."""
HALVINGS = 40


class Tempering(NamedTuple):
    """The temperature that suits some pairs.

    Attributes:
        temperature: For ``ActionPosterior.tempered``; below 1 where the posterior was not sure
            enough, above 1 where it was too sure.
        nll_before: Mean negative log-probability of the true sequences at temperature 1, nats.
        nll_after: The same at the temperature found.
    """

    temperature: float
    nll_before: float
    nll_after: float


def fit_action_temperature(
    posterior: ActionPosterior, sequence: Int[Tensor, "batch length"]
) -> Tempering:
    r"""Finds the temperature under which known actions are foretold best.

    .. math:: \min_\tau \; -\tfrac{1}{n} \sum_i \log p_\tau(s_i),
        \quad p_\tau(s) \propto p(s)^{1/\tau}

    Convex in :math:`1 / \tau`, so its one minimum is found by halving. Choose it on validation
    pairs and judge it on others.

    Args:
        posterior: Of the pairs.
        sequence: Their true sequences, ``(batch, length)`` or ``(batch,)`` for single actions.

    Returns:
        The temperature, between .1 and 10, with the log loss before and after.

    Source: Guo, Pleiss, Sun, Weinberger (2017). Cost: O(batch * sequences), 40 times.
    """
    scores = posterior.probs.clamp(min=1e-300).log()
    true = posterior.log_prob(sequence).clamp(min=math.log(1e-300))
    low, high = (math.log(1 / end) for end in reversed(RANGE))  # of the inverse temperature
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        expected = ((scores * math.exp(middle)).softmax(1) * scores).sum(1)
        # The slope of the loss is what the posterior expects less what was true.
        if float((expected - true).mean()) > 0:
            high = middle
        else:
            low = middle
    temperature = math.exp(-(low + high) / 2)
    after = posterior.tempered(temperature).log_prob(sequence)
    return Tempering(temperature, -float(true.mean()), -float(after.mean()))
