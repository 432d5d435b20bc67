"""Tables: what is one, how it is counted, and that it never changes."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ctvae.errors import CodeError, MechanismError
from ctvae.mechanisms.base import Mechanism
from ctvae.mechanisms.table import TableMechanism

MAKERS = {
    "given": lambda: TableMechanism(torch.tensor([[0.9, 0.1], [0.2, 0.8]])),
    "float64": lambda: TableMechanism(torch.tensor([0.25, 0.75], dtype=torch.float64)),
    "list": lambda: TableMechanism([[0.9, 0.1], [0.2, 0.8]]),
    "half": lambda: TableMechanism(torch.tensor([0.5, 0.5], dtype=torch.float16)),
    "counts": lambda: TableMechanism.from_counts(torch.tensor([[3, 0], [0, 0]])),
    "random": lambda: TableMechanism.random(7, [5, 3], seed=0),
    "peaked": lambda: TableMechanism.random(9, [4], concentration=1e-3, seed=0),
    "many codes": lambda: TableMechanism.random(512, [8], seed=0),
    "fit": lambda: TableMechanism.fit(
        torch.tensor([0, 1, 1]),
        torch.tensor([[0], [1], [1]]),
        cardinality=2,
        parent_cardinalities=[2],
    ),
}


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS.keys())
class TestLawsOfTables:
    def test_rows_sum_to_one_and_shapes_agree(self, make, device):
        mechanism = make().to(device)
        table = mechanism.table()
        assert isinstance(mechanism, Mechanism)
        assert table.device.type == device.type
        assert tuple(table.shape) == (*mechanism.parent_cardinalities, mechanism.cardinality)
        assert bool((table >= 0).all())
        torch.testing.assert_close(table.sum(-1), torch.ones_like(table.sum(-1)))

    def test_copying_keeps_every_bit(self, make):
        table = make().table()
        assert torch.equal(TableMechanism(table).table(), table)

    def test_repr_says_cardinalities(self, make):
        assert f"{make().cardinality} codes" in repr(make())


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 40), st.integers(1, 5), st.booleans())
def test_copying_keeps_every_bit_of_random_tables(seed, codes, rows, single):
    table = TableMechanism.random(codes, [rows], seed=seed).table()
    once = TableMechanism(table.float() if single else table).table()
    assert torch.equal(TableMechanism(once).table(), once)


@pytest.mark.parametrize("codes", [2, 512, 4096])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_a_softmax_is_a_table_however_many_codes(codes, dtype):
    """In float32 the sum of 4,096 rounded entries misses one by more than 1e-6."""
    logits = torch.randn(64, codes, generator=torch.Generator().manual_seed(1), dtype=dtype) * 3
    table = TableMechanism(torch.softmax(logits, -1)).table()
    assert float((table.double().sum(-1) - 1).abs().max()) < 2e-7
    assert torch.equal(TableMechanism(table).table(), table)
    torch.distributions.Categorical(table, validate_args=True)


def test_rounding_is_no_excuse_in_double_precision():
    with pytest.raises(MechanismError, match="off by 2e-06"):
        TableMechanism(torch.full((4096,), (1 + 2e-6) / 4096, dtype=torch.float64))


def test_a_row_off_by_less_than_the_tolerance_is_normalised():
    table = TableMechanism(torch.tensor([0.5, 0.5 + 5e-7], dtype=torch.float64)).table()
    assert float(table.sum()) == pytest.approx(1, abs=1e-15)


def test_the_callers_tensor_is_neither_kept_nor_changed():
    probs = torch.tensor([0.5, 0.5], dtype=torch.float64)
    array = np.array([0.5, 0.5])
    from_tensor, from_array = TableMechanism(probs), TableMechanism(array)
    probs[0], array[0] = 9.0, 9.0
    assert from_tensor.table().tolist() == from_array.table().tolist() == [0.5, 0.5]


def test_dtypes_are_kept_and_lists_are_float64():
    assert TableMechanism([0.1, 0.9]).table().dtype == torch.float64
    assert TableMechanism(torch.tensor([0.5, 0.5])).table().dtype == torch.float32


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_counting_is_the_posterior_mean_cell_by_cell(data):
    codes, parents = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 3))
    count, prior = data.draw(st.integers(0, 30)), data.draw(st.sampled_from([0.5, 1.0, 3.0]))
    generator = torch.Generator().manual_seed(data.draw(st.integers(0, 10**6)))
    child = torch.randint(0, codes, (count,), generator=generator)
    cause = torch.randint(0, parents, (count, 1), generator=generator)
    table = TableMechanism.fit(
        child, cause, cardinality=codes, parent_cardinalities=[parents], pseudocount=prior
    ).table()
    for u in range(parents):
        rows = child[cause[:, 0] == u].tolist()
        for v in range(codes):
            mean = (rows.count(v) + prior) / (len(rows) + codes * prior)
            assert math.isclose(float(table[u, v]), mean, rel_tol=1e-12)


def test_equal_seeds_give_equal_tables_and_others_do_not():
    draw = [TableMechanism.random(4, [3], seed=seed).table() for seed in (0, 0, 1)]
    assert torch.equal(draw[0], draw[1])
    assert not torch.equal(draw[0], draw[2])


def fit(codes: torch.Tensor, parents: torch.Tensor) -> TableMechanism:
    return TableMechanism.fit(codes, parents, cardinality=2, parent_cardinalities=[2])


BAD = {
    "negative": (lambda: TableMechanism([1.5, -0.5]), MechanismError, "not negative"),
    "not a number": (lambda: TableMechanism([math.nan, 1.0]), MechanismError, "finite"),
    "sum": (lambda: TableMechanism([0.5, 0.6]), MechanismError, r"sum to one.*off by 0\.1"),
    "empty": (lambda: TableMechanism(torch.zeros(0, 3)), MechanismError, r"got .*\(0, 3\)"),
    "no codes": (lambda: TableMechanism(torch.zeros(3, 0)), MechanismError, r"\(3, 0\)"),
    "scalar": (lambda: TableMechanism(1.0), MechanismError, "parent_cardinalities"),
    "text": (lambda: TableMechanism("x"), MechanismError, "must be numbers"),
    "complex": (lambda: TableMechanism(torch.ones(1) * 1j), MechanismError, "real numbers"),
    "negative counts": (
        lambda: TableMechanism.from_counts(torch.tensor([-0.5, 3.0])),
        MechanismError,
        "counts must hold finite numbers",
    ),
    "no pseudocount": (
        lambda: TableMechanism.from_counts(torch.ones(2), pseudocount=0),
        MechanismError,
        "pseudocount must be positive, got 0",
    ),
    "no random codes": (lambda: TableMechanism.random(0), MechanismError, "at least 1"),
    "concentration": (
        lambda: TableMechanism.random(2, concentration=0.0),
        MechanismError,
        "positive concentration",
    ),
    "fit out of range": (
        lambda: fit(torch.tensor([0, 5]), torch.tensor([[0], [1]])),
        CodeError,
        "value 5 is outside the codebook of slot 'child'",
    ),
    "fit parents out of range": (
        lambda: fit(torch.tensor([0, 1]), torch.tensor([[0], [7]])),
        CodeError,
        "value 7 .* 'parent 0'",
    ),
    "fit rows": (
        lambda: fit(torch.tensor([0, 1]), torch.tensor([[0]])),
        MechanismError,
        r"got \(2,\) and \(1, 1\)",
    ),
}


@pytest.mark.parametrize(("call", "error", "message"), BAD.values(), ids=BAD.keys())
def test_bad_tables_are_refused_with_the_reason(call, error, message):
    with pytest.raises(error, match=message):
        call()
