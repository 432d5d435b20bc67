"""Dependent factors: what plain information marks down and conditional information does not."""

from __future__ import annotations

import pytest
import torch
from sklearn.metrics import mutual_info_score
from torch import Tensor

from ctvae.metrics import (
    conditional_information_matrix,
    info_compactness,
    info_modularity,
    information_matrix,
    interventional_information_matrix,
    mutual_information_gap,
)
from ctvae.scm import SCM
from tests.metrics.cases import draw, grid, permuted, renamed

EYE = torch.eye(3).double()


def chain(rows: int, seed: int) -> Tensor:
    """a -> b -> c, each a copy of its cause in seven rows of ten."""
    fresh, keep = draw(rows, [4, 4, 4], seed), draw(rows, [10, 10, 10], seed + 1) < 7
    a = fresh[:, 0]
    b = torch.where(keep[:, 1], a, fresh[:, 1])
    return torch.stack([a, b, torch.where(keep[:, 2], b, fresh[:, 2])], 1)


def test_perfect_slots_of_dependent_factors_score_one_only_when_conditioned() -> None:
    s = chain(6000, 0)
    z = renamed(s)
    plain, beyond = information_matrix(s, z), conditional_information_matrix(s, z)
    assert info_modularity(plain) < 0.6
    assert mutual_information_gap(plain) < 0.7
    assert torch.allclose(beyond, EYE, atol=1e-9)
    assert info_modularity(beyond) == pytest.approx(1.0)


def test_it_is_the_mean_of_information_over_strata() -> None:
    """Against an independent implementation, on so many rows that the correction is small."""
    s, noise = chain(20000, 2), draw(20000, [4, 3], 4)
    slot = torch.where(noise[:, 1] == 0, noise[:, 0], s[:, 0])[:, None]
    told = given_entropy = 0.0
    for b in range(4):
        for c in range(4):
            mine = (s[:, 1] == b) & (s[:, 2] == c)
            share = float(mine.double().mean())
            told += share * mutual_info_score(s[mine, 0], slot[mine, 0])
            given_entropy += share * mutual_info_score(s[mine, 0], s[mine, 0])
    found = float(conditional_information_matrix(s, slot)[0, 0])
    assert found == pytest.approx(told / given_entropy, abs=0.01)


def test_the_markov_blanket_is_enough() -> None:
    s = chain(6000, 0)
    blanket = torch.tensor([[0, 1, 0], [1, 0, 1], [0, 1, 0]]).bool()
    assert torch.allclose(conditional_information_matrix(s, s, given=blanket), EYE, atol=0.003)


def test_given_nothing_it_is_plain_information() -> None:
    s = grid([3, 4], repeats=200)
    z = torch.stack([s[:, 0], s[:, 0] * 4 + s[:, 1]], 1)
    nothing = torch.zeros(2, 2, dtype=torch.bool)
    found = conditional_information_matrix(s, z, given=nothing)
    assert torch.allclose(found, information_matrix(s, z), atol=1e-3)


def test_a_slot_of_two_factors_is_still_seen() -> None:
    s = chain(6000, 0)
    both = torch.stack([s[:, 0] * 4 + s[:, 1], s[:, 2]], 1)
    found = conditional_information_matrix(s, both)
    assert found[:, 0].tolist() == pytest.approx([1.0, 1.0, 0.0], abs=1e-9)
    assert info_compactness(found) == pytest.approx(1.0)


def test_a_determined_factor_has_nothing_left_to_tell() -> None:
    s = grid([2, 2], repeats=5)
    s = torch.cat([s, s.sum(1, keepdim=True)], 1)
    assert float(conditional_information_matrix(s, s).abs().sum()) == 0


def test_setting_factors_gives_the_identity_too() -> None:
    scm = SCM.from_edges([("a", "b"), ("b", "c")], cardinality={"a": 3, "b": 3, "c": 3}, seed=0)
    parts, targets = [], []
    for k, name in enumerate(scm.slots.names):
        values = draw(1500, [3], k)[:, 0]
        parts.append(scm.do(slot=name, value=values).sample(1, seed=k)[0])
        targets.append(torch.zeros(1500, 3, dtype=torch.bool))
        targets[-1][:, k] = True
    s, set_in = torch.cat(parts), torch.cat(targets)
    found = interventional_information_matrix(s, permuted(s), set_in)
    assert sorted(found.round(decimals=6).flatten().tolist()) == [0.0] * 6 + [1.0] * 3
    assert info_modularity(found) == pytest.approx(1.0)
