"""Codes and pictures: the encoder, quantizer and decoder that code-based baselines share."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from ctvae.models.baselines.base import LabelledPairs
from ctvae.models.baselines.counted import CountedActions
from ctvae.models.baselines.learning import count_parameters, read_all
from ctvae.nn import IMAGE_STEP
from ctvae.quant import Quantizer

__all__ = ["CodedAutoencoder", "TrainedCodes", "VectorDecoder", "pixel_loss"]


class VectorDecoder(nn.Module):
    """Draws an image from a vector, with the layers of ``SlotDecoder`` after its embedding.

    Args:
        inputs: The length of the vector.
        channels: Image channels.
        size: Image side in pixels, a multiple of 8.

    Example:
        >>> VectorDecoder(10, 1, 32)(torch.rand(2, 10)).shape
        torch.Size([2, 1, 32, 32])
    """

    def __init__(self, inputs: int, channels: int, size: int) -> None:
        super().__init__()
        start = size // IMAGE_STEP
        self.layers = nn.Sequential(
            nn.Linear(inputs, 512),
            nn.ReLU(),
            nn.Linear(512, 64 * start**2),
            nn.ReLU(),
            nn.Unflatten(1, (64, start, start)),
            nn.ConvTranspose2d(64, 48, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(48, 24, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(24, channels, 4, stride=2, padding=1),
        )

    def forward(
        self, vectors: Float[Tensor, "batch inputs"]
    ) -> Float[Tensor, "batch channels size size"]:
        """Draws a batch.

        Args:
            vectors: One per image.

        Returns:
            Pixel logits; ``sigmoid`` of them lies in [0, 1].
        """
        return self.layers(vectors)


def pixel_loss(logits: Tensor, images: Tensor) -> Float[Tensor, ""]:
    r"""Measures how far a drawing is from the image.

    .. math:: -\sum_i x_i \log \sigma(l_i) + (1 - x_i) \log \sigma(-l_i)

    Args:
        logits: ``(batch, channels, size, size)``.
        images: The same, in [0, 1].

    Returns:
        Nats, summed over pixels, averaged over images.
    """
    loss = nn.functional.binary_cross_entropy_with_logits(logits, images, reduction="sum")
    return loss / len(images)


class CodedAutoencoder(nn.Module):
    """An encoder whose features are quantized slot by slot, and a decoder of the codes' vectors.

    Args:
        encoder: Gives ``slots * width`` numbers.
        quantizer: One codebook per slot.
        decoder: Draws from the vectors of all slots, one after another.
    """

    def __init__(self, encoder: nn.Module, quantizer: Quantizer, decoder: nn.Module) -> None:
        super().__init__()
        self.encoder, self.quantizer, self.decoder = encoder, quantizer, decoder

    def features(self, images: Tensor) -> Float[Tensor, "batch slots width"]:
        """Reads what the quantizer takes.

        Args:
            images: Floats in [0, 1].

        Returns:
            ``(batch, slots, width)``.
        """
        slots = len(self.quantizer.cardinalities)
        return self.encoder(images).unflatten(1, (slots, self.quantizer.width))

    def encode(self, images: Tensor) -> Int[Tensor, "batch slots"]:
        """Reads codes.

        Args:
            images: Floats in [0, 1].

        Returns:
            One code per slot.
        """
        return self.quantizer.quantize(self.features(images))

    def reconstruct(self, images: Tensor) -> Float[Tensor, "batch channels size size"]:
        """Draws what the codes of images say.

        Args:
            images: Floats in [0, 1].

        Returns:
            Pictures in [0, 1].
        """
        return self.decoder(self.quantizer.lookup(self.encode(images)).flatten(1)).sigmoid()


class TrainedCodes:
    """A trained autoencoder of codes; actions are told by counting on the codes.

    Args:
        autoencoder: The autoencoder, in evaluation mode.
        counted: Tables of its codes.
        device: Where it lives.
    """

    def __init__(
        self, autoencoder: CodedAutoencoder, counted: CountedActions, device: torch.device
    ) -> None:
        self.autoencoder, self.counted, self.device = autoencoder, counted, device

    @classmethod
    def fit(
        cls,
        autoencoder: CodedAutoencoder,
        pairs: LabelledPairs,
        validation: LabelledPairs,
        device: torch.device,
    ) -> TrainedCodes:
        """Counts the transitions of the codes of labelled pairs.

        Args:
            autoencoder: A trained autoencoder; put in evaluation mode.
            pairs: Training pairs.
            validation: Pairs that the prior count is chosen on.
            device: Where the autoencoder lives.

        Returns:
            The autoencoder with its tables.
        """
        autoencoder.eval()
        codes = read_all(autoencoder.encode, pairs.images, device)
        held = codes
        if validation.images is not pairs.images:
            held = read_all(autoencoder.encode, validation.images, device)
        return cls(autoencoder, CountedActions.fit(codes, pairs, validation, held), device)

    @property
    def num_parameters(self) -> int:
        """The weights of the networks and the free numbers of the tables."""
        return count_parameters(self.autoencoder) + self.counted.num_parameters

    def encode(self, images: Tensor) -> Int[Tensor, "batch slots"]:
        """Reads codes.

        Args:
            images: uint8, or floats in [0, 1].

        Returns:
            One code per slot.
        """
        return read_all(self.autoencoder.encode, images, self.device)

    def action_log_probs(self, before: Tensor, after: Tensor) -> Float[Tensor, "batch actions"]:
        """Tells actions by counting.

        Args:
            before: Images before.
            after: Images after.

        Returns:
            Normalised log-probabilities, nats.
        """
        return self.counted.log_probs(self.encode(before), self.encode(after))

    def reconstruct(self, images: Tensor) -> Float[Tensor, "batch channels size size"]:
        """Draws what the codes of images say.

        Args:
            images: uint8, or floats in [0, 1].

        Returns:
            Pictures in [0, 1].
        """
        return read_all(self.autoencoder.reconstruct, images, self.device)
