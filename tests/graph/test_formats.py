"""Round trips through every format, on graphs that are not symmetric."""

from __future__ import annotations

import gzip
from types import SimpleNamespace

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ctvae as ct
from ctvae.errors import FormatError, GraphError
from ctvae.graph import CausalGraph, compare_graphs
from tests.graph.oracles import dags

MIXED = CausalGraph.from_edges(
    [("c", "a"), ("a", "d")], undirected=[("d", "b")], nodes=["a", "b", "c", "d", "alone"]
)
HIDDEN = CausalGraph.from_edges([("c", "a")], bidirected=[("a", "b"), ("c", "a")])
DAG = CausalGraph.from_edges([("c", "a"), ("a", "d"), ("c", "d")], nodes=["a", "c", "d", "alone"])
PAG = CausalGraph.from_edges(
    [("c", "a")],
    undirected=[("e", "f")],
    bidirected=[("a", "b")],
    circle_arrow=[("d", "a"), ("b", "e")],
    circle_circle=[("d", "c")],
    tail_circle=[("f", "c")],
    nodes=["a", "b", "c", "d", "e", "f", "alone"],
)
ODD = CausalGraph.from_edges(
    [('say "hi"', "a -> b")],
    undirected=[("a -> b", "back\\slash"), ("{", "two words")],
    nodes=[
        "{",
        "a -> b",
        "back\\slash",
        'say "hi"',
        "two words",
        "größe",
        "a.0",
        "x-y",
        "dir=both",
    ],
)
NO_MARK = {  # what a format has no mark for
    *(("numpy", name) for name in ("hidden", "pag")),
    *(("bif", name) for name in ("mixed", "hidden", "pag", "odd")),
}

ROUND_TRIPS = {
    "numpy": lambda g: CausalGraph.from_numpy(g.to_numpy(), g.nodes),
    "networkx": lambda g: CausalGraph.from_networkx(g.to_networkx()),
    "json": lambda g: CausalGraph.from_json(g.to_json()),
    "causallearn": lambda g: CausalGraph.from_causallearn(g.to_causallearn()),
    "dot": lambda g: CausalGraph.from_dot(g.to_dot()),
    "dagitty": lambda g: CausalGraph.from_dagitty(g.to_dagitty()),
    "gml": lambda g: CausalGraph.from_gml(g.to_gml()),
    "bif": lambda g: CausalGraph.from_bif(g.to_bif()),
    "endpoints": lambda g: CausalGraph.from_causallearn(g.to_causallearn().graph, g.nodes),
}


GRAPHS = {"dag": DAG, "mixed": MIXED, "hidden": HIDDEN, "pag": PAG, "odd": ODD}
PAIRS = [(trip, name) for trip in ROUND_TRIPS for name in GRAPHS if (trip, name) not in NO_MARK]


@pytest.mark.parametrize(("trip", "name"), PAIRS)
def test_round_trip(trip, name):
    graph = GRAPHS[name]
    back = ROUND_TRIPS[trip](graph)
    assert back == graph
    assert back.nodes == graph.nodes


@pytest.mark.parametrize("trip", ROUND_TRIPS.values(), ids=ROUND_TRIPS.keys())
def test_round_trip_of_random_dags(trip):
    @settings(max_examples=25, deadline=None)
    @given(graph=dags())
    def law(graph):
        assert trip(graph) == graph
        assert trip(graph).nodes == graph.nodes

    law()


WORDS = ["node", "edge", "graph", "bb", "dag", "digraph", "strict", "variable", "probability"]
SIGNS = ["->", "<->", "@-@", "--", "{", "}", "[", "]", ";", ",", "=", ":", "|", "//", "#", "/* */"]
LINES = [
    "a) {",
    "a{b",
    "( x )",
    'say "hi"',
    "back\\",
    "a&amp;b",
    "é",
    "x\nvariable y {\n}",
    " edge ",
]
NO_GML = {"[]", "()"}


@pytest.mark.parametrize("trip", ROUND_TRIPS.values(), ids=ROUND_TRIPS.keys())
def test_round_trip_of_odd_names(trip):
    """A quoted name is a name, even if it looks like a word or sign of the format."""

    @settings(max_examples=60, deadline=None)
    @given(graph=dags(), data=st.data())
    def law(graph, data):
        size = len(graph.nodes)
        some = st.sampled_from([*WORDS, *SIGNS, *LINES]) | st.text('an{}()[]|"\\>-= ', min_size=1)
        some = some.filter(lambda name: name not in NO_GML)
        names = data.draw(st.lists(some, min_size=size, max_size=size, unique=True))
        odd = graph.relabel(dict(zip(graph.nodes, names, strict=True)))
        assert trip(odd) == odd
        assert trip(odd).nodes == odd.nodes

    law()


def test_adjacency_convention():
    matrix = CausalGraph.from_edges([("a", "b")], nodes=["a", "b", "c"]).to_numpy()
    assert matrix.dtype == np.int8
    assert matrix.tolist() == [[0, 1, 0], [0, 0, 0], [0, 0, 0]]


def test_causallearn_convention():
    """i -> j is a tail (-1) at [i, j] and an arrow head (1) at [j, i]."""
    general = CausalGraph.from_edges([("a", "b")]).to_causallearn()
    assert general.graph.tolist() == [[0, -1], [1, 0]]
    assert general.is_parent_of(*general.nodes)
    assert general.is_ancestor_of(*general.nodes)
    assert not general.is_parent_of(*general.nodes[::-1])


def test_what_causal_learns_searches_return():
    """``ges`` a dict, ``fci`` a graph and its edges, ``pc`` an object with ``G``."""
    want = CausalGraph.from_edges([("a", "b")])
    general = want.to_causallearn()
    returned = {
        "ges": {"G": general, "score": -1.0, "update1": []},
        "fci": (general, general.get_graph_edges()),
        "pc": SimpleNamespace(G=general),
    }
    for one in returned.values():
        assert CausalGraph.from_causallearn(one) == want
    assert dict(compare_graphs(returned).graphs) == dict.fromkeys(returned, want)
    wrong: list[object] = [[general], {}, "a -> b", (), None]
    for bad in wrong:
        with pytest.raises(GraphError, match="from_causallearn takes a GeneralGraph, what pc"):
            CausalGraph.from_causallearn(bad)


def test_plain_networkx_graphs():
    assert CausalGraph.from_networkx(nx.Graph([(1, 2)])).undirected == {("1", "2")}
    assert CausalGraph.from_networkx(nx.DiGraph([("b", "a")])).directed == {("b", "a")}
    both = nx.DiGraph([("b", "a"), ("a", "b")])
    assert CausalGraph.from_networkx(both).undirected == {("a", "b")}


def test_dot():
    dot = CausalGraph.from_edges([('say "hi"', "b")], undirected=[("b", "c")]).to_dot()
    assert dot.splitlines() == [
        "digraph {",
        '  "say \\"hi\\"";',
        '  "b";',
        '  "c";',
        '  "say \\"hi\\"" -> "b";',
        '  "b" -> "c" [dir=none];',
        "}",
    ]


@pytest.mark.parametrize(("trip", "name"), sorted(NO_MARK))
def test_what_a_format_cannot_say_is_refused(trip, name):
    with pytest.raises(GraphError, match=r"no mark for|not directed"):
        ROUND_TRIPS[trip](GRAPHS[name])


@pytest.mark.parametrize("name", sorted(NO_GML))
def test_names_that_gml_has_not_are_refused(name):
    with pytest.raises(GraphError, match="for an empty list; relabel"):
        CausalGraph.from_edges(nodes=[name]).to_gml()


def test_dot_of_others():
    """As Graphviz' manual writes it: chains, groups, comments, defaults, no semicolons."""
    text = """
    /* a comment */ strict digraph G {
      rankdir = LR  // to the right
      node [shape=box, color="red"]
      a -> b -> c [weight=2]
      d -> {a b} [dir=back]
      c -> e [dir=none]; lonely [label="not alone"]
    }
    """
    want = CausalGraph.from_edges(
        [("a", "b"), ("b", "c"), ("a", "d"), ("b", "d")],
        undirected=[("c", "e")],
        nodes=["a", "b", "c", "d", "e", "lonely"],
    )
    assert CausalGraph.from_dot(text) == want
    assert CausalGraph.from_dot("graph { a -- b }").undirected == {("a", "b")}


DOT_GROUPS = {
    "cluster": ("digraph { subgraph cluster_a { label=x; a -> b } b -> c }", "a -> b, b -> c"),
    "no name": ("digraph { subgraph { a -> b } }", "a -> b"),
    "nested": ("digraph { subgraph x { subgraph y { a -> b } c -> a } }", "c -> a, a -> b"),
    "rank": ("digraph { {rank=same; a; b} a -> b }", "a -> b"),
    "end": ("digraph { subgraph x {a; b} -> c }", "a -> c, b -> c"),
    "edges in braces": ("digraph { { a -> b } }", "a -> b"),
    "default": ("digraph { edge [dir=back]; a -> b; b -> c [dir=forward] }", "b -> a, b -> c"),
    "scope": ("digraph { subgraph x { edge [dir=back] a -> b } b -> c }", "b -> a, b -> c"),
    "inherited": ("digraph { edge [dir=back] subgraph x { a -> b } }", "b -> a"),
}


@pytest.mark.parametrize(("text", "edges"), DOT_GROUPS.values(), ids=DOT_GROUPS.keys())
def test_dot_groups_and_defaults(text, edges):
    """What Graphviz' language reference says of subgraphs and of ``edge [...]``."""
    want = [tuple(edge.split(" -> ")) for edge in edges.split(", ")]
    assert CausalGraph.from_dot(text) == CausalGraph.from_edges(want)


def test_dagitty_of_others():
    """As dagitty.net gives it out, with positions and roles."""
    text = """dag {
    bb="-5,-5,5,5"
    D [outcome,pos="1.4,1.6"]
    E [exposure,pos="-2,1.6"]
    "two words" [latent, pos="0,0"]
    E -> D
    "two words" -> {D E}
    A <-> B <- C
    }"""
    graph = CausalGraph.from_dagitty(text)
    assert graph.nodes == ("D", "E", "two words", "A", "B", "C")
    assert graph.directed == {("E", "D"), ("two words", "D"), ("two words", "E"), ("C", "B")}
    assert graph.bidirected == {("A", "B")}
    assert CausalGraph.from_dagitty("pag { a @-> b; b @-@ c; c <-@ d }").circle_arrow == {
        ("a", "b"),
        ("d", "c"),
    }


def test_bif_gives_the_graph_of_the_whole_reader(shared_data):
    path = shared_data / "bnlearn" / "bif" / "child.bif.gz"
    text = gzip.decompress(path.read_bytes()).decode()
    assert CausalGraph.from_bif(text) == ct.SCM.from_bif(path).graph


BAD_TEXT = {
    "no dot": (CausalGraph.from_dot, "a -> b", "nodes and edges in braces"),
    "subgraph": (CausalGraph.from_dot, "digraph { a -> }", "expected a node's name.*the end"),
    "dot circle": (CausalGraph.from_dot, "digraph { a @-> b }", "DOT has the edges"),
    "direction": (CausalGraph.from_dot, "digraph { a -> b [dir=up] }", "got 'up'"),
    "open": (CausalGraph.from_dot, "digraph { subgraph x { a -> b }", "never closed"),
    "group": (CausalGraph.from_dot, "digraph { a -> {b -> c} }", "hold names alone"),
    "character": (CausalGraph.from_dagitty, "dag { a > b }", "cannot read '> b }'"),
    "no gml": (CausalGraph.from_gml, "digraph {", "this is no GML"),
    "no bif": (CausalGraph.from_bif, "<xml>", "this is no BIF text"),
}


@pytest.mark.parametrize(("read", "text", "message"), BAD_TEXT.values(), ids=BAD_TEXT.keys())
def test_text_that_is_no_graph_is_refused(read, text, message):
    with pytest.raises(FormatError, match=message):
        read(text)
