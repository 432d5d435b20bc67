"""The command ``ctvae``: arguments in, one clear line on bad input, exit code 2."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["app", "main"]

app = typer.Typer(
    help="Causal models over quantized latents.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

bench = typer.Typer(help="Compare methods under one budget.", no_args_is_help=True)
app.add_typer(bench, name="bench")


LARGEST_SEED = 2**62


def _check_seed(seed: int) -> int:
    if seed > LARGEST_SEED:
        msg = "a seed is at most 2^62"
        raise typer.BadParameter(msg)
    return seed


SEED = typer.Option(min=0, callback=_check_seed, help="Seed of everything random.")


class Actions(StrEnum):
    """What the actions of a pair do to a factor."""

    shift = "shift"
    set = "set"


@app.callback()
def root() -> None:
    """Causal models over quantized latents."""


@app.command()
def demo(
    data: Annotated[
        Path | None,
        typer.Option(
            help="A dSprites or LPC npz file, or another file or folder of images that "
            "ctvae.data.open_image_file knows; the built-in colour world if left out."
        ),
    ] = None,
    actions: Annotated[
        Actions, typer.Option(help="Actions move a factor by one step, or set it to a value.")
    ] = Actions.shift,
    seed: Annotated[int, SEED] = 0,
    out: Annotated[Path, typer.Option(help="Folder for metrics.json, report.html, model/.")] = Path(
        "runs/demo"
    ),
) -> None:
    """Learn slots from pairs, discover their graph, intervene, retrieve actions, write a report."""
    # Heavy modules load here, so that `ctvae --help` answers at once.
    from ctvae.cli.demo import run_demo
    from ctvae.data import SetTo, StepBy

    words = ["ctvae", "demo", *(["--data", data.name] if data else []), "--actions", actions.value]
    command = " ".join([*words, "--seed", str(seed)])
    rule = SetTo() if actions is Actions.set else StepBy()
    run_demo(data, rule, seed=seed, out=out, command=command)


@app.command()
def discover(
    data: Annotated[
        Path, typer.Argument(help="CSV with a head: one column a slot, integers or words below.")
    ],
    method: Annotated[
        str,
        typer.Option(
            help="pc, fci, cd-nod, ges, boss, grasp, order-mcmc, interventional-bdeu or "
            "differentiable."
        ),
    ],
    out: Annotated[
        Path, typer.Option(help="The graph's file: json (all that was learned), dot, gml, dagitty.")
    ] = Path("graph.json"),
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="A setting, NAME=VALUE; may be repeated.")
    ] = None,
    targets: Annotated[
        str | None,
        typer.Option(
            help="The column that names the slots set in a row, with + between; 0, empty, none or "
            "observational where none was."
        ),
    ] = None,
    regimes: Annotated[
        str | None,
        typer.Option(
            help="The column that labels what was done where the target is not known; 0, empty, "
            "none or observational where nothing was."
        ),
    ] = None,
    knowledge: Annotated[
        Path | None, typer.Option(help="JSON with required, forbidden and tiers.")
    ] = None,
    bootstrap: Annotated[
        int, typer.Option(min=0, help="Resamples that show how stable edges are.")
    ] = 0,
    jobs: Annotated[int, typer.Option(help="Resamples at a time; -1 for one on each core.")] = 1,
    seed: Annotated[int, SEED] = 0,
) -> None:
    """Learn a causal graph from a CSV file of codes."""
    from ctvae.cli.graphs import discover_file

    typer.echo(
        discover_file(
            data,
            method=method,
            settings=set_ or [],
            targets=targets,
            regimes=regimes,
            knowledge=knowledge,
            num_resamples=bootstrap,
            n_jobs=jobs,
            seed=seed,
            out=out,
        )
    )


@app.command()
def compare(
    graphs: Annotated[list[Path], typer.Argument(help="JSON, DOT, GML, BIF or dagitty files.")],
    truth: Annotated[Path | None, typer.Option(help="The true graph's file.")] = None,
    scores: Annotated[
        str | None,
        typer.Option(help="Scores with commas between, as shd,sid; all if left out."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The table's file: md, tex or csv; printed if left out.")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="A picture of all graphs: png, pdf, svg.")
    ] = None,
    label: Annotated[
        str | None, typer.Option(help="The label of a table in LaTeX; tab:graphs if left out.")
    ] = None,
    caption: Annotated[
        str | None, typer.Option(help="Its caption; the conventions of the scores if left out.")
    ] = None,
) -> None:
    """Compare graphs with a truth, or with one another, as a table for a paper."""
    from ctvae.cli.compare import compare_files, draw, write_table

    found = compare_files(graphs, truth=truth, scores=scores)
    if plot is not None:
        draw(found, plot)
    typer.echo(write_table(found, out, label=label, caption=caption))


@app.command()
def train(
    config: Annotated[Path, typer.Argument(help="YAML settings; see the reference.")],
    out: Annotated[
        Path, typer.Option(help="Folder for model/, metrics.json, settings.yaml, checkpoint/.")
    ] = Path("runs/train"),
) -> None:
    """Train a model as a settings file says; a run that was stopped goes on where it was."""
    from ctvae.cli.train import read_settings
    from ctvae.cli.train import train as run

    metrics = run(read_settings(config), config.parent, out)
    for name, value in metrics.items():
        typer.echo(f"{name}: {value:.4f}" if isinstance(value, float) else f"{name}: {value}")
    typer.echo(f"wrote {out}")


@app.command()
def retrieve(
    model: Annotated[Path, typer.Argument(help="A saved model's folder.")],
    before: Annotated[Path, typer.Argument(help="The picture before.")],
    after: Annotated[Path, typer.Argument(help="The picture after.")],
    length: Annotated[int, typer.Option(min=1, max=3, help="The number of actions.")] = 1,
) -> None:
    """Tell which actions led from one picture to another."""
    from ctvae.cli.retrieve import retrieve as answer

    typer.echo(answer(model, before, after, length=length))


@bench.command()
def disentangle(
    data: Annotated[str, typer.Option(help="mini-sprites, or a file of images.")] = "mini-sprites",
    methods: Annotated[
        str | None, typer.Option(help="Names with commas between; all if left out.")
    ] = None,
    seeds: Annotated[str, typer.Option(help="Numbers with commas between.")] = "0,1,2,3,4",
    steps: Annotated[int, typer.Option(min=4, help="Optimizer steps of every method.")] = 1100,
    images_per_step: Annotated[
        int, typer.Option(min=4, help="Images in a batch; half as many pairs.")
    ] = 150,
    image_size: Annotated[
        int, typer.Option(min=8, help="Side that images of a file are averaged down to.")
    ] = 32,
    out: Annotated[Path, typer.Option(help="Folder for records/ and table.md.")] = Path(
        "runs/disentangle"
    ),
) -> None:
    """Compare slots with the baselines; runs that have a record are not run again."""
    from ctvae.cli.bench import disentangle as run
    from ctvae.models.baselines import Budget

    typer.echo(
        run(
            data,
            methods=methods,
            seeds=seeds,
            budget=Budget(steps=steps, images_per_step=images_per_step),
            image_size=image_size,
            out=out,
            say=typer.echo,
        )
    )


def main() -> None:
    """Runs the command; an error of the user ends in one line and exit code 2."""
    try:
        code = app(standalone_mode=False)
    except Exception as error:
        message = _message(error)
        if message is None:
            raise
        sys.stderr.write(f"ctvae: {message}\n")
        sys.exit(2)
    sys.exit(code if isinstance(code, int) else 0)


def _message(error: Exception) -> str | None:
    """What to tell the user; ``None`` for an error of ours."""
    describe = getattr(error, "format_message", None)
    if callable(describe):  # a wrong option, as the command line parser says it
        return " ".join(str(describe()).split()) or "no command given; try ctvae --help"
    from ctvae.errors import CTVAEError

    return " ".join(str(error).split()) if isinstance(error, CTVAEError) else None
