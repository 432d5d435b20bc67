"""The Bayesian information criterion of tables, batched and cached as BDeu is."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from ctvae.graph.scores import BDeuScores
from ctvae.graph.set_counts import count_sets

__all__ = ["BICScores"]


class BICScores(BDeuScores):
    r"""Cached BIC scores of any child and parent set on one data set.

    .. math:: \sum_{jk} N_{jk} \log\frac{N_{jk}}{N_j} - \frac{q\,(r - 1)}{2} \log N

    with q rows of the parents' codes, r codes of the child and N the rows that count for it. It
    needs no prior and approaches BDeu as rows grow; with few rows for each row of parents it
    prefers fewer edges. Equivalent DAGs score the same. ``targets`` as in ``BDeuScores``.

    Args:
        codes: Codes ``(rows, slots)``.
        cardinalities: The number of codes of each slot; codes that never occur count too.
        targets: ``(rows, slots)`` booleans, true where a slot was set; ``None`` for none.
        weights: ``(rows,)`` how often each row counts; once each where ``None``.

    Raises:
        ShapeError: When codes, cardinalities, targets and weights do not match.
        DataError: When a weight is negative or not finite.

    Example:
        >>> codes = torch.tensor([[0, 0], [1, 1]]).repeat(20, 1)
        >>> scores = BICScores(codes, [2, 2])
        >>> bool(scores.local(1, [0]) > scores.local(1, []))
        True

    Source: Schwarz (1978), Estimating the dimension of a model.
    Cost: as ``BDeuScores``.
    """

    def __init__(
        self,
        codes: Int[Tensor, "rows slots"],
        cardinalities: Sequence[int],
        *,
        targets: Bool[Tensor, "rows slots"] | None = None,
        weights: Shaped[Tensor, " rows"] | None = None,
    ) -> None:
        super().__init__(
            codes, cardinalities, equivalent_sample_size=1.0, targets=targets, weights=weights
        )

    def single_gains(self) -> Float[Tensor, "parents children"]:
        """Compares every ordered pair of slots with no edge between them.

        Returns:
            ``(slots, slots)`` nats: ``[i, j]`` what i gains as the only parent of j; zeros on the
            diagonal.

        Cost: O(rows) for each pair.
        """
        slots = range(len(self._sizes))
        gains = [
            self.batch(child, [(i,) if i != child else () for i in slots]) - self.local(child, ())
            for child in slots
        ]
        return torch.stack(gains, 1)

    def _score_part(
        self,
        rows: tuple[Tensor, Tensor],
        sizes: Sequence[int],
        child: int,
        sets: Sequence[tuple[int, ...]],
        configurations: int,
    ) -> Float[Tensor, " sets"]:
        counts = count_sets(*rows, sizes, child, sets, configurations)[:, :, 0]
        above = counts.sum(-1)
        fit = torch.xlogy(counts, counts).sum((1, 2)) - torch.xlogy(above, above).sum(1)
        free = configurations * (sizes[child] - 1)
        return fit - above.sum(1).log() * free / 2
