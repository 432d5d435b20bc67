"""Knowledge: what it means, what it refuses, and that every method obeys it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ctvae.errors import GraphError
from ctvae.graph import (
    BOSS,
    GES,
    PC,
    CausalGraph,
    DifferentiableDiscovery,
    DiscoveryMethod,
    GRaSP,
    InterventionalBDeu,
    Knowledge,
    OrderMCMC,
    learn_graph,
)
from ctvae.slots import SlotSpace
from tests.graph.oracles import dags, sample_scm

METHODS: dict[str, DiscoveryMethod] = {
    "PC": PC(),
    "GES": GES(),
    "BOSS": BOSS(starts=1),
    "GRaSP": GRaSP(),
    "InterventionalBDeu": InterventionalBDeu(),
    "OrderMCMC": OrderMCMC(starts=3, num_samples=5),
    "DifferentiableDiscovery": DifferentiableDiscovery(steps=30, batch_size=64, width=4),
}


@st.composite
def known(draw: st.DrawFn, graph: CausalGraph) -> Knowledge:
    """Knowledge that some DAG obeys: edges along one order of the nodes, tiers along it too."""
    order = draw(st.permutations(graph.nodes))
    pairs = [(a, b) for k, a in enumerate(order) for b in order[k + 1 :]]
    required = draw(st.lists(st.sampled_from(pairs), max_size=2, unique=True)) if pairs else []
    free = [p for pair in pairs for p in (pair, pair[::-1]) if p not in required]
    forbidden = draw(st.lists(st.sampled_from(free), max_size=3, unique=True)) if free else []
    cut = draw(st.integers(0, len(order)))
    tiers = [order[:cut], order[cut:]] if draw(st.booleans()) else []
    return Knowledge(required=required, forbidden=forbidden, tiers=tiers)


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS.keys())
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_every_method_obeys(method, data):
    graph = data.draw(dags(2, 5))
    rules = data.draw(known(graph))
    rng = np.random.default_rng(data.draw(st.integers(0, 10**6)))
    matrix = graph.to_numpy()
    codes = torch.from_numpy(sample_scm(matrix, [2] * len(matrix), 400, rng, tables={}))
    slots = SlotSpace.from_cardinalities(dict.fromkeys(graph.nodes, 2))
    found = learn_graph(codes, slots, method=method, knowledge=rules).graph
    assert rules.allows(found)
    for a, b in rules.required:
        assert found.mark(a, b) == "->"
    for a, b in rules.forbidden:
        assert found.mark(a, b) in {"none", "<-", "-"}
        assert found.mark(a, b) != "-" or (b, a) not in rules.forbidden


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS.keys())
def test_knowledge_directs_what_rows_cannot(method):
    rng = np.random.default_rng(0)
    a = rng.integers(2, size=1000)
    b = np.where(rng.random(1000) < 0.1, 1 - a, a)
    codes = torch.from_numpy(np.stack([a, b], 1))
    slots = SlotSpace.from_cardinalities({"a": 2, "b": 2})
    for rules, want in (
        (Knowledge(tiers=[["b"], ["a"]]), ("b", "a")),
        (Knowledge(forbidden=[("b", "a")]), ("a", "b")),
        (Knowledge(required=[("b", "a")]), ("b", "a")),
    ):
        graph = learn_graph(codes, slots, method=method, knowledge=rules).graph
        assert graph == CausalGraph.from_edges([want])
    apart = Knowledge(forbidden=[("a", "b"), ("b", "a")])
    assert learn_graph(codes, slots, method=method, knowledge=apart).graph.num_edges == 0


@settings(max_examples=60, deadline=None)
@given(dags(2, 5), st.data())
def test_the_truth_obeys_what_is_read_off_it(graph, data):
    order = graph.topological_order()
    cut = data.draw(st.integers(0, len(order)))
    absent = [(a, b) for a in order for b in order if a != b and graph.mark(a, b) == "none"]
    rules = Knowledge(required=graph.directed, forbidden=absent, tiers=[order[:cut], order[cut:]])
    assert rules.allows(graph)
    for a, b in sorted(graph.directed):
        rest = graph.directed - {(a, b)}
        assert not rules.allows(CausalGraph.from_edges(rest, nodes=graph.nodes))
        assert not Knowledge(forbidden=[(a, b)]).allows(graph)


APART = Knowledge(forbidden=[("c", "d"), ("d", "c")])
OPEN = {
    "CPDAG": (CausalGraph.from_edges(undirected=[("c", "d")]), False, False),
    "MPDAG": (CausalGraph.from_edges([("a", "b")], undirected=[("c", "d")]), False, True),
    "o-o": (CausalGraph.from_edges(circle_circle=[("c", "d")]), False, True),
    "o->": (CausalGraph.from_edges(circle_arrow=[("c", "d")]), False, True),
    "<->": (CausalGraph.from_edges(bidirected=[("c", "d")]), True, True),
    "bow": (CausalGraph.from_edges([("d", "c")], bidirected=[("c", "d")]), False, True),
    "none": (CausalGraph.from_edges(nodes=["c", "d"]), True, True),
}


@pytest.mark.parametrize(("graph", "apart", "one_way"), OPEN.values(), ids=OPEN.keys())
def test_open_edges_are_forbidden_where_both_directions_are(graph, apart, one_way):
    for turned in (graph, graph.relabel({"c": "d", "d": "c"})):
        assert APART.allows(turned) == apart
    assert Knowledge(forbidden=[("c", "d")]).allows(graph) == one_way


BAD = {
    "contradiction": (
        lambda: Knowledge(required=[("a", "b")], forbidden=[("a", "b")]),
        "a -> b is both required and forbidden",
    ),
    "tiers": (
        lambda: Knowledge(required=[("b", "a")], tiers=[["a"], ["b"]]),
        "b -> a is required, but the tiers forbid it",
    ),
    "cycle": (
        lambda: Knowledge(required=[("a", "b"), ("b", "c"), ("c", "a")]),
        "form a cycle: a -> b -> c -> a",
    ),
    "two tiers": (lambda: Knowledge(tiers=[["a"], ["a"]]), "'a' stands in the tiers more than"),
    "loop": (lambda: Knowledge(required=[("a", "a")]), "self loop"),
    "text": (lambda: Knowledge(required=["ab"]), "an edge is a pair"),  # type: ignore[list-item]
    "unknown": (
        lambda: learn_graph(
            torch.zeros(4, 2, dtype=torch.long),
            method=PC(),
            knowledge=Knowledge(required=[("slot0", "slot11")]),
        ),
        "names 'slot11', which is not a node.*did you mean 'slot1'",
    ),
    "too many parents": (
        lambda: learn_graph(
            torch.zeros(4, 3, dtype=torch.long),
            method=OrderMCMC(max_parents=1),
            knowledge=Knowledge(required=[("slot0", "slot2"), ("slot1", "slot2")]),
        ),
        "requires 2 parents of one slot, more than max_parents, which is 1",
    ),
}


@pytest.mark.parametrize(("make", "message"), BAD.values(), ids=BAD.keys())
def test_bad_knowledge_is_refused(make, message):
    with pytest.raises(GraphError, match=message):
        make()


def test_a_method_that_ignores_knowledge_is_caught():
    class Careless:
        def discover(self, samples, *, knowledge=None, seed=0):
            return PC().discover(samples, seed=seed)

    with pytest.raises(GraphError, match="cannot obey this knowledge: slot0 -> slot1 is required"):
        learn_graph(
            torch.arange(8)[:, None] // torch.tensor([1, 2]) % 2,
            method=Careless(),
            knowledge=Knowledge(required=[("slot0", "slot1")]),
        )
