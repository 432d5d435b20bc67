"""``ctvae retrieve``: which actions led from one picture to another, by a saved model."""

from __future__ import annotations

from pathlib import Path

import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from ctvae.data.images import pool_images
from ctvae.errors import FormatError, ShapeError
from ctvae.models.ctvae import CTVAE

__all__ = ["read_picture", "retrieve"]

SHOWN = 5


def read_picture(path: Path, *, channels: int, size: int) -> Tensor:
    """Reads a picture as a model takes it.

    Args:
        path: A PNG or another file that Pillow reads.
        channels: 1 for grey, 3 for colour.
        size: The side that the picture is averaged down to.

    Returns:
        ``(1, channels, size, size)`` uint8.

    Raises:
        FormatError: When the file is missing or no picture, or its side is no multiple of the
            model's.
    """
    if not path.is_file():
        msg = f"{path}: no such file"
        raise FormatError(msg)
    if channels not in {1, 3}:
        msg = f"the model reads images of {channels} channels; pictures have 1 (grey) or 3 (colour)"
        raise FormatError(msg)
    try:
        with Image.open(path) as picture:
            pixels = picture.convert("L" if channels == 1 else "RGB")
    except (UnidentifiedImageError, OSError) as error:
        msg = f"{path} is no picture: {error}"
        raise FormatError(msg) from error
    flat = torch.frombuffer(bytearray(pixels.tobytes()), dtype=torch.uint8)
    image = flat.reshape(1, pixels.height, pixels.width, channels).permute(0, 3, 1, 2)
    try:
        return pool_images(image, size)
    except ShapeError as error:
        msg = f"{path}: {error}"
        raise FormatError(msg) from error


def retrieve(folder: Path, before: Path, after: Path, *, length: int) -> str:
    """Retrieves the actions between two pictures.

    Args:
        folder: A saved model.
        before: The picture before.
        after: The picture after.
        length: The number of actions.

    Returns:
        A line for each of the most probable sequences, those that do the same together, and the
        evidence.
    """
    model = CTVAE.load(folder)
    shape = {"channels": model.config.channels, "size": model.config.image_size}
    pictures = [read_picture(path, **shape) for path in (before, after)]
    posterior = model.retrieve_action(*pictures, length=length)
    names = [action.name for action in model.actions]
    classes = posterior.equivalence_class[0]
    total = torch.zeros_like(posterior.probs[0]).index_add_(0, classes, posterior.probs[0])
    lines = []
    for first in total.argsort(descending=True)[:SHOWN].tolist():
        if total[first] <= 0:
            break
        members = (classes == first).nonzero()[:, 0].tolist()
        said = [", then ".join(names[a] for a in posterior.sequences[m].tolist()) for m in members]
        shown = " = ".join(said[:3]) + (f" = {len(said) - 3} more" if len(said) > 3 else "")
        lines.append(f"{float(total[first]):.4f}  {shown}")
    read = [model.encode(picture)[0].tolist() for picture in pictures]
    both = zip(model.slots.names, *read, strict=True)
    codes = ", ".join(f"{n} {u} -> {v}" if u != v else f"{n} {u}" for n, u, v in both)
    evidence = float(posterior.log_evidence[0])
    return "\n".join([f"codes: {codes}", f"log evidence: {evidence:.3f} nats", *lines])
