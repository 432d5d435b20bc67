"""Slots and slot spaces: names, columns and codes, and what bad input is told."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ctvae.errors import CodeError, CTVAEError, ShapeError, UnknownSlotError
from ctvae.slots import Slot, SlotSpace
from tests.strategies import slot_spaces

SPACE = SlotSpace([Slot("shape", 3), Slot("hue", 8)])
SPACES = {
    "named": lambda: SPACE,
    "one slot": lambda: SlotSpace([Slot("a", 1)]),
    "from a mapping": lambda: SlotSpace.from_cardinalities({"shape": 3, "hue": 8}),
    "from sizes": lambda: SlotSpace.from_cardinalities([2, 3, 4], prefix="n"),
    "no slots": lambda: SlotSpace([]),
    "many codes": lambda: SlotSpace.from_cardinalities([200, 1]),
}


@pytest.mark.parametrize("make", SPACES.values(), ids=SPACES.keys())
class TestLawsOfSlotSpaces:
    def test_names_columns_and_slots_are_one_order(self, make):
        space = make()
        assert len(space) == len(list(space)) == len(space.names) == len(space.cardinalities)
        for column, slot in enumerate(space):
            assert space.index(slot.name) == space.index(column) == column
            assert space[slot.name] is space[column] is slot
            assert (slot.name, slot.cardinality) == (
                space.names[column],
                space.cardinalities[column],
            )
            assert f"{slot.name}:{slot.cardinality}" in repr(space)

    def test_equal_slots_are_equal_spaces(self, make):
        space = make()
        again = SlotSpace(list(space))
        assert again == space
        assert hash(again) == hash(space)
        assert space != SlotSpace([*space, Slot("another", 2)])
        assert space != list(space)

    def test_the_last_code_is_a_code_and_the_next_is_not(self, make, device):
        space = make()
        for slot in space:
            last = torch.tensor([0, slot.cardinality - 1], device=device)
            checked = space.check_value(slot.name, last.int())
            assert torch.equal(checked, last)
            assert checked.device.type == device.type
            with pytest.raises(CodeError, match=f"value {slot.cardinality} is outside"):
                space.check_value(slot.name, slot.cardinality)


@settings(max_examples=30, deadline=None)
@given(slot_spaces(), st.data())
def test_rows_split_by_name_and_put_together_are_the_rows(space, data):
    shape = tuple(data.draw(st.lists(st.integers(0, 3), max_size=3)))
    generator = torch.Generator().manual_seed(data.draw(st.integers(0, 10**6)))
    codes = torch.stack(
        [torch.randint(0, size, shape, generator=generator) for size in space.cardinalities], -1
    )
    kind = data.draw(st.sampled_from([torch.uint8, torch.int16, torch.int64]))
    split = space.to_dict(codes.to(kind))
    assert tuple(split) == space.names
    assert torch.equal(torch.stack(list(split.values()), -1), codes)
    assert space.check_codes(codes.to(kind)).dtype == torch.int64


@settings(max_examples=30, deadline=None)
@given(slot_spaces(), st.data())
def test_one_code_outside_is_found_wherever_it_stands(space, data):
    codes = torch.zeros(4, 3, len(space), dtype=torch.long)
    column = data.draw(st.integers(0, len(space) - 1))
    bad = data.draw(st.sampled_from([-1, space.cardinalities[column], 2**40]))
    codes[data.draw(st.integers(0, 3)), data.draw(st.integers(0, 2)), column] = bad
    with pytest.raises(CodeError, match=f"value {bad} is outside .* {space.names[column]!r}"):
        space.check_codes(codes)


def test_values_may_be_integers_lists_arrays_and_tensors():
    assert SPACE.check_value("hue", 7).shape == ()
    many: list[Any] = [[0, 7], np.array([0, 7]), torch.tensor([0, 7], dtype=torch.uint8)]
    for values in many:
        checked = SPACE.check_value("hue", values)
        assert checked.tolist() == [0, 7]
        assert checked.dtype == torch.int64


def test_slices_are_slots():
    assert list(SPACE[1:]) == [Slot("hue", 8)]


WRONG: Any = object()  # untyped, as callers without a type checker are


def slot(name: Any, cardinality: Any) -> Slot:
    return Slot(name, cardinality)


BAD: dict[str, tuple[Any, type[CTVAEError], str]] = {
    "no name": (lambda: slot("", 2), CodeError, "non-empty text, got ''"),
    "a number for a name": (lambda: slot(3, 2), CodeError, "non-empty text, got 3"),
    "no codes": (lambda: slot("a", 0), CodeError, "'a': cardinality must be at least 1, got 0"),
    "float cardinality": (lambda: slot("a", 2.0), CodeError, "must be an integer, got 2.0"),
    "bool cardinality": (lambda: slot("a", True), CodeError, "must be an integer, got True"),
    "two of one name": (
        lambda: SlotSpace([Slot("a", 2), Slot("a", 3)]),
        CodeError,
        "two slots are named 'a'",
    ),
    "no slot": (lambda: SlotSpace(["hue"]), CodeError, "got 'hue'; write"),  # type: ignore[list-item]  # that is the point
    "unknown name": (lambda: SPACE.index("hu"), UnknownSlotError, "did you mean 'hue'"),
    "name far from all": (lambda: SPACE.index("zzz"), UnknownSlotError, r"shape, hue\)$"),
    "negative index": (lambda: SPACE.index(-1), UnknownSlotError, "run from 0 to 1"),
    "index outside": (lambda: SPACE[2], UnknownSlotError, "slot 2 is not in this model"),
    "a truth for an index": (lambda: SPACE.index(True), UnknownSlotError, "slot True"),
    "unknown slot of a value": (lambda: SPACE.check_value("hu", 0), UnknownSlotError, "'hue'"),
    "float": (
        lambda: SPACE.check_value("hue", torch.tensor(1.0)),
        CodeError,
        r"codes 0\.\.7, got a tensor of dtype torch.float32 .*a slot is finite",
    ),
    "complex": (lambda: SPACE.check_value("hue", torch.ones(1) * 1j), CodeError, "complex64"),
    "truth": (lambda: SPACE.check_value("hue", True), CodeError, r"True \(bool\)"),
    "no number": (lambda: SPACE.check_value("hue", WRONG), CodeError, r"\(object\)"),
    "too large": (lambda: SPACE.check_value("hue", 2**70), CodeError, "takes integer codes"),
    "outside": (lambda: SPACE.check_value("hue", 8), CodeError, r"value 8 .* \(codes 0\.\.7\)"),
    "below": (lambda: SPACE.check_value("hue", -1), CodeError, "value -1 is outside"),
    "two axes": (
        lambda: SPACE.check_value("hue", torch.zeros(2, 1).long()),
        ShapeError,
        r"must be \(\) or \(batch,\), got \(2, 1\)",
    ),
    "rows of a list": (
        lambda: SPACE.check_codes([[0, 0]]),  # type: ignore[arg-type]  # that is the point
        ShapeError,
        r"integer tensor .*got \[\[0, 0\]\] \(list\)",
    ),
    "rows of other columns": (
        lambda: SPACE.check_codes(torch.zeros(4, 3).long()),
        ShapeError,
        r"\(shape, hue\); got \(4, 3\)",
    ),
    "a row of nothing": (lambda: SPACE.check_codes(torch.tensor(0)), ShapeError, r"got \(\)"),
    "float rows": (lambda: SPACE.check_codes(torch.zeros(4, 2)), CodeError, "torch.float32"),
    "truth rows": (lambda: SPACE.check_codes(torch.zeros(4, 2).bool()), CodeError, "torch.bool"),
}


@pytest.mark.parametrize("case", BAD, ids=str)
def test_bad_input_is_told_what_where_and_the_way_out(case):
    call, error, message = BAD[case]
    with pytest.raises(error, match=message):
        call()
