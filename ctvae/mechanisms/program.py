"""One world, packed: the laws, the order and the forced values that engines work on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from graphlib import TopologicalSorter
from types import MappingProxyType

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ctvae.mechanisms.local_law import LocalLaw
from ctvae.slots import SlotSpace

__all__ = ["Program"]


@dataclass(frozen=True, eq=False)
class Program:
    """A structural causal model in one world, cut at its interventions. Immutable.

    Attributes:
        slots: The columns.
        laws: The law of each column in this world.
        order: The columns, parents before children.
    """

    slots: SlotSpace
    laws: tuple[LocalLaw, ...]
    order: tuple[int, ...]

    @classmethod
    def pack(cls, slots: SlotSpace, laws: Sequence[LocalLaw]) -> Program:
        """Packs the laws of all slots; no table is copied.

        Args:
            slots: The columns.
            laws: The law of each column; their parents must form no cycle.

        Returns:
            The program.

        Example:
            >>> from ctvae.mechanisms.table import TableMechanism
            >>> fair, copy = TableMechanism([0.5, 0.5]), TableMechanism(torch.eye(2))
            >>> laws = [LocalLaw((1,), copy), LocalLaw((), fair)]
            >>> Program.pack(SlotSpace.from_cardinalities([2, 2]), laws).order
            (1, 0)
        """
        sorter = TopologicalSorter({column: law.parents for column, law in enumerate(laws)})
        return cls(slots, tuple(laws), tuple(sorter.static_order()))

    @property
    def device(self) -> torch.device:
        """Where the laws are."""
        return self.laws[0].mechanism.device

    @cached_property
    def dtype(self) -> torch.dtype:
        """The precision of exact answers: that of the finest law."""
        double = any(law.dtype == torch.float64 for law in self.laws)
        return torch.float64 if double else torch.float32

    @cached_property
    def parents(self) -> tuple[tuple[int, ...], ...]:
        """For each column the columns of its parents, increasing; none where it is forced."""
        return tuple(law.parents for law in self.laws)

    @cached_property
    def forced(self) -> Mapping[int, Int[Tensor, "*batch"]]:
        """Column to its forced codes, ``()`` or ``(batch,)``; read-only."""
        return MappingProxyType({
            column: law.forced for column, law in enumerate(self.laws) if law.forced is not None
        })

    @cached_property
    def batch(self) -> int | None:
        """The number of worlds where there is one per row; ``None`` for one world."""
        sizes = [law.num_worlds for law in self.laws if law.num_worlds is not None]
        return sizes[0] if sizes else None

    @property
    def tables(self) -> tuple[Float[Tensor, "*parents codes"], ...]:
        """For each column ``(*parents, codes)`` probabilities, a regime first.

        These are the engines' own tables, to be read and not to be written.
        """
        return tuple(law.table for law in self.laws)

    def rows(self, index: Int[Tensor, " n"]) -> Program:
        """Picks worlds, where there is one per row.

        Args:
            index: Which rows, in which order; a row may come several times.

        Returns:
            The program of these rows; the same one where there is one world.
        """
        if self.batch is None:
            return self

        def pick(codes: Tensor | None) -> Tensor | None:
            return codes if codes is None or not codes.ndim else codes[index]

        laws = (
            law
            if law.num_worlds is None
            else replace(law, forced=pick(law.forced), regime=pick(law.regime))
            for law in self.laws
        )
        return Program(self.slots, tuple(laws), self.order)

    def ancestors(self, columns: set[int]) -> set[int]:
        """Gives columns with all columns that cause them in this world.

        Args:
            columns: Where to start.

        Returns:
            The columns and their ancestors.
        """
        found, stack = set(columns), list(columns)
        while stack:
            new = [p for p in self.parents[stack.pop()] if p not in found]
            found.update(new)
            stack.extend(new)
        return found

    def descendants(self, columns: set[int]) -> set[int]:
        """Gives columns with all columns that they cause in this world.

        Args:
            columns: Where to start.

        Returns:
            The columns and their descendants.
        """
        found = set(columns)
        for column in self.order:
            if found.intersection(self.parents[column]):
                found.add(column)
        return found

    def row_index(
        self, column: int, codes: Mapping[int, Tensor], regime: Tensor | None = None
    ) -> Tensor | None:
        """Gives the row of a column's table that its parents select.

        Args:
            column: The column.
            codes: Column to codes of one shape, at least for the parents.
            regime: The rows' regimes, of that shape, where the column's law has one.

        Returns:
            Row numbers of the parents' shape; ``None`` where neither parent nor regime selects.
        """
        index = regime
        for parent in self.parents[column]:
            size = self.slots[parent].cardinality
            index = codes[parent] if index is None else index * size + codes[parent]
        return index

    def parent_codes(
        self,
        column: int,
        codes: Mapping[int, Tensor],
        shape: tuple[int, ...],
        regime: Tensor | None = None,
    ) -> Int[Tensor, "*batch parents"]:
        """Stacks the codes that a column's mechanism reads.

        Args:
            column: The column.
            codes: Column to codes of one shape, at least for the parents.
            shape: That shape.
            regime: The rows' regimes, of that shape, where the column's law has one.

        Returns:
            ``(*shape, parents)``, a regime first.
        """
        read = [] if regime is None else [regime.expand(shape)]
        read += [codes[parent].expand(shape) for parent in self.parents[column]]
        if not read:
            return torch.empty((*shape, 0), dtype=torch.long, device=self.device)
        return torch.stack(read, -1).long()
