"""The Pyro face of a program: plain Pyro models, for enumeration, guides and SVI."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from torch import Tensor

from ctvae.errors import ShapeError
from ctvae.mechanisms.program import Program

__all__ = ["PyroModel", "pyro_model"]

PyroModel: TypeAlias = Callable[[], dict[str, Tensor]]


def pyro_model(program: Program, num_rows: int | None = None) -> PyroModel:
    """Writes a world as a Pyro program with ``Categorical`` sites inside a plate.

    Rungs 1 and 2 only: conditioning and enumeration answer what is observed or done, never what
    would have been. A forced slot is a deterministic site that reports its forced value. Tables
    are indexed so that enumerated parents broadcast.

    Args:
        program: The world.
        num_rows: The size of the plate ``rows``; one row, or the batch of the forced values,
            where ``None``.

    Returns:
        A function without arguments that returns name to codes ``(num_rows,)``.

    Raises:
        ShapeError: When values were forced for another number of rows.
    """
    if program.batch is not None and num_rows not in {None, program.batch}:
        msg = f"values were forced for {program.batch} rows, the plate has {num_rows}"
        raise ShapeError(msg)
    rows = num_rows or program.batch or 1

    def model() -> dict[str, Tensor]:
        import pyro
        import pyro.distributions as dist
        from pyro.ops.indexing import Vindex

        names, values = program.slots.names, dict[int, Tensor]()
        with pyro.plate("rows", rows):
            for column in program.order:
                name = names[column]
                if column in program.forced:
                    codes = program.forced[column].expand(rows)
                    values[column] = pyro.deterministic(name, codes, event_dim=0)
                    continue
                parents = tuple(values[parent] for parent in program.parents[column])
                table = program.tables[column]
                probs = Vindex(table)[(*parents, slice(None))] if parents else table
                values[column] = pyro.sample(name, dist.Categorical(probs))
        return {names[column]: values[column] for column in range(len(names))}

    return model
