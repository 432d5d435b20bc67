"""Many tests of conditional independence on count tables at once."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ctvae.counting import counted_rows
from ctvae.errors import DataError, StateSpaceError

__all__ = [
    "IndependenceResults",
    "TableTests",
    "chi_squared",
    "chi_squared_tail",
    "distinct_lines",
    "g_squared",
]

CELLS = 2**21
"""How many table cells are held at once; the answer does not depend on it."""
CODES_ON_CPU, CODES_ON_GPU = 2**17, 2**25
"""How many codes are indexed at once: what a processor's cache holds, what keeps a GPU busy."""
CELLS_PER_ROW = 8
"""A table with more cells than this many times the rows is counted by sorting instead."""
LARGEST_KEY = 2**62

Statistic = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]


class IndependenceResults(NamedTuple):
    """What many tests found.

    Attributes:
        statistic: ``(tests,)`` float64, at least 0; large where dependence is seen.
        degrees_of_freedom: ``(tests,)``; 0 where the data allow no test, and then p is 1.
        p_value: ``(tests,)`` in [0, 1]: how often independence gives a statistic as large.
        rows_per_cell: ``(tests,)`` rows for each cell of the table; below 5 the law of the
            statistic is a poor guide and a dependence may go unseen. Infinite without tables.
    """

    statistic: Float[Tensor, " tests"]
    degrees_of_freedom: Float[Tensor, " tests"]
    p_value: Float[Tensor, " tests"]
    rows_per_cell: Float[Tensor, " tests"]


def g_squared(joint: Tensor, with_x: Tensor, with_y: Tensor, alone: Tensor) -> Tensor:
    r"""Gives each count's share of the likelihood-ratio statistic, :math:`2 n \log(n / e)`.

    Args:
        joint: How often x, y and the conditioning codes occur together, above 0.
        with_x: How often x and the conditioning codes do.
        with_y: How often y and they do.
        alone: How often they do.

    Returns:
        The shares, of the shape of the counts.
    """
    return 2 * joint * (joint * alone / (with_x * with_y)).log()


def chi_squared(joint: Tensor, with_x: Tensor, with_y: Tensor, alone: Tensor) -> Tensor:
    r"""Gives each count's share of Pearson's statistic, :math:`n^2 / e - n`.

    Over all cells the shares sum to :math:`\sum (n - e)^2 / e`.

    Args:
        joint: How often x, y and the conditioning codes occur together, above 0.
        with_x: How often x and the conditioning codes do.
        with_y: How often y and they do.
        alone: How often they do.

    Returns:
        The shares, of the shape of the counts.
    """
    return joint * (joint * alone / (with_x * with_y) - 1)


def chi_squared_tail(
    statistic: Float[Tensor, "*tests"], degrees_of_freedom: Float[Tensor, "*tests"]
) -> Float[Tensor, "*tests"]:
    """Gives the probability that a chi-squared variable is as large.

    Args:
        statistic: At least 0.
        degrees_of_freedom: At least 0; where it is 0 the answer is 1.

    Returns:
        Probabilities, float64.

    Example:
        >>> one = torch.tensor([3.841459], dtype=torch.float64)
        >>> round(float(chi_squared_tail(one, torch.ones(1, dtype=torch.float64))), 6)
        0.05
    """
    tail = torch.special.gammaincc(degrees_of_freedom.clamp(min=1) / 2, statistic / 2)
    return torch.where(degrees_of_freedom == 0, torch.ones_like(tail), tail)


class TableTests:
    r"""Tests x independent of y given S on one data set, many tests in one pass.

    Degrees of freedom are counted in every stratum of the conditioning codes among the codes that
    occur in it, :math:`\sum_s (|x|_s - 1)(|y|_s - 1)`. Tests on the same slots share one table.

    Args:
        codes: Codes ``(rows, slots)``, at least one row.
        statistic: ``g_squared`` or ``chi_squared``.
        weights: How often each row counts, whole numbers from 0; once each where ``None``.

    Raises:
        DataError: When the codes are floats, or a weight is negative or not finite.

    Example:
        >>> codes = torch.tensor([[0, 0], [1, 1]]).repeat(50, 1)
        >>> tests = TableTests(codes, g_squared)
        >>> none = torch.zeros(1, 0, dtype=torch.long)
        >>> found = tests(torch.tensor([0]), torch.tensor([1]), none)
        >>> float(found.degrees_of_freedom), bool(found.p_value < 1e-30)
        (1.0, True)

    Source: Agresti (2013), Categorical data analysis, chapters 3 and 4.

    Cost: O(rows * slots tested) for each distinct set of slots, in passes of bounded memory; a
    sort of the rows where a table would have more than 8 cells a row.
    """

    def __init__(
        self,
        codes: Int[Tensor, "rows slots"],
        statistic: Statistic,
        *,
        weights: Float[Tensor, " rows"] | None = None,
    ) -> None:
        if codes.is_floating_point():
            msg = f"tests on tables count codes, got {codes.dtype} numbers; take FisherZ"
            raise DataError(msg)
        if weights is not None:
            codes, weights = counted_rows(codes, weights)
        columns, sizes = _occurring(codes)
        order = sizes.argsort(stable=True)
        # columns are kept from few codes to many, so that sets of like sizes share one layout
        self._place = order.argsort()
        self._columns = columns[order]
        self._sizes = sizes[order]
        self._weights = weights
        self._statistic = statistic
        self._rows = len(codes) if weights is None else float(weights.sum())

    def __call__(
        self, x: Int[Tensor, " tests"], y: Int[Tensor, " tests"], given: Int[Tensor, "tests size"]
    ) -> IndependenceResults:
        """Runs tests whose conditioning sets have one size.

        Args:
            x: A column each.
            y: Another column each.
            given: The columns conditioned on, without x and y.

        Returns:
            The results in the order given.

        Raises:
            StateSpaceError: When a table has more cells than an integer can index.
        """
        device = self._columns.device
        members = self._place[torch.cat([x[:, None], y[:, None], given], 1).to(device)]
        ordered, back = members.sort(dim=1)
        places = back.argsort(dim=1)[:, :2].sort(dim=1).values  # where x and y stand in the set
        sets, which = distinct_lines(ordered, len(self._sizes))
        cells = self._sizes[sets].double().prod(1)
        if bool((cells >= LARGEST_KEY).any()):
            msg = (
                f"a table of {members.shape[1]} slots has {float(cells.max()):.1e} cells, too many "
                "to index; lower max_conditioning or merge codes"
            )
            raise StateSpaceError(msg)
        found = torch.zeros(2, len(x), dtype=torch.float64, device=device)
        small = (cells <= max(CELLS_PER_ROW * self._columns.shape[1], 4096))[which]
        tests = torch.nonzero(small)[:, 0]
        if len(tests):
            found[:, tests] = self._on_tables(*_distinct_of(sets, which[tests]), places[tests])
        at_once = max(1, self._at_once // self._columns.shape[1])
        for tests in torch.nonzero(~small)[:, 0].split(at_once):
            found[:, tests] = self._by_sorting(members[tests])
        statistic, freedom = found[0].clamp(min=0), found[1]
        p_value = chi_squared_tail(statistic, freedom)
        return IndependenceResults(statistic, freedom, p_value, self._rows / cells[which])

    def _on_tables(
        self,
        sets: Int[Tensor, "sets columns"],
        which: Int[Tensor, " tests"],
        places: Int[Tensor, "tests two"],
    ) -> Float[Tensor, "two tests"]:
        """Counts each set once, those of one table shape together, and reads all tests from it."""
        shapes, shape = distinct_lines(self._sizes[sets], int(self._sizes.max()) + 1)
        found = torch.empty(2, len(which), dtype=torch.float64, device=sets.device)
        role = places[:, 0] * sets.shape[1] + places[:, 1]
        for k, sizes in enumerate(shapes.tolist()):
            own = torch.nonzero(shape == k)[:, 0]
            for some in own.split(max(1, CELLS // math.prod(sizes))):
                counts = self._count(sets[some], sizes)
                row = torch.full((len(sets),), -1, device=sets.device)
                row[some] = torch.arange(len(some), device=sets.device)
                table = row[which]
                here = torch.nonzero(table >= 0)[:, 0]
                roles, at = torch.unique(role[here], return_inverse=True)
                for r, pair in enumerate(roles.tolist()):
                    tests = here[at == r]
                    tables = _with_roles(counts[table[tests]], *divmod(pair, len(sizes)))
                    found[:, tests] = self._evaluate(tables)
        return found

    @property
    def _at_once(self) -> int:
        return CODES_ON_CPU if self._columns.device.type == "cpu" else CODES_ON_GPU

    def _count(self, sets: Tensor, shape: Sequence[int]) -> Float[Tensor, "sets *shape"]:
        cells, rows = math.prod(shape), self._columns.shape[1]
        # sets come sorted, so that many in turn share all slots but the last
        prefixes, prefix = torch.unique_consecutive(sets[:, :-1], dim=0, return_inverse=True)
        tables = []
        for some, of_set in zip(
            *(part.split(self._at_once // rows + 1) for part in (sets, prefix)), strict=True
        ):
            first = int(of_set[0])
            shared = self._index(prefixes[first : int(of_set[-1]) + 1], shape)
            index = shared.index_select(0, of_set - first)
            index += self._columns.index_select(0, some[:, -1])
            offsets = torch.arange(len(some), device=index.device, dtype=index.dtype) * cells
            index += offsets[:, None]
            weights = None
            if self._weights is not None:
                weights = self._weights.expand(len(some), -1).reshape(-1)
            tables.append(
                torch.bincount(index.view(-1), weights=weights, minlength=len(some) * cells)
            )
        return torch.cat(tables).double().view(len(sets), *shape)

    def _index(self, prefixes: Tensor, shape: Sequence[int]) -> Int[Tensor, "prefixes rows"]:
        index = self._columns.index_select(0, prefixes[:, 0])
        for k in range(1, prefixes.shape[1]):
            index.mul_(shape[k]).add_(self._columns.index_select(0, prefixes[:, k]))
        return index.mul_(shape[-1])

    def _evaluate(self, joint: Float[Tensor, "tests x y strata"]) -> Float[Tensor, "two tests"]:
        with_x, with_y = joint.sum(2), joint.sum(1)
        alone = with_x.sum(1)
        shares = self._statistic(joint, with_x[:, :, None], with_y[:, None], alone[:, None, None])
        found = torch.where(joint > 0, shares, 0).sum((1, 2, 3))
        kinds_x, kinds_y = (with_x > 0).sum(1), (with_y > 0).sum(1)
        freedom = ((kinds_x - 1) * (kinds_y - 1) * (alone > 0)).sum(1)
        return torch.stack([found, freedom.double()])

    def _by_sorting(self, members: Int[Tensor, "tests columns"]) -> Float[Tensor, "two tests"]:
        """Counts only what occurs: every row is given the count of its own cell."""
        x, y = self._columns[members[:, 0]].long(), self._columns[members[:, 1]].long()
        sizes = self._sizes[members].long()
        stratum = torch.zeros_like(x)
        for k in range(2, members.shape[1]):
            stratum = stratum * sizes[:, k, None] + self._columns[members[:, k]]
        weights = torch.ones_like(x, dtype=torch.float64)
        if self._weights is not None:
            weights = self._weights.expand_as(weights)
        alone = _row_counts(stratum, weights)
        stratum = alone.rank
        with_x = _row_counts(stratum * sizes[:, :1] + x, weights)
        with_y = _row_counts(stratum * sizes[:, 1:2] + y, weights)
        joint = _row_counts((stratum * sizes[:, :1] + x) * sizes[:, 1:2] + y, weights)
        shares = self._statistic(joint.rows, with_x.rows, with_y.rows, alone.rows)
        kinds_x, kinds_y, occurs = (
            torch.zeros_like(weights).scatter_add_(1, stratum, cell.first.double())
            for cell in (with_x, with_y, alone)
        )
        freedom = (kinds_x - 1) * (kinds_y - 1) * occurs
        return torch.stack([torch.where(joint.first, shares, 0).sum(1), freedom.sum(1)])


def _distinct_of(
    sets: Int[Tensor, "sets columns"], which: Int[Tensor, " tests"]
) -> tuple[Int[Tensor, "kept columns"], Int[Tensor, " tests"]]:
    kept, again = torch.unique(which, return_inverse=True)
    return sets[kept], again


def _with_roles(
    tables: Float[Tensor, "tests *shape"], x: int, y: int
) -> Float[Tensor, "tests x y strata"]:
    # the axes of x and y first, all others as one
    moved = tables.movedim((x + 1, y + 1), (1, 2))
    return moved.reshape(*moved.shape[:3], -1)


class _RowCounts(NamedTuple):
    rows: Float[Tensor, "tests rows"]  # how many lie in the cell of a row
    rank: Int[Tensor, "tests rows"]  # of that cell among those that occur
    first: Tensor  # true at one row of each cell


def _row_counts(
    index: Int[Tensor, "tests rows"], weights: Float[Tensor, "tests rows"]
) -> _RowCounts:
    ordered, place = index.sort(dim=1)
    starts = torch.ones_like(ordered, dtype=torch.bool)
    starts[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    rank = torch.empty_like(index).scatter_(1, place, starts.cumsum(1) - 1)
    totals = torch.zeros_like(weights).scatter_add_(1, rank, weights)
    first = torch.empty_like(starts).scatter_(1, place, starts)
    return _RowCounts(totals.gather(1, rank), rank, first)


def _occurring(
    codes: Int[Tensor, "rows slots"],
) -> tuple[Int[Tensor, "slots rows"], Int[Tensor, " slots"]]:
    """Numbers the codes of each slot anew, among those that occur, and counts them."""
    widest = int(codes.max()) + 1 if codes.numel() else 1
    seen = torch.zeros(codes.shape[1], widest, dtype=torch.bool, device=codes.device)
    columns = codes.T.contiguous()
    seen.scatter_(1, columns, True)  # noqa: FBT003  # the value written
    number = (seen.cumsum(1) - 1).gather(1, columns)
    return number.to(torch.int32), seen.sum(1)


def distinct_lines(
    lines: Int[Tensor, "lines columns"], base: int
) -> tuple[Int[Tensor, "distinct columns"], Int[Tensor, " lines"]]:
    """Gives the distinct lines of some numbers.

    Args:
        lines: Numbers from 0; a line may be empty.
        base: What all of them are below.

    Returns:
        The distinct lines in order, and which of them each line is.
    """
    if base ** lines.shape[1] >= LARGEST_KEY:
        return torch.unique(lines, dim=0, return_inverse=True)
    powers = base ** torch.arange(lines.shape[1] - 1, -1, -1, device=lines.device)
    keys, which = torch.unique((lines * powers).sum(1), return_inverse=True)
    return keys[:, None] // powers % base, which
