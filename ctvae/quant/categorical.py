"""Categorical slots: a slot's features are the scores of its codes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ctvae.errors import ShapeError
from ctvae.quant.base import Quantizer

__all__ = ["CategoricalSlots"]


class CategoricalSlots(Quantizer):
    r"""Codes are the highest of a slot's scores; soft assignments are their softmax.

    .. math:: q(v \mid s) = \operatorname{softmax}(s / \tau)_v

    No order or distance between codes is assumed, so nominal and cyclic values are at home here.
    The vector of a code is its indicator.

    Args:
        cardinalities: The number of codes of each slot.
        temperature: :math:`\tau > 0`.

    Raises:
        ShapeError: When a slot has no code, or the temperature is not above 0.

    Example:
        >>> CategoricalSlots([2, 3]).quantize(torch.tensor([[[0.1, 0.7, 0.0], [0.0, 0.1, 2.0]]]))
        tensor([[1, 2]])

    Cost: O(batch * slots * codes).
    """

    absent: Tensor
    temperature: Tensor

    def __init__(self, cardinalities: Sequence[int], *, temperature: float = 1.0) -> None:
        super().__init__()
        self._cardinalities = tuple(cardinalities)
        if min(self._cardinalities, default=0) < 1 or not temperature > 0:
            msg = (
                "every slot needs a code and the temperature must be above 0, got cardinalities "
                f"{self._cardinalities}, temperature {temperature}"
            )
            raise ShapeError(msg)
        sizes = torch.tensor(self._cardinalities)
        absent = torch.arange(self.width) >= sizes[:, None]
        self.register_buffer("absent", absent, persistent=False)
        self.register_buffer("temperature", torch.tensor(float(temperature)))

    @property
    def cardinalities(self) -> tuple[int, ...]:
        """The number of codes of each slot."""
        return self._cardinalities

    @property
    def width(self) -> int:
        """The largest number of codes."""
        return max(self._cardinalities)

    def log_probs(
        self, features: Float[Tensor, "batch slots codes"]
    ) -> Float[Tensor, "batch slots codes"]:
        """Gives the softmax of the scores.

        Args:
            features: Scores ``(batch, slots, codes)``.

        Returns:
            Normalised log-probabilities in nats, ``-inf`` for codes that a slot does not have.
        """
        return self._real(features / self.temperature).log_softmax(-1)

    def quantize(self, features: Float[Tensor, "batch slots codes"]) -> Int[Tensor, "batch slots"]:
        """Gives the codes with the highest scores.

        Args:
            features: Scores ``(batch, slots, codes)``.

        Returns:
            Codes ``(batch, slots)``.
        """
        return self._real(features).argmax(-1)

    def lookup(self, codes: Int[Tensor, "batch slots"]) -> Float[Tensor, "batch slots codes"]:
        """Gives the indicators of codes.

        Args:
            codes: ``(batch, slots)``.

        Returns:
            ``(batch, slots, codes)``, 1 at the code and 0 elsewhere.
        """
        return torch.nn.functional.one_hot(codes, self.width).float()

    def permuted(
        self, slots: Sequence[int], codes: Sequence[Int[Tensor, " codes"]]
    ) -> CategoricalSlots:
        """Renames slots and codes.

        Args:
            slots: The old slot of every new slot.
            codes: For each new slot the old code of every new code.

        Returns:
            A new quantizer, for scores in the new order.
        """
        del codes  # whoever computes the scores puts them in the new order
        sizes = [self._cardinalities[old] for old in slots]
        return CategoricalSlots(sizes, temperature=float(self.temperature))

    def _real(self, features: Tensor) -> Tensor:
        return features.masked_fill(self.absent, -torch.inf)
