"""What stock ``pyro.do`` and enumeration get wrong in silence, and what we answer there.

The numbers are those of the list of measured defects: Pyro 1.9.2.
"""

from __future__ import annotations

import pytest
import torch

from ctvae.errors import EvidenceError, InterventionError, ShapeError, UnknownSlotError
from ctvae.graph.causal_graph import CausalGraph
from ctvae.mechanisms import FunctionMechanism, Mechanism, TableMechanism
from ctvae.randomness import scoped_seed
from ctvae.scm import SCM
from ctvae.slots import Slot


def chain() -> SCM:
    return SCM.from_edges([("a", "b"), ("b", "c")], cardinality={"a": 3, "b": 3, "c": 3}, seed=0)


def test_pyro_item_1_a_done_slot_reports_the_forced_value():
    """Stock do reports the natural value: 633, 651, 716 over three codes under do(a=0)."""
    world = chain().do({"a": 0})
    assert bool((world.sample(2000, seed=0)[:, 0] == 0).all())
    assert world.query("a").tolist() == [1, 0, 0]
    with scoped_seed(0):
        assert bool((world.pyro_model(2000)()["a"] == 0).all())
        assert bool((world.structural_model(2000)()["a"] == 0).all())
    natural = world.swig().query("a")
    torch.testing.assert_close(natural, chain().query("a"))


def test_pyro_item_2_a_scalar_is_expanded_over_the_plate():
    """Stock do leaves shape () at the site and (5,) at its children."""
    with scoped_seed(0):
        for face in (chain().do({"b": 1}).pyro_model(5), chain().do({"b": 1}).structural_model(5)):
            assert {codes.shape for codes in face().values()} == {(5,)}


def test_pyro_item_3_a_batch_has_a_place_or_is_refused():
    """Stock do accepts a batch outside any plate, and a wrong length fails far away."""
    world = chain().do({"b": torch.tensor([0, 1, 2])})
    assert world.sample(4, seed=0).shape == (4, 3, 3)
    with pytest.raises(ShapeError, match="3 worlds, one per row; the plate has 5"):
        world.pyro_model(5)
    with pytest.raises(InterventionError, match="one length, got a: 2, b: 3"):
        world.do({"a": torch.tensor([0, 1])})


@pytest.mark.parametrize(
    ("done", "error"),
    [
        ({"nobody": 1}, UnknownSlotError),
        ({"b": 3}, InterventionError),
        ({"b": -1}, InterventionError),
        ({"b": 1.5}, InterventionError),
        ({"b": torch.tensor(1.0)}, InterventionError),
        ({"b": True}, InterventionError),
    ],
    ids=str,
)
def test_pyro_item_4_unknown_slots_and_values_outside_the_codebook_are_errors(done, error):
    """Stock do ignores an unknown site, and indexes a table with whatever it is given."""
    with pytest.raises(error):
        chain().do(done)


def test_pyro_item_5_doing_a_slot_twice_takes_the_later_value():
    """Stock do recurses without end."""
    world = chain().do({"b": 1}).do({"b": 2})
    assert world.query("b").tolist() == [0, 0, 1]
    with scoped_seed(0):
        assert bool((world.structural_model(10)()["b"] == 2).all())


def test_pyro_item_8_evidence_on_a_deterministic_slot_counts():
    """Stock Pyro masks ``pyro.deterministic``: contradicting evidence costs nothing there."""
    graph = CausalGraph.from_edges([("a", "b"), ("b", "c")])
    laws: dict[str, Mechanism] = {
        "a": TableMechanism([0.3, 0.7]),
        "b": FunctionMechanism(lambda a: 1 - a, 2, [2]),
        "c": TableMechanism([[0.9, 0.1], [0.2, 0.8]]),
    }
    scm = SCM(graph, [Slot(name, 2) for name in "abc"], laws)
    assert scm.query("a", given={"b": 0}).tolist() == [0, 1]
    assert float(scm.log_evidence({"a": 0, "b": 0})) == -torch.inf
    with pytest.raises(EvidenceError, match="probability zero"):
        scm.query("c", given={"a": 0, "b": 0})
    world = scm.do({"b": 1})
    assert float(world.log_prob(torch.tensor([0, 0, 0]))) == -torch.inf
    with pytest.raises(EvidenceError, match="probability zero"):
        world.query("c", given={"b": 0})


def test_pyro_item_10_hidden_slots_downstream_do_not_bias_a_posterior():
    """infer_discrete gave P(z = 1 | x = 1) = .871 with a hidden child; it is .900."""
    graph = CausalGraph.from_edges([("z", "x"), ("z", "h"), ("x", "h")])
    laws = {
        "z": TableMechanism([0.5, 0.5]),
        "x": TableMechanism([[0.9, 0.1], [0.1, 0.9]]),
        "h": TableMechanism.random(4, [2, 2], seed=0),
    }
    scm = SCM(graph, [Slot("z", 2), Slot("x", 2), Slot("h", 4)], laws)
    torch.testing.assert_close(
        scm.query("z", given={"x": 1}), torch.tensor([0.1, 0.9], dtype=torch.float64)
    )
    draws = scm.sample(40_000, given={"x": 1}, seed=0)[:, 0].double().mean()
    assert abs(float(draws) - 0.9) < 5 * (0.09 / 40_000) ** 0.5
