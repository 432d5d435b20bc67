"""``ctvae discover`` and ``ctvae compare``: graphs for people who do not write Python."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ctvae.cli.methods import make_method
from ctvae.cli.rows import read_rows
from ctvae.errors import DataError, did_you_mean
from ctvae.graph import (
    CausalGraph,
    DiscoveryResult,
    GraphComparison,
    GraphScore,
    Knowledge,
    Stability,
    bootstrap,
    compare_graphs,
    learn_graph,
)
from ctvae.graph.stability import Progress

__all__ = [
    "compare_files",
    "discover_file",
    "draw",
    "read_graph_file",
    "read_knowledge",
    "write_table",
]

READERS: dict[str, Callable[[str], CausalGraph]] = {
    ".json": CausalGraph.from_json,
    ".dot": CausalGraph.from_dot,
    ".gml": CausalGraph.from_gml,
    ".bif": CausalGraph.from_bif,
    ".dagitty": CausalGraph.from_dagitty,
}


def discover_file(
    data: Path,
    *,
    method: str,
    settings: Sequence[str],
    targets: str | None,
    regimes: str | None,
    knowledge: Path | None,
    num_resamples: int,
    n_jobs: int,
    seed: int,
    out: Path,
) -> str:
    """Learns a graph from a CSV file and writes it.

    Args:
        data: The file.
        method: The method's name.
        settings: Its settings, ``"name=value"``.
        targets: The column that names the slots set in a row.
        regimes: The column that labels what was done.
        knowledge: A JSON file of required and forbidden edges and tiers.
        num_resamples: How many bootstrap samples; 0 for none.
        n_jobs: How many of these at a time.
        seed: The seed.
        out: Where the graph goes, as JSON.

    Returns:
        What to print.

    Raises:
        DataError: When there is no folder to write to; nothing is written then, nor after any
            other error of reading, of the method or of the knowledge.
    """
    learner = make_method(method, settings)
    samples = read_rows(data, targets_column=targets, regimes_column=regimes)
    rules = None if knowledge is None else read_knowledge(knowledge)
    if not out.parent.is_dir():
        msg = f"--out {out}: there is no folder {out.parent}"
        raise DataError(msg)
    with _busy(f"{method} on {len(samples)} rows of {len(samples.slots)} slots"):
        result = learn_graph(samples, method=learner, knowledge=rules, seed=seed)
    stable = None
    if num_resamples:
        with _bar("bootstrap") as progress:
            stable = bootstrap(
                samples,
                method=learner,
                knowledge=rules,
                num_resamples=num_resamples,
                n_jobs=n_jobs,
                seed=seed,
                progress=progress,
            )
    _write(out, result.graph.to_json())
    return _report(result, stable, out)


def compare_files(
    paths: Sequence[Path], *, truth: Path | None, scores: str | None
) -> GraphComparison:
    """Compares the graphs of some files.

    Args:
        paths: The files; the name of each, without its ending, names the method.
        truth: The true graph's file.
        scores: Names of scores with commas between; ``None`` for all that are defined.

    Returns:
        The comparison.

    Raises:
        DataError: When a file cannot be read, two have one name, or a score is not known.
        GraphError: When a file holds no graph, or they cannot be compared.
    """
    graphs: dict[str, CausalGraph] = {}
    for path in paths:
        if path.stem in graphs:
            msg = f"two files are called {path.stem!r}, which names the method; rename one"
            raise DataError(msg)
        graphs[path.stem] = read_graph_file(path)
    known = {score.value: score for score in GraphScore}
    asked = None
    if scores is not None:
        asked = []
        for name in (one.strip() for one in scores.split(",")):
            if name not in known:
                msg = f"no score is called {name!r}{did_you_mean(name, known)}; known: "
                raise DataError(msg + ", ".join(known))
            asked.append(known[name])
    true = None if truth is None else read_graph_file(truth)
    return compare_graphs(graphs, truth=true, scores=asked)


def write_table(found: GraphComparison, out: Path | None) -> str:
    """Writes a comparison as a table, in the form of the file's ending.

    Args:
        found: The comparison.
        out: Where to, Markdown, LaTeX or CSV; ``None`` writes nothing.

    Returns:
        What to print: the table in Markdown, or where it is.

    Raises:
        DataError: When the ending is unknown, or the file cannot be written.
    """
    if out is None:
        return found.to_markdown()
    match out.suffix.lower():
        case ".md":
            text = found.to_markdown()
        case ".tex":
            text = found.to_latex()
        case ".csv":
            text = str(found.to_pandas().to_csv())
        case _:
            msg = f"--out {out}: a table's file ends in .md, .tex or .csv"
            raise DataError(msg)
    _write(out, text)
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


def read_graph_file(path: Path) -> CausalGraph:
    """Reads a graph by the ending of its file.

    Args:
        path: JSON, DOT, GML, BIF or dagitty text.

    Returns:
        The graph.

    Raises:
        DataError: When the ending is unknown or the file cannot be read.
        GraphError: When it holds no graph.
    """
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        msg = f"{path.name}: a graph's file ends in {', '.join(READERS)}"
        raise DataError(msg)
    return reader(_text(path))


def read_knowledge(path: Path) -> Knowledge:
    """Reads required and forbidden edges and tiers.

    Args:
        path: JSON: an object with any of ``required`` and ``forbidden`` (lists of pairs) and
            ``tiers`` (lists of names).

    Returns:
        The knowledge.

    Raises:
        DataError: When it is no such file.
        GraphError: When the knowledge contradicts itself.
    """
    try:
        found = json.loads(_text(path))
    except json.JSONDecodeError as error:
        msg = f"{path.name} is no JSON: {error}"
        raise DataError(msg) from error
    keys = ("required", "forbidden", "tiers")
    good = isinstance(found, dict) and set(found) <= set(keys)
    good = good and all(isinstance(found.get(key, []), list) for key in keys)
    lists = [one for key in keys for one in found.get(key, [])] if good else []
    if not good or not all(isinstance(one, list) for one in lists):
        msg = f"{path.name} must be an object with lists of lists under {', '.join(keys)}"
        raise DataError(msg)
    return Knowledge(
        required=[tuple(edge) for edge in found.get("required", [])],
        forbidden=[tuple(edge) for edge in found.get("forbidden", [])],
        tiers=found.get("tiers", []),
    )


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        msg = f"{path} cannot be read: {getattr(error, 'strerror', None) or error}"
        raise DataError(msg) from error


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        msg = f"{path} cannot be written: {error.strerror}"
        raise DataError(msg) from error


def _report(result: DiscoveryResult, stable: Stability | None, out: Path) -> str:
    graph, lines = result.graph, []
    for i, a in enumerate(graph.nodes):
        for j, b in enumerate(graph.nodes[i + 1 :], i + 1):
            mark = graph.mark(a, b)
            if mark == "none":
                continue
            first, second = (a, b) if mark != "<-" else (b, a)
            line = f"  {first} {'->' if mark == '<-' else mark} {second}"
            if stable is not None:
                line += f"   joined in {stable.adjacent[i, j]:.0%} of the resamples"
            lines.append(line)
    head = f"{graph.kind.value} of {graph.num_edges} edges over {len(graph.nodes)} slots"
    tail = [f"{result.status.name}: {result.status.advice}"]
    if result.thin_tables is not None:
        tail.append(str(result.thin_tables))
    if result.target_probabilities is not None:
        for regime, row in enumerate(result.target_probabilities.tolist()):
            likely = [n for n, chance in zip(graph.nodes, row, strict=True) if chance > 0.5]
            tail.append(f"regime {regime}: {', '.join(likely) or 'no target'}")
    return "\n".join([head, *lines, *tail, f"written to {out}"])


@contextmanager
def _busy(words: str) -> Iterator[None]:
    """Shows that something is going on; nothing where the errors go to a file."""
    from rich.console import Console

    with Console(stderr=True).status(words):
        yield


@contextmanager
def _bar(words: str) -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import Progress as Bar

    console = Console(stderr=True)
    with Bar(console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(words, total=None)

        def step(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        yield step
