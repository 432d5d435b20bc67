"""The laws of the layered layout: causes above, nothing overlaps, few crossings."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ctvae.graph import CausalGraph, random_graph
from ctvae.graph.edge_curves import edge_curve
from ctvae.graph.layer_order import count_crossings, order_rows
from ctvae.graph.layer_places import assign_layers, place_columns
from ctvae.graph.layout import GraphLayout, lay_out
from ctvae.graph.orientation import point_down
from ctvae.plotting import BOX_HEIGHT

EXAMPLES = settings(max_examples=25, deadline=None)


@st.composite
def tasks(draw, max_nodes=40):
    """Names of many lengths, directed edges without a cycle, and loose ones."""
    size = draw(st.integers(1, max_nodes))
    pairs = size * (size - 1) // 2
    edges = draw(st.integers(0, min(pairs, 2 * size)))
    names = [f"v{k}" * (1 + k % 4) for k in range(size)]
    graph = random_graph(names, edges, seed=draw(st.integers(0, 2**20)))
    kept = draw(st.lists(st.booleans(), min_size=edges, max_size=edges))
    every = list(zip(sorted(graph.directed), kept, strict=True))
    return names, [e for e, firm in every if firm], [e for e, firm in every if not firm]


def star(size: int) -> tuple[list[str], list[tuple[str, str]], list[tuple[str, str]]]:
    names = [f"leaf {k}" for k in range(size)]
    return ["root", *names], [("root", name) for name in names], []


def boxes(layout: GraphLayout) -> dict[str, np.ndarray]:
    """Left, low, right, high of every box."""
    sizes = {n: np.array([w / 2, BOX_HEIGHT / 2]) for n, w in layout.widths.items()}
    return {n: np.concatenate([at - sizes[n], at + sizes[n]]) for n, at in layout.positions.items()}


def points(curve: np.ndarray, steps: int = 30) -> np.ndarray:
    """Points along cubic Bezier curves."""
    t = np.linspace(0, 1, steps)[:, None]
    shares = [(1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3]
    pieces = [curve[k : k + 4] for k in range(0, len(curve) - 1, 3)]
    return np.concatenate([sum(s * p for s, p in zip(shares, c, strict=True)) for c in pieces])


@EXAMPLES
@given(tasks())
@example(star(39))
@example((["a"], [], []))
@example(([f"n{k}" for k in range(40)], [], []))
def test_boxes_stand_apart_and_causes_above_effects(task):
    names, edges, loose = task
    layout = lay_out(names, edges, loose)
    assert list(layout.positions) == names
    for one, other in itertools.combinations(boxes(layout).values(), 2):
        gap = np.maximum(one[:2] - other[2:], other[:2] - one[2:])
        assert gap[0] > 0.29 or gap[1] > 0.4
    for a, b in edges:
        assert layout.positions[a][1] > layout.positions[b][1] + BOX_HEIGHT
    for a, b in loose:
        assert abs(layout.positions[a][1] - layout.positions[b][1]) > BOX_HEIGHT
    for (a, b), route in layout.routes.items():
        assert tuple(route[0]) == layout.positions[a]
        assert tuple(route[-1]) == layout.positions[b]


@EXAMPLES
@given(tasks())
@example(star(39))
def test_no_edge_runs_through_a_third_box(task):
    """Every pair with room for two lines, so that both lanes are tried."""
    names, edges, loose = task
    layout = lay_out(names, [*edges, *edges], loose)
    rooms = boxes(layout)
    for edge in layout.routes:
        for beside in (-0.5, 0.5) if edge in edges else (0.0,):
            along = points(edge_curve(layout, edge, beside=beside))
            for name, box in rooms.items():
                margin = -1e-6 if name in edge else 0.04
                inside = (along > box[:2] - margin) & (along < box[2:] + margin)
                assert not inside.all(axis=1).any(), (edge, name)
            for place, name in ((0, edge[0]), (-1, edge[1])):  # and it ends at the borders
                x, y = layout.positions[name]
                assert abs(along[place, 1] - y) == pytest.approx(BOX_HEIGHT / 2)
                assert abs(along[place, 0] - x) < layout.widths[name] / 2 - 0.04


@EXAMPLES
@given(tasks(max_nodes=15), st.randoms(use_true_random=False))
def test_the_order_of_nodes_has_no_say(task, random):
    names, edges, loose = task
    first = lay_out(names, edges, loose)
    again = lay_out(random.sample(names, len(names)), edges, loose)
    assert first.positions == again.positions
    assert first.ports == again.ports
    for edge, route in first.routes.items():
        np.testing.assert_array_equal(route, again.routes[edge])


@st.composite
def layered(draw):
    """Rows of items and links between neighbouring rows."""
    sizes = draw(st.lists(st.integers(1, 6), min_size=1, max_size=5))
    starts = np.cumsum([0, *sizes])
    rows = [draw(st.permutations(range(a, b))) for a, b in itertools.pairwise(starts.tolist())]
    possible = [pair for up, low in itertools.pairwise(rows) for pair in itertools.product(up, low)]
    links = draw(st.lists(st.sampled_from(possible), unique=True)) if possible else []
    return rows, np.array(links, dtype=np.int64).reshape(-1, 2)


def crossings_by_definition(rows: Sequence[Sequence[int]], links: np.ndarray) -> int:
    place = {item: k for row in rows for k, item in enumerate(row)}
    row = {item: k for k, items in enumerate(rows) for item in items}
    return sum(
        row[a] == row[c] and (place[a] - place[c]) * (place[b] - place[d]) < 0
        for (a, b), (c, d) in itertools.combinations(links.tolist(), 2)
    )


@settings(max_examples=100, deadline=None)
@given(layered())
def test_ordering_never_adds_crossings_and_counts_them_right(case):
    rows, links = case
    assert count_crossings(rows, links) == crossings_by_definition(rows, links)
    found = order_rows(rows, links)
    for order, crossings in found:
        assert crossings == crossings_by_definition(order, links)
        assert crossings <= count_crossings(rows, links)
        assert [sorted(row) for row in order] == [sorted(row) for row in rows]
    assert found[0][1] == min(crossings for _, crossings in found)


def test_two_rows_get_the_fewest_crossings_possible():
    rng = np.random.default_rng(0)
    exact = 0
    for _ in range(30):
        links = np.argwhere(rng.random((4, 4)) < 0.4) + np.array([0, 4])
        orders = itertools.product(
            itertools.permutations(range(4)), itertools.permutations(range(4, 8))
        )
        fewest = min(crossings_by_definition(order, links) for order in orders)
        exact += order_rows([[0, 1, 2, 3], [4, 5, 6, 7]], links)[0][1] == fewest
    assert exact >= 27  # a heuristic; the minimum is NP-hard to find


@settings(max_examples=30, deadline=None)
@given(tasks(max_nodes=6))
def test_layers_make_edges_as_short_as_possible(task):
    names, edges, _ = task
    number = {name: k for k, name in enumerate(names)}
    pairs = np.array([(number[a], number[b]) for a, b in edges], dtype=np.int64).reshape(-1, 2)
    layers = assign_layers(len(names), pairs)
    lengths = layers[pairs[:, 1]] - layers[pairs[:, 0]]
    assert (lengths >= 1).all()
    every = np.array(list(itertools.product(range(min(len(names), 5)), repeat=len(names))))
    spans = every[:, pairs[:, 1]] - every[:, pairs[:, 0]]
    legal = (spans >= 1).all(axis=1)
    if legal.any():
        assert lengths.sum() <= spans[legal].sum(axis=1).min()


def test_long_edges_run_straight_and_parents_stand_in_the_middle():
    links = np.array([[0, 1], [0, 2], [1, 3], [2, 4]])
    none, weight = np.zeros(4), np.array([1.0, 1.0, 8.0, 8.0])
    x, _ = place_columns([[0], [1, 2], [3, 4]], links, np.array([1.0, 1.0]), none, weight)
    assert x[0] == pytest.approx((x[1] + x[2]) / 2)
    np.testing.assert_allclose(x[3:], x[1:3], atol=1e-9)
    assert x[2] - x[1] == pytest.approx(1.0)


def test_cycles_are_broken_in_the_order_of_the_edges():
    cycle = [("b", "c"), ("c", "a"), ("a", "b")]
    assert point_down(["a", "b", "c"], cycle) == [("b", "a"), ("b", "c"), ("c", "a")]
    layout = lay_out(["a", "b", "c"], cycle)
    assert set(layout.routes) == set(cycle)
    y = {name: at[1] for name, at in layout.positions.items()}
    assert y["b"] > y["c"] > y["a"]


@EXAMPLES
@given(tasks(max_nodes=12))
def test_oriented_edges_keep_the_firm_ones_and_form_no_cycle(task):
    names, edges, loose = task
    down = point_down(names, edges, loose)
    assert set(edges) <= set(down)
    assert {frozenset(e) for e in down} == {frozenset(e) for e in [*edges, *loose]}
    CausalGraph.from_edges(down, nodes=names)  # refuses a cycle


def test_a_row_of_forty_is_split():
    names, edges, _ = star(40)
    layout = lay_out(names, edges)
    assert len({y for _, y in layout.positions.values()}) > 3
    x = [at[0] for at in layout.positions.values()]
    assert max(x) - min(x) < 0.6 * sum(layout.widths[n] + 0.3 for n in names[1:])
