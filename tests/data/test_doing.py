"""Actions as interventions: one mapping each, and one batch of worlds."""

from __future__ import annotations

import pytest
import torch

from ctvae.data.doing import interventions_of, per_unit
from ctvae.errors import UnknownActionError
from ctvae.mechanisms import Hard, Shift
from ctvae.mechanisms.actions import (
    Action,
    JointAction,
    NoAction,
    OpenAction,
    PermuteAction,
    SetAction,
    ShiftAction,
)
from ctvae.scm import SCM
from ctvae.slots import SlotSpace

SLOTS = SlotSpace.from_cardinalities({"a": 3, "b": 4})


def test_each_kind_of_action_has_its_intervention() -> None:
    joint = JointAction("both", (SetAction("", 0, 1), ShiftAction("", 1, -1, 2)))
    found = interventions_of([SetAction("set", 0, 2), NoAction("none"), joint], SLOTS, ["b"])
    expected = [{"a": Hard(2)}, {}, {"a": Hard(1), "b": Shift(-2, wrap=True)}]
    assert repr(found) == repr(expected)  # interventions are compared by what they say


def test_units_are_worlds_of_their_own_actions() -> None:
    scm = SCM.from_edges([("a", "b")], cardinality={"a": 3, "b": 4}, seed=0)
    actions: list[Action] = [SetAction("a=2", 0, 2), NoAction("none"), SetAction("b=0", 1, 0)]
    units, action = scm.sample(60, seed=1), torch.arange(60) % 3
    done = per_unit(interventions_of(actions, SLOTS, []), action)
    after = scm.counterfactual(units, do=done, seed=2)[:, 0]
    assert bool((after[action == 0, 0] == 2).all())
    assert torch.equal(after[action == 1], units[action == 1])
    assert bool((after[action == 2, 1] == 0).all())
    assert torch.equal(after[action == 2, 0], units[action == 2, 0])


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (OpenAction("what"), "no target"),
        (SetAction("what", None, 0), "no target"),
        (PermuteAction("turn", 0), "no intervention"),
    ],
)
def test_actions_that_are_no_intervention_are_refused(action: Action, message: str) -> None:
    with pytest.raises(UnknownActionError, match=message):
        interventions_of([action], SLOTS, [])
