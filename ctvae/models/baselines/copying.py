"""Copying: nothing moves, so every action is as likely as any other."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from ctvae.models.baselines.base import Budget, LabelledPairs
from ctvae.models.baselines.learning import unit

__all__ = ["Copying", "TrainedCopying"]


@dataclass(frozen=True)
class TrainedCopying:
    """Gives every action the same probability, and an image for itself.

    Attributes:
        num_actions: The number of actions.
        device: Where it answers.
    """

    num_actions: int
    device: torch.device

    @property
    def num_parameters(self) -> int:
        """None."""
        return 0

    def action_log_probs(self, before: Tensor, after: Tensor) -> Float[Tensor, "batch actions"]:
        """Gives every action the same probability.

        Args:
            before: Images before.
            after: Images after.

        Returns:
            ``-log(actions)`` everywhere.
        """
        del after
        even = torch.zeros(len(before), self.num_actions, device=self.device)
        return even.log_softmax(1)

    def reconstruct(self, images: Tensor) -> Float[Tensor, "batch channels size size"]:
        """Gives the images back.

        Args:
            images: uint8, or floats in [0, 1].

        Returns:
            The same in [0, 1].
        """
        return unit(images, self.device)


@dataclass(frozen=True)
class Copying:
    """The least that any method must beat; nothing is learned."""

    def train(  # noqa: D102
        self,
        pairs: LabelledPairs,
        *,
        validation: LabelledPairs,
        budget: Budget,
        seed: int,
        device: torch.device | str = "cpu",
    ) -> TrainedCopying:
        del validation, budget, seed
        return TrainedCopying(len(pairs.actions), torch.device(device))
