"""Scores of posteriors over actions: exact and factor-only accuracy, log loss, beside chance."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ctvae.errors import DataError, ShapeError

__all__ = ["ActionScores", "check_posterior", "score_actions"]


def check_posterior(log_probs: Tensor, labels: Tensor) -> None:
    """Refuses what is not one vector of log-probabilities per label.

    Args:
        log_probs: ``(pairs, actions)``.
        labels: ``(pairs,)``.

    Raises:
        ShapeError: When shapes or the labels' dtype are others.
        DataError: When a label is no column, or a number is NaN.
    """
    if log_probs.ndim != 2 or labels.shape != (len(log_probs),) or not log_probs.numel():
        got = f"{tuple(log_probs.shape)} and {tuple(labels.shape)}"
        msg = f"need log_probs (pairs, actions) and one label per pair, got {got}"
        raise ShapeError(msg)
    if labels.is_floating_point() or labels.dtype == torch.bool:
        msg = f"labels must be integers, got {labels.dtype}"
        raise ShapeError(msg)
    if bool(((labels < 0) | (labels >= log_probs.shape[1])).any()):
        low, high = int(labels.min()), int(labels.max())
        msg = f"labels run from {low} to {high}, the columns from 0 to {log_probs.shape[1] - 1}"
        raise DataError(msg)
    if bool((log_probs.isnan() | (log_probs == torch.inf)).any()):
        msg = "log_probs hold NaN or +inf; give log-probabilities, -inf where one is zero"
        raise DataError(msg)


class ActionScores(NamedTuple):
    """How well a posterior over actions names them, beside answers that look at no image.

    Attributes:
        exact: Share of pairs whose most probable action is right (the first of equals).
        factor_only: Share whose most probable factor is right, the probabilities of the actions on
            one factor added up.
        log_loss: Mean negative log-probability of the true action, nats.
        chance_exact: Accuracy of always naming the most frequent action.
        chance_factor_only: Accuracy of always naming the most frequent factor.
        chance_log_loss: Log loss of always giving the actions' frequencies: their entropy, nats.
    """

    exact: float
    factor_only: float
    log_loss: float
    chance_exact: float
    chance_factor_only: float
    chance_log_loss: float


def score_actions(
    log_probs: Float[Tensor, "pairs actions"],
    action: Int[Tensor, " pairs"],
    factor_of_action: Int[Tensor, " actions"],
) -> ActionScores:
    """Scores a posterior over single actions.

    Accuracy alone hides useless probabilities: read the log loss beside that of chance, and
    ``calibration_error`` beside ``calibration_band``. Where actions do the same from some codes,
    accuracy up to equivalence is ``ActionPosterior.accuracy_credit``.

    Args:
        log_probs: Log-probabilities of all actions, nats.
        action: The true actions.
        factor_of_action: The factor that each action moves, numbered from 0.

    Returns:
        The scores.

    Raises:
        ShapeError: When shapes differ.

    Example:
        >>> p = torch.tensor([[0.5, 0.5, 0.0], [0.2, 0.2, 0.6]])
        >>> s = score_actions(p.log(), torch.tensor([1, 2]), torch.tensor([0, 0, 1]))
        >>> s.exact, s.factor_only
        (0.5, 1.0)
    """
    check_posterior(log_probs, action)
    if factor_of_action.shape != (log_probs.shape[1],):
        got = tuple(factor_of_action.shape)
        msg = f"need one factor per action ({log_probs.shape[1]},), got {got}"
        raise ShapeError(msg)
    log_probs = log_probs.double()
    right = log_probs.argmax(1) == action
    of_factor = torch.nn.functional.one_hot(factor_of_action).double()
    factor = factor_of_action[action]
    right_factor = (log_probs.exp() @ of_factor).argmax(1) == factor
    loss = -log_probs.gather(1, action[:, None]).mean()
    share = torch.bincount(action).double() / len(action)
    return ActionScores(
        float(right.double().mean()),
        float(right_factor.double().mean()),
        float(loss),
        float(share.max()),
        float(torch.bincount(factor).max() / len(action)),
        float(torch.special.entr(share).sum()),
    )
