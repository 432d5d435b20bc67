"""The one interface of every quantizer, and what quantizing returns."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from ctvae.errors import ShapeError

__all__ = ["Quantized", "Quantizer", "perplexity"]


class Quantized(NamedTuple):
    """What quantizing features gives.

    Attributes:
        codes: ``(batch, slots)`` int64, one code per slot.
        vectors: ``(batch, slots, width)``, equal to ``lookup(codes)``; gradients pass straight
            through to the features.
        loss: ``()``, the quantizer's own training loss, averaged over the batch.
    """

    codes: Int[Tensor, "batch slots"]
    vectors: Float[Tensor, "batch slots width"]
    loss: Float[Tensor, ""]


class Quantizer(nn.Module, ABC):
    r"""One codebook per slot: features in, integer codes and their vectors out.

    The law that every quantizer keeps, in training and in evaluation mode:
    ``quantizer.quantize(quantizer.lookup(codes)) == codes``, and ``forward(features).vectors``
    equals ``lookup(forward(features).codes)`` to the last bit. ``forward`` never changes a
    codebook; a quantizer that learns by moving averages does so in its own ``update``.
    """

    @property
    @abstractmethod
    def cardinalities(self) -> tuple[int, ...]:
        """The number of codes of each slot."""

    @property
    @abstractmethod
    def width(self) -> int:
        """The length of a code's vector."""

    @abstractmethod
    def log_probs(
        self, features: Float[Tensor, "batch slots width"]
    ) -> Float[Tensor, "batch slots codes"]:
        """Gives soft assignments.

        Args:
            features: ``(batch, slots, width)``.

        Returns:
            Normalised log-probabilities in nats, ``-inf`` for codes that a slot does not have.
        """

    @abstractmethod
    def quantize(self, features: Float[Tensor, "batch slots width"]) -> Int[Tensor, "batch slots"]:
        """Gives the nearest codes.

        Args:
            features: ``(batch, slots, width)``.

        Returns:
            Codes ``(batch, slots)``.
        """

    @abstractmethod
    def lookup(self, codes: Int[Tensor, "batch slots"]) -> Float[Tensor, "batch slots width"]:
        """Gives the vectors of codes.

        Args:
            codes: ``(batch, slots)``.

        Returns:
            Vectors ``(batch, slots, width)``.
        """

    def forward(self, features: Float[Tensor, "batch slots width"]) -> Quantized:
        """Quantizes features, gradients passing straight through.

        Args:
            features: ``(batch, slots, width)``.

        Returns:
            Codes, vectors and the commitment loss (mean squared distance to the code's vector).

        Raises:
            ShapeError: When the features do not have one vector of ``width`` per slot.
        """
        expected = (len(self.cardinalities), self.width)
        if features.ndim != 3 or tuple(features.shape[1:]) != expected:
            msg = f"features must be (batch, {expected[0]}, {expected[1]}), got {features.shape}"
            raise ShapeError(msg)
        codes = self.quantize(features)
        vectors = self.lookup(codes)
        loss = (features - vectors.detach()).square().sum(-1).mean()
        return Quantized(codes, straight_through(features, vectors), loss)


def straight_through(features: Tensor, vectors: Tensor) -> Tensor:
    """Gives the value of one tensor the gradient of another, exact to the last bit.

    Args:
        features: What the gradient flows to.
        vectors: The value.

    Returns:
        ``vectors``, differentiated as if it were ``features``.

    Source: Bengio, Leonard, Courville (2013).
    """
    result: Tensor = _StraightThrough.apply(features, vectors)  # type: ignore[no-untyped-call]  # torch does not annotate apply
    return result


class _StraightThrough(torch.autograd.Function):
    """The value of one tensor with the gradient of another, exact to the last bit."""

    @staticmethod
    def forward(ctx: object, features: Tensor, vectors: Tensor) -> Tensor:
        del ctx, features
        return vectors.clone()

    @staticmethod
    def backward(ctx: object, gradient: Tensor) -> tuple[Tensor, None]:
        del ctx
        return gradient, None


def perplexity(codes: Int[Tensor, "rows slots"], num_codes: int) -> Float[Tensor, " slots"]:
    r"""Measures how many codes each slot uses.

    .. math:: \exp\Bigl(-\sum_v \hat p(v) \log \hat p(v)\Bigr)

    Args:
        codes: Codes ``(rows, slots)`` in ``[0, num_codes)``.
        num_codes: The padded codebook size.

    Returns:
        One figure per slot, between 1 (one code used) and ``num_codes`` (all equally).

    Example:
        >>> perplexity(torch.tensor([[0, 0], [1, 0]]), 4).tolist()
        [2.0, 1.0]
    """
    share = nn.functional.one_hot(codes, num_codes).double().mean(0)
    return torch.exp(torch.special.entr(share).sum(-1))
