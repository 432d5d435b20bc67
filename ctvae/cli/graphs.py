"""``ctvae discover``: a graph from a CSV file, for people who do not write Python."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ctvae.cli import learned
from ctvae.cli.files import WRITERS, check_graph_file, read_knowledge, write_text
from ctvae.cli.methods import make_method
from ctvae.cli.words import describe, plural
from ctvae.code_tables import read_table
from ctvae.errors import CTVAEError, DataError
from ctvae.graph import CDNOD, CausalGraph, bootstrap, learn_graph
from ctvae.graph.stability import Progress

__all__ = ["discover_file"]


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
        out: Where the graph goes, in the form of its ending; JSON holds all that was learned.

    Returns:
        What to print.

    Raises:
        DataError: When the output cannot be written, or the options do not fit together; nothing
            is written then, nor after any other error of reading, of the method or of the
            knowledge.
    """
    learner = make_method(method, settings)
    ending = check_graph_file(out, f"--out {out}")
    if not out.parent.is_dir():
        msg = f"--out {out}: there is no folder {out.parent}"
        raise DataError(msg)
    if n_jobs == 0:
        msg = "--jobs takes a number of at least 1, or -1 for one on each core"
        raise DataError(msg)
    if isinstance(learner, CDNOD) and targets is None and regimes is None:
        msg = "cd-nod compares regimes: name their column by --regimes or --targets"
        raise DataError(msg)
    samples, labels = read_table(data, targets=targets, regimes=regimes)
    rules = None if knowledge is None else read_knowledge(knowledge)
    size = f"{plural(len(samples), 'row')} of {plural(len(samples.slots), 'slot')}"
    with _busy(f"{method} on {size}"):
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
    if result.target_probabilities is not None:  # of the regimes that occur
        labels = labels[-len(result.target_probabilities) :]
    if ending == ".json":
        text = learned.to_json(result, seed=seed, stable=stable, regimes=labels)
    else:
        text = _written(result.graph, out, ending)
    write_text(out, text)
    lines = [describe(result, stable, labels)]
    return "\n".join([*lines, f"written to {out}"])


def _written(graph: CausalGraph, out: Path, ending: str) -> str:
    try:
        return WRITERS[ending](graph)
    except CTVAEError as error:
        msg = f"--out {out}: {error}"
        raise DataError(msg) from error


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
