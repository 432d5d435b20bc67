"""Tables for papers: columns of figures with intervals, the best of each column marked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from typing import Any, NamedTuple

__all__ = [
    "DASH",
    "Cell",
    "Column",
    "Row",
    "Table",
    "best_texts",
    "is_best",
    "text",
    "to_html",
    "to_markdown",
]

DASH = "–"


class Column(NamedTuple):
    """A column of numbers.

    Attributes:
        title: Its head where it stands alone.
        best: ``max`` or ``min`` where one of them is better; ``None`` where neither is.
        digits: Digits behind the point of a fraction; whole numbers have none.
        group: The head that it shares with its neighbours in a paper; empty for none.
        short: Its head below that one; empty for the title.
    """

    title: str
    best: Callable[..., Any] | None = None
    digits: int = 2
    group: str = ""
    short: str = ""


class Cell(NamedTuple):
    """A figure.

    Attributes:
        value: The number; ``None`` where it is not defined.
        half_width: Half the width of its interval; ``None`` where there is none.
        partial: Whether it leaves out some runs, so that it is never called the best.
    """

    value: float | None = None
    half_width: float | None = None
    partial: bool = False


class Row(NamedTuple):
    """A line of a table.

    Attributes:
        name: Its head.
        cells: A cell for each column.
        notes: The numbers, from 1, of the notes that belong to it.
    """

    name: str
    cells: Sequence[Cell]
    notes: Sequence[int] = ()


class Table(NamedTuple):
    """A table without its form.

    Attributes:
        columns: The columns.
        rows: The lines.
        notes: Texts below the table.
    """

    columns: Sequence[Column]
    rows: Sequence[Row]
    notes: Sequence[str] = ()


def to_markdown(table: Table) -> str:
    """Writes a Markdown table, the best of each column in bold.

    Args:
        table: The table; an undefined figure is shown as a dash.

    Returns:
        The table without a final line end, and its notes in lines below.

    Example:
        >>> rows = [Row("PC", [Cell(3)], [1]), Row("GES", [Cell(1.5, 0.75)])]
        >>> print(to_markdown(Table([Column("SHD", min, digits=1)], rows, ["9 of 10 runs"])))
        | method | SHD |
        | --- | ---: |
        | PC [1] | 3 |
        | GES | **1.5** ± 0.8 |
        <BLANKLINE>
        [1] 9 of 10 runs
    """
    best = best_texts(table)
    lines = [["method", *(c.title for c in table.columns)], ["---", *["---:"] * len(table.columns)]]
    for row in table.rows:
        marks = "".join(f" [{k}]" for k in row.notes)
        cells = [
            text(cell, column, strong="**{}**" if is_best(cell, column, b) else "{}")
            for cell, column, b in zip(row.cells, table.columns, best, strict=True)
        ]
        lines.append([_in_markdown(row.name) + marks, *cells])
    written = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    notes = "\n".join(f"[{k}] {note}" for k, note in enumerate(table.notes, start=1))
    return f"{written}\n\n{notes}" if notes else written


def to_html(table: Table) -> str:
    """Writes an HTML table for a notebook, the best of each column in bold.

    Args:
        table: The table.

    Returns:
        A ``table`` element and its notes.
    """
    best = best_texts(table)
    head = "".join(f"<th>{escape(c.title)}</th>" for c in table.columns)
    body = []
    for row in table.rows:
        marks = "".join(f"<sup>{k}</sup>" for k in row.notes)
        cells = "".join(
            "<td>" + text(cell, c, strong="<b>{}</b>" if is_best(cell, c, b) else "{}") + "</td>"
            for cell, c, b in zip(row.cells, table.columns, best, strict=True)
        )
        body.append(f"<tr><th>{escape(row.name)}{marks}</th>{cells}</tr>")
    notes = "".join(f"<p><sup>{k}</sup> {escape(n)}</p>" for k, n in enumerate(table.notes, 1))
    return (
        f"<table><thead><tr><th>method</th>{head}</tr></thead><tbody>{''.join(body)}</tbody>"
        f"</table>{notes}"
    )


def text(cell: Cell, column: Column, *, strong: str = "{}") -> str:
    """Writes one figure.

    Args:
        cell: The figure.
        column: Its column.
        strong: What stands around the figure, its interval apart.

    Returns:
        Such as ``0.93 ± 0.04``; a dash where it is not defined.

    Example:
        >>> text(Cell(0.925, 0.04), Column("F1"), strong="**{}**")
        '**0.93** ± 0.04'
    """
    if cell.value is None:
        return DASH
    whole = isinstance(cell.value, int)
    figure = strong.format(str(cell.value) if whole else f"{cell.value:.{column.digits}f}")
    return figure if cell.half_width is None else f"{figure} ± {cell.half_width:.{column.digits}f}"


def best_texts(table: Table) -> list[str | None]:
    """Finds the best figure of each column, as printed, so that equal figures are equally best.

    Args:
        table: The table.

    Returns:
        The text of each column's best figure; ``None`` where neither end is better, nothing is
        defined, or there is one line only.
    """
    best: list[str | None] = []
    for k, column in enumerate(table.columns):
        cells = [row.cells[k] for row in table.rows if not row.cells[k].partial]
        known = [cell.value for cell in cells if cell.value is not None]
        bold = column.best is not None and len(table.rows) > 1 and known
        chosen = column.best(known) if column.best is not None and bold else None
        best.append(None if chosen is None else text(Cell(chosen), column))
    return best


def is_best(cell: Cell, column: Column, best: str | None) -> bool:
    """Says whether a figure is the best of its column.

    Args:
        cell: The figure.
        column: Its column.
        best: The text of the best figure, or ``None``.

    Returns:
        True where it is.
    """
    return not cell.partial and best is not None and text(Cell(cell.value), column) == best


def _in_markdown(name: str) -> str:
    return name.replace("|", "\\|")
