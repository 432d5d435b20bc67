"""The Bayesian information criterion of linear Gaussian models, for continuous data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from ctvae.errors import DataError
from ctvae.graph.gaussian_tests import correlations
from ctvae.graph.local_scores import BoundScore

__all__ = ["GaussianBIC", "GaussianBICScores"]


@dataclass(frozen=True)
class GaussianBIC:
    r"""BIC of a variable regressed linearly on its parents.

    .. math::
        -\frac n2 \bigl(1 + \log \hat\sigma^2_{k \mid \mathrm{Pa}}\bigr)
        - \frac{\lambda}{2}\,(|\mathrm{Pa}| + 1) \log n

    Equivalent DAGs score the same, and differences do not depend on the variables' scale. For
    floats, in ``learn_continuous_graph(data, method=GES(score=GaussianBIC()))``.

    Args:
        penalty_discount: :math:`\lambda > 0`; 1 is BIC, larger values mean fewer edges.

    Raises:
        DataError: When the setting is out of range.

    Example:
        >>> noise = torch.randn(300, 2, generator=torch.Generator().manual_seed(0))
        >>> without, with_parent = GaussianBIC().bind(noise.cumsum(1)).scores.batch(1, [[], [0]])
        >>> bool(with_parent > without)
        True

    Source: Schwarz (1978), Estimating the dimension of a model; Chickering (2002), Optimal
    structure identification with greedy search.
    """

    penalty_discount: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.penalty_discount < float("inf"):
            msg = f"penalty_discount must be above 0, got {self.penalty_discount}"
            raise DataError(msg)

    def bind(
        self,
        data: Float[Tensor, "rows variables"],
        *,
        weights: Shaped[Tensor, " rows"] | None = None,
    ) -> BoundScore:
        """Takes continuous data.

        Args:
            data: Floats ``(rows, variables)``.
            weights: How often each row counts; once each where ``None``.

        Returns:
            The score on these data, on their device.

        Raises:
            DataError: When the data are no floats, or a variable is constant or a sum of others.
        """
        if not data.is_floating_point():
            msg = f"GaussianBIC scores floats, got {data.dtype} codes; take BDeu or BIC"
            raise DataError(msg)
        correlation, variance, rows = correlations(data, weights)
        return BoundScore(GaussianBICScores(correlation, variance, rows, self.penalty_discount), 0)


class GaussianBICScores:
    """Cached Gaussian BIC scores on one data set, many sets in one pass.

    Args:
        correlation: The correlations of all variables, float64.
        variance: The variances.
        rows: How many rows there are.
        penalty_discount: What the penalty is multiplied by.

    Cost: an inverse of ``size + 1`` variables for each set, in one batch, whatever the rows.
    """

    def __init__(
        self,
        correlation: Float[Tensor, "variables variables"],
        variance: Float[Tensor, " variables"],
        rows: float,
        penalty_discount: float,
    ) -> None:
        self._correlation = correlation
        self._variance = variance
        self._rows = rows
        self._price = penalty_discount * log(rows) / 2
        self._known: dict[tuple[int, tuple[int, ...]], Tensor] = {}

    def batch(self, child: int, parent_sets: Sequence[Sequence[int]]) -> Float[Tensor, " sets"]:
        """Scores many parent sets of a child, each computed at most once.

        Args:
            child: The child's column.
            parent_sets: Columns of each set, in any order, without the child.

        Returns:
            ``(sets,)`` nats, float64, in the order given.
        """
        keys = [tuple(sorted(parents)) for parents in parent_sets]
        new: dict[int, list[tuple[int, ...]]] = {}
        for key in dict.fromkeys(keys):
            if (child, key) not in self._known:
                new.setdefault(len(key), []).append(key)
        for size, sets in new.items():
            members = torch.tensor([(child, *key) for key in sets], device=self._variance.device)
            blocks = self._correlation[members[:, :, None], members[:, None, :]]
            left = self._variance[child] / torch.linalg.inv(blocks)[:, 0, 0]
            scores = -self._rows / 2 * (1 + left.log()) - self._price * (size + 1)
            self._known.update({(child, key): scores[k] for k, key in enumerate(sets)})
        if not keys:
            return self._variance.new_zeros(0)
        return torch.stack([self._known[child, key] for key in keys])
