"""Edges that a layout was not made for: they pass boxes, and stretch nothing."""

from __future__ import annotations

import numpy as np
import pytest

from ctvae.graph import CausalGraph, compare_graphs, random_graph
from ctvae.graph.edge_curves import edge_curve
from ctvae.graph.free_routes import arc, with_routes
from ctvae.graph.layout import lay_out
from ctvae.plotting import BOX_HEIGHT, FONT

NAMES = [f"n{k}" for k in range(20)]


@pytest.mark.parametrize("seed", range(4))
def test_free_ways_pass_between_the_boxes_of_each_row(seed):
    truth, other = (random_graph(NAMES, 30, seed=s) for s in (seed, seed + 10))
    layout = lay_out(NAMES, sorted(truth.directed))
    found = with_routes(layout, sorted(other.directed))
    assert found.positions == layout.positions
    for edge, route in layout.routes.items():
        np.testing.assert_array_equal(found.routes[edge], route)
    for edge in (e for e in other.directed if e[::-1] not in layout.routes):
        if edge not in found.routes:
            (_, high), (_, low) = (layout.positions[name] for name in edge)
            assert abs(high - low) < 1.2 * BOX_HEIGHT
            curve = arc(layout, edge)
            np.testing.assert_allclose(curve[[0, -1], 1], np.array([high, low]) - BOX_HEIGHT / 2)
            assert curve[1, 1] < min(high, low) - BOX_HEIGHT / 2
            continue
        for x, y in found.routes[edge][1:-1]:
            for name, (at, height) in layout.positions.items():
                if abs(height - y) < 0.01:
                    assert abs(x - at) > layout.widths[name] / 2
        curve = edge_curve(found, edge)
        for end, name in ((curve[0], edge[0]), (curve[-1], edge[1])):
            assert abs(end[1] - layout.positions[name][1]) == pytest.approx(BOX_HEIGHT / 2)


def test_an_unrelated_graph_stretches_no_panel():
    truth, other = random_graph(NAMES, 24, seed=1), random_graph(NAMES, 40, seed=2)
    alone = compare_graphs({"m": truth}, truth=truth).plot()
    beside = compare_graphs({"m": other}, truth=truth).plot()
    one, two = (figure.axes[0] for figure in (alone, beside))
    assert [text.get_position() for text in one.texts] == [t.get_position() for t in two.texts]
    assert one.get_ylim() == two.get_ylim()


def test_words_grow_with_the_figure():
    nodes = [f"n{k}" for k in range(40)]
    truth = random_graph(nodes, 80, seed=1)
    large = compare_graphs({"m": random_graph(nodes, 80, seed=2)}, truth=truth).plot()
    small = compare_graphs({"m": CausalGraph.from_edges([("a", "b")])}, None).plot()
    assert small.axes[0].title.get_fontsize() == FONT + 1
    assert float(large.axes[0].title.get_fontsize()) > 1.5 * (FONT + 1)
    assert float(large.legends[0].get_texts()[0].get_fontsize()) > 1.5 * (FONT - 1)
