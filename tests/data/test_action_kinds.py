"""What pairs of any kind of action say: codes, targets and labels, against the generator."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ctvae.data import (
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
    find_targets,
    link_codes,
    mini_sprites,
    share_labels,
    split_groups,
    transition_pairs,
    with_renderings,
)
from ctvae.data.alignment import align_contexts
from ctvae.data.cells import Order
from ctvae.errors import DataError
from ctvae.mechanisms.actions import (
    Action,
    JointAction,
    NoAction,
    OpenAction,
    PermuteAction,
    SetAction,
    ShiftAction,
    StochasticAction,
    targets_of,
)
from tests.data.grids import grid, grid_pairs, same_partition
from tests.data.rules import several_rules

ON = OnFactors
STEPS = JointEdits((ON(("x",), StepBy()), ON(("y",), StepBy())))
MIXTURE = SeveralRules((
    ON(("shape",), PermuteValues()),
    ON(("scale",), SetAtRandom()),
    ON(("orientation",), StepAround()),
    ON(("x",), StepBy()),
    ON(("x",), SetTo()),
    ON(("y",), SetTo()),
    JointEdits((ON(("shape",), SetAtRandom()), ON(("y",), StepBy()))),
    NoOps(),
))
LONG = ON(("scale", "orientation", "x", "y"), StepBy(2))
RULES: dict[str, PairRule] = {
    "steps of one and two": SeveralRules((StepBy(), LONG)),
    "around": StepAround(),
    "set": SetTo(),
    "permutation": PermuteValues(),
    "two permutations": PermuteValues(count=2),
    "random": SetAtRandom(),
    "no-op": SeveralRules((StepBy(), NoOps())),
    "joint steps": SeveralRules((StepBy(), STEPS)),
    "mixture": MIXTURE,
}


def opened(pairs: Transitions) -> Transitions:
    return replace(pairs, actions=tuple(OpenAction(action.name) for action in pairs.actions))


def slot_of(true: tuple[Action, ...], found: tuple[Action, ...]) -> dict[int, int]:
    """The slot found for each true slot, by the actions that move it alone."""
    both = [(targets_of(a), targets_of(b)) for a, b in zip(true, found, strict=True)]
    return {a[0]: b[0] for a, b in reversed(both) if len(a) == len(b) == 1}


def are_renamed(true: tuple[Action, ...], found: tuple[Action, ...]) -> bool:
    slots = slot_of(true, found)
    return len(set(slots.values())) == len(slots) and all(
        tuple(sorted(slots.get(slot, -1) for slot in targets_of(a))) == targets_of(b)
        for a, b in zip(true, found, strict=True)
    )


@pytest.mark.parametrize("name", RULES)
def test_codes_of_sprites_are_their_factors_whatever_is_said_of_the_actions(name: str) -> None:
    images = mini_sprites()
    pairs = transition_pairs(images, RULES[name], rows=split_groups(images.units)[0])
    used = pairs.used_images()
    found = find_targets(opened(pairs))
    assert found is not None
    assert are_renamed(pairs.actions, found)
    slots = slot_of(pairs.actions, found)
    for actions, order in ((pairs.actions, range(5)), (found, [slots[k] for k in range(5)])):
        linked = link_codes(replace(pairs, actions=actions))
        assert linked.contradictions == 0
        assert linked.known(used) == 1
        assert tuple(linked.cardinalities[k] for k in order) == (3, 4, 4, 8, 8)
        for factor, slot in enumerate(order):
            assert same_partition(linked.codes[used, slot], images.factors[used, factor])


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_codes_of_a_whole_grid_are_its_factors(data: st.DataObject) -> None:
    sizes = data.draw(st.lists(st.integers(2, 5), min_size=2, max_size=3))
    rule = data.draw(several_rules(len(sizes), joint=data.draw(st.booleans())))
    images = grid(sizes)
    linked = link_codes(grid_pairs(images, rule))
    assert linked.cardinalities == tuple(sizes)
    assert linked.contradictions == 0
    for k in range(len(sizes)):
        assert same_partition(linked.codes[:, k], images.factors[:, k])


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_codes_of_a_part_of_a_grid_never_mix_values(data: st.DataObject) -> None:
    """Where no order says more, images of one code show one value; values may stay open."""
    seed, kept = data.draw(st.integers(0, 10**6)), data.draw(st.floats(0.4, 0.9))
    rule = SeveralRules((
        ON(("f0",), PermuteValues(seed)),
        ON(("f1",), SetAtRandom()),
        ON(("f2",), SetTo()),
        JointEdits((ON(("f0",), SetAtRandom()), ON(("f2",), PermuteValues(seed)))),
    ))
    images = grid([4, 3, 5], kept=kept, seed=seed)
    linked = link_codes(grid_pairs(images, rule))
    assert linked.contradictions == 0
    for k in range(3):
        known = linked.codes[:, k] >= 0
        assert same_partition(linked.codes[known, k], images.factors[known, k])


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_targets_are_found_from_names_alone(data: st.DataObject) -> None:
    """Any kinds and numbers of single actions, and no-ops."""
    sizes = data.draw(st.lists(st.integers(2, 5), min_size=2, max_size=3))
    pairs = grid_pairs(grid(sizes), data.draw(several_rules(len(sizes), joint=False)))
    found = find_targets(opened(pairs))
    assert found is not None
    assert are_renamed(pairs.actions, found)


@settings(max_examples=12, deadline=None)
@given(st.data())
def test_targets_of_joint_actions_are_right_or_not_given(data: st.DataObject) -> None:
    """In small worlds joint and single actions may be each other's; then nothing is said."""
    sizes = data.draw(st.lists(st.integers(2, 5), min_size=2, max_size=3))
    pairs = grid_pairs(grid(sizes), data.draw(several_rules(len(sizes), joint=True)))
    found = find_targets(opened(pairs))
    assert found is None or are_renamed(pairs.actions, found)


def test_kinds_are_told_from_the_codes() -> None:
    images = mini_sprites()
    pairs = transition_pairs(images, MIXTURE, rows=split_groups(images.units)[0])
    found = find_targets(opened(pairs))
    assert found is not None
    for true, action in zip(pairs.actions, found, strict=True):
        if isinstance(true, ShiftAction | PermuteAction):
            assert isinstance(action, PermuteAction), "one value to one; the order is not said"
        elif isinstance(true, JointAction):
            assert isinstance(action, JointAction)
            kinds = {type(part) for part in action.parts}
            assert kinds == {StochasticAction, PermuteAction}
        else:
            assert type(action) is type(true)


@pytest.mark.parametrize("steps", [(1, 2), (1, 3), (2, 3)])
def test_shifts_of_several_lengths_get_their_directions(steps: tuple[int, int]) -> None:
    rule = SeveralRules(tuple(StepBy(size) for size in steps))
    pairs = grid_pairs(grid([9, 8]), rule)
    free = tuple(
        replace(a, target=None, direction=1) for a in pairs.actions if isinstance(a, ShiftAction)
    )
    found = find_targets(replace(pairs, actions=free))
    assert found is not None
    linked = link_codes(replace(pairs, actions=found))
    assert linked.contradictions == 0
    assert linked.cardinalities == (9, 8)
    for true, action in zip(pairs.actions, found, strict=True):
        assert isinstance(true, ShiftAction)
        assert isinstance(action, ShiftAction)
        assert action.displacement == true.displacement


def test_steps_that_leap_over_values_number_one_context_only() -> None:
    images = grid([6, 3])
    rule = SeveralRules((ON(("f0",), StepBy(2)), ON(("f1",), StepBy())))
    linked = link_codes(grid_pairs(images, rule))
    known = linked.codes[:, 0] >= 0
    assert linked.cardinalities[0] == 3
    assert set((images.factors[known, 0] % 2).tolist()) in ({0}, {1})
    assert same_partition(linked.codes[known, 0], images.factors[known, 0])
    assert bool((linked.places[~known, 0] == -1).all()), "nor can a reader say: other values"


def test_other_renderings_bring_scenes_together() -> None:
    images = colour_world().edits(60, seed=0)
    rule = SeveralRules((ON(("hue",), PermuteValues()), ON(("shape", "size", "x", "y"), SetTo())))
    alone = transition_pairs(images, rule)
    more = with_renderings(alone, images)
    hue = images.space.index("hue")
    before, after = link_codes(alone), link_codes(more)
    assert float((before.codes[:, hue] >= 0).double().mean()) < 0.1, "each scene is a context"
    known = after.codes[:, hue] >= 0
    assert after.contradictions == 0
    assert float(known.double().mean()) > 0.5
    assert same_partition(after.codes[known, hue], images.factors[known, hue])


def test_contexts_without_order_are_named_by_a_reader_value_by_value() -> None:
    images = grid([4, 3], contexts=2)
    linked = link_codes(grid_pairs(images, PermuteValues(seed=1)))
    assert linked.orders == (Order.NONE, Order.NONE)
    second = (linked.codes == -1).all(1)
    assert int(second.sum()) == 12
    codes = {}
    for k in range(2):
        first = ~second
        codes[k] = dict(
            zip(images.factors[first, k].tolist(), linked.codes[first, k].tolist(), strict=True)
        )
    truth = torch.stack(
        [torch.tensor([codes[k][v] for v in images.factors[:, k].tolist()]) for k in range(2)], 1
    )
    sure = torch.full((24, 2, 4), -9.0).scatter(2, truth[..., None], -0.1)
    assert torch.equal(align_contexts(linked, sure).codes, truth)
    blind = torch.full((24, 2, 4), -1.0)
    assert torch.equal(align_contexts(linked, blind).codes, linked.codes), "a reader that sees none"


# Joint steps make one slot of two, mixed kinds leave a slot as it is, and where a slot has several
# permutations fewer squares of pairs close.
LEAST_SHARED = {"joint steps": 0.35, "mixture": 0.2, "two permutations": 0.5}


@pytest.mark.parametrize("name", RULES)
def test_labels_are_shared_and_never_wrong(name: str) -> None:
    images = mini_sprites()
    whole = transition_pairs(images, RULES[name], rows=split_groups(images.units)[0])
    kept = torch.rand(len(whole), generator=torch.Generator().manual_seed(0)) < 0.02
    few = replace(whole, action=torch.where(kept, whole.action, -1))
    for pairs in (few, opened(few)):
        found = share_labels(pairs)
        known = found.action >= 0
        assert torch.equal(found.action[known], whole.action[known])
        assert float(known.double().mean()) > LEAST_SHARED.get(name, 0.85)


def test_pairs_that_hold_all_or_contradict_are_seen() -> None:
    pairs = grid_pairs(grid([3, 3]), SeveralRules((SetTo(), NoOps("a"), NoOps("b"))))
    idle = [isinstance(action, NoAction) for action in pairs.actions]
    rows = torch.tensor(idle)[pairs.action].nonzero()[:, 0]
    with pytest.raises(DataError, match="no action moves a slot"):
        link_codes(replace(pairs.subset(rows), actions=(*[NoAction(f"{i}") for i in range(8)],)))
    names = [a.value if isinstance(a, SetAction) else -1 for a in pairs.actions]
    wrong = pairs.action.clone()
    first = int((torch.tensor(names)[wrong] == 1).nonzero()[0, 0])
    wrong[first] += 1  # says that it set the value 2
    linked = link_codes(replace(pairs, action=wrong))
    assert linked.contradictions > 0 or min(linked.cardinalities) < 3
