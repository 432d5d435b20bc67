"""Scores of posteriors: accuracy, log loss, Brier, area under the curve, temperature."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score
from torch import Tensor

from ctvae.metrics import auroc, brier_score, fit_temperature, score_actions, tempered


def posterior(rows: int, classes: int, *, sharpness: float, seed: int) -> tuple[Tensor, Tensor]:
    """Log-probabilities, and labels drawn from them: calibrated at sharpness 1."""
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(rows, classes, generator=generator).double()
    labels = torch.multinomial(logits.softmax(1), 1, generator=generator)[:, 0]
    return (sharpness * logits).log_softmax(1), labels


def test_scores_of_actions_worked_out_by_hand() -> None:
    p = torch.tensor([[0.7, 0.2, 0.1], [0.4, 0.1, 0.5], [0.2, 0.4, 0.4], [1.0, 0.0, 0.0]])
    action, factor = torch.tensor([0, 0, 2, 0]), torch.tensor([0, 0, 1])
    found = score_actions(p.log(), action, factor)
    # Right: the first and the last. By factor: .9, .5 (the first of equals), .6 (wrong), 1.
    assert found.exact == 0.5
    assert found.factor_only == 0.75
    assert found.log_loss == pytest.approx(-math.log(0.7 * 0.4 * 0.4) / 4)
    assert found.chance_exact == found.chance_factor_only == 0.75
    entropy = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    assert found.chance_log_loss == pytest.approx(entropy)


def test_log_loss_agrees_with_an_independent_implementation() -> None:
    log_probs, labels = posterior(300, 5, sharpness=1.5, seed=0)
    found = score_actions(log_probs, labels, torch.zeros(5, dtype=torch.long))
    assert found.log_loss == pytest.approx(log_loss(labels, log_probs.exp().numpy()))
    assert found.factor_only == found.chance_factor_only == 1.0


def test_the_impossible_costs_infinitely() -> None:
    p = torch.tensor([[1.0, 0.0], [0.5, 0.5]])
    found = score_actions(p.log(), torch.tensor([1, 1]), torch.tensor([0, 1]))
    assert found.log_loss == math.inf


@pytest.mark.parametrize("classes", [2, 4])
def test_brier_agrees_with_an_independent_implementation(classes: int) -> None:
    log_probs, labels = posterior(400, classes, sharpness=2.0, seed=1)
    found = brier_score(log_probs, labels).score
    if classes == 2:  # one of two equal halves
        assert found == pytest.approx(2 * brier_score_loss(labels, log_probs[:, 1].exp()))
    else:
        truth = torch.nn.functional.one_hot(labels, classes)
        by_class = [brier_score_loss(truth[:, k], log_probs[:, k].exp()) for k in range(classes)]
        assert found == pytest.approx(sum(by_class))


def test_parts_of_brier_in_closed_form() -> None:
    """Two forecasts, .8 and .4 of class 0, each for 10 rows; it comes 6 and 4 times."""
    p = torch.tensor([[0.8, 0.2]] * 10 + [[0.4, 0.6]] * 10).double()
    labels = torch.tensor([0] * 6 + [1] * 4 + [0] * 4 + [1] * 6)
    found = brier_score(p.log(), labels)
    assert found.reliability == pytest.approx(2 * 0.5 * 0.2**2)
    assert found.resolution == pytest.approx(2 * (0.5 * 0.1**2 + 0.5 * 0.1**2))
    assert found.uncertainty == pytest.approx(2 * 0.25)
    assert found.within_bins == pytest.approx(0, abs=1e-12)


@given(st.integers(0, 10**6), st.integers(2, 5), st.integers(1, 20))
@settings(max_examples=25, deadline=None)
def test_the_parts_of_brier_add_up(seed: int, classes: int, bins: int) -> None:
    log_probs, labels = posterior(60, classes, sharpness=1.0, seed=seed)
    b = brier_score(log_probs, labels, bins=bins)
    assert 0 <= b.score <= 2
    assert min(b.reliability, b.resolution, b.uncertainty) >= 0
    assert b.resolution <= b.uncertainty + 1e-12
    # What bins blur is variance minus twice a covariance, worked out class by class.
    p, y = log_probs.exp(), torch.nn.functional.one_hot(labels, classes).double()
    cell = (p * bins).long().clamp(max=bins - 1)
    within = 0.0
    for k in range(classes):
        for number in cell[:, k].unique():
            mine = cell[:, k] == number
            dp, dy = p[mine, k] - p[mine, k].mean(), y[mine, k] - y[mine, k].mean()
            within += float((dp.square() - 2 * dp * dy).sum()) / 60
    assert b.within_bins == pytest.approx(within, abs=1e-9)


@given(
    st.lists(st.integers(-3, 3), min_size=1, max_size=12),
    st.lists(st.integers(-3, 3), min_size=1, max_size=12),
)
@settings(max_examples=50, deadline=None)
def test_auroc_is_the_share_of_pairs_in_order(high: list[int], low: list[int]) -> None:
    a, b = torch.tensor(high).double(), torch.tensor(low).double()
    pairs = sum((x > y) + 0.5 * (x == y) for x in high for y in low) / (len(high) * len(low))
    assert auroc(a, b) == pytest.approx(pairs)
    assert auroc(b, a) == pytest.approx(1 - pairs)
    labels = [1] * len(high) + [0] * len(low)
    assert auroc(a, b) == pytest.approx(roc_auc_score(labels, [*high, *low]))


def test_auroc_puts_infinities_in_order() -> None:
    evidence = torch.tensor([-math.inf, -50.0])
    assert auroc(-evidence, torch.tensor([1.0, 2.0])) == 1.0
    assert auroc(torch.tensor([math.inf]), torch.tensor([math.inf])) == 0.5


@pytest.mark.parametrize("sharpness", [0.4, 1.0, 3.0])
def test_temperature_is_the_minimum_found_by_another_method(sharpness: float) -> None:
    log_probs, labels = posterior(2000, 6, sharpness=sharpness, seed=2)

    def loss(log_t: float) -> float:
        return -float(tempered(log_probs, math.exp(log_t)).gather(1, labels[:, None]).mean())

    best = minimize_scalar(loss, bracket=(-2.0, 2.0), tol=1e-10)
    found = fit_temperature(log_probs, labels)
    assert found == pytest.approx(math.exp(best.x), rel=1e-5)
    assert found == pytest.approx(sharpness, rel=0.15)  # labels follow the sharpness 1


def test_tempering_keeps_the_order_and_improves_what_it_was_fitted_for(
    device: torch.device,
) -> None:
    log_probs, labels = (side.to(device) for side in posterior(500, 4, sharpness=3.0, seed=3))
    cool = tempered(log_probs, fit_temperature(log_probs, labels))
    factor = torch.arange(4, device=device)
    before, after = (score_actions(p, labels, factor) for p in (log_probs, cool))
    assert before.exact == after.exact
    assert after.log_loss < before.log_loss
    assert brier_score(cool, labels).reliability < brier_score(log_probs, labels).reliability
    assert torch.allclose(cool.exp().sum(1), torch.ones(500, device=device).double())


def test_temperatures_without_a_minimum() -> None:
    sure, labels = torch.tensor([[0.9, 0.1], [0.2, 0.8]]).log(), torch.tensor([0, 1])
    assert fit_temperature(sure, labels) == pytest.approx(1e-3)
    assert fit_temperature(sure, 1 - labels) == pytest.approx(1e3)
    assert fit_temperature(torch.zeros(2, 2) - math.log(2), labels) == 1.0


def test_what_is_impossible_stays_so_at_any_temperature() -> None:
    p = torch.tensor([[0.9, 0.1, 0.0]] * 3 + [[0.9, 0.1, 0.0]]).double()
    found = fit_temperature(p.log(), torch.tensor([0, 0, 0, 1]))
    assert found == pytest.approx(2.0)  # as without the third action
    assert float(tempered(p.log(), found)[0, 2]) == -math.inf
