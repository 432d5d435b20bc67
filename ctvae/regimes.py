"""Where data come from: the regime of a set of rows, and rows of codes that carry theirs."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from ctvae.errors import RegimeError, ShapeError
from ctvae.slots import SlotSpace

__all__ = ["Regime", "Samples"]


class Regime(Enum):
    """How rows were produced, which decides what may be learned from them."""

    OBSERVATIONAL = "observational"
    """Independent units from the law of the model."""
    INTERVENTIONAL = "interventional"
    """Independent units, some of them under ``do``; descendants respond."""
    EDIT = "edit"
    """One factor of a unit replaced, its descendants held: it implies an empty graph."""
    COUNTERFACTUAL = "counterfactual"
    """One unit in two worlds under shared noise; descendants respond."""

    @property
    def independent_rows(self) -> bool:
        """Whether rows are independent units, fit for tests and scores."""
        return self in {Regime.OBSERVATIONAL, Regime.INTERVENTIONAL}


@dataclass(frozen=True)
class Samples:
    """Rows of codes with their regime.

    Attributes:
        codes: Codes ``(rows, slots)``.
        slots: The columns.
        regime: How the rows were produced.
        targets: ``(rows, slots)`` booleans, true where a slot of a row was set by ``do``; all
            false on an observational row. ``None`` for an observational set.

    Raises:
        ShapeError: When codes and targets do not match the slots.
        RegimeError: When interventional rows come without their targets.
    """

    codes: Int[Tensor, "rows slots"]
    slots: SlotSpace
    regime: Regime = Regime.OBSERVATIONAL
    targets: Bool[Tensor, "rows slots"] | None = None

    def __post_init__(self) -> None:
        if self.codes.ndim != 2:
            msg = f"samples are rows (rows, slots), got shape {tuple(self.codes.shape)}"
            raise ShapeError(msg)
        object.__setattr__(self, "codes", self.slots.check_codes(self.codes))
        if self.targets is None:
            if self.regime is Regime.INTERVENTIONAL:
                msg = "interventional rows need targets (rows, slots): which slots were set"
                raise RegimeError(msg)
        elif self.targets.shape != self.codes.shape or self.targets.dtype != torch.bool:
            msg = (
                f"targets must be booleans of the shape of the codes {tuple(self.codes.shape)}, "
                f"got {self.targets.dtype} {tuple(self.targets.shape)}"
            )
            raise ShapeError(msg)

    def __len__(self) -> int:
        return self.codes.shape[0]

    def __repr__(self) -> str:
        return f"Samples({len(self)} rows, {self.regime.value}, {self.slots!r})"
