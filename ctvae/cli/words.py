"""What ``ctvae discover`` prints, in the words of the command line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ctvae.code_tables import NATURAL
from ctvae.graph import FCI, DiscoveryResult, DiscoveryStatus, Stability

__all__ = ["describe"]

ADVICE = {
    DiscoveryStatus.EQUIVALENT_GRAPHS: "other DAGs explain these rows equally well, so some "
    "directions are arbitrary: read the probabilities, or set more slots and name them by "
    "--targets",
    DiscoveryStatus.CHAINS_DISAGREE: "two chains give some edge probabilities more than .2 apart: "
    "read them as rough, and raise --set num_samples=; the graph is the best one met all the same",
    DiscoveryStatus.INVALID_CPDAG: "colliders contradict each other, so no DAG has this graph as "
    "its CPDAG: use more rows or a smaller --set alpha=, or --method ges",
    DiscoveryStatus.UNPLACED_CHANGE: "some slot's law differs between regimes, and no slot was "
    "found by which the change could reach it: use more rows or a larger --set alpha=, or --method "
    "interventional-bdeu or order-mcmc",
    DiscoveryStatus.FEW_ROWS_PER_CELL: "edges were removed by tests with fewer than 5 rows per "
    "table cell, which cannot see a dependence: merge codes, use more rows, --set "
    "max_conditioning=, or --method pc --set test=residual",
}
"""Where the text of a status speaks of Python."""
OFTEN = 0.5
"""An edge in more than this share of the resamples is told even where the graph lacks it."""


def describe(result: DiscoveryResult, stable: Stability | None, regimes: Sequence[str]) -> str:
    """Tells what was learned.

    Args:
        result: The result.
        stable: The graphs of resamples, or ``None``.
        regimes: The labels of regimes; empty where there are none.

    Returns:
        Some lines.
    """
    graph = result.graph
    kind = "PAG" if isinstance(result.method, FCI) else graph.kind.value  # also without circles
    lines = [f"{kind} of {plural(graph.num_edges, 'edge')} over {plural(len(graph.nodes), 'slot')}"]
    lines += _edges(result, stable)
    advice = ADVICE.get(result.status, result.status.advice)
    lines.append(f"{result.status.name}: {advice}")
    if result.thin_tables is not None:
        lines.append(str(result.thin_tables).partition(";")[0])
    lines += [f"warning: {warning}" for warning in result.warnings]
    if result.changing_slots is not None:
        lines.append(f"laws that change: {', '.join(result.changing_slots) or 'none'}")
    if result.target_probabilities is not None:
        for label, row in zip(regimes, result.target_probabilities.tolist(), strict=True):
            if label == NATURAL:
                continue
            likely = [f"{n} ({p:.0%})" for n, p in zip(graph.nodes, row, strict=True) if p > 0.5]
            lines.append(f"regime {label}: {', '.join(likely) or 'no target'}")
    return "\n".join(lines)


def plural(count: int, what: str) -> str:
    """Counts something.

    Args:
        count: How many.
        what: One of them.

    Returns:
        Such as ``1 slot`` or ``2 slots``.
    """
    return f"{count} {what}{'' if count == 1 else 's'}"


def _edges(result: DiscoveryResult, stable: Stability | None) -> Iterator[str]:
    nodes = result.graph.nodes
    pairs = [(a, b) for i, a in enumerate(nodes) for b in nodes[i + 1 :]]
    left_out = []
    for a, b in pairs:
        mark = result.graph.mark(a, b)
        first, second = (a, b) if mark != "<-" else (b, a)
        said = _shares(stable, first, second) if stable is not None else ""
        if mark != "none":
            chance = ""
            if result.edge_probabilities is not None:
                i, j = nodes.index(first), nodes.index(second)
                chance = f"   probability {float(result.edge_probabilities[i, j]):.2f}"
            yield f"  {first} {'->' if mark == '<-' else mark} {second}{chance}{said}"
        elif stable is not None and stable.adjacent[nodes.index(a), nodes.index(b)] > OFTEN:
            left_out.append(f"  {a}, {b}{said}")
    if left_out:
        yield "not in the graph, and often found:"
        yield from left_out


def _shares(stable: Stability, a: str, b: str) -> str:
    i, j = stable.nodes.index(a), stable.nodes.index(b)
    return (
        f"   joined in {stable.adjacent[i, j]:.0%} of the resamples, -> in "
        f"{stable.directed[i, j]:.0%}, <- in {stable.directed[j, i]:.0%}"
    )
