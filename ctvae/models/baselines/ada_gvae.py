"""Ada-GVAE: pairs without labels, latents that hardly differ are averaged."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
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

__all__ = ["AdaGVAE", "average_shared", "divergence", "shared_latents"]


def divergence(one: Gaussian, two: Gaussian) -> Float[Tensor, "batch dims"]:
    r"""Measures the divergence of normal laws from others, dimension by dimension.

    .. math::
        \tfrac12 \Bigl(\frac{\sigma_1^2 + (\mu_1 - \mu_2)^2}{\sigma_2^2}
        - \log \frac{\sigma_1^2}{\sigma_2^2} - 1\Bigr)

    Args:
        one: The laws.
        two: The others.

    Returns:
        Nats.

    Example:
        >>> zero = torch.zeros(1, 1)
        >>> divergence(Gaussian(zero + 2, zero), Gaussian(zero, zero)).item()
        2.0
    """
    apart = one.log_variance - two.log_variance
    away = (one.mean - two.mean).square() / two.log_variance.exp()
    return (apart.exp() + away - apart - 1) / 2


def shared_latents(one: Gaussian, two: Gaussian) -> Bool[Tensor, "batch dims"]:
    r"""Tells which latents of a pair hardly differ.

    .. math:: \delta_d < \tfrac12 (\max_i \delta_i + \min_i \delta_i)

    with :math:`\delta_d` the divergence in dimension d.

    Args:
        one: Laws before.
        two: Laws after.

    Returns:
        True where a latent is taken as shared; never all of them.

    Source: Locatello et al. (2020), Weakly-supervised disentanglement without compromises, section
    4.
    """
    apart = divergence(one, two)
    middle = (apart.amax(1, keepdim=True) + apart.amin(1, keepdim=True)) / 2
    return apart < middle


def average_shared(
    one: Gaussian, two: Gaussian, shared: Bool[Tensor, "batch dims"]
) -> tuple[Gaussian, Gaussian]:
    r"""Replaces the shared latents of both by one law of averaged mean and variance.

    .. math:: \mu = (\mu_1 + \mu_2) / 2, \quad \sigma^2 = (\sigma_1^2 + \sigma_2^2) / 2

    Args:
        one: Laws before.
        two: Laws after.
        shared: Which latents.

    Returns:
        Both laws, equal where they are shared.

    Source: Bouchacourt et al. (2018) have a product of laws here (Ada-ML-VAE); this average is the
    group VAE of Hosoya (2019).
    """
    mean = (one.mean + two.mean) / 2
    log_variance = (one.log_variance.exp() + two.log_variance.exp()).log() - torch.log(
        torch.tensor(2.0, device=mean.device)
    )
    first, second = (
        Gaussian(
            torch.where(shared, mean, law.mean),
            torch.where(shared, log_variance, law.log_variance),
        )
        for law in (one, two)
    )
    return first, second


@dataclass(frozen=True)
class AdaGVAE:
    """A variational autoencoder of pairs: what they share is averaged; labels are not used.

    Differs from the published one: pairs differ in one factor, as those of the comparison do, where
    the paper draws how many differ; codes for counting are bins of the means with as many training
    images each; the networks and the budget that all methods here share, some 1,000 steps where the
    paper takes 300,000.

    Attributes:
        dims: Latents.
        beta: Weight of the divergence.
        bins: Codes of each latent.
        learning_rate: At its peak.

    Source: Locatello, Poole, Rätsch, Schölkopf, Bachem, Tschannen (2020), Weakly-supervised
    disentanglement without compromises.
    """

    dims: int = 10
    beta: float = 1.0
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

        def loss(generator: torch.Generator) -> Tensor:
            rows = draw_rows(len(pairs.before), budget.pairs_per_step, generator)
            images = batch_of(
                pairs.images, torch.cat([pairs.before[rows], pairs.after[rows]]), place
            )
            law = model.law(images)
            halves = zip(law.mean.chunk(2), law.log_variance.chunk(2), strict=True)
            one, two = (Gaussian(*half) for half in halves)
            one, two = average_shared(one, two, shared_latents(one, two))
            law = Gaussian(*(torch.cat(both) for both in zip(one, two, strict=True)))
            told = divergence_from_standard(law).sum(1).mean()
            return pixel_loss(model.decoder(law.sample(generator)), images) + self.beta * told

        descend(model, loss, budget=budget, seed=seed, learning_rate=self.learning_rate)
        recompute_batch_norm(model.encoder, pairs.images[pairs.used_images()])
        return TrainedLatents.fit(model, pairs, validation, bins=self.bins, device=place)
