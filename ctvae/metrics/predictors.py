"""How well slots predict factors, by predictors with a name: DCI and InfoE.

The predictors are scikit-learn's and run on the CPU.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ctvae.errors import DataError
from ctvae.metrics.rows import check_both, one_hot, split_rows
from ctvae.randomness import Seed, spawn

if TYPE_CHECKING:
    import numpy as np

__all__ = [
    "Boosting",
    "DCIScores",
    "Explicitness",
    "Forest",
    "Predictor",
    "dci",
    "info_explicitness",
]


class Predictor(Protocol):
    """What DCI asks of a predictor: an object that holds only its own settings."""

    def fit(self, columns: np.ndarray, values: np.ndarray, seed: int) -> Any:  # noqa: ANN401
        """Fits on rows.

        Args:
            columns: ``(rows, columns)`` of 0 and 1.
            values: ``(rows,)`` values of one factor.
            seed: For its draws.

        Returns:
            A fitted classifier with ``predict`` and ``feature_importances_``, as scikit-learn has.
        """
        ...


@dataclass(frozen=True)
class Boosting:
    """Gradient boosting, the predictor of DCI in disentanglement_lib.

    Attributes:
        rounds: Trees for each value of the factor.
        depth: Of each tree.
    """

    rounds: int = 100
    depth: int = 3

    def fit(self, columns: np.ndarray, values: np.ndarray, seed: int) -> Any:  # noqa: ANN401, D102
        from sklearn.ensemble import GradientBoostingClassifier

        model = GradientBoostingClassifier(
            n_estimators=self.rounds, max_depth=self.depth, random_state=seed
        )
        return model.fit(columns, values)


@dataclass(frozen=True)
class Forest:
    """A random forest.

    Its trees try slots of noise whenever they are offered nothing better, so that perfect slots
    beside some of noise stay far from 1.

    Attributes:
        trees: How many.
    """

    trees: int = 100

    def fit(self, columns: np.ndarray, values: np.ndarray, seed: int) -> Any:  # noqa: ANN401, D102
        from sklearn.ensemble import RandomForestClassifier

        return RandomForestClassifier(self.trees, random_state=seed).fit(columns, values)


class DCIScores(NamedTuple):
    """Disentanglement, completeness and informativeness.

    Attributes:
        disentanglement: D, slots weighted by their importance; NaN with a single factor.
        completeness: C, the plain mean over factors, whose importances each sum to one; NaN with a
            single slot.
        informativeness: I, mean accuracy on held-out rows.
        chance: Mean accuracy, on those rows, of the most frequent value.
        importance: ``(slots, factors)`` importances, summed over the codes of each slot.
        predictor: What made them: figures of two predictors cannot be compared.
    """

    disentanglement: float
    completeness: float
    informativeness: float
    chance: float
    importance: Float[Tensor, "slots factors"]
    predictor: Predictor


def dci(
    factors: Int[Tensor, "rows factors"],
    codes: Int[Tensor, "rows slots"],
    *,
    predictor: Predictor | None = None,
    held_out: float = 0.5,
    seed: Seed = 0,
) -> DCIScores:
    r"""Measures disentanglement, completeness and informativeness by a predictor's importances.

    .. math::
        D = \sum_j \rho_j \big(1 - H_{n_s}(R_{j \cdot} / \textstyle\sum_i R_{ji})\big), \quad
        C = \tfrac{1}{n_s} \sum_i \big(1 - H_{n_z}(R_{\cdot i} / \textstyle\sum_j R_{ji})\big)

    with :math:`\rho_j = \sum_i R_{ji} / \sum R`, which hides slots that nothing uses. Codes are
    given one column each, and their importances summed by slot.

    Args:
        factors: True codes of the factors; constant ones are left out.
        codes: Codes of the slots.
        predictor: ``Boosting()`` where ``None``.
        held_out: The share of rows that informativeness is taken on.
        seed: For the split and the predictor.

    Returns:
        The scores, with the predictor's name.

    Raises:
        DataError: When no factor varies in the rows fitted on.

    Example:
        >>> s = torch.cartesian_prod(torch.arange(3), torch.arange(3)).repeat(40, 1)
        >>> found = dci(s, s.flip(1), predictor=Boosting(rounds=10))
        >>> found.informativeness, found.disentanglement > 0.99
        (1.0, True)

    Source: Eastwood and Williams (2018). Cost: boosting fits ``rounds * values`` trees for each
    factor, 10 s for 4,000 rows of 6 factors with 3 to 8 values.
    """
    check_both(factors, codes)
    predictor = Boosting() if predictor is None else predictor
    for_split, for_fit = spawn(seed, 2)
    train, test = split_rows(len(codes), held_out, seed=for_split)
    columns, slot = one_hot(codes.cpu())
    inputs, truth, slots = columns.numpy(), factors.cpu().numpy(), codes.shape[1]
    importance, accuracy, chance = [], [], []
    for i in _varying(factors.cpu(), train):
        model = predictor.fit(inputs[train], truth[train, i], for_fit % 2**31)
        weight = torch.from_numpy(model.feature_importances_).double()
        importance.append(torch.zeros(slots).double().index_add_(0, slot, weight))
        accuracy.append(float((model.predict(inputs[test]) == truth[test, i]).mean()))
        usual = factors[:, i].cpu()[train].mode().values
        chance.append(float((factors[:, i].cpu()[test] == usual).double().mean()))
    matrix = torch.stack(importance, 1).to(codes.device)
    return DCIScores(
        _weighted_purity(matrix),
        _weighted_purity(matrix.T),
        sum(accuracy) / len(accuracy),
        sum(chance) / len(chance),
        matrix,
        predictor,
    )


def _varying(factors: Tensor, train: Tensor) -> list[int]:
    seen = factors[train]
    varying = (seen != seen[0]).any(0).nonzero()[:, 0].tolist()
    if not varying:
        msg = "no factor varies in the rows fitted on; give rows in which values differ"
        raise DataError(msg)
    return varying


def _weighted_purity(importance: Tensor) -> float:
    """One minus the entropy of rows, in units of its greatest value, weighted by their sums."""
    kinds, total = importance.shape[1], importance.sum(1)
    if kinds < 2:
        return torch.nan
    if not bool(total.any()):
        return 0.0  # the predictor used nothing
    share = (importance / total[:, None]).nan_to_num(0.0)
    purity = 1 - torch.special.entr(share).sum(1) / torch.tensor(kinds).log()
    return float((total / total.sum() * purity).sum().clamp(0, 1))


class Explicitness(NamedTuple):
    """How far all slots together tell the factors, by a linear reading of their codes.

    Attributes:
        score: InfoE, the mean over factors that vary.
        per_factor: ``(factors,)`` in [0, 1]; NaN for a factor that does not vary.
        cross_entropy: ``(factors,)`` nats, of held-out rows.
        null_cross_entropy: ``(factors,)`` nats, of always giving the frequencies.
    """

    score: float
    per_factor: Float[Tensor, " factors"]
    cross_entropy: Float[Tensor, " factors"]
    null_cross_entropy: Float[Tensor, " factors"]


def info_explicitness(
    factors: Int[Tensor, "rows factors"],
    codes: Int[Tensor, "rows slots"],
    *,
    held_out: float = 0.5,
    penalty: float = 0.1,
    seed: Seed = 0,
) -> Explicitness:
    r"""Measures how far all slots together tell the factors (InfoE).

    .. math:: \tfrac{1}{n_s} \sum_i \max\Big(0, 1 - \frac{CE_i}{CE_i^{null}}\Big)

    by logistic regression on codes, one column each, fitted on one part of the rows and scored on
    the other. As published it is fitted and scored on the same rows, where pure noise scores .6
    with 200 rows; and with classes weighted to be balanced, which this is not.

    Args:
        factors: True codes of the factors.
        codes: Codes of the slots.
        held_out: The share of rows to score on.
        penalty: Of the squared weights, in nats over all rows.
        seed: For the split.

    Returns:
        The score with its parts. Held-out rows with a value that the others lack are left out.

    Raises:
        DataError: When no factor varies in the rows fitted on.

    Example:
        >>> s = torch.cartesian_prod(torch.arange(3), torch.arange(3)).repeat(100, 1)
        >>> info_explicitness(s, (s + 1) % 3).score > 0.95
        True

    Source: Hsu et al. (2023), Disentanglement via latent quantization, section 4.
    """
    from sklearn.linear_model import LogisticRegression

    check_both(factors, codes)
    train, test = split_rows(len(codes), held_out, seed=seed)
    inputs, truth = one_hot(codes.cpu())[0].numpy(), factors.cpu()
    found = torch.full((3, factors.shape[1]), torch.nan, dtype=torch.double)
    for i in _varying(truth, train):
        model = LogisticRegression(C=1 / penalty, max_iter=2000)
        model.fit(inputs[train], truth[train, i].numpy())
        classes = torch.from_numpy(model.classes_)
        rows = test[torch.isin(truth[test, i], classes)]
        place = torch.searchsorted(classes, truth[rows, i].contiguous())
        log_probs = torch.from_numpy(model.predict_log_proba(inputs[rows]))
        null = torch.bincount(truth[train, i])[classes].double() / len(train)
        losses = torch.stack([log_probs.gather(1, place[:, None])[:, 0], null.log()[place]])
        found[1:, i] = -losses.mean(1)
    found[0] = (1 - found[1] / found[2]).clamp(0, 1)
    per_factor, loss, null_loss = found.to(codes.device)
    return Explicitness(float(per_factor.nanmean()), per_factor, loss, null_loss)
