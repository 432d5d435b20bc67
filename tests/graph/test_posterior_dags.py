"""DAGs drawn from a posterior: against all DAGs with their weights, and paths by matrix powers."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ctvae.graph import CausalGraph, InterventionalBDeu, OrderMCMC, learn_graph
from ctvae.graph.parent_tables import ParentTables
from ctvae.graph.posterior_dags import descendant_shares, draw_dags, draw_given_order
from ctvae.slots import SlotSpace
from tests.graph.oracles import all_dags, bdeu, dags, orders_of, rows_with_targets

CHAIN = np.array([[0, 1, 0], [0, 0, 1], [0, 0, 0]], dtype=np.int8)


def masks(matrix: np.ndarray) -> tuple[int, ...]:
    return tuple(sum(1 << int(i) for i in np.flatnonzero(column)) for column in matrix.T)


def paths(matrix: np.ndarray) -> np.ndarray:
    """Where a directed path leads, by powers of the adjacency matrix."""
    powers = [np.linalg.matrix_power(matrix.astype(int), n) for n in range(1, len(matrix) + 1)]
    return np.sum(powers, 0) > 0


def near(drawn: np.ndarray, chance: np.ndarray, draws: int) -> bool:
    """Within five standard errors and three draws; what cannot be is never drawn."""
    error = 5 * np.sqrt(chance * (1 - chance) / draws) + 3 / draws
    return bool((np.abs(drawn - chance) <= error).all()) and not bool(drawn[chance == 0].any())


@pytest.mark.parametrize("slots", [1, 2, 3, 4])
@pytest.mark.parametrize("limit", [4, 1])
def test_dags_are_drawn_as_often_as_their_weight_says(slots, limit):
    rng = np.random.default_rng(slots)
    weights = rng.normal(scale=1.5, size=(slots, 2**slots))
    for k in range(slots):
        for subset in range(2**slots):
            if subset >> k & 1 or subset.bit_count() > limit:
                weights[k, subset] = -np.inf
    drawn = draw_dags(torch.from_numpy(weights), 20_000, np.random.default_rng(0))
    assert drawn.total() == 20_000
    matrices = list(all_dags(slots))
    mass = np.array([
        np.exp(sum(weights[k, s] for k, s in enumerate(masks(m)))) * orders_of(m) for m in matrices
    ])
    chance = mass / mass.sum()
    assert near(np.array([drawn[masks(m)] / 20_000 for m in matrices]), chance, 20_000)
    below = (chance[:, None, None] * np.array([paths(m) for m in matrices])).sum(0)
    assert near(descendant_shares(drawn), np.minimum(below, 1.0), 20_000)


def test_given_an_order_parents_are_drawn_by_their_weight():
    rng = np.random.default_rng(3)
    weights = (rng.normal(size=2), np.zeros(1), rng.normal(size=4))
    tables = ParentTables(((1,), (), (0, 1)), weights, weights)
    orders, _ = tables.posterior()
    place = np.array([0, 1, 2])  # slot 0 comes first, so that slot 1 cannot be its parent
    drawn = draw_given_order(tables, orders, place, 20_000, np.random.default_rng(1))
    law = np.exp(weights[2]) / np.exp(weights[2]).sum()
    assert near(np.array([drawn[0, 0, own] / 20_000 for own in range(4)]), law, 20_000)
    assert drawn.total() == 20_000
    assert all(dag[:2] == (0, 0) for dag in drawn)


@given(
    st.lists(st.tuples(dags(min_nodes=5, max_nodes=5), st.integers(1, 4)), min_size=1, max_size=4)
)
def test_descendants_are_where_paths_lead(graphs):
    counted: Counter[tuple[int, ...]] = Counter()
    want = np.zeros((5, 5))
    for graph, times in graphs:
        matrix = graph.to_numpy()
        counted[masks(matrix)] += times
        want += times * paths(matrix)
    np.testing.assert_allclose(descendant_shares(counted), want / counted.total(), atol=1e-12)


def test_many_slots_in_one_path():
    names = [f"v{k:02d}" for k in range(70)]
    chain = CausalGraph.from_edges(zip(names[1:], names[:-1], strict=True), nodes=names)
    shares = descendant_shares({masks(chain.to_numpy()): 2})
    np.testing.assert_array_equal(shares, np.tril(np.ones((70, 70)), -1))


@pytest.mark.parametrize(
    "method", [InterventionalBDeu(), OrderMCMC(num_samples=500)], ids=["exact", "search"]
)
def test_methods_say_what_the_enumeration_says(method, device):
    """Few rows, so that the posterior is wide; the enumeration has no draws in it."""
    cards = [2, 3, 2]
    codes, targets = rows_with_targets(CHAIN, cards, observational=40, per_target=15, seed=5)
    codes = codes[~targets.any(1)]  # nothing tells the directions
    slots = SlotSpace.from_cardinalities(cards)
    result = learn_graph(codes.to(device), slots, method=method)
    scores = _log_weights(codes, cards)
    matrices = list(all_dags(3))
    mass = np.array([
        np.exp(sum(scores[k][s] for k, s in enumerate(masks(m)))) * orders_of(m) for m in matrices
    ])
    want = (mass[:, None, None] * np.array([paths(m) for m in matrices])).sum(0) / mass.sum()
    assert 0.3 < want[0, 1] < 0.7
    assert 0 < want[0, 2] < 0.3
    assert result.descendant_probabilities is not None
    assert result.descendant_probabilities.device.type == device.type
    got = result.descendant_probabilities.cpu().numpy()
    assert np.abs(got - want).max() < 5 * (0.25 / 500) ** 0.5


def _log_weights(codes: torch.Tensor, cards: list[int]) -> list[dict[int, float]]:
    """Log marginal likelihood and prior of every parent set, cell by cell; the best set has 0."""
    found = []
    for k in range(3):
        own = {}
        for subset in range(8):
            if not subset >> k & 1:
                parents = tuple(i for i in range(3) if subset >> i & 1)
                score = bdeu(codes, k, parents, cards, 1.0)
                own[subset] = score - math.log(math.comb(2, len(parents)))
        best = max(own.values())
        found.append({subset: value - best for subset, value in own.items()})
    return found


def test_permuting_the_columns_permutes_the_descendants():
    cards, order, names = [2, 3, 2], [2, 0, 1], ["b", "c", "a"]
    codes, _ = rows_with_targets(CHAIN, cards, observational=60, per_target=1, seed=5)
    answers = []
    for columns in ([0, 1, 2], order):
        slots = SlotSpace.from_cardinalities({names[k]: cards[k] for k in columns})
        found = learn_graph(codes[:, columns], slots, method=InterventionalBDeu(), seed=1)
        assert found.descendant_probabilities is not None
        answers.append(found.descendant_probabilities)
    assert torch.equal(answers[0][order][:, order], answers[1])
