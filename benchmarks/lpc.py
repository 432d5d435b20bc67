"""LPC sprites, real images: actions by one step and by setting values, characters held out."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.demos import run_demos
from benchmarks.records import SHARED

SHOWN = (
    "action_accuracy",
    "action_nll",
    "slots_changed",
    "slots_changed_exactly_one",
    "edit_atomicity",
    "graph_shd",
    "cpu_seconds",
)


def run(seeds: Sequence[int] | None = None) -> None:
    """Runs the demo on the LPC file.

    Args:
        seeds: The seeds; 0 to 2 where ``None``.
    """
    runs = [(actions, seed) for actions in ("shift", "set") for seed in seeds or range(3)]
    run_demos("lpc", SHARED / "lpc_sprites" / "lpc_sprites_train.npz", runs, SHOWN)
