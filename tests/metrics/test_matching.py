"""Matching of slots, of codes and of scales."""

from __future__ import annotations

from itertools import permutations

import pytest
import torch
from scipy.stats import pearsonr, spearmanr

from ctvae.metrics import (
    align_codes,
    correlation_matrix,
    information_matrix,
    match_slots,
    matched_information,
    mean_correlation,
    permutation_accuracy,
    ranks,
)
from tests.metrics.cases import draw, mixed, renamed


def test_permuted_slots_are_matched() -> None:
    s = draw(400, [5] * 4, 0)
    order = [2, 0, 3, 1]
    assert match_slots(information_matrix(s, s[:, order])) == [order.index(k) for k in range(4)]


@pytest.mark.parametrize("shape", [(3, 3), (2, 4), (4, 2), (1, 1)])
def test_the_matching_is_the_best_of_all(shape: tuple[int, int]) -> None:
    worth = torch.rand(shape, generator=torch.Generator().manual_seed(0)).double()
    wide = worth if shape[0] <= shape[1] else worth.T
    best = max(
        sum(float(wide[i, j]) for i, j in enumerate(columns))
        for columns in permutations(range(wide.shape[1]), len(wide))
    )
    assert matched_information(worth) == pytest.approx(best / shape[0])


def test_alignment_undoes_a_renaming_and_counts_errors() -> None:
    values = draw(1000, [6], 0)[:, 0]
    names = torch.tensor([3, 1, 0, 5, 4, 2])
    codes = names.argsort()[values]
    codes[:10] = (codes[:10] + 1) % 6
    found = align_codes(values, codes, 6, 6)
    assert torch.equal(found.value_of_code, names)
    assert found.error == pytest.approx(0.01)


def test_a_code_too_many_stands_for_nothing() -> None:
    values, codes = torch.tensor([0, 0, 0, 1]), torch.tensor([0, 0, 2, 1])
    assert align_codes(values, codes, 2, 3).value_of_code.tolist() == [0, 1, -1]


def test_permutation_accuracy_tries_every_renaming() -> None:
    s, z = mixed(90)
    s, z = s[:, :2], torch.stack([z[:, 1], draw(90, [3], 7)[:, 0]], 1)
    best = 0.0
    for slots in permutations(range(2)):
        total = 0.0
        for factor, slot in enumerate(slots):
            total += max(
                float((torch.tensor(names)[z[:, slot]] == s[:, factor]).double().mean())
                for names in permutations(range(4))
            )
        best = max(best, total / 2)
    found = permutation_accuracy(s, z)
    assert found.accuracy == pytest.approx(best)
    most = [float(torch.bincount(column).max()) / 90 for column in s.unbind(1)]
    assert found.chance == pytest.approx(sum(most) / 2)


def test_a_factor_without_a_slot_counts_zero() -> None:
    s = draw(300, [3, 3, 3], 0)
    found = permutation_accuracy(s, renamed(s[:, [2]]))
    assert found.slot_of_factor.tolist() == [-1, -1, 0]
    assert found.accuracy == pytest.approx(1 / 3)


def test_a_value_split_over_two_codes_loses_one_of_them() -> None:
    s = torch.tensor([[0], [0], [1], [1]])
    z = torch.tensor([[0], [2], [1], [1]])
    assert permutation_accuracy(s, z).accuracy == 0.75
    assert matched_information(information_matrix(s, z)) == pytest.approx(1.0)


def test_correlations_agree_with_an_independent_implementation() -> None:
    values = draw(200, [6, 4], 0).double()
    latents = torch.cat([values.square() + draw(200, [5, 5], 1), draw(200, [3], 2)], 1)
    plain, of_ranks = (
        correlation_matrix(values, latents),
        correlation_matrix(ranks(values), ranks(latents)),
    )
    for i in range(2):
        for j in range(3):
            pair = values[:, i], latents[:, j]
            assert float(plain[i, j]) == pytest.approx(pearsonr(*pair).statistic)
            assert float(of_ranks[i, j]) == pytest.approx(spearmanr(*pair).statistic)


def test_mcc_of_a_monotone_map_is_one_by_ranks_only() -> None:
    values = draw(500, [9, 9, 9], 0).double()
    latents = torch.cat([-values[:, [2, 0, 1]].exp(), torch.ones(500, 1)], 1)
    found = mean_correlation(values, latents)
    assert found.spearman == pytest.approx(1.0)
    assert found.pearson < 0.9


def test_mcc_depends_on_the_names_of_nominal_codes() -> None:
    """Why it is not for nominal slots: perfect codes under other names."""
    s = draw(900, [6], 0)
    z = torch.tensor([3, 0, 5, 1, 4, 2])[s]
    assert mean_correlation(s, z).spearman < 0.5
    assert permutation_accuracy(s, z).accuracy == 1.0
