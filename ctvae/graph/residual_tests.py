"""A test of conditional independence for slots with hundreds of codes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ctvae.counting import counted_rows
from ctvae.errors import DataError
from ctvae.graph.independence import BoundTest
from ctvae.graph.table_tests import IndependenceResults, chi_squared_tail, distinct_lines
from ctvae.randomness import Seed, check_count, make_generator

__all__ = ["ResidualTest", "ResidualTests"]

ROWS_PER_STRATUM = 10
"""Rows for each configuration of the conditioning slots from which means within strata are used."""
RIDGE = 1e-2
"""Rows: keeps the regression solvable where codes are rare."""
TOLERANCE = 1e-9
"""Below this share of the largest, a direction of the covariance counts as none."""
ENTRIES = 2**24
"""How many products of residuals are held at once; the answer does not depend on it."""


@dataclass(frozen=True)
class ResidualTest:
    r"""Tests independence of slots with many codes by products of residuals.

    X and Y are coarsened to a few features of their codes; the conditioning slots are not, since
    a coarser Z leaves dependence that is not there. With features :math:`f` of x and :math:`g` of
    y, and their residuals after regression on Z,

    .. math::
        r_i = f(x_i) - \hat E[f(X) \mid z_i], \quad s_i = g(y_i) - \hat E[g(Y) \mid z_i], \quad
        T = n\, \bar v^\top \hat\Sigma_v^{-1} \bar v, \quad v_i = r_i \otimes s_i

    is nearly chi-squared under independence. The features are the leading singular vectors of the
    tables of a slot with all others, found on one half of the rows and tested on the other, both
    ways; the expectations are means within the configurations of Z where those hold 10 rows, and
    otherwise a regression on all codes of each conditioning slot and on products of features.

    No test of conditional independence is valid against all laws that have power against any
    (Shah and Peters 2020). This one errs where the regression misses what Z says of x *and* of y
    in the same rows, and does not see dependence that no feature shows. Where tables are filled
    (5 rows per cell) ``GSquared`` sees more.

    Args:
        components: Features of each slot, at least 1; at most its codes less one are used.

    Raises:
        DataError: When there is not at least one.

    Example:
        >>> cause = torch.arange(4000) * 7919 % 101
        >>> codes = torch.stack([cause, (cause + torch.arange(4000) // 101 % 3) % 101], 1)
        >>> test = ResidualTest().bind(codes, seed=0)
        >>> none = torch.zeros(1, 0, dtype=torch.long)
        >>> bool(test(torch.tensor([0]), torch.tensor([1]), none).p_value < 1e-6)
        True

    Source: Shah and Peters (2020), The hardness of conditional independence testing and the
    generalised covariance measure; the features are those of correspondence analysis
    (Greenacre 1984).

    Cost: pair tables once, slots^2 * (rows + codes^3); for each distinct conditioning set beyond
    one slot a regression, rows * components^4 + (codes in it)^3.
    """

    components: int = 4

    def __post_init__(self) -> None:
        if check_count(self.components, "components") < 1:
            msg = f"components must be at least 1 feature, got {self.components}"
            raise DataError(msg)

    def bind(
        self,
        codes: Int[Tensor, "rows slots"],
        *,
        weights: Float[Tensor, " rows"] | None = None,
        seed: Seed = 0,
    ) -> BoundTest:
        """Takes the data that are to be tested.

        Args:
            codes: Codes ``(rows, slots)``.
            weights: How often each row counts, whole numbers; once each where ``None``.
            seed: Splits the rows into halves.

        Returns:
            The test on these data, on their device.

        Raises:
            DataError: When there are fewer than 4 rows.
        """
        if codes.is_floating_point():
            msg = f"ResidualTest is for codes, got {codes.dtype} numbers; take FisherZ"
            raise DataError(msg)
        if weights is not None:
            codes, weights = counted_rows(codes, weights)
            codes = codes.repeat_interleave(weights.long(), 0)
        if len(codes) < 4:
            msg = f"a residual test needs at least 4 rows, two for each half, got {len(codes)}"
            raise DataError(msg)
        return ResidualTests(codes, components=self.components, seed=seed)


class ResidualTests:
    """``ResidualTest`` with its data.

    Args:
        codes: Codes ``(rows, slots)``, at least 4 rows.
        components: Features of each slot.
        seed: Splits the rows into halves.
    """

    def __init__(self, codes: Int[Tensor, "rows slots"], *, components: int, seed: Seed) -> None:
        self._slots = codes.shape[1]
        numbers = [column.unique(return_inverse=True) for column in codes.T]
        self._sizes = [len(seen) for seen, _ in numbers]
        places = torch.stack([place for _, place in numbers], 1)
        order = torch.randperm(len(codes), generator=make_generator(seed)).to(codes.device)
        self._halves = [places[order[::2]], places[order[1::2]]]
        tables = [_features(half, self._sizes, components) for half in self._halves]
        # the features of each half's rows are those that the other half has found
        slots = torch.arange(self._slots, device=codes.device)
        self._features = [
            tables[1 - k][slots, half] for k, half in enumerate(self._halves)
        ]  # (rows, slots, components)

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
        """
        sets, which = distinct_lines(given.sort(dim=1).values, self._slots)
        device = self._halves[0].device
        found = torch.zeros(2, len(x), dtype=torch.float64, device=device)
        for k, columns in enumerate(sets.tolist()):
            tests = torch.nonzero(which == k)[:, 0]
            pairs = torch.stack([x[tests], y[tests]], 1)
            for half, features in zip(self._halves, self._features, strict=True):
                residuals = self._residuals(half, features, columns)
                found[:, tests.to(device)] += _statistics(residuals, pairs.to(device))
        p_value = chi_squared_tail(found[0], found[1])
        return IndependenceResults(found[0], found[1], p_value, torch.full_like(p_value, torch.inf))

    def _residuals(
        self,
        half: Int[Tensor, "rows slots"],
        features: Float[Tensor, "rows slots components"],
        given: Sequence[int],
    ) -> Float[Tensor, "rows slots components"]:
        stratum = torch.zeros_like(half[:, 0])
        for column in given:  # numbered anew each time, so that the product of codes may be huge
            stratum = (stratum * self._sizes[column] + half[:, column]).unique(return_inverse=True)[
                1
            ]
        strata = int(stratum.max()) + 1
        if strata * ROWS_PER_STRATUM <= len(half) or len(given) < 2:
            means = features.new_zeros(strata, *features.shape[1:]).index_add_(0, stratum, features)
            return features - (means / stratum.bincount()[:, None, None])[stratum]
        return self._after_regression(half, features, given)

    def _after_regression(
        self,
        half: Int[Tensor, "rows slots"],
        features: Float[Tensor, "rows slots components"],
        given: Sequence[int],
    ) -> Float[Tensor, "rows slots components"]:
        # What codes of each conditioning slot, and products of features, predict is taken off.
        # Indicators of codes are never written out: their products are sums over rows by code.
        target = features.flatten(1)
        products = torch.cat(
            [
                (features[:, a, :, None] * features[:, b, None]).flatten(1)
                for a, b in combinations(given, 2)
            ],
            1,
        )
        dense = torch.cat([products, target], 1)
        sums = []
        for z in given:
            totals = dense.new_zeros(self._sizes[z], dense.shape[1])
            sums.append(totals.index_add_(0, half[:, z], dense))
        cross = torch.cat([*sums, products.T @ dense])  # what the regressors say of dense columns
        width = products.shape[1]
        square = torch.cat([
            torch.cat([self._tables(half, z, given) for z in given]),
            cross[:-width, :width].T,
        ])
        square = torch.cat([square, cross[:, :width]], 1)
        square.diagonal().add_(RIDGE)
        weights = torch.cholesky_solve(cross[:, width:], torch.linalg.cholesky(square))
        predicted = products @ weights[-width:]
        for z, own in zip(
            given, weights[:-width].split([self._sizes[z] for z in given]), strict=True
        ):
            predicted += own[half[:, z]]
        return (target - predicted).view_as(features)

    def _tables(
        self, half: Int[Tensor, "rows slots"], z: int, given: Sequence[int]
    ) -> Float[Tensor, "codes all_codes"]:
        tables = []
        for other in given:
            size = self._sizes[z] * self._sizes[other]
            counts = (half[:, z] * self._sizes[other] + half[:, other]).bincount(minlength=size)
            tables.append(counts.double().view(self._sizes[z], -1))
        return torch.cat(tables, 1)


def _statistics(
    residuals: Float[Tensor, "rows slots components"], pairs: Int[Tensor, "tests two"]
) -> Float[Tensor, "two tests"]:
    """Gives the statistic of each pair and its degrees of freedom."""
    rows, width = len(residuals), residuals.shape[2] ** 2
    found = []
    for some in pairs.split(max(1, ENTRIES // (rows * width))):
        left, right = residuals[:, some[:, 0]], residuals[:, some[:, 1]]
        products = (left[..., :, None] * right[..., None, :]).flatten(2).movedim(1, 0)
        mean = products.mean(1)
        spread = products.transpose(1, 2) @ products / rows - mean[:, :, None] * mean[:, None]
        values, vectors = torch.linalg.eigh(spread)
        kept = values > TOLERANCE * values[:, -1:].clamp(min=TOLERANCE)
        along = (mean[:, None] @ vectors)[:, 0] ** 2
        share = torch.where(kept, along / values.clamp(min=TOLERANCE**2), 0)
        found.append(torch.stack([rows * share.sum(1), kept.sum(1).double()]))
    return torch.cat(found, 1)


def _features(
    codes: Int[Tensor, "rows slots"], sizes: Sequence[int], components: int
) -> Float[Tensor, "slots codes components"]:
    """Finds the leading features of every slot's codes; zero beyond its codes less one."""
    rows, slots = codes.shape
    widest = max(sizes)
    found = codes.new_zeros(slots, widest, components, dtype=torch.float64)
    columns = codes.T
    offsets = torch.arange(slots, device=codes.device)[:, None] * widest**2
    alone = torch.stack([column.bincount(minlength=widest) for column in columns]).double()
    scale = (alone + 1).sqrt()  # one row more, so that rare codes do not lead
    for slot in range(slots):
        index = columns[slot] * widest + columns + offsets
        counts = index.reshape(-1).bincount(minlength=slots * widest**2).double()
        joint = counts.view(slots, widest, widest)
        excess = joint - alone[slot][:, None] * alone[:, None] / rows
        excess = excess / (scale[slot][:, None] * scale[:, None])
        excess[slot] = 0
        _, vectors = torch.linalg.eigh(torch.einsum("yab,ycb->ac", excess, excess))
        kept = min(components, sizes[slot] - 1)
        if kept:
            leading = vectors[:, -kept:] / scale[slot][:, None] * rows**0.5
            found[slot, :, -kept:] = torch.where(alone[slot][:, None] > 0, leading, 0)
    return found
