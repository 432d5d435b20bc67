"""Where a training runs: CPU, an accelerator, or what a launcher has set up."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import torch

from ctvae.errors import DataError

if TYPE_CHECKING:
    from lightning_fabric import Fabric

__all__ = ["make_fabric"]


def make_fabric(device: str) -> Fabric:
    """Makes the runtime: one device, or those that a launcher has set up.

    Args:
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:1``.

    Returns:
        The runtime, launched.

    Raises:
        DataError: When there is no such device.
    """
    from lightning_fabric import Fabric

    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    kind, _, number = device.partition(":")
    known = re.fullmatch(r"cpu|cuda(:\d+)?", device)
    if known is None or (kind == "cuda" and int(number or 0) >= torch.cuda.device_count()):
        msg = (
            f"device {device!r} asked for, but there are {torch.cuda.device_count()} CUDA devices; "
            "use 'auto', 'cpu', 'cuda' or 'cuda:N'"
        )
        raise DataError(msg)
    launched = "WORLD_SIZE" in os.environ
    devices: int | list[int] = [int(number)] if number else 1
    fabric = Fabric(
        accelerator=kind,
        devices=int(os.environ.get("LOCAL_WORLD_SIZE", "1")) if launched else devices,
        strategy="ddp" if launched else "auto",
    )
    fabric.launch()
    return fabric
