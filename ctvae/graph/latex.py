r"""Tables in LaTeX: booktabs rules, heads in two levels, panels where a line would be too wide."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

from ctvae.graph.tables import Cell, Column, Table, best_texts, is_best, text

__all__ = ["escape_latex", "to_latex"]

ESCAPES = {
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
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "–": "--",
    "±": r"$\pm$",
    "\n": " ",
    "[": "{[}",
    "χ": r"$\chi$",
    "α": r"$\alpha$",
    "λ": r"$\lambda$",
    "²": "$^2$",
    "≤": r"$\le$",
    "≥": r"$\ge$",
    "→": r"$\to$",
    "×": r"$\times$",
}
TEXT_WIDTH = 343.0
"""Points; the text of an article in 10 pt is 345 wide."""
GAP = 6.0
"""Points between two columns."""
LONGEST_NAME = 110.0
"""Points; longer names of methods are broken over lines."""
WIDTHS = {
    **dict.fromkeys("0123456789", 4.3),
    **dict.fromkeys(".,:;'ijl|!()[]-/ ", 2.9),
    **dict.fromkeys("frst", 3.4),
    **dict.fromkeys("mwMW", 7.4),
    "±": 9.6,
    "–": 4.3,
}
"""Points, of characters in footnote size, rounded up; others are ``LETTER`` or ``CAPITAL``."""
LETTER, CAPITAL, BOLD = 4.5, 6.3, 1.15


class Size(NamedTuple):
    """A size of type.

    Attributes:
        command: What chooses it.
        scale: Its widths as a share of footnote size.
        interval: What chooses the size of intervals.
        interval_scale: Their widths as a share of footnote size.
    """

    command: str
    scale: float
    interval: str
    interval_scale: float


FOOTNOTE = Size(r"\footnotesize", 1.0, r"\scriptsize", 0.88)
SCRIPT = Size(r"\scriptsize", 0.88, r"\fontsize{6}{7}\selectfont", 0.78)
MOST_PANELS = 2
"""More than that in footnote size are set in script size."""


def to_latex(table: Table, *, caption: str, label: str) -> str:
    r"""Writes a LaTeX table, the best of each column in bold.

    It needs ``\usepackage{booktabs}`` and fits the text of a one-column article: columns that
    would stick out make another panel below the first, with the methods again.

    Args:
        table: The table; an undefined figure is shown as a dash.
        caption: The caption, plain text.
        label: The label for ``\ref``.

    Returns:
        A ``table`` environment, below a comment with what it needs.

    Example:
        >>> from ctvae.graph.tables import Row
        >>> print(to_latex(Table([Column("SHD")], [Row("PC", [Cell(3)])]), caption="C", label="t"))
        % needs \usepackage{booktabs}
        \begin{table}
          \caption{C}
          \label{t}
          \centering\footnotesize\setlength{\tabcolsep}{3pt}
          \par\medskip
          \begin{tabular}{@{}lr@{}}
            \toprule
            method & SHD \\
            \midrule
            PC & 3 \\
            \bottomrule
          \end{tabular}
        \end{table}
    """
    best = best_texts(table)
    size, panels = FOOTNOTE, _panels(table, FOOTNOTE)
    if len(panels) > MOST_PANELS:
        size, panels = SCRIPT, _panels(table, SCRIPT)
    lines: list[str] = []
    for panel in panels:
        lines += [r"  \par\medskip"] if lines else []
        lines += _tabular(table, panel, best, size)
    for k, note in enumerate(table.notes, start=1):
        mark = rf"\textsuperscript{{{k}}}"
        lines.append(
            rf"  \par\smallskip\parbox{{\linewidth}}{{\footnotesize {mark} {escape_latex(note)}}}"
        )
    head = rf"  \centering{size.command}\setlength{{\tabcolsep}}{{{GAP / 2:g}pt}}"
    if any(cell.half_width is not None for row in table.rows for cell in row.cells):
        head += rf"\def\interval#1{{{{{size.interval}\,$\pm$\,#1}}}}"
    return "\n".join([
        r"% needs \usepackage{booktabs}",
        r"\begin{table}",
        rf"  \caption{{{escape_latex(caption)}}}",
        rf"  \label{{{label}}}",
        head,
        r"  \par\medskip",
        *lines,
        r"\end{table}",
    ])


def escape_latex(plain: str) -> str:
    r"""Escapes the characters that LaTeX gives a meaning.

    Args:
        plain: Plain text.

    Returns:
        Text that LaTeX prints as it was.

    Example:
        >>> escape_latex("slot_1 & 50%")
        'slot\\_1 \\& 50\\%'
    """
    return "".join(ESCAPES.get(character, character) for character in plain)


def _tabular(
    table: Table, panel: Sequence[int], best: Sequence[str | None], size: Size
) -> list[str]:
    columns = [table.columns[k] for k in panel]
    names = "l"
    if max((size.scale * _wide(row.name) for row in table.rows), default=0) > LONGEST_NAME:
        names = rf"p{{{LONGEST_NAME:.0f}pt}}"
    body = []
    for row in table.rows:
        marks = ",".join(map(str, row.notes))
        name = escape_latex(row.name) + (rf"\textsuperscript{{{marks}}}" if marks else "")
        cells = [_in_latex(row.cells[k], table.columns[k], best[k]) for k in panel]
        body.append("    " + " & ".join([name, *cells]) + r" \\")
    return [
        rf"  \begin{{tabular}}{{@{{}}{names}{'r' * len(columns)}@{{}}}}",
        r"    \toprule",
        *_head(columns),
        r"    \midrule",
        *body,
        r"    \bottomrule",
        r"  \end{tabular}",
    ]


def _head(columns: Sequence[Column]) -> list[str]:
    titles = [(c.short or c.title) if c.group else c.title for c in columns]
    last = " & ".join(["method", *(escape_latex(title) for title in titles)])
    groups, rules, at = [], [], 2
    for group, members in groupby(columns, key=lambda column: column.group):
        width = len(list(members))
        groups.append(rf"\multicolumn{{{width}}}{{c}}{{{escape_latex(group)}}}" if group else "")
        groups[-1] += " &" * (width - 1) if not group else ""
        rules += [rf"\cmidrule(lr){{{at}-{at + width - 1}}}"] if group else []
        at += width
    if not rules:
        return [rf"    {last} \\"]
    return ["    & " + " & ".join(groups) + r" \\", "    " + " ".join(rules), rf"    {last} \\"]


def _panels(table: Table, size: Size) -> list[list[int]]:
    # whole groups where they fit, columns of one group where it does not; the room left in an
    # earlier panel takes what still fits there
    room = TEXT_WIDTH - _name_width(table, size)
    panels: list[list[int]] = []
    left: list[float] = []
    for group, members in groupby(range(len(table.columns)), key=lambda k: table.columns[k].group):
        columns = list(members)
        whole = max(size.scale * _wide(group) + GAP, sum(_width(table, k, size) for k in columns))
        parts = [columns] if group and whole <= room else [[k] for k in columns]
        for part in parts:
            needed = whole if len(part) > 1 else _width(table, part[0], size)
            at = next((k for k, space in enumerate(left) if space >= needed), len(left))
            if at == len(left):
                panels.append([])
                left.append(room)
            panels[at] += part
            left[at] -= needed
    return panels


def _width(table: Table, k: int, size: Size) -> float:
    column = table.columns[k]
    title = (column.short or column.title) if column.group else column.title
    widest = size.scale * _wide(title)
    for row in table.rows:
        figure, _, interval = text(row.cells[k], column).partition(" ± ")
        behind = size.interval_scale * _wide(f"±{interval}") if interval else 0.0
        widest = max(widest, size.scale * BOLD * _wide(figure) + behind)
    return widest + GAP


def _name_width(table: Table, size: Size) -> float:
    names = [_wide(row.name) + 3 * len(row.notes) for row in table.rows]
    return min(size.scale * max([*names, _wide("method")]), LONGEST_NAME) + GAP


def _wide(plain: str) -> float:
    return sum(WIDTHS.get(c, CAPITAL if c.isupper() else LETTER) for c in plain)


def _in_latex(cell: Cell, column: Column, best: str | None) -> str:
    strong = r"\textbf{{{}}}" if is_best(cell, column, best) else "{}"
    written = text(cell, column, strong=strong).replace("–", "--")
    figure, _, interval = written.partition(" ± ")
    return rf"{figure}\interval{{{interval}}}" if interval else figure
