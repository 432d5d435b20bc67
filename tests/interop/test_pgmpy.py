"""Networks of pgmpy in and out, and its known faults, which ours do not have."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch

from ctvae.errors import CTVAEError, FormatError, ShapeError
from ctvae.graph.causal_graph import CausalGraph
from ctvae.mechanisms.interventions import Stochastic
from ctvae.mechanisms.table import TableMechanism
from ctvae.scm import SCM
from ctvae.slots import Slot
from tests.interop.oracles import (
    BIFReader,
    BIFWriter,
    DiscreteBayesianNetwork,
    TabularCPD,
    eliminate,
)
from tests.oracles import enumerate_joint
from tests.strategies import SCMS


@pytest.mark.parametrize("make", SCMS.values(), ids=SCMS.keys())
def test_pgmpy_holds_the_law_of_the_world(make, device):
    scm = make().to(device)
    network = scm.to_pgmpy()
    assert network.check_model()
    joint = eliminate(network, scm.slots.names)
    np.testing.assert_allclose(joint, enumerate_joint(scm), rtol=0, atol=1e-7)


@pytest.mark.parametrize("make", SCMS.values(), ids=SCMS.keys())
def test_a_model_comes_back_from_pgmpy_to_the_last_bit(make):
    scm = SCM.from_bif(make().to_bif())  # float64, and of one world
    again = SCM.from_pgmpy(scm.to_pgmpy())
    assert (again.slots, again.graph) == (scm.slots, scm.graph)
    for name, law in scm.mechanisms.items():
        assert torch.equal(again.mechanisms[name].table(), law.table())


def test_state_names_go_both_ways():
    law = TableMechanism([[0.9, 0.1], [0.2, 0.8], [0.5, 0.5]])
    graph = CausalGraph.from_edges([("b", "a")], nodes=["a", "b"])
    slots = [Slot("a", 2, ("t", "f")), Slot("b", 3)]
    network = SCM(graph, slots, {"a": law, "b": TableMechanism([0.2, 0.3, 0.5])}).to_pgmpy()
    assert network.get_cpds("a").state_names == {"a": ["t", "f"], "b": [0, 1, 2]}
    assert list(SCM.from_pgmpy(network).slots) == slots


def test_states_in_another_order_are_put_right_by_name():
    network = DiscreteBayesianNetwork([("b", "a")])
    own = {"a": ["t", "f"], "b": ["high", "low"]}
    values = [[0.9, 0.2], [0.1, 0.8]]  # given high, given low
    network.add_cpds(
        TabularCPD("b", 2, [[0.25], [0.75]], state_names={"b": ["low", "high"]}),
        TabularCPD("a", 2, values, ["b"], [2], state_names=own),
    )
    scm = SCM.from_pgmpy(network)
    assert scm.query("a", given={"b": "low"}).tolist() == pytest.approx([0.2, 0.8])
    assert scm.query("a", given={"b": "high"}).tolist() == pytest.approx([0.9, 0.1])


def test_pgmpy_reads_what_we_write_and_we_read_what_it_writes():
    scm = SCM.from_bif(SCMS["columns against causes"]().to_bif())
    theirs = SCM.from_pgmpy(BIFReader(string=scm.to_bif()).get_model())
    network = SCMS["columns against causes"]().to_pgmpy()
    ours = SCM.from_bif(str(BIFWriter(network)))
    for other in (theirs, ours):
        for name in scm.slots.names:
            np.testing.assert_allclose(
                other.query([name, "d"] if name != "d" else ["d"]),
                scm.query([name, "d"] if name != "d" else ["d"]),
                rtol=0,
                atol=1e-12,
            )


def _without_a_table() -> DiscreteBayesianNetwork:
    return DiscreteBayesianNetwork([("a", "b")])


def _with_other_states() -> DiscreteBayesianNetwork:
    network = DiscreteBayesianNetwork([("a", "b")])
    network.add_cpds(
        TabularCPD("a", 2, [[0.5], [0.5]], state_names={"a": ["x", "y"]}),
        TabularCPD(
            "b", 1, [[1, 1]], ["a"], [2], state_names={"b": ["only"], "a": ["x", "z"]}
        ),
    )  # fmt: skip
    return network


def _with_other_edges() -> DiscreteBayesianNetwork:
    network = DiscreteBayesianNetwork([("a", "b")])
    network.add_cpds(TabularCPD("a", 1, [[1]]), TabularCPD("b", 1, [[1]]))
    return network


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (_without_a_table, FormatError, "'a' has no TabularCPD, got None"),
        (_with_other_states, FormatError, r"states \['x', 'z'\] of 'a', which has \['x', 'y'\]"),
        (_with_other_edges, FormatError, r"given \[\], its edges come from \['a'\]"),
        (lambda: "a network", CTVAEError, "expected a pgmpy DiscreteBayesianNetwork, got str"),
    ],
)
def test_networks_without_one_meaning_are_refused(make, error, words):
    with pytest.raises(error, match=words):
        SCM.from_pgmpy(make())


def test_one_world_per_row_does_not_fit_a_network():
    with pytest.raises(ShapeError, match="got 2 worlds"):
        SCMS["chain"]().do(slot="a", value=torch.tensor([0, 1])).to_pgmpy()


def test_a_missing_pgmpy_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "pgmpy.models", None)
    with pytest.raises(CTVAEError, match=r"pip install ctvae\[baselines\]"):
        SCMS["chain"]().to_pgmpy()


def confounded() -> SCM:
    """z causes x and y, and x causes y; all have two codes."""
    graph = CausalGraph.from_edges([("z", "x"), ("z", "y"), ("x", "y")], nodes=["z", "x", "y"])
    laws = {
        "z": TableMechanism([0.5, 0.5]),
        "x": TableMechanism([[0.9, 0.1], [0.2, 0.8]]),
        "y": TableMechanism([[[0.99, 0.01], [0.7, 0.3]], [[0.4, 0.6], [0.05, 0.95]]]),
    }
    return SCM(graph, [Slot(name, 2) for name in "zxy"], laws)


def test_pgmpy_2864_a_soft_intervention_has_the_probability_asked_for():
    """virtual_intervention asked for P = .4 gave .79: it weighs the natural law."""
    world = confounded().do(slot="x", value=Stochastic([0.6, 0.4]))
    assert world.query("x").tolist() == [0.6, 0.4]
    assert world.query("z").tolist() == confounded().query("z").tolist()
    # y by hand: the mean over z of .6 P(y | z, x=0) + .4 P(y | z, x=1).
    expected = 0.5 * (0.6 * 0.01 + 0.4 * 0.3) + 0.5 * (0.6 * 0.6 + 0.4 * 0.95)
    assert float(world.query("y")[1]) == pytest.approx(expected, abs=1e-15)


def test_pgmpy_3549_evidence_under_do_is_not_dropped():
    """query(do=, evidence=) answered without the evidence."""
    world = confounded().do(slot="x", value=1)
    # By hand: P(z | do(x=1), y=1) is proportional to .5 * .3 and .5 * .95.
    answer = float(world.query("z", given={"y": 1})[1])
    assert answer == pytest.approx(0.95 / 1.25, abs=1e-15)
    assert float(world.query("z")[1]) == pytest.approx(0.5, abs=1e-15)
    assert float(world.query("y", given={"z": 1})[1]) == pytest.approx(0.95, abs=1e-15)


def test_pgmpy_1491_do_on_a_child_leaves_the_parent_marginal():
    """query of a parent under do on its child raised ValueError."""
    scm = confounded()
    for child in ("x", "y"):
        for code in (0, 1):
            np.testing.assert_allclose(scm.do({child: code}).query("z"), [0.5, 0.5], atol=1e-15)
