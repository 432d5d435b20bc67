"""CPU time of one call."""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["cpu_seconds"]


def cpu_seconds(call: Callable[[], object], repeats: int) -> float:
    """Measures a call, after one to warm up.

    Args:
        call: What to measure.
        repeats: How often.

    Returns:
        The median CPU seconds of this process.
    """
    call()
    times = []
    for _ in range(repeats):
        begun = time.process_time()
        call()
        times.append(time.process_time() - begun)
    return sorted(times)[repeats // 2]
