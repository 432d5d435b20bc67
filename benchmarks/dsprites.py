"""dSprites, which the recipe does not solve: what it reaches, and the alarms it raises."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.demos import run_demos
from benchmarks.records import SHARED

SHOWN = (
    "action_accuracy",
    "action_accuracy_continuous",
    "action_accuracy_up_to_equivalence",
    "action_nll",
    "slots_changed_exactly_one",
    "edit_atomicity",
    "cpu_seconds",
)


def run(seeds: Sequence[int] | None = None) -> None:
    """Runs the demo on the dSprites file.

    Args:
        seeds: The seeds; 0 where ``None``.
    """
    runs = [("shift", seed) for seed in seeds or (0,)]
    run_demos("dsprites", SHARED / "dsprites" / "dsprites_downsampled.npz", runs, SHOWN)
