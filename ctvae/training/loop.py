"""One optimisation: seeded batches, warm-up and cosine schedule, checkpoints to resume from."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from lightning_fabric import Fabric

__all__ = ["Loop", "Progress", "Snapshot", "StepLoss"]

WARM_UP_STEPS = 40
FINAL_RATE = 0.01
"""The schedule ends at this share of the peak learning rate."""
LOG_EVERY = 25


class StepLoss(NamedTuple):
    """What one step gives.

    Attributes:
        total: What is minimised.
        metrics: Figures to log, detached.
    """

    total: Tensor
    metrics: dict[str, Tensor]


class Progress(Protocol):
    """Called as training goes on; silent where none is given."""

    def __call__(self, stage: str, step: int, steps: int, metrics: dict[str, float]) -> None:
        """Reports a step.

        Args:
            stage: The name of the stage.
            step: Steps done.
            steps: Steps in all.
            metrics: The latest figures.
        """


class Snapshot(NamedTuple):
    """The state of an optimisation after a step, enough to go on to the last bit.

    Attributes:
        step: Steps done.
        tensors: Weights, optimizer moments and the generator's state.
        records: Figures logged so far.
    """

    step: int
    tensors: dict[str, Tensor]
    records: list[dict[str, float]]


@dataclass
class Loop:
    """An optimisation of one objective.

    Attributes:
        stage: Its name.
        objective: A module whose forward takes a batch and gives a ``StepLoss``.
        groups: Parameter groups of AdamW, each with ``lr`` (the peak) and ``weight_decay``.
        draw: Draws a batch from a generator.
        steps: How many steps.
        seed: For the batches.
    """

    stage: str
    objective: nn.Module
    groups: list[dict[str, Any]]
    draw: Callable[[torch.Generator], tuple[Tensor, ...]]
    steps: int
    seed: int
    records: list[dict[str, float]] = field(default_factory=list)

    def run(
        self,
        fabric: Fabric,
        *,
        resume: Snapshot | None = None,
        save: Callable[[Snapshot], None] | None = None,
        save_every: int = 250,
        progress: Progress | None = None,
    ) -> list[dict[str, float]]:
        """Runs to the last step.

        Args:
            fabric: Where and how to run.
            resume: Where an earlier run stopped.
            save: Called with a snapshot every ``save_every`` steps.
            save_every: Steps between snapshots.
            progress: Called with the latest figures.

        Returns:
            The figures logged, one record per 25 steps and one for the last.
        """
        generator = torch.Generator().manual_seed(self.seed + 7919 * fabric.global_rank)
        optimizer = torch.optim.AdamW(self.groups, betas=(0.9, 0.98))
        peaks = [group["lr"] for group in optimizer.param_groups]
        first = 0
        if resume is not None:
            first = resume.step
            self.records = list(resume.records)
            _restore(resume.tensors, self.objective, optimizer, generator)
        objective, optimizer = fabric.setup(self.objective, optimizer)
        objective.train()
        for step in range(first, self.steps):
            for group, peak in zip(optimizer.param_groups, peaks, strict=True):
                group["lr"] = peak * rate(step, self.steps)
            loss: StepLoss = objective(*self.draw(generator))
            optimizer.zero_grad()
            fabric.backward(loss.total)
            optimizer.step()
            last = step + 1 == self.steps
            if step % LOG_EVERY == 0 or last:
                metrics = {name: float(value) for name, value in loss.metrics.items()}
                self.records.append({"step": step, "loss": float(loss.total.detach()), **metrics})
            if save is not None and ((step + 1) % save_every == 0 or last):
                tensors = _capture(self.objective, optimizer, generator)
                save(Snapshot(step + 1, tensors, list(self.records)))
            if progress is not None and ((step + 1) % LOG_EVERY == 0 or last):
                progress(self.stage, step + 1, self.steps, self.records[-1])
        return self.records


def rate(step: int, steps: int) -> float:
    """Gives the learning rate of a step, as a share of its peak.

    Args:
        step: Steps done.
        steps: Steps in all.

    Returns:
        A linear rise over 40 steps times a cosine down to .01.

    Example:
        >>> rate(39, 10_000) > 0.99, round(rate(9_999, 10_000), 2)
        (True, 0.01)
    """
    rise = min(1.0, (step + 1) / WARM_UP_STEPS)
    fall = FINAL_RATE + (1 - FINAL_RATE) * 0.5 * (1 + math.cos(math.pi * step / steps))
    return rise * fall


def _parameters(optimizer: torch.optim.Optimizer) -> Iterable[Tensor]:
    return (p for group in optimizer.param_groups for p in group["params"])


def _capture(
    objective: nn.Module, optimizer: torch.optim.Optimizer, generator: torch.Generator
) -> dict[str, Tensor]:
    tensors = {f"objective.{name}": t.clone() for name, t in objective.state_dict().items()}
    for number, parameter in enumerate(_parameters(optimizer)):
        for name, value in optimizer.state[parameter].items():
            tensors[f"optimizer.{number}.{name}"] = torch.as_tensor(value).clone()
    tensors["generator"] = generator.get_state()
    return tensors


def _restore(
    tensors: dict[str, Tensor],
    objective: nn.Module,
    optimizer: torch.optim.Optimizer,
    generator: torch.Generator,
) -> None:
    prefix = "objective."
    objective.load_state_dict({
        name[len(prefix) :]: t for name, t in tensors.items() if name.startswith(prefix)
    })
    for number, parameter in enumerate(_parameters(optimizer)):
        start = f"optimizer.{number}."
        state = {n[len(start) :]: t for n, t in tensors.items() if n.startswith(start)}
        # AdamW counts its steps on the CPU and keeps its moments beside the parameter.
        optimizer.state[parameter] = {
            name: value.cpu() if name == "step" else value.to(parameter.device)
            for name, value in state.items()
        }
    generator.set_state(tensors["generator"].cpu())
