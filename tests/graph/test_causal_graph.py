"""The value: construction, refusals, and the relations it answers."""

from __future__ import annotations

import subprocess
import sys

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings

from ctvae.errors import CTVAEError, FormatError, GraphError
from ctvae.graph import CausalGraph, GraphKind, endpoint_confusion, shd
from tests.graph.oracles import dags

GRAPH = CausalGraph.from_edges(
    [("rain", "wet"), ("sprinkler", "wet"), ("wet", "slippery")], nodes=None
)

BAD = {
    "unknown node": (
        lambda: CausalGraph.from_edges([("hu", "shape")], nodes=["hue", "shape"]),
        GraphError,
        r"edge hu -> shape: node 'hu' is not among the nodes .*did you mean 'hue'",
    ),
    "self loop": (lambda: CausalGraph.from_edges([("a", "a")]), GraphError, "self loop"),
    "2-cycle": (
        lambda: CausalGraph.from_edges([("a", "b"), ("b", "a")]),
        GraphError,
        "2-cycle; write undirected",
    ),
    "cycle": (
        lambda: CausalGraph.from_edges([("d", "a"), ("a", "b"), ("b", "c"), ("c", "a")]),
        GraphError,
        "form a cycle: a -> b -> c -> a",
    ),
    "cycle behind other nodes": (
        lambda: CausalGraph.from_edges([("c", "b"), ("b", "a"), ("a", "c"), ("c", "z")]),
        GraphError,
        "form a cycle: c -> b -> a -> c",
    ),
    "two marks": (
        lambda: CausalGraph.from_edges([("a", "b")], undirected=[("b", "a")]),
        GraphError,
        "the pair a, b carries",
    ),
    "mixed": (
        lambda: CausalGraph.from_edges(undirected=[("a", "b")], bidirected=[("b", "c")]),
        GraphError,
        "an ADMG has no undirected",
    ),
    "repeated node": (lambda: CausalGraph(("a", "a")), GraphError, "'a' appears twice"),
    "nodes as text": (
        lambda: CausalGraph("ab"),  # type: ignore[arg-type]  # what a user may write
        GraphError,
        "got the text 'ab'",
    ),
    "empty name": (lambda: CausalGraph(("",)), GraphError, "non-empty text"),
    "edge as text": (
        lambda: CausalGraph.from_edges(["ab"]),  # type: ignore[list-item]  # what a user may write
        GraphError,
        "an edge is a pair",
    ),
    "number as name": (
        lambda: CausalGraph((1, 2)),  # type: ignore[arg-type]  # what a user may write
        GraphError,
        "non-empty text, got 1",
    ),
    "unknown name": (lambda: GRAPH.parents("rains"), GraphError, "did you mean 'rain'"),
    "matrix shape": (lambda: CausalGraph.from_numpy(np.zeros((2, 3))), GraphError, r"\(2, 3\)"),
    "matrix values": (
        lambda: CausalGraph.from_numpy(np.array([[0, 0.5], [0, 0]])),
        GraphError,
        "got 0.5; threshold",
    ),
    "matrix loop": (lambda: CausalGraph.from_numpy(np.eye(2)), GraphError, "self loop"),
    "matrix names": (
        lambda: CausalGraph.from_numpy(np.zeros((2, 2)), ["a"]),
        GraphError,
        "2 columns need as many names, got 1",
    ),
    "matrix of a PAG": (
        lambda: CausalGraph.from_edges(circle_arrow=[("a", "b")]).to_numpy(),
        GraphError,
        "no mark for circles",
    ),
    "order of a PAG": (
        lambda: CausalGraph.from_edges(circle_circle=[("a", "b")]).topological_order(),
        GraphError,
        "a PAG stands for many graphs",
    ),
    "class of a PAG": (
        lambda: CausalGraph.from_edges(circle_arrow=[("a", "b")]).cpdag(),
        GraphError,
        "circle marks has no extension",
    ),
    "two circle marks": (
        lambda: CausalGraph.from_edges(circle_arrow=[("a", "b"), ("b", "a")]),
        GraphError,
        "a, b carries o-> and another mark",
    ),
    "circle and arrow": (
        lambda: CausalGraph.from_edges([("a", "b")], circle_circle=[("b", "a")]),
        GraphError,
        "a, b carries o-o and another mark",
    ),
    "impossible endpoints": (
        lambda: CausalGraph.from_causallearn(np.array([[0, 1], [0, 0]])),
        GraphError,
        "these are no edge",
    ),
    "unknown networkx mark": (
        lambda: CausalGraph.from_networkx(nx.DiGraph([("a", "b", {"mark": "dotted"})])),
        GraphError,
        "mark must be one of",
    ),
    "no JSON": (lambda: CausalGraph.from_json("{"), FormatError, "this is no JSON"),
    "other JSON": (lambda: CausalGraph.from_json("{}"), FormatError, "to_json"),
    "new JSON": (
        lambda: CausalGraph.from_json('{"format": "ctvae-graph", "version": 9}'),
        FormatError,
        "version 9 is unknown",
    ),
    "odd JSON": (
        lambda: CausalGraph.from_json('{"format": "ctvae-graph", "version": 1, "nodes": 3}'),
        FormatError,
        "must be lists",
    ),
    "bidirected matrix": (
        lambda: CausalGraph.from_edges(bidirected=[("a", "b")]).to_numpy(),
        GraphError,
        "no mark for bidirected",
    ),
    "open order": (
        lambda: CausalGraph.from_edges(undirected=[("a", "b")]).topological_order(),
        GraphError,
        "a - b leaves the order open",
    ),
    "no extension": (
        lambda: CausalGraph.from_edges(
            undirected=[("a", "b"), ("b", "c"), ("c", "d"), ("d", "a")]
        ).cpdag(),
        GraphError,
        "no DAG extends this graph",
    ),
    "class of an ADMG": (
        lambda: CausalGraph.from_edges(bidirected=[("a", "b")]).cpdag(),
        GraphError,
        "bidirected edges has no extension",
    ),
    "reorder": (lambda: GRAPH.reorder(["rain"]), GraphError, "missing: wet"),
    "relabel": (lambda: GRAPH.relabel({"snow": "x"}), GraphError, "'snow' is not in this graph"),
}


@pytest.mark.parametrize(("make", "error", "message"), BAD.values(), ids=BAD.keys())
def test_bad_input_is_refused_with_the_reason(make, error, message):
    assert issubclass(error, CTVAEError)
    with pytest.raises(error, match=message):
        make()


def test_relations():
    assert GRAPH.nodes == ("rain", "wet", "sprinkler", "slippery")
    assert GRAPH.parents("wet") == ("rain", "sprinkler")
    assert GRAPH.children("rain") == ("wet",)
    assert GRAPH.ancestors("slippery") == {"rain", "wet", "sprinkler"}
    assert GRAPH.ancestors(["wet", "rain"]) == {"sprinkler"}
    assert GRAPH.descendants(["rain", "sprinkler"]) == {"wet", "slippery"}
    assert GRAPH.adjacent("wet", "rain")
    assert not GRAPH.adjacent("rain", "sprinkler")
    assert GRAPH.topological_order() == ("rain", "sprinkler", "wet", "slippery")
    open_ended = CausalGraph.from_edges([("a", "b")], undirected=[("c", "b")])
    assert open_ended.neighbours("b") == ("c",)
    assert open_ended.parents("b") == ("a",)
    assert [open_ended.mark(*p) for p in (("a", "b"), ("b", "a"), ("b", "c"), ("a", "c"))] == [
        "->",
        "<-",
        "-",
        "none",
    ]


def test_kinds():
    kinds = {
        GraphKind.DAG: CausalGraph.from_edges([("a", "b")]),
        GraphKind.CPDAG: CausalGraph.from_edges(undirected=[("a", "b")]),
        GraphKind.PDAG: CausalGraph.from_edges([("a", "b")], undirected=[("b", "c")]),
        GraphKind.ADMG: CausalGraph.from_edges([("a", "b")], bidirected=[("a", "b")]),
    }
    assert {kind: graph.kind for kind, graph in kinds.items()} == {k: k for k in kinds}


def test_a_graph_is_a_value():
    a = CausalGraph.from_edges([("x", "y")], undirected=[("z", "y")])
    b = CausalGraph.from_edges([("x", "y")], undirected=[("y", "z")], nodes=["z", "y", "x"])
    assert a == b
    assert hash(a) == hash(b)
    assert a != CausalGraph.from_edges([("x", "y")], nodes=["x", "y", "z"])
    with pytest.raises(AttributeError):
        a.nodes = ()  # type: ignore[misc]  # the value is frozen
    edges = [("x", "y")]
    CausalGraph.from_edges(edges)
    assert edges == [("x", "y")]
    assert repr(a) == "CausalGraph(PDAG on x, y, z: x -> y, y - z)"
    assert "... 4 more" in repr(CausalGraph.from_edges([(f"n{k}", "end") for k in range(20)]))
    assert a._repr_html_().startswith("<svg")


@settings(max_examples=40, deadline=None)
@given(graph=dags())
def test_topological_order_puts_causes_first(graph):
    order = graph.topological_order()
    assert sorted(order) == sorted(graph.nodes)
    assert all(order.index(a) < order.index(b) for a, b in graph.directed)
    for name in graph.nodes:
        assert name not in graph.ancestors(name)
        assert all(name in graph.descendants(a) for a in graph.ancestors(name))


@settings(max_examples=40, deadline=None)
@given(graph=dags(min_nodes=2))
def test_relabelling_and_reordering_keep_the_structure(graph):
    mapping = {name: name.upper() for name in graph.nodes}
    back = {new: old for old, new in mapping.items()}
    assert graph.relabel(mapping).relabel(back) == graph
    turned = graph.reorder(graph.nodes[::-1])
    assert turned == graph
    np.testing.assert_array_equal(turned.to_numpy(), graph.to_numpy()[::-1, ::-1])
    assert graph.relabel(mapping).cpdag() == graph.cpdag().relabel(mapping)


def test_importing_the_package_loads_nothing_heavy():
    script = (
        "import sys, ctvae.graph, ctvae.plotting\n"
        "heavy = {'causallearn', 'matplotlib', 'pandas', 'sklearn', 'pyro'} & set(sys.modules)\n"
        "sys.exit(', '.join(sorted(heavy)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_pags():
    pag = CausalGraph.from_edges(
        [("c", "d")],
        undirected=[("f", "e")],
        bidirected=[("b", "d")],
        circle_arrow=[("b", "a")],
        circle_circle=[("c", "b")],
        tail_circle=[("f", "a")],
    )
    assert pag.kind is GraphKind.PAG
    marks = {("b", "a"): "o->", ("a", "b"): "<-o", ("b", "c"): "o-o", ("c", "b"): "o-o"}
    marks |= {("f", "a"): "-o", ("a", "f"): "o-", ("b", "d"): "<->", ("e", "f"): "-"}
    assert {pair: pag.mark(*pair) for pair in marks} == marks
    assert pag.num_edges == 6
    assert len(pag.skeleton) == 6
    assert pag.parents("a") == ()  # a circle is no tail
    assert "b o-> a" in repr(pag)
    renamed = pag.relabel({"a": "z"})
    assert renamed.mark("b", "z") == "o->"
    assert renamed != pag
    assert pag.reorder(sorted(pag.nodes)) == pag
    assert pag.plot().axes


def test_pags_are_compared_by_their_endpoints():
    truth = CausalGraph.from_edges(circle_arrow=[("a", "b")], bidirected=[("b", "c")])
    guess = CausalGraph.from_edges(circle_arrow=[("b", "a")], nodes=["c", "b", "a"])
    with pytest.raises(GraphError, match=r"SHD is not defined for a PAG.*endpoint_confusion"):
        shd(guess, truth)
    counts = endpoint_confusion(guess, truth)
    assert counts.sum() == 6
    assert counts[2].tolist() == [2, 0, 0, 1]  # b <-> c is missed; the arrow at b is a circle
    assert counts[3].tolist() == [0, 0, 1, 0]
    assert np.array_equal(endpoint_confusion(truth, guess), counts.T)
    assert not (endpoint_confusion(truth, truth) - np.diag([2, 0, 3, 1])).any()
