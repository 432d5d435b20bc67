"""Interventions: what ``do`` takes."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Int
from torch import Tensor

__all__ = ["Hard"]


@dataclass(frozen=True, eq=False)
class Hard:
    """Sets a slot to a value and cuts it off from its parents.

    Attributes:
        value: A code, or codes ``(batch,)`` for one world per row.
    """

    value: int | Int[Tensor, "*batch"]
