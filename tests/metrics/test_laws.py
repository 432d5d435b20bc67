"""Every score under the laws of scores. To add a score is to add a line to the table."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ctvae.errors import CTVAEError
from ctvae.metrics import (
    Boosting,
    Forest,
    accuracy_matrix,
    attribute_separation,
    beta_vae_score,
    conditional_information_matrix,
    dci,
    diagonal_scores,
    factor_vae_score,
    info_explicitness,
    info_modularity,
    information_matrix,
    match_slots,
    matched_information,
    permutation_accuracy,
    r2_matrix,
    score_information,
)
from tests.metrics.cases import draw, grid, mixed, permuted, renamed


class Law(NamedTuple):
    """A score of factors and codes.

    Attributes:
        score: The score.
        least: What perfect slots reach at least.
        most: What slots of noise reach at most; NaN where there is then nothing to judge.
        tolerance: How far the names and the order of slots and codes may move it: none, but for
            predictors that break ties by the order of columns.
    """

    score: Callable[[Tensor, Tensor], float]
    least: float
    most: float
    tolerance: float = 1e-9


def diagonal(s: Tensor, z: Tensor) -> float:
    return diagonal_scores(r2_matrix(s, z), match_slots(information_matrix(s, z))).diagonal


def conditional(s: Tensor, z: Tensor) -> float:
    return matched_information(conditional_information_matrix(s, z))


# Noise: 3 factors of 3, 4, 4 values, so chance is 1/3 for voting and (1/3 + 1/4 + 1/4) / 3 = .28
# for accuracy; 3,000 rows, where accuracy has a standard error below .01.
LAWS = {
    "InfoM": Law(lambda s, z: score_information(s, z).pruned.info_modularity, 1.0, math.nan),
    "InfoC": Law(lambda s, z: score_information(s, z).pruned.info_compactness, 1.0, math.nan),
    "MIG": Law(lambda s, z: score_information(s, z).pruned.mutual_information_gap, 1.0, 0.0),
    "MIG, unpruned": Law(
        lambda s, z: score_information(s, z).unpruned.mutual_information_gap, 0.99, 0.01
    ),
    "modularity": Law(lambda s, z: score_information(s, z).pruned.modularity, 1.0, math.nan),
    "raw modularity": Law(
        lambda s, z: score_information(s, z).pruned.raw_modularity, 1.0, math.nan
    ),
    "matched NMI": Law(lambda s, z: matched_information(information_matrix(s, z)), 1.0, 0.01),
    "matched NMI, conditional": Law(conditional, 1.0, 0.02),
    "permutation accuracy": Law(lambda s, z: permutation_accuracy(s, z).accuracy, 1.0, 0.33),
    "SAP, adjusted": Law(lambda s, z: attribute_separation(s, z).adjusted, 0.97, 0.05),
    "accuracy": Law(lambda s, z: float(accuracy_matrix(s, z).amax(1).mean()), 1.0, 0.33),
    "R2 on the diagonal": Law(diagonal, 0.99, 0.01),
    "InfoE": Law(lambda s, z: info_explicitness(s, z).score, 0.97, 0.01, 1e-3),
    "FactorVAE": Law(lambda s, z: factor_vae_score(s, z).score, 1.0, 0.45),
    "BetaVAE": Law(lambda s, z: beta_vae_score(s, z).score, 1.0, 0.45, 0.02),
    "D, boosting": Law(
        lambda s, z: dci(s, z, predictor=Boosting(rounds=4)).disentanglement, 0.99, 0.3, 0.02
    ),
    "C, boosting": Law(
        lambda s, z: dci(s, z, predictor=Boosting(rounds=4)).completeness, 0.99, 0.4, 0.02
    ),
    "I, forest": Law(
        lambda s, z: dci(s, z, predictor=Forest(trees=10)).informativeness, 0.99, 0.33, 0.03
    ),
}
QUICK = {name: law for name, law in LAWS.items() if law.tolerance < 1e-6}


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS.keys())
class TestLawsOfScores:
    def test_perfect_slots_score_one(self, law: Law) -> None:
        s = grid([3, 4, 4], repeats=20)
        assert law.least <= law.score(s, renamed(permuted(s, 1))) <= 1 + 1e-9

    def test_noise_scores_what_chance_does(self, law: Law) -> None:
        found = law.score(draw(3000, [3, 4, 4], 0), draw(3000, [4, 4, 5], 1))
        assert (math.isnan(found) and math.isnan(law.most)) or found <= law.most

    def test_names_of_codes_mean_nothing(self, law: Law) -> None:
        s, z = mixed(1200)
        assert law.score(s, renamed(z)) == pytest.approx(law.score(s, z), abs=law.tolerance)

    def test_the_order_of_slots_means_nothing(self, law: Law) -> None:
        s, z = mixed(1200)
        assert law.score(s, permuted(z)) == pytest.approx(law.score(s, z), abs=law.tolerance)


@st.composite
def tables(draw_from: st.DrawFn) -> tuple[Tensor, Tensor]:
    rows = draw_from(st.integers(2, 12))
    sides = []
    for most in (3, 4):
        columns = draw_from(st.integers(1, most))
        cells = st.lists(st.integers(0, 3), min_size=rows * columns, max_size=rows * columns)
        sides.append(torch.tensor(draw_from(cells)).reshape(rows, columns))
    return sides[0], sides[1]


@pytest.mark.parametrize("name", [name for name in QUICK if name != "R2 on the diagonal"])
@given(both=tables())
@settings(max_examples=15, deadline=None)
def test_every_score_keeps_its_range(name: str, both: tuple[Tensor, Tensor]) -> None:
    """Whatever is constant, single, duplicated or missing: a figure, NaN, or a typed refusal."""
    try:
        found = QUICK[name].score(*both)
    except CTVAEError:
        return
    assert math.isnan(found) or -1e-12 <= found <= 1 + 1e-12


def test_scores_follow_the_device_of_their_inputs(device: torch.device) -> None:
    s, z = (side.to(device) for side in mixed(400))
    there, here = score_information(s, z), score_information(s.cpu(), z.cpu())
    assert there.information.device.type == device.type
    assert there.informative.tolist() == here.informative.tolist()
    for law in (LAWS["FactorVAE"], LAWS["SAP, adjusted"], LAWS["permutation accuracy"]):
        assert law.score(s, z) == pytest.approx(law.score(s.cpu(), z.cpu()), abs=1e-6)
    shares = conditional_information_matrix(s, z)
    assert torch.allclose(shares.cpu(), conditional_information_matrix(s.cpu(), z.cpu()))
    assert info_modularity(shares) == pytest.approx(info_modularity(shares.cpu()))
