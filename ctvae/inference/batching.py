"""How evidence and worlds share one batch, and what is said where evidence cannot be."""

from __future__ import annotations

from collections.abc import Mapping

from jaxtyping import Bool, Int
from torch import Tensor

from ctvae.errors import ShapeError
from ctvae.mechanisms.program import Program

__all__ = ["batch_length", "impossible"]


def batch_length(program: Program, given: Mapping[int, Int[Tensor, "*batch"]]) -> int | None:
    """Gives the number of rows that worlds and evidence share.

    Args:
        program: One world, or one per row.
        given: Column to observed codes, ``()`` or ``(batch,)``.

    Returns:
        The number of rows; ``None`` for one world and one piece of evidence.

    Raises:
        ShapeError: When the numbers differ.
    """
    sizes = {len(codes) for codes in given.values() if codes.ndim}
    if program.batch is not None:
        sizes.add(program.batch)
    if len(sizes) > 1:
        msg = f"evidence and worlds must share one batch length, got {sorted(sizes)}"
        raise ShapeError(msg)
    return sizes.pop() if sizes else None


def impossible(
    program: Program,
    given: Mapping[int, Int[Tensor, "*batch"]],
    possible: Bool[Tensor, "*batch"],
    batch: int | None,
) -> str:
    """Writes what is said of evidence that has probability zero.

    Args:
        program: The world.
        given: The evidence.
        possible: Which rows can be.
        batch: The number of rows, where there are any.

    Returns:
        The message, which names the slots and the first such row.
    """
    names = ", ".join(program.slots.names[column] for column in given)
    msg = f"the evidence on {names} has probability zero in this world: nothing to condition on"
    if batch is not None:
        msg += f" (first at row {int((~possible).nonzero()[0, 0])})"
    return msg
