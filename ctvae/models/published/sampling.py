"""Draws of yes and no with straight-through gradients, and the sinusoidal position code."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from ctvae.quant.base import straight_through

__all__ = ["CLAMP", "clamped_logit", "draw_noise", "position_code", "round_logits", "sample_logits"]

CLAMP = 1e-4
"""The published code takes no logarithm of less (fault 15: no gradient below it)."""


def draw_noise(shape: tuple[int, ...], generator: torch.Generator) -> Float[Tensor, "*shape"]:
    """Draws logistic noise: the difference of two Gumbel variables.

    Args:
        shape: Of the noise.
        generator: Where randomness comes from; the noise is on its device.

    Returns:
        The noise.

    Example:
        >>> draw_noise((2, 3), torch.Generator().manual_seed(0)).shape
        torch.Size([2, 3])
    """
    unit = torch.rand(shape, generator=generator, device=generator.device)
    return torch.logit(unit, eps=torch.finfo(unit.dtype).eps)


def sample_logits(logits: Float[Tensor, "*any"], noise: Float[Tensor, "*any"]) -> Tensor:
    r"""Draws 1 with probability :math:`\sigma(\mathrm{logit})`, and 0 otherwise.

    The Gumbel-softmax of two classes at temperature 1: the value is hard, the gradient is that of
    :math:`\sigma(\mathrm{logit} + \mathrm{noise})`.

    Args:
        logits: Log-odds.
        noise: Logistic noise.

    Returns:
        Zeros and ones, differentiable.

    Example:
        >>> sample_logits(torch.tensor([0.0, 0.0]), torch.tensor([-1.0, 1.0]))
        tensor([0., 1.])

    Source: Jang, Gu, Poole (2017); Maddison, Mnih, Teh (2017).
    """
    return round_logits(logits + noise)


def round_logits(logits: Float[Tensor, "*any"]) -> Tensor:
    """Gives the likelier of 1 and 0, with the gradient of the probability.

    Args:
        logits: Log-odds.

    Returns:
        Zeros and ones, differentiable.

    Example:
        >>> round_logits(torch.tensor([-0.2, 0.2]))
        tensor([0., 1.])
    """
    return straight_through(logits.sigmoid(), (logits > 0).to(logits.dtype))


def clamped_logit(probs: Float[Tensor, "*any"]) -> Tensor:
    """Gives the log-odds of probabilities, each logarithm clamped as in the published code.

    Args:
        probs: Probabilities.

    Returns:
        Log-odds within 9.21 nats of zero.

    Example:
        >>> [round(x, 2) for x in clamped_logit(torch.tensor([0.0, 0.5, 1.0])).tolist()]
        [-9.21, 0.0, 9.21]
    """
    return probs.clamp(min=CLAMP).log() - (1 - probs).clamp(min=CLAMP).log()


def position_code(slots: int, width: int) -> Float[Tensor, "slots width"]:
    r"""Writes the sinusoidal code of places in a sequence.

    .. math:: c_{p,2m} = \sin(p / 10000^{2m/K}), \quad c_{p,2m+1} = \cos(p / 10000^{2m/K})

    Args:
        slots: How many places.
        width: The length ``K`` of a code.

    Returns:
        ``(slots, width)``; each row has squared length ``width / 2`` where the width is even.

    Example:
        >>> position_code(3, 4).square().sum(1)
        tensor([2., 2., 2.])

    Source: Vaswani et al. (2017), section 3.5.
    """
    place = torch.arange(slots)[:, None]
    rate = torch.exp(torch.arange(0, width, 2) * (-math.log(10000.0) / width))
    pairs = torch.stack([(place * rate).sin(), (place * rate).cos()], -1)
    return pairs.flatten(1)[:, :width].contiguous()
