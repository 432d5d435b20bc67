"""``ctvae compare``: graphs of files against a truth, or against one another."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ctvae.cli.files import read_graph_file, write_text
from ctvae.cli.learned import read_learned
from ctvae.errors import DataError, did_you_mean
from ctvae.graph import (
    CausalGraph,
    DiscoveryResult,
    GraphComparison,
    GraphScore,
    compare_graphs,
)

__all__ = ["compare_files", "draw", "write_table"]

WITHOUT_TRUTH = ("edges", "cpu_seconds")
IN_PYTHON = GraphScore.SHD_I_CPDAG.value
"""It needs the targets of the regimes."""
LABEL = "tab:graphs"


def compare_files(
    paths: Sequence[Path], *, truth: Path | None, scores: str | None
) -> GraphComparison:
    """Compares the graphs of some files.

    Args:
        paths: The files; the name of each, without its ending, names the method. The truth's file
            is left out of them.
        truth: The true graph's file.
        scores: Names of scores with commas between; ``None`` for all that are defined.

    Returns:
        The comparison.

    Raises:
        DataError: When two files have one name, there is nothing but the truth, or a score is
            unknown or cannot be had here.
    """
    graphs: dict[str, CausalGraph | DiscoveryResult] = {}
    for path in paths:
        if truth is not None and path.resolve() == truth.resolve():
            continue
        if path.stem in graphs:
            msg = f"two files are called {path.stem!r}; the name of a file names its method"
            raise DataError(msg)
        graphs[path.stem] = read_learned(path)
    if not graphs:
        msg = "there is no graph beside the truth; name the files of some"
        raise DataError(msg)
    asked = None if scores is None else _scores(scores, with_truth=truth is not None)
    true = None if truth is None else read_graph_file(truth)
    return compare_graphs(graphs, truth=true, scores=asked)


def _scores(text: str, *, with_truth: bool) -> list[GraphScore]:
    known = {score.value: score for score in GraphScore if score.value != IN_PYTHON}
    asked = []
    for name in (one.strip() for one in text.split(",")):
        if name == IN_PYTHON:
            msg = f"{name} needs the targets of regimes, which compare_graphs takes in Python; "
            msg += "take shd_cpdag"
            raise DataError(msg)
        if name not in known:
            msg = f"no score is called {name!r}{did_you_mean(name, known)}; known: "
            raise DataError(msg + ", ".join(known))
        if not with_truth and name not in WITHOUT_TRUTH:
            msg = f"{name} is a score against a true graph: name its file by --truth; without "
            msg += "--scores the table has the distances between the graphs"
            raise DataError(msg)
        asked.append(known[name])
    return asked


def write_table(
    found: GraphComparison,
    out: Path | None,
    *,
    label: str | None = None,
    caption: str | None = None,
) -> str:
    """Writes a comparison as a table, in the form of the file's ending.

    Args:
        found: The comparison.
        out: Where to, Markdown, LaTeX or CSV; ``None`` writes nothing.
        label: The label of a table in LaTeX; ``None`` for the usual one.
        caption: Its caption; ``None`` for the conventions.

    Returns:
        What to print: the table in Markdown, or where it is.

    Raises:
        DataError: When the ending is unknown, the file cannot be written, or a label or caption
            is given for another form.
    """
    ending = "" if out is None else out.suffix.lower()
    if ending != ".tex" and (label is not None or caption is not None):
        msg = "--label and --caption are for a table in LaTeX; write one by --out table.tex"
        raise DataError(msg)
    if out is None:
        return found.to_markdown()
    match ending:
        case ".md":
            text = found.to_markdown()
        case ".tex":
            text = found.to_latex(label=label or LABEL, caption=caption)
        case ".csv":
            text = str(found.to_pandas().to_csv())
        case _:
            msg = f"--out {out}: a table's file ends in .md, .tex or .csv"
            raise DataError(msg)
    write_text(out, text)
    return f"written to {out}"


def draw(found: GraphComparison, path: Path) -> None:
    """Draws all graphs of a comparison in one layout.

    Args:
        found: The comparison.
        path: Where to; its ending tells the format.

    Raises:
        DataError: When the file cannot be written so.
    """
    try:
        found.plot().savefig(path, bbox_inches="tight")
    except (OSError, ValueError) as error:
        msg = f"--plot {path}: {getattr(error, 'strerror', None) or error}"
        raise DataError(msg) from error
