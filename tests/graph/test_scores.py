"""BDeu against its closed form and against causal-learn."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch

from ctvae.errors import ShapeError, StateSpaceError
from ctvae.graph import BDeuScores, bdeu_from_counts, scores, set_counts
from tests.graph.oracles import all_dags, bdeu, class_key

CARDS = [2, 3, 4, 2]


@pytest.fixture
def codes():
    rng = np.random.default_rng(3)
    rows = np.stack([rng.integers(k, size=90) for k in CARDS], 1)
    rows[:, 1] = (rows[:, 0] + rows[:, 2] * (rng.random(90) < 0.4)) % 3
    rows[:, 3] = rows[:, 3] // 2  # a code that never occurs
    return torch.from_numpy(rows)


@pytest.mark.parametrize("ess", [0.1, 1.0, 10.0])
@pytest.mark.parametrize("cells", [2**22, 50], ids=["one pass", "chunks"])
def test_equals_the_closed_form(codes, device, ess, cells, monkeypatch):
    monkeypatch.setattr(scores, "CELLS", cells)
    monkeypatch.setattr(set_counts, "CELLS", cells)
    rng = np.random.default_rng(0)
    targets = torch.from_numpy(rng.random((90, 4)) < 0.3)
    plain = BDeuScores(codes.to(device), CARDS, equivalent_sample_size=ess)
    known = BDeuScores(
        codes.to(device), CARDS, equivalent_sample_size=ess, targets=targets.to(device)
    )
    for child in range(4):
        others = [k for k in range(4) if k != child]
        sets = [s for n in range(4) for s in itertools.combinations(others, n)]
        got, got_known = plain.batch(child, sets), known.batch(child, sets)
        assert got.dtype == torch.float64
        assert got.device.type == device.type
        keep = ~targets[:, child]
        want = [bdeu(codes, child, s, CARDS, ess) for s in sets]
        want_known = [bdeu(codes, child, s, CARDS, ess, keep) for s in sets]
        np.testing.assert_allclose(got.cpu(), want, rtol=0, atol=1e-9)
        np.testing.assert_allclose(got_known.cpu(), want_known, rtol=0, atol=1e-9)


def test_sparse_tables_equal_the_closed_form():
    rng = np.random.default_rng(1)
    cards = [7, 9, 8]
    codes = torch.from_numpy(np.stack([rng.integers(k, size=25) for k in cards], 1))
    local = BDeuScores(codes, cards, equivalent_sample_size=1.0)
    for child, parents in ((0, (1, 2)), (1, (0, 2)), (2, (1,)), (2, ())):
        want = bdeu(codes, child, parents, cards, 1.0)
        assert float(local.local(child, parents)) == pytest.approx(want, abs=1e-9)
    dense = torch.zeros(7 * 9, 8)
    for a, b, c in codes.tolist():
        dense[a * 9 + b, c] += 1
    got = bdeu_from_counts(dense, equivalent_sample_size=1.0)
    assert float(got) == pytest.approx(float(local.local(2, (0, 1))), abs=1e-9)


def test_equals_causal_learn_up_to_its_edge_prior(codes):
    from causallearn.score.LocalScoreFunction import local_score_BDeu

    seen = [len(column.unique()) for column in codes.T]
    local = BDeuScores(codes, seen, equivalent_sample_size=1.0)
    for child, parents in ((0, []), (1, [0]), (1, [0, 2]), (2, [3, 0, 1])):
        n = len(parents)
        edge_prior = n * math.log(1 / 3) + (3 - n) * math.log(2 / 3)
        theirs = local_score_BDeu(codes.numpy(), child, parents) - edge_prior
        assert float(local.local(child, parents)) == pytest.approx(theirs, abs=1e-9)


def test_equivalent_dags_score_the_same(codes):
    local = BDeuScores(codes[:, :3], CARDS[:3], equivalent_sample_size=2.0)
    totals: dict[object, float] = {}
    for matrix in all_dags(3):
        total = float(local.total([np.flatnonzero(column).tolist() for column in matrix.T]))
        assert totals.setdefault(class_key(matrix), total) == pytest.approx(total, abs=1e-9)
    assert len({round(t, 6) for t in totals.values()}) == 11


def test_order_of_parents_and_repetition_do_not_matter(codes):
    local = BDeuScores(codes, CARDS, equivalent_sample_size=1.0)
    a, b, c = local.batch(1, [(0, 2), (2, 0), (0, 2)])
    assert a == b == c
    assert local.batch(1, []).shape == (0,)


def test_bad_input_is_refused(codes):
    with pytest.raises(ShapeError, match=r"codes must be \(rows, 2\), got \(90, 4\)"):
        BDeuScores(codes, [2, 2], equivalent_sample_size=1.0)
    with pytest.raises(ShapeError, match="targets must be"):
        BDeuScores(codes, CARDS, equivalent_sample_size=1.0, targets=torch.zeros(2, 2).bool())
    with pytest.raises(ShapeError, match="above 0"):
        BDeuScores(codes, CARDS, equivalent_sample_size=0.0)
    huge = BDeuScores(codes, [2**21, 2**21, 2**21, 2], equivalent_sample_size=1.0)
    with pytest.raises(StateSpaceError, match="lower max_parents"):
        huge.local(3, [0, 1, 2])


def test_slots_that_were_never_set_share_the_rows():
    """A copy for each of 300 slots of 10,000 rows took 7 GB."""
    codes = torch.randint(2, (50, 4), generator=torch.Generator().manual_seed(0))
    targets = torch.zeros(50, 4, dtype=torch.bool)
    targets[:20, 1] = True
    for given, copies in ((None, 1), (targets, 2)):
        scores = BDeuScores(codes, [2] * 4, equivalent_sample_size=1.0, targets=given)
        for child in range(4):
            scores.local(child, [(child + 1) % 4])
        assert len(scores._rows) == copies
