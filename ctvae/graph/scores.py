"""BDeu local scores of many parent sets at once, from cached count tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import SupportsFloat

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from ctvae.counting import check_weights
from ctvae.errors import DataError, ShapeError
from ctvae.graph.set_counts import (
    CELLS,
    count_sets,
    distinct_rows,
    num_configurations,
    sets_at_once,
)

__all__ = ["BDeuScores", "bdeu_from_counts", "check_score_settings", "row_gains"]

EXACT_FLOAT32 = 2**24
"""Below this, counts are exact in single precision."""
LARGEST_CACHE = 2**27
"""Codes of all copies of the rows that are kept, one for each slot that was set: 1 GiB."""


def check_score_settings(equivalent_sample_size: float, edge_penalty: float) -> None:
    """Checks what methods that maximise the score are set to.

    Args:
        equivalent_sample_size: The weight of the prior on each table, in rows.
        edge_penalty: Nats taken off for every edge.

    Raises:
        DataError: When the first is not above 0, or the second below 0.
    """
    if not isinstance(equivalent_sample_size, SupportsFloat) or not equivalent_sample_size > 0:
        msg = f"equivalent_sample_size must be above 0 rows, got {equivalent_sample_size!r}"
        raise DataError(msg)
    if not isinstance(edge_penalty, SupportsFloat) or not edge_penalty >= 0:
        msg = f"edge_penalty must be at least 0 nats, got {edge_penalty!r}"
        raise DataError(msg)


def bdeu_from_counts(
    counts: Float[Tensor, "*batch configurations codes"], *, equivalent_sample_size: float
) -> Float[Tensor, "*batch"]:
    r"""Gives the log marginal likelihood of a child's counts under the BDeu prior.

    .. math::
        \sum_j \Big[ \log\frac{\Gamma(\alpha / q)}{\Gamma(\alpha / q + N_j)}
        + \sum_k \log\frac{\Gamma(\alpha / (q r) + N_{jk})}{\Gamma(\alpha / (q r))} \Big]

    with q configurations of the parents and r codes of the child. Equivalent DAGs score the same.
    The score is sensitive to the equivalent sample size: larger values favour more edges.

    Args:
        counts: How often each code (last axis) occurred in each configuration of the parents.
        equivalent_sample_size: The prior's weight alpha > 0, in rows.

    Returns:
        ``(*batch,)`` scores in nats, float64.

    Example:
        >>> counts = torch.tensor([[3.0, 1.0]])
        >>> round(
        ...     float(bdeu_from_counts(counts, equivalent_sample_size=2.0).exp()), 4
        ... )  # 3! 1! / 5!
        0.05

    Source: Heckerman, Geiger and Chickering (1995), Learning Bayesian networks, equations 28, 42.

    Cost: O(cells).
    """
    return _bdeu(counts.double(), equivalent_sample_size / counts.shape[-2])


def _bdeu(counts: Tensor, prior: float) -> Tensor:
    # configurations that never occur add nothing, so they may be left out of the table
    return row_gains(counts, prior).sum(-1)


def row_gains(counts: Float[Tensor, "*batch codes"], prior: float) -> Float[Tensor, "*batch"]:
    r"""Gives the log marginal likelihood of the codes counted in each configuration.

    .. math:: \log\frac{\Gamma(\beta)}{\Gamma(\beta + N)}
        + \sum_k \log\frac{\Gamma(\beta / r + N_k)}{\Gamma(\beta / r)}

    Args:
        counts: How often each code occurred.
        prior: The weight beta of a configuration's prior, in rows.

    Returns:
        Nats; zero where nothing was counted.
    """
    weight = torch.tensor(prior, dtype=counts.dtype, device=counts.device)
    cells = _gain(counts, weight / counts.shape[-1]).sum(-1)
    return cells - _gain(counts.sum(-1), weight)


def _gain(counts: Tensor, prior: Tensor) -> Tensor:
    # log Gamma(prior + n) - log Gamma(prior), exactly zero where nothing was counted
    gain = torch.lgamma(counts + prior) - torch.lgamma(prior)
    return torch.where(counts == 0, torch.zeros_like(gain), gain)


class BDeuScores:
    """Cached BDeu scores of any child and parent set on one data set.

    With ``targets`` the score is the interventional one: a row in which the child was set by
    ``do`` says nothing of its mechanism and is left out of the child's counts, while it counts
    for all other slots. Counts and scores live on the device of the codes.

    Args:
        codes: Codes ``(rows, slots)``.
        cardinalities: The number of codes of each slot; codes that never occur count too.
        equivalent_sample_size: The prior's weight in rows, above 0.
        targets: ``(rows, slots)`` booleans, true where a slot was set; ``None`` for no intervention.
        weights: ``(rows,)`` how often each row counts; once each where ``None``.

    Raises:
        ShapeError: When codes, cardinalities, targets and weights do not match.
        DataError: When a weight is negative or not finite.

    Example:
        >>> codes = torch.tensor([[0, 0], [1, 1], [0, 0], [1, 1]])
        >>> scores = BDeuScores(codes, [2, 2], equivalent_sample_size=1.0)
        >>> bool(scores.local(1, [0]) > scores.local(1, []))
        True

    Source: Heckerman, Geiger and Chickering (1995); Cooper and Yoo (1999), Causal discovery from a
    mixture of experimental and observational data.

    Cost: O(distinct rows * parents) a set, in one pass for all sets of one size and table shape;
    memory is bounded by the rows, not by the table, when tables are sparse.
    """  # noqa: E501

    def __init__(
        self,
        codes: Int[Tensor, "rows slots"],
        cardinalities: Sequence[int],
        *,
        equivalent_sample_size: float,
        targets: Bool[Tensor, "rows slots"] | None = None,
        weights: Shaped[Tensor, " rows"] | None = None,
    ) -> None:
        if codes.ndim != 2 or codes.shape[1] != len(cardinalities):
            msg = f"codes must be (rows, {len(cardinalities)}), got {tuple(codes.shape)}"
            raise ShapeError(msg)
        if targets is not None and targets.shape != codes.shape:
            msg = f"targets must be {tuple(codes.shape)} as the codes, got {tuple(targets.shape)}"
            raise ShapeError(msg)
        if not isinstance(equivalent_sample_size, SupportsFloat) or not equivalent_sample_size > 0:
            msg = f"equivalent_sample_size must be above 0 rows, got {equivalent_sample_size!r}"
            raise ShapeError(msg)
        self._weights = check_weights(codes, weights)
        self._codes = codes.long()
        self._sizes = tuple(int(size) for size in cardinalities)
        self._prior = float(equivalent_sample_size)
        self._targets = targets
        self._rows: dict[int | None, tuple[Tensor, Tensor]] = {}
        self._known: dict[tuple[int, tuple[int, ...]], Tensor] = {}

    def local(self, child: int, parents: Iterable[int]) -> Float[Tensor, ""]:
        """Scores one parent set of a child.

        Args:
            child: The child's column.
            parents: The parents' columns, in any order.

        Returns:
            The score in nats, ``()`` float64.
        """
        return self.batch(child, [tuple(parents)])[0]

    def batch(self, child: int, parent_sets: Sequence[Sequence[int]]) -> Float[Tensor, " sets"]:
        """Scores many parent sets of a child, each counted at most once in the object's life.

        Args:
            child: The child's column.
            parent_sets: Columns of each set, in any order, without the child.

        Returns:
            ``(sets,)`` scores in nats, float64, in the order given.

        Raises:
            StateSpaceError: When a table has more cells than an integer can index.
        """
        keys = [tuple(sorted(parents)) for parents in parent_sets]
        groups: dict[tuple[int, int], list[tuple[int, ...]]] = {}
        for key in dict.fromkeys(keys):
            if (child, key) not in self._known:
                cells = num_configurations(key, child, self._sizes)
                groups.setdefault((len(key), cells), []).append(key)
        for (_, cells), sets in groups.items():
            scores = self._score(self._child_rows(child), self._widths, child, sets, cells)
            self._known.update({(child, key): scores[k] for k, key in enumerate(sets)})
        if not keys:
            return torch.zeros(0, dtype=torch.float64, device=self._codes.device)
        return torch.stack([self._known[child, key] for key in keys])

    def subsets(
        self, child: int, candidates: Sequence[int], *, max_parents: int
    ) -> Float[Tensor, " subsets"]:
        """Scores every subset of some candidates as the parents of a child.

        Args:
            child: The child's column.
            candidates: Columns, without the child.
            max_parents: The largest set scored.

        Returns:
            ``(2^candidates,)`` nats: entry S is the set of those candidates whose places are ones
            among S's bits; minus infinity where the set is larger than ``max_parents``.

        Raises:
            StateSpaceError: When a table has more cells than an integer can index.

        Example:
            >>> codes = torch.tensor([[0, 0], [1, 1], [0, 0], [1, 1]])
            >>> scores = BDeuScores(codes, [2, 2], equivalent_sample_size=1.0)
            >>> bool((scores.subsets(1, [0], max_parents=1) == scores.batch(1, [(), (0,)])).all())
            True

        Cost: one sort of the rows, then one pass for each set over the rows that differ in child
        or candidates, which are few where codes are few.
        """
        columns, weights = self._child_rows(child)
        beyond = range(len(self._sizes), len(columns))  # what is no slot, such as a regime
        picked = [*candidates, child, *beyond]
        sizes = tuple(self._widths[column] for column in picked)
        rows = distinct_rows(columns[picked], weights, sizes)
        last = len(candidates)
        table = weights.new_full((2**last,), -torch.inf)
        groups: dict[tuple[int, int], list[tuple[int, ...]]] = {}
        for size in range(min(max_parents, last) + 1):
            for key in combinations(range(last), size):
                groups.setdefault((size, num_configurations(key, last, sizes)), []).append(key)
        for (_, cells), sets in groups.items():
            places = [sum(1 << k for k in key) for key in sets]
            table[places] = self._score(rows, sizes, last, sets, cells)
        return table

    def single_gains(self) -> Float[Tensor, "parents children"]:
        """Compares every ordered pair of slots with no edge between them.

        Returns:
            ``(slots, slots)`` nats: ``[i, j]`` the log Bayes factor of i as the only parent of j
            against no parent; zeros on the diagonal.

        Example:
            >>> codes = torch.tensor([[0, 0], [1, 1], [0, 0], [1, 1]])
            >>> gains = BDeuScores(codes, [2, 2], equivalent_sample_size=1.0).single_gains()
            >>> [round(float(gain), 2) for gain in (gains[0, 1], gains[0, 0])]
            [2.0, 0.0]

        Cost: one product of the rows written as indicators, ``rows * (sum of codes)^2``
        multiply-adds.
        """
        sizes = torch.tensor(self._sizes, device=self._codes.device)
        slots, widest = len(self._sizes), max(self._sizes)
        rows = (self._prior / sizes.double())[:, None, None]  # for (parents, codes, children)
        everyone, gains = self._indicators(), []
        for some in torch.arange(slots, device=sizes.device).split(
            max(1, CELLS // (slots * widest**2))
        ):
            counts = self._pair_counts(everyone, some)
            cells = (rows / sizes[some])[..., None]
            gain = _gain(counts, cells).sum((1, 3)) - _gain(counts.sum(3), rows).sum(1)
            own = counts[some, :, torch.arange(len(some), device=sizes.device)].sum(1)
            alone = _gain(own, self._prior / sizes[some, None].double()).sum(1)
            total = torch.tensor(self._prior, dtype=torch.float64, device=sizes.device)
            gains.append(gain - (alone - _gain(own.sum(1), total)))
        return torch.cat(gains, 1).fill_diagonal_(0)

    def total(self, parents: Sequence[Iterable[int]]) -> Float[Tensor, ""]:
        """Scores a whole DAG.

        Args:
            parents: The parents' columns of each slot.

        Returns:
            The sum of the local scores in nats, ``()`` float64.
        """
        return torch.stack([self.local(k, p) for k, p in enumerate(parents)]).sum()

    def _child_rows(self, child: int) -> tuple[Tensor, Tensor]:
        # the rows that speak of a child, as columns (slots, rows), and how often each one counts
        natural = None if self._targets is None else ~self._targets[:, child]
        whole = natural is None or bool(natural.all())
        key = None if whole else child  # slots that were never set share all rows
        if key not in self._rows:
            rows = self._codes if whole else self._codes[natural]
            if len(self._rows) * self._codes.numel() > LARGEST_CACHE:
                self._rows.clear()
            weights = self._weights if whole else self._weights[natural]
            self._rows[key] = distinct_rows(rows.T.contiguous(), weights, self._widths)
        return self._rows[key]

    @property
    def _widths(self) -> tuple[int, ...]:
        """The number of values of each column of the rows, slots first."""
        return self._sizes

    def _indicators(self) -> Float[Tensor, "rows slots codes"]:
        # one for the code that a row has, padded to the largest number of codes
        widest, rows = max(self._sizes), len(self._codes)
        exact = float(self._weights.sum()) < EXACT_FLOAT32
        dtype = torch.float32 if exact else torch.float64
        ones = torch.ones((), dtype=dtype, device=self._codes.device).expand(
            rows, self._codes.shape[1], 1
        )
        empty = ones.new_zeros(rows, len(self._sizes), widest)
        return empty.scatter_(2, self._codes[:, :, None], ones)

    def _pair_counts(
        self, everyone: Float[Tensor, "rows slots codes"], children: Int[Tensor, " children"]
    ) -> Float[Tensor, "parents codes children child_codes"]:
        own = everyone[:, children] * self._weights[:, None, None].to(everyone)
        if self._targets is not None:
            own = own * ~self._targets[:, children, None]
        counts = everyone.flatten(1).T @ own.flatten(1)
        return counts.double().reshape(*everyone.shape[1:], *own.shape[1:])

    def _score(
        self,
        rows: tuple[Tensor, Tensor],
        sizes: Sequence[int],
        child: int,
        sets: Sequence[tuple[int, ...]],
        configurations: int,
    ) -> Float[Tensor, " sets"]:
        """Scores sets that have one number of configurations, a few at a time."""
        if not len(rows[1]):
            return rows[1].new_zeros(len(sets))
        at_once = sets_at_once(len(rows[1]), configurations, sizes[child] * self._groups)
        parts = [
            self._score_part(rows, sizes, child, sets[k : k + at_once], configurations)
            for k in range(0, len(sets), at_once)
        ]
        return torch.cat(parts)

    @property
    def _groups(self) -> int:
        """How many tables one set is counted in."""
        return 1

    def _score_part(
        self,
        rows: tuple[Tensor, Tensor],
        sizes: Sequence[int],
        child: int,
        sets: Sequence[tuple[int, ...]],
        configurations: int,
    ) -> Float[Tensor, " sets"]:
        counts = count_sets(*rows, sizes, child, sets, configurations)
        return _bdeu(counts[:, :, 0], self._prior / configurations)
