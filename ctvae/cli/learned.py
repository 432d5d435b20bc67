"""A graph's file with what was learned beside the graph."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ctvae.cli.files import read_graph_file, read_text
from ctvae.errors import DataError
from ctvae.graph import (
    CausalGraph,
    DiscoveryResult,
    DiscoveryStatus,
    Knowledge,
    Stability,
)
from ctvae.randomness import Seed
from ctvae.regimes import Samples

__all__ = ["read_learned", "to_json"]


@dataclass(frozen=True, repr=False)
class MethodOfFile:
    """The method that a file names, which ran elsewhere.

    Args:
        words: The method with its settings.
    """

    words: str

    def discover(
        self, samples: Samples, *, knowledge: Knowledge | None = None, seed: Seed = 0
    ) -> DiscoveryResult:
        """Refuses: a name is all there is."""
        msg = f"{self.words} is read from a file, and cannot be run; make the method anew"
        raise DataError(msg)

    def __repr__(self) -> str:
        return self.words


def to_json(
    result: DiscoveryResult, *, seed: int, stable: Stability | None, regimes: Sequence[str]
) -> str:
    """Writes the graph as ``CausalGraph.to_json`` does, and what else was found as ``discovery``.

    Args:
        result: What was learned.
        seed: The seed.
        stable: The graphs of resamples, or ``None``.
        regimes: The labels of the regimes; empty where there are none.

    Returns:
        One line; ``CausalGraph.from_json`` reads the graph from it.
    """
    graph = result.graph
    found: dict[str, object] = {
        "method": repr(result.method),
        "status": result.status.name,
        "warnings": list(result.warnings),
        "rows_used": result.rows_used,
        "cpu_seconds": result.cpu_seconds,
        "seed": seed,
    }
    if result.edge_probabilities is not None:
        found["edge_probabilities"] = _rounded(result.edge_probabilities)
    if result.target_probabilities is not None:
        chances = _rounded(result.target_probabilities)
        found["target_probabilities"] = {
            label: dict(zip(graph.nodes, row, strict=True))
            for label, row in zip(regimes, chances, strict=True)
        }
    if result.changing_slots is not None:
        found["changing_slots"] = list(result.changing_slots)
    if stable is not None:
        found["bootstrap"] = {
            "num_graphs": len(stable.graphs),
            "failures": [failure.reason for failure in stable.failures],
            "adjacent": stable.adjacent.tolist(),
            "directed": stable.directed.tolist(),
        }
    return json.dumps(json.loads(graph.to_json()) | {"discovery": found}, ensure_ascii=False)


def read_learned(path: Path) -> CausalGraph | DiscoveryResult:
    """Reads a graph, with its edge probabilities where its file holds them.

    Args:
        path: The file; ``discovery`` is read from JSON alone.

    Returns:
        The graph, or a result with status, edge probabilities and processor time.

    Raises:
        DataError: When ``discovery`` is not what ``ctvae discover`` writes.
    """
    graph = read_graph_file(path)
    found = json.loads(read_text(path)) if path.suffix.lower() == ".json" else {}
    if "discovery" not in found:
        return graph
    told = found["discovery"]
    try:
        chances = told.get("edge_probabilities")
        result = DiscoveryResult(
            graph,
            DiscoveryStatus[told["status"]],
            MethodOfFile(str(told["method"])),
            int(told["rows_used"]),
            float(told["cpu_seconds"]),
            edge_probabilities=None if chances is None else torch.tensor(chances).double(),
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        msg = f'{path.name}: "discovery" is not what ctvae discover writes ({error!r})'
        raise DataError(msg) from error
    matrix, size = result.edge_probabilities, len(graph.nodes)
    if matrix is not None and matrix.shape != (size, size):
        msg = f"{path.name}: edge_probabilities of {size} nodes have shape {tuple(matrix.shape)}"
        raise DataError(msg)
    return result


def _rounded(chances: Tensor) -> list[list[float]]:
    return [[round(value, 6) for value in row] for row in chances.tolist()]
