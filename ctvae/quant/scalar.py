"""Scalar bins: each slot is a number, its codes are centres on a line."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ctvae.errors import DataError, ShapeError
from ctvae.quant.base import Quantizer
from ctvae.quant.modes import Modes, find_modes, lloyd

__all__ = ["ScalarBins"]

SCALE_FLOOR = 0.1
"""Within-code standard deviations are at least this share of half the gap to the nearest centre."""


class ScalarBins(Quantizer):
    r"""Codes are the nearest of a slot's centres; soft assignments are Gaussian around them.

    .. math:: \log q(v \mid h) = -\tfrac12 \bigl((h - c_v)/s_v\bigr)^2 - \log s_v + \text{const}

    Args:
        centres: For each slot its centres, all different, ``(codes,)``.
        scales: For each slot the standard deviation of the features around each centre.

    Raises:
        ShapeError: When centres and scales do not match, or two centres of a slot coincide.

    Example:
        >>> bins = ScalarBins.uniform(slots=2, codes=3, low=-1.0, high=1.0)
        >>> bins.quantize(torch.tensor([[[0.9], [-0.1]]])).tolist()
        [[2, 1]]

    Cost: O(batch * slots * codes).
    """

    centres: Tensor
    scales: Tensor

    def __init__(self, centres: Sequence[Tensor], scales: Sequence[Tensor]) -> None:
        super().__init__()
        for m, (c, s) in enumerate(zip(centres, scales, strict=True)):
            if c.ndim != 1 or c.shape != s.shape or len(c) == 0 or len(c.unique()) < len(c):
                msg = f"slot {m}: centres must be different numbers (codes,), with one scale each"
                raise ShapeError(msg)
        self._cardinalities = tuple(len(c) for c in centres)
        # A code that a slot does not have lies infinitely far away.
        pad = torch.nn.utils.rnn.pad_sequence
        self.register_buffer("centres", pad(list(centres), True, float("inf")).float())  # noqa: FBT003
        floored = [_floor_scales(c, s) for c, s in zip(centres, scales, strict=True)]
        self.register_buffer("scales", pad(floored, True, 1.0).float())  # noqa: FBT003

    @classmethod
    def from_modes(cls, modes: Sequence[Modes]) -> ScalarBins:
        """Learned cardinalities: one code per mode.

        Args:
            modes: What ``find_modes`` found, one per slot.

        Returns:
            The quantizer.
        """
        return cls([m.centres for m in modes], [m.scales for m in modes])

    @classmethod
    def learn(
        cls,
        values: Float[Tensor, "n slots"],
        *,
        bandwidth: Sequence[float],
        prominence: float = 0.04,
        max_codes: int = 32,
    ) -> ScalarBins:
        """Learned cardinalities, straight from a sample.

        Args:
            values: One column per slot.
            bandwidth: One kernel bandwidth per slot.
            prominence: See ``find_modes``.
            max_codes: See ``find_modes``.

        Returns:
            The quantizer.

        Example:
            >>> x = torch.tensor([[0.0], [0.01], [1.0], [1.01]])
            >>> ScalarBins.learn(x, bandwidth=[0.1]).cardinalities
            (2,)
        """
        columns = zip(values.unbind(1), bandwidth, strict=True)
        return cls.from_modes([
            find_modes(column, bandwidth=width, prominence=prominence, max_codes=max_codes)
            for column, width in columns
        ])

    @classmethod
    def fit(cls, values: Float[Tensor, "n slots"], cardinalities: Sequence[int]) -> ScalarBins:
        """Given cardinalities: Lloyd's algorithm from the quantiles of a sample.

        Args:
            values: One column per slot.
            cardinalities: The number of codes of each slot.

        Returns:
            The quantizer.

        Raises:
            DataError: When a column has fewer distinct values than codes.
        """
        centres, scales = [], []
        columns = values.float().T.contiguous()
        for m, (column, codes) in enumerate(zip(columns, cardinalities, strict=True)):
            distinct = column.unique()
            if len(distinct) < codes:
                msg = f"slot {m} has {len(distinct)} distinct values, too few for {codes} codes"
                raise DataError(msg)
            levels = (torch.arange(codes, device=column.device) + 0.5) / codes
            start = torch.quantile(column, levels)
            if len(start.unique()) < codes:
                start = torch.quantile(distinct, levels)
            found = lloyd(column, start, steps=100)
            nearest = torch.bucketize(column, (found[1:] + found[:-1]) / 2)
            counts = torch.bincount(nearest, minlength=codes).clamp(min=1)
            squares = torch.zeros_like(found).index_add_(0, nearest, (column - found[nearest]) ** 2)
            centres.append(found)
            scales.append((squares / counts).sqrt())
        return cls(centres, scales)

    @classmethod
    def uniform(cls, *, slots: int, codes: int, low: float, high: float) -> ScalarBins:
        """Fixed bins of equal width, the same in every slot.

        Args:
            slots: The number of slots.
            codes: The number of codes of each.
            low: The lower edge of the first bin.
            high: The upper edge of the last bin.

        Returns:
            The quantizer.
        """
        width = (high - low) / codes
        centres = low + width * (torch.arange(codes) + 0.5)
        return cls([centres] * slots, [torch.full((codes,), width / 2)] * slots)

    def permuted(self, slots: Sequence[int], codes: Sequence[Int[Tensor, " codes"]]) -> ScalarBins:
        """Renames slots and codes.

        Args:
            slots: The old slot of every new slot.
            codes: For each new slot the old code of every new code.

        Returns:
            A new quantizer.
        """
        centres = [self.centres[old][order] for old, order in zip(slots, codes, strict=True)]
        scales = [self.scales[old][order] for old, order in zip(slots, codes, strict=True)]
        return ScalarBins(centres, scales)

    @property
    def cardinalities(self) -> tuple[int, ...]:
        """The number of codes of each slot."""
        return self._cardinalities

    @property
    def width(self) -> int:
        """A scalar: 1."""
        return 1

    def quantize(self, features: Float[Tensor, "batch slots 1"]) -> Int[Tensor, "batch slots"]:
        """Gives the nearest centre of each slot.

        Args:
            features: ``(batch, slots, 1)``.

        Returns:
            Codes ``(batch, slots)``.
        """
        return (features - self.centres).abs().argmin(-1)

    def lookup(self, codes: Int[Tensor, "batch slots"]) -> Float[Tensor, "batch slots 1"]:
        """Gives the centres of codes.

        Args:
            codes: ``(batch, slots)``.

        Returns:
            Centres ``(batch, slots, 1)``.
        """
        return self.centres.expand(len(codes), -1, -1).gather(2, codes[..., None])

    def log_probs(
        self, features: Float[Tensor, "batch slots 1"]
    ) -> Float[Tensor, "batch slots codes"]:
        """Gives Gaussian soft assignments.

        Args:
            features: ``(batch, slots, 1)``.

        Returns:
            Normalised log-probabilities in nats, ``-inf`` for codes that a slot does not have.
        """
        distance = (features - self.centres) / self.scales
        return (-0.5 * distance.square() - self.scales.log()).log_softmax(-1)


def _floor_scales(centres: Tensor, scales: Tensor) -> Tensor:
    # Keeps a soft assignment soft where a mode is a spike, on the scale of its neighbourhood.
    if len(centres) == 1:
        return scales.clamp(min=1e-3)
    apart = (centres[:, None] - centres).abs().fill_diagonal_(float("inf"))
    near = apart.min(1).values
    return torch.maximum(scales, SCALE_FLOOR * near / 2)
