"""The search over orders and its chains, against enumeration and the exact method."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import ctvae as ct
from ctvae.errors import CTVAEError
from ctvae.graph import (
    BDeuScores,
    DiscoveryStatus,
    InterventionalBDeu,
    OrderMCMC,
    learn_graph,
    order_search,
)
from ctvae.graph.order_moves import OrderWorth, climb, move, resample
from ctvae.regimes import Regime, Samples
from ctvae.slots import SlotSpace
from tests.graph.oracles import bdeu, rows_with_targets
from tests.oracles import assert_counts_follow

DIAMOND = np.zeros((5, 5), dtype=np.int8)
DIAMOND[3, 0] = DIAMOND[0, 2] = DIAMOND[3, 1] = DIAMOND[1, 4] = DIAMOND[2, 4] = 1
CARDS = [3, 4, 3, 4, 3]


def random_worth(slots: int, seed: int) -> OrderWorth:
    """Tables in which the candidates of a slot are some of the others, in any sequence."""
    rng = np.random.default_rng(seed)
    candidates = []
    for slot in range(slots):
        others = rng.permutation([k for k in range(slots) if k != slot])
        candidates.append(others[: rng.integers(0, slots)].tolist())
    tables = [rng.normal(scale=2.0, size=2 ** len(own)) for own in candidates]
    return OrderWorth(candidates, tables)


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 7), st.integers(0, 10**6))
def test_the_worth_at_every_place_is_that_of_the_moved_order(slots, seed):
    worth, rng = random_worth(slots, seed), np.random.default_rng(seed)
    place = rng.permutation(slots)
    for slot in range(slots):
        moved = [move(place, slot, to) for to in range(slots)]
        for to, order in enumerate(moved):
            assert order[slot] == to
            others = [k for k in range(slots) if k != slot]
            np.testing.assert_array_equal(place[others].argsort(), order[others].argsort())
        totals = np.array([worth.total(order) for order in moved])
        values = worth.by_place(slot, place)
        np.testing.assert_allclose(values - values[0], totals - totals[0], rtol=0, atol=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_no_single_move_improves_where_the_climb_ends(seed):
    worth, rng = random_worth(6, seed), np.random.default_rng(seed)
    start = rng.permutation(6)
    place = climb(worth, start, rng)
    assert worth.total(place) >= worth.total(start)
    best = max(worth.total(move(place, slot, to)) for slot in range(6) for to in range(6))
    assert worth.total(place) >= best - 1e-9


@pytest.mark.statistical
def test_orders_are_drawn_in_proportion_to_their_worth():
    worth, rng = random_worth(4, 3), np.random.default_rng(0)
    orders = [np.array(order) for order in itertools.permutations(range(4))]
    law = np.exp([worth.total(order) for order in orders])
    number = {tuple(order): k for k, order in enumerate(orders)}
    counts, place = np.zeros(len(orders)), orders[0]
    for _ in range(4000):
        for _ in range(3):  # enough sweeps that draws are as good as independent
            place = resample(worth, place, rng)
        counts[number[tuple(place.tolist())]] += 1
    assert_counts_follow(counts, law / law.sum())


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6))
def test_sums_and_maxima_within_sets_are_those_of_their_subsets(seed):
    weights = np.random.default_rng(seed).normal(size=(2, 16))
    largest = order_search.largest_within(torch.from_numpy(weights)).numpy()
    total = order_search.total_within(torch.from_numpy(weights)).numpy()
    for whole in range(16):
        inside = [s for s in range(16) if s & ~whole == 0]
        np.testing.assert_allclose(largest[:, whole], weights[:, inside].max(1))
        np.testing.assert_allclose(total[:, whole], np.log(np.exp(weights[:, inside]).sum(1)))


def test_scores_of_subsets_and_pairs_are_those_of_one_set_at_a_time(device):
    codes, targets = rows_with_targets(DIAMOND, CARDS, observational=60, per_target=20, seed=1)
    scores = BDeuScores(
        codes.to(device), CARDS, equivalent_sample_size=1.5, targets=targets.to(device)
    )
    gains = scores.single_gains().cpu()
    for child in range(5):
        others = [4, 0, 3, 1, 2]
        others.remove(child)
        table = scores.subsets(child, others, max_parents=3).cpu()
        keep = ~targets[:, child]
        alone = bdeu(codes, child, (), CARDS, 1.5, keep)
        for bits in range(16):
            parents = tuple(others[k] for k in range(4) if bits >> k & 1)
            if len(parents) == 4:
                assert table[bits] == -torch.inf
                continue
            expected = bdeu(codes, child, parents, CARDS, 1.5, keep)
            assert float(table[bits]) == pytest.approx(expected, abs=1e-8)
            if len(parents) == 1:
                assert float(gains[parents[0], child]) == pytest.approx(expected - alone, abs=1e-8)
    assert float(gains.diagonal().abs().max()) == 0.0


@pytest.mark.parametrize("rows", [40, 400])
def test_with_all_candidates_it_is_the_exact_method(rows, device):
    """Few rows leave the posterior wide: every edge within six standard errors of its chains."""
    codes, targets = rows_with_targets(DIAMOND, CARDS, observational=rows, per_target=8, seed=2)
    codes, targets = codes.to(device), targets.to(device)
    exact = learn_graph(codes, method=InterventionalBDeu(), targets=targets)
    method = OrderMCMC(num_samples=1500)
    drawn = learn_graph(codes, method=method, targets=targets, seed=1)
    assert drawn.graph == exact.graph
    assert drawn.status is exact.status
    assert exact.edge_probabilities is not None
    assert drawn.edge_probabilities is not None
    off = (drawn.edge_probabilities - exact.edge_probabilities).abs()
    assert float(off.max()) < 6 * (0.25 / 1500) ** 0.5  # 3,000 draws, every other one counted
    for i, j in itertools.permutations(range(5), 2):
        assert drawn.evidence(i, j).score_gain == pytest.approx(
            exact.evidence(i, j).score_gain, abs=1e-8
        )


def test_permuting_columns_permutes_the_answer_to_the_last_bit():
    codes, targets = rows_with_targets(DIAMOND, CARDS, observational=200, per_target=50, seed=3)
    names = ["v3", "v0", "v4", "v1", "v2"]
    answers = []
    for order in ([0, 1, 2, 3, 4], [2, 4, 0, 3, 1]):
        slots = SlotSpace.from_cardinalities({names[k]: CARDS[k] for k in order})
        rows = Samples(codes[:, order], slots, Regime.INTERVENTIONAL, targets[:, order])
        found = learn_graph(rows, method=OrderMCMC(num_samples=20), seed=5)
        assert found.edge_probabilities is not None
        back = torch.tensor(order).argsort()
        answers.append((found.graph, found.edge_probabilities[back][:, back]))
    (graph, chances), (again, other) = answers
    assert graph == again
    assert torch.equal(chances, other)


def test_chains_that_disagree_are_told():
    """Six noisy copies of a cause that is not there, and one draw of each chain."""
    cause = torch.arange(4000) % 3
    generator = torch.Generator().manual_seed(0)
    other = torch.randint(3, (4000, 6), generator=generator)
    codes = torch.where(torch.rand(4000, 6, generator=generator) < 0.3, other, cause[:, None])
    found = learn_graph(codes, method=OrderMCMC(num_samples=1), seed=0)
    assert found.status is DiscoveryStatus.CHAINS_DISAGREE
    assert "num_samples" in found.status.advice


def test_settings_and_small_models():
    codes, targets = rows_with_targets(DIAMOND, CARDS, seed=0)
    none = learn_graph(codes, method=OrderMCMC(max_parents=0, num_samples=4), targets=targets)
    assert none.graph.num_edges == 0
    quick = learn_graph(codes, method=OrderMCMC(num_samples=0), targets=targets)
    assert quick.edge_probabilities is None
    np.testing.assert_array_equal(quick.graph.to_numpy(), DIAMOND)
    few = learn_graph(codes, method=OrderMCMC(max_candidates=2), targets=targets)
    np.testing.assert_array_equal(few.graph.to_numpy(), DIAMOND)
    alone = learn_graph(codes[:, :1], method=OrderMCMC())
    assert alone.graph.num_edges == 0
    with pytest.raises(CTVAEError, match="max_candidates must be 1 to 16"):
        OrderMCMC(max_candidates=17)
    with pytest.raises(CTVAEError, match="above 0 rows"):
        OrderMCMC(equivalent_sample_size=0)
    with pytest.raises(CTVAEError, match="at least 0 nats"):
        OrderMCMC(edge_penalty=float("nan"))
    with pytest.raises(CTVAEError, match="starts= takes an integer of at least 1"):
        OrderMCMC(starts=0)


NETWORKS = {"asia": 0, "sachs": 0, "child": 0, "alarm": 2}
"""The largest structural Hamming distance to the DAG that is accepted."""


@pytest.mark.parametrize("name", NETWORKS)
def test_interventions_recover_published_networks(name, shared_data):
    """5,000 observational rows and 512 with each slot set uniformly; columns permuted."""
    scm = ct.SCM.from_bif(shared_data / "bnlearn" / "bif" / f"{name}.bif.gz")
    rows = [scm.sample(5000, seed=1)]
    targets = [torch.zeros_like(rows[0], dtype=torch.bool)]
    for column, slot in enumerate(scm.slots):
        even = ct.Stochastic(torch.full((slot.cardinality,), 1 / slot.cardinality))
        rows.append(scm.do({slot.name: even}).sample(512, seed=2 + column))
        targets.append(torch.zeros_like(rows[-1], dtype=torch.bool))
        targets[-1][:, column] = True
    order = np.random.default_rng(0).permutation(len(scm.slots)).tolist()
    slots = SlotSpace([scm.slots[k] for k in order])
    codes, done = torch.cat(rows)[:, order], torch.cat(targets)[:, order]
    samples = Samples(codes, slots, Regime.INTERVENTIONAL, done)
    found = learn_graph(samples, method=OrderMCMC(num_samples=20), seed=0)
    assert ct.graph.shd(found.graph, scm.graph) <= NETWORKS[name]
