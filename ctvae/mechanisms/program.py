"""One world, packed: the tables, the order and the forced values that engines work on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from graphlib import TopologicalSorter
from types import MappingProxyType

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ctvae.mechanisms.interventions import LocalLaw
from ctvae.slots import SlotSpace

__all__ = ["Program"]


@dataclass(frozen=True, eq=False)
class Program:
    """A structural causal model in one world, cut at its interventions. Immutable.

    Attributes:
        slots: The columns.
        parents: For each column the columns of its parents, increasing; none where it is forced.
        order: The columns, parents before children.
        tables: For each column ``(*parents, codes)`` probabilities, axes in column order; for a
            forced column its natural table, which the engines do not read.
        forced: Column to its forced codes, ``()`` or ``(batch,)``.
    """

    slots: SlotSpace
    parents: tuple[tuple[int, ...], ...]
    order: tuple[int, ...]
    tables: tuple[Float[Tensor, "*parents codes"], ...]
    forced: Mapping[int, Int[Tensor, "*batch"]]

    @classmethod
    def pack(cls, slots: SlotSpace, laws: Sequence[LocalLaw]) -> Program:
        """Packs the laws of all slots; no table is copied.

        Args:
            slots: The columns.
            laws: The law of each column; their parents must form no cycle.

        Returns:
            The program.

        Example:
            >>> fair = torch.tensor([0.5, 0.5])
            >>> laws = [LocalLaw((1,), torch.eye(2)), LocalLaw((), fair)]
            >>> Program.pack(SlotSpace.from_cardinalities([2, 2]), laws).order
            (1, 0)
        """
        sorter = TopologicalSorter({column: law.parents for column, law in enumerate(laws)})
        return cls(
            slots,
            tuple(law.parents for law in laws),
            tuple(sorter.static_order()),
            tuple(law.table for law in laws),
            MappingProxyType({
                c: law.forced for c, law in enumerate(laws) if law.forced is not None
            }),
        )

    @property
    def device(self) -> torch.device:
        """Where the tables are."""
        return self.tables[0].device

    @property
    def dtype(self) -> torch.dtype:
        """The precision of exact answers: that of the finest table."""
        double = any(table.dtype == torch.float64 for table in self.tables)
        return torch.float64 if double else torch.float32

    @cached_property
    def batch(self) -> int | None:
        """The number of worlds where values were given per row; ``None`` for one world."""
        sizes = [len(codes) for codes in self.forced.values() if codes.ndim]
        return sizes[0] if sizes else None

    @cached_property
    def log_tables(self) -> tuple[Float[Tensor, "rows codes"], ...]:
        """Logarithms of the tables, parents flattened into rows."""
        return tuple(_rows(table).log() for table in self.tables)

    @cached_property
    def thresholds(self) -> tuple[Float[Tensor, "cuts rows"], ...]:
        """For each column the cumulative probabilities below which a code ends, cut by cut.

        Summed in float64 and divided by the last sum, so that the cuts before codes of probability
        zero at the end are exactly one and no draw below one passes them.
        """
        packed = []
        for table in self.tables:
            sums = _rows(table).double().cumsum(1)
            packed.append((sums / sums[:, -1:])[:, :-1].T.float().contiguous())
        return tuple(packed)

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

    def row_index(self, column: int, codes: Mapping[int, Tensor]) -> Tensor | None:
        """Gives the row of a column's table that its parents select.

        Args:
            column: The column.
            codes: Column to codes of one shape, at least for the parents.

        Returns:
            Row numbers of the parents' shape; ``None`` where the column has no parent.
        """
        index: Tensor | None = None
        for parent in self.parents[column]:
            size = self.slots[parent].cardinality
            index = codes[parent] if index is None else index * size + codes[parent]
        return index


def _rows(table: Tensor) -> Tensor:
    return table.reshape(-1, table.shape[-1])
