"""Tables for papers: Markdown and LaTeX with the best value of each column in bold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

__all__ = ["Column", "escape_latex", "to_latex", "to_markdown"]

LATEX_ESCAPES = {
    "\\": r"\textbackslash{}",
    "_": r"\_",
    "%": r"\%",
    "&": r"\&",
    "#": r"\#",
    "$": r"\$",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
}

Rows = Sequence[tuple[str, Sequence[Any]]]


class Column(NamedTuple):
    """A column of numbers.

    Attributes:
        title: Its head.
        best: ``max`` or ``min`` where one of them is better; ``None`` where neither is.
    """

    title: str
    best: Callable[..., Any] | None = None


def to_markdown(columns: Sequence[Column], rows: Rows) -> str:
    """Writes a Markdown table.

    Args:
        columns: The columns.
        rows: Name and numbers of each row; ``None`` is shown as a dash.

    Returns:
        The table without a final line end.

    Example:
        >>> print(to_markdown([Column("SHD", min)], [("PC", [3]), ("GES", [1])]))
        | method | SHD |
        | --- | ---: |
        | PC | 3 |
        | GES | **1** |
    """
    best = _best(columns, rows)
    lines = [["method", *(c.title for c in columns)], ["---", *["---:"] * len(columns)]]
    for name, values in rows:
        cells = [
            f"**{_text(v)}**" if _is_best(v, b) else _text(v)
            for v, b in zip(values, best, strict=True)
        ]
        lines.append([name.replace("|", "\\|"), *cells])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def to_latex(columns: Sequence[Column], rows: Rows, *, caption: str, label: str) -> str:
    r"""Writes a LaTeX table with booktabs rules.

    Args:
        columns: The columns.
        rows: Name and numbers of each row; ``None`` is shown as a dash.
        caption: The caption, plain text.
        label: The label for ``\ref``.

    Returns:
        A ``table`` environment.
    """
    best = _best(columns, rows)
    head = " & ".join(["method", *(escape_latex(c.title) for c in columns)])
    body = []
    for name, values in rows:
        cells = [
            rf"\textbf{{{_text(v)}}}" if _is_best(v, b) else _text(v).replace("–", "--")
            for v, b in zip(values, best, strict=True)
        ]
        body.append("    " + " & ".join([escape_latex(name), *cells]) + r" \\")
    return "\n".join([
        r"\begin{table}",
        r"  \centering",
        rf"  \caption{{{escape_latex(caption)}}}",
        rf"  \label{{{label}}}",
        rf"  \begin{{tabular}}{{l{'r' * len(columns)}}}",
        r"    \toprule",
        rf"    {head} \\",
        r"    \midrule",
        *body,
        r"    \bottomrule",
        r"  \end{tabular}",
        r"\end{table}",
    ])


def escape_latex(text: str) -> str:
    r"""Escapes the characters that LaTeX gives a meaning.

    Args:
        text: Plain text.

    Returns:
        Text that LaTeX prints as it was.

    Example:
        >>> escape_latex("slot_1 & 50%")
        'slot\\_1 \\& 50\\%'
    """
    return "".join(LATEX_ESCAPES.get(character, character) for character in text)


def _best(columns: Sequence[Column], rows: Rows) -> list[str | None]:
    # compared as printed, so that equal figures are never told apart; one row has no best
    best: list[str | None] = []
    for k, column in enumerate(columns):
        known = [values[k] for _, values in rows if values[k] is not None]
        bold = column.best is not None and len(rows) > 1 and known
        best.append(_text(column.best(known)) if column.best is not None and bold else None)
    return best


def _is_best(value: object, best: str | None) -> bool:
    return best is not None and value is not None and _text(value) == best


def _text(value: object) -> str:
    if value is None:
        return "–"
    return f"{value:.2f}" if isinstance(value, float) else str(value)
