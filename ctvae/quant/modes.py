"""Modes of a scalar: how many values a slot takes, and where they lie."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from ctvae.errors import DataError

__all__ = ["Modes", "find_modes", "lloyd"]

GRID_PER_BANDWIDTH = 8
"""Grid points per kernel bandwidth: the density is smooth at that scale."""


class Modes(NamedTuple):
    """The modes of one scalar.

    Attributes:
        centres: ``(codes,)``, increasing.
        scales: ``(codes,)``, the standard deviation of the values nearest to each centre.
        separation: The smallest gap between neighbouring centres divided by the sum of their two
            scales; infinite for a single mode. Below about 2 the modes run into each other.
    """

    centres: Float[Tensor, " codes"]
    scales: Float[Tensor, " codes"]
    separation: float


def lloyd(
    values: Float[Tensor, " n"], centres: Float[Tensor, " codes"], *, steps: int = 20
) -> Float[Tensor, " codes"]:
    """Runs Lloyd's algorithm in one dimension.

    Args:
        values: The sample.
        centres: Where to start, any order.
        steps: How many times values are assigned and centres averaged.

    Returns:
        The centres, increasing; a centre that loses all its values stays.

    Example:
        >>> lloyd(torch.tensor([0.0, 0.2, 1.0, 1.2]), torch.tensor([0.0, 1.0])).tolist()
        [0.10000000149011612, 1.100000023841858]

    Source: Lloyd (1982). Cost: O(steps * n * log codes).
    """
    values, centres = values.contiguous(), centres.sort().values
    for _ in range(steps):
        nearest = torch.bucketize(values, (centres[1:] + centres[:-1]) / 2)
        counts = torch.bincount(nearest, minlength=len(centres))
        sums = torch.zeros_like(centres).index_add_(0, nearest, values)
        centres = torch.where(counts > 0, sums / counts.clamp(min=1), centres)
        centres = centres.sort().values
    return centres


def find_modes(
    values: Float[Tensor, " n"],
    *,
    bandwidth: float,
    prominence: float = 0.04,
    max_codes: int = 32,
) -> Modes:
    """Reads the values that a scalar slot takes off the peaks of its density.

    A Gaussian kernel density is evaluated on a grid; its peaks of sufficient prominence are the
    modes, refined by Lloyd steps. Not for a scalar without modes: the count then follows the
    bandwidth, and ``separation`` says so.

    Args:
        values: The sample.
        bandwidth: The kernel's standard deviation, in the unit of the values.
        prominence: The least prominence of a peak, as a share of the highest density.
        max_codes: At most so many modes; the most prominent are kept.

    Returns:
        Centres, scales and separation.

    Raises:
        DataError: When the sample is empty or not finite, or the bandwidth is not positive.

    Example:
        >>> len(find_modes(torch.tensor([0.0, 0.01, 1.0, 1.01]), bandwidth=0.1).centres)
        2

    Source: kernel density (Parzen 1962). Cost: O(n + grid * kernel).
    """
    from scipy.signal import find_peaks, peak_prominences

    if values.numel() == 0 or not bool(torch.isfinite(values).all()) or not bandwidth > 0:
        msg = "modes need a finite, non-empty sample and a positive bandwidth"
        raise DataError(msg)
    values = values.double().contiguous()
    low, high = float(values.min()) - 4 * bandwidth, float(values.max()) + 4 * bandwidth
    step = bandwidth / GRID_PER_BANDWIDTH
    bins = int((high - low) / step) + 1
    cell = ((values - low) / step).round().long().clamp(max=bins - 1)
    histogram = torch.bincount(cell, minlength=bins).double()
    reach = 4 * GRID_PER_BANDWIDTH
    offsets = torch.arange(-reach, reach + 1, device=values.device).double()
    kernel = torch.exp(-0.5 * (offsets / GRID_PER_BANDWIDTH) ** 2)
    density = torch.nn.functional.conv1d(histogram[None, None], kernel[None, None], padding=reach)
    curve = density[0, 0].cpu().numpy()
    peaks, _ = find_peaks(curve, prominence=prominence * float(curve.max()))
    order = peak_prominences(curve, peaks)[0].argsort()[::-1][:max_codes]
    start = low + step * torch.tensor(peaks[order].copy(), device=values.device).double()
    centres = lloyd(values, start)
    return _describe(values, centres)


def _describe(values: Tensor, centres: Tensor) -> Modes:
    nearest = torch.bucketize(values, (centres[1:] + centres[:-1]) / 2)
    counts = torch.bincount(nearest, minlength=len(centres)).clamp(min=1)
    squares = torch.zeros_like(centres).index_add_(0, nearest, (values - centres[nearest]) ** 2)
    scales = (squares / counts).sqrt()
    separation = float("inf")
    if len(centres) > 1:
        ratio = centres.diff() / (scales[1:] + scales[:-1]).clamp(min=1e-12)
        separation = float(ratio.min())
    return Modes(centres.float(), scales.float(), separation)
