"""The published recipe in two stages: an autoencoder on images, then a CT layer on its codes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from jaxtyping import Int
from pydantic import Field
from torch import Tensor

from ctvae.config import Settings
from ctvae.errors import DataError
from ctvae.models.published.autoencoder import GridAutoencoder, codebook_loss
from ctvae.randomness import make_generator
from ctvae.training.fabric import make_fabric
from ctvae.training.loop import LOG_EVERY, Progress

if TYPE_CHECKING:
    from ctvae.data.transitions import Transitions
    from ctvae.models.published.objectives import LayerObjective

__all__ = ["AutoencoderStage", "LayerStage", "fit_autoencoder", "fit_layer"]

Records = list[dict[str, float]]


class AutoencoderStage(Settings):
    """The first stage: reconstruction through codes.

    Attributes:
        steps: Optimizer steps.
        images_per_step: Images in a batch.
        learning_rate: Of Adam, constant.
        commitment_weight: The weight of features' distance to their codes.
        seed: For the batches.
        device: ``auto`` takes an accelerator where there is one; otherwise ``cpu``, ``cuda``, ...
    """

    steps: int = Field(1070, ge=1)
    images_per_step: int = Field(64, ge=1)
    learning_rate: float = Field(5e-4, gt=0)
    commitment_weight: float = Field(0.25, ge=0)
    seed: int = Field(0, ge=0, le=2**62)
    device: str = "auto"


class LayerStage(Settings):
    """The second stage: the CT layer alone, on frozen codes.

    Attributes:
        steps: Optimizer steps.
        rows_per_step: Images or pairs in a batch.
        learning_rate: Of Adam, constant.
        base_share: How often a batch asks the layer for the codes themselves, in parts.
        action_share: How often for the codes after an action.
        retrieval_share: How often for the action.
        seed: For batches and what the layer draws.
        device: ``auto`` takes an accelerator where there is one; otherwise ``cpu``, ``cuda``, ...
    """

    steps: int = Field(1650, ge=1)
    rows_per_step: int = Field(32, ge=1)
    learning_rate: float = Field(1e-3, gt=0)
    base_share: int = Field(1, ge=0)
    action_share: int = Field(2, ge=0)
    retrieval_share: int = Field(1, ge=0)
    seed: int = Field(0, ge=0, le=2**62)
    device: str = "auto"


def fit_autoencoder(
    model: GridAutoencoder,
    images: Tensor,
    stage: AutoencoderStage | None = None,
    *,
    progress: Progress | None = None,
) -> Records:
    """Trains an autoencoder to rebuild images, in place.

    Squared error of pixels plus ``codebook_loss``.

    Args:
        model: The autoencoder; moved to the device.
        images: Training images ``(n, channels, size, size)``, uint8 or floats in [0, 1].
        stage: Settings; the defaults where ``None``.
        progress: Called as training goes on.

    Returns:
        The figures logged, one record per 25 steps and one for the last.
    """
    stage = stage or AutoencoderStage()
    device = make_fabric(stage.device).device
    model.to(device).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=stage.learning_rate)

    def step(generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        rows = _draw(len(images), stage.images_per_step, generator)
        batch = images[rows.to(images.device)].to(device)
        batch = batch.float() / 255 if batch.dtype == torch.uint8 else batch
        found = model(batch)
        error = (found.images - batch).square().mean()
        learned = codebook_loss(
            found.features,
            found.vectors,
            codebooks=model.codebooks,
            commitment_weight=stage.commitment_weight,
        )
        return error + learned, {"squared_error": error, "codebook": learned}

    generator = make_generator(stage.seed, device)
    records = _run("autoencoder", step, optimizer, stage.steps, generator, progress)
    model.eval()
    return records


def fit_layer(
    objective: LayerObjective,
    codes: Int[Tensor, "n slots"],
    pairs: Transitions,
    stage: LayerStage | None = None,
    *,
    progress: Progress | None = None,
) -> Records:
    """Trains a CT layer on the codes of labelled pairs, in place.

    Every batch asks one question: the codes themselves, the codes after an action, or the action.

    Args:
        objective: The losses of a layer; the layer is moved to the device.
        codes: The codes of all images of the pool of ``pairs``.
        pairs: Training pairs, all labelled.
        stage: Settings; the defaults where ``None``.
        progress: Called as training goes on.

    Returns:
        The figures logged, one record per 25 steps and one for the last.

    Raises:
        DataError: When a pair has no label, or there is not one row of codes per image.
    """
    stage = stage or LayerStage()
    if len(codes) != len(pairs.images) or bool((pairs.action < 0).any()):
        msg = (
            f"need a row of codes for each of {len(pairs.images)} images and a label for each "
            f"pair, got {len(codes)} rows and {int((pairs.action < 0).sum())} pairs without a label"
        )
        raise DataError(msg)
    device = make_fabric(stage.device).device
    layer = objective.layer.to(device).train()
    optimizer = torch.optim.Adam(layer.parameters(), lr=stage.learning_rate)
    codes, used = codes.to(device), pairs.used_images().to(device)
    before, action, after = (t.to(device) for t in (pairs.before, pairs.action, pairs.after))
    kinds = torch.tensor([
        *[0] * stage.base_share,
        *[1] * stage.action_share,
        *[2] * stage.retrieval_share,
    ])

    def step(generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        kind = int(kinds[_draw(len(kinds), 1, generator).cpu()])
        count = len(used) if kind == 0 else len(before)
        rows = _draw(count, stage.rows_per_step, generator)
        if kind == 0:
            loss = objective.base(codes[used[rows]], seed=generator)
            return loss, {"base": loss}
        ask = objective.action if kind == 1 else objective.retrieval
        loss = ask(codes[before[rows]], action[rows], codes[after[rows]], seed=generator)
        return loss, {"action" if kind == 1 else "retrieval": loss}

    generator = make_generator(stage.seed, device)
    records = _run("layer", step, optimizer, stage.steps, generator, progress)
    layer.eval()
    return records


def _draw(count: int, rows: int, generator: torch.Generator) -> Tensor:
    return torch.randint(count, (rows,), generator=generator, device=generator.device)


def _run(
    name: str,
    step: Callable[[torch.Generator], tuple[Tensor, dict[str, Tensor]]],
    optimizer: torch.optim.Optimizer,
    steps: int,
    generator: torch.Generator,
    progress: Progress | None,
) -> Records:
    records: Records = []
    for number in range(steps):
        loss, metrics = step(generator)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if number % LOG_EVERY == 0 or number + 1 == steps:
            figures = {key: float(value.detach()) for key, value in metrics.items()}
            records.append({"step": number, "loss": float(loss.detach()), **figures})
            if progress is not None:
                progress(name, number + 1, steps, records[-1])
    return records
