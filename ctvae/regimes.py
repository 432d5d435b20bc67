"""Where data come from: the regime of a set of rows, and rows of codes that carry theirs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from ctvae.errors import RegimeError, ShapeError
from ctvae.randomness import Seed, make_generator
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

    @classmethod
    def from_pairs(
        cls,
        before: Int[Tensor, "pairs slots"],
        after: Int[Tensor, "pairs slots"],
        targets: Bool[Tensor, "pairs slots"] | None = None,
        *,
        slots: SlotSpace,
        regimes: Int[Tensor, " pairs"] | None = None,
        regime: Regime = Regime.COUNTERFACTUAL,
        share_after: float | None = None,
        seed: Seed = 0,
    ) -> Samples:
        r"""Makes independent rows of pairs: of every unit its row before the action or that after.

        .. math:: n_\text{after} = \sqrt{R} \; n_\text{before}
            \quad \text{for } R \text{ different actions}

        The two rows of a unit share their noise: what no action reaches is an exact copy, and who
        counts both counts the unit twice. One row of each unit is independent of the others,
        whichever it is, as long as its codes have no say in that. A row after says as much as a row
        before of every slot that was not set, and orients edges besides; rows before hold the law
        of the slots that were set, and every action is judged beside them. With this many, the
        differences between the actions' laws and the natural one have the least variance for a
        given number of units: half of the units for one action, most of them for many.

        What was done must not depend on the unit's codes. What only pairs can say is lost: a slot
        that changed is one that the action reaches.

        Args:
            before: Codes ``(pairs, slots)`` of units to which nothing was done; each unit once.
            after: Codes ``(pairs, slots)`` of the same units under ``do``, where all slots that
                the targets reach responded.
            targets: ``(pairs, slots)`` booleans, true where ``do`` set a slot of a pair.
            slots: The columns.
            regimes: ``(pairs,)`` integers in the place of targets that are not known: one number
                above 0 for all pairs to which the same was done.
            regime: How the pairs came about; pairs of edits are refused.
            share_after: The share of the units of each action that give their row after, above 0
                and at most 1; ``None`` for the share above.
            seed: For which units give which row.

        Returns:
            Interventional rows ``(pairs, slots)``, row i from pair i.

        Raises:
            RegimeError: When the pairs are edits, or come without targets and regimes.
            ShapeError: When the parts do not fit together, or the share is out of range.

        Example:
            >>> before = torch.zeros(8, 2, dtype=torch.long)
            >>> done = torch.tensor([[True, False]]).expand(8, 2)
            >>> slots = SlotSpace.from_cardinalities({"a": 2, "b": 2})
            >>> rows = Samples.from_pairs(before, before + 1, done, slots=slots)
            >>> len(rows), int(rows.targets.sum()), int((rows.codes == 1).all(1).sum())
            (8, 4, 4)

        Source: Dunnett (1955), A multiple comparison procedure for comparing several treatments
        with a control, for the share.
        Cost: one sort of the pairs.
        """
        if regime is not Regime.COUNTERFACTUAL:
            msg = f"pairs of regime {getattr(regime, 'value', regime)!r} are not one unit before "
            msg += "and after do: " + (
                "where one factor was replaced with its descendants held, the rows after imply an "
                "empty graph; use pairs in which descendants respond"
                if regime is Regime.EDIT
                else "rows of separate units are independent as they are; use Samples(...)"
            )
            raise RegimeError(msg)
        if share_after is not None and not 0 < share_after <= 1:
            msg = f"share_after must be above 0 and at most 1, got {share_after}"
            raise ShapeError(msg)
        natural = cls(before, slots).codes
        done = cls(after, slots, Regime.INTERVENTIONAL, targets, regimes=regimes)
        if len(natural) != len(done):
            msg = (
                "before and after must be the same units, row by row, got shapes "
                f"{tuple(before.shape)} and {tuple(after.shape)}"
            )
            raise ShapeError(msg)
        what = torch.hstack([part for part in (targets, regimes) if part is not None])
        later = _later(what.reshape(len(done), -1), share_after, make_generator(seed, after.device))
        return cls(
            torch.where(later[:, None], done.codes, natural),
            slots,
            Regime.INTERVENTIONAL,
            None if targets is None else targets & later[:, None],
            regimes=None if regimes is None else regimes * later,
        )

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


def _later(what: Tensor, share: float | None, generator: torch.Generator) -> Bool[Tensor, " pairs"]:
    """Draws the pairs that give their row after, the same share of every action's pairs."""
    kinds, action, size = what.unique(dim=0, return_inverse=True, return_counts=True)
    if share is None:
        root = math.sqrt(max(1, int(kinds.any(1).sum())))
        share = root / (1 + root)
    shuffled = torch.randperm(len(what), generator=generator, device=what.device)
    place = shuffled[action[shuffled].argsort(stable=True)]
    rank = torch.arange(len(what), device=what.device) - (size.cumsum(0) - size)[action[place]]
    quota = (size * share + 0.5).long().clamp(min=1)
    return torch.empty_like(place, dtype=torch.bool).scatter_(0, place, rank < quota[action[place]])
