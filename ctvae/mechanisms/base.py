"""What a conditional law of a slot must offer."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["Mechanism"]


@runtime_checkable
class Mechanism(Protocol):
    """The law of one slot given its parents.

    Anything that can state its cardinalities and write itself as a table is a mechanism; the
    engines need no more. The parents' axes stand in the order of the slots' columns.
    """

    @property
    def cardinality(self) -> int:
        """The number of codes of the slot."""

    @property
    def parent_cardinalities(self) -> tuple[int, ...]:
        """The number of codes of each parent, in the order of the slots' columns."""

    def table(self) -> Float[Tensor, "*parents codes"]:
        """Writes the law as probabilities.

        Returns:
            ``(*parent_cardinalities, cardinality)``; the last axis sums to one.
        """

    def to(self, device: torch.device | str) -> Mechanism:
        """Moves the law.

        Args:
            device: Where to.

        Returns:
            The same law on the device.
        """
