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
        regimes: ``(rows,)`` integers, where what was done is not known: 0 for observational rows,
            and one number for all rows to which the same was done. ``None`` where targets are
            known.
        observed: ``(rows, slots)`` booleans, false where a slot of a row was not observed and its
            code means nothing. ``None`` where all were.

    Raises:
        ShapeError: When codes and masks do not match the slots.
        RegimeError: When interventional rows come without targets and regimes, or with both.
    """

    codes: Int[Tensor, "rows slots"]
    slots: SlotSpace
    regime: Regime = Regime.OBSERVATIONAL
    targets: Bool[Tensor, "rows slots"] | None = None
    observed: Bool[Tensor, "rows slots"] | None = None
    regimes: Int[Tensor, " rows"] | None = None

    def __post_init__(self) -> None:
        if self.codes.ndim != 2:
            msg = f"samples are rows (rows, slots), got shape {tuple(self.codes.shape)}"
            raise ShapeError(msg)
        if not isinstance(self.regime, Regime):
            names = ", ".join(f"Regime.{one.name}" for one in Regime)
            msg = f"regime= takes one of {names}; got {self.regime!r}"
            raise RegimeError(msg)
        object.__setattr__(self, "codes", self.slots.check_codes(self.codes))
        neither = self.targets is None and self.regimes is None
        if neither and self.regime is Regime.INTERVENTIONAL:
            msg = (
                "interventional rows need targets (rows, slots): which slots were set; or regimes "
                "(rows,), where that is not known"
            )
            raise RegimeError(msg)
        if self.regimes is not None:
            self._check_regimes(self.regimes)
        for name, mask in (("targets", self.targets), ("observed", self.observed)):
            if mask is not None and (mask.shape != self.codes.shape or mask.dtype != torch.bool):
                msg = (
                    f"{name} must be booleans of the shape of the codes {tuple(self.codes.shape)}, "
                    f"got {mask.dtype} {tuple(mask.shape)}"
                )
                raise ShapeError(msg)

    def _check_regimes(self, regimes: Tensor) -> None:
        if self.targets is not None or self.regime is not Regime.INTERVENTIONAL:
            msg = (
                "regimes= is for interventional rows whose targets are not known, got "
                f"{self.regime.value} rows with{'out' if self.targets is None else ''} targets"
            )
            raise RegimeError(msg)
        whole = not (
            regimes.dtype == torch.bool or regimes.is_floating_point() or regimes.is_complex()
        )
        if not whole or regimes.shape != self.codes.shape[:1]:
            msg = (
                f"regimes must be integers ({len(self)},), one for each row, got {regimes.dtype} "
                f"{tuple(regimes.shape)}"
            )
            raise ShapeError(msg)
        if len(regimes) and int(regimes.min()) < 0:
            msg = f"regimes are numbered from 0 (observational), got {int(regimes.min())}"
            raise RegimeError(msg)

    def __len__(self) -> int:
        return self.codes.shape[0]

    def __repr__(self) -> str:
        return f"Samples({len(self)} rows, {self.regime.value}, {self.slots!r})"
