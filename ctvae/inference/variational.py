"""The Pyro face of a program: plain Pyro models, for enumeration, guides and SVI."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import torch
from jaxtyping import Int
from torch import Tensor

from ctvae.errors import ShapeError
from ctvae.mechanisms.program import Program
from ctvae.randomness import check_count

__all__ = ["PyroModel", "plate_size", "pyro_model", "stack_parents"]

PyroModel: TypeAlias = Callable[[], dict[str, Tensor]]


def pyro_model(program: Program, num_rows: int | None = None) -> PyroModel:
    """Writes a world as a Pyro program with ``Categorical`` sites inside a plate.

    Rungs 1 and 2 only: conditioning and enumeration answer what is observed or done, never what
    would have been. A forced slot is an observed site of the point law at its forced value: it
    reports that value, and evidence that contradicts it has log-probability ``-inf``, as in
    ``log_prob``. Tables are indexed so that enumerated parents broadcast. Sites draw from the
    global generators; run the program under ``randomness.scoped_seed`` to fix and restore them.

    Pyro's ``compute_marginals`` (1.9.2) fails with a ``KeyError`` in a plate of one row and on a
    slot of one code; ask it with ``num_rows`` of at least 2.

    Args:
        program: The world.
        num_rows: The size of the plate ``rows``, at least 1; one row, or one per
            world, where ``None``.

    Returns:
        A function without arguments that returns name to codes ``(num_rows,)``.

    Raises:
        ShapeError: When there is no row, or values were forced for another number of rows.
    """
    rows = plate_size(program, num_rows)

    def model() -> dict[str, Tensor]:
        import pyro
        import pyro.distributions as dist

        names, values = program.slots.names, dict[int, Tensor]()
        with pyro.plate("rows", rows):
            for column in program.order:
                name = names[column]
                if column in program.forced:
                    codes = program.forced[column].expand(rows).clone()
                    # pyro.deterministic is masked: conditioning on it would be ignored in silence.
                    values[column] = pyro.sample(
                        name, dist.Delta(codes), obs=codes, infer={"_deterministic": True}
                    )
                    continue
                law = program.laws[column]
                regime = () if law.regime is None else (law.regime,)
                parents = (*regime, *(values[parent] for parent in program.parents[column]))
                logits = law.reported_log_probs(stack_parents(parents, program.device))
                # One precision, as in a query; probs= would make the impossible merely unlikely.
                values[column] = pyro.sample(
                    name, dist.Categorical(logits=logits.to(program.dtype))
                )
        return {names[column]: values[column] for column in range(len(names))}

    return model


def stack_parents(codes: Sequence[Tensor], device: torch.device) -> Int[Tensor, "*batch parents"]:
    """Puts the codes of parents side by side.

    Args:
        codes: Of each parent; enumerated ones have axes of their own, and broadcast.
        device: Where to, where there is no parent.

    Returns:
        What ``Mechanism.log_probs`` reads.
    """
    if not codes:
        return torch.empty(0, dtype=torch.long, device=device)
    return torch.stack(torch.broadcast_tensors(*codes), -1)


def plate_size(program: Program, num_rows: int | None) -> int:
    """Checks how many rows a plate has.

    Args:
        program: The world.
        num_rows: What was asked for; ``None`` for one row, or one per world.

    Returns:
        The number of rows.

    Raises:
        ShapeError: When there is no row, or another number of rows than worlds.
    """
    rows = program.batch or 1
    if num_rows is not None:
        rows = check_count(num_rows, "num_rows", least=1)
    if program.batch is not None and rows != program.batch:
        msg = f"there are {program.batch} worlds, one per row; the plate has {rows}"
        raise ShapeError(msg)
    return rows
