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
        typer.Option(help="A dSprites or LPC npz file; the built-in colour world if left out."),
    ] = None,
    actions: Annotated[
        Actions, typer.Option(help="Actions move a factor by one step, or set it to a value.")
    ] = Actions.shift,
    seed: Annotated[int, typer.Option(min=0, max=2**62, help="Seed of everything random.")] = 0,
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
