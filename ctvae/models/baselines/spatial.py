"""Spatial codes: a vector-quantized autoencoder of image patches, actions told by counting."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from ctvae.models.baselines.base import Budget, LabelledPairs
from ctvae.models.baselines.coded import pixel_loss
from ctvae.models.baselines.counted import CountedActions
from ctvae.models.baselines.learning import (
    batch_of,
    count_parameters,
    descend,
    draw_rows,
    read_all,
)
from ctvae.quant.vector import SlotVQ
from ctvae.randomness import scoped_seed

__all__ = ["SpatialCounting", "SpatialVQ", "TrainedSpatialCounting"]

WIDTH = 32
COMMITMENT = 0.25


class SpatialVQ(nn.Module):
    """A convolutional autoencoder whose cells of 8x8 pixels share one codebook.

    Args:
        channels: Image channels.
        codes: The size of the codebook.
        seed: For weights and codebook.

    Example:
        >>> SpatialVQ(1, 8, 0).codes(torch.rand(2, 1, 32, 32)).shape
        torch.Size([2, 16])
    """

    def __init__(self, channels: int, codes: int, seed: int) -> None:
        super().__init__()
        with scoped_seed(seed):
            self.encoder = nn.Sequential(
                nn.Conv2d(channels, 32, 4, 2, 1),
                nn.ReLU(),
                nn.Conv2d(32, 64, 4, 2, 1),
                nn.ReLU(),
                nn.Conv2d(64, 64, 4, 2, 1),
                nn.ReLU(),
                nn.Conv2d(64, WIDTH, 1),
            )
            self.decoder = nn.Sequential(
                nn.Conv2d(WIDTH, 64, 1),
                nn.ReLU(),
                nn.ConvTranspose2d(64, 64, 4, 2, 1),
                nn.ReLU(),
                nn.ConvTranspose2d(64, 32, 4, 2, 1),
                nn.ReLU(),
                nn.ConvTranspose2d(32, channels, 4, 2, 1),
            )
        self.quantizer = SlotVQ([codes], WIDTH, seed=seed)

    def features(self, images: Tensor) -> Float[Tensor, "batch side side width"]:
        """Reads one vector per cell.

        Args:
            images: Floats in [0, 1].

        Returns:
            Vectors, the cells in rows and columns.
        """
        return self.encoder(images).permute(0, 2, 3, 1)

    def draw(self, vectors: Float[Tensor, "batch side side width"]) -> Tensor:
        """Draws from one vector per cell.

        Args:
            vectors: As ``features`` gives them.

        Returns:
            Pixel logits.
        """
        return self.decoder(vectors.permute(0, 3, 1, 2))

    def codes(self, images: Tensor) -> Int[Tensor, "batch cells"]:
        """Reads codes.

        Args:
            images: Floats in [0, 1].

        Returns:
            One code per cell, row by row.
        """
        flat = self.features(images).reshape(-1, 1, WIDTH)
        return self.quantizer.quantize(flat).reshape(len(images), -1)

    def reconstruct(self, images: Tensor) -> Tensor:
        """Draws what the codes of images say.

        Args:
            images: Floats in [0, 1].

        Returns:
            Pictures in [0, 1].
        """
        features = self.features(images)
        found = self.quantizer.quantize(features.reshape(-1, 1, WIDTH))
        return self.draw(self.quantizer.lookup(found).reshape(features.shape)).sigmoid()


class TrainedSpatialCounting:
    """Spatial codes and the tables counted on them.

    Args:
        model: The autoencoder, in evaluation mode.
        counted: Tables of its codes.
        device: Where it lives.
    """

    def __init__(self, model: SpatialVQ, counted: CountedActions, device: torch.device) -> None:
        self.model, self.counted, self.device = model, counted, device

    @property
    def num_parameters(self) -> int:
        """The weights of the networks, the codebook, and the free numbers of the tables."""
        codebook = self.model.quantizer.codebook.numel()
        return count_parameters(self.model) + codebook + self.counted.num_parameters

    def encode(self, images: Tensor) -> Int[Tensor, "batch cells"]:
        """Reads codes.

        Args:
            images: uint8, or floats in [0, 1].

        Returns:
            One code per cell.
        """
        return read_all(self.model.codes, images, self.device)

    def action_log_probs(self, before: Tensor, after: Tensor) -> Float[Tensor, "batch actions"]:
        """Tells actions by counting.

        Args:
            before: Images before.
            after: Images after.

        Returns:
            Normalised log-probabilities, nats.
        """
        return self.counted.log_probs(self.encode(before), self.encode(after))

    def reconstruct(self, images: Tensor) -> Tensor:
        """Draws what the codes of images say.

        Args:
            images: uint8, or floats in [0, 1].

        Returns:
            Pictures in [0, 1].
        """
        return read_all(self.model.reconstruct, images, self.device)


@dataclass(frozen=True)
class SpatialCounting:
    """Spatial VQ, then p(after | before, cell, action) counted on frozen codes.

    A stand-in for systems that put the causal layer on patches: CT-VAE learns attention between
    patches where this counts each alone, with exact Bayes over actions. The published layers are
    ``ctvae.models.published``.

    Attributes:
        codes: The size of the codebook that all cells share.
        learning_rate: At its peak.

    Source: van den Oord, Vinyals, Kavukcuoglu (2017), Neural discrete representation learning.
    """

    codes: int = 32
    learning_rate: float = 1e-3

    def train(  # noqa: D102
        self,
        pairs: LabelledPairs,
        *,
        validation: LabelledPairs,
        budget: Budget,
        seed: int,
        device: torch.device | str = "cpu",
    ) -> TrainedSpatialCounting:
        place = torch.device(device)
        model = SpatialVQ(pairs.images.shape[1], self.codes, seed).to(place)
        used = pairs.used_images()

        def loss(generator: torch.Generator) -> Tensor:
            rows = used[draw_rows(len(used), budget.images_per_step, generator)]
            images = batch_of(pairs.images, rows, place)
            features = model.features(images)
            flat = features.reshape(-1, 1, WIDTH)
            found = model.quantizer(flat)
            drawn = model.draw(found.vectors.reshape(features.shape))
            model.quantizer.update(
                flat.detach(), found.codes, seed=int(draw_rows(2**31, 1, generator))
            )
            cells = features.shape[1] * features.shape[2]
            return pixel_loss(drawn, images) + COMMITMENT * cells * found.loss

        descend(
            model,
            loss,
            budget=budget,
            seed=seed,
            learning_rate=self.learning_rate,
            weight_decay=0.0,
        )
        model.eval()
        codes = read_all(model.codes, pairs.images, place)
        held = codes
        if validation.images is not pairs.images:
            held = read_all(model.codes, validation.images, place)
        counted = CountedActions.fit(codes, pairs, validation, held)
        return TrainedSpatialCounting(model, counted, place)
