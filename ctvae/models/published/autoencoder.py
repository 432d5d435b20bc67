"""MCQ-VAE: an autoencoder whose grid of vectors is quantized by several codebooks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from ctvae.errors import ShapeError
from ctvae.models.published.grid_networks import GridDecoder, GridEncoder
from ctvae.models.published.slices import disjoint_slices, joined_slices, overlapping_slices
from ctvae.nn import check_images
from ctvae.quant.base import straight_through
from ctvae.quant.shared import SharedCodebooks
from ctvae.randomness import scoped_seed, spawn

__all__ = ["MCQVAE", "GridAutoencoder", "PublishedMCQVAE", "Reconstruction", "codebook_loss"]


class Reconstruction(NamedTuple):
    """What an autoencoder makes of images.

    Attributes:
        images: ``(batch, channels, size, size)`` drawn from the codes.
        codes: ``(batch, slots)``.
        features: ``(batch, slots, width)`` before quantization.
        vectors: ``(batch, slots, width)`` of the codes, with gradient to the codebooks.
    """

    images: Float[Tensor, "batch channels size size"]
    codes: Int[Tensor, "batch slots"]
    features: Float[Tensor, "batch slots width"]
    vectors: Float[Tensor, "batch slots width"]


def codebook_loss(
    features: Float[Tensor, "batch slots width"],
    vectors: Float[Tensor, "batch slots width"],
    *,
    codebooks: int,
    commitment_weight: float,
) -> Float[Tensor, ""]:
    r"""Pulls vectors to the features they stand for, and features to their vectors.

    .. math:: \sum_c \| \mathrm{sg}(h_c) - e_c \|^2 + \beta \| h_c - \mathrm{sg}(e_c) \|^2

    Mean squares within a codebook, summed over the codebooks.

    Args:
        features: Before quantization.
        vectors: Of their codes.
        codebooks: How many codebooks share the slots, each equally many.
        commitment_weight: The weight of the second term.

    Returns:
        The loss.

    Example:
        >>> h, e = torch.ones(1, 2, 3), torch.zeros(1, 2, 3)
        >>> codebook_loss(h, e, codebooks=2, commitment_weight=0.25).item()
        2.5
    """
    learned = (features.detach() - vectors).square().mean()
    committed = (features - vectors.detach()).square().mean()
    return codebooks * (learned + commitment_weight * committed)


class GridAutoencoder(nn.Module, ABC):
    """An autoencoder of images through one code per codebook and place of a grid.

    Args:
        channels: Image channels.
        size: Image side in pixels.
        hidden: Widths of the halving convolutions; each halves the image.
        width: Channels of the grid, dealt out to the codebooks.
        codebooks: How many codebooks; divides ``width``.
        codes: The number of codes in each.
        seed: For the first weights.

    Raises:
        ShapeError: When the sizes do not divide.
    """

    def __init__(
        self,
        channels: int,
        size: int,
        *,
        hidden: Sequence[int] = (64, 128, 256),
        width: int = 128,
        codebooks: int = 1,
        codes: int = 64,
        seed: int = 0,
    ) -> None:
        super().__init__()
        step = 2 ** len(hidden)
        if not hidden or size % step or width % codebooks:
            msg = (
                f"the side must be a multiple of {step} (one halving for each of {tuple(hidden)}) "
                f"and the width one of {codebooks} codebooks, got {size} and {width}"
            )
            raise ShapeError(msg)
        self.channels, self.size, self.codebooks = channels, size, codebooks
        self.side = size // step
        weights, vectors = spawn(seed, 2)
        with scoped_seed(weights):
            self.encoder = GridEncoder(channels, hidden, width)
            self.decoder = GridDecoder(width, hidden, channels)
        self.quantizer = SharedCodebooks(
            codebooks, self.side**2, codes, width // codebooks, seed=vectors
        )

    @abstractmethod
    def features(
        self, images: Float[Tensor, "batch channels size size"]
    ) -> Float[Tensor, "batch slots width"]:
        """Reads what is quantized.

        Args:
            images: Floats in [0, 1].

        Returns:
            A vector for each slot.
        """

    @abstractmethod
    def draw(
        self, vectors: Float[Tensor, "batch slots width"]
    ) -> Float[Tensor, "batch channels size size"]:
        """Draws images.

        Args:
            vectors: A vector for each slot.

        Returns:
            Pixels.
        """

    def forward(self, images: Tensor) -> Reconstruction:
        """Rebuilds images; gradients pass straight through the codes.

        Args:
            images: ``(batch, channels, size, size)``, uint8 or floats in [0, 1].

        Returns:
            The images drawn, and what they were drawn from.
        """
        features = self.features(check_images(images, channels=self.channels, size=self.size))
        codes = self.quantizer.quantize(features)
        vectors = self.quantizer.lookup(codes)
        drawn = self.draw(straight_through(features, vectors))
        return Reconstruction(drawn, codes, features, vectors)

    @torch.no_grad()
    def encode(self, images: Tensor, *, chunk: int = 512) -> Int[Tensor, "batch slots"]:
        """Reads the codes of images.

        Args:
            images: ``(batch, channels, size, size)``, uint8 or floats in [0, 1].
            chunk: Images per pass.

        Returns:
            Codes; slot ``c * places + p`` is place ``p`` through codebook ``c``.
        """
        checked = check_images(images, channels=self.channels, size=self.size)
        parts = [self.quantizer.quantize(self.features(part)) for part in checked.split(chunk)]
        return torch.cat(parts)

    def decode(self, codes: Int[Tensor, "batch slots"]) -> Float[Tensor, "batch ..."]:
        """Draws the images of codes.

        Fault 10: where codes are the likeliest of a predicted law, the law gets no gradient from
        the picture. ``decode_law`` gives it one.

        Args:
            codes: One for each slot.

        Returns:
            Pixels.
        """
        return self.draw(self.quantizer.lookup(codes))

    def decode_law(self, log_probs: Float[Tensor, "batch slots codes"]) -> Tensor:
        """Draws the images of the likeliest codes, with the gradient of the mean vectors.

        Args:
            log_probs: A law over the codes of each slot.

        Returns:
            The pixels that ``decode(log_probs.argmax(-1))`` gives.
        """
        hard = self.quantizer.lookup(log_probs.argmax(-1))
        soft = self.quantizer.expected(log_probs.softmax(-1))
        return self.draw(straight_through(soft, hard))


class MCQVAE(GridAutoencoder):
    """The multi-codebook autoencoder: every channel is read, pixels lie in [0, 1].

    Args:
        channels: Image channels.
        size: Image side in pixels.
        hidden: Widths of the halving convolutions; each halves the image.
        width: Channels of the grid, dealt out to the codebooks.
        codebooks: How many codebooks; divides ``width``.
        codes: The number of codes in each.
        seed: For the first weights.

    Example:
        >>> model = MCQVAE(1, 16, hidden=(8, 8), width=8, codebooks=2, codes=4)
        >>> model.encode(torch.rand(3, 1, 16, 16)).shape
        torch.Size([3, 32])

    Source: Gendron, Witbrock, Dobbie (2023).
    """

    def features(self, images: Tensor) -> Tensor:
        """Reads what is quantized, from all channels.

        Args:
            images: Floats in [0, 1].

        Returns:
            A vector for each slot.
        """
        return disjoint_slices(self.encoder(images), self.codebooks)

    def draw(self, vectors: Tensor) -> Tensor:
        """Draws images.

        Args:
            vectors: A vector for each slot.

        Returns:
            Pixels in [0, 1].
        """
        return self.decoder(joined_slices(vectors, self.codebooks, self.side)).sigmoid()


class PublishedMCQVAE(GridAutoencoder):
    """The multi-codebook autoencoder as published, faults included, to compare with.

    The faults that this class keeps, by their number in *Differences from the paper*:

    - 17: the slices of the codebooks overlap (see ``overlapping_slices``); no matter with one.
    - 19: pixels come from a tanh, so half its range is never wanted; a LeakyReLU stands between
      the last convolution and a codebook that starts around zero.

    Args:
        channels: Image channels.
        size: Image side in pixels.
        hidden: Widths of the halving convolutions; each halves the image. Not changed (fault 18).
        width: Channels of the grid.
        codebooks: How many codebooks; divides ``width``.
        codes: The number of codes in each.
        seed: For the first weights.

    Example:
        >>> model = PublishedMCQVAE(1, 16, hidden=(8, 8), width=8, codes=4)
        >>> model.encode(torch.rand(3, 1, 16, 16)).shape
        torch.Size([3, 16])

    Source: Gendron, Witbrock, Dobbie (2023), and the behaviour of their code.
    """

    def features(self, images: Tensor) -> Tensor:
        """Reads what is quantized; with several codebooks most channels are left out.

        Args:
            images: Floats in [0, 1].

        Returns:
            A vector for each slot.
        """
        return overlapping_slices(leaky_relu(self.encoder(images)), self.codebooks)

    def draw(self, vectors: Tensor) -> Tensor:
        """Draws images.

        Args:
            vectors: A vector for each slot.

        Returns:
            Pixels in [-1, 1].
        """
        return self.decoder(joined_slices(vectors, self.codebooks, self.side)).tanh()
