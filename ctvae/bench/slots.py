"""``CTVAE`` as one method among the others, under their budget."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ctvae.data.transitions import Transitions
from ctvae.mechanisms.actions import Action
from ctvae.models.baselines import Budget, LabelledPairs
from ctvae.models.config import CTVAEConfig
from ctvae.models.ctvae import CTVAE
from ctvae.training import DecoderStage, ReadingStage, TrainingConfig, WarmUpStage, fit

__all__ = ["LearnedSlots", "TrainedSlots"]


class TrainedSlots:
    """A fitted ``CTVAE`` with the capabilities of a baseline.

    Args:
        model: The model.
    """

    def __init__(self, model: CTVAE) -> None:
        self.model = model

    @property
    def num_parameters(self) -> int:
        """The weights of encoder and decoder; the tables are not counted."""
        parts = self.model.autoencoder.modules().values()
        return sum(p.numel() for part in parts for p in part.parameters())

    def encode(self, images: Tensor) -> Int[Tensor, "batch slots"]:
        """Reads codes.

        Args:
            images: uint8, or floats in [0, 1].

        Returns:
            One code per slot.
        """
        return self.model.encode(images)

    def action_log_probs(self, before: Tensor, after: Tensor) -> Float[Tensor, "batch actions"]:
        """Retrieves single actions.

        Args:
            before: Images before.
            after: Images after.

        Returns:
            Normalised log-probabilities, nats.
        """
        return self.model.retrieve_action(before, after).probs.log()

    def reconstruct(self, images: Tensor) -> Float[Tensor, "batch channels size size"]:
        """Draws what the codes of images say.

        Args:
            images: uint8, or floats in [0, 1].

        Returns:
            Pictures in [0, 1].
        """
        return self.model.decode(self.model.encode(images))


@dataclass(frozen=True)
class LearnedSlots:
    """Slots that are learned from labelled pairs, targets as the actions state them.

    The encoder has the steps and images of the budget, and so has the decoder, which learns
    afterwards on frozen codes and changes no code; recombined codes, which need further steps, are
    left out.

    Attributes:
        actions: What the labels mean, with targets where they are known.
    """

    actions: tuple[Action, ...]

    def train(  # noqa: D102
        self,
        pairs: LabelledPairs,
        *,
        validation: LabelledPairs,
        budget: Budget,
        seed: int,
        device: torch.device | str = "cpu",
    ) -> TrainedSlots:
        channels, size = pairs.images.shape[1:3]
        config = CTVAEConfig(actions=self.actions, channels=channels, image_size=size)
        model = CTVAE(config, seed=seed)
        stages = TrainingConfig(
            seed=seed,
            device=str(device),
            reading=ReadingStage(steps=budget.steps, images_per_step=budget.images_per_step),
            warm_up=WarmUpStage(steps=budget.steps, pairs_per_step=budget.pairs_per_step),
            decoder=DecoderStage(steps=budget.steps, images_per_step=budget.images_per_step),
            recombining=None,
        )
        fit(model, self._own(pairs), stages, validation=self._own(validation))
        return TrainedSlots(model)

    def _own(self, pairs: LabelledPairs) -> Transitions:
        return Transitions(pairs.images, pairs.before, pairs.action, pairs.after, self.actions)
