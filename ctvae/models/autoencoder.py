"""The slot autoencoder: images to one code per slot and a spare vector, and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from ctvae.errors import CTVAEError, ShapeError
from ctvae.models.readers import CodeReader, SlotReader, SpareReader
from ctvae.nn import SlotDecoder, check_images
from ctvae.quant import CategoricalSlots, ScalarBins
from ctvae.randomness import Seed, make_generator, scoped_seed

__all__ = ["SlotAutoencoder"]

Part = TypeVar("Part")
CHUNK = 1024
"""Images per pass where no gradient is kept."""


class SlotAutoencoder:
    """Reads codes off images and draws images from codes. It knows no causality.

    Codebooks and decoder come with training; until then only ``read`` answers.

    Args:
        channels: Image channels.
        size: Image side in pixels.
        slots: The number of slots.
        spare: The length of the spare vector, which holds what no slot does; 0 for none.
        seed: For the first weights.
    """

    def __init__(self, channels: int, size: int, slots: int, *, spare: int, seed: int) -> None:
        self.channels, self.size, self.spare = channels, size, spare
        with scoped_seed(seed):
            self.reader: SlotReader | CodeReader = SlotReader(channels, size, slots)
            self.spare_reader = SpareReader(channels, size, spare) if spare else None
        self.quantizer: ScalarBins | CategoricalSlots | None = None
        self.decoder: SlotDecoder | None = None
        self.spare_bank = torch.zeros(1, spare)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.spare_bank.device

    @property
    def cardinalities(self) -> tuple[int, ...]:
        """The number of codes of each slot.

        Raises:
            CTVAEError: When there are no codebooks yet.
        """
        return fitted(self.quantizer).cardinalities

    def to(self, device: torch.device | str) -> SlotAutoencoder:
        """Moves all parts, in place.

        Args:
            device: Where to.

        Returns:
            The autoencoder itself.
        """
        for module in self.modules().values():
            module.to(device)
        self.spare_bank = self.spare_bank.to(device)
        return self

    def modules(self) -> dict[str, nn.Module]:
        """Gives the networks and codebooks that exist so far.

        Returns:
            Name to module.
        """
        parts = {
            "reader": self.reader,
            "spare_reader": self.spare_reader,
            "quantizer": self.quantizer,
            "decoder": self.decoder,
        }
        return {name: module for name, module in parts.items() if module is not None}

    @torch.no_grad()
    def read(self, images: Tensor) -> Float[Tensor, "batch slots width"]:
        """Reads the features of every slot, before quantization.

        Args:
            images: ``(batch, channels, size, size)``, uint8 or floats in [0, 1].

        Returns:
            One number per slot, of unit variance over the training images, or a score per code.
        """
        return self._apply(self.reader, images)

    def encode(self, images: Tensor) -> Int[Tensor, "batch slots"]:
        """Reads the codes of images.

        Args:
            images: ``(batch, channels, size, size)``, uint8 or floats in [0, 1].

        Returns:
            Codes in slot order.
        """
        quantizer = fitted(self.quantizer)
        return quantizer.quantize(self.read(images))

    def encode_log_probs(self, images: Tensor) -> Float[Tensor, "batch slots codes"]:
        """Reads the codes of images with their uncertainty.

        Args:
            images: ``(batch, channels, size, size)``, uint8 or floats in [0, 1].

        Returns:
            Normalised log-probabilities in nats, ``-inf`` for codes that a slot does not have.
        """
        quantizer = fitted(self.quantizer)
        return quantizer.log_probs(self.read(images))

    @torch.no_grad()
    def encode_spare(self, images: Tensor) -> Float[Tensor, "batch spare"]:
        """Reads what no slot holds.

        Args:
            images: ``(batch, channels, size, size)``, uint8 or floats in [0, 1].

        Returns:
            The spare vectors; of length 0 where there is none.
        """
        if self.spare_reader is None:
            return torch.zeros(len(images), 0, device=self.device)
        return self._apply(self.spare_reader, images)

    @torch.no_grad()
    def decode(
        self, codes: Int[Tensor, "*batch slots"], *, spare: Tensor | None = None
    ) -> Float[Tensor, "*batch channels size size"]:
        """Draws the images of codes.

        Args:
            codes: Codes ``(*batch, slots)``, each inside its codebook.
            spare: ``(*batch, spare)`` what no slot holds; its mean where ``None``.

        Returns:
            Pixels in [0, 1].

        Raises:
            ShapeError: When there is not one spare vector per row of codes.
        """
        decoder = fitted(self.decoder).eval()
        flat = codes.reshape(-1, codes.shape[-1]).to(self.device)
        if spare is None:
            spare = torch.zeros(*codes.shape[:-1], self.spare, device=self.device)
        if spare.shape != (*codes.shape[:-1], self.spare):
            expected = (*codes.shape[:-1], self.spare)
            msg = f"spare must be {expected} for codes {tuple(codes.shape)}, got {spare.shape}"
            raise ShapeError(msg)
        held = spare.reshape(len(flat), self.spare).to(self.device)
        parts = zip(flat.split(CHUNK), held.split(CHUNK), strict=True)
        pixels = torch.cat([decoder(c, s if self.spare else None) for c, s in parts])
        return pixels.sigmoid().reshape(*codes.shape[:-1], *pixels.shape[1:])

    def draw_spare(self, count: int, *, seed: Seed) -> Float[Tensor, "count spare"]:
        """Draws spare vectors of training images.

        Args:
            count: How many.
            seed: For the choice.

        Returns:
            ``(count, spare)``.
        """
        rows = torch.randint(len(self.spare_bank), (count,), generator=make_generator(seed))
        return self.spare_bank[rows.to(self.device)]

    def permuted(
        self, slots: Sequence[int], codes: Sequence[Int[Tensor, " codes"]]
    ) -> SlotAutoencoder:
        """Renames slots and codes.

        Args:
            slots: The old slot of every new slot.
            codes: For each new slot the old code of every new code.

        Returns:
            A new autoencoder that reads and draws the same pictures.
        """
        new = object.__new__(SlotAutoencoder)
        new.__dict__.update(self.__dict__)
        new.reader = self.reader.permuted(slots, codes)
        quantizer = self.quantizer
        new.quantizer = quantizer and quantizer.permuted(slots, codes).to(self.device)
        new.decoder = fitted(self.decoder).permuted(slots, codes)
        return new

    def _apply(self, module: nn.Module, images: Tensor) -> Tensor:
        module.eval()
        whole = isinstance(images, Tensor) and images.ndim == 4 and len(images) > CHUNK
        parts = images.split(CHUNK) if whole else [images]
        checked = (check_images(p, channels=self.channels, size=self.size) for p in parts)
        return torch.cat([module(part.to(self.device)) for part in checked])


def fitted(part: Part | None) -> Part:
    """Gives a part that training makes.

    Args:
        part: The part, or ``None`` before training.

    Returns:
        The part.

    Raises:
        CTVAEError: When it is not there yet.
    """
    if part is None:
        msg = "this model is not fitted; train it with ct.fit(model, pairs)"
        raise CTVAEError(msg)
    return part
