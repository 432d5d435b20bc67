"""BDeu scores of rows from regimes of which nobody knows what was done."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from ctvae.errors import RegimeError, ShapeError
from ctvae.graph.scores import BDeuScores
from ctvae.graph.set_counts import count_sets, num_configurations
from ctvae.graph.target_search import JudgedRegimes, judge_regimes
from ctvae.regimes import Samples

__all__ = ["UnknownTargetScores", "scores_of"]


class UnknownTargetScores(BDeuScores):
    r"""BDeu scores in which every regime may have changed the child's law, or not.

    .. math:: \log P(x_k \mid S) = \max_T \Big[ \mathrm{BDeu}(\text{rows of regimes not in } T)
        + \sum_{r \in T} \log \tfrac{1}{2}\big( P_r(x_k \mid S) + P_r(x_k) \big)
        + |T| \log \tfrac{\pi}{1 - \pi} \Big]

    A regime r in T gave the child a law of its own: another conditional law given the same parents
    (a soft intervention) or one that ignores them (a hard or stochastic one), each half as likely.
    All other regimes share the natural law with the observational rows. T is a local maximum, the
    better of two (``judge_regimes``): where observational rows are few it need not be the highest.

    A cause keeps its law where only an effect was changed, and an effect keeps its law given its
    true parents where only a cause was changed. So regimes orient edges without being told what
    was done in them.

    Args:
        codes: Codes ``(rows, slots)``.
        cardinalities: The number of codes of each slot.
        regimes: ``(rows,)``, 0 for observational rows, of which there is one at least: with none,
            no law would be the natural one.
        equivalent_sample_size: The prior's weight in rows, above 0.
        expected_targets: How many slots one regime is expected to change; the prior probability
            :math:`\pi` is this number over the number of slots, and at most one half.
        weights: ``(rows,)`` how often each row counts; once each where ``None``.

    Raises:
        ShapeError: When codes, cardinalities and regimes do not match.
        RegimeError: When no row has regime 0.

    Example:
        >>> cause = torch.arange(800) % 2
        >>> regimes = (torch.arange(800) >= 400).long()
        >>> effect = torch.where(regimes == 1, torch.arange(800) // 2 % 2, cause)
        >>> codes = torch.stack([cause, effect], 1)
        >>> scores = UnknownTargetScores(codes, [2, 2], regimes, equivalent_sample_size=1.0)
        >>> (scores.target_log_odds([(), (0,)]) > 0).tolist()  # regime 1 changed the effect
        [[False, True]]

    Source: Cooper and Yoo (1999) with targets known; Eaton and Murphy (2007), Exact Bayesian
    structure learning from uncertain interventions; Brouillard et al. (2020), DCDI, section 3.3.

    Cost: as ``BDeuScores``, times the number of regimes for the tables.
    """

    def __init__(
        self,
        codes: Int[Tensor, "rows slots"],
        cardinalities: Sequence[int],
        regimes: Int[Tensor, " rows"],
        *,
        equivalent_sample_size: float,
        expected_targets: float = 1.0,
        weights: Shaped[Tensor, " rows"] | None = None,
    ) -> None:
        super().__init__(
            codes, cardinalities, equivalent_sample_size=equivalent_sample_size, weights=weights
        )
        if regimes.shape != codes.shape[:1]:
            msg = f"regimes must be ({len(codes)},) as the rows, got {tuple(regimes.shape)}"
            raise ShapeError(msg)
        seen, place = regimes.unique(return_inverse=True)
        if len(seen) and int(seen[0]) != 0:
            msg = (
                "targets are found beside rows to which nothing was done, and no row has regime 0; "
                "number the regime 0 that the others are to be compared with, or use CDNOD"
            )
            raise RegimeError(msg)
        self._regimes = max(1, len(seen))
        chance = min(0.5, expected_targets / len(self._sizes))
        self._log_prior_odds = math.log(chance / (1 - chance)) if chance > 0 else -math.inf
        self._codes = torch.cat([self._codes, place[:, None]], 1)

    @property
    def _widths(self) -> tuple[int, ...]:
        return (*self._sizes, self._regimes)

    def single_gains(self) -> Float[Tensor, "parents children"]:
        """Compares every ordered pair of slots with no edge between them.

        Returns:
            ``(slots, slots)`` nats: ``[i, j]`` the gain of i as the only parent of j; zeros on the
            diagonal.

        Cost: one table for each pair.
        """
        slots = len(self._sizes)
        gains = torch.zeros(slots, slots, dtype=torch.float64, device=self._codes.device)
        for child in range(slots):
            others = [k for k in range(slots) if k != child]
            alone = self.local(child, ())
            gains[others, child] = self.batch(child, [(k,) for k in others]) - alone
        return gains

    def target_log_odds(
        self, parents: Sequence[Sequence[int]]
    ) -> Float[Tensor, "interventional_regimes slots"]:
        """Gives the posterior log odds that a regime changed a slot's law, given a DAG.

        Args:
            parents: The parents' columns of each slot.

        Returns:
            ``(regimes - 1, slots)`` nats, the regimes above 0 that occur, in order; conditional on
            what the other regimes were found to change of that slot.
        """
        found = []
        for child, own in enumerate(parents):
            key = tuple(sorted(own))
            cells = num_configurations(key, child, self._sizes)
            judged = self._judge(self._child_rows(child), self._widths, child, [key], cells)
            found.append(judged.log_odds[0])
        return torch.stack(found, 1)

    @property
    def _groups(self) -> int:
        return self._regimes

    def _score_part(
        self,
        rows: tuple[Tensor, Tensor],
        sizes: Sequence[int],
        child: int,
        sets: Sequence[tuple[int, ...]],
        configurations: int,
    ) -> Float[Tensor, " sets"]:
        return self._judge(rows, sizes, child, sets, configurations).scores

    def _judge(
        self,
        rows: tuple[Tensor, Tensor],
        sizes: Sequence[int],
        child: int,
        sets: Sequence[tuple[int, ...]],
        configurations: int,
    ) -> JudgedRegimes:
        """Scores sets, and says for each set and regime whether the child's law was changed."""
        columns, weights = rows
        counts = count_sets(
            columns,
            weights,
            sizes,
            child,
            sets,
            configurations,
            group=columns[-1],
            groups=self._regimes,
        )
        return judge_regimes(
            counts,
            equivalent_sample_size=self._prior,
            configurations=configurations,
            log_prior_odds=self._log_prior_odds,
        )


def scores_of(
    samples: Samples, columns: Sequence[int], *, equivalent_sample_size: float
) -> BDeuScores:
    """Makes the scores that some rows allow: their targets are known, or only their regimes.

    Args:
        samples: The rows.
        columns: The slots, in the order in which the scores number them.
        equivalent_sample_size: The prior's weight in rows, above 0.

    Returns:
        The scores.
    """
    codes = samples.codes[:, list(columns)]
    sizes = [samples.slots.cardinalities[column] for column in columns]
    if samples.regimes is not None:
        regimes = samples.regimes.to(codes.device)
        return UnknownTargetScores(
            codes,
            sizes,
            regimes,
            equivalent_sample_size=equivalent_sample_size,
            weights=samples.weights,
        )
    targets = None if samples.targets is None else samples.targets[:, list(columns)]
    return BDeuScores(
        codes,
        sizes,
        equivalent_sample_size=equivalent_sample_size,
        targets=targets,
        weights=samples.weights,
    )
