"""Separations against all paths, against networkx, and shared by all members of a class."""

from __future__ import annotations

import itertools

import networkx as nx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ctvae.errors import GraphError, ShapeError
from ctvae.graph import (
    CausalGraph,
    GraphScore,
    all_separations,
    class_members,
    compare_graphs,
    latent_projection,
    mutilate,
    separated,
    separation_distance,
)
from tests.graph.oracles import all_dags, dags


def open_by_definition(graph: CausalGraph, x: str, y: str, held: frozenset[str]) -> bool:
    """Whether some path is open: every path is written out and judged node by node."""
    arrows: dict[tuple[str, str], list[tuple[bool, bool]]] = {}
    for a, b in graph.directed:  # (arrowhead at the first, at the second)
        arrows.setdefault((a, b), []).append((False, True))
        arrows.setdefault((b, a), []).append((True, False))
    for a, b in graph.bidirected:
        arrows.setdefault((a, b), []).append((True, True))
        arrows.setdefault((b, a), []).append((True, True))

    def walk(path: list[str], into: bool) -> bool:
        at = path[-1]
        if at == y:
            return True
        for (a, b), marks in arrows.items():
            if a != at or b in path:
                continue
            for here, there in marks:
                if len(path) > 1:
                    collider = into and here
                    below = {at} | graph.descendants(at)
                    if (collider and not below & held) or (not collider and at in held):
                        continue
                if walk([*path, b], there):
                    return True
        return False

    return walk([x], False)


def subsets(nodes: tuple[str, ...]) -> list[frozenset[str]]:
    return [
        frozenset(some)
        for size in range(len(nodes) + 1)
        for some in itertools.combinations(nodes, size)
    ]


def as_sets(graph: CausalGraph, sets: list[frozenset[str]]) -> torch.Tensor:
    return torch.tensor([[name in one for name in graph.nodes] for one in sets])


def test_dags_of_four_nodes_against_all_paths(device):
    for matrix in list(all_dags(4))[::7]:
        graph = CausalGraph.from_numpy(matrix)
        sets = subsets(graph.nodes)
        answers = all_separations(graph, as_sets(graph, sets).to(device)).cpu()
        assert torch.equal(answers, answers.mT)
        for held, answer in zip(sets, answers, strict=True):
            for i, j in itertools.combinations(range(4), 2):
                x, y = graph.nodes[i], graph.nodes[j]
                if held & {x, y}:
                    assert answer[i, j]
                    continue
                closed = not open_by_definition(graph, x, y, held)
                assert bool(answer[i, j]) == closed == separated(graph, x, y, held)


@st.composite
def admgs(draw: st.DrawFn) -> CausalGraph:
    graph = draw(dags(2, 5))
    pairs = list(itertools.combinations(graph.nodes, 2))
    both = draw(st.lists(st.sampled_from(pairs), unique=True, max_size=4))
    return CausalGraph.from_edges(graph.directed, bidirected=both, nodes=graph.nodes)


@settings(max_examples=60, deadline=None)
@given(admgs(), st.data())
def test_hidden_causes_against_all_paths(graph, data):
    x, y = data.draw(st.permutations(graph.nodes))[:2]
    rest = [name for name in graph.nodes if name not in {x, y}]
    held = (
        frozenset(data.draw(st.lists(st.sampled_from(rest), unique=True))) if rest else frozenset()
    )
    assert separated(graph, x, y, held) is not open_by_definition(graph, x, y, held)


@settings(max_examples=60, deadline=None)
@given(dags(3, 7), st.data())
def test_latent_projection_keeps_separations(graph, data):
    hidden = data.draw(st.sampled_from(graph.nodes))
    left = tuple(name for name in graph.nodes if name != hidden)
    x, y = data.draw(st.permutations(left))[:2]
    rest = [name for name in left if name not in {x, y}]
    held = data.draw(st.lists(st.sampled_from(rest), unique=True)) if rest else []
    projected = latent_projection(graph, [hidden])
    assert separated(projected, x, y, held) == separated(graph, x, y, held)


@settings(max_examples=80, deadline=None)
@given(dags(3, 10), st.data())
def test_sets_of_nodes_against_networkx(graph, data):
    place = data.draw(
        st.lists(st.integers(0, 3), min_size=len(graph.nodes), max_size=len(graph.nodes))
    )
    x, y, held = (
        {n for n, at in zip(graph.nodes, place, strict=True) if at == k} for k in range(3)
    )
    if x and y:
        theirs = nx.is_d_separator(graph.to_networkx(), x, y, held)
        assert separated(graph, x, y, held) == theirs


@settings(max_examples=40, deadline=None)
@given(dags(2, 5), st.data())
def test_members_share_all_separations(graph, data):
    cpdag = graph.cpdag()
    sets = as_sets(graph, subsets(graph.nodes))
    expected = all_separations(cpdag, sets)
    for member in class_members(cpdag):
        assert torch.equal(all_separations(member, sets), expected)
    other = data.draw(dags(len(graph.nodes), len(graph.nodes)))
    same = torch.equal(all_separations(other, sets), expected)
    assert same == (other.cpdag() == cpdag)
    distance = separation_distance(graph, other)
    assert (distance == 0) == same
    assert distance == separation_distance(other, graph)
    assert 0 <= distance <= 1


def test_possible_ancestors_separate_every_pair_that_is_apart():
    """So a graph is at no distance from itself, for every DAG of five nodes of its class."""
    for matrix in list(all_dags(5))[::29]:
        graph = CausalGraph.from_numpy(matrix)
        assert separation_distance(graph, graph) == 0
        assert separation_distance(graph, graph.cpdag()) == 0


def test_the_distance_counts_pairs():
    """Truth: a -> b -> c -> d. The guess joins a and d besides, which closes a ring."""
    chain = CausalGraph.from_edges([("a", "b"), ("b", "c"), ("c", "d")])
    guess = CausalGraph.from_edges([*chain.directed, ("a", "d")])
    # Apart in the chain: a c | b d, b d | a c, a d | b c; the guess opens the first through the
    # collider d and the last by its edge. Apart in the guess: a c | b and b d | a c, as in the
    # chain.
    assert separation_distance(chain, guess) == pytest.approx(2 / 3 / 2)
    full = CausalGraph.from_edges(itertools.combinations("abcd", 2))
    empty = CausalGraph.from_edges(nodes=list("abcd"))
    assert separation_distance(full, full) == 0
    assert separation_distance(full, empty) == 0.5
    turned = guess.reorder(["d", "b", "a", "c"])
    assert separation_distance(chain, turned) == separation_distance(chain, guess)
    row = compare_graphs({"guess": guess, "CPDAG": chain.cpdag()}, truth=chain).rows
    assert row[0].separation_distance == pytest.approx(1 / 3)
    assert row[1].value(GraphScore.SEPARATION_DISTANCE) == 0


@settings(max_examples=40, deadline=None)
@given(admgs(), st.data())
def test_cuts(graph, data):
    targets = data.draw(st.lists(st.sampled_from(graph.nodes), unique=True))
    cut = mutilate(graph, targets)
    assert not any(b in targets for _, b in cut.directed)
    assert not any({a, b} & set(targets) for a, b in cut.bidirected)
    assert cut.directed == {(a, b) for a, b in graph.directed if b not in targets}
    assert mutilate(cut, targets) == cut
    one_by_one = graph
    for name in targets:
        one_by_one = mutilate(one_by_one, name)
    assert one_by_one == cut


CHAIN = CausalGraph.from_edges([("a", "b"), ("b", "c")])
PAG = CausalGraph.from_edges(circle_arrow=[("a", "b"), ("c", "b")])
BAD = {
    "unknown": (lambda: separated(CHAIN, "a", "d"), GraphError, "'d', which is not a node"),
    "twice": (lambda: separated(CHAIN, "a", "b", "b"), GraphError, "b is in two"),
    "itself": (lambda: separated(CHAIN, "a", "a"), GraphError, "disjoint"),
    "empty": (lambda: separated(CHAIN, [], "b"), GraphError, "x is empty"),
    "PAG": (lambda: separated(PAG, "a", "c"), GraphError, "a PAG leaves open"),
    "width": (
        lambda: all_separations(CHAIN, torch.zeros(1, 2, dtype=torch.bool)),
        ShapeError,
        "each of 3 nodes",
    ),
    "floats": (lambda: all_separations(CHAIN, torch.zeros(1, 3)), ShapeError, "float32"),
    "cut": (lambda: mutilate(CHAIN.cpdag(), "a"), GraphError, "open which"),
    "distance": (lambda: separation_distance(PAG, PAG), GraphError, "endpoint_confusion"),
    "nodes": (
        lambda: separation_distance(CHAIN, CausalGraph.from_edges([("a", "b")])),
        GraphError,
        "",
    ),
}


@pytest.mark.parametrize(("ask", "error", "message"), BAD.values(), ids=BAD.keys())
def test_bad_questions_are_refused(ask, error, message):
    with pytest.raises(error, match=message or "."):
        ask()
