"""Laws fitted by gradient inside a model: SCM.fit with a kind of mechanism."""

from __future__ import annotations

import pytest
import torch

import ctvae as ct
from ctvae.errors import MechanismError, StateSpaceError
from ctvae.scm import SCM


def wide_model() -> SCM:
    """A slot whose 14 parents have too many joint codes for any table."""
    names = [f"p{k}" for k in range(14)]
    graph = ct.CausalGraph.from_edges([(name, "y") for name in names], nodes=[*names, "y"])
    laws: dict[str, ct.mechanisms.Mechanism] = {
        name: ct.TableMechanism([0.25] * 4) for name in names
    }
    laws["y"] = ct.NeuralMechanism(5, [4] * 14, seed=0)
    return SCM(graph, [*(ct.Slot(name, 4) for name in names), ct.Slot("y", 5)], laws)


def test_networks_learn_the_law_of_every_slot_and_come_back_from_a_folder(tmp_path):
    truth = SCM.from_edges(
        [("a", "b"), ("a", "c"), ("b", "c")],
        cardinality={"a": 3, "b": 4, "c": 3},
        concentration=2.0,
        seed=0,
    )
    rows = truth.sample(6000, seed=1)
    learned = SCM.fit(truth.graph, rows, slots=truth.slots, mechanism=ct.NeuralMechanism, seed=2)
    fresh = truth.sample(4000, seed=3)
    lost = float((truth.log_prob(fresh) - learned.log_prob(fresh)).mean())
    assert lost < 0.02
    again = SCM.load(learned.save(tmp_path / "m"))
    assert isinstance(again.mechanisms["c"], ct.NeuralMechanism)
    assert torch.equal(again.log_prob(fresh), learned.log_prob(fresh))
    assert torch.equal(again.query("c"), learned.query("c"))


def test_a_law_without_a_table_is_sampled_scored_and_asked_of_units(device):
    scm = wide_model().to(device)
    with pytest.raises(StateSpaceError, match=r"1\.34e\+09 entries"):
        scm.query("y")
    rows = scm.sample(3000, seed=0)
    log_probs = scm.log_prob(rows)
    assert bool(log_probs.isfinite().all())
    answer = scm.estimate("y", num_samples=3000, seed=1)
    shares = torch.bincount(rows[:, -1], minlength=5) / 3000
    room = 6 * (answer.standard_error + (shares * (1 - shares) / 3000).sqrt())
    assert bool(((answer.value - shares).abs() < room).all())
    same = scm.counterfactual(rows, do={"p3": rows[:, 3]}, seed=2)[:, 0]
    assert torch.equal(same, rows)
    other = scm.counterfactual(rows, do={"p3": 1}, seed=2)[:, 0]
    assert torch.equal(other[:, :3], rows[:, :3])
    moved = scm.counterfactual(rows, do={"y": ct.Shift(1, wrap=True)}, seed=3)[:, 0]
    assert torch.equal(moved[:, -1], (rows[:, -1] + 1) % 5)


class Uniform:
    """A kind of law of one's own, which learns nothing."""

    @staticmethod
    def fit(codes, parents, *, cardinality, parent_cardinalities, seed=None):
        sizes = (*parent_cardinalities, cardinality)
        return ct.TableMechanism(torch.full(sizes, 1 / cardinality))


def test_gaps_are_for_tables_and_networks_and_slots_always_set_for_tables():
    truth = SCM.from_edges([("a", "b")], cardinality={"a": 2, "b": 2}, seed=0)
    rows = truth.sample(20, seed=0)
    observed = torch.ones_like(rows, dtype=torch.bool)
    own = SCM.fit(truth.graph, rows, slots=truth.slots, observed=observed, mechanism=Uniform)
    assert own.query("b").tolist() == [0.5, 0.5]
    observed[0, 0] = False
    with pytest.raises(MechanismError, match="complete rows"):
        SCM.fit(truth.graph, rows, slots=truth.slots, observed=observed, mechanism=Uniform)
    targets = torch.zeros_like(rows, dtype=torch.bool)
    targets[:, 1] = True
    samples = ct.Samples(rows, truth.slots, ct.Regime.INTERVENTIONAL, targets)
    with pytest.raises(MechanismError, match="slot 'b' was set in every row"):
        SCM.fit(truth.graph, samples, mechanism=ct.NeuralMechanism)
