"""Deterministic laws: the function itself as the oracle, and what is refused."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ctvae.errors import CTVAEError, MechanismError, ShapeError, StateSpaceError
from ctvae.graph.causal_graph import CausalGraph
from ctvae.mechanisms.base import Mechanism
from ctvae.mechanisms.function import FunctionMechanism
from ctvae.mechanisms.table import TableMechanism
from ctvae.scm import SCM
from ctvae.slots import Slot

MANY = [2] * 30
"""Parents with too many joint codes for a table."""


def parity(*parents: Tensor) -> Tensor:
    total = torch.zeros_like(parents[0])
    for parent in parents:
        total = total + parent
    return total % 2


Case = tuple[Callable[[], FunctionMechanism], Callable[..., int]]
CASES: dict[str, Case] = {
    "a constant": (lambda: FunctionMechanism(lambda: torch.tensor(2), 3), lambda: 2),
    "a constant of parents": (
        lambda: FunctionMechanism(lambda a, b: torch.tensor(1), 3, [2, 4]),
        lambda a, b: 1,
    ),
    "the parent itself": (lambda: FunctionMechanism(lambda a: a, 4, [4]), lambda a: a),
    "sum modulo 5, unequal sizes": (
        lambda: FunctionMechanism(lambda a, b, c: (a + 2 * b + 3 * c) % 5, 5, [2, 3, 4]),
        lambda a, b, c: (a + 2 * b + 3 * c) % 5,
    ),
    "a table of codes": (
        lambda: FunctionMechanism(torch.tensor([[1, 0, 2], [2, 2, 0]]), 3, [2, 3]),
        lambda a, b: [[1, 0, 2], [2, 2, 0]][a][b],
    ),
    "small integers": (
        lambda: FunctionMechanism(lambda a: (a > 1).to(torch.uint8), 2, [4]),
        lambda a: int(a > 1),
    ),
    "one code": (lambda: FunctionMechanism(lambda a: a * 0, 1, [3]), lambda a: 0),
}
"""Name to a law and the same function in plain Python. Every law below holds for each."""


def rows_of(law: FunctionMechanism) -> list[tuple[int, ...]]:
    return list(itertools.product(*(range(size) for size in law.parent_cardinalities)))


@pytest.mark.parametrize(("make", "plain"), CASES.values(), ids=CASES.keys())
class TestLawsOfFunctions:
    def test_codes_are_the_function_at_every_row(self, make, plain, device):
        law = make().to(device)
        rows = rows_of(law)
        parents = torch.tensor(rows, dtype=torch.long, device=device).reshape(len(rows), -1)
        codes = law.codes(parents)
        assert codes.dtype == torch.int64
        assert codes.device.type == law.device.type == device.type
        assert codes.tolist() == [plain(*row) for row in rows]
        assert law.code_table().reshape(-1).tolist() == codes.tolist()

    def test_log_probs_are_zero_at_the_code_and_impossible_elsewhere(self, make, plain, device):
        law = make().to(device)
        for row in rows_of(law):
            logs = law.log_probs(torch.tensor(row, dtype=torch.long, device=device)).tolist()
            expected = [0.0 if v == plain(*row) else -torch.inf for v in range(law.cardinality)]
            assert logs == expected

    def test_the_table_is_the_law(self, make, plain, device):
        law = make().to(device)
        table, codes = law.table(), [plain(*row) for row in rows_of(law)]
        assert tuple(table.shape) == (*law.parent_cardinalities, law.cardinality)
        assert bool((table.sum(-1) == 1).all())
        assert table.reshape(-1, law.cardinality).argmax(-1).tolist() == codes

    def test_a_law_read_from_its_codes_is_the_same(self, make, plain):
        law = make()
        again = FunctionMechanism(law.code_table(), law.cardinality, law.parent_cardinalities)
        assert torch.equal(again.code_table(), law.code_table())


@given(data=st.data())
@settings(max_examples=30, deadline=None)
def test_batches_have_any_shape(data):
    shape = tuple(data.draw(st.lists(st.integers(0, 3), max_size=3)))
    law = FunctionMechanism(lambda a, b: (a * b) % 3, 3, [4, 5])
    generator = torch.Generator().manual_seed(data.draw(st.integers(0, 1000)))
    a = torch.randint(0, 4, shape, generator=generator)
    b = torch.randint(0, 5, shape, generator=generator)
    parents = torch.stack([a, b], -1)
    assert torch.equal(law.codes(parents), (a * b) % 3)
    assert law.log_probs(parents).shape == (*shape, 3)


def test_the_function_is_called_once_and_never_again():
    calls = []

    def counted(a: Tensor) -> Tensor:
        calls.append(a)
        return a

    law = FunctionMechanism(counted, 3, [3])
    law.codes(torch.tensor([[1], [2]]))
    law.table()
    assert len(calls) == 1


def test_neither_the_callers_table_nor_its_parents_can_change_the_law():
    codes = torch.tensor([0, 1, 1])
    law = FunctionMechanism(codes, 2, [3])
    codes[0] = 1
    assert law.code_table().tolist() == [0, 1, 1]
    greedy = FunctionMechanism(lambda *parents: parents[0].zero_(), 2, MANY)
    parents = torch.ones(5, 30, dtype=torch.long)
    assert greedy.codes(parents).tolist() == [0] * 5
    assert bool((parents == 1).all())


class TestMoreParentsThanATableHolds:
    def test_codes_and_log_probs_are_the_function(self, device):
        law = FunctionMechanism(parity, 2, MANY).to(device)
        generator = torch.Generator().manual_seed(0)
        parents = torch.randint(0, 2, (4, 25, 30), generator=generator).to(device)
        codes = law.codes(parents)
        assert torch.equal(codes, parents.sum(-1) % 2)
        logs = law.log_probs(parents)
        assert torch.equal(logs.argmax(-1), codes)
        assert bool((logs.amin(-1) == -torch.inf).all())
        assert law.device.type == device.type

    def test_tables_say_their_size(self):
        law = FunctionMechanism(parity, 2, MANY)
        for write in (law.table, law.code_table):
            with pytest.raises(StateSpaceError, match=r"1\.07e\+09|2\.15e\+09") as told:
                write()
            assert told.value.entries >= 2**30

    def test_each_answer_is_checked_and_the_first_bad_row_named(self):
        law = FunctionMechanism(lambda *p: sum(p), 2, MANY)
        parents = torch.zeros(4, 30, dtype=torch.long)
        assert law.codes(parents[:2]).tolist() == [0, 0]
        parents[2, :3] = 1
        row = [1, 1, 1] + [0] * 27
        with pytest.raises(MechanismError, match=re.escape(f"gives 3 for parents {row}")):
            law.codes(parents)

    def test_a_model_draws_and_scores_with_it(self, device):
        names = [f"p{k}" for k in range(30)]
        graph = CausalGraph.from_edges([(name, "odd") for name in names], nodes=[*names, "odd"])
        laws = {name: TableMechanism([0.3, 0.7]) for name in names}
        odd = FunctionMechanism(parity, 2, MANY)
        scm = SCM(graph, [*(Slot(n, 2) for n in names), Slot("odd", 2)], {**laws, "odd": odd})
        codes = scm.to(device).sample(500, seed=0)
        assert torch.equal(codes[:, -1], codes[:, :-1].sum(-1) % 2)
        ones = codes[:, :-1].double().sum(-1)
        expected = ones * torch.tensor(0.7).double().log() + (30 - ones) * torch.tensor(0.3).log()
        torch.testing.assert_close(
            scm.to(device).log_prob(codes).double(), expected, rtol=1e-5, atol=1e-5
        )


def fails_at_two(a: Tensor) -> Tensor:
    if a.ndim == 0 and int(a) != 2:
        return a
    msg = "no code for two"
    raise RuntimeError(msg)


BAD: dict[str, tuple[Callable[[], object], type[CTVAEError], str]] = {
    "floats": (
        lambda: FunctionMechanism(lambda a: a / 2, 2, [2]),
        MechanismError,
        "integer codes 0..1, got dtype torch.float32; round it and end it with .long()",
    ),
    "booleans": (
        lambda: FunctionMechanism(lambda a: a == 1, 2, [2]),
        MechanismError,
        "got dtype torch.bool",
    ),
    "a code above the codebook": (
        lambda: FunctionMechanism(lambda a, b: a + b, 3, [2, 3]),
        MechanismError,
        "the function gives 3 for parents [1, 2], outside the codebook (codes 0..2)",
    ),
    "a negative code": (
        lambda: FunctionMechanism(lambda a, b: a - b, 3, [3, 3]),
        MechanismError,
        "the function gives -1 for parents [0, 1]",
    ),
    "a constant outside": (
        lambda: FunctionMechanism(lambda: torch.tensor(3), 3),
        MechanismError,
        "the function gives 3 for parents []",
    ),
    "a shape that would broadcast": (
        lambda: FunctionMechanism(lambda a, b: torch.tensor([0, 1, 0]), 2, [2, 3]),
        MechanismError,
        "one code per row of parents, shape (2, 3), or a single one; got shape (3,)",
    ),
    "a failure at one row": (
        lambda: FunctionMechanism(fails_at_two, 5, [5]),
        MechanismError,
        "the function failed on the grid of its parents' codes, first at [2]: no code for two",
    ),
    "a function of numbers, not tensors": (
        lambda: FunctionMechanism(lambda a, b: a if a > b else b, 3, [3, 3]),
        MechanismError,
        "such as torch.where instead of if",
    ),
    "something that is no code": (
        lambda: FunctionMechanism(lambda a: "two", 3, [3]),  # type: ignore[arg-type,return-value]
        MechanismError,
        "the function failed on the grid",
    ),
    "a table of another shape": (
        lambda: FunctionMechanism(torch.tensor([0, 1]), 2, [3]),
        MechanismError,
        "a table of codes must be (3,), one per row of parents; got (2,)",
    ),
    "a table outside the codebook": (
        lambda: FunctionMechanism(torch.tensor([[0, 1], [5, 0]]), 2, [2, 2]),
        MechanismError,
        "the function gives 5 for parents [1, 0]",
    ),
    "no codes": (
        lambda: FunctionMechanism(lambda a: a, 0, [3]),
        MechanismError,
        "cardinalities of at least 1, got 0 and (3,)",
    ),
    "a failure at use": (
        lambda: FunctionMechanism(fails_at_two, 5, MANY).codes(torch.zeros(2, 30).long()),
        MechanismError,
        "the function failed on rows of its parents' codes, first at [0, 0",
    ),
    "rows of other parents": (
        lambda: FunctionMechanism(lambda a, b: a, 3, [3, 3]).codes(torch.zeros(4, 1).long()),
        ShapeError,
        "parents must be (*batch, 2), got (4, 1)",
    ),
}


@pytest.mark.parametrize(("wrong", "error", "told"), BAD.values(), ids=BAD.keys())
def test_what_is_no_function_of_the_parents_is_told(wrong, error, told):
    with pytest.raises(error, match=re.escape(told)):
        wrong()


def test_functions_are_mechanisms():
    for make, _ in CASES.values():
        assert isinstance(make(), Mechanism)
    assert isinstance(FunctionMechanism(parity, 2, MANY), Mechanism)


def test_repr_says_cardinalities():
    assert repr(FunctionMechanism(lambda a: a, 3, [3])) == "FunctionMechanism(3 codes of (3))"
