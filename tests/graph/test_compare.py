"""Scores by hand, distances as metrics, tables that a paper can take."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ctvae.errors import GraphError
from ctvae.graph import (
    PC,
    CausalGraph,
    EdgeState,
    FisherZ,
    InterventionalBDeu,
    ScaledGraph,
    ScaledGraphs,
    compare_graphs,
    learn_graph,
    shd,
)
from ctvae.graph.distances import edge_state
from ctvae.slots import Slot
from tests.graph.oracles import dags

NODES = ["a", "b", "c", "d"]
TRUTH = CausalGraph.from_edges([("a", "b"), ("c", "b"), ("b", "d")], nodes=NODES)
ESTIMATE = CausalGraph.from_edges([("b", "a"), ("c", "b"), ("c", "d")], nodes=NODES)
HALF = CausalGraph.from_edges([("a", "b")], undirected=[("b", "d")], nodes=NODES)


@st.composite
def triples(draw):
    size = draw(st.integers(1, 5))
    return tuple(draw(dags(min_nodes=size, max_nodes=size)) for _ in range(3))


@settings(max_examples=80, deadline=None)
@given(graphs=triples())
def test_shd_is_a_metric_on_dags(graphs):
    a, b, c = graphs
    assert shd(a, b) == shd(b, a)
    assert (shd(a, b) == 0) == (a == b)
    assert shd(a, c) <= shd(a, b) + shd(b, c)
    assert shd(a, a.reorder(a.nodes[::-1])) == 0


def test_scores_by_hand():
    row = compare_graphs({"m": ESTIMATE}, truth=TRUTH).rows[0]
    assert (row.skeleton_precision, row.skeleton_recall) == (2 / 3, 2 / 3)
    assert row.skeleton_f1 == pytest.approx(2 / 3)
    assert (row.orientation_precision, row.orientation_recall) == (1 / 3, 1 / 3)
    assert row.shd == 3  # one reversed, one missing, one extra
    assert row.shd_cpdag == shd(ESTIMATE.cpdag(), TRUTH.cpdag())
    assert row.edges == 3
    half = compare_graphs({"m": HALF}, truth=TRUTH).rows[0]
    assert half.shd == 2  # one missing, one left open
    assert half.shd_cpdag is None or half.shd_cpdag >= 0
    assert half.orientation_precision == 1.0
    assert half.orientation_recall == pytest.approx(1 / 3)


def test_undefined_scores_are_none():
    empty = CausalGraph.from_edges(nodes=NODES)
    row = compare_graphs({"m": empty}, truth=TRUTH).rows[0]
    assert row.skeleton_precision is None
    assert row.skeleton_f1 == 0.0
    assert compare_graphs({"m": empty}, truth=empty).rows[0].skeleton_f1 == 1.0
    ring = CausalGraph.from_edges(
        undirected=[("a", "b"), ("b", "c"), ("c", "d"), ("d", "a")], nodes=NODES
    )
    table = compare_graphs({"ring": ring}, truth=TRUTH)
    assert table.rows[0].shd_cpdag is None
    assert "–" in table.to_markdown()
    assert np.isnan(table.to_pandas().loc["ring", "shd_cpdag"])


def test_every_kind_of_graph_is_read_and_aligned_by_name():
    turned = ESTIMATE.reorder(NODES[::-1])
    table = compare_graphs(
        {
            "value": turned,
            "networkx": ESTIMATE.to_networkx(),
            "numpy": ESTIMATE.to_numpy(),
        },
        truth=TRUTH,
    )
    assert {row.shd for row in table.rows} == {3}
    assert len(set(table.graphs.values())) == 1
    alone = compare_graphs({"x": np.triu(np.ones((2, 2)), 1), "y": np.zeros((2, 2))})
    assert alone.pairwise().tolist() == [[0, 1], [1, 0]]


def test_without_truth_the_table_holds_distances():
    table = compare_graphs({"one": TRUTH, "two": ESTIMATE, "three": HALF})
    distances = table.pairwise()
    assert distances.dtype == np.int64
    np.testing.assert_array_equal(distances, distances.T)
    assert distances[0].tolist() == [0, 3, 2]
    assert table.rows[0].shd is None
    assert "SHD to two" in table.to_markdown()
    assert table.to_pandas().loc["one", "SHD to two"] == 3
    assert "Structural Hamming distance" in table.to_latex()


def test_latex_is_ready_for_a_paper():
    table = compare_graphs({"PC_stable": ESTIMATE, "best & only": TRUTH}, truth=TRUTH)
    latex = table.to_latex()
    for piece in (r"\toprule", r"\midrule", r"\bottomrule", r"PC\_stable", r"best \& only"):
        assert piece in latex
    assert r"\textbf{1.00}" in latex
    assert r"\textbf{0}" in latex
    assert "reversed" in latex
    caption = latex.split(r"\caption{")[1].split("}")[0]
    assert "SHD" in caption
    assert latex.count(r"PC\_stable & ") == latex.count(r"\begin{tabular}")


def random_admg(seed: int) -> CausalGraph:
    """Directed and bidirected edges, some of them on one pair."""
    rng = np.random.default_rng(seed)
    pairs = [(a, b) for a in tuple("abcd") for b in "abcd" if a < b]
    edges = [[pair for pair in pairs if rng.random() < 0.5] for _ in range(2)]
    return CausalGraph.from_edges(edges[0], bidirected=edges[1], nodes=tuple("abcd"))


@pytest.mark.parametrize("seed", range(8))
def test_the_pairs_that_do_not_agree_are_the_distance(seed):
    graph, truth = random_admg(seed), random_admg(seed + 100)
    states = [edge_state(graph, truth, a, b) for a in "abcd" for b in "abcd" if a < b]
    same = {EdgeState.AGREES, EdgeState.ABSENT}
    assert sum(state not in same for state in states) == shd(graph, truth)


def test_a_bow_is_not_its_directed_edge():
    bow = CausalGraph.from_edges([("a", "b")], bidirected=[("a", "b")])
    edge = CausalGraph.from_edges([("a", "b")])
    assert edge_state(bow, edge, "b", "a") is edge_state(edge, bow, "a", "b")
    assert edge_state(bow, edge, "b", "a") is EdgeState.OTHER_MARK
    text = compare_graphs({"bow": bow}, truth=edge).explain("a", "b").splitlines()
    assert text == ["truth: a -> b", "bow: a -> b and a <-> b (other mark)"]
    raw, standard = (ScaledGraph(one, None, 0, None, None, 0.0) for one in (bow, edge))
    both = ScaledGraphs(raw, standard, method=PC(test=FisherZ()), rows_used=9)
    assert both.num_differences == 1


def test_explain_and_evidence():
    rng = np.random.default_rng(0)
    a = rng.integers(3, size=500)
    codes = torch.from_numpy(np.stack([a, (a + (rng.random(500) < 0.2)) % 3], 1))
    result = learn_graph(codes, [Slot("a", 3), Slot("b", 3)], method=InterventionalBDeu())
    truth = CausalGraph.from_edges([("b", "a")], nodes=["a", "b"])
    other = CausalGraph.from_edges(undirected=[("a", "b")])
    table = compare_graphs({"ours": result, "open": other}, truth=truth)
    text = table.explain("a", "b").splitlines()
    assert text[0] == "truth: a <- b"
    assert text[1].startswith("ours: a ")
    assert "nats" in text[1]
    assert text[2] == "open: a - b (other mark)"
    with pytest.raises(GraphError, match="'aa' is not in these graphs"):
        table.explain("aa", "b")
    assert "GraphComparison of 2 graphs" in repr(table)


def test_plot_has_one_panel_a_graph():
    figure = compare_graphs({"one": ESTIMATE, "two": HALF}, truth=TRUTH).plot()
    assert [axes.get_title() for axes in figure.axes] == ["truth", "one", "two"]
    legend = {text.get_text() for text in figure.legends[0].get_texts()}
    assert legend == {"agrees", "reversed", "other mark", "missing", "extra"}
    assert not compare_graphs({"one": HALF}).plot().legends


BAD = {
    "nothing": (lambda: compare_graphs({}), "nothing to compare"),
    "other nodes": (
        lambda: compare_graphs({"PC": TRUTH.relabel({"a": "z"})}, truth=TRUTH),
        r"only in PC: z; only in truth: a",
    ),
    "other nodes in shd": (
        lambda: shd(TRUTH, CausalGraph.from_edges(nodes=["a"])),
        "only in the first: b, c, d",
    ),
    "text": (lambda: compare_graphs({"PC": "a -> b"}), "got str"),
    "numpy size": (
        lambda: compare_graphs({"m": np.zeros((2, 2))}, truth=TRUTH),
        "2 columns need as many names, got 4",
    ),
    "networkx cycle": (
        lambda: compare_graphs({"m": nx.DiGraph([("a", "b"), ("b", "c"), ("c", "a")])}),
        "form a cycle: a -> b -> c -> a",
    ),
}


@pytest.mark.parametrize(("make", "message"), BAD.values(), ids=BAD.keys())
def test_bad_input_is_refused(make, message):
    with pytest.raises(GraphError, match=message):
        make()
