"""Metrics against closed forms and independent implementations."""

from __future__ import annotations

import pytest
import torch
from sklearn.metrics import mutual_info_score

from ctvae.errors import ShapeError
from ctvae.metrics import (
    align_codes,
    calibration_band,
    calibration_curve,
    calibration_error,
    exactly_one_changed,
    information_matrix,
    match_slots,
    slots_changed,
)


def _random_codes(n: int, columns: int, sizes: int, seed: int) -> torch.Tensor:
    return torch.randint(sizes, (n, columns), generator=torch.Generator().manual_seed(seed))


def test_information_agrees_with_an_independent_implementation() -> None:
    s, z = _random_codes(500, 2, 4, 0), _random_codes(500, 3, 5, 1)
    z[:, 0] = (s[:, 1] + (z[:, 0] > 3)) % 5
    found = information_matrix(s, z)
    for i in range(2):
        entropy = mutual_info_score(s[:, i], s[:, i])
        for j in range(3):
            assert float(found[i, j]) == pytest.approx(
                mutual_info_score(s[:, i], z[:, j]) / entropy, abs=1e-12
            )


def test_information_is_unchanged_by_renaming_codes() -> None:
    s, z = _random_codes(300, 2, 3, 0), _random_codes(300, 2, 3, 1)
    renamed = torch.tensor([2, 0, 1])[z]
    assert torch.allclose(information_matrix(s, z), information_matrix(s, renamed))


def test_permuted_slots_are_matched() -> None:
    s = _random_codes(400, 4, 5, 0)
    order = [2, 0, 3, 1]
    assert match_slots(information_matrix(s, s[:, order])) == [order.index(k) for k in range(4)]


def test_alignment_undoes_a_renaming_and_counts_errors() -> None:
    values = _random_codes(1000, 1, 6, 0)[:, 0]
    names = torch.tensor([3, 1, 0, 5, 4, 2])
    codes = names.argsort()[values]
    codes[:10] = (codes[:10] + 1) % 6
    found = align_codes(values, codes, 6, 6)
    assert torch.equal(found.value_of_code, names)
    assert found.error == pytest.approx(0.01)


def test_a_code_too_many_stands_for_nothing() -> None:
    values, codes = torch.tensor([0, 0, 0, 1]), torch.tensor([0, 0, 2, 1])
    assert align_codes(values, codes, 2, 3).value_of_code.tolist() == [0, 1, -1]


def test_changes_are_counted() -> None:
    before = torch.tensor([[0, 0, 0], [1, 1, 1], [2, 2, 2]])
    after = torch.tensor([[0, 0, 0], [1, 0, 1], [0, 0, 2]])
    assert slots_changed(before, after).tolist() == [0, 1, 2]
    named = torch.tensor([0, 1, 0])
    assert exactly_one_changed(before, after, named).tolist() == [False, True, False]


def test_calibration_error_of_a_closed_form() -> None:
    confidence = torch.tensor([0.95] * 10 + [0.55] * 10)
    correct = torch.tensor([True] * 10 + [True] * 3 + [False] * 7)
    assert calibration_error(confidence, correct) == pytest.approx(0.5 * 0.05 + 0.5 * 0.25)
    assert int(calibration_curve(confidence, correct).size.sum()) == 20


@pytest.mark.statistical
def test_a_calibrated_model_lies_in_its_band_and_an_overconfident_one_does_not() -> None:
    generator = torch.Generator().manual_seed(0)
    confidence = 0.5 + 0.5 * torch.rand(4000, generator=generator)
    correct = torch.rand(4000, generator=generator) < confidence
    low, high = calibration_band(confidence)
    assert low <= calibration_error(confidence, correct) <= high
    assert calibration_error((confidence + 0.15).clamp(max=1), correct) > high


def test_mismatched_answers_are_refused() -> None:
    with pytest.raises(ShapeError, match="one confidence per answer"):
        calibration_error(torch.ones(3), torch.ones(2).bool())
