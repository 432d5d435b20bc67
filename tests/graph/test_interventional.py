"""The exact search against the enumeration of all DAGs, and recovery from interventions."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from ctvae.errors import DataError, StateSpaceError
from ctvae.graph import (
    CausalGraph,
    DiscoveryStatus,
    InterventionalBDeu,
    learn_graph,
    order_search,
)
from ctvae.slots import SlotSpace
from tests.graph.oracles import all_dags, bdeu, orders_of, rows_with_targets


def random_weights(
    slots: int, rng: np.random.Generator, *, limit: int | None = None
) -> torch.Tensor:
    weights = rng.normal(scale=2.0, size=(slots, 2**slots))
    for k in range(slots):
        for subset in range(2**slots):
            if subset >> k & 1 or (limit is not None and subset.bit_count() > limit):
                weights[k, subset] = -np.inf
    return torch.from_numpy(weights)


def weigh(matrix: np.ndarray, weights: torch.Tensor) -> float:
    sets = [sum(1 << int(i) for i in np.flatnonzero(column)) for column in matrix.T]
    return sum(float(weights[k, s]) for k, s in enumerate(sets))


@pytest.mark.parametrize(("slots", "limit"), [(1, None), (2, None), (3, None), (3, 1), (4, None)])
@pytest.mark.parametrize("seed", [0, 1])
def test_dynamic_programming_equals_enumeration(slots, limit, seed, device):
    weights = random_weights(slots, np.random.default_rng(seed), limit=limit)
    matrices = list(all_dags(slots))
    totals = np.array([weigh(m, weights) for m in matrices])
    best = order_search.best_dag(weights.to(device))
    found = np.zeros((slots, slots), dtype=np.int8)
    for k, parents in enumerate(best):
        found[list(parents), k] = 1
    assert weigh(found, weights) == pytest.approx(totals.max(), abs=1e-8)
    mass = np.array([math.exp(t) * orders_of(m) for t, m in zip(totals, matrices, strict=True)])
    want = (mass[:, None, None] * np.array(matrices)).sum(0) / mass.sum()
    got = order_search.edge_probabilities(weights.to(device))
    np.testing.assert_allclose(got.cpu(), want, rtol=0, atol=1e-8)


def test_the_whole_method_equals_enumeration():
    """From rows to the best DAG and the edge posterior, with the prior spelled out."""
    cards = [2, 3, 2]
    truth = np.array([[0, 1, 0], [0, 0, 1], [0, 0, 0]], dtype=np.int8)
    codes, targets = rows_with_targets(truth, cards, observational=40, per_target=15, seed=5)
    method = InterventionalBDeu(equivalent_sample_size=2.0, edge_penalty=0.5)
    slots = SlotSpace.from_cardinalities(cards)
    result = learn_graph(codes, slots, method=method, targets=targets)
    matrices = list(all_dags(3))
    norm = math.log(sum(math.exp(-0.5 * n) for n in range(3)))
    totals = []
    for matrix in matrices:
        total = 0.0
        for k in range(3):
            parents = tuple(int(i) for i in np.flatnonzero(matrix[:, k]))
            total += bdeu(codes, k, parents, cards, 2.0, ~targets[:, k])
            total -= 0.5 * len(parents) + math.log(math.comb(2, len(parents))) + norm
        totals.append(total)
    weights = np.exp(np.array(totals) - max(totals)) * [orders_of(m) for m in matrices]
    want = (weights[:, None, None] * np.array(matrices)).sum(0) / weights.sum()
    assert result.edge_probabilities is not None
    np.testing.assert_allclose(result.edge_probabilities.numpy(), want, rtol=0, atol=1e-8)
    np.testing.assert_array_equal(result.graph.to_numpy(), matrices[int(np.argmax(totals))])


def test_the_prior_over_parent_sets_sums_to_one():
    prior = order_search.parent_set_prior(6, 3, edge_penalty=0.7)
    total = sum(math.comb(5, n) * math.exp(p) for n, p in enumerate(prior))
    assert total == pytest.approx(1.0, abs=1e-12)


STRONG = np.zeros((5, 5), dtype=np.int8)
STRONG[3, 0] = STRONG[0, 2] = STRONG[3, 1] = STRONG[1, 4] = STRONG[2, 4] = 1


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_interventions_on_every_slot_recover_the_dag(seed, device):
    codes, targets = rows_with_targets(STRONG, [3, 4, 3, 4, 3], seed=seed)
    result = learn_graph(codes.to(device), method=InterventionalBDeu(), targets=targets.to(device))
    np.testing.assert_array_equal(result.graph.to_numpy(), STRONG)
    assert result.status is DiscoveryStatus.DONE
    assert result.rows_used == len(codes)
    assert result.edge_probabilities is not None
    assert result.edge_probabilities.device.type == device.type
    assert result.edge_probabilities.shape == (5, 5)
    np.testing.assert_array_equal(result.edge_probabilities.cpu().numpy() > 0.5, STRONG == 1)
    evidence = result.evidence("slot3", 0)
    assert evidence.mark == "->"
    assert (evidence.probability or 0.0) > 0.99
    assert (evidence.score_gain or 0.0) > 10
    assert (result.evidence(1, 2).score_gain or 0.0) < 0


def test_permuting_the_columns_permutes_the_answer():
    codes, targets = rows_with_targets(STRONG, [3, 4, 3, 4, 3], seed=4)
    order = [2, 4, 0, 3, 1]
    names = [f"v{k}" for k in range(5)]
    sizes = dict(zip(names, [3, 4, 3, 4, 3], strict=True))
    a = learn_graph(
        codes,
        SlotSpace.from_cardinalities(sizes),
        method=InterventionalBDeu(),
        targets=targets,
    )
    b = learn_graph(
        codes[:, order],
        SlotSpace.from_cardinalities({names[k]: sizes[names[k]] for k in order}),
        method=InterventionalBDeu(),
        targets=targets[:, order],
    )
    assert a.graph == b.graph
    assert a.edge_probabilities is not None
    assert b.edge_probabilities is not None
    torch.testing.assert_close(
        a.edge_probabilities[order][:, order], b.edge_probabilities, rtol=0, atol=1e-9
    )


def test_without_targets_the_answer_is_one_of_its_class():
    truth = np.array([[0, 1, 0], [0, 0, 1], [0, 0, 0]], dtype=np.int8)
    codes, targets = rows_with_targets(truth, [3, 3, 3], seed=2)
    seen = codes[~targets.any(1)]
    result = learn_graph(seen, method=InterventionalBDeu())
    assert result.status is DiscoveryStatus.EQUIVALENT_GRAPHS
    assert result.graph.cpdag() == CausalGraph.from_numpy(truth).cpdag()
    assert "intervene" in result.status.advice
    end = targets[:, 0] | ~targets.any(1)  # one end of the chain suffices: Meek's rule 1
    result = learn_graph(codes[end], method=InterventionalBDeu(), targets=targets[end])
    assert result.status is DiscoveryStatus.DONE
    np.testing.assert_array_equal(result.graph.to_numpy(), truth)


def test_settings():
    codes, targets = rows_with_targets(STRONG, [3, 4, 3, 4, 3], seed=0)
    none = learn_graph(codes, method=InterventionalBDeu(max_parents=0), targets=targets)
    assert none.graph.num_edges == 0
    assert none.edge_probabilities is not None
    assert float(none.edge_probabilities.max()) == 0.0
    one = learn_graph(codes, method=InterventionalBDeu(max_parents=1), targets=targets)
    assert one.graph.to_numpy().sum(0).max() == 1
    heavy = learn_graph(codes, method=InterventionalBDeu(edge_penalty=1e4), targets=targets)
    assert heavy.graph.num_edges == 0


BAD = {
    "weight": (lambda: InterventionalBDeu(equivalent_sample_size=0.0), DataError, "above 0 rows"),
    "nan": (lambda: InterventionalBDeu(edge_penalty=math.nan), DataError, "at least 0 nats"),
    "parents": (lambda: InterventionalBDeu(max_parents=-1), DataError, "or None for no limit"),
    "size": (
        lambda: learn_graph(torch.zeros(3, 15).long(), method=InterventionalBDeu()),
        StateSpaceError,
        r"15 slots have 2\^15.*raise max_slots .* MiB",
    ),
}


@pytest.mark.parametrize(("make", "error", "message"), BAD.values(), ids=BAD.keys())
def test_bad_input_is_refused_with_the_way_out(make, error, message):
    with pytest.raises(error, match=message):
        make()
