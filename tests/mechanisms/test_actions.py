"""Kinds of actions: their targets, their files, and the law counted for them."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from ctvae.errors import UnknownActionError, UnknownSlotError
from ctvae.inference.actions import action_posterior
from ctvae.mechanisms import TransitionProgram
from ctvae.mechanisms.action_files import action_from_dict, action_to_dict
from ctvae.mechanisms.actions import (
    Action,
    JointAction,
    NoAction,
    OpenAction,
    PermuteAction,
    SetAction,
    ShiftAction,
    StochasticAction,
    part_on,
    retarget,
    target_mask,
    targets_of,
)
from ctvae.models import CTVAEConfig
from ctvae.models.config import num_slots

SIZES = (3, 4, 2)
KINDS: dict[str, tuple[Action, tuple[int, ...] | None]] = {
    "shift": (ShiftAction("up", 1, 1, steps=2), (1,)),
    "set": (SetAction("a=2", 0, 2), (0,)),
    "permutation": (PermuteAction("turn", 2), (2,)),
    "random": (StochasticAction("any", 0), (0,)),
    "joint": (JointAction("both", (SetAction("c=0", 2, 0), ShiftAction("b-", 1, -1))), (1, 2)),
    "no-op": (NoAction("nothing"), ()),
    "open": (OpenAction("what?"), None),
    "targetless": (PermuteAction("turn something", None), None),
}
KNOWN = tuple(action for action, targets in KINDS.values() if targets is not None)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_says_what_it_moves_and_survives_its_file(kind: str) -> None:
    action, targets = KINDS[kind]
    assert action.targets == targets
    assert action_from_dict(json.loads(json.dumps(action_to_dict(action)))) == action
    config = CTVAEConfig(actions=(action, NoAction("other")), slots=("a", "b", "c"))
    assert config.actions[0] == action
    assert type(config.actions[0]) is type(action)


def test_marks_and_parts_agree_with_the_targets() -> None:
    mask = target_mask(KNOWN, 3)
    for a, action in enumerate(KNOWN):
        assert mask[a].nonzero()[:, 0].tolist() == list(targets_of(action))
        for slot in range(3):
            part = part_on(action, slot)
            assert (part is not None) == bool(mask[a, slot])
            assert part is None or part.target == slot


def test_renaming_slots_and_back_is_nothing() -> None:
    there, back = {0: 2, 1: 0, 2: 1}, {2: 0, 0: 1, 1: 2}
    for action in KNOWN:
        moved = retarget(action, there)
        assert targets_of(moved) == tuple(sorted(there[slot] for slot in targets_of(action)))
        assert retarget(moved, back) == action


def test_no_ops_need_no_target_and_do_not_count_as_slots() -> None:
    actions = (ShiftAction("+", 0, 1), ShiftAction("-", 0, -1), NoAction("nothing"))
    assert num_slots(CTVAEConfig(actions=actions)) == 1
    free = (ShiftAction("+", None, 1), ShiftAction("-", None, -1), NoAction("nothing"))
    assert num_slots(CTVAEConfig(actions=free)) == 1


def _pairs(n: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    before = torch.stack([torch.randint(k, (n,), generator=generator) for k in SIZES], 1)
    after = torch.stack([torch.randint(k, (n,), generator=generator) for k in SIZES], 1)
    action = torch.randint(len(KNOWN), (n,), generator=generator)
    return before.to(device), action.to(device), after.to(device)


def test_kernels_are_counted_in_each_target_and_copies_elsewhere(device: torch.device) -> None:
    """Against a loop over pairs, slots and codes."""
    before, action, after = _pairs(400, device)
    law = TransitionProgram.fit(
        before, action, after, actions=KNOWN, cardinalities=SIZES, smoothing=0.1
    )
    own = torch.zeros(len(KNOWN), 3, 4, 4).double()
    copy = torch.zeros(3, 4, 4).double()
    for row in range(len(action)):
        a = int(action[row])
        for k in range(3):
            u, v = int(before[row, k]), int(after[row, k])
            if k in targets_of(KNOWN[a]):
                own[a, k, u, v] += 1
            else:
                copy[k, u, v] += 1
    for a, k in itertools.product(range(len(KNOWN)), range(3)):
        size = SIZES[k]
        table = own[a, k] if k in targets_of(KNOWN[a]) else copy[k] + 0.3 * torch.eye(4)
        expected = table[:size, :size] + 0.1
        found = law.kernels[a, k, :size, :size].cpu()
        assert torch.allclose(found, expected / expected.sum(1, keepdim=True))


def test_sequences_with_joint_actions_and_no_ops_are_summed_exactly(device: torch.device) -> None:
    before, action, after = _pairs(300, device)
    law = TransitionProgram.fit(before, action, after, actions=KNOWN, cardinalities=SIZES)
    posterior = action_posterior(law, before[:9], after[:9], length=2)
    for row in range(9):
        joint = []
        for sequence in itertools.product(range(len(KNOWN)), repeat=2):
            value = 1 / len(KNOWN) ** 2
            for k in range(3):
                mine = [a for a in sequence if k in targets_of(KNOWN[a])] or [sequence[0]]
                kernel = torch.eye(4).double()
                for a in mine:
                    kernel = kernel @ law.kernels[a, k].cpu()
                value *= float(kernel[before[row, k], after[row, k]])
            joint.append(value)
        expected = torch.tensor(joint).double()
        assert torch.allclose(posterior.probs[row].cpu(), expected / expected.sum(), atol=1e-10)


def test_no_ops_are_one_class_and_so_are_the_two_ways_of_a_two_cycle(device: torch.device) -> None:
    actions: tuple[Action, ...] = (
        PermuteAction("swap", 0),
        PermuteAction("swap back", 0),
        NoAction("nothing"),
        NoAction("nothing again"),
        SetAction("b=1", 1, 1),
    )
    grid = torch.cartesian_prod(torch.arange(2), torch.arange(2)).repeat(50, 1)
    before = grid.repeat(5, 1)
    action = torch.arange(5).repeat_interleave(200)
    after = before.clone()
    after[action < 2, 0] = 1 - after[action < 2, 0]
    after[action == 4, 1] = 1
    sides = [side.to(device) for side in (before, action, after)]
    law = TransitionProgram.fit(*sides, actions=actions, cardinalities=[2, 2])
    start = torch.tensor([[0, 0], [0, 0], [0, 1]], device=device)
    end = torch.tensor([[1, 0], [0, 0], [0, 1]], device=device)
    posterior = action_posterior(law, start, end)
    classes = posterior.equivalence_class.tolist()
    assert classes[0] == [0, 0, 2, 2, 4]
    assert classes[1] == [0, 0, 2, 2, 4]
    assert classes[2] == [0, 0, 2, 2, 2], "setting what is set already does nothing"
    assert torch.allclose(posterior.probs[0, 0], posterior.probs[0, 1])
    assert float(posterior.probs[0, :2].sum()) > 0.99
    assert float(posterior.probs[1, 2:4].sum()) > 0.99
    assert posterior.accuracy_credit(torch.tensor([1, 3, 4], device=device)).tolist() == (
        pytest.approx([1 / 2, 1 / 2, 1 / 3])
    )


BAD: dict[str, tuple[Callable[[], object], type[Exception], str]] = {
    "a joint action of one part": (
        lambda: JointAction("j", (SetAction("a", 0, 0),)),
        UnknownSlotError,
        "at least two different slots",
    ),
    "two parts on one slot": (
        lambda: JointAction("j", (SetAction("a", 0, 0), PermuteAction("b", 0))),
        UnknownSlotError,
        r"\[0, 0\]",
    ),
    "a part without target": (
        lambda: JointAction("j", (SetAction("a", 0, 0), PermuteAction("b", None))),
        UnknownSlotError,
        "OpenAction",
    ),
    "targets of an open action": (
        lambda: targets_of(OpenAction("o")),
        UnknownActionError,
        "'o' has no target yet",
    ),
    "a law of open actions": (
        lambda: TransitionProgram.fit(
            torch.zeros(2, 1).long(),
            torch.zeros(2).long(),
            torch.zeros(2, 1).long(),
            actions=(OpenAction("o"),),
            cardinalities=[2],
        ),
        UnknownActionError,
        "'o' has no target yet",
    ),
    "some open": (
        lambda: num_slots(CTVAEConfig(actions=(OpenAction("o"), SetAction("a", 0, 0)))),
        UnknownSlotError,
        "but no-ops has a target",
    ),
    "open without slots": (
        lambda: num_slots(CTVAEConfig(actions=(OpenAction("o"), OpenAction("p")))),
        UnknownSlotError,
        "name the slots",
    ),
}


@pytest.mark.parametrize("case", BAD, ids=str)
def test_bad_actions_are_refused(case: str) -> None:
    make, error, message = BAD[case]
    with pytest.raises(error, match=message):
        make()
