"""The table of a comparison, rebuilt from its records."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence

import torch

from ctvae.bench.records import Record

__all__ = ["COLUMNS", "interval", "render_table"]

COLUMNS: dict[str, str] = {
    "accuracy": "accuracy",
    "nll": "NLL",
    "slots_changed": "slots changed",
    "matched_nmi": "matched NMI",
    "info_modularity": "InfoM",
    "info_explicitness": "InfoE",
    "info_compactness": "InfoC",
    "dci_disentanglement": "DCI D",
    "dci_completeness": "DCI C",
    "mig": "MIG",
    "parameters": "parameters",
}
"""Names in the records, and the table's heads."""


def interval(values: Sequence[float]) -> tuple[float, float]:
    r"""Gives mean and half-width of Student's 95 % interval for it.

    .. math:: \bar x \pm t_{.975, n - 1}\, s / \sqrt n

    Args:
        values: One figure per seed.

    Returns:
        Mean and half-width; NaN for a single figure.

    Example:
        >>> mean, half = interval([1.0, 2.0, 3.0])
        >>> mean, round(half, 3)
        (2.0, 2.484)
    """
    from scipy.stats import t

    figures = torch.tensor(values).double()
    count = len(figures)
    if count < 2:
        return float(figures.mean()), math.nan
    half = t.ppf(0.975, count - 1) * float(figures.std()) / math.sqrt(count)
    return float(figures.mean()), float(half)


def render_table(records: Sequence[Record], *, not_run: Mapping[str, str]) -> str:
    """Writes a Markdown table for each data set: one row for each method and its settings.

    Args:
        records: The runs.
        not_run: Methods without figures, and why.

    Returns:
        Markdown: means and 95 % intervals over the seeds.
    """
    by_data: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        by_data[record.key.data].append(record)
    return "\n".join(_table(name, by_data[name], not_run) for name in sorted(by_data))


def _table(data: str, records: Sequence[Record], not_run: Mapping[str, str]) -> str:
    rows: dict[tuple[str, str], list[Record]] = defaultdict(list)
    for record in records:
        rows[record.key.method, record.key.settings_hash].append(record)
    heads = ["method", "steps", "seeds", *COLUMNS.values(), "CPU s"]
    lines = [f"## {data}", "", _line(heads), _line(["---"] * len(heads))]
    lines += [_row(method, runs) for (method, _), runs in sorted(rows.items())]
    done = {record.key.method for record in records}
    for method, reason in not_run.items():
        if method not in done:
            lines.append(_line([method, f"not run, because: {reason}", *[""] * (len(heads) - 2)]))
    return "\n".join([*lines, ""])


def _row(method: str, runs: Sequence[Record]) -> str:
    steps = runs[0].key.settings.get("budget", {}).get("steps", "")
    cells = [method, str(steps), str(len(runs))]
    for name in COLUMNS:
        kept = [v for run in runs if (v := run.scores.get(name)) is not None]
        cells.append(_figure(name, kept))
    return _line([*cells, f"{interval([run.cpu_seconds for run in runs])[0]:.0f}"])


def _figure(name: str, values: Sequence[float]) -> str:
    if not values:
        return "-"
    mean, half = interval(values)
    if name == "parameters":
        return f"{mean:,.0f}"
    return f"{mean:.3f}" if math.isnan(half) else f"{mean:.3f} ± {half:.3f}"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
