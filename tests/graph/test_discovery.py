"""What may be learned from: regimes, targets, shapes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from ctvae.errors import CodeError, DataError, GraphError, RegimeError, ShapeError
from ctvae.graph import (
    GES,
    PC,
    CausalGraph,
    DiscoveryResult,
    DiscoveryStatus,
    EdgeEvidence,
    InterventionalBDeu,
    Knowledge,
    learn_graph,
)
from ctvae.graph.colliders import Orientation
from ctvae.graph.pc import untangle
from ctvae.randomness import Seed
from ctvae.regimes import Regime, Samples
from ctvae.slots import Slot, SlotSpace

CODES = torch.from_numpy(np.random.default_rng(0).integers(2, size=(60, 3)))
SLOTS = SlotSpace.from_cardinalities([2, 2, 2])
SOME = torch.zeros(60, 3, dtype=torch.bool)
SOME[40:, 1] = True
METHODS = {"PC": PC(), "GES": GES(), "InterventionalBDeu": InterventionalBDeu()}

BAD = {
    "edit rows": (
        lambda: learn_graph(Samples(CODES, SLOTS, Regime.EDIT), method=PC()),
        RegimeError,
        "edit rows are no samples of do: .* implies an empty graph",
    ),
    "counterfactual rows": (
        lambda: learn_graph(Samples(CODES, SLOTS, Regime.COUNTERFACTUAL), method=GES()),
        RegimeError,
        "never count as independent",
    ),
    "only interventions for PC": (
        lambda: learn_graph(CODES, method=PC(), targets=torch.ones(60, 3).bool()),
        RegimeError,
        "PC needs observational rows, and in each of the 60 rows something was done",
    ),
    "only interventions for GES": (
        lambda: learn_graph(CODES, method=GES(), targets=torch.ones(60, 3).bool()),
        RegimeError,
        "GES needs observational rows",
    ),
    "slots twice": (
        lambda: learn_graph(Samples(CODES, SLOTS), SLOTS, method=PC()),
        DataError,
        "bring their own slots",
    ),
    "no rows": (lambda: learn_graph(CODES[:0], SLOTS, method=PC()), DataError, "no rows"),
    "no rows, no slots": (lambda: learn_graph(CODES[:0], method=PC()), DataError, "no rows"),
    "one axis": (lambda: learn_graph(CODES[0], method=PC()), ShapeError, r"got shape \(3,\)"),
    "a float array": (
        lambda: learn_graph(CODES.double().numpy(), method=PC()),
        ShapeError,
        "got ndarray of float64; codes are integers",
    ),
    "a frame": (
        lambda: learn_graph(pd.DataFrame(CODES.numpy()), method=PC()),
        ShapeError,
        "got DataFrame; ct.data.read_columns makes Samples",
    ),
    "names of two columns": (
        lambda: learn_graph(CODES, ["a", "b"], method=PC()),
        ShapeError,
        "2",
    ),
    "floats": (lambda: learn_graph(CODES.double(), method=PC()), CodeError, "a slot is finite"),
    "outside": (
        lambda: learn_graph(CODES, [Slot("a", 1), Slot("b", 2), Slot("c", 2)], method=PC()),
        CodeError,
        "outside the codebook of slot 'a'",
    ),
    "target shape": (
        lambda: learn_graph(CODES, method=PC(), targets=SOME[:5]),
        ShapeError,
        "targets must be booleans of the shape",
    ),
    "target dtype": (
        lambda: learn_graph(CODES, method=PC(), targets=SOME.long()),
        ShapeError,
        "targets must be booleans",
    ),
    "evidence": (
        lambda: learn_graph(CODES, method=PC()).evidence("slot9", 0),
        GraphError,
        "'slot9' is not in this graph .*did you mean",
    ),
}


@pytest.mark.parametrize(("make", "error", "message"), BAD.values(), ids=BAD.keys())
def test_bad_input_is_refused_with_the_reason(make, error, message):
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS.keys())
def test_every_method_keeps_the_contract(method):
    before = CODES.clone()
    result = learn_graph(CODES, [Slot(n, 2) for n in "xyz"], method=method, targets=SOME, seed=1)
    assert isinstance(result, DiscoveryResult)
    assert result.graph.nodes == ("x", "y", "z")
    assert result.method is method
    assert result.rows_used == (60 if isinstance(method, InterventionalBDeu) else 40)
    assert result.status.advice
    assert isinstance(result.evidence("x", 2), EdgeEvidence)
    assert (result.edge_probabilities is None) == (not isinstance(method, InterventionalBDeu))
    again = learn_graph(
        Samples(CODES, SlotSpace([Slot(n, 2) for n in "xyz"]), Regime.INTERVENTIONAL, SOME),
        method=method,
    )
    assert again.graph == result.graph
    assert torch.equal(CODES, before)
    assert type(method).__name__ in repr(result)
    assert "<svg" in result._repr_html_()


def test_rows_under_intervention_do_not_reach_the_classical_methods():
    """Under do(x) = y the two look equal; the observational rows are independent."""
    rng = np.random.default_rng(0)
    seen = torch.from_numpy(rng.integers(2, size=(400, 2)))
    forced = torch.from_numpy(rng.integers(2, size=(400, 1))).repeat(1, 2)
    targets = torch.zeros(800, 2, dtype=torch.bool)
    targets[400:, 0] = True
    for method in (PC(), GES()):
        result = learn_graph(torch.cat([seen, forced]), method=method, targets=targets)
        assert result.graph.num_edges == 0
        assert result.rows_used == 400


def test_edges_on_a_cycle_become_undirected():
    graph = Orientation(np.ones((4, 4), dtype=bool) ^ np.eye(4, dtype=bool), np.zeros((4, 4), bool))
    graph.undirected[:] = False
    for a, b in ((0, 1), (1, 2), (2, 0), (2, 3)):
        graph.directed[a, b] = True
    found = CausalGraph.from_numpy(untangle(graph))
    assert found.undirected == {("slot0", "slot1"), ("slot1", "slot2"), ("slot0", "slot2")}
    assert found.directed == {("slot2", "slot3")}


def test_arrays_and_names_are_enough():
    want = learn_graph(CODES, [Slot(name, 2) for name in "abc"], method=GES())
    for dtype in (np.int64, np.int8, np.uint16):
        result = learn_graph(CODES.numpy().astype(dtype), ["a", "b", "c"], method=GES())
        assert result.graph == want.graph


def test_a_third_party_method_needs_only_discover():
    class Empty:
        def discover(self, samples, *, knowledge=None, seed=0):
            graph = CausalGraph.from_edges(nodes=samples.slots.names)
            return DiscoveryResult(graph, DiscoveryStatus.DONE, self, len(samples), 0.0)

    result = learn_graph(CODES, method=Empty())
    assert result.graph.num_edges == 0
    assert str(result.evidence(0, 1)) == "slot0 no edge to slot1: no evidence kept"


def test_a_method_without_knowledge_is_not_asked_for_it():
    class Plain:
        def discover(self, samples: Samples, *, seed: Seed = 0) -> DiscoveryResult:
            graph = CausalGraph.from_edges(nodes=samples.slots.names)
            return DiscoveryResult(graph, DiscoveryStatus.DONE, PC(), len(samples), 0.0)

    plain: Any = Plain()  # not what the protocol says in full
    assert learn_graph(CODES, method=plain).graph.num_edges == 0
    known = Knowledge(forbidden=[("slot0", "slot1")])
    with pytest.raises(GraphError, match="takes no knowledge"):
        learn_graph(CODES, method=plain, knowledge=known)


def test_rows_with_missing_entries_are_refused():
    slots = SlotSpace.from_cardinalities([2, 2])
    codes = torch.arange(20)[:, None].div(torch.tensor([1, 3]), rounding_mode="floor") % 2
    observed = torch.ones_like(codes, dtype=torch.bool)
    assert learn_graph(Samples(codes, slots, observed=observed), method=GES()).graph
    holes = observed.clone()
    holes[3, 1] = False
    with pytest.raises(DataError, match="learned from complete rows"):
        learn_graph(Samples(codes, slots, observed=holes), method=GES())
