"""Masked networks and laws of graphs against enumeration, and gradients that reach an encoder."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor, nn

from ctvae.errors import CTVAEError, DataError, ShapeError
from ctvae.graph import (
    GraphLearner,
    GraphPosterior,
    LogDet,
    MaskedConditionals,
    Order,
    Spectral,
)
from ctvae.graph.differentiable import greedy_dag
from ctvae.graph.graph_learner import average_gains, edge_prices, neighbours
from ctvae.graph.settling import pair_probabilities, reachable, settle
from ctvae.randomness import scoped_seed
from tests.graph.oracles import all_dags

SIZES = [2, 3, 4]


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def rows(count: int, seed: int = 0) -> Tensor:
    drawn = torch.rand(count, len(SIZES), generator=generator(seed))
    return (drawn * torch.tensor(SIZES)).long()


def graphs(count: int, seed: int = 0, slots: int = 3) -> Tensor:
    drawn = torch.rand(count, slots, slots, generator=generator(seed)) < 0.5
    return (drawn & ~torch.eye(slots, dtype=torch.bool)).float()


def one_hot(codes: Tensor) -> Tensor:
    return nn.functional.one_hot(codes, max(SIZES)).float()


def posterior(seed: int, *, slots: int = 3, order: Order | None = None) -> GraphPosterior:
    made = GraphPosterior(slots, order=order)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator(seed)))
    return made


@pytest.mark.parametrize("seed", [0, 1])
def test_every_law_sums_to_one_over_its_own_codes(seed, device):
    laws = MaskedConditionals(SIZES, seed=seed).to(device)
    every = torch.tensor(list(itertools.product(*map(range, SIZES)))).to(device)
    masks = graphs(5, seed).to(device)
    found = laws.log_probs(every, masks).exp().reshape(5, *SIZES, len(SIZES))
    for slot in range(len(SIZES)):  # the sum over a slot's own code, all others held
        total = found[..., slot].sum(slot + 1)
        torch.testing.assert_close(total, torch.ones_like(total))


def test_a_law_reads_its_parents_alone():
    laws = MaskedConditionals(SIZES, seed=0)
    codes, masks = rows(40), graphs(20)
    base = laws.log_probs(codes, masks)
    for slot in range(len(SIZES)):
        moved = codes.clone()
        moved[:, slot] = (moved[:, slot] + 1) % SIZES[slot]
        change = (laws.log_probs(moved, masks) - base).abs().amax(1)  # (graphs, slots)
        others = [k for k in range(len(SIZES)) if k != slot]
        is_parent = masks[:, slot, others] == 1
        assert bool((change[:, others][~is_parent] == 0).all())
        assert bool((change[:, others][is_parent] > 0).all())


def test_rows_with_graphs_of_their_own_and_single_changes(device):
    laws = MaskedConditionals(SIZES, width=8, seed=3).to(device)
    codes, masks = rows(6).to(device), graphs(6, seed=4).to(device)
    crossed = laws.log_probs(codes, masks)
    own = torch.stack([crossed[b, b] for b in range(6)])
    torch.testing.assert_close(laws.row_log_probs(codes, masks), own)
    gains = laws.edge_gains(codes, masks)
    for i, j in itertools.product(range(3), repeat=2):
        if i == j:
            assert bool((gains[:, i, i] == 0).all())
            continue
        with_edge, without = masks.clone(), masks.clone()
        with_edge[:, i, j], without[:, i, j] = 1, 0
        want = laws.row_log_probs(codes, with_edge) - laws.row_log_probs(codes, without)
        torch.testing.assert_close(gains[:, i, j], want[:, j], rtol=1e-4, atol=1e-5)


def test_certain_soft_codes_are_codes(device):
    laws = MaskedConditionals(SIZES, seed=1).to(device)
    codes, masks = rows(7).to(device), graphs(7, seed=2).to(device)
    soft = one_hot(codes)
    torch.testing.assert_close(laws.log_probs(soft, masks), laws.log_probs(codes, masks))
    torch.testing.assert_close(laws.edge_gains(soft, masks), laws.edge_gains(codes, masks))


def test_seeds():
    one, same, other = (MaskedConditionals(SIZES, seed=s) for s in (0, 0, 1))
    assert torch.equal(one.codebook, same.codebook)
    assert not torch.equal(one.codebook, other.codebook)
    first = posterior(0).sample(9, seed=4)
    assert torch.equal(first, posterior(0).sample(9, seed=4))
    assert not torch.equal(first, posterior(0).sample(9, seed=5))


@pytest.mark.statistical
@pytest.mark.parametrize("order", [None, Order(), Order(0.3)], ids=["pairs", "order", "cold"])
def test_edges_are_drawn_as_often_as_their_probabilities_say(order, device):
    """Six standard errors in 2 * 12 places: a false alarm in fewer than one run in 1e6."""
    law = posterior(2, slots=4, order=order).to(device)
    drawn = law.sample(40_000, seed=0).detach()
    want = law.probabilities().detach()
    error = (want * (1 - want) / len(drawn)).sqrt()
    assert bool(((drawn.mean(0) - want).abs() <= 6 * error + 1e-12).all())
    assert bool((drawn * drawn.mT == 0).all())
    assert set(drawn.unique().tolist()) == {0.0, 1.0}


def test_every_graph_drawn_from_an_order_is_a_dag():
    law = posterior(3, slots=5, order=Order(2.0))
    drawn = law.sample(500, seed=0).detach()
    assert bool((Spectral().penalty(drawn) == 0).all())
    loose = posterior(3, slots=5).sample(500, seed=0).detach()
    assert bool((Spectral().penalty(loose) > 0).any())  # so the line above says something


def law_of_graphs(law: GraphPosterior) -> tuple[Tensor, Tensor]:
    """Every graph over three slots without 2-cycles, and its probability."""
    edges = law.probabilities()
    states = torch.stack([1 - edges - edges.T, edges, edges.T], -1)
    found, chances = [], []
    pairs = [(0, 1), (0, 2), (1, 2)]
    for choice in itertools.product(range(3), repeat=3):
        graph, chance = torch.zeros(3, 3), torch.ones(())
        for (i, j), state in zip(pairs, choice, strict=True):
            graph[i, j], graph[j, i] = float(state == 1), float(state == 2)
            chance = chance * states[i, j, state]
        found.append(graph)
        chances.append(chance)
    return torch.stack(found), torch.stack(chances)


def test_the_entropy_is_that_of_the_enumerated_law():
    law = posterior(6)
    _, chances = law_of_graphs(law)
    torch.testing.assert_close(chances.sum(), torch.ones(()))
    torch.testing.assert_close(law.entropy(), torch.special.entr(chances).sum())


def test_the_leave_one_edge_gradient_is_the_gradient_of_the_expectation():
    """For a score that is a sum over children, by enumeration of all graphs."""
    law, table = posterior(7), torch.randn(3, 8, generator=generator(1))

    def score(graph: Tensor) -> Tensor:
        place = (graph * torch.tensor([1.0, 2.0, 4.0])[:, None]).sum(0).long()
        return torch.stack([table[child, place[child]] for child in range(3)])

    found, chances = law_of_graphs(law)
    worth = torch.stack([score(graph).sum() for graph in found])
    want = torch.autograd.grad((chances * worth).sum(), list(law.parameters()))

    # A single edge's gain, averaged over the law of the other edges of its child. Pairs are
    # independent, so the other edges may be drawn with the law of all.
    gains = torch.zeros(3, 3)
    for i, j in itertools.permutations(range(3), 2):
        for graph, chance in zip(found, chances.detach(), strict=True):
            present, absent = graph.clone(), graph.clone()
            present[i, j], absent[i, j] = 1, 0
            gains[i, j] += chance * (score(present)[j] - score(absent)[j])
    got = torch.autograd.grad(law.expected_gain(gains), list(law.parameters()))
    for one, other in zip(got, want, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)
    split = torch.autograd.grad(law.expected_gain(gains, gains), list(law.parameters()))
    for one, other in zip(split, want, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


def test_existence_and_direction_can_be_told_by_different_gains():
    law, up = posterior(8), torch.ones(3, 3)
    existence, direction = torch.autograd.grad(
        law.expected_gain(up, torch.zeros(3, 3)), list(law.parameters())
    )
    off = ~torch.eye(3, dtype=torch.bool)
    assert bool((existence[off] > 0).all())
    assert bool((direction == 0).all())


def test_gradients_pass_straight_through_samples():
    law = posterior(9)
    weight = torch.randn(3, 3, generator=generator(0))
    through = torch.autograd.grad((law.sample(5, seed=0) * weight).sum() / 5, law.existence)
    want = torch.autograd.grad((law.probabilities() * weight).sum(), law.existence)
    torch.testing.assert_close(through, want)


@pytest.mark.parametrize("acyclicity", [LogDet(), Spectral()], ids=["log-det", "spectral"])
def test_penalties_of_a_posterior(acyclicity, device):
    law = posterior(1, slots=4).to(device)
    law.penalty(acyclicity).backward()
    assert law.existence.grad is not None
    assert bool(torch.isfinite(law.existence.grad).all())
    assert float(law.existence.grad.abs().sum()) > 0
    with torch.no_grad():
        law.existence.fill_(60.0)
        law.direction.fill_(60.0)
    assert float(law.penalty(acyclicity).detach()) < 1e-6
    assert law.map_dag().equal(torch.ones(4, 4, device=device).triu(1).bool())


@pytest.mark.parametrize("seed", range(5))
def test_likely_edges_make_a_dag_and_lose_nothing_where_they_are_one(seed):
    chances = torch.rand(6, 6, generator=generator(seed))
    dag = greedy_dag(chances)
    assert not bool(reachable(dag).diagonal().any())
    assert greedy_dag(chances.triu(1)).equal(chances.triu(1) > 0.5)
    left_out = (chances > 0.5) & ~dag
    for i, j in left_out.nonzero().tolist():
        with_edge = dag.clone()
        with_edge[i, j] = True
        assert bool(reachable(with_edge)[i, i]) or i == j


def tables(slots: int, seed: int) -> Tensor:
    return torch.randn(slots, 2**slots, generator=generator(seed), dtype=torch.float64) * 3


def gains_of(table: Tensor, dag: Tensor) -> Tensor:
    gains = torch.zeros(dag.shape, dtype=torch.float64)
    for i, j in itertools.permutations(range(len(dag)), 2):
        rest = sum(1 << p for p in dag[:, j].nonzero().flatten().tolist() if p != i)
        gains[i, j] = table[j, rest | 1 << i] - table[j, rest]
    return gains


def total(table: Tensor, dag: Tensor) -> float:
    sets = [sum(1 << p for p in column.nonzero().flatten().tolist()) for column in dag.T]
    return sum(float(table[j, own]) for j, own in enumerate(sets))


@pytest.mark.parametrize("seed", range(6))
def test_no_single_change_betters_the_graph_that_settled(seed):
    table, prices = tables(4, seed), torch.full((4, 4), 0.4)
    dags = [torch.from_numpy(m).bool() for m in all_dags(4)]
    values = {m: total(table, m) - 0.4 * float(m.sum()) for m in dags}
    start = dags[seed * 50]
    dag, gains = settle(start, lambda m: gains_of(table, m), prices)
    torch.testing.assert_close(gains, gains_of(table, dag))
    here = total(table, dag) - 0.4 * float(dag.sum())
    assert here >= values[start] - 1e-9
    for other, value in values.items():
        pairs = ((dag != other) | (dag != other).T).triu(1)
        if int(pairs.sum()) == 1:
            assert value <= here + 1e-2
    best = max(values, key=lambda m: values[m])
    assert settle(best, lambda m: gains_of(table, m), prices)[0].equal(best)


@pytest.mark.parametrize("seed", range(3))
def test_pair_probabilities_are_those_of_three_states(seed):
    table, prices = tables(4, seed), torch.full((4, 4), 0.7, dtype=torch.float64)
    dag = torch.from_numpy(list(all_dags(4))[100 + 40 * seed]).bool()
    got = pair_probabilities(dag, gains_of(table, dag), prices)
    for i, j in itertools.combinations(range(4), 2):
        weights = []
        for forward, backward in ((True, False), (False, True), (False, False)):
            state = dag.clone()
            state[i, j], state[j, i] = forward, backward
            fits = not bool(reachable(state).diagonal().any())
            log = total(table, state) - 0.7 * (forward + backward)
            weights.append(math.exp(log) if fits else 0.0)
        assert float(got[i, j]) == pytest.approx(weights[0] / sum(weights), abs=1e-9)
        assert float(got[j, i]) == pytest.approx(weights[1] / sum(weights), abs=1e-9)


def test_gradients_reach_the_logits_of_an_encoder(device):
    """Of every slot: the soft codes are both what is predicted and what predicts."""
    has = (torch.arange(4) < torch.tensor(SIZES)[:, None]).to(device)
    with scoped_seed(2):
        encoder = nn.Linear(5, 12).to(device)
    inputs = torch.randn(9, 5, generator=generator(3)).to(device)
    logits = encoder(inputs).unflatten(1, (3, 4)).masked_fill(~has, -torch.inf)
    logits.retain_grad()
    learner = GraphLearner(SIZES, num_rows=100, seed=0).to(device)
    targets = torch.zeros(9, 3, dtype=torch.bool, device=device)
    targets[:3, 1] = True
    learner.loss(logits.softmax(-1), targets, seed=0).backward()
    assert logits.grad is not None
    assert bool(torch.isfinite(logits.grad).all())
    assert bool((logits.grad.abs().amax((0, 2)) > 1e-8).all())
    assert all(bool((p.grad.abs() > 0).any()) for p in encoder.parameters() if p.grad is not None)
    assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in learner.parameters())


def test_a_slot_that_was_set_teaches_its_law_nothing():
    learner, codes = GraphLearner(SIZES, num_rows=100, seed=0), rows(30)
    targets = torch.zeros(30, 3, dtype=torch.bool)
    targets[:, 1] = True
    learner.loss(codes, targets, seed=0).backward()
    grad = learner.conditionals.out_weight.grad
    assert grad is not None
    assert bool((grad[1] == 0).all())
    assert bool((grad[0] != 0).any())
    assert bool((grad[2] != 0).any())


def test_rows_that_were_set_orient_and_all_rows_decide_on_edges():
    gains = torch.zeros(4, 3, 3)
    gains[:, 0, 1] = torch.tensor([1.0, 2.0, 3.0, 4.0])
    gains[:, 0, 2] = 1.0
    natural = torch.ones(4, 3)
    natural[0, 0], natural[1, 1] = 0, 0  # slot 2 was never set
    worth, direction = average_gains(gains, natural, torch.full((3, 3), 0.5))
    assert worth[0, 1].item() == 2.0
    assert direction[0, 1].item() == 0.75  # (1 + 2) / 4
    assert direction[0, 2].item() == worth[0, 2].item() == 0.5


def test_neighbours_turn_one_parent_in_the_mean():
    base = graphs(4000, slots=5)
    turned = (neighbours(base, seed=0) != base).float()
    assert bool((turned.diagonal(dim1=1, dim2=2) == 0).all())
    assert float(turned.sum(1).mean()) == pytest.approx(0.8, abs=0.05)  # 4 of 5 chances of 1/5


def test_prices_of_edges():
    prices = edge_prices([2, 2, 1, 128], 1000)
    assert prices[0, 1].item() == pytest.approx(math.log(1000) / 2)
    assert prices[0, 2].item() == pytest.approx(math.log(1000) / 2)
    assert prices[1, 3].item() == pytest.approx(127 * math.log(1000) / 2)


BAD = {
    "no slots": (lambda: MaskedConditionals([]), DataError, "one positive integer per slot"),
    "width": (lambda: MaskedConditionals([2], width=0), ShapeError, "at least 1"),
    "columns": (
        lambda: MaskedConditionals([2, 2], seed=0).log_probs(torch.zeros(3, 1).long(), graphs(1)),
        ShapeError,
        r"codes must be \(batch, 2\)",
    ),
    "soft": (
        lambda: MaskedConditionals(SIZES, seed=0).log_probs(torch.ones(3, 3, 3), graphs(1)),
        ShapeError,
        r"\(batch, 3, 4\), zero for codes",
    ),
    "posterior": (lambda: GraphPosterior(0), ShapeError, "at least 1"),
    "rows": (lambda: GraphLearner(SIZES, num_rows=0), ShapeError, "at least 1"),
    "targets": (
        lambda: GraphLearner(SIZES, num_rows=9, seed=0).loss(rows(4), torch.ones(4, 3), seed=0),
        ShapeError,
        "targets must be booleans",
    ),
}


@pytest.mark.parametrize(("make", "error", "message"), BAD.values(), ids=BAD.keys())
def test_bad_input_is_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()
    assert issubclass(error, CTVAEError)
