"""Rows of codes from a CSV file."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from ctvae.errors import DataError, did_you_mean
from ctvae.regimes import Regime, Samples
from ctvae.slots import Slot, SlotSpace

__all__ = ["read_rows"]

MISSING = {"", "na", "nan", "null", "none", "?"}
NOTHING_DONE = {"", "0", "none", "observational"}
WHOLE = re.compile(r"[+-]?\d+")
FLOAT = re.compile(r"[+-]?(\d+\.\d*|\.?\d+)([eE][+-]?\d+)?")


def read_rows(
    path: Path, *, targets_column: str | None = None, regimes_column: str | None = None
) -> Samples:
    """Reads codes, and what was done, from a CSV file with a head.

    A column whose entries are integers has codes in their order, any other column in the order of
    its words; the entries stay as the names of the codes.

    Args:
        path: The file: UTF-8, commas, one row a unit.
        targets_column: A column that names the slots that were set in a row, several with ``+``
            between; empty, ``0``, ``none`` or ``observational`` for none.
        regimes_column: A column with a label of what was done, where its target is not known; the
            same words stand for nothing.

    Returns:
        The rows.

    Raises:
        DataError: When the file cannot be read, a head is missing or doubled, a row is too long or
            too short, an entry is missing or a fraction, or a target is no column.
    """
    if targets_column is not None and regimes_column is not None:
        msg = "rows have known targets or regimes, not both; leave out --targets or --regimes"
        raise DataError(msg)
    head, lines = _read(path)
    special = targets_column if targets_column is not None else regimes_column
    if special is not None and special not in head:
        msg = f"{path.name} has no column {special!r}{did_you_mean(special, head)}"
        raise DataError(msg)
    names = [name for name in head if name != special]
    if not names:
        msg = f"{path.name} has no column of codes"
        raise DataError(msg)
    columns = dict(zip(head, zip(*lines, strict=True), strict=True))
    coded = [_codes(name, columns[name], path) for name in names]
    codes = torch.stack([column for column, _ in coded], 1)
    slots = SlotSpace([Slot(n, len(s), states=s) for n, (_, s) in zip(names, coded, strict=True)])
    if special is None:
        return Samples(codes, slots)
    done = [entry.strip() for entry in columns[special]]
    if targets_column is not None:
        return Samples(codes, slots, Regime.INTERVENTIONAL, _targets(done, names, special))
    labels = sorted({one for one in done if one.lower() not in NOTHING_DONE})
    number = {label: k for k, label in enumerate(labels, 1)}
    regimes = torch.tensor([number.get(one, 0) for one in done])
    return Samples(codes, slots, Regime.INTERVENTIONAL, regimes=regimes)


def _read(path: Path) -> tuple[list[str], list[list[str]]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            lines = [line for line in csv.reader(file) if line]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        msg = f"{path} cannot be read as CSV: {reason}"
        raise DataError(msg) from error
    if len(lines) < 2:
        msg = f"{path.name} needs a head and rows below it, got {len(lines)} lines"
        raise DataError(msg)
    head = [name.strip() for name in lines[0]]
    for name in head:
        if not name or head.count(name) > 1:
            msg = f"{path.name}: every column needs a name of its own, got {', '.join(head)}"
            raise DataError(msg)
    for number, line in enumerate(lines[1:], 2):
        if len(line) != len(head):
            msg = f"{path.name}, row {number}: {len(line)} entries below a head of {len(head)}"
            raise DataError(msg)
    return head, lines[1:]


def _codes(name: str, entries: Sequence[str], path: Path) -> tuple[Tensor, tuple[str, ...]]:
    texts = [entry.strip() for entry in entries]
    for number, text in enumerate(texts, 2):
        if text.lower() in MISSING:
            msg = f"{path.name}, row {number}: {name!r} is missing; keep complete rows only"
            raise DataError(msg)
    states = sorted(set(texts))
    if all(WHOLE.fullmatch(text) for text in states):
        states.sort(key=int)
    elif broken := next((one for one in states if _is_fraction(one)), None):
        msg = (
            f"{path.name}: {name!r} holds the fraction {broken}, and codes are integers or words; "
            "bin it first, or take ctvae.graph.learn_continuous_graph"
        )
        raise DataError(msg)
    place = {text: k for k, text in enumerate(states)}
    return torch.tensor([place[text] for text in texts]), tuple(states)


def _is_fraction(text: str) -> bool:
    return bool(FLOAT.fullmatch(text)) and not WHOLE.fullmatch(text)


def _targets(done: Sequence[str], names: Sequence[str], column: str) -> Tensor:
    found = torch.zeros(len(done), len(names), dtype=torch.bool)
    for row, entry in enumerate(done):
        if entry.lower() in NOTHING_DONE:
            continue
        for name in entry.split("+"):
            if name.strip() not in names:
                msg = f"row {row + 2}: {column!r} names {name.strip()!r}, which is no slot"
                raise DataError(msg + did_you_mean(name.strip(), names))
            found[row, names.index(name.strip())] = True
    return found
