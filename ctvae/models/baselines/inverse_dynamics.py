"""Inverse dynamics: a CNN names the action from the two images."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ctvae.models.baselines.base import CHUNK, Budget, LabelledPairs, labelled
from ctvae.models.baselines.learning import batch_of, count_parameters, descend, draw_rows, unit
from ctvae.nn import ENOUGH, ImageEncoder, recompute_batch_norm
from ctvae.randomness import scoped_seed

__all__ = ["InverseDynamics", "TrainedInverseDynamics"]


class TrainedInverseDynamics:
    """A classifier of actions.

    Args:
        network: Reads two images stacked along their channels.
        device: Where it lives.
    """

    def __init__(self, network: ImageEncoder, device: torch.device) -> None:
        self.network, self.device = network, device

    @property
    def num_parameters(self) -> int:
        """The weights of the network."""
        return count_parameters(self.network)

    @torch.no_grad()
    def action_logits(self, before: Tensor, after: Tensor) -> Float[Tensor, "batch actions"]:
        """Scores the actions; the log-sum-exp of the scores is the pair's energy, negated.

        Args:
            before: Images before.
            after: Images after.

        Returns:
            Scores that no softmax has normalised.
        """
        parts = zip(before.split(CHUNK), after.split(CHUNK), strict=True)
        both = (torch.cat([unit(b, self.device), unit(a, self.device)], 1) for b, a in parts)
        return torch.cat([self.network(pair) for pair in both])

    def action_log_probs(self, before: Tensor, after: Tensor) -> Float[Tensor, "batch actions"]:
        """Classifies the action.

        Args:
            before: Images before.
            after: Images after.

        Returns:
            Normalised log-probabilities, nats.
        """
        return self.action_logits(before, after).log_softmax(1)


@dataclass(frozen=True)
class InverseDynamics:
    """A plain classifier of image pairs: the bound for retrieval, with no slot and no cause.

    Retrieval alone is a classification task, so this row stands beside every other. It is no
    published system: inverse models of reinforcement learning classify from learned features of
    both images; this one from their pixels, by the encoder that all methods here share.

    Attributes:
        learning_rate: At its peak.
    """

    learning_rate: float = 2e-3

    def train(  # noqa: D102
        self,
        pairs: LabelledPairs,
        *,
        validation: LabelledPairs,
        budget: Budget,
        seed: int,
        device: torch.device | str = "cpu",
    ) -> TrainedInverseDynamics:
        del validation  # nothing is chosen
        place = torch.device(device)
        before, action, after = labelled(pairs)
        channels, size = pairs.images.shape[1:3]
        with scoped_seed(seed):
            network = ImageEncoder(2 * channels, size, len(pairs.actions))
        network.to(place)

        def stacked(rows: Tensor) -> Tensor:
            sides = [batch_of(pairs.images, side[rows], place) for side in (before, after)]
            return torch.cat(sides, 1)

        def loss(generator: torch.Generator) -> Tensor:
            rows = draw_rows(len(action), budget.pairs_per_step, generator)
            logits = network(stacked(rows))
            return nn.functional.cross_entropy(logits, action[rows].to(place))

        descend(network, loss, budget=budget, seed=seed, learning_rate=self.learning_rate)
        order = torch.randperm(len(action), generator=torch.Generator().manual_seed(seed))
        recompute_batch_norm(network, stacked(order[:ENOUGH]))
        return TrainedInverseDynamics(network, place)
