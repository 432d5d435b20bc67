"""Who is next to, above and below whom: the questions of ``CausalGraph`` about single nodes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from functools import cached_property

from ctvae.errors import GraphError, did_you_mean
from ctvae.graph.marks import MIRRORED, SYMBOLS, Edge, Marks, sorted_pair

__all__ = ["Relations"]


class Relations(ABC):
    """What any graph can be asked of its nodes that is built from edge lists."""

    @property
    @abstractmethod
    def marks(self) -> Marks:
        """The plain edge lists."""

    def parents(self, name: str) -> tuple[str, ...]:
        """Gives the direct causes of a node.

        Args:
            name: A node.

        Returns:
            The nodes ``a`` with ``a -> name``, in node order.
        """
        return self._parents[self._check_name(name)]

    def children(self, name: str) -> tuple[str, ...]:
        """Gives the direct effects of a node.

        Args:
            name: A node.

        Returns:
            The nodes ``b`` with ``name -> b``, in node order.
        """
        return self._children[self._check_name(name)]

    def neighbours(self, name: str) -> tuple[str, ...]:
        """Gives the nodes joined to a node by an undirected edge.

        Args:
            name: A node.

        Returns:
            The nodes ``b`` with ``name - b``, in node order.
        """
        self._check_name(name)
        return tuple(b for b in self.marks.nodes if sorted_pair(name, b) in self.marks.undirected)

    def ancestors(self, names: str | Iterable[str]) -> frozenset[str]:
        """Gives all direct and indirect causes, along directed edges.

        Args:
            names: A node or several.

        Returns:
            The nodes with a directed path into one of ``names``, without ``names`` themselves.

        Example:
            >>> from ctvae.graph import CausalGraph
            >>> sorted(CausalGraph.from_edges([("a", "b"), ("b", "c")]).ancestors("c"))
            ['a', 'b']
        """
        return self._closure(names, self._parents)

    def descendants(self, names: str | Iterable[str]) -> frozenset[str]:
        """Gives all direct and indirect effects, along directed edges.

        Args:
            names: A node or several.

        Returns:
            The nodes with a directed path from one of ``names``, without ``names`` themselves.
        """
        return self._closure(names, self._children)

    def adjacent(self, a: str, b: str) -> bool:
        """Says whether two nodes share an edge of any mark.

        Args:
            a: A node.
            b: Another node.

        Returns:
            True when they do.
        """
        self._check_name(a)
        self._check_name(b)
        return sorted_pair(a, b) in self.skeleton

    def mark(self, a: str, b: str) -> str:
        """Names the mark between two nodes.

        Args:
            a: A node.
            b: Another node.

        Returns:
            ``"->"``, ``"<-"``, ``"-"``, ``"<->"``, in a PAG also ``"o->"``, ``"<-o"``, ``"o-o"``,
            ``"-o"`` or ``"o-"``; else ``"none"``. A bow gives its directed mark; see
            ``marks_between``.
        """
        return next(iter(self.marks_between(a, b)), "none")

    def marks_between(self, a: str, b: str) -> tuple[str, ...]:
        """Names all marks between two nodes.

        Args:
            a: A node.
            b: Another node.

        Returns:
            None, one, or the two of a bow: a directed mark and ``"<->"``.

        Example:
            >>> from ctvae.graph import CausalGraph
            >>> bow = CausalGraph.from_edges([("a", "b")], bidirected=[("a", "b")])
            >>> bow.marks_between("b", "a")
            ('<-', '<->')
        """
        for name in (a, b):
            self._check_name(name)
        found = []
        for kind, symbol in SYMBOLS.items():
            edges = getattr(self.marks, kind)
            if (a, b) in edges:
                found.append(symbol)
            elif (b, a) in edges:
                found.append(MIRRORED.get(symbol, symbol))
        return tuple(found)

    @cached_property
    def skeleton(self) -> frozenset[Edge]:
        """The adjacent pairs, marks forgotten, each once with its names sorted."""
        marks = self.marks
        ordered = marks.directed | marks.circle_arrow | marks.tail_circle
        symmetric = marks.undirected | marks.bidirected | marks.circle_circle
        return frozenset(sorted_pair(*edge) for edge in ordered) | symmetric

    @cached_property
    def _position(self) -> dict[str, int]:
        return {name: k for k, name in enumerate(self.marks.nodes)}

    @cached_property
    def _parents(self) -> dict[str, tuple[str, ...]]:
        return self._ends((b, a) for a, b in self.marks.directed)

    @cached_property
    def _children(self) -> dict[str, tuple[str, ...]]:
        return self._ends(self.marks.directed)

    def _ends(self, edges: Iterable[Edge]) -> dict[str, tuple[str, ...]]:
        ends: dict[str, list[str]] = {name: [] for name in self.marks.nodes}
        for a, b in edges:
            ends[a].append(b)
        return {name: tuple(sorted(e, key=self._position.__getitem__)) for name, e in ends.items()}

    def _check_name(self, name: str) -> str:
        if name not in self._position:
            msg = f"node {name!r} is not in this graph (nodes: {', '.join(self.marks.nodes)})"
            raise GraphError(msg + did_you_mean(name, self.marks.nodes))
        return name

    def _closure(
        self, names: str | Iterable[str], step: Mapping[str, tuple[str, ...]]
    ) -> frozenset[str]:
        start = [names] if isinstance(names, str) else list(names)
        for name in start:
            self._check_name(name)
        found: set[str] = set()
        queue = list(start)
        while queue:
            fresh = [n for n in step[queue.pop()] if n not in found]
            found.update(fresh)
            queue.extend(fresh)
        return frozenset(found - set(start))
