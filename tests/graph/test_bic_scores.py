"""BIC against loops over the definition, and its laws."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch

from ctvae.graph import BDeuScores, BICScores

SIZES = [3, 2, 4, 2]


def rows(count: int = 300) -> torch.Tensor:
    rng = np.random.default_rng(0)
    a, b = rng.integers(3, size=count), rng.integers(2, size=count)
    c = (a + b + (rng.random(count) < 0.2)) % 4
    d = (c > 1) ^ (rng.random(count) < 0.1)
    return torch.from_numpy(np.stack([a, b, c, d], 1).astype(np.int64))


def by_definition(codes: np.ndarray, child: int, parents: tuple[int, ...]) -> float:
    fit = 0.0
    for state in itertools.product(*(range(SIZES[p]) for p in parents)):
        inside = codes[(codes[:, list(parents)] == state).all(1)] if parents else codes
        for code in range(SIZES[child]):
            seen = int((inside[:, child] == code).sum())
            fit += seen * math.log(seen / len(inside)) if seen else 0.0
    free = math.prod(SIZES[p] for p in parents) * (SIZES[child] - 1)
    return fit - free * math.log(len(codes)) / 2


@pytest.mark.parametrize("child", range(4))
def test_scores_are_those_of_the_definition(child, device):
    codes = rows()
    scores = BICScores(codes.to(device), SIZES)
    others = [k for k in range(4) if k != child]
    sets = [s for size in range(4) for s in itertools.combinations(others, size)]
    expected = [by_definition(codes.numpy(), child, s) for s in sets]
    torch.testing.assert_close(
        scores.batch(child, sets).cpu(), torch.tensor(expected, dtype=torch.float64)
    )
    table = scores.subsets(child, others, max_parents=2).cpu()
    for bits, value in enumerate(table.tolist()):
        chosen = tuple(k for place, k in enumerate(others) if bits >> place & 1)
        right = -math.inf if len(chosen) > 2 else by_definition(codes.numpy(), child, chosen)
        assert value == pytest.approx(right)


def test_rows_in_which_the_child_was_set_do_not_count():
    codes = rows()
    targets = torch.zeros(300, 4, dtype=torch.bool)
    targets[:100, 2] = True
    with_targets = BICScores(codes, SIZES, targets=targets)
    assert float(with_targets.local(2, [0])) == pytest.approx(
        by_definition(codes[100:].numpy(), 2, (0,))
    )
    assert float(with_targets.local(3, [2])) == pytest.approx(by_definition(codes.numpy(), 3, (2,)))


def test_equivalent_dags_score_the_same():
    scores = BICScores(rows(), SIZES)
    chain, back = [[], [0], [1], [2]], [[1], [2], [3], []]
    assert float(scores.total(chain)) == pytest.approx(float(scores.total(back)))


def test_gains_of_pairs_are_differences_of_scores():
    scores = BICScores(rows(), SIZES)
    gains = scores.single_gains()
    assert gains.diagonal().tolist() == [0] * 4
    assert float(gains[0, 2]) == float(scores.local(2, [0]) - scores.local(2, []))
    assert float(gains[2, 3]) > 0


def test_it_approaches_bdeu_as_rows_grow():
    """The difference in favour of an edge stays bounded while the scores grow with the rows."""
    codes = rows(40_000)
    bic, bdeu = BICScores(codes, SIZES), BDeuScores(codes, SIZES, equivalent_sample_size=1.0)
    for child, parents in ((3, [2]), (2, [0, 1])):
        gain, exact = (
            float(one.local(child, parents) - one.local(child, [])) for one in (bic, bdeu)
        )
        assert gain > 1000
        assert abs(gain - exact) < 60
