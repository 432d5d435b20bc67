"""Pictures of graphs: nothing overlaps, nothing global changes."""

from __future__ import annotations

import itertools
import sys

import numpy as np
import pytest

from ctvae.plotting import (
    BIDIRECTED,
    UNDIRECTED,
    DrawnEdge,
    draw_graph,
    draw_panels,
    lay_out,
    to_svg,
)


def random_edges(size: int, density: float, seed: int) -> tuple[list[str], list[tuple[str, str]]]:
    rng = np.random.default_rng(seed)
    names = [f"slot number {k}" if k % 3 else f"s{k}" for k in range(size)]
    order = rng.permutation(size)
    pairs = itertools.combinations(order, 2)
    edges = [(names[i], names[j]) for i, j in pairs if rng.random() < density / size]
    return names, edges


@pytest.mark.parametrize(("size", "density"), [(1, 0), (3, 2), (8, 3), (20, 3), (40, 3), (40, 0)])
@pytest.mark.parametrize("seed", [0, 1])
def test_boxes_do_not_overlap_and_causes_stand_above(size, density, seed):
    names, edges = random_edges(size, density, seed)
    layout = lay_out(names, edges)
    for a, b in itertools.combinations(names, 2):
        (xa, ya), (xb, yb) = layout.positions[a], layout.positions[b]
        apart = abs(xa - xb) - (layout.widths[a] + layout.widths[b]) / 2
        assert apart > 0.2 or abs(ya - yb) > 0.6
    for a, b in edges:
        assert layout.positions[a][1] > layout.positions[b][1]
        assert tuple(layout.routes[a, b][0]) == layout.positions[a]
        assert tuple(layout.routes[a, b][-1]) == layout.positions[b]


def test_long_edges_pass_between_the_boxes():
    names, edges = random_edges(25, 4, 3)
    layout = lay_out(names, edges)
    for (a, b), route in layout.routes.items():
        for x, y in route[1:-1]:
            for name, (at, level) in layout.positions.items():
                if name not in (a, b) and abs(level - y) < 1e-9:
                    assert abs(at - x) > layout.widths[name] / 2


def test_labels_fit_their_boxes():
    names = ["i", "WWWWWWWW", "a rather long slot name"]
    figure = draw_graph(names, [DrawnEdge(names[0], names[1])])
    figure.canvas.draw()
    layout = lay_out(names, [(names[0], names[1])])
    for text in figure.axes[0].texts:
        assert text.get_window_extent().width / figure.dpi < layout.widths[text.get_text()]


def test_cycles_are_drawn_too():
    layout = lay_out(["a", "b", "c"], [("a", "b"), ("b", "c"), ("c", "a")])
    assert set(layout.routes) == {("a", "b"), ("b", "c"), ("c", "a")}


def test_panels_and_svg():
    edges = [DrawnEdge("a", "b"), DrawnEdge("b", "c", UNDIRECTED), DrawnEdge("a", "b", BIDIRECTED)]
    figure = draw_panels(
        ["a", "b", "c"], {str(k): edges for k in range(5)}, legend=(UNDIRECTED, BIDIRECTED)
    )
    assert len(figure.axes) == 5
    svg = to_svg(figure)
    assert svg.startswith("<svg")
    assert svg == to_svg(figure)


def test_an_empty_graph_is_drawn():
    assert to_svg(draw_graph([], [], title="nothing")).startswith("<svg")


def test_pyplot_and_its_state_stay_untouched():
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    loaded = "matplotlib.pyplot" in sys.modules
    to_svg(draw_graph(["a", "b"], [DrawnEdge("a", "b")]))
    assert dict(mpl.rcParams) == before
    assert ("matplotlib.pyplot" in sys.modules) == loaded
