"""Readers: networks from an image to the features of its slots, and to a spare vector."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from ctvae.nn import IMAGE_STEP, ImageEncoder, check_size
from ctvae.randomness import scoped_seed

__all__ = ["CodeReader", "SlotReader", "SpareReader"]


class SlotReader(nn.Module):
    """Reads one number per slot, with zero mean and unit variance over the images.

    The unit variance (batch normalisation without a learned scale) is what rules out collapse:
    a slot cannot explain "nothing changed" by being constant.

    Args:
        channels: Image channels.
        size: Image side in pixels.
        slots: The number of slots.

    Example:
        >>> SlotReader(1, 32, 5).eval()(torch.rand(2, 1, 32, 32)).shape
        torch.Size([2, 5, 1])
    """

    def __init__(self, channels: int, size: int, slots: int) -> None:
        super().__init__()
        self.channels, self.size = channels, size
        self.encoder = ImageEncoder(channels, size, slots)
        self.standard = nn.BatchNorm1d(slots, affine=False)

    def forward(
        self, images: Float[Tensor, "batch channels size size"]
    ) -> Float[Tensor, "batch slots 1"]:
        """Reads a batch.

        Args:
            images: Floats in [0, 1].

        Returns:
            One number per slot.
        """
        return self.standard(self.encoder(images))[..., None]

    def with_slots(self, slots: int) -> SlotReader:
        """Makes a reader of another number of slots with the same convolutions.

        Args:
            slots: The number of slots.

        Returns:
            A new reader; all but the convolutional trunk is fresh.
        """
        fresh = SlotReader(self.channels, self.size, slots)
        fresh.encoder.trunk.load_state_dict(self.encoder.trunk.state_dict())
        return fresh

    @torch.no_grad()
    def permuted(self, slots: Sequence[int], codes: Sequence[Int[Tensor, " codes"]]) -> SlotReader:
        """Renames slots.

        Args:
            slots: The old slot of every new slot.
            codes: Unused: the numbers of a slot have no codes yet.

        Returns:
            A new reader whose outputs are in the new order.
        """
        del codes
        with scoped_seed(0):  # weights drawn only to be replaced
            new = SlotReader(self.channels, self.size, len(slots))
        new.to(self.encoder.out.weight.device)
        state = {name: tensor.clone() for name, tensor in self.state_dict().items()}
        order = list(slots)
        for name in (
            "encoder.out.weight",
            "encoder.out.bias",
            "standard.running_mean",
            "standard.running_var",
        ):
            state[name] = state[name][order]
        new.load_state_dict(state)
        return new.eval()


class CodeReader(nn.Module):
    """Reads a score for every code of every slot.

    Args:
        channels: Image channels.
        size: Image side in pixels.
        cardinalities: The number of codes of each slot.

    Example:
        >>> CodeReader(1, 32, [3, 8]).eval()(torch.rand(2, 1, 32, 32)).shape
        torch.Size([2, 2, 8])
    """

    place: Tensor

    def __init__(self, channels: int, size: int, cardinalities: Sequence[int]) -> None:
        super().__init__()
        self.channels, self.size = channels, size
        self.cardinalities = tuple(cardinalities)
        self.encoder = ImageEncoder(channels, size, sum(cardinalities))
        widest = max(cardinalities)
        place = [slot * widest + code for slot, k in enumerate(cardinalities) for code in range(k)]
        self.register_buffer("place", torch.tensor(place), persistent=False)

    def forward(
        self, images: Float[Tensor, "batch channels size size"]
    ) -> Float[Tensor, "batch slots codes"]:
        """Reads a batch.

        Args:
            images: Floats in [0, 1].

        Returns:
            Scores; 0 for codes that a slot does not have.
        """
        scores = self.encoder(images)
        shape = (len(self.cardinalities), max(self.cardinalities))
        whole = scores.new_zeros(len(scores), shape[0] * shape[1])
        return whole.index_copy(1, self.place, scores).unflatten(1, shape)

    @torch.no_grad()
    def permuted(self, slots: Sequence[int], codes: Sequence[Int[Tensor, " codes"]]) -> CodeReader:
        """Renames slots and codes.

        Args:
            slots: The old slot of every new slot.
            codes: For each new slot the old code of every new code.

        Returns:
            A new reader whose scores are in the new order.
        """
        with scoped_seed(0):  # weights drawn only to be replaced
            new = CodeReader(self.channels, self.size, [self.cardinalities[old] for old in slots])
        new.to(self.place.device)
        starts = torch.tensor([0, *self.cardinalities]).cumsum(0)
        order = torch.cat([
            starts[old] + code.cpu() for old, code in zip(slots, codes, strict=True)
        ])
        state = {name: tensor.clone() for name, tensor in self.state_dict().items()}
        for name in ("encoder.out.weight", "encoder.out.bias"):
            state[name] = state[name][order.to(self.place.device)]
        new.load_state_dict(state)
        return new.eval()


class SpareReader(nn.Module):
    """Reads a short vector of what no slot holds, such as pose or background.

    Standardised over the images, so that zero is its mean. Small on purpose: it is trained beside
    the decoder.

    Args:
        channels: Image channels.
        size: Image side in pixels.
        width: The length of the vector.
    """

    def __init__(self, channels: int, size: int, width: int) -> None:
        super().__init__()
        check_size(size)
        layers: list[nn.Module] = []
        for inner, outer in ((channels, 16), (16, 32), (32, 32)):
            layers += [nn.Conv2d(inner, outer, 3, stride=2, padding=1), nn.BatchNorm2d(outer)]
            layers += [nn.ReLU()]
        self.trunk = nn.Sequential(*layers, nn.Flatten())
        self.out = nn.Linear(32 * (size // IMAGE_STEP) ** 2, width)
        self.standard = nn.BatchNorm1d(width, affine=False)

    def forward(
        self, images: Float[Tensor, "batch channels size size"]
    ) -> Float[Tensor, "batch spare"]:
        """Reads a batch.

        Args:
            images: Floats in [0, 1].

        Returns:
            One vector per image.
        """
        return self.standard(self.out(self.trunk(images)))
