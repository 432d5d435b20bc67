"""How a graph enters and leaves: the conversion and drawing methods of ``CausalGraph``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from jaxtyping import Int8

from ctvae.errors import GraphError
from ctvae.graph import formats, text_formats
from ctvae.graph.drawing import draw_marks
from ctvae.graph.marks import Edge, Marks
from ctvae.plotting import to_svg

if TYPE_CHECKING:
    import networkx as nx
    from matplotlib.figure import Figure

__all__ = ["Interchange"]


class Interchange(ABC):
    """What any graph can do that is built from edge lists and can show them."""

    @abstractmethod
    def __init__(
        self,
        nodes: tuple[str, ...],
        directed: frozenset[Edge] = frozenset(),
        undirected: frozenset[Edge] = frozenset(),
        bidirected: frozenset[Edge] = frozenset(),
        circle_arrow: frozenset[Edge] = frozenset(),
        circle_circle: frozenset[Edge] = frozenset(),
        tail_circle: frozenset[Edge] = frozenset(),
    ) -> None: ...

    @property
    @abstractmethod
    def marks(self) -> Marks:
        """The plain edge lists."""

    @classmethod
    def from_numpy(
        cls, matrix: Int8[np.ndarray, "nodes nodes"], nodes: Sequence[str] | None = None
    ) -> Self:
        """Reads an adjacency matrix: ``A[i, j] = 1`` is ``i -> j``, ones both ways ``i - j``.

        Args:
            matrix: ``(nodes, nodes)`` zeros and ones (booleans, integers or floats).
            nodes: The names; ``None`` gives ``slot0, slot1, ...``.

        Returns:
            The graph. A matrix that is not square or holds other values is a ``GraphError``.

        Example:
            >>> from ctvae.graph import CausalGraph
            >>> CausalGraph.from_numpy(np.array([[0, 1], [0, 0]]), nodes=["a", "b"])
            CausalGraph(DAG on a, b: a -> b)
        """
        return cls(*formats.from_matrix(matrix, nodes))

    def to_numpy(self) -> Int8[np.ndarray, "nodes nodes"]:
        """Gives the adjacency matrix: ``A[i, j] = 1`` is ``i -> j``, ones both ways ``i - j``.

        Returns:
            ``(nodes, nodes)`` int8, rows and columns in node order. Bidirected edges and circles,
            for which the matrix has no mark, are a ``GraphError``.
        """
        return formats.to_matrix(self.marks)

    @classmethod
    def from_networkx(cls, graph: nx.Graph) -> Self:
        """Reads a networkx graph.

        Args:
            graph: A ``Graph`` (all edges undirected), or a directed graph in which edges both
                ways are one undirected edge unless their ``mark`` attribute says otherwise.
                Node labels become texts.

        Returns:
            The graph.
        """
        return cls(*formats.from_networkx(graph))

    def to_networkx(self) -> nx.DiGraph | nx.MultiDiGraph:
        """Makes a networkx graph whose edges carry a ``mark`` attribute.

        Returns:
            A ``DiGraph`` in which an undirected edge and ``a o-o b`` stand both ways; a
            ``MultiDiGraph`` when there are bidirected edges, each of which stands both ways.
        """
        return formats.to_networkx(self.marks)

    @classmethod
    def from_causallearn(cls, graph: object, nodes: Sequence[str] | None = None) -> Self:
        """Reads a graph of causal-learn.

        Args:
            graph: A ``GeneralGraph``, what its ``pc``, ``ges`` (a ``dict`` with ``"G"``) or
                ``fci`` (a tuple) returns, or the bare endpoint matrix (``i -> j`` is
                ``G[i, j] = -1`` and ``G[j, i] = 1``).
            nodes: The names; ``None`` keeps the graph's own (``X1, X2, ...`` for a matrix).

        Returns:
            The graph; circle marks make it a PAG.

        Raises:
            GraphError: When it is none of these.
        """
        if isinstance(graph, Mapping):
            graph = graph.get("G")
        elif isinstance(graph, tuple) and graph:
            graph = graph[0]
        graph = getattr(graph, "G", graph)
        if nodes is None and hasattr(graph, "get_node_names"):
            nodes = graph.get_node_names()
        codes = np.asarray(getattr(graph, "graph", graph))
        if codes.dtype.kind not in "iuf" or codes.ndim != 2:
            msg = (
                "from_causallearn takes a GeneralGraph, what pc, ges or fci return, or an endpoint "
                f"matrix of numpy, got {type(graph).__name__}"
            )
            raise GraphError(msg)
        return cls(*formats.from_endpoints(codes, nodes))

    def to_causallearn(self) -> Any:  # noqa: ANN401  # an untyped package, loaded at use
        """Makes causal-learn's graph object.

        Returns:
            A ``causallearn.graph.GeneralGraph`` with the same nodes and edges.
        """
        return formats.to_causallearn(self.marks)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Reads JSON written by ``to_json``.

        Args:
            text: The JSON; anything else is a ``FormatError``.

        Returns:
            The graph, nodes in the same order.
        """
        return cls(*formats.from_json(text))

    def to_json(self) -> str:
        """Writes JSON: nodes and lists of pairs, in node order.

        Returns:
            One line.
        """
        return formats.to_json(self.marks)

    @classmethod
    def from_dot(cls, text: str) -> Self:
        """Reads Graphviz' DOT language: nodes, edges and the marks at their ends.

        Args:
            text: A ``graph`` or ``digraph``; what it cannot mean here is a ``FormatError``.

        Returns:
            The graph. ``a -> b`` with ``dir=none`` is undirected, with ``dir=both`` bidirected;
            ``arrowtail=odot`` and ``arrowhead=odot`` are circles.
        """
        return cls(*text_formats.from_dot(text))

    def to_dot(self) -> str:
        """Writes Graphviz' DOT language.

        Returns:
            One ``digraph``; undirected edges have ``dir=none``, bidirected ``dir=both``, circles
            are ``odot`` arrows.
        """
        return text_formats.to_dot(self.marks)

    @classmethod
    def from_dagitty(cls, text: str) -> Self:
        """Reads the text of dagitty: ``dag { a -> b ; a <-> c }``, also ``pdag`` and ``pag``.

        Args:
            text: The text; what is no such graph is a ``FormatError``.

        Returns:
            The graph; ``--`` is undirected and ``@`` a circle.
        """
        return cls(*text_formats.from_dagitty(text))

    def to_dagitty(self) -> str:
        """Writes the text of dagitty.

        Returns:
            One line for each node and edge.
        """
        return text_formats.to_dagitty(self.marks)

    @classmethod
    def from_gml(cls, text: str) -> Self:
        """Reads GML, as networkx writes it.

        Args:
            text: The text; anything else is a ``FormatError``.

        Returns:
            The graph; an edge's ``mark`` says what it is, as in ``from_networkx``.
        """
        return cls(*text_formats.from_gml(text))

    def to_gml(self) -> str:
        """Writes GML, in which every edge carries its ``mark``.

        Returns:
            The text.
        """
        return text_formats.to_gml(self.marks)

    @classmethod
    def from_bif(cls, text: str) -> Self:
        """Reads the nodes and parents of a network in BIF text; ``SCM.from_bif`` reads all of it.

        Args:
            text: The text; one without variables is a ``FormatError``.

        Returns:
            The DAG.
        """
        return cls(*text_formats.from_bif(text))

    def to_bif(self) -> str:
        """Writes the nodes and parents of a DAG as BIF text, without codes and probabilities.

        Returns:
            The text. A graph that is no DAG is a ``GraphError``.
        """
        return text_formats.to_bif(self.marks)

    def plot(self) -> Figure:
        """Draws the graph in layers, causes above effects.

        Returns:
            A matplotlib figure; save it with ``figure.savefig("graph.pdf")``.
        """
        return draw_marks(self.marks)

    def _repr_html_(self) -> str:
        return to_svg(self.plot())
