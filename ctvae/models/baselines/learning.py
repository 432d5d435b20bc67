"""How all baselines are trained: one optimizer and schedule, batches of rows of a pool."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from ctvae.models.baselines.base import CHUNK, Budget
from ctvae.randomness import make_generator

__all__ = ["batch_of", "count_parameters", "descend", "draw_rows", "read_all", "unit"]

Step: TypeAlias = Callable[[torch.Generator], Tensor]


def unit(images: Tensor, device: torch.device | str) -> Tensor:
    """Brings images to a device as floats in [0, 1].

    Args:
        images: uint8, or floats in [0, 1].
        device: Where to.

    Returns:
        Floats in [0, 1].
    """
    moved = images.to(device)
    return moved.float() / 255 if moved.dtype == torch.uint8 else moved.float()


def draw_rows(count: int, rows: int, generator: torch.Generator) -> Int[Tensor, " rows"]:
    """Draws row numbers with replacement.

    Args:
        count: Drawn below it.
        rows: How many.
        generator: On the CPU, so that every device sees the same batches.

    Returns:
        Row numbers.
    """
    return torch.randint(count, (rows,), generator=generator)


def batch_of(
    images: Tensor, rows: Int[Tensor, " rows"], device: torch.device | str
) -> Float[Tensor, "rows channels size size"]:
    """Takes images of a pool.

    Args:
        images: The pool.
        rows: Which.
        device: Where to.

    Returns:
        Floats in [0, 1].
    """
    return unit(images[rows.to(images.device)], device)


def descend(
    module: nn.Module,
    loss: Step,
    *,
    budget: Budget,
    seed: int,
    learning_rate: float = 2e-3,
    weight_decay: float = 1e-3,
) -> None:
    """Minimises a loss in place, by AdamW with one rise and fall of the learning rate.

    Args:
        module: What is trained; left in training mode.
        loss: Draws a batch from the generator and gives its loss.
        budget: How many steps.
        seed: For the batches.
        learning_rate: At its peak.
        weight_decay: On all parameters.
    """
    generator = make_generator(seed)
    optimizer = torch.optim.AdamW(module.parameters(), learning_rate, weight_decay=weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, learning_rate, total_steps=budget.steps
    )
    module.train()
    for _ in range(budget.steps):
        value = loss(generator)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        schedule.step()


@torch.no_grad()
def read_all(
    read: Callable[[Tensor], Tensor], images: Tensor, device: torch.device | str
) -> Tensor:
    """Applies a reader to many images, some at a time.

    Args:
        read: Takes floats in [0, 1].
        images: uint8, or floats in [0, 1].
        device: Where the reader lives.

    Returns:
        What it gave, row by row.
    """
    return torch.cat([read(unit(part, device)) for part in images.split(CHUNK)])


def count_parameters(module: nn.Module) -> int:
    """Counts the numbers that a module learned.

    Args:
        module: A trained module.

    Returns:
        The size of its parameters.
    """
    return sum(parameter.numel() for parameter in module.parameters())
