"""Conditional probability tables."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import ArrayLike
from torch import Tensor

from ctvae.counting import contingency_table, joint_index
from ctvae.errors import DataError, MechanismError, RegimeError, StateSpaceError
from ctvae.mechanisms.base import TABLE_BUDGET, check_parents
from ctvae.randomness import Seed, spawn
from ctvae.regimes import Samples
from ctvae.slots import Slot, SlotSpace

__all__ = ["TableMechanism", "check_independent", "fit_tables", "random_tables"]

SUM_TOLERANCE = 1e-6
"""How far the sum of a row may be from one, where rounding alone explains no more."""


class TableMechanism:
    r"""A slot's law as a table, :math:`P(X = v \mid \mathrm{parents} = u) = T[u, v]`.

    Immutable: it holds a copy. Float32 and float64 tensors keep their dtype, which decides the
    precision of exact answers; numbers in lists become float64. After the check, rows that miss
    one by more than a division leaves are divided by their sum; all others keep their bits.

    Args:
        probs: ``(*parent_cardinalities, cardinality)``, rows summing to one within 1e-6, or, for
            many float32 codes, within the rounding of a sum (``sqrt(codes)`` epsilons). The
            parents' axes stand in the order of the slots' columns.

    Raises:
        MechanismError: When there is no cell, an entry is negative or not finite, or a row does
            not sum to one.

    Example:
        >>> m = TableMechanism(torch.tensor([[0.9, 0.1], [0.2, 0.8]]))
        >>> m.cardinality, m.parent_cardinalities
        (2, (2,))
    """

    __slots__ = ("_table",)

    def __init__(self, probs: Float[Tensor, "*parents codes"] | ArrayLike) -> None:
        table = _as_floats(probs, "a table")
        sums = table.double().sum(-1, keepdim=True)
        off = (sums - 1).abs()
        codes, eps = table.shape[-1], torch.finfo(table.dtype).eps
        # A float32 softmax over thousands of codes misses one by more than the tolerance.
        if float(off.max()) > max(SUM_TOLERANCE, codes**0.5 * eps):
            msg = (
                "a table's rows must sum to one along the last axis; one is off by "
                f"{float(off.max()):.3g}; divide by probs.sum(-1, keepdim=True), or, where the "
                "slot's own codes stand first, move them last"
            )
            raise MechanismError(msg)
        # What a division leaves: the rounding of each entry, and that of the float64 sum. Dividing
        # such a row again would change its last bits at every copy.
        rounding = eps + codes * torch.finfo(torch.float64).eps
        scaled = (table.double() / sums).to(table.dtype)
        self._table = torch.where(off <= rounding, table, scaled).detach()

    def __repr__(self) -> str:
        given = ", ".join(map(str, self.parent_cardinalities))
        return f"TableMechanism({self.cardinality} codes given ({given}))"

    @classmethod
    def from_counts(
        cls, counts: Float[Tensor, "*parents codes"] | ArrayLike, *, pseudocount: float = 1.0
    ) -> TableMechanism:
        r"""Estimates a table from counts with a symmetric Dirichlet prior.

        .. math:: T[u, v] = (n_{uv} + \alpha) / (n_u + K \alpha)

        Args:
            counts: How often each code was seen with each row of parents.
            pseudocount: The prior count :math:`\alpha` of every cell; rows never seen are uniform.

        Returns:
            The posterior mean.

        Raises:
            MechanismError: When a count is negative or not finite, or the pseudocount is not
                positive.

        Example:
            >>> TableMechanism.from_counts(torch.tensor([3.0, 1.0]), pseudocount=1.0).table()
            tensor([0.6667, 0.3333], dtype=torch.float64)
        """
        if not isinstance(pseudocount, int | float) or not 0 < pseudocount < math.inf:
            msg = f"pseudocount must be positive, got {pseudocount!r}; unseen rows need one"
            raise MechanismError(msg)
        smoothed = _as_floats(counts, "counts").double() + pseudocount
        return cls(smoothed / smoothed.sum(-1, keepdim=True))

    @classmethod
    def fit(
        cls,
        codes: Int[Tensor, " rows"],
        parents: Int[Tensor, "rows parents"],
        *,
        cardinality: int,
        parent_cardinalities: Sequence[int],
        pseudocount: float = 1.0,
    ) -> TableMechanism:
        """Counts a table with a symmetric Dirichlet prior.

        Args:
            codes: The slot's codes.
            parents: Its parents' codes, in the order of the slots' columns.
            cardinality: The number of codes of the slot.
            parent_cardinalities: The number of codes of each parent.
            pseudocount: The prior count of every cell.

        Returns:
            The posterior mean, on the device of the codes.

        Raises:
            MechanismError: When codes and parents do not have one row for each other.
            CodeError: When a code is no integer of its codebook.
            StateSpaceError: When the table would be too large.

        Example:
            >>> codes, parents = torch.tensor([0, 1, 1]), torch.tensor([[0], [1], [1]])
            >>> TableMechanism.fit(codes, parents, cardinality=2, parent_cardinalities=[2]).table()
            tensor([[0.6667, 0.3333],
                    [0.2500, 0.7500]], dtype=torch.float64)

        Cost: one pass over the rows.
        """
        both = [one.shape if isinstance(one, Tensor) else None for one in (codes, parents)]
        if [len(shape or ()) for shape in both] != [1, 2] or len(codes) != len(parents):
            got = [type(codes).__name__, type(parents).__name__]
            got = [str(tuple(s)) if s is not None else t for s, t in zip(both, got, strict=True)]
            msg = (
                "a fit takes tensors of codes (rows,) and parents (rows, parents), got "
                f"{' and '.join(got)}"
            )
            raise MechanismError(msg)
        slots = [Slot(f"parent {k}", size) for k, size in enumerate(parent_cardinalities)]
        space = SlotSpace([*slots, Slot("child", cardinality)])
        _check_size(space.cardinalities)
        rows = space.check_codes(torch.cat([parents, codes[:, None]], 1))
        counts = contingency_table(rows, space.cardinalities)
        return cls.from_counts(counts, pseudocount=pseudocount)

    @classmethod
    def random(
        cls,
        cardinality: int,
        parent_cardinalities: Sequence[int] = (),
        *,
        concentration: float = 0.5,
        seed: Seed = None,
    ) -> TableMechanism:
        """Draws a table, each row from a symmetric Dirichlet law.

        Args:
            cardinality: The number of codes of the slot.
            parent_cardinalities: The number of codes of each parent.
            concentration: Below 1 rows are peaked and edges strong.
            seed: For the draw.

        Returns:
            The table, float64.

        Raises:
            MechanismError: When a cardinality is below one or the concentration not positive.
            StateSpaceError: When the table would be too large.
        """
        shape = (*parent_cardinalities, cardinality)
        whole = all(isinstance(size, int) and size >= 1 for size in shape)
        if not whole or not 0 < concentration < math.inf:
            msg = (
                "a random table needs cardinalities that are integers of at least 1 and a finite "
                f"positive concentration, got {shape} and {concentration}"
            )
            raise MechanismError(msg)
        _check_size(shape)
        draws = np.random.default_rng(spawn(seed, 1)[0]).gamma(concentration, size=shape)
        probs = torch.from_numpy(draws).clamp(min=torch.finfo(torch.float64).tiny)
        return cls(probs / probs.sum(-1, keepdim=True))

    @property
    def cardinality(self) -> int:
        """The number of codes of the slot."""
        return self._table.shape[-1]

    @property
    def parent_cardinalities(self) -> tuple[int, ...]:
        """The number of codes of each parent, in the order of the slots' columns."""
        return tuple(self._table.shape[:-1])

    @property
    def device(self) -> torch.device:
        """Where the table is."""
        return self._table.device

    def table(self) -> Float[Tensor, "*parents codes"]:
        """Writes the law as probabilities.

        Returns:
            ``(*parent_cardinalities, cardinality)``, a copy.
        """
        return self._table.clone()

    def log_probs(self, parents: Int[Tensor, "*batch parents"]) -> Float[Tensor, "*batch codes"]:
        """Reads rows of the table.

        Args:
            parents: The parents' codes.

        Returns:
            Nats.

        Raises:
            ShapeError: When the last axis is not one column per parent.
            CodeError: When a code is no integer of its parent's codebook.
        """
        parents = check_parents(parents, self.parent_cardinalities)
        index = joint_index(parents, self.parent_cardinalities)
        return self._table.reshape(-1, self.cardinality)[index].log()

    def to(self, device: torch.device | str) -> TableMechanism:
        """Moves the table.

        Args:
            device: Where to.

        Returns:
            The same table on the device.
        """
        moved = object.__new__(TableMechanism)
        moved._table = self._table.to(device)
        return moved


def fit_tables(
    rows: Samples, parents: Mapping[str, Sequence[int]], *, pseudocount: float = 1.0
) -> dict[str, TableMechanism]:
    """Counts the tables of all slots.

    A row in which a slot was set by ``do`` says nothing about that slot's own law and is left out
    of its count, and of no other.

    Args:
        rows: Rows of codes with their regime.
        parents: Slot name to the columns of its parents, increasing.
        pseudocount: The prior count of every cell.

    Returns:
        Slot name to table.

    Raises:
        RegimeError: When the rows are edits or counterfactual pairs.

    Cost: one pass over the rows for each slot.
    """
    check_independent(rows)
    sizes = rows.slots.cardinalities
    tables = {}
    for name, causes in parents.items():
        column = rows.slots.index(name)
        natural = rows.codes if rows.targets is None else rows.codes[~rows.targets[:, column]]
        tables[name] = TableMechanism.fit(
            natural[:, column],
            natural[:, list(causes)],
            cardinality=sizes[column],
            parent_cardinalities=[sizes[cause] for cause in causes],
            pseudocount=pseudocount,
        )
    return tables


def check_independent(rows: Samples) -> None:
    """Refuses rows of which a law cannot be counted.

    Args:
        rows: Rows of codes with their regime.

    Raises:
        RegimeError: When the rows are edits or counterfactual pairs, or targets are not known.
        DataError: When a row stands for several units.
    """
    if rows.weights is not None:
        msg = "laws are learned from rows of one unit each; pass samples.unweighted()"
        raise DataError(msg)
    if rows.regimes is not None:
        msg = (
            "rows of which nobody knows what was set cannot be counted; keep the observational "
            "ones (regimes == 0), or learn the targets with learn_graph"
        )
        raise RegimeError(msg)
    if not rows.regime.independent_rows:
        msg = (
            f"{rows.regime.value} rows are no samples of a causal law (they hold or share what "
            "a law would draw); count observational or interventional rows"
        )
        raise RegimeError(msg)


def random_tables(
    slots: SlotSpace,
    parents: Mapping[str, Sequence[int]],
    *,
    concentration: float = 0.5,
    seed: Seed = None,
) -> dict[str, TableMechanism]:
    """Draws the tables of all slots.

    Args:
        slots: The slots.
        parents: Slot name to the columns of its parents, increasing.
        concentration: Of the Dirichlet law of the rows; below 1 edges are strong.
        seed: For the draws; every slot has a stream of its own.

    Returns:
        Slot name to table.
    """
    return {
        slot.name: TableMechanism.random(
            slot.cardinality,
            [slots[parent].cardinality for parent in parents[slot.name]],
            concentration=concentration,
            seed=child,
        )
        for slot, child in zip(slots, spawn(seed, len(slots)), strict=True)
    }


def _check_size(shape: Sequence[int]) -> None:
    entries = math.prod(shape)
    if entries > TABLE_BUDGET:
        msg = (
            f"a table of {shape[-1]} codes given {len(shape) - 1} parents has {entries:.3g} "
            f"entries (budget {TABLE_BUDGET:.3g}); give the slot fewer parents, or a "
            "NeuralMechanism, which grows with the sum of their codes"
        )
        raise StateSpaceError(msg, entries=entries)


def _as_floats(values: object, what: str) -> Tensor:
    """Reads numbers that are finite and not negative as a float tensor with a last axis."""
    try:
        # NumPy reads plain numbers as float64, torch as float32.
        given = values if isinstance(values, Tensor) else torch.from_numpy(np.array(values))
    except (TypeError, ValueError) as error:
        msg = f"{what} must be numbers (*parent_cardinalities, cardinality), got {values!r}"
        raise MechanismError(msg) from error
    if given.is_complex() or given.ndim == 0 or given.numel() == 0:
        msg = (
            f"{what} must be real numbers (*parent_cardinalities, cardinality), got "
            f"{given.dtype} {tuple(given.shape)}"
        )
        raise MechanismError(msg)
    if given.is_meta:
        msg = f"{what} must hold numbers; a tensor on the device meta has a shape and no numbers"
        raise MechanismError(msg)
    wrong = ~torch.isfinite(given) | (given < 0)
    if bool(wrong.any()):
        place = wrong.nonzero()[0].tolist()
        msg = (
            f"{what} must hold finite numbers that are not negative, got "
            f"{float(given[tuple(place)]):.3g} at {place}"
        )
        raise MechanismError(msg)
    if given.dtype in {torch.float32, torch.float64}:
        return given.detach()
    return given.float() if given.is_floating_point() else given.double()
