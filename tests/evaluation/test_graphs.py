"""Graphs over slots, read as graphs over the factors they stand for."""

from __future__ import annotations

from typing import Any

import pytest

from ctvae.errors import GraphError
from ctvae.evaluation import factor_graph, score_slot_graph
from ctvae.graph import CausalGraph, random_graph, shd

TRUTH = CausalGraph.from_edges([("shape", "hue"), ("size", "hue"), ("hue", "x")])
SLOTS = {"shape": "z3", "size": "z0", "hue": "z1", "x": "z2"}
FOUND = CausalGraph.from_edges([("z3", "z1"), ("z0", "z1"), ("z1", "z2")])


def test_the_true_graph_under_other_names_is_at_distance_zero() -> None:
    scores = score_slot_graph(FOUND, TRUTH, SLOTS)
    assert scores.graph == TRUTH
    assert (scores.learned.shd, scores.learned.shd_cpdag, scores.learned.sid) == (0, 0, 0)
    assert scores.learned.skeleton_f1 == scores.learned.orientation_f1 == 1.0
    assert scores.empty.shd == 3


@pytest.mark.parametrize("seed", range(3))
def test_distances_are_those_after_renaming(seed: int) -> None:
    found = random_graph(list(SLOTS.values()), 3, seed=seed)
    names = {slot: factor for factor, slot in SLOTS.items()}
    scores = score_slot_graph(found, TRUTH, SLOTS)
    assert scores.learned.shd == shd(found.relabel(names), TRUTH)


def test_swapped_slots_are_a_wrong_graph() -> None:
    swapped = SLOTS | {"hue": "z2", "x": "z1"}
    # Now shape -> x <- size and x -> hue: two edges missing, two too many, one turned.
    assert score_slot_graph(FOUND, TRUTH, swapped).learned.shd == 5


def test_what_a_spare_slot_does_is_kept() -> None:
    between = CausalGraph.from_edges([("a", "s"), ("s", "b")])
    assert factor_graph(between, {"x": "a", "y": "b"}).directed == {("x", "y")}
    above = CausalGraph.from_edges([("s", "a"), ("s", "b")])
    assert factor_graph(above, {"x": "a", "y": "b"}).bidirected == {("x", "y")}


def test_a_spare_slot_without_edges_is_dropped_from_any_graph() -> None:
    found = CausalGraph.from_edges(undirected=[("a", "b")], nodes=["s", "b", "a"])
    graph = factor_graph(found, {"x": "a", "y": "b"})
    assert graph.nodes == ("x", "y")
    assert graph.undirected == {("x", "y")}


BAD = {
    "unknown slot": (FOUND, SLOTS | {"x": "z9"}, r"slot 'z9' is not in the graph; did you mean"),
    "one slot for two": (FOUND, SLOTS | {"x": "z1"}, r"several factors \(hue, x\)"),
    "a spare slot in a class": (
        CausalGraph.from_edges(undirected=[("a", "s"), ("s", "b")]),
        {"x": "a", "y": "b"},
        "hidden nodes are left out of a DAG",
    ),
    "factors missing": (FOUND, {"shape": "z3", "size": "z0"}, "different nodes|shape, size"),
}


@pytest.mark.parametrize("case", BAD.values(), ids=BAD.keys())
def test_what_cannot_be_aligned_is_refused(case: tuple[Any, ...]) -> None:
    graph, slots, message = case
    with pytest.raises(GraphError, match=message):
        score_slot_graph(graph, TRUTH, slots)
