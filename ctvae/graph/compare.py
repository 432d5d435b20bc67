"""Comparing graphs with a truth and with one another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from ctvae.errors import GraphError, did_you_mean
from ctvae.graph import tables
from ctvae.graph.causal_graph import CausalGraph
from ctvae.graph.discovery import DiscoveryResult
from ctvae.graph.distances import (
    ComparisonRow,
    EdgeState,
    check_same_nodes,
    edge_state,
    score_graph,
    shd,
)
from ctvae.plotting import DrawnEdge, EdgeStyle, draw_panels

if TYPE_CHECKING:
    import networkx as nx
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = ["GraphComparison", "GraphLike", "compare_graphs"]

GraphLike: TypeAlias = "CausalGraph | DiscoveryResult | nx.Graph | np.ndarray"


COLOURS = {
    EdgeState.AGREES: "#1b7f4d",
    EdgeState.REVERSED: "#c25e00",
    EdgeState.OTHER_MARK: "#2f6fb3",
    EdgeState.MISSING: "#9aa3b2",
    EdgeState.EXTRA: "#c2185b",
}
TRUTH_COLOUR = "#1f2a44"


def compare_graphs(
    graphs: Mapping[str, GraphLike], truth: GraphLike | None = None
) -> GraphComparison:
    """Scores graphs against a truth, and against one another.

    Args:
        graphs: Method to its graph: a ``CausalGraph``, a ``DiscoveryResult``, a networkx graph,
            or an adjacency matrix whose columns follow the truth's nodes (the first named graph's
            where there is no truth).
        truth: The true graph; ``None`` compares the graphs only with one another.

    Returns:
        A table with one row a method.

    Raises:
        GraphError: When there is nothing to compare, or the node sets differ.

    Example:
        >>> truth = CausalGraph.from_edges([("a", "b"), ("c", "b")])
        >>> table = compare_graphs({"mine": truth.relabel({})}, truth=truth)
        >>> table.rows[0].shd, table.rows[0].orientation_f1
        (0, 1.0)
    """
    if not graphs:
        msg = "there is nothing to compare; pass {'name': graph}"
        raise GraphError(msg)
    named = [g for g in (truth, *graphs.values()) if g is not None]
    nodes = next((_read(g, None).nodes for g in named if not isinstance(g, np.ndarray)), None)
    known = {name: _read(g, nodes) for name, g in graphs.items()}
    true = None if truth is None else _read(truth, nodes)
    first_name, first = ("truth", true) if true is not None else next(iter(known.items()))
    for name, graph in known.items():
        check_same_nodes(graph, first, name, first_name)
    results = {name: g for name, g in graphs.items() if isinstance(g, DiscoveryResult)}
    return GraphComparison(known, true, results)


@dataclass(frozen=True, repr=False)
class GraphComparison:
    """Graphs over the same nodes and how they differ; made by ``compare_graphs``.

    Attributes:
        graphs: Method to graph.
        truth: The true graph, or ``None``.
        results: Method to result, where one was given; it brings evidence to ``explain``.
    """

    graphs: Mapping[str, CausalGraph]
    truth: CausalGraph | None = None
    results: Mapping[str, DiscoveryResult] = field(default_factory=dict)

    @property
    def rows(self) -> tuple[ComparisonRow, ...]:
        """The scores, one row a method in the order given; all ``None`` without a truth."""
        return tuple(score_graph(name, graph, self.truth) for name, graph in self.graphs.items())

    def pairwise(self) -> np.ndarray:
        """Gives the SHD between every two methods.

        Returns:
            ``(methods, methods)`` int64, symmetric, in the order of ``graphs``.
        """
        graphs = list(self.graphs.values())
        return np.array([[shd(a, b) for b in graphs] for a in graphs], dtype=np.int64)

    def explain(self, i: str, j: str) -> str:
        """Says what every method makes of one pair of nodes, and why where it is known.

        Args:
            i: A node.
            j: Another node.

        Returns:
            A line for the truth and one for each method.

        Raises:
            GraphError: When there is no such node.

        Example:
            >>> truth = CausalGraph.from_edges([("a", "b")])
            >>> back = CausalGraph.from_edges([("b", "a")])
            >>> print(compare_graphs({"PC": back}, truth=truth).explain("a", "b"))
            truth: a -> b
            PC: a <- b (reversed)
        """
        lines = []
        nodes = next(iter(self.graphs.values())).nodes
        for name in (i, j):
            if name not in nodes:
                msg = f"node {name!r} is not in these graphs (nodes: {', '.join(nodes)})"
                raise GraphError(msg + did_you_mean(name, nodes))
        if self.truth is not None:
            lines.append(f"truth: {_words(self.truth, i, j)}")
        for name, graph in self.graphs.items():
            state = "" if self.truth is None else f" ({edge_state(graph, self.truth, i, j).value})"
            lines.append(f"{name}: {_words(graph, i, j)}{state}")
            if name in self.results:
                reason = str(self.results[name].evidence(i, j)).partition(": ")[2]
                lines[-1] += f"; {reason}"
        return "\n".join(lines)

    def to_markdown(self) -> str:
        """Writes the table in Markdown, the best of each column in bold.

        Returns:
            The table; without a truth it holds the distances between the methods.
        """
        return tables.to_markdown(*self._table())

    def to_latex(self) -> str:
        r"""Writes the table in LaTeX (needs ``\usepackage{booktabs}``), the best in bold.

        Returns:
            A ``table`` environment whose caption states the conventions.
        """
        return tables.to_latex(*self._table(), caption=self._caption(), label="tab:graphs")

    def to_pandas(self) -> pd.DataFrame:
        """Gives the rows as a data frame.

        Returns:
            One line a method, indexed by its name; missing scores are ``NaN``.
        """
        import pandas as pd

        frame = pd.DataFrame([vars(row) for row in self.rows]).set_index("method")
        frame = frame.apply(pd.to_numeric)
        return frame if self.truth is not None else self._distances(frame)

    def plot(self) -> Figure:
        """Draws the truth and every method in one layout, edges coloured by their state.

        Returns:
            A matplotlib figure, at most three graphs in a row.
        """
        panels: dict[str, list[DrawnEdge]] = {}
        if self.truth is not None:
            panels["truth"] = _drawn(self.truth, self.truth, dict.fromkeys(COLOURS, TRUTH_COLOUR))
        for name, graph in self.graphs.items():
            base = self.truth if self.truth is not None else graph
            colours = COLOURS if self.truth is not None else dict.fromkeys(COLOURS, TRUTH_COLOUR)
            panels[name] = _drawn(graph, base, colours)
        used = {edge.style.label: edge.style for edges in panels.values() for edge in edges}
        legend = [used[s.value] for s in COLOURS if s.value in used] if self.truth else []
        nodes = next(iter(self.graphs.values())).nodes
        return draw_panels(nodes, panels, legend=legend)

    def __repr__(self) -> str:
        return f"GraphComparison of {len(self.graphs)} graphs\n{self.to_markdown()}"

    def _table(self) -> tuple[list[tables.Column], list[tuple[str, list[Any]]]]:
        if self.truth is not None:
            cells = [list(vars(row).values())[1:] for row in self.rows]
            return list(SCORES), list(zip(self.graphs, cells, strict=True))
        columns = [tables.Column(f"SHD to {name}") for name in self.graphs]
        columns.append(tables.Column("edges"))
        counts = [graph.num_edges for graph in self.graphs.values()]
        cells = [[*line, n] for line, n in zip(self.pairwise().tolist(), counts, strict=True)]
        return columns, list(zip(self.graphs, cells, strict=True))

    def _distances(self, frame: pd.DataFrame) -> pd.DataFrame:
        distances = self.pairwise()
        frame = frame[["edges"]].copy()
        for k, name in enumerate(self.graphs):
            frame[f"SHD to {name}"] = distances[:, k]
        return frame

    def _caption(self) -> str:
        if self.truth is None:
            return "Structural Hamming distance between the graphs (a reversed edge counts 1)."
        return (
            "Learned graphs against the truth "
            f"({self.truth.kind.value}, {len(self.truth.nodes)} nodes, "
            f"{self.truth.num_edges} edges). Skeleton: adjacent pairs. Orientation: directed edges "
            "against the directed edges of the truth. SHD: pairs whose marks differ; a reversed "
            "edge and an undirected against a directed edge count 1 each. SHD (CPDAG): between "
            "the Markov equivalence classes; a dash where an estimate has none."
        )


SCORES = (
    tables.Column("skeleton precision", best=max),
    tables.Column("skeleton recall", best=max),
    tables.Column("skeleton F1", best=max),
    tables.Column("orientation precision", best=max),
    tables.Column("orientation recall", best=max),
    tables.Column("orientation F1", best=max),
    tables.Column("SHD", best=min),
    tables.Column("SHD (CPDAG)", best=min),
    tables.Column("edges"),
)


def _read(graph: GraphLike, nodes: Sequence[str] | None) -> CausalGraph:
    if isinstance(graph, CausalGraph):
        return graph
    if isinstance(graph, DiscoveryResult):
        return graph.graph
    if isinstance(graph, np.ndarray):
        return CausalGraph.from_numpy(graph, nodes)
    import networkx as nx

    if isinstance(graph, nx.Graph):
        return CausalGraph.from_networkx(graph)
    msg = (
        "a graph to compare is a CausalGraph, a DiscoveryResult, a networkx graph or a numpy "
        f"matrix, got {type(graph).__name__}"
    )
    raise GraphError(msg)


def _words(graph: CausalGraph, i: str, j: str) -> str:
    mark = graph.mark(i, j)
    return f"no edge between {i} and {j}" if mark == "none" else f"{i} {mark} {j}"


def _drawn(
    graph: CausalGraph, truth: CausalGraph, colours: Mapping[EdgeState, str]
) -> list[DrawnEdge]:
    drawn = []
    for i, j in sorted(graph.skeleton | truth.skeleton):
        state = edge_state(graph, truth, i, j)
        mark = (truth if state is EdgeState.MISSING else graph).mark(i, j)
        a, b = (j, i) if mark == "<-" else (i, j)
        arrows = {"-": 0, "<->": 2}.get(mark, 1)
        dashed = state is EdgeState.MISSING
        drawn.append(DrawnEdge(a, b, EdgeStyle(colours[state], arrows, dashed, state.value)))
    return drawn
