"""The blocks of a BIF text as they stand there: variables, and probabilities by parent states."""

from __future__ import annotations

import re
from typing import NamedTuple

from ctvae.interop.bif_scanner import Scanner, Word

__all__ = ["UNNAMED_CODES", "Block", "Row", "Variable", "read_blocks"]

UNNAMED_CODES = "codes unnamed"
"""The property by which we say that a variable's states are mere numbers of codes."""
NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")


class Variable(NamedTuple):
    """A variable's block.

    Attributes:
        name: The variable.
        states: The names of its codes.
        unnamed: Whether a property says that these are no names.
        at: Where the block is.
    """

    name: str
    states: tuple[str, ...]
    unnamed: bool
    at: int


class Row(NamedTuple):
    """One entry of a probability block.

    Attributes:
        states: The parents' states as written; none for a table or a default.
        numbers: The probabilities.
        at: Where the entry is.
    """

    states: list[list[Word]]
    numbers: list[float]
    at: int


class Block(NamedTuple):
    """A probability block.

    Attributes:
        names: The child and its parents as written.
        table: All probabilities at once, if so written.
        default: The row for parents' states that have none of their own, if there is one.
        rows: The other rows.
        at: Where the block is.
    """

    names: list[list[Word]]
    table: Row | None
    default: Row | None
    rows: list[Row]
    at: int


def read_blocks(scanner: Scanner) -> tuple[dict[str, Variable], list[Block]]:
    """Reads all blocks, in any order.

    Args:
        scanner: At the start of the text.

    Returns:
        Name to variable, in the order of the text; and the probability blocks.

    Raises:
        FormatError: When a block is not what it should be, or there is no variable.
    """
    expected = "network, variable or probability"
    variables: dict[str, Variable] = {}
    blocks: list[Block] = []
    while not scanner.is_at_end():
        at = scanner.at
        keyword = scanner.keyword(expected)
        if keyword == "network":
            _read_network(scanner)
        elif keyword == "variable":
            variable = _read_variable(scanner, at)
            if variable.name in variables:
                raise scanner.failure(f"a second block of variable {variable.name!r}", at)
            variables[variable.name] = variable
        elif keyword == "probability":
            blocks.append(_read_probability(scanner, at))
        else:
            raise scanner.unexpected(expected, at)
    if not variables:
        raise scanner.failure("expected at least one variable block, got none; is this BIF?")
    return variables, blocks


def _read_network(scanner: Scanner) -> None:
    scanner.groups("{")
    scanner.take("{")
    while not scanner.take_if("}"):
        at = scanner.at
        if scanner.keyword("'}'") != "property":
            raise scanner.unexpected("property or '}'", at)
        scanner.skip_statement()


def _read_variable(scanner: Scanner, at: int) -> Variable:
    name = _joined(scanner.groups("{"))
    if not name:
        raise scanner.failure("expected the name of a variable, got '{'")
    scanner.take("{")
    states: tuple[str, ...] = ()
    unnamed = False
    while not scanner.take_if("}"):
        here = scanner.at
        keyword = scanner.keyword("type, property or '}'")
        if keyword == "property":
            unnamed |= scanner.skip_statement() == UNNAMED_CODES
        elif keyword == "type" and not states:
            states = _read_states(scanner, name)
        else:
            raise scanner.unexpected("type (once), property or '}'", here)
    if not states:
        raise scanner.failure(f"variable {name!r} has no type discrete [ n ] {{ states }};", at)
    return Variable(name, states, unnamed, at)


def _read_states(scanner: Scanner, name: str) -> tuple[str, ...]:
    kind = _joined(scanner.groups("["))
    if kind != "discrete":
        raise scanner.failure(f"variable {name!r}: expected type discrete, got {kind!r}")
    scanner.take("[")
    size = _joined(scanner.groups("]"))
    scanner.take("]")
    scanner.take("{")
    groups = scanner.groups("}")
    scanner.take("}")
    scanner.take_if(";")
    states = tuple(" ".join(word.text for word in group) for group in groups)
    if str(len(states)) != size and len(groups) == 1:  # names apart by blanks alone
        states = tuple(word.text for word in groups[0])
    if str(len(states)) != size or not states:
        msg = (
            f"variable {name!r}: expected {size or 'a number of'} states, got {len(states)} "
            f"({', '.join(states)}); names with commas or braces need quotes"
        )
        raise scanner.failure(msg)
    if len(set(states)) < len(states) or "" in states:
        msg = f"variable {name!r}: states must be different and not empty, got {', '.join(states)}"
        raise scanner.failure(msg)
    return states


def _read_probability(scanner: Scanner, at: int) -> Block:
    scanner.take("(")
    names = scanner.groups("|)")
    if scanner.take_if("|"):
        names += scanner.groups(")")
    scanner.take(")")
    if not names:
        raise scanner.failure("expected the name of a variable, got none", at)
    scanner.take("{")
    table = default = None
    rows: list[Row] = []
    while not scanner.take_if("}"):
        here = scanner.at
        if scanner.take_if("("):
            states = scanner.groups(")")
            scanner.take(")")
            rows.append(Row(states, _read_numbers(scanner), here))
            continue
        keyword = scanner.keyword("table, default, a row or '}'")
        if keyword == "property":
            scanner.skip_statement()
        elif keyword == "table" and table is None:
            table = Row([], _read_numbers(scanner), here)
        elif keyword == "default" and default is None:
            default = Row([], _read_numbers(scanner), here)
        else:
            expected = "table (once), default (once), a row in parentheses, property or '}'"
            raise scanner.unexpected(expected, here)
    return Block(names, table, default, rows, at)


def _read_numbers(scanner: Scanner) -> list[float]:
    numbers = []
    for group in scanner.groups(";"):
        for word in group:
            if not NUMBER.fullmatch(word.text):
                raise scanner.failure(f"expected a probability, got {word.text!r}", word.at)
            numbers.append(float(word.text))
    scanner.take(";")
    return numbers


def _joined(groups: list[list[Word]]) -> str:
    return ", ".join(" ".join(word.text for word in group) for group in groups)
