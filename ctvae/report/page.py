"""The page itself: sections in reading order, written whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from html import escape
from importlib.resources import files
from pathlib import Path

from ctvae.errors import FormatError
from ctvae.report.content import ReportContent
from ctvae.report.sections import make_sections

__all__ = ["render", "write_report"]


def write_report(content: ReportContent, path: Path) -> Path:
    """Writes the page, whole or not at all.

    Args:
        content: What it shows.
        path: Where to write; an older file there is replaced, a missing folder is made.

    Returns:
        The path.

    Raises:
        FormatError: When the file cannot be written there.
    """
    path, page = Path(path), render(content)
    draft: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
        draft = Path(name)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(page)
        draft.chmod(0o644)
        os.replace(draft, path)
    except OSError as error:
        if draft is not None:
            draft.unlink(missing_ok=True)
        msg = f"cannot write {path}: {error.strerror or error}; choose another file or folder"
        raise FormatError(msg) from error
    return path


def render(content: ReportContent) -> str:
    """Makes the page.

    Args:
        content: What it shows.

    Returns:
        HTML that needs no other file and no network.

    Example:
        >>> page = render(ReportContent(title="five slots & a graph"))
        >>> page.startswith("<!doctype html>"), "five slots &amp; a graph" in page
        (True, True)
    """
    sections = make_sections(content)
    title = escape(content.title)
    style = files("ctvae.report").joinpath("page.css").read_text(encoding="utf-8")
    links = "".join(f'<a href="#{s.key}">{escape(s.title)}</a>' for s in sections)
    body = "".join(
        f'<section id="{s.key}" aria-labelledby="{s.key}-title"><h2 id="{s.key}-title">'
        f'{escape(s.title)}</h2><p class="lede">{s.lede}</p>{"".join(s.figures)}</section>'
        for s in sections
    )
    return "\n".join((
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{title}</title>\n<style>{style}</style>\n</head>\n<body>",
        f'<header class="top">\n<h1>{title}</h1>',
        f'<p class="subtitle">{escape(content.subtitle)}</p>' if content.subtitle else "",
        f'<p class="command">{escape(content.command)}</p>' if content.command else "",
        f'<nav aria-label="Contents">{links}</nav>' if links else "",
        "</header>\n<main>",
        _tiles(content),
        _alarms(content.alarms),
        body,
        "</main>\n<footer>Made by ctvae. The page needs no network and no other file.</footer>",
        "</body>\n</html>\n",
    ))


def _tiles(content: ReportContent) -> str:
    if not content.summary:
        return ""
    tiles = "".join(
        f'<div><dt>{escape(tile.label)}</dt><dd class="value">{escape(tile.value)}</dd>'
        + (f'<dd class="note">{escape(tile.note)}</dd>' if tile.note else "")
        + "</div>"
        for tile in content.summary
    )
    return f'<dl class="tiles">{tiles}</dl>'


def _alarms(alarms: Iterable[str]) -> str:
    lines = "".join(f"<li>{escape(alarm)}</li>" for alarm in alarms)
    if not lines:
        return '<p class="calm">✓ Training raised no alarm.</p>'
    return (
        '<aside class="alarms"><strong>Training raised alarms: read the figures below '
        f"with care.</strong><ul>{lines}</ul></aside>"
    )
