"""CPU time of calls."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

__all__ = ["cpu_seconds", "side_by_side"]


def cpu_seconds(call: Callable[[], object], repeats: int) -> float:
    """Measures a call, after one to warm up.

    Args:
        call: What to measure.
        repeats: How often.

    Returns:
        The median CPU seconds of this process.
    """
    return side_by_side({"": call}, repeats)[""]


def side_by_side(calls: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Measures calls in turn, so that a machine that slows down slows all of them.

    Args:
        calls: Name to what to measure.
        repeats: How often.

    Returns:
        Name to the median CPU seconds of this process, without the first round.
    """
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(repeats + 1):
        for name, call in calls.items():
            begun = time.process_time()
            call()
            times[name].append(time.process_time() - begun)
    return {name: sorted(taken[1:])[repeats // 2] for name, taken in times.items()}
