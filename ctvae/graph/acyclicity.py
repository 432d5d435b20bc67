"""How far a matrix of edge weights is from a DAG, with gradients: log-determinant and spectrum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable

from ctvae.errors import DataError, ShapeError
from ctvae.randomness import check_count

__all__ = ["Acyclicity", "LogDet", "Order", "Spectral"]

SLACK = 1e-5
"""How far below zero, relative to the largest, entries of an inverse may be by rounding."""


class Acyclicity(Protocol):
    """A differentiable measure of cycles, zero on DAGs alone."""

    def penalty(self, weights: Float[Tensor, "*batch slots slots"]) -> Float[Tensor, "*batch"]:
        """Measures how far matrices are from DAGs.

        Args:
            weights: ``[i, j]`` the weight or the probability of ``i -> j``; its square counts.

        Returns:
            0 where the non-zero weights form a DAG, above 0 elsewhere; one number per matrix.
        """
        ...


@dataclass(frozen=True)
class LogDet:
    r"""The log-determinant of an M-matrix, as in DAGMA.

    .. math:: h_s(W) = -\log\det(sI - W \circ W) + d \log s

    It counts all cycles, the longer the less, and its gradient
    :math:`2\,(sI - W \circ W)^{-\top} \circ W` vanishes on DAGs and nowhere else. Its domain are
    the matrices whose squares have a spectral radius below s; outside, the penalty is infinite and
    its gradient zero. A small s sees long cycles better, a large one takes larger weights.

    Args:
        scale: s, above 0; ``None`` for the number of slots, which is large enough for every matrix
            of probabilities.

    Raises:
        DataError: When the scale is not above 0.

    Example:
        >>> dag = torch.tensor([[0.0, 2.0], [0.0, 0.0]])
        >>> LogDet(1.0).penalty(dag).item(), LogDet(1.0).penalty(dag + dag.T / 8).item() > 0
        (0.0, True)

    Source: Bello, Aragam and Ravikumar (2022), DAGMA, definition 1 and theorem 1.
    Cost: O(slots^3).
    """

    scale: float | None = None

    def __post_init__(self) -> None:
        if self.scale is not None and not 0 < self.scale < float("inf"):
            msg = f"scale must be above 0, or None for the number of slots, got {self.scale}"
            raise DataError(msg)

    def penalty(self, weights: Float[Tensor, "*batch slots slots"]) -> Float[Tensor, "*batch"]:
        """Measures how far matrices are from DAGs.

        Args:
            weights: ``[i, j]`` the weight or the probability of ``i -> j``; its square counts.

        Returns:
            One number per matrix, infinite outside the domain.
        """
        squared = _squares(weights)
        slots = squared.shape[-1]
        scale = float(slots if self.scale is None else self.scale)
        eye = torch.eye(slots, dtype=squared.dtype, device=squared.device)
        # det(sI - A) / s^d = det(I - A / s): exactly one on a DAG where logarithms would round.
        return _NegativeLogDet.apply(eye - squared / scale)  # type: ignore[no-untyped-call]


@dataclass(frozen=True)
class Spectral:
    r"""The spectral radius by power iteration, as in SDCD.

    .. math::
        \rho(A) = \lim_n (1^\top A^n 1)^{1/n}, \quad A = W \circ W, \qquad
        h(W) = \Bigl(\frac{1^\top A^{2n} 1}{1^\top A^n 1}\Bigr)^{1/n}

    Every weight is in its domain, and one strong cycle counts however long it is. With n at least
    the number of slots :math:`A^n` vanishes exactly on DAGs, and so does the penalty; elsewhere it
    differs from the spectral radius by a factor of order :math:`1 + O(1/n)`, and for matrices
    without zeros by much less. The gradient is that of the expression itself. On a DAG, where the
    spectral radius has none, it is zero.

    Args:
        steps: n; at least the number of slots is taken.

    Raises:
        ShapeError: When ``steps`` is no positive integer.

    Example:
        >>> cycle = torch.tensor([[0.0, 2.0], [0.5, 0.0]])
        >>> Spectral().penalty(cycle).item(), Spectral().penalty(cycle.triu()).item()
        (1.0, 0.0)

    Source: Lee, Bello, Aragam and Ravikumar (2019), Scaling structural learning with NO-BEARS;
    Nazaret et al. (2024), Stable differentiable causal discovery. Departure: these take the last
    quotient of the iteration, which does not converge where all cycles share a divisor.
    Cost: O(n * slots^2).
    """

    steps: int = 32

    def __post_init__(self) -> None:
        check_count(self.steps, "steps", least=1)

    def penalty(self, weights: Float[Tensor, "*batch slots slots"]) -> Float[Tensor, "*batch"]:
        """Measures how far matrices are from DAGs.

        Args:
            weights: ``[i, j]`` the weight or the probability of ``i -> j``; its square counts.

        Returns:
            One number per matrix.
        """
        squared = _squares(weights)
        steps = max(self.steps, squared.shape[-1])
        vector = torch.ones_like(squared[..., 0])
        grown = [torch.zeros_like(vector[..., 0])]  # log of what was divided out, after each step
        halfway = vector
        for step in range(2 * steps):
            vector = (squared @ vector[..., None])[..., 0]
            # A constant that is divided out here and multiplied back below has no gradient.
            size = vector.detach().amax(-1)
            size = torch.where(size > 0, size, torch.ones_like(size))
            vector = vector / size[..., None]
            grown.append(grown[-1] + size.log())
            if step + 1 == steps:
                halfway = vector
        cyclic = vector.detach().sum(-1) > 0
        one = torch.ones_like(cyclic, dtype=vector.dtype)
        last = torch.where(cyclic, vector.sum(-1), one).log() + grown[-1]
        first = torch.where(cyclic, halfway.sum(-1), one).log() + grown[steps]
        radius = ((last - first) / steps).exp()
        return torch.where(cyclic, radius, torch.zeros_like(radius))


@dataclass(frozen=True)
class Order:
    r"""Directions from priorities of the slots, so that no penalty is needed, as in COSMO.

    .. math:: P(i \text{ before } j) = \sigma\bigl((p_j - p_i) / t\bigr)

    The formula is also the law of ``i`` coming before ``j`` when every priority divided by t gets
    Gumbel noise of its own and the slots are sorted (the Plackett-Luce model). ``GraphPosterior``
    draws whole orders like that: each graph it samples is a DAG, at every temperature, and the
    marginals are the formula. As t goes to 0 the order becomes certain.

    Args:
        temperature: t, above 0.

    Raises:
        DataError: When the temperature is not above 0.

    Example:
        >>> Order().mask(torch.tensor([0.0, 1.0, 9.0])).round()
        tensor([[0., 1., 1.],
                [0., 0., 1.],
                [0., 0., 0.]])

    Source: Massidda et al. (2024), Constraint-free structure learning with smooth acyclic
    orientations; Plackett (1975), the law of orders.
    Cost: O(slots^2).
    """

    temperature: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.temperature < float("inf"):
            msg = f"temperature must be above 0, got {self.temperature}"
            raise DataError(msg)

    def mask(
        self, priorities: Float[Tensor, "*batch slots"]
    ) -> Float[Tensor, "*batch slots slots"]:
        """Gives the probability that one slot comes before another.

        Args:
            priorities: The slots' priorities; causes have the lower ones.

        Returns:
            ``[i, j]`` the probability of i before j, zero on the diagonal.
        """
        return self.logits(priorities).sigmoid() * _off_diagonal(priorities)

    def logits(
        self, priorities: Float[Tensor, "*batch slots"]
    ) -> Float[Tensor, "*batch slots slots"]:
        """Gives the log-odds that one slot comes before another.

        Args:
            priorities: The slots' priorities.

        Returns:
            ``[i, j]`` the log-odds of i before j, antisymmetric.
        """
        return (priorities[..., None, :] - priorities[..., :, None]) / self.temperature


def _squares(weights: Tensor) -> Tensor:
    if weights.ndim < 2 or weights.shape[-1] != weights.shape[-2]:
        msg = f"weights must be square matrices (*batch, slots, slots), got {tuple(weights.shape)}"
        raise ShapeError(msg)
    if not weights.is_floating_point():
        msg = f"weights must be floating point to have gradients, got {weights.dtype}"
        raise ShapeError(msg)
    return weights**2


def _off_diagonal(like: Tensor) -> Tensor:
    slots = like.shape[-1]
    return 1 - torch.eye(slots, dtype=like.dtype, device=like.device)


class _NegativeLogDet(torch.autograd.Function):
    """-log det M of M-matrices, infinite elsewhere; one inverse is both check and gradient."""

    @staticmethod
    def forward(ctx: FunctionCtx, matrix: Tensor) -> Tensor:
        inverse, info = torch.linalg.inv_ex(matrix)
        # An inverse without negative entries; rounding leaves zeros slightly below.
        least, most = inverse.flatten(-2).aminmax(dim=-1)
        inside = (info == 0) & (least >= -SLACK * most) & torch.isfinite(most)
        gradient = torch.where(inside[..., None, None], -inverse.mT, torch.zeros_like(inverse))
        ctx.save_for_backward(gradient)
        value = 0 - torch.linalg.slogdet(matrix)[1]
        return torch.where(inside, value, torch.full_like(value, torch.inf))

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, upstream: Tensor) -> Tensor:
        (gradient,) = ctx.saved_tensors  # type: ignore[attr-defined]  # torch adds it when it runs
        return upstream[..., None, None] * gradient
