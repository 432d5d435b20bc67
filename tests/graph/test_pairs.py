"""Before/after pairs of one unit: one independent row of each, and why not both."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import ctvae as ct
from ctvae.errors import CodeError, RegimeError, ShapeError
from ctvae.graph import GSquared, InterventionalBDeu, learn_graph
from ctvae.metrics import calibration_band, calibration_error
from ctvae.regimes import Regime, Samples
from ctvae.slots import SlotSpace
from tests.graph.oracles import drawn_scm

EDGES = [("a", "b"), ("b", "c"), ("a", "d"), ("d", "c")]
EQUIVALENT = 10.0


def pairs_of(
    scm: ct.SCM, units: int, targets: list[int], *, seed: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Units before and after one of their slots was drawn evenly, all else by the same noise."""
    generator = torch.Generator().manual_seed(seed)
    before = scm.sample(units, seed=seed)
    target = torch.tensor(targets)[torch.randint(len(targets), (units,), generator=generator)]
    after, done = before.clone(), torch.zeros_like(before, dtype=torch.bool)
    done[torch.arange(units), target] = True
    for k in targets:
        rows = target == k
        values = torch.randint(scm.slots[k].cardinality, (int(rows.sum()),), generator=generator)
        worlds = scm.counterfactual(before[rows], do={k: values}, seed=seed)
        after[rows] = worlds[:, 0]
    return before, after, done


def numbered(units: int) -> tuple[torch.Tensor, torch.Tensor, SlotSpace]:
    """Pairs whose first slot is the unit's number and whose second tells before from after."""
    unit = torch.arange(units)
    before = torch.stack([unit, torch.zeros_like(unit)], 1)
    slots = SlotSpace.from_cardinalities({"unit": units, "time": 2})
    return before, before + torch.tensor([0, 1]), slots


@pytest.mark.parametrize("known", [True, False], ids=["targets", "regimes"])
@pytest.mark.parametrize(("actions", "share"), [(1, None), (4, None), (3, 0.25), (5, 1.0)])
def test_every_unit_gives_one_row_and_every_action_its_share(known, actions, share, device):
    units = 360
    before, after, slots = numbered(units)
    action = torch.arange(units, device=device) % actions  # the number of the target's column
    slots = SlotSpace([*slots, *SlotSpace.from_cardinalities([1] * actions)])
    before, after = (
        torch.cat([rows, torch.zeros(units, actions, dtype=torch.long)], 1).to(device)
        for rows in (before, after)
    )
    targets = torch.zeros(units, 2 + actions, dtype=torch.bool, device=device)
    targets[torch.arange(units), 2 + action] = True
    known_targets, regimes = (targets, None) if known else (None, action + 1)
    rows = Samples.from_pairs(
        before, after, known_targets, slots=slots, regimes=regimes, share_after=share, seed=3
    )
    assert rows.regime is Regime.INTERVENTIONAL
    assert torch.equal(rows.codes[:, 0].cpu(), torch.arange(units))
    later = rows.codes[:, 1] == 1
    expected = share if share is not None else math.sqrt(actions) / (1 + math.sqrt(actions))
    kept = torch.bincount(action[later], minlength=actions)
    assert int((kept - expected * units / actions).abs().max()) <= 1
    if known:
        assert rows.targets is not None
        assert torch.equal(rows.targets, targets & later[:, None])
    else:
        assert rows.regimes is not None
        assert torch.equal(rows.regimes, torch.where(later, action + 1, 0))


def test_the_seed_alone_says_which_row():
    before, after, slots = numbered(200)
    done = torch.zeros(200, 2, dtype=torch.bool)
    done[:, 1] = True
    first, same, other = (
        Samples.from_pairs(before, after, done, slots=slots, seed=seed).codes for seed in (1, 1, 2)
    )
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("known", [True, False], ids=["targets", "regimes"])
def test_the_dag_is_learned_from_pairs(known):
    scm = ct.SCM.from_edges(EDGES, cardinality=dict.fromkeys("abcd", 3), concentration=0.3, seed=4)
    before, after, targets = pairs_of(scm, 6000, [0, 1, 2, 3], seed=7)
    reached = (before != after) & ~targets
    assert bool(reached.any())
    what, regimes = (targets, None) if known else (None, targets.int().argmax(1) + 1)
    rows = Samples.from_pairs(before, after, what, slots=scm.slots, regimes=regimes)
    assert learn_graph(rows, method=InterventionalBDeu()).graph == scm.graph


def both_rows(
    before: torch.Tensor, after: torch.Tensor, targets: torch.Tensor, slots: SlotSpace
) -> Samples:
    """What ``from_pairs`` is there to prevent."""
    targets = torch.cat([torch.zeros_like(targets), targets])
    return Samples(torch.cat([before, after]), slots, Regime.INTERVENTIONAL, targets)


def test_copies_of_rows_break_a_test_that_keeps_its_size_on_one_row_a_unit():
    """Copies double G2, and P(2 chi2_1 > q) is .166 where P(chi2_1 > q) is .05."""
    slots = dict.fromkeys("abc", 2)
    scm = ct.SCM.from_edges([], cardinality=slots, concentration=20.0, seed=0)
    pair, nothing = (torch.tensor([1]), torch.tensor([2])), torch.zeros(1, 0, dtype=torch.long)
    rejected = {"one": 0, "both": 0}
    for seed in range(600):
        before, after, targets = pairs_of(scm, 200, [0], seed=seed)
        one = Samples.from_pairs(before, after, targets, slots=scm.slots, seed=seed)
        both = both_rows(before, after, targets, scm.slots)
        for name, rows in (("one", one), ("both", both)):
            result = GSquared().bind(rows.codes)(*pair, nothing)
            rejected[name] += int(float(result.p_value) < 0.05)
    assert abs(rejected["one"] / 600 - 0.05) < 0.03  # more than three standard errors
    assert abs(rejected["both"] / 600 - 0.166) < 0.05


def test_both_rows_of_a_unit_make_a_posterior_too_sure():
    """Edge probabilities are calibrated on one row a unit, and are not on both."""
    method = InterventionalBDeu(equivalent_sample_size=EQUIVALENT)
    found: dict[str, list[torch.Tensor]] = {"one": [], "both": []}
    edges = []
    apart = ~np.eye(3, dtype=bool)
    for seed in range(300):
        scm = drawn_scm(np.random.default_rng(seed), EQUIVALENT)
        before, after, targets = pairs_of(scm, 200, [0], seed=seed)
        both = both_rows(before, after, targets, scm.slots)
        one = Samples.from_pairs(before, after, targets, slots=scm.slots, seed=seed)
        edges.append(torch.from_numpy(scm.graph.to_numpy()[apart] == 1))
        for name, rows in (("one", one), ("both", both)):
            result = learn_graph(rows, method=method)
            assert result.edge_probabilities is not None
            found[name].append(result.edge_probabilities[apart])
    true = torch.cat(edges)
    errors, ends = {}, {}
    for name, parts in found.items():
        chances = torch.cat(parts)
        errors[name] = calibration_error(chances, true)
        ends[name] = calibration_band(chances, level=0.998, simulations=500)[1]
    assert errors["one"] < ends["one"]
    assert errors["both"] > ends["both"]


BEFORE = torch.tensor([[0, 1], [1, 0], [1, 1]])
SLOTS = SlotSpace.from_cardinalities({"a": 2, "b": 2})
DONE = torch.tensor([[True, False]]).expand(3, 2)
BAD = {
    "edits": ({"regime": Regime.EDIT}, RegimeError, "descendants held.*descendants respond"),
    "separate units": ({"regime": Regime.INTERVENTIONAL}, RegimeError, "independent as they are"),
    "no regime": ({"regime": "edit"}, RegimeError, "pairs of regime 'edit'"),
    "nothing known": ({"targets": None}, RegimeError, "need targets"),
    "both known": ({"regimes": torch.ones(3, dtype=torch.long)}, RegimeError, "with targets"),
    "too few": ({"after": BEFORE[:2], "targets": DONE[:2]}, ShapeError, "the same units"),
    "one row": ({"after": BEFORE[0]}, ShapeError, r"\(rows, slots\)"),
    "a code": ({"before": BEFORE + 1}, CodeError, "outside the codebook"),
    "targets": ({"targets": DONE[:, :1]}, ShapeError, "of the shape of the codes"),
    "no share": ({"share_after": 0.0}, ShapeError, "above 0 and at most 1, got 0.0"),
    "not a number": ({"share_after": float("nan")}, ShapeError, "got nan"),
}


@pytest.mark.parametrize(("changed", "error", "told"), BAD.values(), ids=BAD.keys())
def test_bad_pairs_are_told(changed, error, told):
    given = {"before": BEFORE, "after": BEFORE, "targets": DONE, "slots": SLOTS, **changed}
    with pytest.raises(error, match=told):
        Samples.from_pairs(**given)
