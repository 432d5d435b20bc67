"""The test for many codes: its size and power, its symmetries, and what PC finds with it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from ctvae.errors import DataError
from ctvae.graph import PC, CausalGraph, DiscoveryStatus, GSquared, ResidualTest, learn_graph
from tests.graph.oracles import low_rank_rows, random_dag

NULL = {
    "no conditioning": np.zeros((2, 2), dtype=np.int8),
    "common cause": np.array([[0, 0, 0], [0, 0, 0], [1, 1, 0]], dtype=np.int8),
    "two common causes": np.array(
        [[0, 0, 0, 0], [0, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0]], dtype=np.int8
    ),
}


def p_value(test: ResidualTest | GSquared, codes: np.ndarray, seed: int = 0) -> float:
    """Of columns 0 and 1 given all others."""
    bound = test.bind(torch.from_numpy(codes), seed=seed)
    given = torch.arange(2, codes.shape[1])[None]
    return float(bound(torch.tensor([0]), torch.tensor([1]), given).p_value)


@pytest.mark.statistical
@pytest.mark.parametrize("matrix", NULL.values(), ids=NULL.keys())
@pytest.mark.parametrize("codes", [24, 128])
def test_size(matrix, codes):
    """40 data sets a case: a true size of .07 gives 16 rejections at .05 less often than 1e-6."""
    found = [
        p_value(ResidualTest(), low_rank_rows(matrix, codes, 4000, np.random.default_rng(seed)))
        for seed in range(40)
    ]
    most = int(stats.binom.isf(1e-6, 40, 0.07))
    assert np.sum(np.array(found) < 0.05) <= most


@pytest.mark.parametrize("name", NULL)
def test_power_where_tables_see_nothing(name):
    matrix = NULL[name].copy()
    matrix[0, 1] = 1
    rows = low_rank_rows(matrix, 128, 4000, np.random.default_rng(1))
    assert p_value(ResidualTest(), rows) < 1e-6
    if len(matrix) > 2:
        assert p_value(GSquared(), rows) > 0.5


def test_roles_columns_and_names_of_codes_do_not_matter():
    rng = np.random.default_rng(2)
    rows = low_rank_rows(NULL["two common causes"], 30, 2000, rng)
    names = rng.permutation(30)
    base = p_value(ResidualTest(), rows)
    for other in (rows[:, [1, 0, 2, 3]], rows[:, [0, 1, 3, 2]], names[rows]):
        assert p_value(ResidualTest(), other) == pytest.approx(base, rel=1e-6)


def test_many_tests_at_once_equal_one_at_a_time(device):
    rng = np.random.default_rng(3)
    rows = torch.from_numpy(low_rank_rows(random_dag(5, 5, rng), 20, 600, rng)).to(device)
    bound = ResidualTest(components=2).bind(rows, seed=0)
    lines = torch.tensor([[0, 1, 2, 3], [1, 0, 3, 2], [0, 4, 2, 3], [1, 4, 0, 2]])
    together = bound(lines[:, 0], lines[:, 1], lines[:, 2:]).p_value
    for k, line in enumerate(lines):
        alone = bound(line[:1], line[1:2], line[None, 2:]).p_value
        torch.testing.assert_close(alone[0], together[k])
    torch.testing.assert_close(together[0], together[1])


def test_few_codes_and_constant_slots():
    rng = np.random.default_rng(4)
    binary = rng.integers(2, size=(500, 2))
    found = ResidualTest().bind(torch.from_numpy(binary))(
        torch.tensor([0]), torch.tensor([1]), torch.zeros(1, 0, dtype=torch.long)
    )
    assert float(found.degrees_of_freedom) == 2  # one feature of each slot, in both halves
    constant = np.stack([np.zeros(500, dtype=np.int64), binary[:, 0]], 1)
    assert p_value(ResidualTest(), constant) == 1.0


def test_weights_stand_for_repeated_rows():
    codes = torch.from_numpy(np.random.default_rng(5).integers(5, size=(60, 2)))
    times = torch.arange(60) % 3
    line = (torch.tensor([0]), torch.tensor([1]), torch.zeros(1, 0, dtype=torch.long))
    weighted = ResidualTest().bind(codes, weights=times.double(), seed=0)(*line)
    repeated = ResidualTest().bind(codes.repeat_interleave(times, 0), seed=0)(*line)
    torch.testing.assert_close(weighted.p_value, repeated.p_value)


def test_pc_finds_the_skeleton_at_128_codes():
    """Aim: F1 of at least .9. With G2 the same rows give an almost empty graph, and a warning."""
    scores: list[float] = []
    blind: list[float] = []
    for seed in range(2):
        rng = np.random.default_rng(seed)
        truth = CausalGraph.from_numpy(random_dag(8, 10, rng))
        rows = torch.from_numpy(low_rank_rows(truth.to_numpy(), 128, 20_000, rng))
        for test, kept in ((ResidualTest(), scores), (GSquared(), blind)):
            result = learn_graph(rows, method=PC(test=test), seed=seed)
            hits = len(result.graph.skeleton & truth.skeleton)
            kept.append(2 * hits / (result.graph.num_edges + truth.num_edges))
        assert result.status is DiscoveryStatus.FEW_ROWS_PER_CELL
        assert "ResidualTest" in str(result.thin_tables)
    assert min(scores) >= 0.9
    assert max(blind) < 0.5


def test_bad_settings_are_refused():
    with pytest.raises(DataError, match="at least 1 feature, got 0"):
        ResidualTest(components=0)
    with pytest.raises(DataError, match="at least 4 rows"):
        ResidualTest().bind(torch.zeros(3, 2, dtype=torch.long))
