"""Bars that show how far a training is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

if TYPE_CHECKING:
    from ctvae.training import Progress as Report

__all__ = ["training_progress"]


@contextmanager
def training_progress(console: Console | None = None) -> Iterator[Report]:
    """Shows a bar for each stage of a training, with its latest figures.

    Args:
        console: Where to; the standard output where ``None``.

    Yields:
        What ``fit`` takes as ``progress=``.
    """
    columns = (
        TextColumn("{task.description:<11}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total}"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[figures]}"),
    )
    with Progress(*columns, console=console) as bar:
        tasks = {}

        def report(stage: str, step: int, steps: int, metrics: dict[str, float]) -> None:
            if stage not in tasks:
                tasks[stage] = bar.add_task(stage, total=steps, figures="")
            shown = {k: v for k, v in metrics.items() if k not in {"step", "loss"}}
            figures = "  ".join(f"{name.replace('_', ' ')} {v:.4f}" for name, v in shown.items())
            bar.update(tasks[stage], completed=step, figures=figures)

        yield report
