"""Information against closed forms, an independent implementation, and its known bias."""

from __future__ import annotations

import math

import pytest
import torch
from sklearn.metrics import mutual_info_score

from ctvae.counting import contingency_table, cross_tables
from ctvae.metrics import (
    corrected_entropies,
    corrected_information_matrix,
    corrected_mutual_information,
    entropies,
    information_matrix,
    mutual_information,
    noise_floor,
)
from tests.metrics.cases import draw, grid, mixed


def test_all_pairs_are_counted_as_one_pair_is(device: torch.device) -> None:
    s, z = draw(300, [3, 5], 0).to(device), draw(300, [4, 2, 6], 1).to(device)
    found = cross_tables(s, z, 5, 6)
    for i in range(2):
        for j in range(3):
            one = contingency_table(torch.stack([s[:, i], z[:, j]], 1), [5, 6])
            assert torch.equal(found[i, j], one)


def test_information_agrees_with_an_independent_implementation() -> None:
    s, z = mixed(500)
    found = mutual_information(s, z)
    shares = information_matrix(s, z)
    for i in range(s.shape[1]):
        entropy = mutual_info_score(s[:, i], s[:, i])
        assert float(entropies(s)[i]) == pytest.approx(entropy, abs=1e-12)
        for j in range(z.shape[1]):
            told = mutual_info_score(s[:, i], z[:, j])
            assert float(found[i, j]) == pytest.approx(told, abs=1e-12)
            assert float(shares[i, j]) == pytest.approx(told / entropy, abs=1e-12)


def test_what_neither_factor_tells_alone_is_zero_to_the_last_bit() -> None:
    """XOR: a remainder of 1e-17 would be a ratio like any other in every score."""
    s = grid([2, 2], repeats=11)
    xor = (s.sum(1, keepdim=True)) % 2
    assert mutual_information(s, xor).tolist() == [[0.0], [0.0]]
    assert mutual_information(grid([3, 7, 5]), grid([3, 7, 5])[:, 2:]).flatten()[:2].sum() == 0


def test_information_of_two_factors_in_one_slot() -> None:
    s = grid([4, 2])
    both = (s[:, 0] * 2 + s[:, 1])[:, None]
    assert torch.allclose(information_matrix(s, both), torch.ones(2, 1).double())
    assert torch.allclose(information_matrix(both, s), torch.tensor([[2 / 3, 1 / 3]]).double())


def test_a_constant_factor_has_nothing_to_tell() -> None:
    s = torch.cat([grid([3]), torch.ones(3, 1, dtype=torch.long)], 1)
    for matrix in (information_matrix, corrected_information_matrix):
        assert matrix(s, s)[1].tolist() == [0.0, 0.0]
        assert matrix(s, s)[:, 1].tolist() == [0.0, 0.0]


@pytest.mark.statistical
def test_the_bias_of_frequencies_and_its_correction() -> None:
    """Pure noise, K = L = 8: (K - 1)(L - 1) / 2n nats too high; corrected, zero in the mean.

    400 independent pairs with a standard error of each mean below .04 of the bias: 5.5 standard
    errors are .22 of it.
    """
    for rows in (200, 1000):
        s, z = draw(rows, [8] * 20, 0), draw(rows, [8] * 20, 1)
        bias = 49 / (2 * rows)
        plain, corrected = mutual_information(s, z), corrected_mutual_information(s, z)
        error = float(plain.std()) / 20
        assert 5.5 * error < 0.22 * bias
        assert float(plain.mean()) == pytest.approx(bias, abs=0.22 * bias)
        assert abs(float(corrected.mean())) < 0.22 * bias


def test_the_correction_of_a_coin_is_half_over_n() -> None:
    coin = torch.tensor([[0], [1], [1], [0]])
    assert float(corrected_entropies(coin)) == pytest.approx(math.log(2) + 1 / 8)
    # H + H - H corrected: 1/8 + 1/8 - 1/8 on top of log 2
    assert float(corrected_mutual_information(coin, coin)) == pytest.approx(math.log(2) + 1 / 8)


@pytest.mark.statistical
def test_noise_beats_its_floor_as_rarely_as_said() -> None:
    """100 slots, 40 shuffles: 100/41 = 2.4 expected; 15 or more has probability below 1e-6."""
    s, z = draw(300, [3, 8], 0), draw(300, [6] * 100, 1)
    floor = noise_floor(s, z, permutations=40, seed=2)
    beaten = int((information_matrix(s, z).max(0).values > floor).sum())
    assert beaten < 15
    # A floor far above the noise would never be beaten but would prune what is weak:
    assert bool((floor < 3 * information_matrix(s, z).max(0).values.mean()).all())


def test_a_weak_slot_beats_its_floor_where_rows_are_many() -> None:
    s, noise = draw(5000, [4], 0), draw(5000, [4, 10], 1)
    weak = torch.where(noise[:, 1:] == 0, s, noise[:, :1])  # right in one row of ten by more
    share = information_matrix(s, weak)
    assert float(share) < 0.03
    assert bool(share[0] > noise_floor(s, weak))


def test_the_floor_repeats_and_is_the_same_in_any_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    s, z = mixed(200)
    one = noise_floor(s, z, permutations=30, seed=5)
    monkeypatch.setattr("ctvae.metrics.information.CHUNK_COLUMNS", 10)
    assert torch.allclose(noise_floor(s, z, permutations=30, seed=5), one)
    assert not torch.equal(noise_floor(s, z, permutations=30, seed=6), one)
