"""Interventions rewrite one slot's law; programs pack the laws of one world."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch

from ctvae.errors import InterventionError
from ctvae.mechanisms.interventions import Hard, Intervention
from ctvae.mechanisms.local_law import LocalLaw, cumulative_cuts
from ctvae.mechanisms.merging import merge_interventions
from ctvae.mechanisms.table import TableMechanism
from ctvae.slots import SlotSpace
from tests.oracles import condition, enumerate_joint
from tests.strategies import SCMS

SLOTS = SlotSpace.from_cardinalities({"shape": 3, "hue": 8})
PARENTS = [(), (0,)]


@dataclass(frozen=True, eq=False)
class Swapped:
    """A kind the library does not know: the slot's codes count backwards."""

    @property
    def num_worlds(self) -> int | None:
        return None

    def checked(self, slots: SlotSpace, column: int, parents: tuple[int, ...]) -> Swapped:
        return self

    def reads(self, slots: SlotSpace, parents: tuple[int, ...]) -> tuple[int, ...]:
        return parents

    def rewrite(self, slots: SlotSpace, law: LocalLaw) -> LocalLaw:
        return LocalLaw(law.parents, TableMechanism(law.table.flip(-1)))


def test_a_kind_from_outside_only_has_to_satisfy_the_protocol():
    scm = SCMS["columns against causes"]()
    world = scm.do({"b": Swapped()})
    expected = condition(enumerate_joint(scm), [3, 1])[:, ::-1]
    assert isinstance(Swapped(), Intervention)
    torch.testing.assert_close(world.query(["d", "b"]), torch.tensor(expected.copy()))
    assert "b=" in repr(world)


def test_hard_copies_its_codes():
    codes = torch.tensor([0, 1, 2])
    hard = Hard(codes).checked(SLOTS, 1, (0,))
    codes[:] = 7
    assert torch.as_tensor(hard.value).tolist() == [0, 1, 2]


def test_hard_cuts_parents_and_keeps_the_natural_table():
    natural = TableMechanism(torch.eye(8)[:3])
    law = Hard(5).rewrite(SLOTS, LocalLaw((0,), natural))
    assert law.parents == ()
    assert law.mechanism is natural
    assert law.forced is not None
    assert int(law.forced) == 5


def test_merging_is_in_column_order_and_the_later_value_wins():
    first = merge_interventions(SLOTS, PARENTS, {}, {"hue": 5})
    both = merge_interventions(SLOTS, PARENTS, first, {"shape": 1, "hue": 6})
    assert {name: str(law) for name, law in both.items()} == {"shape": "1", "hue": "6"}
    assert {name: str(law) for name, law in first.items()} == {"hue": "5"}


def test_an_earlier_batch_may_be_replaced_by_one_of_another_length():
    first = merge_interventions(SLOTS, PARENTS, {}, {"hue": torch.tensor([1, 2])})
    second = merge_interventions(SLOTS, PARENTS, first, {"hue": torch.tensor([1, 2, 3])})
    assert second["hue"].num_worlds == 3
    with pytest.raises(InterventionError, match="hue: 2, shape: 3"):
        merge_interventions(SLOTS, PARENTS, first, {"shape": torch.tensor([0, 0, 1])})


@pytest.mark.parametrize("make", SCMS.values(), ids=SCMS.keys())
class TestLawsOfPrograms:
    def test_parents_come_before_children_and_in_column_order(self, make):
        program = make().program
        assert sorted(program.order) == list(range(len(program.slots)))
        for column in program.order:
            parents = program.parents[column]
            assert list(parents) == sorted(parents)
            place = program.order.index
            assert all(place(parent) < place(column) for parent in parents)

    def test_a_program_is_packed_once_and_worlds_share_the_tables(self, make):
        scm = make()
        assert scm.program is scm.program
        world = scm.do({0: 0}).program
        for column, law in enumerate(scm.program.laws):
            if law.forced is None:
                assert torch.equal(law.table, scm.mechanisms[scm.slots.names[column]].table())
            assert (law.table is world.laws[column].table) == (column > 0)

    def test_a_table_handed_out_does_not_reach_the_model(self, make):
        scm = make()
        before = scm.query(0)
        for law in scm.mechanisms.values():
            if isinstance(law, TableMechanism):
                law.table().zero_()
        assert torch.equal(scm.query(0), before)

    def test_no_draw_below_one_passes_the_cuts_of_impossible_codes(self, make):
        program = make().program
        for local in program.laws:
            law, cuts = local.table.reshape(-1, local.table.shape[-1]), local.cuts
            assert bool((cuts[1:] >= cuts[:-1]).all())
            impossible_end = law.flip(1).cumsum(1).flip(1)[:, 1:].T == 0
            assert bool((cuts[impossible_end] == 1).all())


def test_forced_values_are_read_only():
    program = SCMS["done"]().program
    with pytest.raises(TypeError):
        program.forced[0] = torch.tensor(1)  # type: ignore[index]  # that is the point


def test_cuts_before_impossible_codes_are_one_although_single_precision_rows_are_not():
    # A float32 row whose entries sum to less than one in float64.
    row = TableMechanism(torch.tensor([0.1] * 10 + [0.0])).table() * (1 - 1e-7)
    assert float(row.double().sum()) < 1
    assert float(cumulative_cuts(row[None])[-1]) == 1
