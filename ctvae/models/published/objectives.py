"""What a CT layer is trained on: one loss for each of its three questions."""

from __future__ import annotations

from typing import Protocol

import torch
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor

from ctvae.config import Settings
from ctvae.models.published.losses import (
    code_cross_entropy,
    edge_divergence,
    edge_prior,
    graph_size,
    identity_distance,
    isolation,
)
from ctvae.models.published.published_layer import PublishedCTLayer
from ctvae.models.published.repaired_layer import RepairedCTLayer
from ctvae.randomness import Seed, make_generator

__all__ = [
    "LayerObjective",
    "PublishedObjective",
    "PublishedWeights",
    "RepairedObjective",
    "RepairedWeights",
]


class LayerObjective(Protocol):
    """The losses of a CT layer. A batch is of one kind."""

    @property
    def layer(self) -> torch.nn.Module:
        """The layer that is trained."""

    def base(self, codes: Int[Tensor, "rows slots"], *, seed: Seed) -> Float[Tensor, ""]:
        """Scores the layer where nothing is done.

        Args:
            codes: Codes.
            seed: For what is drawn.

        Returns:
            The loss.
        """

    def action(
        self,
        before: Int[Tensor, "rows slots"],
        action: Int[Tensor, " rows"],
        after: Int[Tensor, "rows slots"],
        *,
        seed: Seed,
    ) -> Float[Tensor, ""]:
        """Scores what the layer predicts of an action.

        Args:
            before: Codes before.
            action: The true action.
            after: Codes after.
            seed: For what is drawn.

        Returns:
            The loss.
        """

    def retrieval(
        self,
        before: Int[Tensor, "rows slots"],
        action: Int[Tensor, " rows"],
        after: Int[Tensor, "rows slots"],
        *,
        seed: Seed,
    ) -> Float[Tensor, ""]:
        """Scores which action the layer infers.

        Args:
            before: Codes before.
            action: The true action.
            after: Codes after.
            seed: For what is drawn.

        Returns:
            The loss.
        """


class PublishedWeights(Settings):
    """Weights of the published losses; the defaults are those of the published configuration.

    Attributes:
        transition_weight: Of all terms of base and action passes, gamma.
        identity_weight: Of the terms that hold a base pass to the graph of loops, alpha.
        divergence_weight: Of ``edge_divergence``, beta.
        size_weight: Of ``graph_size``, delta.
        isolation_weight: Of ``isolation``, epsilon.
    """

    transition_weight: float = Field(1.5, ge=0)
    identity_weight: float = Field(0.01, ge=0)
    divergence_weight: float = Field(0.4, ge=0)
    size_weight: float = Field(0.01, ge=0)
    isolation_weight: float = Field(0.1, ge=0)


class PublishedObjective:
    """The published losses on frozen codes.

    The published pixel losses are left out: they give a CT layer no gradient (fault 10).

    Args:
        layer: The published layer.
        weights: Of the terms.
    """

    def __init__(self, layer: PublishedCTLayer, weights: PublishedWeights | None = None) -> None:
        self.layer, self.weights = layer, weights or PublishedWeights()

    def base(self, codes: Tensor, *, seed: Seed) -> Tensor:
        """Cross-entropy of the codes themselves, along the graph drawn and along loops alone.

        Args:
            codes: Codes.
            seed: For what is drawn.

        Returns:
            The loss.
        """
        found = self.layer.base(codes, seed=seed)
        own = code_cross_entropy(found.log_probs, codes).mean()
        loops = code_cross_entropy(found.identity_log_probs, codes).mean()
        identity = loops + identity_distance(found.graph)
        return self.weights.transition_weight * (own + self.weights.identity_weight * identity)

    def action(self, before: Tensor, action: Tensor, after: Tensor, *, seed: Seed) -> Tensor:
        """Cross-entropy of the codes after, and three terms on the graph.

        Args:
            before: Codes before.
            action: The true action.
            after: Codes after.
            seed: For what is drawn.

        Returns:
            The loss.
        """
        weights, generator = self.weights, make_generator(seed, before.device)
        found = self.layer.action(before, action, seed=generator)
        shape = found.edge_probs.shape
        unit = torch.rand(shape, generator=generator, device=before.device)
        loss = (
            code_cross_entropy(found.log_probs, after).mean()
            + weights.divergence_weight * edge_divergence(found.edge_probs, unit)
            + weights.size_weight * graph_size(found.graph)
            + weights.isolation_weight * isolation(found.edge_probs)
        )
        return weights.transition_weight * loss

    def retrieval(self, before: Tensor, action: Tensor, after: Tensor, *, seed: Seed) -> Tensor:
        """Cross-entropy of the true action under the softmin.

        Args:
            before: Codes before.
            action: The true action.
            after: Codes after.
            seed: For what is drawn.

        Returns:
            The loss.
        """
        return _action_cross_entropy(
            self.layer.retrieval(before, after, seed=seed).log_probs, action
        )


class RepairedWeights(Settings):
    """Weights of the repaired losses.

    Attributes:
        transition_weight: Of all terms of base and action passes.
        identity_weight: Of the terms that hold a base pass to the graph of loops.
        prior_weight: Of ``edge_prior``.
        prior: The probability of an edge under the prior.
    """

    transition_weight: float = Field(1.5, ge=0)
    identity_weight: float = Field(0.01, ge=0)
    prior_weight: float = Field(0.01, ge=0)
    prior: float = Field(0.2, gt=0, lt=1)


class RepairedObjective:
    """The repaired losses on frozen codes.

    Args:
        layer: The repaired layer.
        weights: Of the terms.
    """

    def __init__(self, layer: RepairedCTLayer, weights: RepairedWeights | None = None) -> None:
        self.layer, self.weights = layer, weights or RepairedWeights()

    def base(self, codes: Tensor, *, seed: Seed) -> Tensor:
        """Cross-entropy of the codes themselves, along the graph drawn and along loops alone.

        Args:
            codes: Codes.
            seed: For what is drawn.

        Returns:
            The loss.
        """
        found = self.layer.base(codes, seed=seed)
        own = code_cross_entropy(found.log_probs, codes).mean()
        loops = code_cross_entropy(found.identity_log_probs, codes).mean()
        identity = loops + identity_distance(found.graph)
        return self.weights.transition_weight * (own + self.weights.identity_weight * identity)

    def action(self, before: Tensor, action: Tensor, after: Tensor, *, seed: Seed) -> Tensor:
        """Cross-entropy of the codes after, and the prior of edges.

        Args:
            before: Codes before.
            action: The true action.
            after: Codes after.
            seed: For what is drawn.

        Returns:
            The loss.
        """
        found, weights = self.layer.action(before, action, seed=seed), self.weights
        prior = edge_prior(found.edge_probs, prior=weights.prior)
        own = code_cross_entropy(found.log_probs, after).mean()
        return weights.transition_weight * (own + weights.prior_weight * prior)

    def retrieval(self, before: Tensor, action: Tensor, after: Tensor, *, seed: Seed) -> Tensor:
        """Cross-entropy of the true action under Bayes' rule.

        Args:
            before: Codes before.
            action: The true action.
            after: Codes after.
            seed: For what is drawn.

        Returns:
            The loss.
        """
        return _action_cross_entropy(
            self.layer.retrieval(before, after, seed=seed).log_probs, action
        )


def _action_cross_entropy(log_probs: Tensor, action: Tensor) -> Tensor:
    return -log_probs.gather(1, action[:, None]).mean()
