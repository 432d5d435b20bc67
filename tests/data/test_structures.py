"""Graphs with a name, and laws whose edges have a stated strength."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
import torch

from ctvae.data.structures import (
    chain_graph,
    collider_graph,
    edge_strengths,
    fork_graph,
    preference_scm,
    random_dag,
)
from ctvae.errors import GraphError, MechanismError
from ctvae.graph import CausalGraph
from ctvae.scm import SCM
from ctvae.slots import SlotSpace

SPACE = SlotSpace.from_cardinalities([4, 3, 6, 4, 5, 4, 3, 3])
GRAPHS: dict[str, Callable[[int], CausalGraph]] = {
    "chain": lambda seed: chain_graph(SPACE.names, seed=seed),
    "fork": lambda seed: fork_graph(SPACE.names, seed=seed),
    "collider": lambda seed: collider_graph(SPACE.names, seed=seed),
    "random 2": lambda seed: random_dag(SPACE.names, average_degree=2, seed=seed),
    "random 3": lambda seed: random_dag(SPACE.names, average_degree=3, seed=seed),
}


@pytest.mark.parametrize("seed", range(3))
def test_structures_are_what_their_names_say(seed: int) -> None:
    chain, fork, collider, two, three = (make(seed) for make in GRAPHS.values())
    assert all(one.nodes == SPACE.names for one in (chain, fork, collider, two, three))
    effects = {name: sorted(len(g.children(n)) for n in SPACE.names) for name, g in [
        ("chain", chain), ("fork", fork)
    ]}  # fmt: skip
    assert effects["chain"] == [0] + [1] * 7
    assert effects["fork"] == [0, 0, 0, 0, 1, 2, 2, 2]
    assert max(len(g.parents(n)) for g in (chain, fork) for n in SPACE.names) == 1
    joined = [n for n in SPACE.names if collider.parents(n)]
    assert len(joined) == 3
    for name in joined:
        one, other = collider.parents(name)
        assert not collider.adjacent(one, other)
    assert collider.cpdag() == collider  # every edge lies in a collider
    assert (two.num_edges, three.num_edges) == (8, 12)


def test_the_order_of_a_structure_comes_from_its_seed() -> None:
    for make in GRAPHS.values():
        assert make(0) == make(0)
        assert len({make(seed) for seed in range(5)}) > 1


@pytest.mark.parametrize("name", GRAPHS)
@pytest.mark.parametrize("strength", [0.2, 0.8])
def test_every_edge_has_the_stated_strength(name: str, strength: float) -> None:
    scm = preference_scm(GRAPHS[name](1), SPACE, strength=strength, seed=1)
    strengths = edge_strengths(scm)
    assert set(strengths) == set(scm.graph.directed)
    assert list(strengths.values()) == pytest.approx([strength] * len(strengths))


def test_strengths_agree_with_a_loop_over_all_rows() -> None:
    edges = [("a", "c"), ("b", "c")]
    scm = SCM.from_edges(edges, cardinality={"a": 3, "b": 2, "c": 4}, seed=0)
    table = scm.mechanisms["c"].table()

    def apart(one: tuple[int, int], other: tuple[int, int]) -> float:
        return float((table[one] - table[other]).abs().sum() / 2)

    by_hand = {
        ("a", "c"): max(
            min(apart((u, w), (v, w)) for w in range(2))
            for u, v in itertools.combinations(range(3), 2)
        ),
        ("b", "c"): min(apart((w, 0), (w, 1)) for w in range(3)),
    }
    assert edge_strengths(scm) == pytest.approx(by_hand)


def test_single_effects_can_be_made_weak() -> None:
    graph = CausalGraph.from_edges([("slot0", "slot1"), ("slot1", "slot2")], nodes=SPACE.names)
    scm = preference_scm(graph, SPACE, strength={"slot2": 0.1}, seed=0)
    assert edge_strengths(scm) == pytest.approx({("slot0", "slot1"): 0.8, ("slot1", "slot2"): 0.1})


def test_roots_are_uneven_and_every_value_occurs() -> None:
    scm = preference_scm(CausalGraph.from_edges(nodes=SPACE.names), SPACE, seed=0)
    for name, law in scm.mechanisms.items():
        size = SPACE[name].cardinality
        even = torch.arange(1, size + 1).double() * 2 / (size * (size + 1))
        assert torch.allclose(law.table().sort().values, even)


@pytest.mark.parametrize(("name", "least"), [("collider", 0.3), ("random 2", 0.1)])
@pytest.mark.parametrize("seed", range(4))
def test_no_cause_is_hidden_on_average(name: str, least: float, seed: int) -> None:
    """do on each cause alone moves its effect: in a parity of two fair coins it would not."""
    scm = preference_scm(GRAPHS[name](seed), SPACE, seed=seed)
    for cause, effect in scm.graph.directed:
        law = scm.effect(effect, of=cause)
        assert float((law[:, None] - law[None]).abs().sum(-1).max() / 2) > least


BAD: dict[str, tuple[Callable[[], object], type[Exception], str]] = {
    "negative degree": (
        lambda: random_dag("abc", average_degree=-1, seed=0),
        GraphError,
        "not be negative",
    ),
    "degree too large": (
        lambda: random_dag("abc", average_degree=4, seed=0),
        GraphError,
        "at most 3 edges",
    ),
    "strength of one": (
        lambda: preference_scm(GRAPHS["chain"](0), SPACE, strength=1.0, seed=0),
        MechanismError,
        r"in \[0, 1\)",
    ),
    "strength of a root": (
        lambda: preference_scm(
            chain_graph("ab", seed=0), SlotSpace.from_cardinalities({"a": 2, "b": 2}),
            strength={"a": 0.5, "b": 0.5}, seed=0,
        ),
        MechanismError,
        "slots with causes",
    ),
    "other slots": (
        lambda: preference_scm(chain_graph("ab", seed=0), SPACE, seed=0),
        GraphError,
        "slot",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD, ids=str)
def test_bad_input_is_refused(case: str) -> None:
    make, error, message = BAD[case]
    with pytest.raises(error, match=message):
        make()
