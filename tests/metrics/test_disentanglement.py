"""Scores of information matrices: values derived by hand."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from ctvae.metrics import (
    info_compactness,
    info_modularity,
    information_matrix,
    matched_information,
    modularity,
    mutual_information_gap,
    score_information,
)
from tests.metrics.cases import draw, grid, permuted

NAN = math.nan
EYE = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
# name: matrix, InfoM, InfoC, MIG, modularity, matched
CASES = {
    "identity": (EYE, 1.0, 1.0, 1.0, 1.0, 1.0),
    "permutation": ([[0.0, 1.0], [1.0, 0.0]], 1.0, 1.0, 1.0, 1.0, 1.0),
    "half told, yet apart": ([[0.5, 0.0], [0.0, 0.5]], 1.0, 1.0, 0.5, 1.0, 0.5),
    "every slot twice": ([[1, 1, 0, 0], [0, 0, 1, 1]], 1.0, 1 / 3, 0.0, 1.0, 1.0),
    "two factors in one slot": ([[1.0], [1.0]], 0.0, NAN, 1.0, 0.0, 0.5),
    "evenly spread": ([[0.5, 0.5], [0.5, 0.5]], 0.0, 0.0, 0.0, 0.0, 0.5),
    "XOR: nothing alone": ([[0.0, 0.0], [0.0, 0.0]], 0.0, 0.0, 0.0, 0.0, 0.0),
    "a factor not told": ([[1.0, 0.0], [0.0, 0.0]], 0.5, 0.5, 0.5, 0.5, 0.5),
    "one slot, one factor": ([[1.0]], NAN, NAN, 1.0, NAN, 1.0),
    "one factor, two slots": ([[1.0, 0.0]], NAN, 1.0, 1.0, NAN, 1.0),
    "fewer slots than factors": (
        [[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]],
        1.0,
        2 / 3,
        2 / 3,
        1.0,
        2 / 3,
    ),
    "leaky": ([[0.6, 0.2], [0.2, 0.6]], 0.5, 0.5, 0.4, 1 - 1 / 9, 0.6),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_scores_of_matrices_worked_out_by_hand(case: tuple[Any, ...]) -> None:
    matrix, *expected = torch.tensor(case[0]).double(), *case[1:]
    scores = [
        info_modularity,
        info_compactness,
        mutual_information_gap,
        modularity,
        matched_information,
    ]
    found = [score(matrix) for score in scores]
    assert found == pytest.approx(expected, nan_ok=True)


def test_no_slot_is_left_to_judge() -> None:
    nothing = torch.zeros(3, 0)
    assert math.isnan(info_modularity(nothing))
    assert math.isnan(info_compactness(nothing))
    assert mutual_information_gap(nothing) == 0
    assert matched_information(nothing) == 0


def test_raw_modularity_lets_large_factors_dominate() -> None:
    """A slot of a bit of each of two factors, of 2 and of 16 values: 1 nat-bit is 1 bit."""
    s = grid([2, 16])
    both = (s[:, 0] * 2 + s[:, 1] % 2)[:, None]
    shares = information_matrix(s, both)
    assert shares.flatten().tolist() == pytest.approx([1.0, 0.25])
    nats = shares * torch.tensor([[math.log(2)], [math.log(16)]])
    assert modularity(nats) == pytest.approx(0.0)  # a bit of each: shared
    assert modularity(shares) == pytest.approx(1 - 0.25**2)  # all of one, a quarter of the other


def slots_of(kind: str, s: Tensor) -> Tensor:
    noise = draw(len(s), [6, 6], 9)
    constant = torch.zeros_like(s[:, :1])
    return {
        "noise": torch.cat([permuted(s), noise], 1),
        "constant": torch.cat([s, constant], 1),
        "constant and noise": torch.cat([constant, s, constant, noise], 1),
    }[kind]


@pytest.mark.parametrize("kind", ["noise", "constant", "constant and noise"])
def test_pruned_scores_of_perfect_slots_are_one(kind: str) -> None:
    s = draw(1500, [3, 4, 5], 0)
    found = score_information(s, slots_of(kind, s))
    assert found.pruned[:-1] == pytest.approx([1.0] * 6)
    assert found.pruned.num_slots == int(found.informative.sum()) == 3
    assert found.unpruned.num_slots == int(found.active.sum())
    assert bool(found.recovered.all())


def test_an_unrecovered_factor_counts_zero_and_is_named() -> None:
    s = draw(1500, [3, 4, 5], 0)
    found = score_information(s, s[:, :2])
    assert found.recovered.tolist() == [True, True, False]
    assert found.pruned.info_modularity == pytest.approx(1.0)
    assert found.pruned.info_compactness == pytest.approx(2 / 3)
    assert found.pruned.mutual_information_gap == pytest.approx(2 / 3)


def test_constant_factors_are_left_out() -> None:
    s = draw(1500, [3, 4], 0)
    with_constant = torch.cat([s, torch.full_like(s[:, :1], 2)], 1)
    found = score_information(with_constant, s)
    assert found.varies.tolist() == [True, True, False]
    assert found.pruned == score_information(s, s).pruned


def test_a_collapsed_model_is_seen_for_what_it_is() -> None:
    s = draw(1500, [3, 4], 0)
    found = score_information(s, torch.zeros_like(s))
    assert found.pruned.num_slots == found.unpruned.num_slots == 0
    assert math.isnan(found.pruned.info_modularity)
    assert found.pruned.matched_information == 0
