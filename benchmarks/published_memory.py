"""Memory of one retrieval training step of a CT layer, each measured in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys

PROGRAM = """
import ctypes, json, pathlib, sys
import torch
from torch.profiler import ProfilerActivity, profile
from ctvae.models import published

def step():
    before, after = torch.randint(64, (2, pairs, 64), generator=generator)
    action = torch.randint(12, (pairs,), generator=generator)
    objective.retrieval(before, action, after, seed=generator).backward()

def resident(key):
    lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(key))

def grown(call):
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    pathlib.Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    start = resident("VmRSS")
    call()
    return (resident("VmHWM") - start) / 1e6

def first():
    global objective, optimizer
    layer = getattr(published, name + "CTLayer")(64, 64, 12, hidden=(800, 100))
    objective = getattr(published, name + "Objective")(layer)
    optimizer = torch.optim.Adam(layer.parameters())
    step()
    optimizer.step()

name, pairs = sys.argv[1], int(sys.argv[2])
torch.set_num_threads(1)
generator = torch.Generator().manual_seed(0)
figures = {"process_mb": grown(first), "second_step_mb": grown(step)}
with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as found:
    step()
events = [e for e in found.profiler.kineto_results.events() if e.name() == "[memory]"]
held = peak = 0
for event in sorted(events, key=lambda e: e.start_ns()):
    held += event.nbytes()
    peak = max(peak, held)
print(json.dumps({"tensors_mb": peak / 1e6, **figures}))
"""


def memory_rows() -> list[dict[str, object]]:
    """Measures what forward and backward over all actions add at 64 slots and 12 actions.

    64 codes, hidden widths 800 and 100. ``tensors_mb``: the peak of what tensors hold beside
    parameters and their gradients, by torch's profiler. ``second_step_mb``: by how much the
    process grows over its start, at most, in a second step. ``process_mb``: the same for a first
    step with parameters (15 MB), their gradients and the state of Adam in it, and all that torch
    sets up at first use; this is how the published code was measured. Megabytes are 1e6 bytes.

    Returns:
        One row for each layer and number of pairs in a batch.
    """
    rows: list[dict[str, object]] = []
    for name in ("Published", "Repaired"):
        for pairs in (1, 2, 4):
            found = subprocess.run(
                [sys.executable, "-c", PROGRAM, name, str(pairs)],
                capture_output=True,
                text=True,
                check=True,
            )
            figures = json.loads(found.stdout.splitlines()[-1])
            rows.append({"layer": f"{name}CTLayer", "pairs": pairs, **figures})
    return rows
