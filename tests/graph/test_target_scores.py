"""Regimes of which nobody knows what was done: the score by its formula, graphs and targets."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
import torch

import ctvae as ct
from ctvae.errors import DataError, RegimeError, ShapeError
from ctvae.graph import (
    PC,
    BDeuScores,
    DiscoveryStatus,
    InterventionalBDeu,
    OrderMCMC,
    UnknownTargetScores,
    learn_graph,
)
from ctvae.regimes import Regime, Samples
from ctvae.slots import Slot, SlotSpace
from tests.graph.oracles import bdeu, rows_with_targets

DIAMOND = np.zeros((5, 5), dtype=np.int8)
DIAMOND[3, 0] = DIAMOND[0, 2] = DIAMOND[3, 1] = DIAMOND[1, 4] = DIAMOND[2, 4] = 1
CARDS = [3, 4, 3, 4, 3]
METHODS = {"exact": InterventionalBDeu(), "search": OrderMCMC(num_samples=50)}


def regimes_of(targets: torch.Tensor) -> torch.Tensor:
    """Each target its own regime, numbered from the last slot down."""
    return torch.where(targets.any(1), targets.shape[1] - targets.int().argmax(1), 0)


def soft_rows(scm: ct.SCM, *, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Observational rows, and rows in which one slot's law is mixed with the uniform one."""
    parts = [scm.sample(4000, seed=seed)]
    for column, slot in enumerate(scm.slots):
        law = scm.mechanisms[slot.name].table()
        mixed = ct.Soft(law / 2 + 1 / (2 * slot.cardinality))
        parts.append(scm.do({slot.name: mixed}).sample(1500, seed=seed + column + 1))
    sizes = torch.tensor([len(part) for part in parts])
    return torch.cat(parts), torch.arange(len(parts)).repeat_interleave(sizes)


@pytest.mark.parametrize("parents", [(), (0,), (3, 0)])
def test_one_regime_is_pooled_or_has_its_own_law(parents, device):
    """The formula, for one regime that changed the child and one that did not."""
    codes, targets = rows_with_targets(DIAMOND, CARDS, observational=300, per_target=80, seed=1)
    for target in (2, 4):
        rows = targets[:, target] | ~targets.any(1)
        some, regimes = codes[rows], targets[rows, target].long()
        scores = UnknownTargetScores(
            some.to(device), CARDS, regimes.to(device), equivalent_sample_size=1.5
        )
        done = regimes.numpy() == 1
        pooled = bdeu(some, 2, parents, CARDS, 1.5)
        own = np.logaddexp(
            bdeu(some, 2, parents, CARDS, 1.5, done), bdeu(some, 2, (), CARDS, 1.5, done)
        )
        own += math.log(1 / 2) + math.log((1 / 5) / (4 / 5))
        apart = bdeu(some, 2, parents, CARDS, 1.5, ~done) + own
        assert float(scores.local(2, parents)) == pytest.approx(max(pooled, apart), abs=1e-8)
        sets = [(), (), parents, (), ()]
        odds = float(scores.target_log_odds(sets)[0, 2])
        assert odds == pytest.approx(apart - pooled, abs=1e-8)
        assert (odds > 0) == (target == 2)


@pytest.mark.parametrize("seed", range(10, 20))
def test_three_regimes_beside_few_natural_rows(seed):
    """The formula's maximum over all sets of regimes."""
    generator = torch.Generator().manual_seed(seed)
    laws = torch.rand(4, 2, generator=generator)
    regimes = torch.arange(4).repeat_interleave(torch.tensor([5, 60, 60, 60]))
    parent = torch.randint(2, (185,), generator=generator)
    own = torch.where(torch.rand(4, generator=generator) < 0.5, torch.arange(4), 0)
    child = (torch.rand(185, generator=generator) < laws[own[regimes], parent]).long()
    codes = torch.stack([parent, child], 1)
    scores = UnknownTargetScores(codes, [2, 2], regimes, equivalent_sample_size=1.0)
    for parents in ((), (0,)):
        totals = []
        for changed in product([False, True], repeat=3):
            apart = [r for r, on in zip((1, 2, 3), changed, strict=True) if on]
            pooled = ~np.isin(regimes.numpy(), apart)
            total = bdeu(codes, 1, parents, [2, 2], 1.0, pooled)
            for r in apart:
                done = regimes.numpy() == r
                given = [bdeu(codes, 1, own, [2, 2], 1.0, done) for own in (parents, ())]
                total += float(np.logaddexp(given[0], given[1])) - math.log(2)
            totals.append(total)
        assert float(scores.local(1, parents)) == pytest.approx(max(totals), abs=1e-8)


def test_without_interventional_rows_it_is_the_plain_score(device):
    codes, _ = rows_with_targets(DIAMOND, CARDS, observational=200, per_target=1, seed=2)
    nothing = torch.zeros(len(codes), dtype=torch.long, device=device)
    codes = codes.to(device)
    found = UnknownTargetScores(codes, CARDS, nothing, equivalent_sample_size=1.0)
    plain = BDeuScores(codes, CARDS, equivalent_sample_size=1.0)
    sets = [(), (0,), (1, 3), (0, 1, 3)]
    torch.testing.assert_close(found.batch(2, sets), plain.batch(2, sets), rtol=0, atol=1e-9)
    torch.testing.assert_close(found.single_gains(), plain.single_gains(), rtol=0, atol=1e-9)
    table = found.subsets(2, [3, 0, 1], max_parents=2)
    same = plain.subsets(2, [3, 0, 1], max_parents=2)
    torch.testing.assert_close(table, same, rtol=0, atol=1e-9)


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS.keys())
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_graph_and_targets_are_found_from_regimes_alone(method, seed, device):
    codes, targets = rows_with_targets(DIAMOND, CARDS, seed=seed)
    regimes = regimes_of(targets)
    result = learn_graph(codes.to(device), regimes=regimes.to(device), method=method)
    np.testing.assert_array_equal(result.graph.to_numpy(), DIAMOND)
    assert result.status is DiscoveryStatus.DONE
    assert result.target_probabilities is not None
    assert result.target_probabilities.device.type == device.type
    found = result.target_probabilities.cpu() > 0.5
    assert found.shape == (6, 5)
    assert not bool(found[0].any())
    assert torch.equal(found[1:], torch.eye(5, dtype=torch.bool).flip(0))


def test_soft_interventions_are_found_too():
    edges = [("a", "b"), ("b", "c"), ("a", "d"), ("d", "c")]
    sizes = {"a": 3, "b": 3, "c": 4, "d": 2}
    scm = ct.SCM.from_edges(edges, cardinality=sizes, concentration=0.3, seed=4)
    codes, regimes = soft_rows(scm, seed=1)
    result = learn_graph(codes, scm.slots, regimes=regimes, method=InterventionalBDeu())
    assert result.graph == scm.graph
    assert result.target_probabilities is not None
    assert torch.equal(result.target_probabilities[1:] > 0.5, torch.eye(4, dtype=torch.bool))


def test_one_regime_may_change_several_slots_and_another_none():
    codes, targets = rows_with_targets(DIAMOND, CARDS, observational=3000, seed=5)
    first, second = (targets[:, k].nonzero()[:, 0] for k in (0, 4))
    natural = (~targets.any(1)).nonzero()[:, 0]
    rows = torch.cat([natural[:2000], first, second, natural[2000:]])
    regimes = torch.tensor([0] * 2000 + [1] * len(first) + [1] * len(second) + [2] * 1000)
    result = learn_graph(codes[rows], regimes=regimes, method=OrderMCMC(num_samples=0))
    assert result.target_probabilities is not None
    found = result.target_probabilities > 0.5
    assert found[1].tolist() == [True, False, False, False, True]
    assert found[2].tolist() == [False] * 5


def test_other_methods_use_what_they_can():
    codes, targets = rows_with_targets(DIAMOND, CARDS, seed=0)
    regimes = regimes_of(targets)
    assert learn_graph(codes, regimes=regimes, method=PC()).rows_used == int((regimes == 0).sum())
    with pytest.raises(RegimeError, match="something was done"):
        learn_graph(codes, regimes=regimes + 1, method=PC())
    rows = Samples(
        codes, SlotSpace.from_cardinalities(CARDS), Regime.INTERVENTIONAL, regimes=regimes
    )
    with pytest.raises(RegimeError, match="nobody knows what was set cannot be counted"):
        ct.SCM.fit(ct.CausalGraph.from_numpy(DIAMOND), rows)


CODES = torch.tensor([[0, 1], [1, 0], [1, 1]])
REGIMES = torch.tensor([0, 1, 1])
BAD = {
    "floats": (REGIMES.double(), None, ShapeError, r"regimes must be integers \(3,\)"),
    "bools": (REGIMES == 1, None, ShapeError, r"regimes must be integers \(3,\)"),
    "two axes": (REGIMES[:, None], None, ShapeError, r"one for each row, got torch.int64 \(3, 1\)"),
    "too few": (REGIMES[:2], None, ShapeError, r"\(2,\)"),
    "negative": (REGIMES - 1, None, RegimeError, "numbered from 0"),
    "with targets": (
        REGIMES,
        CODES == 1,
        RegimeError,
        "not known, got .* with targets",
    ),
}


@pytest.mark.parametrize(("regimes", "targets", "error", "told"), BAD.values(), ids=BAD.keys())
def test_bad_regimes_are_told(regimes, targets, error, told):
    with pytest.raises(error, match=told):
        learn_graph(CODES, regimes=regimes, targets=targets, method=OrderMCMC())


def test_regimes_of_samples_are_not_given_twice():
    slots = [Slot("a", 2), Slot("b", 2)]
    rows = Samples(CODES, SlotSpace(slots), Regime.INTERVENTIONAL, regimes=REGIMES)
    with pytest.raises(DataError, match="bring their own slots, targets and regimes"):
        learn_graph(rows, regimes=REGIMES, method=OrderMCMC())
    with pytest.raises(RegimeError, match="got observational rows without targets"):
        Samples(CODES, SlotSpace(slots), regimes=REGIMES)
    with pytest.raises(ShapeError, match=r"regimes must be \(3,\)"):
        UnknownTargetScores(CODES, [2, 2], REGIMES[:2], equivalent_sample_size=1.0)
