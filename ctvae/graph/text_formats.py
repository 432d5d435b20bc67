"""Edge lists to and from text: DOT, dagitty, GML and the structure of BIF."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ctvae.errors import FormatError, GraphError
from ctvae.graph import formats
from ctvae.graph.marks import SYMBOLS, Edge, Marks
from ctvae.graph.text_tokens import (
    CLOSE,
    EDGE,
    EQUALS,
    KEYWORDS,
    OPEN,
    SEPARATORS,
    Token,
    is_end,
    opening_brace,
    read_attributes,
    read_end,
    tokens_of,
    unquote,
)

__all__ = [
    "from_bif",
    "from_dagitty",
    "from_dot",
    "from_gml",
    "to_bif",
    "to_dagitty",
    "to_dot",
    "to_gml",
]

DOT_STYLES = {
    "directed": "",
    "undirected": " [dir=none]",
    "bidirected": " [dir=both, style=dashed]",
    "circle_arrow": " [dir=both, arrowtail=odot]",
    "circle_circle": " [dir=both, arrowtail=odot, arrowhead=odot]",
    "tail_circle": " [arrowhead=odot]",
}
DAGITTY = {"-": "--", "o->": "@->", "o-o": "@-@", "-o": "--@"}
OPERATORS = {
    **{DAGITTY.get(symbol, symbol): (kind, False) for kind, symbol in SYMBOLS.items()},
    "<-": ("directed", True),
    "<-@": ("circle_arrow", True),
    "@--": ("tail_circle", True),
}
"""What an operator means: the list of edges, and whether its ends are exchanged."""
BIF_NAME = re.compile(r'"(?:[^"\\]|\\.)*"|[^\s|,(){}"]+', re.DOTALL)
BIF = re.compile(
    rf"""^\s*variable\s+(?P<variable>{BIF_NAME.pattern})
    |^\s*probability\s*\((?P<law>(?:"(?:[^"\\]|\\.)*"|[^"{{)])+)\)\s*{{
    |"(?:[^"\\]|\\.)*" | //[^\n]*  # passed over, whatever it holds""",
    re.VERBOSE | re.MULTILINE | re.DOTALL,
)


class _Statement(NamedTuple):
    first: list[str]
    operator: str | None
    second: list[str]
    attributes: dict[str, str]


def to_dot(marks: Marks) -> str:
    """Writes Graphviz' DOT language.

    Args:
        marks: The graph.

    Returns:
        One ``digraph``; undirected edges have ``dir=none``, bidirected ``dir=both``, circles are
        ``odot`` arrows.
    """
    lines = [f"  {_quote(name)};" for name in marks.nodes]
    for kind, style in DOT_STYLES.items():
        edges = marks.in_order(getattr(marks, kind))
        lines += [f"  {_quote(a)} -> {_quote(b)}{style};" for a, b in edges]
    return "\n".join(["digraph {", *lines, "}"]) + "\n"


def from_dot(text: str) -> Marks:
    """Reads Graphviz' DOT language: nodes, edges and the marks at their ends.

    Args:
        text: A ``graph`` or ``digraph``. Subgraphs count for their nodes and edges, ``edge [...]``
            for the edges below it; as an edge's end braces may hold names alone, ``{a b}``.

    Returns:
        The graph, nodes in order of appearance.

    Raises:
        FormatError: When the text is no such graph.
    """
    nodes: dict[str, None] = {}
    found: dict[str, set[Edge]] = {kind: set() for kind in SYMBOLS}
    for statement in _statements(text, ("graph", "digraph")):
        nodes.update(dict.fromkeys((*statement.first, *statement.second)))
        if statement.operator is None:
            continue
        if statement.operator not in {"->", "--"}:
            msg = f"DOT has the edges -> and --, got {statement.operator}"
            raise FormatError(msg)
        both = statement.operator == "--"
        kind, turned = _dot_kind(statement.attributes, undirected=both)
        for a in statement.first:
            for b in statement.second:
                found[kind].add((b, a) if turned else (a, b))
    return Marks(tuple(nodes), **{kind: frozenset(edges) for kind, edges in found.items()})


def _dot_kind(attributes: dict[str, str], *, undirected: bool) -> tuple[str, bool]:
    direction = attributes.get("dir", "none" if undirected else "forward")
    drawn = {"none": (False, False), "forward": (False, True), "back": (True, False)}
    drawn["both"] = (True, True)
    if direction not in drawn:
        msg = f"dir must be none, forward, back or both, got {direction!r}"
        raise FormatError(msg)
    shapes = []
    for shown, side in zip(drawn[direction], ("tail", "head"), strict=True):
        shape = attributes.get(f"arrow{side}", "normal") if shown else "none"
        shapes.append({"odot": "o", "none": "-"}.get(shape, ">"))
    symbols = {
        ("-", ">"): ("directed", False),
        (">", "-"): ("directed", True),
        ("-", "-"): ("undirected", False),
        (">", ">"): ("bidirected", False),
        ("o", ">"): ("circle_arrow", False),
        (">", "o"): ("circle_arrow", True),
        ("o", "o"): ("circle_circle", False),
        ("-", "o"): ("tail_circle", False),
        ("o", "-"): ("tail_circle", True),
    }
    return symbols[shapes[0], shapes[1]]


def to_dagitty(marks: Marks) -> str:
    """Writes the text of dagitty.

    Args:
        marks: The graph.

    Returns:
        ``dag``, ``pdag`` (undirected edges) or ``pag`` (circles), one line a node and edge.
    """
    kind = "pag" if marks.with_circles else "pdag" if marks.undirected else "dag"
    lines = [_quote(name) for name in marks.nodes]
    for name, symbol in SYMBOLS.items():
        written = DAGITTY.get(symbol, symbol)
        edges = marks.in_order(getattr(marks, name))
        lines += [f"{_quote(a)} {written} {_quote(b)}" for a, b in edges]
    return "\n".join([kind + " {", *lines, "}"]) + "\n"


def from_dagitty(text: str) -> Marks:
    """Reads the text of dagitty; what it says of positions and roles is left out.

    Args:
        text: ``dag``, ``pdag``, ``mag`` or ``pag`` with edges ``->``, ``<->``, ``--``, ``@->``.

    Returns:
        The graph, nodes in order of appearance.

    Raises:
        FormatError: When the text is no such graph.
    """
    nodes: dict[str, None] = {}
    found: dict[str, set[Edge]] = {kind: set() for kind in SYMBOLS}
    for statement in _statements(text, ("dag", "pdag", "mag", "pag", "digraph", "graph")):
        nodes.update(dict.fromkeys((*statement.first, *statement.second)))
        if statement.operator is not None:
            kind, turned = OPERATORS[statement.operator]
            for a in statement.first:
                for b in statement.second:
                    found[kind].add((b, a) if turned else (a, b))
    return Marks(tuple(nodes), **{kind: frozenset(edges) for kind, edges in found.items()})


def _statements(text: str, kinds: Sequence[str]) -> Iterator[_Statement]:
    """Reads nodes, and chains of edges pair by pair, with the attributes that follow them."""
    tokens = tokens_of(text)
    words = tokens[: tokens.index(OPEN)] if OPEN in tokens else tokens
    if not {Token("name", kind) for kind in kinds} & set(words) or tokens[-1:] != [CLOSE]:
        msg = f"expected one of {', '.join(kinds)} and nodes and edges in braces, got {text[:40]!r}"
        raise FormatError(msg)
    body = tokens[len(words) + 1 : -1]
    place = 0
    defaults: list[dict[str, str]] = [{}]  # of edges, one for each brace that is open
    while place < len(body):
        if body[place] in SEPARATORS:
            place += 1
            continue
        if body[place] == CLOSE and len(defaults) > 1:
            defaults.pop()
            place += 1
            continue
        if (brace := opening_brace(body, place)) is not None and not is_end(body, brace):
            defaults.append(dict(defaults[-1]))
            place = brace + 1
            continue
        ends, operators = [], []
        opener = body[place]
        while True:
            end, place = read_end(body, place)
            ends.append(end)
            if place >= len(body) or body[place].kind != "edge":
                break
            operators.append(body[place].text)
            place += 1
        attributes, place = read_attributes(body, place)
        if place < len(body) and body[place] == EQUALS:  # a setting of the whole picture
            place += 2
        elif not operators and opener == EDGE:
            defaults[-1].update(attributes)
        elif not operators and opener not in KEYWORDS:
            yield _Statement(ends[0], None, [], attributes)
        for k, operator in enumerate(operators):
            yield _Statement(ends[k], operator, ends[k + 1], defaults[-1] | attributes)


def to_gml(marks: Marks) -> str:
    """Writes GML, in which every edge carries its ``mark``.

    Args:
        marks: The graph.

    Returns:
        The text.

    Raises:
        GraphError: When a node is called ``[]`` or ``()``, which networkx reads as no name.
    """
    import networkx as nx

    for name in {"[]", "()"} & set(marks.nodes):
        msg = f"networkx, which reads GML, takes the name {name!r} for an empty list; relabel"
        raise GraphError(msg)

    return "\n".join(nx.generate_gml(formats.to_networkx(marks))) + "\n"


def from_gml(text: str) -> Marks:
    """Reads GML.

    Args:
        text: The text.

    Returns:
        The graph, as ``formats.from_networkx`` reads what networkx makes of it.

    Raises:
        FormatError: When networkx cannot read it.
    """
    import networkx as nx

    try:
        return formats.from_networkx(nx.parse_gml(text))
    except nx.NetworkXError as error:
        msg = f"this is no GML: {error}"
        raise FormatError(msg) from error


def to_bif(marks: Marks) -> str:
    """Writes the structure of a DAG as BIF text, without codes and probabilities.

    Args:
        marks: The graph.

    Returns:
        The text.

    Raises:
        GraphError: When there are edges that are not directed.
    """
    if any(marks[2:]):
        msg = "BIF holds DAGs alone, and this graph has edges that are not directed"
        raise GraphError(msg)
    lines = ["network unknown {", "}"]
    lines += [f"variable {_quote(name)} {{\n}}" for name in marks.nodes]
    for name in marks.nodes:
        parents = [a for a, b in marks.in_order(marks.directed) if b == name]
        given = f" | {', '.join(map(_quote, parents))}" if parents else ""
        lines.append(f"probability ( {_quote(name)}{given} ) {{\n}}")
    return "\n".join(lines) + "\n"


def from_bif(text: str) -> Marks:
    """Reads the structure of a network in BIF text.

    Args:
        text: The text.

    Returns:
        The DAG.

    Raises:
        FormatError: When there are no variables.
    """
    nodes: list[str] = []
    edges: set[Edge] = set()
    for match in BIF.finditer(text):
        if match["variable"] is not None:
            nodes.append(unquote(match["variable"]))
        elif match["law"] is not None:
            names = [unquote(one) for one in BIF_NAME.findall(match["law"])]
            edges.update((parent, names[0]) for parent in names[1:])
    if not nodes:
        msg = "this is no BIF text: there is no line 'variable NAME {'"
        raise FormatError(msg)
    return Marks(tuple(nodes), directed=frozenset(edges))


def _quote(name: str) -> str:
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
