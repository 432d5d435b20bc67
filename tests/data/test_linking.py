"""What pairs alone say: codes, targets and labels, against the factors that made the pairs."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ctvae.data import (
    PairRule,
    SetTo,
    StepBy,
    Transitions,
    find_targets,
    link_codes,
    mini_sprites,
    share_labels,
    split_groups,
    transition_pairs,
)
from ctvae.data.worlds import colour_world
from ctvae.errors import DataError, UnknownActionError
from ctvae.mechanisms import SetAction, ShiftAction
from ctvae.mechanisms.actions import targets_of
from tests.data.grids import circle_pairs, grid, grid_pairs, same_partition

RULES: list[PairRule] = [StepBy(), SetTo()]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.integers(2, 5), min_size=2, max_size=4),
    st.sampled_from(RULES),
    st.integers(1, 3),
)
def test_codes_of_a_whole_grid_are_its_factors(
    sizes: list[int], rule: PairRule, contexts: int
) -> None:
    """Whatever the kind of action, and for several contexts that no action joins."""
    images = grid(sizes, contexts=contexts)
    linked = link_codes(grid_pairs(images, rule))
    assert linked.cardinalities == tuple(sizes)
    assert linked.contradictions == 0
    assert torch.equal(linked.codes, images.moved_factors)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(RULES), st.floats(0.3, 0.9))
def test_codes_of_a_part_of_a_grid_never_mix_values(seed: int, rule: PairRule, kept: float) -> None:
    """One context: what is known is right, up to the line's unknown beginning."""
    images = grid([4, 3, 5], kept=kept, seed=seed)
    pairs = grid_pairs(images, rule)
    linked = link_codes(pairs)
    assert linked.contradictions == 0
    used = pairs.used_images()
    if len(pairs.images) and isinstance(rule, SetTo):
        for k in range(3):
            known = used[linked.codes[used, k] >= 0]
            assert same_partition(linked.codes[known, k], images.moved_factors[known, k])


@pytest.mark.parametrize("rule", RULES)
def test_codes_of_real_splits(rule: PairRule) -> None:
    for images in (mini_sprites(), colour_world().edits(60, seed=0)):
        pairs = transition_pairs(images, rule, rows=split_groups(images.units)[0])
        linked = link_codes(pairs)
        used = pairs.used_images()
        assert linked.known(used) == 1
        assert torch.equal(linked.codes[used], images.moved_factors[used])


def test_a_circle_is_numbered_around() -> None:
    pairs, factors = circle_pairs(6, 4)
    linked = link_codes(pairs)
    assert linked.cardinalities == (6, 4)
    assert linked.contradictions == 0
    assert same_partition(linked.codes[:, 0], factors[:, 0])
    steps = (linked.codes[pairs.after, 0] - linked.codes[pairs.before, 0])[pairs.action == 0]
    assert set(steps.tolist()) == {1, -5}


def test_pairs_that_share_no_image_say_nothing() -> None:
    images = grid([4, 4])
    pairs = grid_pairs(images, StepBy())
    lone = Transitions.from_arrays(
        images.images[pairs.before], pairs.action, images.images[pairs.after], pairs.actions
    )
    linked = link_codes(lone)
    assert max(linked.cardinalities) == 2, "the two ends of a pair, and no more"
    assert linked.known(lone.used_images()) == 0, "what a pair holds has no value of its own"
    assert find_targets(lone) is None


def test_a_wrong_label_is_a_contradiction() -> None:
    pairs = grid_pairs(grid([4, 4, 4]), StepBy())
    action = pairs.action.clone()
    action[0] = (action[0] + 1) % 3
    wrong = link_codes(replace(pairs, action=action))
    assert wrong.contradictions > 0 or min(wrong.cardinalities) < 4


def test_codes_need_targets() -> None:
    pairs = grid_pairs(grid([3, 3]), StepBy())
    free = replace(pairs, actions=tuple(ShiftAction(a.name, None, 1) for a in pairs.actions))
    with pytest.raises(UnknownActionError, match="'f0 \\+1' has no target"):
        link_codes(free)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.integers(2, 5), min_size=2, max_size=4),
    st.sampled_from(RULES),
    st.integers(0, 10**6),
)
def test_targets_are_found_whatever_the_actions_are_called(
    sizes: list[int], rule: PairRule, seed: int
) -> None:
    pairs = grid_pairs(grid(sizes), rule)
    order = torch.randperm(len(pairs.actions), generator=torch.Generator().manual_seed(seed))
    shuffled = replace(
        pairs,
        action=order.argsort()[pairs.action],
        actions=tuple(pairs.actions[k] for k in order.tolist()),
    )
    found = find_targets(shuffled)
    assert found is not None
    true = torch.tensor([targets_of(a)[0] for a in shuffled.actions])
    slots = torch.tensor([targets_of(a)[0] for a in found])
    assert same_partition(slots, true)
    first = [slots.tolist().index(k) for k in range(int(slots.max()) + 1)]
    assert first == sorted(first), "slots are numbered by their first action"
    for a, b in zip(found, shuffled.actions, strict=True):
        if isinstance(a, ShiftAction) and isinstance(b, ShiftAction):
            leader = shuffled.actions[first[slots[found.index(a)]]]
            assert isinstance(leader, ShiftAction)
            assert a.direction == b.direction * leader.direction
        else:
            assert isinstance(a, SetAction)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("share", [0.1, 0.02])
def test_labels_are_shared_and_never_wrong(rule: PairRule, share: float) -> None:
    images = mini_sprites()
    whole = transition_pairs(images, rule, rows=split_groups(images.units)[0])
    for seed in range(5):
        kept = torch.rand(len(whole), generator=torch.Generator().manual_seed(seed)) < share
        found = share_labels(replace(whole, action=torch.where(kept, whole.action, -1)))
        known = found.action >= 0
        assert torch.equal(found.action[known], whole.action[known])
        assert float(known.double().mean()) > 0.94


def test_labels_stay_where_nothing_is_missing_and_open_where_squares_are() -> None:
    pairs = grid_pairs(grid([4, 4]), StepBy())
    assert share_labels(pairs) is pairs
    scenes = transition_pairs(colour_world().edits(30, seed=0), StepBy())
    few = torch.where(torch.arange(len(scenes)) % 10 == 0, scenes.action, -1)
    found = share_labels(replace(scenes, action=few))
    assert torch.equal(found.action, few), "scenes are edited one factor at a time: no squares"


def test_pairs_without_any_label_are_refused() -> None:
    pairs = grid_pairs(grid([3, 3]), StepBy())
    with pytest.raises(DataError, match="no pair has a label"):
        replace(pairs, action=torch.full_like(pairs.action, -1))
    with pytest.raises(UnknownActionError, match="-2"):
        replace(pairs, action=torch.full_like(pairs.action, -2))
