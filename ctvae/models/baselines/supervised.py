"""Supervised slots: an encoder that is told the factors, the ceiling of slots read by counting."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

from ctvae.errors import ShapeError
from ctvae.models.baselines.base import Budget, LabelledPairs
from ctvae.models.baselines.coded import CodedAutoencoder, TrainedCodes, VectorDecoder, pixel_loss
from ctvae.models.baselines.learning import batch_of, descend, draw_rows
from ctvae.nn import ImageEncoder, recompute_batch_norm
from ctvae.quant import CategoricalSlots
from ctvae.randomness import scoped_seed

__all__ = ["SupervisedSlots", "label_loss"]


def label_loss(
    scores: Tensor, codes: Int[Tensor, "batch slots"], quantizer: CategoricalSlots
) -> Tensor:
    r"""Measures how improbable the true codes are.

    .. math:: -\sum_j \log \operatorname{softmax}(s_j)_{z_j}

    Args:
        scores: ``(batch, slots, codes)``.
        codes: The truth.
        quantizer: Knows which codes a slot has.

    Returns:
        Nats, summed over slots, averaged over images.
    """
    return -quantizer.log_probs(scores).gather(2, codes[..., None]).sum((1, 2)).mean()


@dataclass(frozen=True, eq=False)
class SupervisedSlots:
    """The ceiling: each slot is taught the true values of its factor.

    It uses labels that no other method sees, so it is not part of a comparison under equal labels;
    what it lacks, no slot of this encoder can be expected to have. The decoder learns in the same
    steps from the true codes.

    Attributes:
        factors: ``(images, factors)`` true values for the whole pool; only those of images that
            training pairs use are read.
        cardinalities: The number of values of each factor.
        learning_rate: At its peak.
    """

    factors: Int[Tensor, "images factors"]
    cardinalities: Sequence[int]
    learning_rate: float = 2e-3

    def train(
        self,
        pairs: LabelledPairs,
        *,
        validation: LabelledPairs,
        budget: Budget,
        seed: int,
        device: torch.device | str = "cpu",
    ) -> TrainedCodes:
        """Trains on images with their factors.

        Args:
            pairs: Training pairs.
            validation: Pairs that the prior count of the tables is chosen on.
            budget: Steps and images per step.
            seed: For weights and batches.
            device: Where to train.

        Returns:
            Codes, one slot per factor.

        Raises:
            ShapeError: When there is not one row of factors per image of the pool.
        """
        if self.factors.shape != (len(pairs.images), len(self.cardinalities)):
            msg = (
                f"factors must be (images, factors) = ({len(pairs.images)}, "
                f"{len(self.cardinalities)}), got {tuple(self.factors.shape)}; give those of the "
                "whole pool that the pairs point into"
            )
            raise ShapeError(msg)
        place = torch.device(device)
        channels, size = pairs.images.shape[1:3]
        quantizer = CategoricalSlots(self.cardinalities)
        numbers = len(self.cardinalities) * quantizer.width
        with scoped_seed(seed):
            encoder = ImageEncoder(channels, size, numbers)
            model = CodedAutoencoder(encoder, quantizer, VectorDecoder(numbers, channels, size))
        model.to(place)
        used = pairs.used_images()

        def loss(generator: torch.Generator) -> Tensor:
            rows = used[draw_rows(len(used), budget.images_per_step, generator)]
            images, truth = batch_of(pairs.images, rows, place), self.factors[rows].to(place)
            drawn = model.decoder(quantizer.lookup(truth).flatten(1))
            told = label_loss(model.features(images), truth, quantizer)
            return told + pixel_loss(drawn, images) / images[0].numel()

        descend(model, loss, budget=budget, seed=seed, learning_rate=self.learning_rate)
        recompute_batch_norm(model.encoder, pairs.images[used])
        return TrainedCodes.fit(model, pairs, validation, place)
