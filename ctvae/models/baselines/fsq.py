"""FSQ: latents squashed and rounded to a fixed grid, no codebook to learn."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ctvae.models.baselines.base import Budget, LabelledPairs
from ctvae.models.baselines.coded import CodedAutoencoder, TrainedCodes, VectorDecoder, pixel_loss
from ctvae.models.baselines.learning import batch_of, descend, draw_rows
from ctvae.nn import ImageEncoder, recompute_batch_norm
from ctvae.quant import ScalarBins
from ctvae.randomness import scoped_seed

__all__ = ["FSQ"]


@dataclass(frozen=True)
class FSQ:
    """Finite scalar quantization without labels or pairs.

    Differs from the published one: a code for each latent in place of one product index, bins of
    equal width on (-1, 1) for odd and even numbers of codes alike, the networks and the budget that
    all methods here share. Tripod adds two penalties to this (multi-information, Hessian), which
    are not here.

    Attributes:
        slots: Latents.
        codes: Bins of each latent.
        learning_rate: At its peak.
        weight_decay: On all weights.

    Source: Mentzer, Minnen, Agustsson, Tschannen (2024), Finite scalar quantization: VQ-VAE made
    simple; Hsu et al. (2024), Tripod.
    """

    slots: int = 10
    codes: int = 8
    learning_rate: float = 2e-3
    weight_decay: float = 1e-3

    def train(  # noqa: D102
        self,
        pairs: LabelledPairs,
        *,
        validation: LabelledPairs,
        budget: Budget,
        seed: int,
        device: torch.device | str = "cpu",
    ) -> TrainedCodes:
        place = torch.device(device)
        channels, size = pairs.images.shape[1:3]
        with scoped_seed(seed):
            model = CodedAutoencoder(
                nn.Sequential(ImageEncoder(channels, size, self.slots), nn.Tanh()),
                ScalarBins.uniform(slots=self.slots, codes=self.codes, low=-1.0, high=1.0),
                VectorDecoder(self.slots, channels, size),
            )
        model.to(place)
        used = pairs.used_images()

        def loss(generator: torch.Generator) -> Tensor:
            rows = used[draw_rows(len(used), budget.images_per_step, generator)]
            images = batch_of(pairs.images, rows, place)
            found = model.quantizer(model.features(images))
            return pixel_loss(model.decoder(found.vectors.flatten(1)), images)

        descend(
            model,
            loss,
            budget=budget,
            seed=seed,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
        )
        recompute_batch_norm(model.encoder, pairs.images[used])
        return TrainedCodes.fit(model, pairs, validation, place)
