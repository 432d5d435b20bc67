"""BDeu local scores of many parent sets at once, from cached count tables."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ctvae.counting import joint_index
from ctvae.errors import ShapeError, StateSpaceError

__all__ = ["BDeuScores", "bdeu_from_counts"]

CELLS = 2**22
"""How many table cells or row indices are held at once; the answer does not depend on it."""
LARGEST_INDEX = 2**62


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
    rows = _gain(counts.sum(-1), prior).sum(-1)
    return _gain(counts, prior / counts.shape[-1]).sum((-1, -2)) - rows


def _gain(counts: Tensor, prior: float) -> Tensor:
    # log Gamma(prior + n) - log Gamma(prior), exactly zero where nothing was counted
    gain = torch.lgamma(counts + prior) - math.lgamma(prior)
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

    Raises:
        ShapeError: When codes, cardinalities and targets do not match.

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
    ) -> None:
        if codes.ndim != 2 or codes.shape[1] != len(cardinalities):
            msg = f"codes must be (rows, {len(cardinalities)}), got {tuple(codes.shape)}"
            raise ShapeError(msg)
        if targets is not None and targets.shape != codes.shape:
            msg = f"targets must be {tuple(codes.shape)} as the codes, got {tuple(targets.shape)}"
            raise ShapeError(msg)
        if not equivalent_sample_size > 0:
            msg = f"equivalent_sample_size must be above 0 rows, got {equivalent_sample_size}"
            raise ShapeError(msg)
        self._codes = codes.long()
        self._sizes = tuple(int(size) for size in cardinalities)
        self._prior = float(equivalent_sample_size)
        self._targets = targets
        self._rows: dict[int, tuple[Tensor, Tensor]] = {}
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
                cells = math.prod(self._sizes[p] for p in key)
                if cells * self._sizes[child] >= LARGEST_INDEX:
                    msg = (
                        f"{len(key)} parents of column {child} have {cells:.1e} configurations, "
                        "too many to index; lower max_parents or merge codes"
                    )
                    raise StateSpaceError(msg)
                groups.setdefault((len(key), cells), []).append(key)
        for (_, cells), sets in groups.items():
            rows = max(1, self._child_rows(child)[1].numel())
            table = min(cells * self._sizes[child], rows * self._sizes[child])
            at_once = max(1, CELLS // max(rows, table))
            for start in range(0, len(sets), at_once):
                part = sets[start : start + at_once]
                scores = self._score(child, part, cells)
                self._known.update({(child, key): scores[k] for k, key in enumerate(part)})
        if not keys:
            return torch.zeros(0, dtype=torch.float64, device=self._codes.device)
        return torch.stack([self._known[child, key] for key in keys])

    def total(self, parents: Sequence[Iterable[int]]) -> Float[Tensor, ""]:
        """Scores a whole DAG.

        Args:
            parents: The parents' columns of each slot.

        Returns:
            The sum of the local scores in nats, ``()`` float64.
        """
        return torch.stack([self.local(k, p) for k, p in enumerate(parents)]).sum()

    def _child_rows(self, child: int) -> tuple[Tensor, Tensor]:
        # the distinct rows that speak of a child, as columns (slots, rows), and their numbers
        if child not in self._rows:
            rows = self._codes if self._targets is None else self._codes[~self._targets[:, child]]
            if math.prod(self._sizes) < LARGEST_INDEX:
                index, counts = torch.unique(joint_index(rows, self._sizes), return_counts=True)
                columns = []
                for size in self._sizes[::-1]:
                    columns.append(index % size)
                    index = index // size
                rows, weights = torch.stack(columns[::-1]), counts.double()
            else:
                rows, weights = rows.T.contiguous(), rows.new_ones(len(rows)).double()
            self._rows[child] = rows, weights
        return self._rows[child]

    def _score(
        self, child: int, sets: Sequence[tuple[int, ...]], configurations: int
    ) -> Float[Tensor, " sets"]:
        columns, weights = self._child_rows(child)
        codes, rows = self._sizes[child], weights.numel()
        if rows == 0:
            return torch.zeros(len(sets), dtype=torch.float64, device=columns.device)
        parents = torch.tensor(sets, dtype=torch.long, device=columns.device)
        sizes = torch.tensor(self._sizes, device=columns.device)
        index = torch.zeros(len(sets), rows, dtype=torch.long, device=columns.device)
        for place in range(parents.shape[1]):
            index = index * sizes[parents[:, place], None] + columns[parents[:, place]]
        if configurations * codes > 2 * rows:  # sparse: renumber the configurations that occur
            index, present = _renumber(index)
        else:
            present = configurations
        index = index * codes + columns[child]
        index += torch.arange(len(sets), device=index.device)[:, None] * (present * codes)
        counts = torch.bincount(
            index.reshape(-1),
            weights=weights.expand(len(sets), -1).reshape(-1),
            minlength=len(sets) * present * codes,
        ).reshape(len(sets), present, codes)
        return _bdeu(counts, self._prior / configurations)


def _renumber(index: Int[Tensor, "sets rows"]) -> tuple[Int[Tensor, "sets rows"], int]:
    # the rank of each value among the distinct values of its own line
    ordered, place = index.sort(dim=1)
    step = torch.zeros_like(ordered)
    step[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    rank = torch.empty_like(index).scatter_(1, place, step.cumsum(1))
    return rank, int(rank.max()) + 1
