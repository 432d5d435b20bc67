"""Calibration of the answer given: its error, and that of a calibrated model of as many pairs."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ctvae.errors import ShapeError
from ctvae.randomness import Seed, make_generator

__all__ = ["CalibrationCurve", "calibration_band", "calibration_curve", "calibration_error"]

CHUNK_CELLS = 2**22
"""Answers are drawn in chunks of at most so many, to bound memory."""


class CalibrationCurve(NamedTuple):
    """Confidence against accuracy, by bins of equal width of the confidence.

    Attributes:
        confidence: ``(bins,)`` mean confidence in the bin; NaN where it is empty.
        accuracy: ``(bins,)`` share right in the bin; NaN where it is empty.
        size: ``(bins,)`` predictions in the bin.
    """

    confidence: Float[Tensor, " bins"]
    accuracy: Float[Tensor, " bins"]
    size: Float[Tensor, " bins"]


def _check(confidence: Tensor, correct: Tensor) -> None:
    if confidence.ndim != 1 or confidence.shape != correct.shape or len(confidence) == 0:
        msg = f"need one confidence per answer, got {confidence.shape} and {correct.shape}"
        raise ShapeError(msg)


def calibration_curve(
    confidence: Float[Tensor, " n"], correct: Bool[Tensor, " n"], *, bins: int = 15
) -> CalibrationCurve:
    """Bins predictions by confidence.

    Args:
        confidence: The probability given to the answer, in [0, 1].
        correct: Whether the answer was right.
        bins: The number of bins.

    Returns:
        The reliability diagram's numbers.

    Raises:
        ShapeError: When there is not one confidence per answer.
    """
    _check(confidence, correct)
    where = (confidence.double() * bins).long().clamp(0, bins - 1)
    count = torch.bincount(where, minlength=bins).double()
    sure = torch.bincount(where, weights=confidence.double(), minlength=bins)
    right = torch.bincount(where, weights=correct.double(), minlength=bins)
    return CalibrationCurve(sure / count, right / count, count)


def calibration_error(
    confidence: Float[Tensor, " n"], correct: Bool[Tensor, " n"], *, bins: int = 15
) -> float:
    r"""Measures the expected calibration error.

    .. math:: \sum_b \frac{n_b}{n} \, |\mathrm{accuracy}_b - \mathrm{confidence}_b|

    Biased upwards in small samples: compare it with ``calibration_band`` of the same predictions.

    Args:
        confidence: The probability given to the answer, in [0, 1].
        correct: Whether the answer was right.
        bins: The number of bins.

    Returns:
        A figure in [0, 1].

    Example:
        >>> right = torch.tensor([True, True, True, False])
        >>> calibration_error(torch.full((4,), 0.75), right)
        0.0

    Source: Naeini, Cooper, Hauskrecht (2015); Guo et al. (2017).
    """
    curve = calibration_curve(confidence, correct, bins=bins)
    gap = (curve.accuracy - curve.confidence).abs().nan_to_num()
    return float((gap * curve.size).sum() / curve.size.sum())


def calibration_band(
    confidence: Float[Tensor, " n"],
    *,
    level: float = 0.95,
    bins: int = 15,
    simulations: int = 2000,
    seed: Seed = 0,
) -> tuple[float, float]:
    """Simulates the calibration error that a perfectly calibrated model of these would show.

    Answers are drawn right with exactly their confidence; the band is the central interval of the
    resulting errors.

    Args:
        confidence: The probability given to each answer, in [0, 1].
        level: The mass of the band.
        bins: The number of bins.
        simulations: How many times the answers are drawn.
        seed: For the draws.

    Returns:
        The lower and the upper end of the band.

    Example:
        >>> low, high = calibration_band(torch.full((400,), 0.9))
        >>> 0 <= low < high < 0.05
        True

    Cost: O(simulations * n) time, in chunks of bounded memory.
    """
    confidence = confidence.double().cpu()
    where = (confidence * bins).long().clamp(0, bins - 1)
    generator = make_generator(seed)
    in_bin = torch.nn.functional.one_hot(where, bins).double()
    sure = confidence @ in_bin
    errors = []
    chunk = max(1, CHUNK_CELLS // len(confidence))
    for start in range(0, simulations, chunk):
        draws = (min(chunk, simulations - start), len(confidence))
        right = torch.rand(draws, generator=generator).double() < confidence
        errors.append((right.double() @ in_bin - sure).abs().sum(1) / len(confidence))
    ends = torch.quantile(
        torch.cat(errors), torch.tensor([(1 - level) / 2, (1 + level) / 2]).double()
    )
    return float(ends[0]), float(ends[1])
