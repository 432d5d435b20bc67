"""Run records: what was measured, with which versions, on what."""

from __future__ import annotations

import json
import platform
import subprocess
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

import torch

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "_records"
SHARED = Path(__file__).resolve().parent.parent.parent / "shared" / "data"


def _commit() -> str:
    """The commit that the run started from: files may change while it goes on."""
    found = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parent,
    )
    return found.stdout.strip()


COMMIT = _commit()


def write(
    name: str,
    rows: Sequence[Mapping[str, object]],
    summary: Mapping[str, object],
    *,
    rivals: Sequence[str] = ("causal-learn",),
) -> None:
    """Writes one record.

    Args:
        name: The benchmark.
        rows: One mapping per run.
        summary: Figures over all runs.
        rivals: Packages measured beside ours, whose versions are recorded.
    """
    document = {
        "benchmark": name,
        "commit": COMMIT,
        "versions": {p: version(p) for p in ("ctvae", "torch", "numpy", *rivals)},
        "python": platform.python_version(),
        "device": "cpu",
        "threads": torch.get_num_threads(),
        "summary": dict(summary),
        "rows": [dict(row) for row in rows],
    }
    FOLDER.mkdir(parents=True, exist_ok=True)
    path = FOLDER / f"{name}.json"
    path.write_text(json.dumps(document, indent=1) + "\n")
    print(f"recorded in docs/_records/{path.name}")


def show(row: Mapping[str, object]) -> None:
    """Prints one row.

    Args:
        row: Name to figure.
    """
    parts = (
        f"{name}={value:.6g}" if isinstance(value, float) else f"{name}={value}"
        for name, value in row.items()
    )
    print("  ".join(parts), flush=True)
