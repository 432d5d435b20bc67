"""Files of graphs and of knowledge, read and written by their endings."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from ctvae.errors import CTVAEError, DataError, did_you_mean
from ctvae.graph import CausalGraph, Knowledge

__all__ = [
    "READERS",
    "WRITERS",
    "check_graph_file",
    "read_graph_file",
    "read_knowledge",
    "read_text",
    "write_text",
]

READERS: dict[str, Callable[[str], CausalGraph]] = {
    ".json": CausalGraph.from_json,
    ".dot": CausalGraph.from_dot,
    ".gml": CausalGraph.from_gml,
    ".bif": CausalGraph.from_bif,
    ".dagitty": CausalGraph.from_dagitty,
}
WRITERS: dict[str, Callable[[CausalGraph], str]] = {
    ".json": CausalGraph.to_json,
    ".dot": CausalGraph.to_dot,
    ".gml": CausalGraph.to_gml,
    ".bif": CausalGraph.to_bif,
    ".dagitty": CausalGraph.to_dagitty,
}
KNOWN = ("required", "forbidden", "tiers")


def check_graph_file(path: Path, what: str) -> str:
    """Checks that a file's ending is one of a graph's.

    Args:
        path: The file.
        what: What the message calls it.

    Returns:
        The ending.

    Raises:
        DataError: When it is another one.
    """
    ending = path.suffix.lower()
    if ending not in READERS:
        msg = f"{what}: a graph's file ends in {', '.join(READERS)}"
        raise DataError(msg)
    return ending


def read_graph_file(path: Path) -> CausalGraph:
    """Reads a graph by the ending of its file.

    Args:
        path: JSON, DOT, GML, BIF or dagitty text.

    Returns:
        The graph.

    Raises:
        CTVAEError: When the ending is unknown, the file cannot be read, or it holds no graph; the
            message names the file.
    """
    read = READERS[check_graph_file(path, path.name)]
    text = read_text(path)
    try:
        return read(text)
    except CTVAEError as error:
        msg = f"{path.name}: {error}"
        raise type(error)(msg) from error


def read_knowledge(path: Path) -> Knowledge:
    """Reads required and forbidden edges and tiers.

    Args:
        path: JSON: an object with any of ``required`` and ``forbidden`` (lists of pairs) and
            ``tiers`` (lists of names).

    Returns:
        The knowledge.

    Raises:
        DataError: When it is no such file.
        GraphError: When the knowledge contradicts itself.
    """
    try:
        found = json.loads(read_text(path))
    except json.JSONDecodeError as error:
        msg = f"{path.name} is no JSON: {error}"
        raise DataError(msg) from error
    for key in found if isinstance(found, dict) else ():
        if key not in KNOWN:
            msg = f"{path.name} has the key {key!r}{did_you_mean(key, KNOWN)}; known: "
            raise DataError(msg + ", ".join(KNOWN))
    good = isinstance(found, dict)
    good = good and all(isinstance(found.get(key, []), list) for key in KNOWN)
    lists = [one for key in KNOWN for one in found.get(key, [])] if good else []
    if not good or not all(isinstance(one, list) for one in lists):
        msg = f"{path.name} must be an object with lists of lists under {', '.join(KNOWN)}"
        raise DataError(msg)
    return Knowledge(
        required=[tuple(edge) for edge in found.get("required", [])],
        forbidden=[tuple(edge) for edge in found.get("forbidden", [])],
        tiers=found.get("tiers", []),
    )


def read_text(path: Path) -> str:
    """Reads a text file.

    Args:
        path: The file, in UTF-8.

    Returns:
        The text.

    Raises:
        DataError: When it cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        msg = f"{path} cannot be read: {getattr(error, 'strerror', None) or error}"
        raise DataError(msg) from error


def write_text(path: Path, text: str) -> None:
    """Writes a text file that ends with a line end.

    Args:
        path: The file.
        text: The text.

    Raises:
        DataError: When it cannot be written.
    """
    try:
        path.write_text(text.rstrip("\n") + "\n", encoding="utf-8")
    except OSError as error:
        msg = f"{path} cannot be written: {error.strerror}"
        raise DataError(msg) from error
