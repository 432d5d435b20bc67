"""The test of partial correlation, for continuous data."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ctvae.counting import counted_rows
from ctvae.errors import DataError
from ctvae.graph.table_tests import IndependenceResults
from ctvae.randomness import Seed

__all__ = ["FisherZ", "FisherZTests", "correlations"]

SINGULAR = 1e-10
"""The smallest eigenvalue of a correlation matrix of which inverses mean something."""


@dataclass(frozen=True)
class FisherZ:
    r"""Fisher's z test of a partial correlation.

    .. math:: z = \sqrt{n - |S| - 3}\; \bigl|\operatorname{artanh} r_{xy \cdot S}\bigr|

    Under independence z is nearly the size of a standard normal number, where the variables are
    jointly Gaussian; of other laws it sees linear dependence only. For floats, in
    ``learn_continuous_graph(data, method=PC(test=FisherZ()))``.

    Example:
        >>> noise = torch.randn(300, 3, generator=torch.Generator().manual_seed(0))
        >>> chain = noise.cumsum(1)
        >>> test, ask = FisherZ().bind(chain), torch.tensor([0])
        >>> none, middle = torch.zeros(1, 0, dtype=torch.long), torch.tensor([[1]])
        >>> [bool(test(ask, ask + 2, given).p_value > 0.05) for given in (none, middle)]
        [False, True]

    Source: Fisher (1924), The distribution of the partial correlation coefficient.
    """

    def bind(
        self,
        codes: Float[Tensor, "rows variables"],
        *,
        weights: Float[Tensor, " rows"] | None = None,
        seed: Seed = 0,
    ) -> FisherZTests:
        """Takes the data that are to be tested.

        Args:
            codes: Floats ``(rows, variables)``.
            weights: How often each row counts; once each where ``None``.
            seed: Unused.

        Returns:
            The test on these data, on their device.

        Raises:
            DataError: When the data are no floats, or a variable is constant or a sum of others.
        """
        del seed
        if not codes.is_floating_point():
            msg = f"FisherZ tests floats, got {codes.dtype} codes; take GSquared or ChiSquared"
            raise DataError(msg)
        correlation, _, rows = correlations(codes, weights)
        return FisherZTests(correlation, rows)


@dataclass(frozen=True)
class FisherZTests:
    """Fisher's z tests on one data set, many in one pass.

    Attributes:
        correlation: The correlations of all variables, float64.
        rows: How many rows there are.

    Cost: an inverse of ``size + 2`` variables for each test, in one batch, whatever the rows.
    """

    correlation: Float[Tensor, "variables variables"]
    rows: float

    def __call__(
        self, x: Int[Tensor, " tests"], y: Int[Tensor, " tests"], given: Int[Tensor, "tests size"]
    ) -> IndependenceResults:
        """Runs tests whose conditioning sets have one size.

        Args:
            x: A column each.
            y: Another column each.
            given: The columns conditioned on.

        Returns:
            The results in the order given; the statistic is z, with one degree of freedom, or
            none where there are too few rows.
        """
        members = torch.cat([x[:, None], y[:, None], given], 1).to(self.correlation.device)
        precision = torch.linalg.inv(self.correlation[members[:, :, None], members[:, None, :]])
        size = (precision[:, 0, 0] * precision[:, 1, 1]).sqrt()
        partial = (-precision[:, 0, 1] / size).clamp(-1 + 1e-15, 1 - 1e-15)
        freedom = self.rows - given.shape[1] - 3
        statistic = math.sqrt(max(freedom, 0.0)) * partial.atanh().abs()
        return IndependenceResults(
            statistic=statistic,
            degrees_of_freedom=torch.full_like(statistic, float(freedom > 0)),
            p_value=torch.special.erfc(statistic / math.sqrt(2)),
            rows_per_cell=torch.full_like(statistic, torch.inf),
        )


def correlations(
    data: Float[Tensor, "rows variables"], weights: Float[Tensor, " rows"] | None = None
) -> tuple[Float[Tensor, "variables variables"], Float[Tensor, " variables"], float]:
    """Gives the correlations of variables, of which partial correlations can be had.

    Args:
        data: Floats ``(rows, variables)``.
        weights: How often each row counts; once each where ``None``.

    Returns:
        The correlations and variances, float64, and how many rows there are.

    Raises:
        DataError: When a variable is constant, not finite or a sum of others, or a weight is
            negative or not finite.
    """
    data, count = counted_rows(data, weights)
    share = count / count.sum()
    centred = data.double() - share @ data.double()
    covariance = (centred * share[:, None]).T @ centred
    scale = covariance.diagonal().sqrt()
    correlation = covariance / (scale[:, None] * scale)
    valid = bool(torch.isfinite(correlation).all())
    if not valid or float(torch.linalg.eigvalsh(correlation)[0]) < SINGULAR:
        msg = (
            "a variable is constant, not finite or a sum of the others (as with fewer rows than "
            "variables), so partial correlations are not defined; leave it out"
        )
        raise DataError(msg)
    return correlation, covariance.diagonal(), float(count.sum())
