"""The demo as a measurement: one row of metrics per run."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks import records
from ctvae.cli.demo import run_demo
from ctvae.data import PairRule, SetTo, StepBy

RULES: dict[str, PairRule] = {"shift": StepBy(), "set": SetTo()}


def run_demos(
    name: str, data: Path | None, runs: Sequence[tuple[str, int]], shown: Sequence[str]
) -> None:
    """Runs the demo several times and records its metrics.

    Args:
        name: Of the record.
        data: The image file; the built-in world where ``None``.
        runs: Pairs (actions, seed).
        shown: The metrics to average over the runs of one kind of actions.
    """
    rows: list[dict[str, object]] = []
    for actions, seed in runs:
        with tempfile.TemporaryDirectory() as out:
            result = run_demo(data, RULES[actions], seed=seed, out=Path(out), command="")
        rows.append({"actions": actions, **result.metrics})
        records.show({key: rows[-1][key] for key in ("actions", "seed", *shown)})
    summary: dict[str, object] = {}
    for actions in dict.fromkeys(actions for actions, _ in runs):
        mine = [row for row in rows if row["actions"] == actions]
        for key in shown:
            figures = [float(str(row[key])) for row in mine]
            mean = sum(figures) / len(figures)
            summary[f"{actions}: {key}"] = {
                "mean": mean,
                "lowest": min(figures),
                "highest": max(figures),
            }
    records.write(name, rows, summary)
