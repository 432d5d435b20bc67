"""Training by minibatches, stopped by rows held out."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

import torch
from jaxtyping import Int
from torch import Tensor, nn

from ctvae.errors import MechanismError
from ctvae.randomness import Seed, make_generator

__all__ = ["FitSettings", "FitStatus", "TrainingRecord", "train"]

Loss = Callable[[Int[Tensor, " rows"]], Tensor]
LOWERED_BY = 5.0
"""What the learning rate is divided by when the held-out loss has stopped falling."""
TIMES_LOWERED = 2
"""How often, before that ends the fit."""


class FitStatus(Enum):
    """How a fit ended; the value says what to do next."""

    CONVERGED = "the loss of the held-out rows stopped falling; the best parameters are kept"
    EPOCHS_REACHED = (
        "the loss of the held-out rows was still falling, or none were held out, when the epochs "
        "were over: give more epochs if the held-out history has not levelled off"
    )


@dataclass(frozen=True)
class FitSettings:
    """How the parameters of networks are found.

    Attributes:
        epochs: The largest number of passes over the rows.
        batch_size: Rows per step.
        learning_rate: The first step size of AdamW; it is divided by five whenever the held-out
            loss has not fallen for ``patience`` epochs.
        weight_decay: The decoupled weight decay of AdamW.
        validation_fraction: The part of the rows that is held out, in ``[0, 1)``. With 0 all
            epochs are run at one learning rate, and nothing stops an overfit.
        patience: Epochs without a better held-out loss before the learning rate is lowered; the
            fit stops when that happens for the third time.

    Raises:
        MechanismError: When a setting is outside its range.
    """

    epochs: int = 200
    batch_size: int = 256
    learning_rate: float = 3e-3
    weight_decay: float = 0.1
    validation_fraction: float = 0.1
    patience: int = 5

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "patience"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                msg = f"{name} must be an integer of at least 1, got {value!r}"
                raise MechanismError(msg)
        if not (math.isfinite(self.learning_rate) and self.learning_rate > 0):
            msg = f"learning_rate must be positive, got {self.learning_rate!r}; 3e-3 is usual"
            raise MechanismError(msg)
        if not (math.isfinite(self.weight_decay) and self.weight_decay >= 0):
            msg = f"weight_decay must be zero or more, got {self.weight_decay!r}"
            raise MechanismError(msg)
        if not 0 <= self.validation_fraction < 1:
            msg = (
                f"validation_fraction must be in [0, 1), got {self.validation_fraction!r}; it is "
                "the part of the rows that is held out"
            )
            raise MechanismError(msg)


class TrainingRecord(NamedTuple):
    """How a fit went.

    Attributes:
        status: How it ended; ``status.value`` says what to do next.
        held_out: The mean loss of the held-out rows at the parameters kept, nats per row; ``nan``
            where none were held out.
        held_out_history: The same after every epoch, and first before any.
        history: The mean loss of the rows trained on, epoch by epoch, nats per row.
    """

    status: FitStatus
    held_out: float
    held_out_history: tuple[float, ...]
    history: tuple[float, ...]


def train(
    modules: Sequence[nn.Module],
    rows: int,
    loss: Loss,
    held_out_loss: Loss,
    *,
    settings: FitSettings,
    seed: Seed,
    device: torch.device,
) -> TrainingRecord:
    """Finds the parameters of modules, in place, by AdamW on minibatches.

    Some rows are held out. The parameters that are kept are those with the least held-out loss; as
    long as it falls the learning rate stays, then it is lowered twice before the end.

    Args:
        modules: What is trained; parameters that need no gradient are left alone.
        rows: How many rows there are, at least 1.
        loss: The mean loss of the rows of an index, nats per row, differentiable.
        held_out_loss: The same for the rows held out, without gradient.
        settings: How.
        seed: For the rows held out and the order of the others.
        device: Where the indices are expected.

    Returns:
        How it went.
    """
    generator = make_generator(seed)
    order = torch.randperm(rows, generator=generator)
    count = math.ceil(settings.validation_fraction * rows) if rows > 1 else 0
    held, kept = order[:count].to(device), order[count:]
    parameters = {p: None for module in modules for p in module.parameters() if p.requires_grad}
    optimiser = torch.optim.AdamW(
        list(parameters), lr=settings.learning_rate, weight_decay=settings.weight_decay
    )
    best = _Best(list(parameters), settings.patience)
    if count:
        best.see(_mean(held_out_loss, held))
    history: list[float] = []
    status = FitStatus.EPOCHS_REACHED
    while len(history) < settings.epochs:
        shuffled = kept[torch.randperm(len(kept), generator=generator)].to(device)
        total = torch.zeros((), dtype=torch.float64, device=device)
        for index in shuffled.split(settings.batch_size):
            optimiser.zero_grad()
            with torch.enable_grad():
                value = loss(index)
                value.backward()
            optimiser.step()
            total += value.detach().double() * len(index)
        history.append(_finite(float(total) / len(kept), settings))
        if count and best.see(_mean(held_out_loss, held)):
            if best.lowered == TIMES_LOWERED:
                status = FitStatus.CONVERGED
                break
            best.lower(optimiser)
    if count:
        best.restore()
    return TrainingRecord(status, best.loss, tuple(best.history), tuple(history))


class _Best:
    """Keeps the parameters with the least held-out loss, and says when it has stopped falling."""

    def __init__(self, parameters: list[nn.Parameter], patience: int) -> None:
        self.parameters, self.patience = parameters, patience
        self.loss, self.history, self.since, self.lowered = math.nan, list[float](), 0, 0
        self.kept: list[Tensor] = []

    def see(self, loss: float) -> bool:
        """Notes a held-out loss; true where it has not fallen for the patience."""
        self.history.append(loss)
        if not loss >= self.loss:
            self.loss, self.since = loss, 0
            self.kept = [p.detach().clone() for p in self.parameters]
            return False
        self.since += 1
        return self.since >= self.patience

    @torch.no_grad()
    def restore(self) -> None:
        for parameter, kept in zip(self.parameters, self.kept, strict=True):
            parameter.copy_(kept)

    def lower(self, optimiser: torch.optim.Optimizer) -> None:
        """Goes back to the best parameters, to take smaller steps from there."""
        self.restore()
        for group in optimiser.param_groups:
            group["lr"] /= LOWERED_BY
        self.since, self.lowered = 0, self.lowered + 1


@torch.no_grad()
def _mean(loss: Loss, index: Tensor) -> float:
    return float(loss(index))


def _finite(loss: float, settings: FitSettings) -> float:
    if not math.isfinite(loss):
        msg = (
            f"the loss became {loss}: a row is impossible under a mechanism that is held fixed, or "
            f"learning_rate={settings.learning_rate:g} is too large"
        )
        raise MechanismError(msg)
    return loss
