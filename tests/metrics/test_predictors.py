"""Predictors of factors from slots: DCI, InfoE, accuracy, R2, SAP."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import LinearRegression

from ctvae.metrics import (
    Boosting,
    accuracy_matrix,
    attribute_separation,
    dci,
    diagonal_scores,
    info_explicitness,
    r2_matrix,
)
from ctvae.metrics.rows import one_hot, split_rows
from tests.metrics.cases import draw, grid, mixed


@dataclass
class Reported:
    """Stands for a fitted predictor whose importances are known, one for each code."""

    importances: list[list[float]]
    fitted: int = 0

    def fit(self, columns: np.ndarray, values: np.ndarray, seed: int) -> Any:
        self.feature_importances_ = np.array(self.importances[self.fitted])
        self.fitted += 1
        self.usual = np.bincount(values).argmax()
        return self

    def predict(self, columns: np.ndarray) -> np.ndarray:
        return np.full(len(columns), self.usual)


def test_dci_of_known_importances() -> None:
    """Two slots of two codes. Factor 0: .5 and .5 of slot 0; factor 1: half of each slot."""
    s = draw(200, [2, 2], 0)
    predictor = Reported([[0.5, 0.5, 0.0, 0.0], [0.25, 0.25, 0.3, 0.2]])
    found = dci(s, s, predictor=predictor)
    assert torch.allclose(found.importance, torch.tensor([[1.0, 0.5], [0.0, 0.5]]).double())
    # Slot 0 holds 1.5 of 2, in shares 2/3 and 1/3; slot 1 holds .5, all of factor 1.
    entropy = -(2 / 3 * math.log2(2 / 3) + 1 / 3 * math.log2(1 / 3))
    assert found.disentanglement == pytest.approx(0.75 * (1 - entropy) + 0.25)
    assert found.completeness == pytest.approx(0.5 * 1 + 0.5 * 0)
    assert found.informativeness == found.chance  # it always gives the usual value


def test_dci_of_the_edges() -> None:
    s = draw(200, [2, 2], 0)
    one_slot = dci(s, s[:, :1], predictor=Boosting(rounds=2))
    assert math.isnan(one_slot.completeness)
    with_constant = torch.cat([s, torch.zeros_like(s[:, :1])], 1)
    found = dci(with_constant, with_constant, predictor=Boosting(rounds=5))
    assert found.importance.shape == (3, 2)  # the constant factor is left out
    assert found.importance[2].tolist() == [0.0, 0.0]
    assert found.disentanglement == pytest.approx(1.0)
    assert math.isnan(dci(s[:, :1], s, predictor=Boosting(rounds=2)).disentanglement)


def test_explicitness_in_closed_form() -> None:
    """One slot tells a factor of four values up to a pair: half of log 4 is left."""
    s = grid([4], repeats=600)
    found = info_explicitness(s, s // 2)
    assert found.score == pytest.approx(0.5, abs=0.02)
    assert float(found.cross_entropy) == pytest.approx(math.log(2), abs=0.01)
    assert float(found.null_cross_entropy) == pytest.approx(math.log(4), abs=0.01)


def test_explicitness_reads_slots_together_but_not_their_product() -> None:
    s = grid([2, 2], repeats=300)
    halves = grid([4], repeats=300)
    bits = torch.cat([halves // 2, halves % 2], 1)
    assert info_explicitness(halves, bits).score > 0.9  # a sum of two slots
    assert info_explicitness(s.sum(1, keepdim=True) % 2, s).score < 0.01  # XOR


def test_explicitness_skips_what_does_not_vary() -> None:
    s = torch.cat([grid([3], repeats=100), torch.zeros(300, 1, dtype=torch.long)], 1)
    found = info_explicitness(s, s)
    assert math.isnan(float(found.per_factor[1]))
    assert found.score == pytest.approx(float(found.per_factor[0]))


def test_accuracy_is_that_of_the_most_frequent_value() -> None:
    s, z = mixed(800)
    train, test = split_rows(800, 0.25, seed=3)
    found = accuracy_matrix(s, z, held_out=0.25, seed=3)
    for i in range(s.shape[1]):
        for j in range(z.shape[1]):
            right = 0
            for row in test.tolist():
                alike = s[train, i][z[train, j] == z[row, j]]
                right += int(torch.bincount(alike).argmax() == s[row, i])
            assert float(found[i, j]) == pytest.approx(right / len(test))


def test_a_code_not_seen_answers_with_the_usual_value() -> None:
    s = torch.tensor([[0], [0], [1], [0]])
    z = torch.arange(4)[:, None]  # every code once: whatever is held out was never seen
    train, test = split_rows(4, 0.25, seed=0)
    usual = torch.bincount(s[train, 0]).argmax()
    found = accuracy_matrix(s, z, held_out=0.25, seed=0)
    assert float(found) == float(s[test, 0] == usual)


def test_r2_is_that_of_regression_on_codes_given_a_column_each() -> None:
    s, z = mixed(600)
    values = s.double().square()
    found = r2_matrix(values, z, held_out=0.3, seed=1)
    train, test = split_rows(600, 0.3, seed=1)
    for j in range(z.shape[1]):
        x = one_hot(z[:, [j]])[0].numpy()
        model = LinearRegression(fit_intercept=False).fit(x[train], values[train].numpy())
        left = (values[test] - torch.from_numpy(model.predict(x[test]))).square().sum(0)
        whole = (values[test] - values[train].mean(0)).square().sum(0)
        expected = (1 - left / whole).clamp(min=0)
        assert torch.allclose(found[:, j], expected, atol=1e-9)


def test_diagonal_of_more_slots_than_factors() -> None:
    worth = torch.tensor([[0.1, 0.9, 0.0], [0.8, 0.3, 0.99]])
    found = diagonal_scores(worth, [1, 0])
    assert found == pytest.approx((0.85, 0.2))  # the third slot is matched with none
    assert math.isnan(diagonal_scores(worth[:1], [1]).off_diagonal)


def test_separation_of_two_equal_slots_is_nothing() -> None:
    s = draw(900, [3, 4], 0)
    assert attribute_separation(s, torch.cat([s, s], 1)).score == 0
    assert math.isnan(attribute_separation(torch.zeros_like(s), s).score)
