"""Networks: the image encoder that reads slots, and the decoder that draws them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from ctvae.errors import ShapeError
from ctvae.randomness import scoped_seed

__all__ = ["IMAGE_STEP", "ImageEncoder", "SlotDecoder", "check_images", "recompute_batch_norm"]

IMAGE_STEP = 8
"""Images are halved three times, so their side must be a multiple of this."""
COARSE = 16
"""The first convolution of an encoder, and the last of a decoder, lead from and to at least so many
cells on a side, whatever the size of the image: larger images cost little more than small ones."""


def check_images(
    images: Tensor, *, channels: int, size: int, name: str = "images"
) -> Float[Tensor, "batch channels size size"]:
    """Checks a batch of images and brings it to floats in [0, 1].

    Args:
        images: ``(batch, channels, size, size)``, floats in [0, 1] or uint8 in 0..255.
        channels: The channels the model was made for.
        size: The side in pixels the model was made for.
        name: What to call the argument in a message.

    Returns:
        The images as floats in [0, 1].

    Raises:
        ShapeError: When shape or dtype differ, or a value is not finite or outside [0, 1].

    Example:
        >>> check_images(torch.full((1, 1, 8, 8), 255, dtype=torch.uint8), channels=1, size=8).max()
        tensor(1.)
    """
    if not isinstance(images, Tensor):
        msg = f"{name} must be a tensor (batch, {channels}, {size}, {size}), got {type(images)}"
        raise ShapeError(msg)
    if images.ndim != 4 or tuple(images.shape[1:]) != (channels, size, size):
        msg = (
            f"{name} must be (batch, {channels}, {size}, {size}), got {tuple(images.shape)}; "
            "this model was made for that size and number of channels"
        )
        raise ShapeError(msg)
    if images.dtype == torch.uint8:
        return images.float() / 255
    if not images.is_floating_point():
        msg = f"{name} must be uint8 or floating point, got {images.dtype}"
        raise ShapeError(msg)
    images = images.float()
    if not bool(torch.isfinite(images).all()):
        msg = f"{name} hold NaN or infinite pixels"
        raise ShapeError(msg)
    if images.numel() and (float(images.min()) < 0 or float(images.max()) > 1):
        low, high = float(images.min()), float(images.max())
        msg = f"{name} must lie in [0, 1], got {low:g} to {high:g}; divide by 255?"
        raise ShapeError(msg)
    return images


class ImageEncoder(nn.Module):
    """Reads a vector from an image through three views: coarse grid, global mean, global maximum.

    The pooled views see *what* is in the picture wherever it stands, the grid sees *where*; with
    the grid alone, small factors such as scale are read poorly from few images. The stride of the
    first convolution grows with the image, so that the rest has about 16 cells on a side.

    Args:
        channels: Image channels.
        size: Image side in pixels, a multiple of 8.
        outputs: The length of the vector.

    Raises:
        ShapeError: When ``size`` is no positive multiple of 8.

    Example:
        >>> ImageEncoder(1, 32, 5)(torch.rand(2, 1, 32, 32)).shape
        torch.Size([2, 5])
    """

    def __init__(self, channels: int, size: int, outputs: int) -> None:
        super().__init__()
        check_size(size)
        stride = max(1, size // COARSE)
        self.trunk = nn.Sequential(
            nn.Conv2d(channels, 24, 2 * stride + 1, stride=stride, padding=stride),
            nn.BatchNorm2d(24),
            nn.ReLU(),
            nn.Conv2d(24, 48, 3, stride=2, padding=1),
            nn.BatchNorm2d(48),
            nn.ReLU(),
            nn.Conv2d(48, 64, 3, padding=1),
            nn.BatchNorm2d(64),
            nn.ReLU(),
        )
        self.grid = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(64, 16, 1), nn.ReLU(), nn.Flatten())
        cells = (size - 1) // stride + 1
        side = (cells + 1) // 2 // 2
        self.head = nn.Sequential(
            nn.Linear(16 * side**2 + 128, 128), nn.BatchNorm1d(128), nn.ReLU()
        )
        self.out = nn.Linear(128, outputs)

    def forward(
        self, images: Float[Tensor, "batch channels size size"]
    ) -> Float[Tensor, "batch outputs"]:
        """Reads a batch.

        Args:
            images: Floats in [0, 1].

        Returns:
            One vector per image.
        """
        features = self.trunk(images)
        views = [self.grid(features), features.mean((2, 3)), features.amax((2, 3))]
        return self.out(self.head(torch.cat(views, 1)))


class SlotDecoder(nn.Module):
    """Draws an image from codes and, where there is one, a spare vector.

    Args:
        cardinalities: The number of codes of each slot.
        channels: Image channels.
        size: Image side in pixels, a multiple of 8.
        spare: The length of the spare vector; 0 for none.
        width: The embedding width of a code.

    Raises:
        ShapeError: When ``size`` is no positive multiple of 8.

    Example:
        >>> SlotDecoder([3, 8], 1, 32)(torch.tensor([[2, 5]])).shape
        torch.Size([1, 1, 32, 32])
    """

    offsets: Tensor

    def __init__(
        self,
        cardinalities: Sequence[int],
        channels: int,
        size: int,
        *,
        spare: int = 0,
        width: int = 16,
    ) -> None:
        super().__init__()
        check_size(size)
        self.cardinalities, self.channels = tuple(cardinalities), channels
        self.size, self.spare, self.width = size, spare, width
        self.start = size // IMAGE_STEP
        offsets = torch.tensor([0, *cardinalities]).cumsum(0)
        self.register_buffer("offsets", offsets[:-1], persistent=False)
        self.embedding = nn.Embedding(int(offsets[-1]), width)
        nn.init.normal_(self.embedding.weight, std=0.5)
        self.mix = nn.Linear(len(cardinalities) * width + spare, 512)
        self.spread = nn.Linear(512, 64 * self.start**2)
        self.paint = nn.Sequential(
            nn.ConvTranspose2d(64, 48, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(48, 24, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(24, channels, 4, stride=2, padding=1),
        )

    def forward(
        self, codes: Int[Tensor, "batch slots"], spare: Float[Tensor, "batch spare"] | None = None
    ) -> Float[Tensor, "batch channels size size"]:
        """Draws a batch.

        Args:
            codes: One row of codes per image.
            spare: One spare vector per image, where the decoder was made with one.

        Returns:
            Pixel logits; ``sigmoid`` of them lies in [0, 1].
        """
        parts = self.embedding(codes + self.offsets).flatten(1)
        if spare is not None:
            parts = torch.cat([parts, spare], 1)
        hidden = self.spread(self.mix(parts).relu()).relu()
        return self.paint(hidden.unflatten(1, (64, self.start, self.start)))

    @torch.no_grad()
    def permuted(self, slots: Sequence[int], codes: Sequence[Int[Tensor, " codes"]]) -> SlotDecoder:
        """Renames slots and codes.

        Args:
            slots: The old slot of every new slot.
            codes: For each new slot the old code of every new code.

        Returns:
            A new decoder that draws the same pictures from the renamed codes.
        """
        sizes = [self.cardinalities[old] for old in slots]
        with scoped_seed(0):  # weights drawn only to be replaced
            new = SlotDecoder(sizes, self.channels, self.size, spare=self.spare, width=self.width)
        new.to(self.embedding.weight.device).load_state_dict(self.state_dict())
        rows = [self.offsets[old] + order for old, order in zip(slots, codes, strict=True)]
        new.embedding.weight.copy_(self.embedding.weight[torch.cat(rows)])
        for here, old in enumerate(slots):
            mine = slice(here * self.width, (here + 1) * self.width)
            theirs = slice(old * self.width, (old + 1) * self.width)
            new.mix.weight[:, mine] = self.mix.weight[:, theirs]
        return new


def check_size(size: int) -> None:
    """Refuses an image side that the networks cannot halve three times.

    Args:
        size: The side in pixels.

    Raises:
        ShapeError: When it is no positive multiple of 8.
    """
    if size < IMAGE_STEP or size % IMAGE_STEP:
        msg = f"the image side must be a positive multiple of {IMAGE_STEP}, got {size}"
        raise ShapeError(msg)


ENOUGH = 10_000
"""Images over which statistics are taken, where there are more: their means are then off by a
hundredth of a standard deviation."""


@torch.no_grad()
def recompute_batch_norm(
    module: nn.Module, images: Float[Tensor, "batch ..."], *, chunk: int = 430
) -> None:
    """Replaces the running statistics of every batch normalisation by those of the images.

    Afterwards evaluation mode means what training meant, with no moving average of older weights.

    Args:
        module: A module over images; left in evaluation mode.
        images: What the statistics are taken over, floats in [0, 1] or uint8, on any device; 10,000
            of them, where there are more.
        chunk: Images per pass; the chunks' statistics are averaged, so each is drawn from all
            images: those of a grid of factors come in an order.
    """
    norms = [m for m in module.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]
    momenta = [m.momentum for m in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # cumulative average
    module.train()
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))[:ENOUGH]
    device = next(module.parameters()).device
    for rows in order.to(images.device).split(chunk):
        part = images[rows].to(device)
        if len(rows) > 1:
            module(part.float() / 255 if part.dtype == torch.uint8 else part.float())
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    module.eval()
