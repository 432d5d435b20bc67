"""What the runs of a comparison say of one pair of nodes, in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from ctvae.graph.causal_graph import CausalGraph
from ctvae.graph.distances import edge_state
from ctvae.graph.outcomes import Outcome

__all__ = ["explain"]


def explain(
    outcomes: Mapping[str, Sequence[Outcome]], truths: Sequence[CausalGraph], i: str, j: str
) -> str:
    """Says what every method makes of one pair of nodes, and why where it is known.

    Args:
        outcomes: Method to its runs.
        truths: The true graph, or one a run; empty where there is none.
        i: A node.
        j: Another node.

    Returns:
        A line for the truth and one for each method.

    Example:
        >>> graph = CausalGraph.from_edges([("a", "b")])
        >>> explain({"PC": [Outcome(graph)]}, [], "b", "a")
        'PC: b <- a'
    """
    lines = [] if not truths else [f"truth: {_mark(truths[0], i, j)}"]
    if len(truths) > 1:
        lines[0] += f" in the first of {len(truths)} truths"
    for name, runs in outcomes.items():
        judges = truths if len(truths) > 1 else [truths[0] if truths else None] * len(runs)
        said = Counter(
            _state(run, truth, i, j) for run, truth in zip(runs, judges, strict=True)
        ).most_common()
        parts = [text for text, _ in said]
        if len(runs) > 1:
            parts = [f"{text} in {count} of {len(runs)} runs" for text, count in said]
        lines.append(f"{name}: " + "; ".join(parts) + _reason(runs, i, j))
    return "\n".join(lines)


def _mark(graph: CausalGraph, i: str, j: str) -> str:
    marks = [f"{i} {mark} {j}" for mark in graph.marks_between(i, j)]
    return " and ".join(marks) or f"no edge between {i} and {j}"


def _state(run: Outcome, truth: CausalGraph | None, i: str, j: str) -> str:
    if run.graph is None:
        return "no graph"
    words = _mark(run.graph, i, j)
    return words if truth is None else f"{words} ({edge_state(run.graph, truth, i, j).value})"


def _reason(runs: Sequence[Outcome], i: str, j: str) -> str:
    if len(runs) == 1 and runs[0].failure is not None:
        return f" ({runs[0].failure.reason})"
    if len(runs) == 1 and runs[0].result is not None:
        return "; " + str(runs[0].result.evidence(i, j)).partition(": ")[2]
    found = []
    for run in runs:
        if run.graph is not None and run.probabilities is not None:
            nodes = run.graph.nodes
            found.append(float(run.probabilities[nodes.index(i), nodes.index(j)]))
    mean = "mean " if len(runs) > 1 else ""
    return f"; {mean}P({i} -> {j}) = {np.mean(found):.3f}" if found else ""
