"""Pictures of graphs: every mark is there, names fit, all kinds of graphs work."""

from __future__ import annotations

import gzip
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from matplotlib.figure import Figure

from ctvae.graph import CausalGraph, compare_graphs, random_graph
from ctvae.graph.drawing import DrawnEdge, draw_marks, draw_panels
from ctvae.plotting import BOX_HEIGHT, EdgeStyle, to_svg
from tests.graph.oracles import dags

PAG = CausalGraph.from_edges(
    [("c", "d")],
    undirected=[("f", "e")],
    bidirected=[("b", "d")],
    circle_arrow=[("b", "a"), ("a", "g")],
    circle_circle=[("c", "b")],
    tail_circle=[("f", "a")],
)
BOW = CausalGraph.from_edges([("a", "b"), ("b", "c")], bidirected=[("a", "b"), ("a", "c")])
GRAPHS = {
    "nothing": CausalGraph.from_edges(nodes=[]),
    "one node": CausalGraph.from_edges(nodes=["alone"]),
    "isolated nodes": CausalGraph.from_edges(nodes=[f"n{k}" for k in range(30)]),
    "40 nodes of degree 4": random_graph([f"v{k}" for k in range(40)], 80, seed=1),
    "CPDAG": random_graph([f"v{k}" for k in range(20)], 30, seed=2).cpdag(),
    "ADMG with a bow": BOW,
    "PAG": PAG,
    "odd names": CausalGraph.from_edges([("$a_1$", "b\nc"), ("b\nc", "<&>"), ("$a_1$", "\\d")]),
}


def patches(figure: Figure, kind: str) -> list[Any]:
    return [patch for patch in figure.axes[0].patches if type(patch).__name__ == kind]


@pytest.mark.parametrize("graph", GRAPHS.values(), ids=GRAPHS.keys())
def test_every_kind_of_graph_is_drawn_with_all_its_marks(graph):
    figure = graph.plot()
    marks = graph.marks
    circles = len(marks.circle_arrow) + 2 * len(marks.circle_circle) + len(marks.tail_circle)
    heads = len(marks.directed) + 2 * len(marks.bidirected) + len(marks.circle_arrow)
    assert len(patches(figure, "Circle")) == circles
    assert len(patches(figure, "Polygon")) == heads
    assert len(patches(figure, "FancyBboxPatch")) == len(graph.nodes)
    dashed = [patch for patch in patches(figure, "PathPatch") if patch.get_linestyle() != "solid"]
    assert len(dashed) == len(marks.bidirected)
    assert to_svg(figure).startswith("<svg")


def border_of(figure: Figure, point: np.ndarray) -> str:
    """The name in whose border a point lies."""
    found = []
    for text, box in zip(figure.axes[0].texts, patches(figure, "FancyBboxPatch"), strict=True):
        x, y = text.get_position()
        beside = abs(point[0] - x) <= box.get_width() / 2
        if beside and abs(abs(point[1] - y) - BOX_HEIGHT / 2) < 1e-6:
            found.append(text.get_text())
    (name,) = found
    return str(name)


def test_each_circle_and_head_touches_the_node_at_its_end():
    figure = PAG.plot()
    lines = [patch.get_path().vertices for patch in patches(figure, "PathPatch")]
    tips = np.concatenate([line[[0, -1]] for line in lines])
    at_circles: Counter[str] = Counter()
    for circle in patches(figure, "Circle"):
        away = tips - circle.get_center()  # the line ends where the circle begins
        nearest = away[np.hypot(*away.T).argmin()]
        assert np.hypot(*nearest) == pytest.approx(circle.get_radius())
        at_circles[border_of(figure, circle.get_center() - nearest)] += 1
    assert at_circles == Counter("babca")
    at_heads = Counter(border_of(figure, head.get_xy()[0]) for head in patches(figure, "Polygon"))
    assert at_heads == Counter("dbdag")


@settings(max_examples=15, deadline=None)
@given(dags(max_nodes=6))
def test_heads_stand_at_the_effects(graph):
    figure = graph.plot()
    heads = Counter(border_of(figure, head.get_xy()[0]) for head in patches(figure, "Polygon"))
    assert heads == Counter(effect for _, effect in graph.directed)


def test_axes_are_in_inches_and_hold_everything():
    for graph in GRAPHS.values():
        figure = graph.plot()
        axes = figure.axes[0]
        size = figure.get_size_inches() * axes.get_position().size
        view = np.array([axes.get_xlim(), axes.get_ylim()])
        np.testing.assert_allclose(view[:, 1] - view[:, 0], size)
        for patch in axes.patches:
            corners = patch.get_path().vertices
            corners = patch.get_patch_transform().transform(corners)
            assert (corners >= view[:, 0]).all()
            assert (corners <= view[:, 1]).all()


def test_names_fit_their_boxes():
    figure = CausalGraph.from_edges([("i", "WWWWWWWW"), ("a rather long name", "$x$")]).plot()
    figure.canvas.draw()
    for text, box in zip(figure.axes[0].texts, patches(figure, "FancyBboxPatch"), strict=True):
        assert text.get_window_extent().width / figure.dpi < box.get_width() - 0.1
        assert text.get_window_extent().height / figure.dpi < box.get_height()


def test_the_picture_is_the_same_whatever_the_order_of_nodes():
    graph = random_graph([f"v{k}" for k in range(12)], 20, seed=3)
    turned = graph.reorder(graph.nodes[::-1])
    for one, other in zip(
        patches(graph.plot(), "PathPatch"), patches(turned.plot(), "PathPatch"), strict=True
    ):
        np.testing.assert_array_equal(one.get_path().vertices, other.get_path().vertices)


def test_the_legend_names_the_marks_that_are_there():
    assert not random_graph("abc", 2, seed=0).plot().legends
    (legend,) = BOW.plot().legends
    assert [text.get_text() for text in legend.get_texts()] == ["directed", "hidden cause"]
    (legend,) = PAG.plot().legends
    assert len(legend.get_texts()) == 6


def test_panels_share_one_layout():
    style = EdgeStyle("black")
    edges = [DrawnEdge("a", "b", "->", style), DrawnEdge("b", "c", "<-", style)]
    figure = draw_panels("abc", {str(k): edges[: k + 1] for k in range(5)}, legend=())
    assert len(figure.axes) == 5
    places = [[text.get_position() for text in axes.texts] for axes in figure.axes]
    assert all(place == places[0] for place in places)


def test_a_comparison_shows_the_marks_of_pags():
    other = CausalGraph.from_edges([("c", "d")], circle_circle=[("a", "b")], nodes=PAG.nodes)
    figure = compare_graphs({"one": PAG, "two": other}).plot()
    counts = [
        sum(type(patch).__name__ == "Circle" for patch in axes.patches) for axes in figure.axes
    ]
    assert counts == [5, 2]


@pytest.mark.parametrize("name", ["asia", "sachs", "child", "alarm"])
def test_published_networks_are_drawn_at_a_readable_size(name, shared_data):
    with gzip.open(shared_data / "bnlearn" / "bif" / f"{name}.bif.gz", "rt") as file:
        graph = CausalGraph.from_bif(file.read())
    width, height = draw_marks(graph.marks).get_size_inches()
    assert max(width, height) < 4 + len(graph.nodes) / 4
