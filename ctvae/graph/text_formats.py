"""Edge lists to and from text: DOT, dagitty, GML and the structure of BIF."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ctvae.errors import FormatError, GraphError
from ctvae.graph import formats
from ctvae.graph.marks import SYMBOLS, Edge, Marks

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
TOKEN = re.compile(
    r"""(?P<space>\s+|//[^\n]*|\#[^\n]*|/\*.*?\*/)
    |(?P<quoted>"(?:[^"\\]|\\.)*")
    |(?P<edge><->|<-@|@->|@-@|@--|--@|->|<-|--)
    |(?P<mark>[{}\[\];,=:])
    |(?P<name>[^\s"{}\[\];,=:<>@-]+(?:-(?![->@])[^\s"{}\[\];,=:<>@-]+)*)""",
    re.VERBOSE | re.DOTALL,
)
DAGITTY = {"-": "--", "o->": "@->", "o-o": "@-@", "-o": "--@"}
OPERATORS = {
    **{DAGITTY.get(symbol, symbol): (kind, False) for kind, symbol in SYMBOLS.items()},
    "<-": ("directed", True),
    "<-@": ("circle_arrow", True),
    "@--": ("tail_circle", True),
}
"""What an operator means: the list of edges, and whether its ends are exchanged."""


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
    tokens = _tokens(text)
    words = tokens[: tokens.index("{")] if "{" in tokens else tokens
    if not set(words) & set(kinds) or tokens[-1:] != ["}"]:
        msg = f"expected one of {', '.join(kinds)} and nodes and edges in braces, got {text[:40]!r}"
        raise FormatError(msg)
    body = tokens[len(words) + 1 : -1]
    place = 0
    defaults: list[dict[str, str]] = [{}]  # of edges, one for each brace that is open
    while place < len(body):
        if body[place] in {";", ","}:
            place += 1
            continue
        if _is_mark(body, place, "}") and len(defaults) > 1:
            defaults.pop()
            place += 1
            continue
        if (brace := _brace(body, place)) is not None and not _is_end(body, brace):
            defaults.append(dict(defaults[-1]))
            place = brace + 1
            continue
        ends, operators = [], []
        while True:
            end, place = _end(body, place)
            ends.append(end)
            if place >= len(body) or body[place] not in OPERATORS:
                break
            operators.append(body[place])
            place += 1
        attributes, place = _attributes(body, place)
        if place < len(body) and body[place] == "=":  # a setting of the whole picture
            place += 2
        elif ends == [["edge"]]:
            defaults[-1].update(attributes)
        elif not operators and ends[0][0] not in {"node", "edge", "graph", "bb"}:
            yield _Statement(ends[0], None, [], attributes)
        for k, operator in enumerate(operators):
            yield _Statement(ends[k], operator, ends[k + 1], defaults[-1] | attributes)


def _tokens(text: str) -> list[str]:
    """Cuts text into names, quoted names without their quotes, operators and marks."""
    found: list[str] = []
    place = 0
    while place < len(text):
        match = TOKEN.match(text, place)
        if match is None:
            msg = f"cannot read {text[place : place + 20]!r} in a graph"
            raise FormatError(msg)
        place = match.end()
        if match.lastgroup == "quoted":
            found.append(_Name(re.sub(r"\\(.)", r"\1", match.group()[1:-1])))
        elif match.lastgroup == "name":
            found.append(_Name(match.group()))
        elif match.lastgroup != "space":
            found.append(match.group())
    return found


class _Name(str):
    """A token that names something, even where it looks like an operator."""

    __slots__ = ()


def _brace(tokens: Sequence[str], place: int) -> int | None:
    """Finds the brace that opens here, perhaps after ``subgraph NAME``."""
    if tokens[place] == "subgraph":
        place += 1
        place += place < len(tokens) and isinstance(tokens[place], _Name)
    return place if _is_mark(tokens, place, "{") else None


def _is_mark(tokens: Sequence[str], place: int, mark: str) -> bool:
    there = tokens[place : place + 1]
    return list(there) == [mark] and not isinstance(there[0], _Name)


def _is_end(tokens: Sequence[str], brace: int) -> bool:
    """Says whether an edge leaves from what stands in these braces."""
    after = _close(tokens, brace) + 1
    return after < len(tokens) and tokens[after] in OPERATORS


def _close(tokens: Sequence[str], brace: int) -> int:
    depth = 0
    for place, token in enumerate(tokens[brace:], brace):
        depth += 0 if isinstance(token, _Name) else {"{": 1, "}": -1}.get(token, 0)
        if not depth:
            return place
    msg = "a brace of this graph is never closed"
    raise FormatError(msg)


def _end(tokens: Sequence[str], place: int) -> tuple[list[str], int]:
    brace = _brace(tokens, place) if place < len(tokens) else None
    if brace is not None:
        close = _close(tokens, brace)
        inside = [t for t in tokens[brace + 1 : close] if isinstance(t, _Name) or t not in ";,"]
        if not inside or not all(isinstance(t, _Name) for t in inside):
            msg = "braces at the end of an edge hold names alone; write their edges before it"
            raise FormatError(msg)
        return [str(t) for t in inside], close + 1
    if place < len(tokens) and isinstance(tokens[place], _Name):
        return [str(tokens[place])], place + 1
    got = tokens[place] if place < len(tokens) else "the end"
    msg = f"expected a node's name in a graph, got {got!r}"
    raise FormatError(msg)


def _attributes(tokens: Sequence[str], place: int) -> tuple[dict[str, str], int]:
    found: dict[str, str] = {}
    while place < len(tokens) and tokens[place] == "[":
        close = list(tokens).index("]", place) if "]" in tokens[place:] else len(tokens)
        inside = list(tokens[place + 1 : close])
        for k in range(1, len(inside) - 1):
            if inside[k] == "=":
                found[str(inside[k - 1])] = str(inside[k + 1])
        place = close + 1
    return found, place


def to_gml(marks: Marks) -> str:
    """Writes GML, in which every edge carries its ``mark``.

    Args:
        marks: The graph.

    Returns:
        The text.
    """
    import networkx as nx

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
    name = r'(?:"(?:[^"\\]|\\.)*"|[^\s|,(){}"]+)'
    nodes = [_unquote(one) for one in re.findall(rf"^\s*variable\s+({name})", text, re.MULTILINE)]
    if not nodes:
        msg = "this is no BIF text: there is no line 'variable NAME {'"
        raise FormatError(msg)
    edges: set[Edge] = set()
    for head in re.findall(r"^\s*probability\s*\(([^{]*)\)\s*\{", text, re.MULTILINE):
        names = [_unquote(one) for one in re.findall(name, head)]
        edges.update((parent, names[0]) for parent in names[1:])
    return Marks(tuple(nodes), directed=frozenset(edges))


def _quote(name: str) -> str:
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _unquote(name: str) -> str:
    return re.sub(r"\\(.)", r"\1", name[1:-1]) if name.startswith('"') else name
