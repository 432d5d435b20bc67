"""Structure learning on continuous data by the log-determinant central path: linear and MLP."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from ctvae.errors import DataError
from ctvae.graph.acyclicity import LogDet
from ctvae.graph.continuous import ContinuousEstimate, strongest_dag
from ctvae.randomness import Seed, check_count, make_generator

__all__ = ["DAGMAMLP", "CentralPath", "DAGMALinear"]

CHECK_EVERY = 100
"""Steps between two looks at the objective."""
SMALLEST_RATE = 1e-12
"""A learning rate below which no step leaves the domain or moves a weight."""
SCALE_STEP = 0.1
"""How much s grows where a stage begins outside its domain."""


@dataclass(frozen=True)
class CentralPath:
    r"""The stages on which a score gives way to acyclicity.

    .. math:: \min_\Theta\; \mu_t\,\bigl[Q(\Theta) + \lambda_1 \lVert W(\Theta) \rVert_1\bigr]
        + h_{s_t}(W(\Theta)), \qquad \mu_t \to 0

    Every stage starts where the last one ended. As :math:`\mu` falls, the penalty weighs more and
    the end is a DAG up to small weights.

    Args:
        first_weight: :math:`\mu` of the first stage, above 0.
        factor: By how much it falls from stage to stage, in (0, 1).
        scales: s of each stage; as many stages as scales.
        steps: The most Adam steps of a stage; twice as many in the last.
        learning_rate: Of Adam.
        tolerance: The relative change of the objective in 100 steps that ends a stage.

    Raises:
        DataError: When a setting is out of range.

    Source: Bello, Aragam and Ravikumar (2022), DAGMA, algorithm 1.
    """

    first_weight: float = 1.0
    factor: float = 0.1
    scales: Sequence[float] = (1.0, 0.9, 0.8, 0.7, 0.6)
    steps: int = 20_000
    learning_rate: float = 3e-3
    tolerance: float = 1e-4

    def __post_init__(self) -> None:
        check_count(self.steps, "steps", least=1)
        positive = [self.first_weight, self.learning_rate, self.tolerance, *self.scales]
        if not self.scales or not all(0 < value < math.inf for value in positive):
            msg = (
                "first_weight, learning_rate, tolerance and every scale must be above 0, and there "
                f"must be a scale; got {self}"
            )
            raise DataError(msg)
        if not 0 < self.factor < 1:
            msg = f"factor must lie in (0, 1), got {self.factor}"
            raise DataError(msg)

    def follow(
        self,
        parameters: Sequence[Tensor],
        cost: Callable[[], Float[Tensor, ""]],
        weights: Callable[[], Float[Tensor, "variables variables"]],
    ) -> None:
        """Moves parameters along the path, in place.

        Args:
            parameters: What is moved; W is zero at their start.
            cost: Score with its l1 penalty.
            weights: W, whose squares the penalty takes.
        """
        weight = self.first_weight
        for stage, scale in enumerate(self.scales):
            last = stage + 1 == len(self.scales)
            self._stage(parameters, cost, weights, weight, scale, self.steps * (1 + last))
            weight *= self.factor

    def _stage(
        self,
        parameters: Sequence[Tensor],
        cost: Callable[[], Tensor],
        weights: Callable[[], Tensor],
        weight: float,
        scale: float,
        steps: int,
    ) -> None:
        with torch.no_grad():
            while not bool(torch.isfinite(LogDet(scale).penalty(weights()))):
                scale += SCALE_STEP
        penalty = LogDet(scale)
        adam = torch.optim.Adam(parameters, lr=self.learning_rate, betas=(0.99, 0.999), fused=True)
        kept = [p.detach().clone() for p in parameters]
        before: float | None = None
        for step in range(steps):
            acyclic = penalty.penalty(weights())
            while not bool(torch.isfinite(acyclic)):  # outside: go back half of the way
                with torch.no_grad():
                    for parameter, old in zip(parameters, kept, strict=True):
                        parameter.copy_((parameter + old) / 2)
                adam.param_groups[0]["lr"] /= 2
                acyclic = penalty.penalty(weights())
                if adam.param_groups[0]["lr"] < SMALLEST_RATE:
                    return
            for old, parameter in zip(kept, parameters, strict=True):
                old.copy_(parameter.detach())
            objective = weight * cost() + acyclic
            if step % CHECK_EVERY == 0:
                value = objective.item()
                if before is not None and abs(before - value) <= self.tolerance * abs(before):
                    return
                before = value
            adam.zero_grad()
            objective.backward()
            adam.step()
        with torch.no_grad():  # the last step may have left the domain
            if not bool(torch.isfinite(penalty.penalty(weights()))):
                for parameter, old in zip(parameters, kept, strict=True):
                    parameter.copy_(old)


@dataclass(frozen=True)
class DAGMALinear:
    r"""A linear DAG by least squares with the log-determinant penalty.

    .. math:: Q(W) = \tfrac{1}{2n} \lVert X - XW \rVert_F^2

    Least squares favour the order of growing variances: on raw simulated data that order is often
    the causal one, on standardised data it is nothing. Take ``learn_continuous_graph``, which
    shows both.

    Args:
        l1: :math:`\lambda_1`, at least 0.
        threshold: Weights below it are no edges.
        path: The stages.

    Raises:
        DataError: When a setting is out of range.

    Source: Bello, Aragam and Ravikumar (2022), DAGMA; Zheng et al. (2018), NOTEARS.
    Cost: O(variables^3) for each step, whatever the rows.
    """

    l1: float = 0.03
    threshold: float = 0.3
    path: CentralPath = CentralPath()

    def __post_init__(self) -> None:
        _check(l1=self.l1, threshold=self.threshold)

    def estimate(
        self, data: Float[Tensor, "rows variables"], names: Sequence[str], *, seed: Seed = 0
    ) -> ContinuousEstimate:
        """Learns a DAG on the scale given.

        Args:
            data: Centred rows.
            names: Of the variables.
            seed: Unused.

        Returns:
            The DAG of the weights from the threshold up, and the weights.
        """
        return strongest_dag(self.weights(data, seed=seed), self.threshold, names)

    def weights(
        self, data: Float[Tensor, "rows variables"], *, seed: Seed = 0
    ) -> Float[Tensor, "variables variables"]:
        """Learns the weights of a linear structural equation model.

        Args:
            data: Centred rows.
            seed: Unused.

        Returns:
            ``[i, j]`` the weight of i in the equation of j, before the threshold.
        """
        del seed
        covariance = data.T @ data / len(data)
        eye = torch.eye(len(covariance), dtype=data.dtype, device=data.device)
        found = torch.zeros_like(covariance).requires_grad_()

        def weights() -> Tensor:  # no variable explains itself
            return found * (1 - eye)

        def cost() -> Tensor:
            rest = eye - weights()
            return ((covariance @ rest) * rest).sum() / 2 + self.l1 * weights().abs().sum()

        self.path.follow([found], cost, weights)
        return weights().detach()


@dataclass(frozen=True)
class DAGMAMLP:
    r"""A nonlinear DAG: one network of a hidden layer for every variable.

    .. math:: Q = \tfrac{d}{2} \log \tfrac1n \sum_j \lVert X_j - f_j(X) \rVert^2, \qquad
        W_{ij} = \lVert A_{j \cdot i} \rVert_2

    with A the first layer: a variable is a parent where any hidden unit reads it. The logarithm
    makes the score invariant to a common factor of all variables, not to a factor of each. The
    first layer starts at zero, and an effect without any linear part, such as a square, stays
    there.

    Args:
        l1: :math:`\lambda_1` on the first layer, at least 0.
        l2: On all weights, at least 0.
        width: Hidden units of each variable.
        threshold: Norms below it are no edges.
        path: The stages.

    Raises:
        DataError: When a setting is out of range.

    Source: Bello, Aragam and Ravikumar (2022), DAGMA, section 5; Zheng et al. (2020), the norms.
    Cost: O(rows * variables^2 * width) for each step.
    """

    l1: float = 0.02
    l2: float = 0.005
    width: int = 10
    threshold: float = 0.3
    path: CentralPath = CentralPath(
        first_weight=0.1, scales=(1.0, 1.0, 1.0, 1.0), steps=4000, learning_rate=2e-3
    )

    def __post_init__(self) -> None:
        _check(l1=self.l1, l2=self.l2, threshold=self.threshold)
        check_count(self.width, "width", least=1)

    def estimate(
        self, data: Float[Tensor, "rows variables"], names: Sequence[str], *, seed: Seed = 0
    ) -> ContinuousEstimate:
        """Learns a DAG on the scale given.

        Args:
            data: Centred rows.
            names: Of the variables.
            seed: For the first parameters.

        Returns:
            The DAG of the weights from the threshold up, and the weights.
        """
        return strongest_dag(self.weights(data, seed=seed), self.threshold, names)

    def weights(
        self, data: Float[Tensor, "rows variables"], *, seed: Seed = 0
    ) -> Float[Tensor, "variables variables"]:
        """Learns a network for each variable.

        Args:
            data: Centred rows.
            seed: For the first parameters.

        Returns:
            ``[i, j]`` how strongly the network of j reads i, at least 0, before the threshold.
        """
        variables = data.shape[1]
        generator = make_generator(seed, data.device)
        drawn = torch.rand(
            (2, variables, self.width), generator=generator, dtype=data.dtype, device=data.device
        )
        bias, last = ((2 * drawn - 1) / math.sqrt(self.width)).unbind()
        first = data.new_zeros(variables, self.width, variables)  # [child, unit, parent]
        parameters = [first, bias, last, data.new_zeros(variables)]
        for parameter in parameters:
            parameter.requires_grad_()
        others = 1 - torch.eye(variables, dtype=data.dtype, device=data.device)[:, None]

        def cost() -> Tensor:
            first, bias, last, shift = parameters
            reads = first * others
            hidden = torch.einsum("ni,jhi->njh", data, reads) + bias
            fitted = (hidden.sigmoid() * last).sum(-1) + shift
            misfit = ((data - fitted) ** 2).sum() / len(data)
            sizes = torch.stack([(p**2).sum() for p in parameters]).sum()
            shrunk = self.l1 * reads.abs().sum() + self.l2 / 2 * sizes
            return variables / 2 * misfit.log() + shrunk

        def norms() -> Tensor:
            squares = ((first * others) ** 2).sum(1).T
            # The root has no gradient at zero, where every network starts.
            return torch.where(squares > 0, squares, torch.ones_like(squares)).sqrt() * (
                squares.detach() > 0
            )

        self.path.follow(parameters, cost, norms)
        return norms().detach()


def _check(**settings: float) -> None:
    for name, value in settings.items():
        if not 0 <= value < math.inf:
            msg = f"{name} must be at least 0, got {value}"
            raise DataError(msg)
