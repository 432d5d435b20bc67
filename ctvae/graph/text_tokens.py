"""Tokens of graphs in text: names, operators and marks, and the ends of edges."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from ctvae.errors import FormatError

__all__ = [
    "CLOSE",
    "EDGE",
    "EQUALS",
    "KEYWORDS",
    "OPEN",
    "SEPARATORS",
    "Token",
    "is_end",
    "opening_brace",
    "read_attributes",
    "read_end",
    "tokens_of",
    "unquote",
]

TOKEN = re.compile(
    r"""(?P<space>\s+|//[^\n]*|\#[^\n]*|/\*.*?\*/)
    |(?P<quoted>"(?:[^"\\]|\\.)*")
    |(?P<edge><->|<-@|@->|@-@|@--|--@|->|<-|--)
    |(?P<mark>[{}\[\];,=:])
    |(?P<name>[^\s"{}\[\];,=:<>@-]+(?:-(?![->@])[^\s"{}\[\];,=:<>@-]+)*)""",
    re.VERBOSE | re.DOTALL,
)


class Token(NamedTuple):
    """A piece of text; what stands in quotes is a name, whatever it looks like."""

    kind: str
    text: str

    @property
    def is_name(self) -> bool:
        """Whether it names something."""
        return self.kind in {"name", "quoted"}


OPEN, CLOSE, EQUALS = (Token("mark", sign) for sign in "{}=")
FIRST, LAST = (Token("mark", sign) for sign in "[]")
SEPARATORS = {Token("mark", sign) for sign in ";,"}
SUBGRAPH, EDGE = (Token("name", word) for word in ("subgraph", "edge"))
KEYWORDS = {Token("name", word) for word in ("node", "edge", "graph", "bb")}
"""Words that set what all nodes, all edges or the picture look like."""


def tokens_of(text: str) -> list[Token]:
    """Cuts text into names, quoted names without their quotes, operators and marks.

    Args:
        text: The text.

    Returns:
        The tokens.

    Raises:
        FormatError: When a part is none of these.
    """
    found: list[Token] = []
    place = 0
    while place < len(text):
        match = TOKEN.match(text, place)
        if match is None or match.lastgroup is None:
            msg = f"cannot read {text[place : place + 20]!r} in a graph"
            raise FormatError(msg)
        place = match.end()
        if match.lastgroup == "quoted":
            found.append(Token("quoted", unquote(match.group())))
        elif match.lastgroup != "space":
            found.append(Token(match.lastgroup, match.group()))
    return found


def opening_brace(tokens: Sequence[Token], place: int) -> int | None:
    """Finds the brace that opens here, perhaps after ``subgraph NAME``.

    Args:
        tokens: All tokens.
        place: Where to look.

    Returns:
        The place of the brace, if there is one.
    """
    if tokens[place] == SUBGRAPH:
        place += 1
        place += place < len(tokens) and tokens[place].is_name
    return place if tokens[place : place + 1] == [OPEN] else None


def is_end(tokens: Sequence[Token], brace: int) -> bool:
    """Says whether an edge leaves from what stands in these braces.

    Args:
        tokens: All tokens.
        brace: Where the brace opens.

    Returns:
        Whether an operator follows.
    """
    after = _closing_brace(tokens, brace) + 1
    return after < len(tokens) and tokens[after].kind == "edge"


def _closing_brace(tokens: Sequence[Token], brace: int) -> int:
    depth = 0
    for place, token in enumerate(tokens[brace:], brace):
        depth += {OPEN: 1, CLOSE: -1}.get(token, 0)
        if not depth:
            return place
    msg = "a brace of this graph is never closed"
    raise FormatError(msg)


def read_end(tokens: Sequence[Token], place: int) -> tuple[list[str], int]:
    """Reads one end of an edge: a name, or names in braces.

    Args:
        tokens: All tokens.
        place: Where the end begins.

    Returns:
        The names, and the place after them.

    Raises:
        FormatError: When no name stands there.
    """
    brace = opening_brace(tokens, place) if place < len(tokens) else None
    if brace is not None:
        close = _closing_brace(tokens, brace)
        inside = [token for token in tokens[brace + 1 : close] if token not in SEPARATORS]
        if not inside or not all(token.is_name for token in inside):
            msg = "braces at the end of an edge hold names alone; write their edges before it"
            raise FormatError(msg)
        return [token.text for token in inside], close + 1
    if place < len(tokens) and tokens[place].is_name:
        return [tokens[place].text], place + 1
    got = repr(tokens[place].text) if place < len(tokens) else "the end"
    msg = f"expected a node's name in a graph, got {got}"
    raise FormatError(msg)


def read_attributes(tokens: Sequence[Token], place: int) -> tuple[dict[str, str], int]:
    """Reads what stands in brackets after a node or an edge.

    Args:
        tokens: All tokens.
        place: Where the first bracket may open.

    Returns:
        Name to value, and the place after the last bracket.
    """
    found: dict[str, str] = {}
    while place < len(tokens) and tokens[place] == FIRST:
        rest = tokens[place:]
        close = rest.index(LAST) if LAST in rest else len(rest)
        inside = rest[1:close]
        for name, sign, value in zip(inside, inside[1:], inside[2:], strict=False):
            if sign == EQUALS:
                found[name.text] = value.text
        place += close + 1
    return found, place


def unquote(name: str) -> str:
    """Takes a name out of its quotes, if it has some.

    Args:
        name: The name as it is written.

    Returns:
        The name.
    """
    return re.sub(r"\\(.)", r"\1", name[1:-1], flags=re.DOTALL) if name[0] == '"' else name
