"""The sections of a report in reading order: figures with what to see in them."""

from __future__ import annotations

from html import escape
from typing import NamedTuple

import torch

from ctvae.report.content import ActionCase, Confusion, EditGrid, ReportContent, WorldStrip
from ctvae.report.figures import band_svg, calibration_svg, draw_graphs, edge_counts, picture
from ctvae.report.tables import (
    baseline_table,
    comparison_table,
    confusion_table,
    effects_table,
    hardest,
    wrong_code_table,
)

__all__ = ["Section", "make_sections"]


class Section(NamedTuple):
    """One part of the page.

    Attributes:
        key: Its anchor.
        title: Its heading.
        lede: What it answers, in a sentence.
        figures: Its figures.
    """

    key: str
    title: str
    lede: str
    figures: tuple[str, ...]


def make_sections(content: ReportContent) -> list[Section]:
    """Makes the sections that have something to say.

    Args:
        content: What the page shows.

    Returns:
        The sections in reading order, each with at least one figure.
    """
    sections = [
        section._replace(figures=tuple(filter(None, section.figures)))
        for section in (
            _slots(content),
            _edits(content),
            _worlds(content),
            _graphs(content),
            _retrieval(content),
        )
    ]
    return [section for section in sections if section.figures]


def _slots(content: ReportContent) -> Section:
    pictures, wrong = "", ""
    if content.originals is not None and content.reconstructions is not None:
        before, after = content.originals, content.reconstructions
        error = float((before.double() - after.double()).square().mean()) if len(before) else 0.0
        strips = _strip(WorldStrip("original", before)) + _strip(
            WorldStrip("reconstruction", after)
        )
        pictures = _figure(
            f'<div class="strips">{strips}</div>' if len(before) else "",
            "Each picture below is drawn from the codes of the one above alone; what differs is "
            f"what the codes do not hold (mean squared error {error:.4f} over these pictures).",
        )
    if content.wrong_codes:
        worst = max(content.wrong_codes, key=lambda row: row.share)
        words = (
            f"Slot <em>{escape(worst.slot)}</em> is read wrong most often, on {worst.share:.2%} of "
            "the held-out images; bars are drawn against it."
        )
        wrong = _figure(
            wrong_code_table(content.wrong_codes),
            words if worst.share > 0 else "No slot is read wrong on any held-out image.",
            "Share of wrong codes per slot",
        )
    lede = "An image becomes one code a slot; the decoder draws it again from those codes."
    return Section("slots", "What the slots hold", lede, (pictures, wrong))


def _edits(content: ReportContent) -> Section:
    grid = content.edits
    lede = (
        "<code>edit(slot=k, value=v)</code>: this slot alone changes, all others are held, "
        "whatever the graph says."
    )
    figure = _edit_figure(grid) if grid is not None and grid.rows else ""
    return Section("edit", "Edit one slot", lede, (figure,))


def _edit_figure(grid: EditGrid) -> str:
    rows = []
    for row in grid.rows:
        items = []
        for k, (code, pixels) in enumerate(zip(row.codes, row.pictures, strict=True)):
            alt = f"the image with {row.slot} set to {code}"
            mark = ' class="own"' if k == row.own else ""
            items.append(f"<li{mark}>{picture(pixels, alt)}<span>{escape(code)}</span></li>")
        rows.append(f'<div class="edit"><h3>{escape(row.slot)}</h3><ol>{"".join(items)}</ol></div>')
    side = 76 if max(len(row.codes) for row in grid.rows) <= 8 else 60
    source = f'<div class="source">{picture(grid.source, "the image")}<p>the image</p></div>'
    return _figure(
        f'<div class="editing" style="--side:{side}px">{source}<div>{"".join(rows)}</div></div>',
        "Along a row one factor should change and nothing else; the framed picture has the "
        "image's own code.",
    )


def _worlds(content: ReportContent) -> Section:
    lede = (
        "<code>do(slot=k, value=v)</code> and what it moves downstream: descendants of the slot "
        "respond, all other slots keep their law."
    )
    strips, heat = "", ""
    if content.worlds:
        strips = _figure(
            f'<div class="strips">{"".join(map(_strip, content.worlds))}</div>',
            "All rows share their random numbers: down a column, what the intervention does not "
            "reach is equal to the last bit, and what lies downstream responds.",
        )
    effects = content.effects
    if effects is not None and effects.slots:
        flat = effects.distances.double().nan_to_num(0.0)
        i, j = divmod(int(flat.argmax()), len(effects.slots))
        words = (
            f"<code>do({escape(effects.slots[i])})</code> moves "
            f"<em>{escape(effects.slots[j])}</em> most ({float(flat[i, j]):.2f}), and a cell at 0 "
            "is a slot that the intervention does not reach."
            if flat[i, j] > 0
            else "no intervention moves another slot."
        )
        heat = _figure(
            effects_table(effects),
            "Total variation between a slot's law (column) and its law under the intervention "
            f"(row), averaged over the values set: {words}",
            "How far an intervention moves the other slots",
            beside=True,
        )
    return Section("do", "Intervene", lede, (strips, heat))


def _strip(strip: WorldStrip) -> str:
    pictures = "".join(
        picture(pixels, f"{strip.title}, picture {k}")
        for k, pixels in enumerate(strip.pictures, start=1)
    )
    return (
        f'<div class="strip"><h3>{escape(strip.title)}</h3><div class="pictures" '
        f'style="--n:{max(len(strip.pictures), 1)}">{pictures}</div></div>'
    )


def _graphs(content: ReportContent) -> Section:
    drawn, table = "", ""
    if content.graphs:
        counts = [edge_counts(panel) for panel in content.graphs]
        drawings = draw_graphs(content.graphs)
        panels = []
        for panel, found, svg in zip(content.graphs, counts, drawings.svgs, strict=True):
            words = "&nbsp;· ".join(
                f"{c.number}&nbsp;{c.label}" for c in found if c.look != "plain"
            )
            words = words or f"{panel.graph.num_edges} edges"
            panels.append(f"<div><h3>{escape(panel.name)}</h3><p>{words}</p>{svg}</div>")
        looks = {c.look: c.label for found in counts for c in found if c.look != "plain"}
        legend = "".join(f'<li class="{k}"><i></i>{label}</li>' for k, label in looks.items())
        caption = "A slot stands at the same place in every drawing"
        caption += "; the colour of an edge says how it compares with the truth." if legend else "."
        drawn = _figure(
            f'<div class="graphs" style="--w:{max(drawings.width, 260):.0f}px">{"".join(panels)}'
            "</div>" + (f'<ul class="legend">{legend}</ul>' if legend else ""),
            caption,
        )
    comparison = content.comparison
    if comparison is not None and comparison.graphs:
        table = _figure(
            comparison_table(comparison)
            + f"<details><summary>LaTeX source</summary><pre>{escape(comparison.to_latex())}</pre>"
            "</details>",
            "SHD counts the pairs of slots whose marks differ, so 0 is the same graph; the best "
            "figure of each column is bold.",
            "Graphs compared",
        )
    lede = "The causal graph over the slots, discovered from their codes."
    return Section("graph", "The graph over the slots", lede, (drawn, table))


def _retrieval(content: ReportContent) -> Section:
    cases, baselines, confusion, calibration = "", "", "", ""
    if content.actions:
        right = sum(case.answers[0][0] == case.action for case in content.actions)
        cases = _figure(
            f'<div class="cases">{"".join(map(_case, content.actions))}</div>',
            f"The likeliest action is the true one (green) in {right} of these "
            f"{len(content.actions)} pairs; a very low log-evidence says that no known action "
            "explains the pair.",
        )
    if content.baselines:
        baselines = _figure(
            baseline_table(content.baselines),
            "The same test pairs for every method; the best accuracy and the lowest log loss are "
            "bold.",
            "Beside other methods",
        )
    if content.confusion is not None and content.confusion.actions:
        confusion = _confusion_figure(content.confusion)
    found = content.calibration
    if found is not None and bool((found.curve.size > 0).any()):
        words = (
            f'<div><p>{escape(found.sentence)}</p>{band_svg(found)}<p class="lede">Needle: the '
            "calibration error. Bar: where it would lie for a perfectly calibrated model with "
            "as many answers.</p></div>"
        )
        calibration = _figure(
            f'<div class="two">{calibration_svg(found.curve)}{words}</div>',
            "Points on the diagonal are right as often as they say; the pale bars hold 95 % of "
            "what chance alone would do to a calibrated model, and the columns below show the "
            "share of the answers in each bin (square-root scale).",
            "Are the probabilities right?",
        )
    lede = "Which action led from one image to the next? Bayes' rule over all known actions."
    return Section(
        "retrieval", "Action retrieval", lede, (cases, baselines, confusion, calibration)
    )


def _case(case: ActionCase) -> str:
    rows = []
    for place, (name, probability) in enumerate(case.answers):
        mark = ' class="taken"' if place == 0 else ""  # likeliest, and wrong unless it is true
        mark = ' class="true"' if name == case.action else mark
        sign = "✓ " if name == case.action else ""
        rows.append(
            f'<li{mark}><span class="of"><i style="width:{min(probability, 1.0):.1%}"></i>'
            f"<b>{sign}{escape(name)}</b></span>"
            f'<data value="{probability:.6f}">{_percent(probability)}</data></li>'
        )
    evidence = f"{case.log_evidence:.2f}".replace("-", "−")
    if all(name != case.action for name, _ in case.answers):
        rows.append(f'<li class="miss">true action: {escape(case.action)}</li>')
    return (
        f'<div class="case"><div><div class="pair">{picture(case.before, "before the action")}'
        f"<span>→</span>{picture(case.after, f'after the action {case.action}')}</div>"
        f'<p class="under">log-evidence {evidence} nats</p></div>'
        f'<ol class="answers">{"".join(rows)}</ol></div>'
    )


def _confusion_figure(confusion: Confusion) -> str:
    counts, names = confusion.counts.double(), confusion.actions
    right, total = float(counts.diag().sum()), float(counts.sum())
    wrong = counts - counts.diag().diag()
    caption = (
        f"Rows are true actions, columns are answers: {right:.0f} of {total:.0f} pairs lie on the "
        "diagonal"
    )
    if wrong.max() > 0:
        i, j = divmod(int(torch.argmax(wrong)), len(names))
        caption += (
            f"; the most frequent mistake (orange) is <em>{escape(names[j])}</em> "
            f"for <em>{escape(names[i])}</em>, "
            f"{float(wrong[i, j]):.0f} times"
        )
    shown = hardest(confusion)
    if len(shown.actions) < len(names):
        caption += (
            f"; shown are the {len(shown.actions)} of {len(names)} actions most often mistaken"
        )
    title = "Which action is taken for which"
    return _figure(confusion_table(shown), caption + ".", title, beside=True)


def _percent(probability: float) -> str:
    # never 0 or 100 % for what is only near it
    if 0 < probability < 0.0005:
        return "&lt;0.1%"
    return "&gt;99.9%" if 0.9995 <= probability < 1 else f"{probability:.1%}"


def _figure(body: str, caption: str, title: str = "", *, beside: bool = False) -> str:
    if not body:
        return ""
    kind = ' class="beside"' if beside else ""  # the caption beside the body where there is room
    head = f"<h3>{escape(title)}</h3>" if title else ""
    return f"<figure{kind}>{head}{body}<figcaption>{caption}</figcaption></figure>"
