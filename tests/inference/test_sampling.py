"""Draws against the enumerated joint; equal seeds; worlds that share their noise."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from ctvae.errors import ShapeError
from ctvae.graph.causal_graph import CausalGraph
from ctvae.inference import sampling
from ctvae.mechanisms.local_law import LocalLaw
from ctvae.mechanisms.table import TableMechanism
from ctvae.scm import SCM
from ctvae.slots import Slot
from tests.oracles import assert_counts_follow, enumerate_joint
from tests.strategies import SCMS

ROWS = 200_000


def count(codes: torch.Tensor, sizes: tuple[int, ...]) -> np.ndarray:
    counts = np.zeros(sizes)
    np.add.at(counts, tuple(codes.cpu().numpy().T), 1)
    return counts


@pytest.mark.statistical
@pytest.mark.parametrize("make", SCMS.values(), ids=SCMS.keys())
def test_draws_follow_the_enumerated_joint(make, device):
    scm = make().to(device)
    codes = scm.sample(ROWS, seed=11)
    assert codes.dtype == torch.int64
    assert codes.shape == (ROWS, len(scm.slots))
    assert_counts_follow(count(codes, scm.slots.cardinalities), enumerate_joint(scm))


@pytest.mark.statistical
@pytest.mark.parametrize("make", SCMS.values(), ids=SCMS.keys())
def test_draws_follow_the_exact_marginals_of_slots_and_pairs(make, device):
    """The two engines against each other, where cells of the joint are too rare to be counted.

    The false alarm rate of one table is 1e-6 over the number of tables, so 1e-6 in all.
    """
    scm = make().to(device)
    codes, columns = scm.sample(ROWS, seed=21), range(len(scm.slots))
    groups = [*itertools.combinations(columns, 1), *itertools.combinations(columns, 2)]
    for group in groups:
        law = scm.query(list(group)).double().cpu().numpy()
        counts = count(codes[:, list(group)], law.shape)
        assert_counts_follow(counts, law, false_alarm=1e-6 / len(groups))


@pytest.mark.statistical
def test_draws_per_row_follow_the_joint_of_each_world(device):
    scm = SCMS["columns against causes"]().to(device)
    world = scm.do({"c": torch.tensor([3, 0, 1], device=device), "b": 2})
    codes = world.sample(ROWS // 4, seed=5)
    assert codes.shape == (ROWS // 4, 3, 4)
    for row in range(3):
        counts = count(codes[:, row], scm.slots.cardinalities)
        assert_counts_follow(counts, enumerate_joint(world, row))


@pytest.mark.statistical
@pytest.mark.parametrize("codes", [15, 16, 17, 18, 64, 512])
def test_draws_follow_tables_of_many_codes(codes, device):
    """Both ways of reading thresholds, around the size where one takes over from the other."""
    graph = CausalGraph.from_edges([("a", "b")])
    laws = {
        "a": TableMechanism.random(2, concentration=5, seed=0),
        "b": TableMechanism.random(codes, [2], concentration=0.5, seed=1),
    }
    scm = SCM(graph, [Slot("a", 2), Slot("b", codes)], laws).to(device)
    drawn = scm.sample(2 * ROWS, seed=3)
    assert_counts_follow(count(drawn, scm.slots.cardinalities), enumerate_joint(scm))


@pytest.mark.parametrize("codes", [3, 40])
def test_codes_of_probability_zero_are_never_drawn(codes):
    """At the ends, in the middle, and beside a row of a parent that excludes other codes."""
    table = torch.zeros(3, codes)
    table[0, 0] = table[1, codes // 2] = table[2, codes - 1] = 1
    laws = {"a": TableMechanism([0.3, 0.3, 0.4]), "b": TableMechanism(table)}
    scm = SCM(CausalGraph.from_edges([("a", "b")]), [Slot("a", 3), Slot("b", codes)], laws)
    a, b = scm.sample(20_000, seed=0).T
    assert torch.equal(b, torch.tensor([0, codes // 2, codes - 1])[a])


@pytest.mark.parametrize("few", [0, 10**6], ids=["searched", "one by one"])
def test_draws_at_the_very_ends_and_on_the_cuts_take_a_possible_code(few, monkeypatch):
    """u = 0, u = the largest number below one, and u on a cut: code v holds [cut v-1, cut v)."""
    monkeypatch.setattr(sampling, "FEW_CUTS", few)
    table = torch.tensor([[0.0, 0.25, 0.0, 0.75, 0.0], [0.5, 0.0, 0.5, 0.0, 0.0]]).double()
    cuts = LocalLaw((0,), TableMechanism(table)).cuts
    last = 1 - 2**-24
    noise = torch.tensor([0.0, 0.25, last, 0.0, 0.5, last])
    rows = torch.tensor([0, 0, 0, 1, 1, 1], dtype=torch.int32)
    assert sampling.draw_by_cuts(cuts, rows, noise).tolist() == [1, 3, 3, 0, 2, 2]


@pytest.mark.parametrize("make", SCMS.values(), ids=SCMS.keys())
def test_the_way_thresholds_are_read_never_changes_draws(make, monkeypatch):
    scm = make()
    draws = []
    for few in (0, 10**6):
        monkeypatch.setattr(sampling, "FEW_CUTS", few)
        draws.append(scm.sample(2000, seed=9))
    assert torch.equal(draws[0], draws[1])


@pytest.mark.parametrize("make", SCMS.values(), ids=SCMS.keys())
def test_equal_seeds_give_equal_draws_and_a_generator_moves_on(make):
    scm = make()
    assert torch.equal(scm.sample(50, seed=1), scm.sample(50, seed=1))
    generator = torch.Generator().manual_seed(1)
    first, second = scm.sample(50, seed=generator), scm.sample(50, seed=generator)
    assert torch.equal(first, scm.sample(50, seed=1))
    assert not torch.equal(first, second)


def test_slots_that_do_does_not_reach_are_equal_at_equal_seeds():
    scm = SCMS["columns against causes"]()
    natural, done = scm.sample(100, seed=4), scm.do(slot="c", value=1).sample(100, seed=4)
    unreached = [scm.slots.index("d")]
    assert torch.equal(natural[:, unreached], done[:, unreached])
    assert not torch.equal(natural, done)


def test_no_rows_is_a_table_of_no_rows_and_fewer_are_refused():
    scm = SCMS["chain"]()
    assert scm.sample(0, seed=0).shape == (0, 3)
    with pytest.raises(ShapeError, match="at least 0, got -1"):
        scm.sample(-1)
