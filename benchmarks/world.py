"""The built-in world: five seeds; the graph over learned slots against PC, GES and the ceiling."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.demos import run_demos

SHOWN = (
    "action_accuracy",
    "action_nll",
    "slots_changed",
    "edit_atomicity",
    "graph_shd",
    "graph_shd_pc",
    "graph_shd_ges",
    "graph_shd_true_factors",
    "graph_shd_empty",
    "cpu_seconds",
)


def run(seeds: Sequence[int] | None = None) -> None:
    """Runs the demo on the built-in world.

    Args:
        seeds: The seeds; 0 to 4 where ``None``.
    """
    run_demos("world", None, [("shift", seed) for seed in seeds or range(5)], SHOWN)
