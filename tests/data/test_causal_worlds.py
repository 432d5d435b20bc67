"""Causal worlds: the law of units, what propagates, and what stays in a counterfactual."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor

from ctvae.data import (
    CausalWorld,
    RayScene,
    SetTo,
    SpriteScene,
    StepBy,
    collider_graph,
    preference_scm,
    random_dag,
    skewed_factors,
)
from ctvae.errors import (
    DataError,
    EvidenceError,
    ShapeError,
    UnknownActionError,
    UnknownSlotError,
)
from ctvae.mechanisms import PerRow, Shift
from ctvae.mechanisms.actions import Action, SetAction, ShiftAction, targets_of
from ctvae.mechanisms.couplings import Gumbel, Maximal
from ctvae.regimes import Regime, Samples
from ctvae.scm import SCM
from ctvae.slots import SlotSpace
from tests.oracles import assert_counts_follow, enumerate_joint

SMALL = SlotSpace.from_cardinalities({"a": 3, "b": 2, "c": 3})


@dataclass(frozen=True)
class Bars:
    """A renderer small enough for large samples: the codes as grey levels of three pixels."""

    @property
    def space(self) -> SlotSpace:
        return SMALL

    @property
    def num_nuisances(self) -> int:
        return 1

    def render(self, factors: Tensor, nuisances: Tensor) -> Tensor:
        levels = factors * 40 + (nuisances * 20).long()
        return levels[:, None, None, :].expand(-1, 3, 1, 3).to(torch.uint8)


@pytest.fixture
def bars(device: torch.device) -> CausalWorld:
    edges = [("a", "b"), ("a", "c"), ("b", "c")]
    scm = SCM.from_edges(edges, cardinality={"a": 3, "b": 2, "c": 3}, seed=0)
    return CausalWorld(scm, Bars(), Gumbel()).to(device)


@pytest.fixture(scope="module")
def world() -> CausalWorld:
    space = SpriteScene().space
    graph = random_dag(space.names, average_degree=2, seed=3)
    return CausalWorld(preference_scm(graph, space, strength=0.9, seed=0), SpriteScene())


def set_actions(world: CausalWorld) -> tuple[Action, ...]:
    slots = world.scm.slots
    return SetTo().actions(slots.names, slots.cardinalities)


def counts_of(codes: Tensor, sizes: tuple[int, ...]) -> Tensor:
    ones = torch.ones(len(codes), device=codes.device)
    empty = torch.zeros(sizes, device=codes.device)
    return empty.index_put_(tuple(codes.T), ones, accumulate=True).cpu()


def test_a_world_states_its_graph_and_its_weakest_edge(world: CausalWorld) -> None:
    assert world.graph.num_edges == 8
    assert world.minimum_edge_strength == pytest.approx(0.9)
    assert "SpriteScene()" in repr(world)


@pytest.mark.statistical
@pytest.mark.parametrize("do", [{}, {"b": 1}, {"a": 2, "c": 0}], ids=str)
def test_samples_follow_the_law_of_the_scm(bars: CausalWorld, do: dict[str, int]) -> None:
    """Pearson's test of all cells against truncated factorisation, false alarm 1e-6."""
    found = bars.do(do).sample(20_000, seed=1)
    assert found.regime is (Regime.INTERVENTIONAL if do else Regime.OBSERVATIONAL)
    assert found.targets is not None
    assert found.targets[0].tolist() == [name in do for name in "abc"]
    counts = counts_of(found.factors, SMALL.cardinalities)
    assert_counts_follow(counts.numpy(), enumerate_joint(bars.do(do).scm))


@pytest.mark.statistical
def test_single_interventions_are_uniform_and_propagate(bars: CausalWorld) -> None:
    """Of each factor in turn; Pearson's test of all cells, false alarm 1e-6."""
    found = bars.sample_do(12_000, seed=2)
    assert found.targets is not None
    assert found.targets.sum(0).tolist() == [12_000] * 3
    assert bool((found.targets.sum(1) == 1).all())
    for column, size in enumerate(SMALL.cardinalities):
        each = [enumerate_joint(bars.do({column: v}).scm) for v in range(size)]
        joint = np.mean(each, 0)
        counts = counts_of(found.factors[found.targets[:, column]], SMALL.cardinalities)
        assert_counts_follow(counts.numpy(), joint)


def test_rows_that_are_left_alone_are_no_targets(bars: CausalWorld) -> None:
    index = torch.tensor([0, 1, 1], device=bars.scm.program.device)
    found = bars.do({"a": PerRow([None, 2], index)}).sample(2, seed=0)
    assert found.targets is not None
    assert found.targets[:, 0].tolist() == [False, True, True] * 2


@pytest.mark.statistical
@pytest.mark.parametrize("coupling", [Gumbel(), Maximal()], ids=repr)
def test_pairs_follow_the_twin_of_the_scm(bars: CausalWorld, coupling: Gumbel | Maximal) -> None:
    """Before and after jointly, for one action of several: false alarm 1e-6."""
    chosen = CausalWorld(bars.scm, bars.renderer, coupling)
    sets = (SetAction("a = 0", 0, 0), SetAction("b = 1", 1, 1))
    actions: list[SetAction | ShiftAction] = [sets[0], ShiftAction("b +1", 1, 1), sets[1]]
    pairs = chosen.pairs(actions, 60_000, seed=5)
    action = pairs.transitions.action
    assert_counts_follow(torch.bincount(action).cpu().numpy(), torch.full((3,), 1 / 3).numpy())
    for k, action_k in enumerate(actions):
        natural = counts_of(pairs.before_factors[action == k], SMALL.cardinalities)
        assert_counts_follow(natural.numpy(), enumerate_joint(bars.scm))  # independent of the unit
        if isinstance(action_k, SetAction):
            name = SMALL.names[action_k.target or 0]
            twin = bars.scm.twin({name: action_k.value}, coupling=coupling)
            after = twin.slots.names[-1]
            assert after.startswith("c")
            law = twin.query(["a", "b", "c", after]).cpu().numpy()
            both = torch.cat([pairs.before_factors, pairs.after_factors[:, 2:]], 1)[action == k]
            sizes = (*SMALL.cardinalities, 3)
            assert_counts_follow(counts_of(both, sizes).numpy(), law)


def test_the_target_takes_its_value_and_nothing_else_but_descendants_changes(
    world: CausalWorld,
) -> None:
    pairs = world.pairs(set_actions(world), 400, seed=0)
    assert pairs.transitions.regime is Regime.COUNTERFACTUAL
    names = world.scm.slots.names
    descends = torch.tensor([[b in world.graph.descendants(a) for b in names] for a in names])
    target = torch.tensor([targets_of(a)[0] for a in pairs.transitions.actions])[
        pairs.transitions.action
    ]
    value = torch.tensor([a.value for a in set_actions(world)])[pairs.transitions.action]  # type: ignore[union-attr]
    before, after = pairs.before_factors, pairs.after_factors
    descends |= torch.eye(8, dtype=torch.bool)
    rows = torch.arange(len(pairs))
    assert bool((after[rows, target] == value).all())
    assert torch.equal(pairs.targets.nonzero()[:, 1], target)
    changed = before != after
    assert not bool((changed & ~descends[target]).any())
    assert bool((changed.sum(1) > 1).any())  # effects do propagate
    # No change of the target, no change at all: the same picture.
    still = ~pairs.moved
    images = pairs.transitions.images
    assert bool(still.any())
    same = (images[:400] == images[400:]).flatten(1).all(1)
    assert torch.equal(same, (before == after).all(1))
    assert not bool(changed[still].any())
    again = world.render(after, pairs.after_nuisances)
    assert torch.equal(images[pairs.transitions.after], again)


def test_steps_go_around_where_they_are_told_to_and_stop_elsewhere(world: CausalWorld) -> None:
    slots = world.scm.slots
    actions = StepBy().actions(slots.names, slots.cardinalities)
    pairs = world.pairs(actions, 600, seed=1, cyclic=["hue", "turn"])
    rows = torch.arange(len(pairs))
    target = torch.tensor([targets_of(a)[0] for a in actions])[pairs.transitions.action]
    step = torch.tensor([a.direction for a in actions])[pairs.transitions.action]  # type: ignore[union-attr]
    sizes = torch.tensor(slots.cardinalities)[target]
    moved = pairs.before_factors[rows, target] + step
    around = torch.tensor([name in {"hue", "turn"} for name in slots.names])[target]
    wanted = torch.where(around, moved % sizes, moved.clamp(min=0).minimum(sizes - 1))
    assert torch.equal(pairs.after_factors[rows, target], wanted)
    assert bool(pairs.moved[around].all())
    assert not bool(pairs.moved.all())
    kept = pairs.subset(pairs.moved.nonzero()[:, 0])
    assert bool(kept.moved.all())
    assert len(kept.transitions) == int(pairs.moved.sum())


def test_every_pair_is_a_fresh_unit_with_nuisances_of_its_own(world: CausalWorld) -> None:
    shared = world.pairs(set_actions(world), 50, seed=2)
    fresh = world.pairs(set_actions(world), 50, seed=2, fresh_nuisances=True)
    assert torch.equal(shared.nuisances, shared.after_nuisances)
    assert torch.equal(shared.nuisances, fresh.nuisances)
    assert not bool((fresh.nuisances == fresh.after_nuisances).any())
    assert torch.equal(shared.after_factors, fresh.after_factors)
    assert len(torch.unique(fresh.transitions.images.flatten(1), dim=0)) == 100


def test_setting_factors_to_what_they_were_gives_the_same_pictures(world: CausalWorld) -> None:
    seen = world.sample(20, seed=4)
    nuisances = world.nuisances(20, seed=4)
    assert torch.equal(world.render(seen.factors, nuisances), seen.images)
    for name in world.scm.slots.names:
        natural = seen.factors[:, world.scm.slots.index(name)]
        same = world.counterfactual_images(seen.factors, nuisances, {name: natural}, seed=0)
        assert torch.equal(same.images, seen.images)
        assert same.regime is Regime.COUNTERFACTUAL
    moved = world.counterfactual_images(
        seen.factors, nuisances, {"hue": Shift(1, wrap=True)}, seed=0
    )
    assert torch.equal(moved.factors[:, 2], (seen.factors[:, 2] + 1) % 6)


def test_units_that_follow_their_causes_follow_them_in_the_other_world() -> None:
    """The noise of ``preference_scm``: a unit follows its causes, or keeps its own value."""
    space = SpriteScene().space
    graph = collider_graph(space.names, seed=0)
    world = CausalWorld(preference_scm(graph, space, strength=0.5, seed=0), SpriteScene())
    before = world.scm.sample(3000, seed=0)
    effect = next(name for name in space.names if graph.parents(name))
    cause = graph.parents(effect)[0]
    after = world.counterfactual_images(before, torch.zeros(3000, 5), {cause: 1}, seed=1).factors
    law = world.scm.mechanisms[effect]
    columns = [space.index(name) for name in space.names if name in graph.parents(effect)]
    column = space.index(effect)
    was, wants = (law.log_probs(codes[:, columns]).argmax(1) for codes in (before, after))
    keeps = after[:, column] == before[:, column]
    follows = (before[:, column] == was) & (after[:, column] == wants)
    assert bool((keeps | follows).all())
    assert bool((follows & ~keeps).any())


def test_edits_hold_all_but_one_factor_and_take_bases(world: CausalWorld) -> None:
    images = world.edits(3, seed=0)
    assert images.regime is Regime.EDIT
    assert len(images) == 3 * (1 + sum(world.scm.slots.cardinalities) - 8)
    base = images.factors[images.factors[:, -1] == 1][0]
    others = images.factors[images.factors[:, -1] == 1][1:]
    assert bool(((others != base).sum(1) == 1).all())
    skewed = skewed_factors(world.scm.slots, 3, ratio=100, seed=0)
    given = world.edits(3, seed=0, base=skewed)
    assert torch.equal(given.factors[:3, :-1], skewed)
    shown = world.nuisances(3, seed=0)
    assert torch.equal(given.images[:3], world.render(skewed, shown))


def test_equal_seeds_give_equal_data() -> None:
    space = RayScene().space
    graph = random_dag(space.names, average_degree=2, seed=0)
    world = CausalWorld(preference_scm(graph, space, seed=0), RayScene())
    one, two, other = (world.pairs(set_actions(world), 6, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(one.transitions.images, two.transitions.images)
    assert torch.equal(one.after_factors, two.after_factors)
    assert not torch.equal(one.before_factors, other.before_factors)


def test_pairs_serve_discovery_as_rows_of_one_unit_each(world: CausalWorld) -> None:
    pairs = world.pairs(set_actions(world), 30, seed=0)
    rows = Samples.from_pairs(
        pairs.before_factors, pairs.after_factors, pairs.targets, slots=world.scm.slots
    )
    assert len(rows) == 30


BAD: dict[str, tuple[Callable[[CausalWorld], object], type[Exception], str]] = {
    "other factors": (lambda w: CausalWorld(w.scm, RayScene()), DataError, "must be the same"),
    "no target": (
        lambda w: w.pairs([SetAction("?", None, 0), SetAction("a", 0, 0)], 4, seed=0),
        UnknownActionError,
        "no target",
    ),
    "target outside": (
        lambda w: w.pairs([SetAction("?", 9, 0), SetAction("a", 0, 0)], 4, seed=0),
        UnknownSlotError,
        "slot 9",
    ),
    "unknown cyclic factor": (
        lambda w: w.pairs(set_actions(w), 4, seed=0, cyclic=["hu"]),
        UnknownSlotError,
        "did you mean 'hue'",
    ),
    "no units": (lambda w: w.pairs(set_actions(w), 0, seed=0), ShapeError, "at least 1"),
    "bases of other scenes": (
        lambda w: w.edits(3, seed=0, base=torch.zeros(2, 8).long()),
        ShapeError,
        "one row per scene",
    ),
    "a unit that cannot be": (
        lambda w: w.do({"hue": 1}).counterfactual_images(
            torch.zeros(1, 8).long(), torch.zeros(1, 5), {"x": 1}, seed=0
        ),
        EvidenceError,
        "another code of slot 'hue'",
    ),
}


@pytest.mark.parametrize("case", BAD, ids=str)
def test_bad_input_is_refused(world: CausalWorld, case: str) -> None:
    make, error, message = BAD[case]
    with pytest.raises(error, match=message):
        make(world)
