"""Two worlds as one model: twin networks and split graphs, against draws and enumeration."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ctvae.errors import InterventionError, ShapeError
from ctvae.mechanisms import Soft
from ctvae.mechanisms.couplings import Coupling
from ctvae.mechanisms.function import FunctionMechanism
from ctvae.mechanisms.merging import Done
from ctvae.mechanisms.neural import NeuralMechanism
from ctvae.scm import SCM
from tests.inference.test_counterfactual import COUPLINGS, DOS
from tests.inference.test_interventions import WORLDS, backwards
from tests.oracles import assert_counts_follow, condition, enumerate_joint

ONE_WORLD = [name for name, make in WORLDS.items() if make().program.batch is None]


@pytest.mark.parametrize("coupling", COUPLINGS.values(), ids=COUPLINGS.keys())
@pytest.mark.parametrize("done", DOS.values(), ids=DOS.keys())
class TestTwins:
    def test_each_world_has_its_own_law(self, coupling: Coupling, done: dict[str, Done], device):
        scm = backwards().to(device)
        twin = scm.twin(done, coupling=coupling)
        names = list("abcd")
        here = twin.query(names).cpu()
        np.testing.assert_allclose(here, enumerate_joint(scm), rtol=0, atol=1e-10)
        there = [name + "'" if name + "'" in twin.slots.names else name for name in names]
        other = enumerate_joint(scm.do(done))
        np.testing.assert_allclose(twin.query(there).cpu(), other, rtol=0, atol=1e-10)

    @pytest.mark.statistical
    def test_draws_of_counterfactuals_follow_it(self, coupling, done, device):
        scm = backwards().to(device)
        twin = scm.twin(done, coupling=coupling)
        seen = scm.sample(1, seed=3)[0]
        draws = scm.counterfactual(seen, do=done, num_samples=20_000, coupling=coupling, seed=4)
        there = [name + "'" if name + "'" in twin.slots.names else name for name in "abcd"]
        given = {name: int(code) for name, code in zip("abcd", seen, strict=True)}
        for name, column in zip(there, draws.T.cpu(), strict=True):
            law = twin.query(name, given=given).cpu().numpy()
            assert_counts_follow(np.bincount(column, minlength=len(law)), law)


@pytest.mark.statistical
@pytest.mark.parametrize("seen_in", ONE_WORLD)
def test_units_seen_in_an_intervened_world_follow_its_twin(seen_in):
    """Also where a clipped shift hides the natural code."""
    scm = WORLDS[seen_in]()
    done: dict[str, Done] = {"d": 1}
    twin = scm.twin(done)
    seen = scm.sample(60_000, seed=5)
    other = scm.counterfactual(seen, do=done, seed=6)[:, 0]
    both = torch.stack([seen[:, 1], other[:, 1]])
    name = "b'" if "b'" in twin.slots.names else "b"
    if name == "b":
        assert torch.equal(both[0], both[1])
        return
    law = twin.query(["b", name]).numpy()
    counts = np.bincount(np.ravel_multi_index(both.numpy(), law.shape), minlength=law.size)
    assert_counts_follow(counts, law)


def test_a_twin_of_worlds_per_row_is_refused():
    with pytest.raises(ShapeError, match="of two worlds"):
        backwards().twin({"c": torch.tensor([0, 1])})


SPLIT = {name: make for name, make in WORLDS.items() if name != "rule, turned edge"}


@pytest.mark.parametrize("make", SPLIT.values(), ids=SPLIT.keys())
class TestSplitGraphs:
    def test_children_see_the_done_half_and_the_natural_half_keeps_its_law(self, make, device):
        scm = make().to(device)
        split = scm.swig()
        names = [f"do({n})" if n in scm.interventions else n for n in "abcd"]
        for row in range(scm.program.batch or 1):
            got = split.query(names).cpu()
            got = got[row] if scm.program.batch else got
            np.testing.assert_allclose(got, enumerate_joint(scm, row), rtol=0, atol=1e-10)
        assert split.slots.names[:4] == scm.slots.names

    def test_one_done_slot_keeps_the_law_of_what_it_would_have_been(self, make):
        scm = make()
        for name in scm.interventions:
            alone = SCM(scm.graph, scm.slots, scm.mechanisms).do({name: scm.interventions[name]})
            got = alone.swig().query(name)
            joint = enumerate_joint(SCM(scm.graph, scm.slots, scm.mechanisms))
            natural = condition(joint, [scm.slots.index(name)])
            expected = torch.as_tensor(natural).expand_as(got)
            torch.testing.assert_close(got, expected, rtol=0, atol=1e-10)


def test_evidence_on_the_natural_half_is_that_of_who_would_have_chosen_it():
    """Effect of treatment on the treated: P(Y_x | X = x')."""
    scm = SCM.from_edges(
        [("u", "x"), ("u", "y"), ("x", "y")], cardinality={"u": 3, "x": 2, "y": 2}, seed=0
    )
    split = scm.do({"x": 1}).swig()
    got = split.query("y", given={"x": 0})
    u = scm.query("u", given={"x": 0})
    by_hand = u @ scm.mechanisms["y"].table()[:, 1]
    torch.testing.assert_close(got, by_hand)
    for coupling in COUPLINGS.values():
        twin = scm.twin({"x": 1}, coupling=coupling)
        torch.testing.assert_close(twin.query("y'", given={"x": 0}), by_hand)


@pytest.mark.parametrize("coupling", COUPLINGS.values(), ids=COUPLINGS.keys())
@pytest.mark.parametrize("world", [name for name in ONE_WORLD if "turned edge" not in name])
def test_both_halves_of_a_slot_are_those_of_one_unit(world, coupling, device):
    """The halves share the unit's noise, as a slot and its other self do."""
    natural = backwards().to(device)
    for name, what in WORLDS[world]().interventions.items():
        halves = natural.do({name: what}).swig(coupling=coupling).query([name, f"do({name})"])
        selves = natural.twin({name: what}, coupling=coupling).query([name, f"{name}'"])
        torch.testing.assert_close(halves, selves, rtol=0, atol=1e-10)


def test_halves_of_a_function_or_a_network_beside_another_done_slot(device):
    """The new law reads a half that stands after the slots it stood before."""
    scm = SCM.from_edges([("a", "b")], cardinality={"a": 2, "b": 2}, seed=0)
    for law in (FunctionMechanism(lambda a: 1 - a, 2, [2]), NeuralMechanism(2, [2], seed=0)):
        split = scm.do({"a": 1, "b": Soft(law)}).to(device).swig()
        expected = law.table()[1].to(split.program.dtype)
        torch.testing.assert_close(split.query("do(b)").cpu(), expected)


def test_a_slot_that_rules_make_depend_on_its_own_value_has_no_natural_half():
    with pytest.raises(InterventionError, match=r"cycle.*do\(a\)"):
        WORLDS["rule, turned edge"]().swig()
