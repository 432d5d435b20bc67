"""The order-independent search for a skeleton by tests, one level at a time."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
import torch
from jaxtyping import Bool, Int

from ctvae.graph.independence import BoundTest
from ctvae.graph.table_tests import IndependenceResults

__all__ = ["PairRecord", "Skeleton", "find_skeleton", "run_tests"]

TESTS_AT_ONCE = 2**20
ROWS_PER_CELL = 5
"""Below this expected count the chi-squared law of the statistics fails (Cochran, 1954)."""

Pair = tuple[int, int]


@dataclass
class PairRecord:
    """What the tests of one pair said.

    Attributes:
        p_value: The largest p-value.
        given: The columns conditioned on in that test.
        rows_per_cell: Rows for each cell of its table.
        thin: Whether all tests that parted the pair had fewer than 5 rows per cell; ``None``
            where none parted it.
    """

    p_value: float
    given: tuple[int, ...]
    rows_per_cell: float
    thin: bool | None = None


@dataclass(frozen=True)
class Skeleton:
    """Which slots stay adjacent, and what parted the others.

    Attributes:
        adjacent: ``(slots, slots)`` booleans, symmetric.
        separating: For each pair parted by a test, lower column first, every slot that is in one
            of the conditioning sets that parted it at the level where it was parted.
        records: What the tests of each pair said, lower column first.
        num_tests: How many distinct tests were run.
    """

    adjacent: Bool[np.ndarray, "slots slots"]
    separating: dict[Pair, frozenset[int]] = field(default_factory=dict)
    records: dict[Pair, PairRecord] = field(default_factory=dict)
    num_tests: int = 0

    @property
    def thin_pairs(self) -> list[Pair]:
        """The pairs that were parted by tests on thin tables alone."""
        return [pair for pair, record in self.records.items() if record.thin]


def find_skeleton(
    test: BoundTest,
    slots: int,
    *,
    alpha: float,
    max_conditioning: int | None = None,
    apart: Collection[Pair] = (),
    kept: Collection[Pair] = (),
) -> Skeleton:
    """Removes the edge between two slots wherever some test of a level finds independence.

    At level d every adjacent pair is tested given each d slots adjacent to one of the two; pairs
    are removed when the level is done, so the order of the slots does not matter.

    Args:
        test: The test with its data.
        slots: The number of slots.
        alpha: The level of the tests, in (0, 1).
        max_conditioning: The largest conditioning set; ``None`` for no limit.
        apart: Pairs that are never adjacent.
        kept: Pairs that stay adjacent whatever the tests say.

    Returns:
        The skeleton.

    Source: Colombo and Maathuis (2014), Order-independent constraint-based causal structure
    learning, algorithm 4.1.

    Cost: all tests of a level in few batches; O(slots^(2 + level)) tests in dense graphs.
    """
    adjacent = ~np.eye(slots, dtype=bool)
    for a, b in apart:
        adjacent[a, b] = adjacent[b, a] = False
    separating: dict[Pair, frozenset[int]] = {}
    records: dict[Pair, PairRecord] = {}
    stays = {(min(pair), max(pair)) for pair in kept}
    level = num_tests = 0
    deepest = slots if max_conditioning is None else max_conditioning
    while level <= deepest and adjacent.sum(0).max(initial=0) > level:
        parted: dict[Pair, set[int]] = {}
        for queries in _queries(adjacent, level):
            results = run_tests(test, queries)
            num_tests += len(queries)
            _record(queries, results, alpha, records)
            p_value = results.p_value.cpu().numpy()
            for x, y, *given in queries[p_value > alpha].tolist():
                parted.setdefault((x, y), set()).update(given)
        for pair, members in parted.items():
            if pair not in stays:
                adjacent[pair] = adjacent[pair[::-1]] = False
                separating[pair] = frozenset(members)
        level += 1
    return Skeleton(adjacent, separating, records, num_tests)


def run_tests(test: BoundTest, queries: Int[np.ndarray, "tests columns"]) -> IndependenceResults:
    """Runs tests given as lines ``x, y, conditioning columns``.

    Args:
        test: The test with its data.
        queries: ``(tests, 2 + size)``.

    Returns:
        The results.
    """
    lines = torch.from_numpy(queries)
    return test(lines[:, 0], lines[:, 1], lines[:, 2:])


def _queries(
    adjacent: Bool[np.ndarray, "slots slots"], level: int
) -> Iterator[Int[np.ndarray, "tests columns"]]:
    """Lists the distinct tests of a level, x below y, all tests of a pair in one part."""
    around = [[int(k) for k in np.flatnonzero(row)] for row in adjacent]
    lines: list[tuple[int, ...]] = []
    for x, there in enumerate(around):
        for y in (k for k in there if k > x):
            sets = set(combinations([k for k in there if k != y], level))
            sets.update(combinations([k for k in around[y] if k != x], level))
            lines += [(x, y, *given) for given in sorted(sets)]
        if len(lines) > TESTS_AT_ONCE:
            yield np.array(lines, dtype=np.int64)
            lines = []
    if lines:
        yield np.array(lines, dtype=np.int64)


def _record(
    queries: Int[np.ndarray, "tests columns"],
    results: IndependenceResults,
    alpha: float,
    records: dict[Pair, PairRecord],
) -> None:
    p_values = results.p_value.cpu().numpy()
    rows_per_cell = results.rows_per_cell.cpu().numpy()
    thin = rows_per_cell < ROWS_PER_CELL
    starts = np.flatnonzero(
        np.diff(queries[:, 0] * (queries.max() + 1) + queries[:, 1], prepend=-1)
    )
    ends = np.append(starts[1:], len(queries))
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        own = p_values[start:end]
        best = start + int(own.argmax())
        pair = (int(queries[start, 0]), int(queries[start, 1]))
        accepted = own > alpha
        record = PairRecord(
            float(p_values[best]),
            tuple(queries[best, 2:].tolist()),
            float(rows_per_cell[best]),
            bool(thin[start:end][accepted].all()) if accepted.any() else None,
        )
        if pair not in records or record.p_value > records[pair].p_value or accepted.any():
            records[pair] = record
