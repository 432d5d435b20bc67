"""The tables of a report: heat maps, shares as bars, and the comparison of graphs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from html import escape
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from ctvae.graph.compare import GraphComparison
from ctvae.report.content import Baseline, Confusion, Effects, WrongCodes

__all__ = [
    "MOST_ACTIONS",
    "baseline_table",
    "comparison_table",
    "confusion_table",
    "effects_table",
    "hardest",
    "wrong_code_table",
]

MOST_ACTIONS = 24
STRONG = 0.78  # above it a cell is dark enough for white figures
DASH = "–"


class Score(NamedTuple):
    """One column of the comparison.

    Attributes:
        title: Its head.
        field: The attribute of a row.
        best: ``max`` or ``min`` where one of them is better; ``None`` where neither is.
    """

    title: str
    field: str
    best: Callable[..., Any] | None


SCORES = (
    Score("precision", "skeleton_precision", max),
    Score("recall", "skeleton_recall", max),
    Score("F1", "skeleton_f1", max),
    Score("precision", "orientation_precision", max),
    Score("recall", "orientation_recall", max),
    Score("F1", "orientation_f1", max),
    Score("SHD", "shd", min),
    Score("SHD (CPDAG)", "shd_cpdag", min),
    Score("edges", "edges", None),
)


def comparison_table(comparison: GraphComparison) -> str:
    """Writes the scores of graphs, the best of each column in bold.

    Args:
        comparison: The graphs.

    Returns:
        A ``table`` element; without a truth it holds the distances between the graphs.
    """
    rows = comparison.rows
    if comparison.truth is None:
        titles = [f"SHD to {row.method}" for row in rows]
        head = "".join(_column_head(title) for title in [*titles, "edges"])
        head = f'<tr><th scope="col">method</th>{head}</tr>'
        lines = comparison.pairwise().tolist()
        cells = [
            [_number(v) for v in [*line, row.edges]] for line, row in zip(lines, rows, strict=True)
        ]
    else:
        groups = (("skeleton", 3), ("orientation", 3), ("distance", 2), ("", 1))
        head = "".join(
            f'<th scope="colgroup" colspan="{span}">{name}</th>' for name, span in groups
        )
        columns = "".join(_column_head(score.title) for score in SCORES)
        head = f'<tr><th scope="col" rowspan="2">method</th>{head}</tr><tr>{columns}</tr>'
        best = [_best(score, rows) for score in SCORES]
        cells = []
        for row in rows:
            texts = [_text(getattr(row, score.field)) for score in SCORES]
            cells.append([
                _number(t, strong=t == b and t != DASH) for t, b in zip(texts, best, strict=True)
            ])
    body = "".join(
        f'<tr><th scope="row">{escape(row.method)}</th>{"".join(line)}</tr>'
        for row, line in zip(rows, cells, strict=True)
    )
    return _scrolling(f'<table class="scores"><thead>{head}</thead><tbody>{body}</tbody></table>')


def effects_table(effects: Effects) -> str:
    """Writes the effects of interventions as a heat map.

    Args:
        effects: The distances between laws.

    Returns:
        A ``table`` element, one row an intervention.
    """
    head = "".join(_column_head(name) for name in effects.slots)
    lines = []
    for name, row in zip(effects.slots, effects.distances.tolist(), strict=True):
        cells = "".join(
            '<td class="none"></td>' if math.isnan(v) else _cell(v, f"{v:.2f}") for v in row
        )
        lines.append(f'<tr><th scope="row"><code>do({escape(name)})</code></th>{cells}</tr>')
    return _scrolling(
        '<table class="heat"><thead><tr><td></td>'
        f"{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>"
    )


def hardest(confusion: Confusion) -> Confusion:
    """Keeps the actions that can be shown.

    Args:
        confusion: Counts over any number of actions.

    Returns:
        The same where there are few; else those actions that are most often part of a mistake.
    """
    if len(confusion.actions) <= MOST_ACTIONS:
        return confusion
    wrong = confusion.counts - confusion.counts.diag().diag()
    order = (wrong.sum(0) + wrong.sum(1)).argsort(descending=True, stable=True)
    keep = order[:MOST_ACTIONS].sort().values
    return Confusion(
        tuple(confusion.actions[k] for k in keep.tolist()), confusion.counts[keep][:, keep]
    )


def confusion_table(confusion: Confusion) -> str:
    """Writes which action is taken for which as a heat map.

    Args:
        confusion: The counts. The diagonal is shaded by its share of the row, mistakes by the
            square root of theirs, so that rare ones are seen.

    Returns:
        A ``table`` element.
    """
    shares = _row_shares(confusion.counts)
    head = "".join(
        f'<th scope="col" class="upright"><span>{escape(name)}</span></th>'
        for name in confusion.actions
    )
    lines = []
    for i, name in enumerate(confusion.actions):
        cells = []
        for j in range(len(confusion.actions)):
            count = float(confusion.counts[i, j])
            if count == 0:
                cells.append('<td class="zero"></td>')
                continue
            share = float(shares[i, j])
            shade, kind = (share, "") if i == j else (math.sqrt(share), "wrong")
            cells.append(_cell(shade, f"{count:.0f}", kind))
        lines.append(f'<tr><th scope="row">{escape(name)}</th>{"".join(cells)}</tr>')
    return _scrolling(
        '<table class="heat confusion"><thead><tr><td></td>'
        f"{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>"
    )


def wrong_code_table(rows: Sequence[WrongCodes]) -> str:
    """Writes the share of wrong codes of each slot, with a bar.

    Args:
        rows: The slots.

    Returns:
        A ``table`` element.
    """
    longest = max(max(row.share for row in rows), 1e-9)
    body = "".join(
        f'<tr><th scope="row">{escape(row.slot)}</th>{_number(f"{row.share:.2%}")}'
        f"{_bar(row.share / longest)}</tr>"
        for row in rows
    )
    return (
        '<table class="shares"><thead><tr><th scope="col">slot</th>'
        f"{_column_head('wrong codes')}<td></td></tr></thead><tbody>{body}</tbody></table>"
    )


def baseline_table(rows: Sequence[Baseline]) -> str:
    """Writes accuracy and log loss of several methods, the best in bold.

    Args:
        rows: The methods.

    Returns:
        A ``table`` element.
    """
    right = [f"{row.accuracy:.3f}" for row in rows]
    loss = [DASH if row.nll is None else f"{row.nll:.3f}" for row in rows]
    most, least = max(right), min((row.nll for row in rows if row.nll is not None), default=None)
    body = "".join(
        f'<tr><th scope="row">{escape(row.method)}</th>{_number(a, strong=a == most)}'
        f"{_bar(row.accuracy, strong=a == most)}"
        f"{_number(n, strong=least is not None and n == f'{least:.3f}')}</tr>"
        for row, a, n in zip(rows, right, loss, strict=True)
    )
    return (
        '<table class="shares"><thead><tr><th scope="col">method</th>'
        f"{_column_head('accuracy')}<td></td>{_column_head('NLL (nats)')}</tr></thead>"
        f"<tbody>{body}</tbody></table>"
    )


def _row_shares(counts: Float[Tensor, "n n"]) -> Float[Tensor, "n n"]:
    totals = counts.double().sum(1, keepdim=True)
    return torch.where(totals > 0, counts.double() / totals.clamp(min=1e-12), 0.0)


def _best(score: Score, rows: Sequence[object]) -> str | None:
    # compared as printed, so that equal figures are never told apart; one row has no best
    known = [getattr(row, score.field) for row in rows]
    known = [value for value in known if value is not None]
    return _text(score.best(known)) if score.best and known and len(rows) > 1 else None


def _text(value: float | None) -> str:
    if value is None:
        return DASH
    return f"{value:.2f}" if isinstance(value, float) else str(value)


def _column_head(text: str) -> str:
    return f'<th scope="col">{escape(text)}</th>'


def _number(value: object, *, strong: bool = False) -> str:
    text = escape(str(value))
    return f'<td class="number">{f"<strong>{text}</strong>" if strong else text}</td>'


def _bar(share: float, *, strong: bool = False) -> str:
    kind = ' class="strong"' if strong else ""
    bar = f'<span{kind} style="width:{share:.1%}"></span>' if share > 0 else ""
    return f'<td class="bar">{bar}</td>'


def _cell(value: float, text: str, kind: str = "") -> str:
    names = " ".join(filter(None, (kind, "strong" if value > STRONG else "")))
    attribute = f' class="{names}"' if names else ""
    return f'<td{attribute} style="--v:{value:.3f}">{text}</td>'


def _scrolling(table: str) -> str:
    return f'<div class="scroll" tabindex="0" role="region" aria-label="table">{table}</div>'
