"""Draws of the true codes behind codes that were read with errors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ctvae.counting import contingency_table, joint_index
from ctvae.errors import StateSpaceError

__all__ = ["NoisyRows"]

LARGEST_TABLE = 2**24
"""Cells of a slot's table given its parents, of float64: 128 MiB."""
OWN_COUNT = 0.5
"""The prior count of each code where a slot was set."""


@dataclass(frozen=True)
class NoisyRows:
    r"""Rows of codes with errors, and Gibbs sampling of the codes behind them.

    .. math:: P(z_k \mid z_{-k}, c) \propto P(c_k \mid z_k)\, P(z_k \mid z_{\mathrm{Pa}_k})
        \prod_{j:\, k \in \mathrm{Pa}_j} P(z_j \mid z_{\mathrm{Pa}_j})

    A slot that was set has the law of its set rows instead of the one given its parents,
    and as a child it says nothing of them. Tables are drawn from their Dirichlet laws given
    the codes drawn last (equivalent sample size 1, as in BDeu), so codes and tables together are a
    Gibbs sampler of their posterior under one graph.

    Attributes:
        read: The codes as read.
        set_: True where a slot was set.
        cardinalities: The number of codes of each slot.
        readings: For each slot ``(true, read)`` log-probabilities of reading a code.
    """

    read: Int[Tensor, "rows slots"]
    set_: Bool[Tensor, "rows slots"]
    cardinalities: tuple[int, ...]
    readings: tuple[Float[Tensor, "true read"], ...]

    def resample(
        self,
        codes: Int[Tensor, "rows slots"],
        parents: Sequence[Sequence[int]],
        *,
        generator: torch.Generator,
    ) -> Int[Tensor, "rows slots"]:
        """Draws tables given codes, then every slot's codes in turn.

        Args:
            codes: The codes drawn last.
            parents: The parent columns of each slot, in a DAG.
            generator: On the device of the codes.

        Returns:
            New codes.

        Raises:
            StateSpaceError: When a table would have more than 2^24 cells.

        Cost: O(rows * edges * codes), and the tables.
        """
        drawn = codes.clone()
        tables = [
            self._table(codes, child, columns, generator) for child, columns in enumerate(parents)
        ]
        own = [self._own(codes, slot, generator) for slot in range(len(parents))]
        above = [
            joint_index(codes[:, list(columns)], [self.cardinalities[p] for p in columns])
            for columns in parents
        ]
        for slot, size in enumerate(self.cardinalities):
            old = drawn[:, slot]
            odds = torch.where(self.set_[:, slot, None], own[slot], tables[slot][above[slot]])
            odds = odds + self.readings[slot].T[self.read[:, slot]]
            strides = self._strides(parents, slot)
            for child, stride in strides.items():
                rest = above[child] - stride * old
                every = rest[:, None] + stride * torch.arange(size, device=rest.device)
                heard = tables[child][every, drawn[:, child, None]]
                odds = odds + heard.masked_fill(self.set_[:, child, None], 0.0)
            new = torch.multinomial(odds.softmax(1), 1, generator=generator)[:, 0]
            for child, stride in strides.items():
                above[child] = above[child] + stride * (new - old)
            drawn[:, slot] = new
        return drawn

    def _table(
        self, codes: Tensor, child: int, parents: Sequence[int], generator: torch.Generator
    ) -> Float[Tensor, "parents codes"]:
        sizes = [self.cardinalities[k] for k in (*parents, child)]
        cells = math.prod(sizes)
        if cells > LARGEST_TABLE:
            msg = (
                f"slot {child} with {len(parents)} parents has a table of {cells:,} cells, more "
                f"than {LARGEST_TABLE:,}; limit the parents of the method, or merge codes"
            )
            raise StateSpaceError(msg, entries=cells)
        natural = codes[~self.set_[:, child]]
        counts = contingency_table(natural[:, [*parents, child]], sizes).reshape(-1, sizes[-1])
        return _draw_logs(counts + 1 / cells, generator)

    def _own(self, codes: Tensor, slot: int, generator: torch.Generator) -> Tensor:
        size = self.cardinalities[slot]
        counts = torch.bincount(codes[self.set_[:, slot], slot], minlength=size).double()
        return _draw_logs(counts + OWN_COUNT, generator)

    def _strides(self, parents: Sequence[Sequence[int]], slot: int) -> dict[int, int]:
        """Says for each child how far its row of parents moves when this slot's code grows by 1."""
        return {
            child: math.prod(
                self.cardinalities[p] for p in columns[list(columns).index(slot) + 1 :]
            )
            for child, columns in enumerate(parents)
            if slot in columns
        }


def _draw_logs(counts: Float[Tensor, "*rows codes"], generator: torch.Generator) -> Tensor:
    """Draws rows of Dirichlet laws, as logarithms."""
    gammas = torch._standard_gamma(counts, generator=generator)
    gammas = gammas.clamp_min(torch.finfo(counts.dtype).tiny)
    return (gammas / gammas.sum(-1, keepdim=True)).log()
