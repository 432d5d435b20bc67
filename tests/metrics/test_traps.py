"""Traps that were measured, each by the score that falls into it and the one that does not."""

from __future__ import annotations

import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC

from ctvae.metrics import (
    Boosting,
    Forest,
    attribute_separation,
    dci,
    factor_vae_score_of_latents,
    info_explicitness,
    information_matrix,
    mutual_information_gap,
    score_information,
)
from ctvae.metrics.rows import one_hot
from tests.metrics.cases import draw, grid, permuted

SIZES = [3, 4, 4, 8, 8, 3]
"""Shape, scale, orientation, x, y and shade of the prototype's sprites."""


def test_noise_slots_pull_modularity_down_and_nothing_else() -> None:
    """Measured .78, .99 and 1.00 at 4,000 rows, InfoM, InfoC and MIG."""
    s = draw(4000, SIZES, 0)
    found = score_information(s, torch.cat([permuted(s), draw(4000, [8, 8], 1)], 1))
    assert found.unpruned.info_modularity == pytest.approx(0.78, abs=0.04)
    assert found.unpruned.info_compactness == pytest.approx(0.99, abs=0.01)
    assert found.unpruned.mutual_information_gap == pytest.approx(1.0, abs=0.01)
    assert found.pruned.info_modularity == pytest.approx(1.0)


def test_pure_noise_looks_modular_in_nats() -> None:
    """Published modularity of nothing at all is above .7; pruned, there is nothing to judge."""
    found = score_information(draw(4000, SIZES, 0), draw(4000, [8] * 8, 1))
    assert found.unpruned.raw_modularity > 0.7
    assert found.pruned.num_slots == 0


@pytest.mark.parametrize(
    ("rows", "in_sample", "mean_share"), [(200, 0.59, 0.048), (4000, 0.017, 0.002)]
)
def test_information_of_noise_by_the_number_of_rows(
    rows: int, in_sample: float, mean_share: float
) -> None:
    """InfoE fitted and scored on the same rows, as published, and the mean NMI."""
    s, z = draw(rows, SIZES, 0), draw(rows, [8] * 8, 1)
    assert float(information_matrix(s, z).mean()) == pytest.approx(mean_share, rel=0.25)
    x = one_hot(z)[0].numpy()
    skills = []
    for factor in s.unbind(1):
        model = LogisticRegression(C=1e3, max_iter=2000, class_weight="balanced")
        p = torch.from_numpy(model.fit(x, factor.numpy()).predict_proba(x))
        loss = -p.gather(1, factor[:, None]).log().mean()
        skills.append(1 - float(loss / torch.tensor(float(p.shape[1])).log()))
    assert sum(skills) / len(skills) == pytest.approx(in_sample, rel=0.25)
    assert info_explicitness(s, z).score < 0.01


def test_a_forest_uses_noise_and_boosting_does_not() -> None:
    """Perfect codes beside two slots of noise: measured D .76, C .74 by a forest, 1 by boosting."""
    s = draw(4000, SIZES, 0)
    z = torch.cat([permuted(s), draw(4000, [8, 8], 1)], 1)
    forest = dci(s, z, predictor=Forest(trees=20))
    boosting = dci(s, z, predictor=Boosting(rounds=2))
    assert forest.disentanglement == pytest.approx(0.76, abs=0.07)
    assert forest.completeness == pytest.approx(0.74, abs=0.07)
    assert boosting.disentanglement > 0.999
    assert boosting.completeness > 0.999
    assert forest.informativeness == boosting.informativeness == 1.0
    assert (forest.predictor, boosting.predictor) == (Forest(trees=20), Boosting(rounds=2))


def test_a_line_cannot_read_a_nominal_code_but_a_table_can() -> None:
    """SAP of perfect codes was .58 to .60 in disent, which draws a line through the code."""
    s = draw(3000, [8, 8], 0)
    z = torch.tensor([3, 6, 0, 5, 1, 7, 2, 4])[s]
    line = LinearSVC(C=0.01, random_state=0).fit(z[:, :1].numpy(), s[:, 0].numpy())
    assert line.score(z[:, :1].numpy(), s[:, 0].numpy()) < 0.6
    found = attribute_separation(s, z)
    assert found.accuracy.diagonal().tolist() == [1.0, 1.0]
    assert found.score == pytest.approx(1 - 1 / 8, abs=0.03)
    assert found.adjusted > 0.96


def test_codes_are_never_sorted_into_bins() -> None:
    """Twenty bins lose a perfect slot of forty codes: measured .93 for a gap of 1."""
    s = grid([40, 3], repeats=5)
    assert mutual_information_gap(information_matrix(s, s)) == pytest.approx(1.0)
    binned = torch.stack([s[:, 0] // 2, s[:, 1]], 1)
    assert mutual_information_gap(information_matrix(s, binned)) < 0.95


def test_duplicated_slots_are_modular_and_not_compact() -> None:
    """Measured InfoM .99, InfoC .80 and MIG .67, two of six slots twice."""
    s = draw(4000, SIZES, 0)
    found = score_information(s, torch.cat([s, s[:, :2]], 1)).unpruned
    assert found.info_modularity == pytest.approx(0.99, abs=0.01)
    assert found.info_compactness == pytest.approx(0.80, abs=0.01)
    assert found.mutual_information_gap == pytest.approx(0.67, abs=0.01)


def test_active_latents_are_counted_and_the_dead_do_not_vote() -> None:
    """A latent of nearly no variance wins every vote unless it is left out."""
    s = grid([4, 4], repeats=5)
    dead = 1e-6 * draw(len(s), [2], 0).double()
    latents = torch.cat([s.double(), dead, torch.zeros(len(s), 1).double()], 1)
    found = factor_vae_score_of_latents(s, latents, least_variance=0.05)
    assert found.active.tolist() == [True, True, False, False]
    assert found.score == 1.0
    assert factor_vae_score_of_latents(s, latents).active.sum() == 3
