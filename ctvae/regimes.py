"""Where data come from: the regime of a set of rows, and rows of codes that carry theirs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from ctvae.errors import DataError, RegimeError, ShapeError
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
        observed: ``(rows, slots)`` booleans, false where a slot of a row was not observed and its
            code means nothing. ``None`` where all were.
        regimes: ``(rows,)`` integers, where what was done is not known: 0 for observational rows,
            and one number for all rows to which the same was done. ``None`` where targets are
            known.
        weights: ``(rows,)`` integers from 0, how many units with just these entries a row stands
            for. ``None`` where every row is one unit.

    Raises:
        ShapeError: When codes, masks and numbers do not match.
        RegimeError: When interventional rows come without targets and regimes, or with both, or
            observational ones with targets.
        DataError: When a weight is below 0.
    """

    codes: Int[Tensor, "rows slots"]
    slots: SlotSpace
    regime: Regime = Regime.OBSERVATIONAL
    targets: Bool[Tensor, "rows slots"] | None = None
    observed: Bool[Tensor, "rows slots"] | None = None
    regimes: Int[Tensor, " rows"] | None = None
    weights: Int[Tensor, " rows"] | None = None

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
            if mask is not None:
                self._check_mask(name, mask)
        if self.regime is Regime.OBSERVATIONAL and self.targets is not None and self.targets.any():
            msg = (
                f"targets say that something was set in {int(self.targets.any(1).sum())} "
                "observational rows; their regime is Regime.INTERVENTIONAL"
            )
            raise RegimeError(msg)
        if self.weights is not None:
            self._check_numbers("weights", self.weights)
            if len(self.weights) and int(self.weights.min()) < 0:
                msg = f"weights say how many units a row stands for, got {int(self.weights.min())}"
                raise DataError(msg)

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
        self._check_numbers("regimes", regimes)
        if len(regimes) and int(regimes.min()) < 0:
            msg = f"regimes are numbered from 0 (observational), got {int(regimes.min())}"
            raise RegimeError(msg)

    def _check_mask(self, name: str, mask: object) -> None:
        if (
            not isinstance(mask, Tensor)
            or mask.shape != self.codes.shape
            or mask.dtype != torch.bool
        ):
            msg = (
                f"{name} must be booleans of the shape of the codes {tuple(self.codes.shape)}, got "
                f"{_describe(mask)}"
            )
            raise ShapeError(msg)

    def _check_numbers(self, name: str, numbers: object) -> None:
        whole = isinstance(numbers, Tensor) and not (
            numbers.dtype == torch.bool or numbers.is_floating_point() or numbers.is_complex()
        )
        if not whole or getattr(numbers, "shape", None) != self.codes.shape[:1]:
            msg = (
                f"{name} must be integers ({len(self)},), one for each row, got "
                f"{_describe(numbers)}"
            )
            raise ShapeError(msg)

    @property
    def num_units(self) -> int:
        """How many units the rows stand for: the sum of the weights."""
        return len(self) if self.weights is None else int(self.weights.sum())

    def take_rows(self, rows: Bool[Tensor, " rows"] | Int[Tensor, " taken"]) -> Samples:
        """Takes some of the rows with all that is known of them.

        Args:
            rows: True for the rows to keep, or the numbers of rows, in any order and as often as
                they are wanted.

        Returns:
            The rows.

        Example:
            >>> slots = SlotSpace.from_cardinalities({"a": 2, "b": 2})
            >>> samples = Samples(torch.tensor([[0, 1], [1, 1]]), slots)
            >>> samples.take_rows(samples.codes[:, 0] == 1).codes.tolist()
            [[1, 1]]
        """
        return replace(
            self,
            codes=self.codes[rows],
            targets=None if self.targets is None else self.targets[rows],
            observed=None if self.observed is None else self.observed[rows],
            regimes=None if self.regimes is None else self.regimes[rows],
            weights=None if self.weights is None else self.weights[rows],
        )

    def take_columns(self, columns: Sequence[int]) -> Samples:
        """Takes some of the slots, or all in another order, with all that is known of them.

        Args:
            columns: The columns, each at most once.

        Returns:
            The same rows over these slots.

        Example:
            >>> slots = SlotSpace.from_cardinalities({"a": 2, "b": 3})
            >>> Samples(torch.tensor([[0, 2]]), slots).take_columns([1, 0])
            Samples(1 rows, observational, SlotSpace(b:3, a:2))
        """
        order = list(columns)
        return replace(
            self,
            codes=self.codes[:, order],
            slots=SlotSpace([self.slots[k] for k in order]),
            targets=None if self.targets is None else self.targets[:, order],
            observed=None if self.observed is None else self.observed[:, order],
        )

    def unweighted(self) -> Samples:
        """Writes every row as often as it counts.

        Returns:
            Rows of one unit each.

        Example:
            >>> slots = SlotSpace.from_cardinalities({"a": 2})
            >>> Samples(torch.tensor([[0], [1]]), slots, weights=torch.tensor([2, 1])).unweighted()
            Samples(3 rows, observational, SlotSpace(a:2))

        Cost: memory for every unit.
        """
        if self.weights is None:
            return self
        rows = torch.arange(len(self), device=self.codes.device)
        return replace(self.take_rows(rows.repeat_interleave(self.weights)), weights=None)

    def __len__(self) -> int:
        return self.codes.shape[0]

    def __repr__(self) -> str:
        units = "" if self.weights is None else f" for {self.num_units} units"
        return f"Samples({len(self)} rows{units}, {self.regime.value}, {self.slots!r})"


def _describe(value: object) -> str:
    if isinstance(value, Tensor):
        return f"{value.dtype} {tuple(value.shape)}"
    return f"{type(value).__name__}; torch.as_tensor makes a tensor of it"


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
