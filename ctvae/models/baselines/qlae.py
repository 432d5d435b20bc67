"""QLAE: an autoencoder whose latents are quantized one by one, with strong weight decay."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from ctvae.models.baselines.base import Budget, LabelledPairs
from ctvae.models.baselines.coded import CodedAutoencoder, TrainedCodes, VectorDecoder, pixel_loss
from ctvae.models.baselines.learning import batch_of, descend, draw_rows
from ctvae.nn import ImageEncoder, recompute_batch_norm
from ctvae.quant import Quantizer
from ctvae.randomness import scoped_seed

__all__ = ["QLAE", "LearnedScalars", "latent_quantization_loss"]


class LearnedScalars(Quantizer):
    """One learned number for each code of each slot; a feature takes the nearest.

    Args:
        slots: The number of slots.
        codes: The number of codes of each.

    Example:
        >>> LearnedScalars(1, 3).quantize(torch.tensor([[[0.4]]])).item()
        2

    Cost: O(batch * slots * codes).
    """

    def __init__(self, slots: int, codes: int) -> None:
        super().__init__()
        self.values = nn.Parameter(torch.linspace(-0.5, 0.5, codes).repeat(slots, 1))

    @property
    def cardinalities(self) -> tuple[int, ...]:
        """The number of codes of each slot."""
        return (self.values.shape[1],) * len(self.values)

    @property
    def width(self) -> int:
        """A scalar: 1."""
        return 1

    def quantize(self, features: Float[Tensor, "batch slots 1"]) -> Int[Tensor, "batch slots"]:
        """Gives the nearest codes.

        Args:
            features: ``(batch, slots, 1)``.

        Returns:
            Codes ``(batch, slots)``.
        """
        return (features - self.values).abs().argmin(-1)

    def lookup(self, codes: Int[Tensor, "batch slots"]) -> Float[Tensor, "batch slots 1"]:
        """Gives the numbers of codes.

        Args:
            codes: ``(batch, slots)``.

        Returns:
            Numbers ``(batch, slots, 1)``.
        """
        return self.values.expand(len(codes), -1, -1).gather(2, codes[..., None])

    def log_probs(
        self, features: Float[Tensor, "batch slots 1"]
    ) -> Float[Tensor, "batch slots codes"]:
        """Gives soft assignments: a softmax of negative squared distances.

        Args:
            features: ``(batch, slots, 1)``.

        Returns:
            Normalised log-probabilities, nats.
        """
        return (-(features - self.values).square()).log_softmax(-1)


def latent_quantization_loss(
    features: Float[Tensor, "batch slots 1"],
    values: Float[Tensor, "batch slots 1"],
    *,
    quantize_weight: float,
    commit_weight: float,
) -> Float[Tensor, ""]:
    r"""Pulls the codes' numbers to the features, and the features to the numbers.

    .. math:: w_q \| \mathrm{sg}(h) - e \|^2 + w_c \| h - \mathrm{sg}(e) \|^2

    Args:
        features: What was quantized, :math:`h`.
        values: The numbers of its codes, :math:`e`, with gradient.
        quantize_weight: :math:`w_q`.
        commit_weight: :math:`w_c`.

    Returns:
        Summed over slots, averaged over images.

    Example:
        >>> h, e = torch.tensor([[[1.0]]]), torch.tensor([[[3.0]]])
        >>> latent_quantization_loss(h, e, quantize_weight=1.0, commit_weight=0.5).item()
        6.0

    Source: Hsu et al. (2023), Disentanglement via latent quantization, section 3.
    """
    pulled = quantize_weight * (features.detach() - values).square()
    committed = commit_weight * (features - values.detach()).square()
    return (pulled + committed).sum((1, 2)).mean()


@dataclass(frozen=True)
class QLAE:
    """Latent quantization without labels or pairs; weight decay on all weights alike.

    Differs from the published one: the encoder and decoder that all methods here share in place of
    residual networks with the latents modulating layers, torch in place of JAX, and the budget of
    the comparison, some 1,000 steps where the paper takes 200,000. The weights of the losses, the
    weight decay and the start of the codebooks are the published ones, with the pixel loss averaged
    over pixels. Codes are read from images alone; labels only count the tables of actions.

    Attributes:
        slots: Latents; the paper takes two for each factor.
        codes: Numbers of each latent.
        quantize_weight: Of the codebooks' loss.
        commit_weight: Of the features' loss.
        weight_decay: On encoder, decoder and codebooks.
        learning_rate: At its peak.

    Source: Hsu, Dorrell, Whittington, Wu, Finn (2023), Disentanglement via latent quantization.
    """

    slots: int = 10
    codes: int = 10
    quantize_weight: float = 0.01
    commit_weight: float = 0.01
    weight_decay: float = 0.1
    learning_rate: float = 2e-3

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
                ImageEncoder(channels, size, self.slots),
                LearnedScalars(self.slots, self.codes),
                VectorDecoder(self.slots, channels, size),
            )
        model.to(place)
        used = pairs.used_images()

        def loss(generator: torch.Generator) -> Tensor:
            rows = used[draw_rows(len(used), budget.images_per_step, generator)]
            images = batch_of(pairs.images, rows, place)
            features = model.features(images)
            found = model.quantizer(features)
            drawn = pixel_loss(model.decoder(found.vectors.flatten(1)), images)
            return drawn / images[0].numel() + latent_quantization_loss(
                features,
                model.quantizer.lookup(found.codes),
                quantize_weight=self.quantize_weight,
                commit_weight=self.commit_weight,
            )

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
