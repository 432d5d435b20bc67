"""``ctvae bench disentangle``: the comparison as one command, with records and a table."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ctvae.bench import METHODS, NOT_RUN, Matrix, RunKey, read_records, render_table, run_matrix
from ctvae.data.files import read_image_file
from ctvae.data.images import ImageSet
from ctvae.data.render import mini_sprites
from ctvae.errors import DataError, FormatError
from ctvae.models.baselines import Budget

__all__ = ["disentangle"]


def disentangle(
    data: str,
    *,
    methods: str | None,
    seeds: str,
    budget: Budget,
    image_size: int,
    out: Path,
    say: Callable[[str], None],
) -> str:
    """Runs what has no record, then rebuilds the table from all records.

    Args:
        data: ``mini-sprites``, or a file of images.
        methods: Names with commas between; all where ``None``.
        seeds: Numbers with commas between.
        budget: What every method may spend.
        image_size: The side that images of a file are averaged down to.
        out: Folder of ``records/`` and ``table.md``.
        say: Takes a line before each run.

    Returns:
        The table, Markdown.

    Raises:
        FormatError: When the table cannot be written.
    """
    names = tuple(METHODS) if methods is None else tuple(n.strip() for n in methods.split(","))
    matrix = Matrix(names, _numbers(seeds), budget)
    images = _images(data, image_size)

    def report(key: RunKey, there: bool) -> None:  # noqa: FBT001
        say(f"{key.method}, seed {key.seed}: {'has a record' if there else 'running'}")

    run_matrix(matrix, Path(data).name, images, out / "records", report=report)
    done = read_records(out / "records")
    missing = dict.fromkeys(METHODS, "not asked for") | NOT_RUN
    table = render_table(done, not_run=missing)
    try:
        (out / "table.md").write_text(table)
    except OSError as error:
        msg = f"cannot write {out / 'table.md'}: {error}"
        raise FormatError(msg) from error
    return table


def _numbers(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError as error:
        msg = f"seeds must be numbers with commas between, as 0,1,2, got {text!r}"
        raise DataError(msg) from error


def _images(data: str, size: int) -> ImageSet:
    return mini_sprites() if data == "mini-sprites" else read_image_file(Path(data), size=size)
