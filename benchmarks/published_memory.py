"""Memory of one retrieval training step of a CT layer, each measured in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys

PROGRAM = """
import ctypes, json, pathlib, sys
import torch
from ctvae.models import published as p

def status(key):
    lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(key))

def step(layer, objective, pairs, generator):
    before, after = torch.randint(layer.codes, (2, pairs, layer.slots), generator=generator)
    action = torch.randint(layer.actions, (pairs,), generator=generator)
    objective.retrieval(before, action, after, seed=generator).backward()

name, pairs = sys.argv[1], int(sys.argv[2])
torch.set_num_threads(1)
generator = torch.Generator().manual_seed(0)
make, losses = getattr(p, name + "CTLayer"), getattr(p, name + "Objective")
small = make(4, 4, 2, hidden=(8, 4))
step(small, losses(small), 1, generator)  # loads every kernel
layer = make(64, 64, 12, hidden=(800, 100))
for parameter in layer.parameters():
    parameter.grad = torch.zeros_like(parameter)
ctypes.CDLL("libc.so.6").malloc_trim(0)
pathlib.Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
before = status("VmRSS")
step(layer, losses(layer), pairs, generator)
print(json.dumps({"before": before, "added": status("VmHWM") - before}))
"""


def memory_rows() -> list[dict[str, object]]:
    """Measures the resident memory that forward and backward add at 64 slots and 12 actions.

    64 codes, hidden widths 800 and 100; parameters and their gradients (30 MB) are there before.

    Returns:
        One row for each layer and number of pairs in a batch, in megabytes (1e6 bytes).
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
            added = json.loads(found.stdout)["added"] / 1e6
            rows.append({"layer": f"{name}CTLayer", "pairs": pairs, "megabytes": added})
    return rows
