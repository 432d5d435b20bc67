"""P-values of several kinds of evidence at once, calibrated on ordinary cases."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from ctvae.errors import DataError, ShapeError

__all__ = ["TailTest", "tail_probs"]


def tail_probs(
    reference: Float[Tensor, "streams n"], values: Float[Tensor, "batch streams"]
) -> Float[Tensor, "batch streams"]:
    r"""Gives the share of ordinary cases that are as high as a value or higher.

    .. math:: p = \frac{1 + \#\{i : r_i \ge v\}}{1 + n}

    Where the value is itself an ordinary case, p is at most t with probability at most t.

    Args:
        reference: Of ordinary cases, each row increasing.
        values: High where a case is out of the ordinary.

    Returns:
        P-values, at least ``1 / (n + 1)``.

    Example:
        >>> tail_probs(torch.tensor([[1.0, 2.0, 3.0]]), torch.tensor([[2.5], [9.0]])).tolist()
        [[0.5], [0.25]]

    Source: Vovk, Gammerman, Shafer (2005), conformal p-values. Cost: O(batch * log n).
    """
    count = reference.shape[1]
    below = torch.searchsorted(reference, values.T.contiguous()).T
    return (1 + count - below).to(values.dtype) / (1 + count)


@dataclass(frozen=True)
class TailTest:
    r"""Several streams of evidence made one p-value.

    Each stream becomes a tail probability among ordinary cases; the least of them is what counts
    (Tippett's rule), and its own tail among *other* ordinary cases is the p-value. So a case that
    is out of the ordinary in one respect only is found, and no independence of the streams is
    assumed. Beyond the highest ordinary case, where counting ends, tails go on as

    .. math:: \frac{1}{1 + n} \Big/ \Bigl(1 + \frac{v - r_n}{r_n - r_{n/2}}\Bigr)

    so that cases far out can be told apart; p-values do not rest on that shape.

    Attributes:
        streams: ``(streams, n)`` evidence of ordinary cases, increasing.
        least: ``(1, m)`` minus the least tail of further ordinary cases, increasing.
    """

    streams: Float[Tensor, "streams n"]
    least: Float[Tensor, "1 m"]

    @property
    def cases(self) -> int:
        """The number of ordinary cases that the test rests on."""
        return self.streams.shape[1] + self.least.shape[1]

    @classmethod
    def fit(cls, evidence: Float[Tensor, "cases streams"]) -> TailTest:
        """Sorts the evidence of ordinary cases.

        Args:
            evidence: High where a case is out of the ordinary. Every other case makes the tails of
                the streams, the others those of the least tail.

        Returns:
            The test.

        Raises:
            ShapeError: When the evidence is no matrix.
            DataError: When there are fewer than two cases, or evidence is not a number.
        """
        if evidence.ndim != 2 or evidence.shape[1] == 0:
            msg = f"evidence is (cases, streams), got {tuple(evidence.shape)}"
            raise ShapeError(msg)
        if len(evidence) < 2 or bool(evidence.isnan().any()):
            msg = f"tails need two or more ordinary cases without NaN, got {len(evidence)} cases"
            raise DataError(msg)
        streams = evidence[::2].T.sort(dim=1).values.contiguous()
        least = _least_tail(streams, evidence[1::2])
        return cls(streams, (-least).sort().values[None])

    def stream_probs(
        self, evidence: Float[Tensor, "batch streams"]
    ) -> Float[Tensor, "batch streams"]:
        """Gives the p-value of each stream alone.

        Args:
            evidence: Of the cases in question.

        Returns:
            P-values.

        Raises:
            ShapeError: When there are not as many streams as in the test.
        """
        if evidence.ndim != 2 or evidence.shape[1] != len(self.streams):
            msg = f"evidence is (batch, {len(self.streams)}), got {tuple(evidence.shape)}"
            raise ShapeError(msg)
        return tail_probs(self.streams, evidence)

    def p_value(self, evidence: Float[Tensor, "batch streams"]) -> Float[Tensor, " batch"]:
        """Gives the p-value of all streams together.

        Args:
            evidence: Of the cases in question.

        Returns:
            P-values; among ordinary cases, at most t with probability at most t.
        """
        self.stream_probs(evidence)  # checks the shape
        return tail_probs(self.least, -_least_tail(self.streams, evidence)[:, None])[:, 0]


def _least_tail(streams: Tensor, evidence: Tensor) -> Float[Tensor, " batch"]:
    """The least of the tails of all streams, those beyond the highest ordinary case extended."""
    middle, highest = streams[:, streams.shape[1] // 2], streams[:, -1]
    unit = (highest - middle).clamp(min=torch.finfo(streams.dtype).tiny)
    beyond = (evidence - highest).clamp(min=0) / unit
    return (tail_probs(streams, evidence) / (1 + beyond)).amin(1)
