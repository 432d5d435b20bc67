"""Rows of codes from CSV files and data frames."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from ctvae.errors import DataError, did_you_mean
from ctvae.regimes import Regime, Samples
from ctvae.slots import Slot, SlotSpace

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["NATURAL", "CodeTable", "read_columns", "read_csv", "read_table"]

NATURAL = "observational"
"""The label of the regime in which nothing was done."""

MISSING = {"", "na", "nan", "<na>", "null", "none", "?"}
NOTHING_DONE = {"", "0", "0.0", "none", "nan", "<na>", NATURAL}
WHOLE = re.compile(r"[+-]?\d+(\.0*)?")
FLOAT = re.compile(r"[+-]?(\d+\.\d*|\.?\d+)([eE][+-]?\d+)?")
SEPARATORS = (",", ";", "\t")


class CodeTable(NamedTuple):
    """Rows, and what their regimes were called.

    Attributes:
        samples: The rows.
        regime_labels: The label of each regime, the first of which is that of rows to which nothing
            was done; empty where there are none.
    """

    samples: Samples
    regime_labels: tuple[str, ...] = ()


def read_csv(
    path: str | Path, *, targets: str | None = None, regimes: str | None = None
) -> Samples:
    r"""Reads codes, and what was done, from a CSV file with a head.

    A column whose entries are whole numbers has codes in their order, any other column in the order
    of its words; the entries stay as the names of the codes.

    Args:
        path: The file: UTF-8, one row a unit, with commas between, or semicolons or tabs where
            the head has those and no comma.
        targets: A column that names the slots that were set in a row, several with ``+`` between;
            empty, ``0``, ``none`` or ``observational`` for none.
        regimes: A column with a label of what was done, where its target is not known; the same
            words stand for nothing. The regimes are numbered from 1 in the order of the labels.

    Returns:
        The rows.

    Raises:
        DataError: When the file cannot be read, a head is missing or doubled, a row is too long or
            too short, an entry is missing or a fraction, or a target is no column.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "rows.csv"
        >>> _ = path.write_text("size,hue,done\n10,red,\n9,blue,hue\n10,blue,\n")
        >>> rows = read_csv(path, targets="done")
        >>> rows.codes.tolist(), rows.slots[0].states, rows.targets[1].tolist()
        ([[1, 1], [0, 0], [1, 0]], ('9', '10'), [False, True])
    """
    return read_table(path, targets=targets, regimes=regimes).samples


def read_columns(
    columns: Mapping[str, Sequence[object]] | pd.DataFrame,
    *,
    targets: str | None = None,
    regimes: str | None = None,
) -> Samples:
    """Reads codes, and what was done, from named columns, such as those of a data frame.

    Args:
        columns: Name to entries, as many in each: integers or words, coded as by ``read_csv``.
        targets: The column that names the slots that were set, as in ``read_csv``.
        regimes: The column that labels what was done, as in ``read_csv``.

    Returns:
        The rows.

    Raises:
        DataError: As ``read_csv`` does.

    Example:
        >>> rows = read_columns({"hue": ["red", "blue", "red"], "size": [3, 1, 1]})
        >>> rows.codes.tolist(), rows.slots.names
        ([[1, 1], [0, 0], [1, 0]], ('hue', 'size'))
    """
    given = dict(columns)
    head = [str(name) for name in given]
    _check_head(head, "the data")
    entries = [[str(entry) for entry in given[name]] for name in given]
    if len({len(column) for column in entries}) > 1 or not all(entries):
        msg = f"columns need as many entries, got {', '.join(str(len(one)) for one in entries)}"
        raise DataError(msg)
    return _code(
        dict(zip(head, entries, strict=True)), "the data", targets, regimes, first=0
    ).samples


def read_table(
    path: str | Path, *, targets: str | None = None, regimes: str | None = None
) -> CodeTable:
    """Reads a CSV file as ``read_csv`` does, and keeps the labels of regimes.

    Args:
        path: The file.
        targets: The column that names the slots that were set.
        regimes: The column that labels what was done.

    Returns:
        The rows and labels.
    """
    head, lines = _read(Path(path))
    columns = dict(zip(head, zip(*lines, strict=True), strict=True))
    return _code(columns, Path(path).name, targets, regimes, first=2)


def _code(
    columns: Mapping[str, Sequence[str]],
    where: str,
    targets: str | None,
    regimes: str | None,
    *,
    first: int,
) -> CodeTable:
    if targets is not None and regimes is not None:
        msg = "rows have known targets or regimes, not both; name one of the two columns"
        raise DataError(msg)
    special = targets if targets is not None else regimes
    if special is not None and special not in columns:
        msg = f"{where} has no column {special!r}{did_you_mean(special, columns)}"
        raise DataError(msg)
    names = [name for name in columns if name != special]
    if not names:
        msg = f"{where} has no column of codes"
        raise DataError(msg)
    coded = [_codes(name, columns[name], where, first) for name in names]
    codes = torch.stack([column for column, _ in coded], 1)
    slots = SlotSpace([Slot(n, len(s), states=s) for n, (_, s) in zip(names, coded, strict=True)])
    if special is None:
        return CodeTable(Samples(codes, slots))
    done = [entry.strip() for entry in columns[special]]
    if targets is not None:
        acted = _targets(done, names, special, first)
        return CodeTable(Samples(codes, slots, Regime.INTERVENTIONAL, acted))
    labels = sorted({one for one in done if one.lower() not in NOTHING_DONE})
    number = {label: k for k, label in enumerate(labels, 1)}
    numbers = torch.tensor([number.get(one, 0) for one in done])
    samples = Samples(codes, slots, Regime.INTERVENTIONAL, regimes=numbers)
    return CodeTable(samples, (NATURAL, *labels))


def _read(path: Path) -> tuple[list[str], list[list[str]]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            head = file.readline()
            file.seek(0)
            lines = [line for line in csv.reader(file, delimiter=_separator(head)) if line]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        msg = f"{path} cannot be read as CSV: {reason}"
        raise DataError(msg) from error
    if len(lines) < 2:
        msg = f"{path.name} needs a head and rows below it, got {'a head' if lines else 'nothing'}"
        raise DataError(msg)
    names = [name.strip() for name in lines[0]]
    _check_head(names, path.name)
    for number, line in enumerate(lines[1:], 2):
        if len(line) != len(names):
            msg = f"{path.name}, row {number}: {len(line)} entries below a head of {len(names)}"
            raise DataError(msg)
    return names, lines[1:]


def _separator(head: str) -> str:
    plain = re.sub(r'"[^"]*"', "", head)
    return "," if "," in plain else max(SEPARATORS, key=plain.count)


def _check_head(head: Sequence[str], where: str) -> None:
    if "" in head:
        msg = f"{where}: column {head.index('') + 1} has no name"
        hint = "; if it is pandas' index, write the file by to_csv(index=False)"
        raise DataError(msg + (hint if not head[0] else ""))
    for name in head:
        if head.count(name) > 1:
            msg = f"{where}: every column needs a name of its own, got {', '.join(head)}"
            raise DataError(msg)


def _codes(
    name: str, entries: Sequence[str], where: str, first: int
) -> tuple[Tensor, tuple[str, ...]]:
    texts = [entry.strip() for entry in entries]
    for number, text in enumerate(texts, first):
        if text.lower() in MISSING:
            msg = (
                f"{where}, row {number}: {name!r} is missing; leave incomplete rows out, or, where "
                f"{name!r} tells what was done, name it as the column of targets or regimes"
            )
            raise DataError(msg)
    if all(WHOLE.fullmatch(text) for text in set(texts)):
        texts = [text.partition(".")[0] for text in texts]  # 2.0, as floats are written
        states = sorted(set(texts), key=int)
    else:
        states = sorted(set(texts))
        if broken := next((text for text in states if _is_fraction(text)), None):
            msg = (
                f"{where}: {name!r} holds the fraction {broken}, and codes are whole numbers or "
                "words; bin it first, or, in Python, take ctvae.graph.learn_continuous_graph"
            )
            raise DataError(msg)
    place = {text: k for k, text in enumerate(states)}
    return torch.tensor([place[text] for text in texts]), tuple(states)


def _is_fraction(text: str) -> bool:
    return bool(FLOAT.fullmatch(text)) and not WHOLE.fullmatch(text)


def _targets(done: Sequence[str], names: Sequence[str], column: str, first: int) -> Tensor:
    found = torch.zeros(len(done), len(names), dtype=torch.bool)
    for row, entry in enumerate(done, first):
        if entry.lower() in NOTHING_DONE:
            continue
        for name in entry.split("+"):
            if name.strip() not in names:
                msg = f"row {row}: {column!r} names {name.strip()!r}, which is no slot"
                raise DataError(msg + did_you_mean(name.strip(), names))
            found[row - first, names.index(name.strip())] = True
    return found
