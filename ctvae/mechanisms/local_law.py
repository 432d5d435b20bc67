"""How one slot comes by its code in one world."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import one_hot

from ctvae.mechanisms.base import TABLE_BUDGET, Mechanism
from ctvae.mechanisms.table import TableMechanism

__all__ = ["LocalLaw", "SwitchMechanism", "is_same_law"]


@dataclass(frozen=True, eq=False)
class LocalLaw:
    r"""How one slot comes by its code in one world.

    .. math:: x = r[f(\text{regime}, \text{parents}, \text{noise})]

    A *regime* is a row's own number of a law, where laws differ from row to row: it is read like
    the code of one more parent, the first one. The tables are made when first asked for and kept;
    worlds share the laws of the slots that no intervention touches.

    Attributes:
        parents: The columns of its parents, increasing; none where the code is forced.
        mechanism: Its law given the regime, if there is one, and the parents.
        forced: The forced codes, ``()`` or ``(batch,)``; ``None`` where the mechanism decides.
        regime: Each row's regime ``(batch,)``; ``None`` where all rows have one law.
        response: The code reported for each code that the mechanism gave, ``(codes,)``, or
            ``(regimes, codes)``; ``None`` where they are equal.
        own_noise: Whether the unit's own noise drives the law, so that a counterfactual keeps it;
            ``()`` or ``(regimes,)``.
    """

    parents: tuple[int, ...]
    mechanism: Mechanism
    forced: Int[Tensor, "*batch"] | None = None
    regime: Int[Tensor, " batch"] | None = None
    response: Int[Tensor, "*regimes codes"] | None = None
    own_noise: bool | Bool[Tensor, " regimes"] = True

    @property
    def num_worlds(self) -> int | None:
        """The number of worlds, where there is one per row; ``None`` for one world."""
        if self.forced is not None and self.forced.ndim:
            return len(self.forced)
        return None if self.regime is None else len(self.regime)

    @cached_property
    def dtype(self) -> torch.dtype:
        """The precision of the law."""
        count = len(self.mechanism.parent_cardinalities)
        nothing = torch.empty((0, count), dtype=torch.long, device=self.mechanism.device)
        return self.mechanism.log_probs(nothing).dtype

    @property
    def row_noise(self) -> bool | Bool[Tensor, " batch"]:
        """Whether the unit's own noise drives the law; row by row where regimes differ in it."""
        if isinstance(self.own_noise, bool) or self.regime is None:
            return bool(self.own_noise)
        return self.own_noise[self.regime]

    @property
    def is_small(self) -> bool:
        """Whether the law fits a table within the budget of tables made unasked."""
        return math.prod(self.mechanism.parent_cardinalities) * self.mechanism.cardinality <= (
            TABLE_BUDGET
        )

    @cached_property
    def natural_table(self) -> Float[Tensor, "*parents codes"]:
        """The mechanism's probabilities, before the response; a regime is the first axis."""
        return self.mechanism.table()

    @cached_property
    def table(self) -> Float[Tensor, "*parents codes"]:
        """The probabilities of the reported codes; a regime comes first.

        Of a forced slot ``(codes,)``, or ``(batch, codes)`` where codes are forced row by row.
        """
        if self.forced is not None:
            return one_hot(self.forced, self.mechanism.cardinality).to(self.dtype)
        return self.respond(self.natural_table)

    @cached_property
    def log_rows(self) -> Float[Tensor, "rows codes"]:
        """Logarithms of the table, regime and parents flattened into rows."""
        return _rows(self.table).log()

    @cached_property
    def cuts(self) -> Float[Tensor, "cuts rows"]:
        """The cumulative probabilities below which a code ends, cut by cut."""
        return cumulative_cuts(_rows(self.table))

    @cached_property
    def least(self) -> float:
        """The smallest probability of the table but zero."""
        table = self.table.detach()
        return float(torch.where(table > 0, table, 1).amin())

    @cached_property
    def is_positive(self) -> bool:
        """Whether no code has probability zero anywhere, so that no evidence is impossible."""
        return bool((self.table > 0).all())

    def respond(self, probs: Float[Tensor, "*parents codes"]) -> Float[Tensor, "*parents codes"]:
        """Moves the probability of each code to the code that is reported for it.

        Args:
            probs: The natural table, a regime first.

        Returns:
            The table of reported codes.
        """
        if self.response is None:
            return probs
        ones = (1,) * (probs.ndim - self.response.ndim)
        target = self.response.reshape(*self.response.shape[:-1], *ones, -1).expand_as(probs)
        return torch.zeros_like(probs).scatter_add(-1, target, probs)

    def reported_log_probs(
        self, parents: Int[Tensor, "*batch parents"]
    ) -> Float[Tensor, "*batch codes"]:
        """Evaluates the law of the reported code at rows of regime and parents.

        Args:
            parents: Their codes, a regime first.

        Returns:
            Nats.
        """
        natural = self.mechanism.log_probs(parents)
        if self.response is None:
            return natural
        target = self.response if self.response.ndim == 1 else self.response[parents[..., 0]]
        probs = torch.zeros_like(natural)
        return probs.scatter_add(-1, target.expand_as(natural), natural.exp()).log()


@dataclass(frozen=True, eq=False)
class SwitchMechanism:
    """Laws of which the first parent, a regime, picks one.

    Attributes:
        choices: The laws.
        positions: For each law, which of the parents after the regime it reads.
        sizes: The number of codes of each parent after the regime.
    """

    choices: tuple[Mechanism, ...]
    positions: tuple[tuple[int, ...], ...]
    sizes: tuple[int, ...]

    @property
    def cardinality(self) -> int:
        """The number of codes of the slot."""
        return self.choices[0].cardinality

    @property
    def parent_cardinalities(self) -> tuple[int, ...]:
        """The number of regimes, then of codes of each parent."""
        return (len(self.choices), *self.sizes)

    @property
    def device(self) -> torch.device:
        """Where the laws are."""
        return self.choices[0].device

    def table(self) -> Float[Tensor, "*parents codes"]:
        """Writes the laws as one table.

        Returns:
            ``(regimes, *parents, codes)`` in the finest precision of the laws.
        """
        tables = []
        for choice, read in zip(self.choices, self.positions, strict=True):
            own = choice.table()
            ones = [size if k in read else 1 for k, size in enumerate(self.sizes)]
            tables.append(own.reshape(*ones, -1).expand(*self.sizes, -1))
        return torch.stack(_one_precision(tables))

    def log_probs(self, parents: Int[Tensor, "*batch parents"]) -> Float[Tensor, "*batch codes"]:
        """Evaluates the law that each row's regime picks.

        Args:
            parents: Regime and parents.

        Returns:
            Nats.

        Cost: one evaluation of every law on all rows.
        """
        regime, rest = parents[..., 0], parents[..., 1:]
        rows = [
            choice.log_probs(rest[..., list(read)])
            for choice, read in zip(self.choices, self.positions, strict=True)
        ]
        stacked = torch.stack(_one_precision(rows), -2)
        index = regime[..., None, None].expand(*regime.shape, 1, stacked.shape[-1])
        return stacked.gather(-2, index).squeeze(-2)

    def to(self, device: torch.device | str) -> SwitchMechanism:
        """Moves the laws.

        Args:
            device: Where to.

        Returns:
            The same laws on the device.
        """
        moved = tuple(choice.to(device) for choice in self.choices)
        return SwitchMechanism(moved, self.positions, self.sizes)


def is_same_law(one: Mechanism, other: Mechanism) -> bool:
    """Says whether two mechanisms are one law: the same object, or equal tables.

    Args:
        one: A mechanism.
        other: Another one.

    Returns:
        False also for equal functions or networks that are two objects.
    """
    if one is other:
        return True
    tables = isinstance(one, TableMechanism) and isinstance(other, TableMechanism)
    return tables and torch.equal(one.table(), other.table())


def cumulative_cuts(rows: Float[Tensor, "rows codes"]) -> Float[Tensor, "cuts rows"]:
    """Gives the cumulative probabilities below which a code ends, cut by cut.

    Summed in float64 and divided by the last sum, so that the cuts before codes of probability zero
    at the end are exactly one and no draw below one passes them.

    Args:
        rows: Probabilities.

    Returns:
        ``(codes - 1, rows)`` float32, each cut contiguous.
    """
    sums = rows.double().cumsum(1)
    return (sums / sums[:, -1:])[:, :-1].T.float().contiguous()


def _rows(table: Tensor) -> Tensor:
    return table.reshape(-1, table.shape[-1])


def _one_precision(tables: Sequence[Tensor]) -> list[Tensor]:
    double = any(table.dtype == torch.float64 for table in tables)
    return [table.double() if double else table for table in tables]
