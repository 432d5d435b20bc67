"""Beta-TCVAE: latents whose total correlation is penalised."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from ctvae.models.baselines.base import Budget, LabelledPairs
from ctvae.models.baselines.coded import pixel_loss
from ctvae.models.baselines.latents import (
    Gaussian,
    GaussianVAE,
    TrainedLatents,
    divergence_from_standard,
)
from ctvae.models.baselines.learning import batch_of, descend, draw_rows
from ctvae.nn import recompute_batch_norm
from ctvae.randomness import scoped_seed

__all__ = ["BetaTCVAE", "total_correlation"]


def total_correlation(law: Gaussian, latents: Float[Tensor, "batch dims"]) -> Float[Tensor, ""]:
    r"""Estimates how far the latents of a batch are from independent.

    .. math::
        \mathbb{E}\Bigl[\log q(z) - \sum_d \log q(z_d)\Bigr], \qquad
        q(z) = \tfrac1n \sum_i q(z \mid x_i)

    Args:
        law: Of each image of the batch.
        latents: A draw from each law.

    Returns:
        Nats; 0 where the laws do not depend on the image, or form a product grid.

    Example:
        >>> law = Gaussian(torch.zeros(4, 3), torch.zeros(4, 3))
        >>> round(abs(total_correlation(law, torch.ones(4, 3)).item()), 5)
        0.0

    Source: Chen et al. (2018), Isolating sources of disentanglement in VAEs, sections 3 and 4.
    Cost: O(batch^2 * dims).
    """
    mean, log_variance = law
    away = (latents[:, None] - mean).square() / log_variance.exp()
    density = -(away + log_variance + math.log(2 * math.pi)) / 2  # draw, image, dim
    joint = density.sum(2).logsumexp(1) - math.log(len(mean))
    single = density.logsumexp(1) - math.log(len(mean))
    return (joint - single.sum(1)).mean()


@dataclass(frozen=True)
class BetaTCVAE:
    """A variational autoencoder without labels or pairs, total correlation weighted by beta.

    Differs from the published one: the batch stands for all images as an even mixture, where the
    paper weights by the size of the data set (the two differ by a constant, so gradients are the
    same); codes for counting are bins of the means with as many training images each; the networks
    and the budget that all methods here share, some 1,000 steps.

    Attributes:
        dims: Latents.
        beta: Weight of the total correlation; the divergence has the weight 1 besides.
        bins: Codes of each latent.
        learning_rate: At its peak.

    Source: Chen, Li, Grosse, Duvenaud (2018), Isolating sources of disentanglement in VAEs.
    """

    dims: int = 10
    beta: float = 6.0
    bins: int = 8
    learning_rate: float = 1e-3

    def train(  # noqa: D102
        self,
        pairs: LabelledPairs,
        *,
        validation: LabelledPairs,
        budget: Budget,
        seed: int,
        device: torch.device | str = "cpu",
    ) -> TrainedLatents:
        place = torch.device(device)
        channels, size = pairs.images.shape[1:3]
        with scoped_seed(seed):
            model = GaussianVAE(self.dims, channels, size)
        model.to(place)
        used = pairs.used_images()

        def loss(generator: torch.Generator) -> Tensor:
            rows = used[draw_rows(len(used), budget.images_per_step, generator)]
            images = batch_of(pairs.images, rows, place)
            law = model.law(images)
            latents = law.sample(generator)
            told = divergence_from_standard(law).sum(1).mean()
            correlated = (self.beta - 1) * total_correlation(law, latents)
            return pixel_loss(model.decoder(latents), images) + told + correlated

        descend(model, loss, budget=budget, seed=seed, learning_rate=self.learning_rate)
        recompute_batch_norm(model.encoder, pairs.images[used])
        return TrainedLatents.fit(model, pairs, validation, bins=self.bins, device=place)
