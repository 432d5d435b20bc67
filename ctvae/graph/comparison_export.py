"""A comparison as a data frame and as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from ctvae.graph.comparison_rows import ComparisonRow
from ctvae.graph.comparison_table import AIDS, Conventions
from ctvae.graph.graph_scores import GraphScore
from ctvae.graph.outcomes import Outcome

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["to_frame", "to_json"]

JSON_FORMAT = "ctvae-comparison"


def to_frame(
    rows: Sequence[ComparisonRow],
    num_effects: int,
    distances: Float[np.ndarray, "methods methods"] | None = None,
) -> pd.DataFrame:
    """Makes a data frame of scores.

    Args:
        rows: The scores.
        num_effects: The effects judged by SID and its relatives.
        distances: Those between the methods, which stand for the scores where there is no truth.

    Returns:
        One line a method, indexed by its name.

    Example:
        >>> to_frame([ComparisonRow("PC", shd=3)], 6).loc["PC", "shd"]
        np.int64(3)
    """
    import pandas as pd

    if distances is not None:
        lines = [
            {"method": row.method, "edges": row.edges}
            | {f"SHD to {other.method}": d for other, d in zip(rows, line, strict=True)}
            for row, line in zip(rows, distances.tolist(), strict=True)
        ]
    else:
        lines = [_line(row, num_effects) for row in rows]
    return pd.DataFrame(lines).set_index("method").apply(pd.to_numeric)


def _line(row: ComparisonRow, num_effects: int) -> dict[str, object]:
    line: dict[str, object] = {"method": row.method}
    for score in GraphScore:
        value = row.value(score)
        line[score.value] = value
        if score in row.intervals:
            line[f"{score.value}_half_width"] = row.intervals[score].half_width
        if score in AIDS and value is not None and num_effects:
            line[f"{score.value}_normalised"] = value / num_effects
    return line | {"num_runs": row.num_runs, "num_failures": len(row.failures)}


def to_json(
    methods: Mapping[str, tuple[ComparisonRow, Sequence[Outcome]]],
    told: Conventions,
    *,
    caption: str,
) -> str:
    """Writes a comparison in JSON.

    Args:
        methods: Method to its scores and runs.
        told: The truths, targets and treatments.
        caption: The conventions in words.

    Returns:
        Text of one object; graphs are in the form of ``CausalGraph.to_json``.

    Example:
        >>> json.loads(to_json({}, Conventions(()), caption=""))["format"]
        'ctvae-comparison'
    """
    rows = []
    for method, (row, runs) in methods.items():
        found = {score.value: row.value(score) for score in GraphScore}
        reasons = {**row.undefined, **row.skipped}
        rows.append({
            "method": method,
            "scores": {name: value for name, value in found.items() if value is not None},
            "intervals": {score.value: one._asdict() for score, one in row.intervals.items()},
            "undefined": {score.value: text for score, text in reasons.items()},
            "failures": [failure.reason for failure in row.failures],
            "graphs": [json.loads(run.graph.to_json()) if run.graph else None for run in runs],
        })
    document = {
        "format": JSON_FORMAT,
        "version": 1,
        "library_version": version("ctvae"),
        "conventions": caption,
        "truths": [json.loads(truth.to_json()) for truth in told.truths],
        "targets": told.targets,
        "treatments": told.treatments,
        "rows": rows,
    }
    return json.dumps(document, ensure_ascii=False)
