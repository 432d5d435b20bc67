"""How well a model retrieves actions from pairs of images."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from jaxtyping import Bool, Float, Int
from torch import Tensor

from ctvae.metrics import calibration_band, calibration_error

if TYPE_CHECKING:
    from ctvae.models.ctvae import CTVAE

__all__ = ["RetrievalScores", "score_retrieval"]


class RetrievalScores(NamedTuple):
    """How well actions are retrieved from pairs.

    Attributes:
        accuracy: Share of pairs whose most probable sequence is right, up to equivalence (orders
            that commute are one).
        accuracy_ties_split: The same with the credit of a pair divided by the size of its class:
            what a guess within the class would score. For single actions this is the figure to
            quote, because a collapsed slot makes all its actions one class.
        nll: Mean negative log-probability of the true sequence, nats.
        calibration_error: Expected calibration error, 15 bins.
        calibration_band: Its central 95 % interval for a perfectly calibrated model of these.
        confidence: ``(pairs,)`` probability of the answer, its equivalents included.
        correct: ``(pairs,)`` whether it was right.
        log_evidence: ``(pairs,)`` nats.
        mode: ``(pairs, length)`` the answers.
    """

    accuracy: float
    accuracy_ties_split: float
    nll: float
    calibration_error: float
    calibration_band: tuple[float, float]
    confidence: Float[Tensor, " pairs"]
    correct: Bool[Tensor, " pairs"]
    log_evidence: Float[Tensor, " pairs"]
    mode: Int[Tensor, "pairs length"]


def score_retrieval(
    model: CTVAE,
    images: Tensor,
    before: Int[Tensor, " pairs"],
    sequence: Int[Tensor, "pairs length"],
    after: Int[Tensor, " pairs"],
) -> RetrievalScores:
    """Retrieves the actions of pairs and scores the posterior.

    Args:
        model: A fitted model.
        images: A pool of images.
        before: Rows of the pool.
        sequence: True action indices.
        after: Rows of the pool.

    Returns:
        The scores.
    """
    posterior = model.retrieve_action(images[before], images[after], length=sequence.shape[1])
    sequence = sequence.to(posterior.probs.device)
    correct = posterior.same_class(sequence)
    classes = posterior.equivalence_class
    answer = classes.gather(1, posterior.probs.argmax(1, keepdim=True))
    confidence = (posterior.probs * (classes == answer)).sum(1).clamp(max=1.0)
    return RetrievalScores(
        float(correct.double().mean()),
        float(posterior.accuracy_credit(sequence).mean()),
        -float(posterior.log_prob(sequence).mean()),
        calibration_error(confidence, correct),
        calibration_band(confidence),
        confidence,
        correct,
        posterior.log_evidence,
        posterior.mode,
    )
