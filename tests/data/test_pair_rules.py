"""Pair rules against brute force over all pairs of images."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import pytest
import torch

from ctvae.data import (
    ImageSet,
    JointEdits,
    NoOps,
    OnFactors,
    PairRule,
    PermuteValues,
    SetAtRandom,
    SetTo,
    SeveralRules,
    StepAround,
    StepBy,
    Transitions,
    colour_world,
    composed_pairs,
    transition_pairs,
    with_renderings,
)
from ctvae.errors import DataError, UnknownActionError, UnknownSlotError
from ctvae.mechanisms.actions import (
    Action,
    JointAction,
    NoAction,
    PermuteAction,
    SetAction,
    ShiftAction,
    SlotAction,
    part_on,
    target_mask,
)
from tests.data.grids import grid, grid_pairs

SIZES = (4, 3, 5)
ON_TWO = (OnFactors(("f0",), StepBy()), OnFactors(("f2",), SetTo()))
RULES: dict[str, PairRule] = {
    "steps": StepBy(),
    "steps of two": StepBy(2),
    "around": StepAround(),
    "two around": StepAround(2),
    "set": SetTo(),
    "random": SetAtRandom(),
    "permutations": PermuteValues(seed=3, count=2),
    "no-op": SeveralRules((StepBy(), NoOps())),
    "some factors": OnFactors(("f2", "f0"), StepBy()),
    "joint": JointEdits(ON_TWO),
    "three at once": JointEdits((JointEdits(ON_TWO), OnFactors(("f1",), SetAtRandom()))),
}
CIRCLES = {"around", "two around"}


def _may_lead(part: SlotAction, start: int, end: int, size: int, *, circle: bool) -> bool:
    """Whether an action on one factor may lead from one value to another."""
    if isinstance(part, ShiftAction):
        off = end - start - part.displacement
        return off % size == 0 if circle else off == 0
    return start != end and not (isinstance(part, SetAction) and part.value != end)


def _may_join(action: Action, start: list[int], end: list[int], *, circle: bool) -> bool:
    for slot, size in enumerate(SIZES):
        part = part_on(action, slot)
        if part is None and start[slot] != end[slot]:
            return False
        if part is not None and not _may_lead(part, start[slot], end[slot], size, circle=circle):
            return False
    return True


@pytest.mark.parametrize("name", RULES)
def test_pairs_are_all_those_that_their_actions_allow(name: str) -> None:
    images = grid(SIZES, kept=0.6, seed=1)
    pairs = grid_pairs(images, RULES[name])
    found = set(zip(*(t.tolist() for t in (pairs.before, pairs.action, pairs.after)), strict=True))
    assert len(found) == len(pairs), "no pair twice"
    factors = images.moved_factors.tolist()
    allowed = {
        (i, a, j)
        for (i, start), (a, action), (j, end) in product(
            enumerate(factors), enumerate(pairs.actions), enumerate(factors)
        )
        if _may_join(action, start, end, circle=name in CIRCLES)
    }
    if not any(isinstance(action, PermuteAction) for action in pairs.actions):
        assert found == allowed
    else:
        assert found < allowed


def test_permutations_are_cycles_through_all_values() -> None:
    rule, names = PermuteValues(seed=5, count=2), ["a", "b"]
    sizes = [6, 2]
    for number, action in enumerate(rule.actions(names, sizes)):
        moves = [c.moves[0] for c in rule.changes(names, sizes) if c.action == number]
        assert isinstance(action, PermuteAction)
        follow = {move.start: move.end for move in moves}
        value, seen = 0, []
        for _ in follow:
            seen.append(value)
            value = follow[value]
        assert value == 0
        assert sorted(seen) == list(range(sizes[moves[0].factor]))
    assert rule.changes(names, sizes) == rule.changes(names, sizes)
    assert rule.changes(names, sizes) != PermuteValues(seed=6, count=2).changes(names, sizes)


def test_composed_pairs_are_two_actions_on_different_factors() -> None:
    images = grid((4, 3, 5))
    rule = SeveralRules((OnFactors(("f1",), StepBy()), JointEdits(ON_TWO), NoOps()))
    two = composed_pairs(images, rule)
    actions = rule.actions(images.moved.names, images.moved.cardinalities)
    marks = target_mask(actions, 3)
    first, second = marks[two.sequence[:, 0]], marks[two.sequence[:, 1]]
    assert len(two.before)
    assert not bool((first & second).any())
    assert bool(first.any(1).all())
    assert bool(second.any(1).all())
    before, after = images.moved_factors[two.before], images.moved_factors[two.after]
    assert torch.equal(before != after, first | second)


def test_other_renderings_show_the_same_factors_in_other_scenes() -> None:
    images = colour_world().edits(12, seed=0)
    plain = transition_pairs(images, StepBy())
    more = with_renderings(plain, images)
    new = (more.action == len(plain.actions)).nonzero()[:, 0]
    new_before, new_after = more.before[new], more.after[new]
    assert more.actions[-1] == NoAction("drawn again")
    assert torch.equal(more.before[: len(plain)], plain.before)
    before, after = (images.moved_factors[rows] for rows in (new_before, new_after))
    assert torch.equal(before, after)
    scene = images.space.index("scene")
    assert bool((images.factors[new_before, scene] != images.factors[new_after, scene]).all())
    keys = [tuple(row) for row in images.moved_factors.tolist()]
    assert len(new) == sum(keys.count(key) > 1 for key in keys)


def _whole() -> ImageSet:
    return grid((3, 3))


def _pairs() -> Transitions:
    return grid_pairs(_whole(), StepBy())


BAD: dict[str, tuple[Callable[[], object], type[Exception], str]] = {
    "no steps": (lambda: StepBy(0), DataError, "whole number of at least 1, got 0"),
    "half a step": (lambda: StepAround(0.5), DataError, "got 0.5"),  # type: ignore[arg-type]
    "no permutation": (lambda: PermuteValues(count=0), DataError, "at least 1"),
    "one rule at once": (lambda: JointEdits((StepBy(),)), DataError, "two rules or more"),
    "a factor that is not there": (
        lambda: grid_pairs(_whole(), OnFactors(("f7",), StepBy())),
        UnknownSlotError,
        "'f7' is not one of the factors moved",
    ),
    "one name twice": (
        lambda: grid_pairs(_whole(), SeveralRules((StepBy(), StepBy()))),
        UnknownActionError,
        "two actions are named 'f0 \\+1'",
    ),
    "nothing at once with something": (
        lambda: grid_pairs(_whole(), JointEdits((NoOps(), StepBy()))),
        UnknownSlotError,
        "at least two different slots",
    ),
    "no other rendering": (
        lambda: with_renderings(_pairs(), _whole()),
        DataError,
        "no two images show the same factors",
    ),
    "a name that is taken": (
        lambda: with_renderings(
            transition_pairs(colour_world().edits(9, seed=0), StepBy()),
            colour_world().edits(9, seed=0),
            name="hue +1",
        ),
        UnknownActionError,
        "two actions are named 'hue \\+1'",
    ),
}


@pytest.mark.parametrize("case", BAD, ids=str)
def test_bad_rules_are_refused(case: str) -> None:
    make, error, message = BAD[case]
    with pytest.raises(error, match=message):
        make()


def test_joint_names_tell_their_parts() -> None:
    actions = RULES["joint"].actions(["f0", "f1", "f2"], SIZES)
    assert len(actions) == 2 * 5
    assert actions[0].name == "f0 +1 & f2 = 0"
    assert isinstance(actions[0], JointAction)
    assert [part.name for part in actions[0].parts] == ["f0 +1", "f2 = 0"]
