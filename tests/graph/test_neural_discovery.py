"""Discovery with networks: recovery from interventions, relabelling, and many codes."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from ctvae.errors import DataError, RegimeError
from ctvae.graph import (
    CausalGraph,
    DifferentiableDiscovery,
    DiscoveryStatus,
    LogDet,
    Order,
    learn_graph,
    shd,
)
from ctvae.regimes import Regime, Samples
from ctvae.slots import SlotSpace
from tests.graph.oracles import rows_with_targets

CHAIN = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0]], dtype=np.int8)  # c -> b -> a, c -> a
QUICK = DifferentiableDiscovery(steps=160, width=8)


def small(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    return rows_with_targets(CHAIN, [3, 2, 3], observational=800, per_target=250, seed=seed)


def test_a_small_graph_is_recovered(device):
    codes, targets = small(1)
    result = learn_graph(codes.to(device), method=QUICK, targets=targets.to(device), seed=0)
    np.testing.assert_array_equal(result.graph.to_numpy(), CHAIN)
    assert result.status is DiscoveryStatus.DONE
    assert result.rows_used == len(codes)
    assert result.edge_probabilities is not None
    assert result.edge_probabilities.device.type == device.type
    np.testing.assert_array_equal(result.edge_probabilities.cpu().numpy() > 0.5, CHAIN == 1)
    evidence = result.evidence("slot2", "slot0")
    assert evidence.mark == "->"
    assert evidence.score_gain is not None
    assert evidence.score_gain > 10
    again = learn_graph(codes.to(device), method=QUICK, targets=targets.to(device), seed=0)
    assert again.graph == result.graph
    if device.type == "cpu":
        assert again.edge_probabilities is not None
        assert torch.equal(again.edge_probabilities, result.edge_probabilities)


def test_permuting_the_columns_permutes_the_answer():
    codes, targets = small(2)
    order, sizes = [2, 0, 1], {"x": 3, "y": 2, "z": 3}
    moved = {name: sizes[name] for name in (list(sizes)[k] for k in order)}
    method = DifferentiableDiscovery(steps=60, width=4)
    one = learn_graph(
        codes, SlotSpace.from_cardinalities(sizes), method=method, targets=targets, seed=3
    )
    other = learn_graph(
        codes[:, order],
        SlotSpace.from_cardinalities(moved),
        method=method,
        targets=targets[:, order],
        seed=3,
    )
    assert one.graph == other.graph
    assert one.edge_probabilities is not None
    assert other.edge_probabilities is not None
    assert torch.equal(one.edge_probabilities[order][:, order], other.edge_probabilities)


@pytest.mark.parametrize(
    "method",
    [
        DifferentiableDiscovery(steps=160, width=8, order=Order()),
        DifferentiableDiscovery(steps=160, width=8, acyclicity=LogDet()),
    ],
    ids=["order", "log-det"],
)
def test_other_ways_to_be_acyclic(method):
    codes, targets = small(1)
    result = learn_graph(codes, method=method, targets=targets, seed=0)
    np.testing.assert_array_equal(result.graph.to_numpy(), CHAIN)


def test_observational_rows_leave_a_direction_open():
    codes, targets = rows_with_targets(np.triu(np.ones((2, 2), dtype=np.int8), 1), [3, 3], seed=1)
    seen = codes[~targets.any(1)]
    result = learn_graph(seen, method=QUICK, seed=0)
    assert result.status is DiscoveryStatus.EQUIVALENT_GRAPHS
    assert result.graph.num_edges == 1


def test_noise_has_no_edges_and_a_constant_slot_does_no_harm():
    draws = torch.rand(600, 3, generator=torch.Generator().manual_seed(0))
    codes = (draws * 3).long()
    codes[:, 1] = 0
    result = learn_graph(codes, SlotSpace.from_cardinalities([3, 2, 3]), method=QUICK, seed=0)
    assert result.graph.num_edges == 0
    alone = learn_graph(codes[:, :1], method=DifferentiableDiscovery(steps=4), seed=0)
    assert alone.graph.num_edges == 0


def by_regimes() -> Samples:
    codes = torch.zeros(40, 2, dtype=torch.long)
    regimes = torch.arange(40) % 2
    slots = SlotSpace.from_cardinalities([2, 2])
    return Samples(codes, slots, Regime.INTERVENTIONAL, regimes=regimes)


BAD = {
    "steps": (lambda: DifferentiableDiscovery(steps=0), Exception, "at least 1"),
    "rate": (lambda: DifferentiableDiscovery(learning_rate=0.0), DataError, "above 0"),
    "price": (lambda: DifferentiableDiscovery(price=math.nan), DataError, "at least 0"),
    "few rows": (
        lambda: learn_graph(torch.zeros(1, 2).long(), method=QUICK),
        DataError,
        "got 1 rows; give at least 20, or use InterventionalBDeu",
    ),
    "regimes": (
        lambda: learn_graph(by_regimes(), method=QUICK),
        RegimeError,
        "needs targets .* OrderMCMC",
    ),
}


@pytest.mark.parametrize(("make", "error", "message"), BAD.values(), ids=BAD.keys())
def test_bad_input_is_refused_with_the_way_out(make, error, message):
    with pytest.raises(error, match=message):
        make()


def many_codes(seed: int, *, codes: int, slots: int, edges: int) -> tuple[torch.Tensor, ...]:
    """Low-rank softmax mechanisms: rows, targets and the truth."""
    draw = torch.Generator().manual_seed(seed)
    order = torch.randperm(slots, generator=draw).tolist()
    pairs = [(a, b) for a in range(slots) for b in range(a + 1, slots)]
    graph = torch.zeros(slots, slots, dtype=torch.bool)
    for k in torch.randperm(len(pairs), generator=draw)[:edges].tolist():
        graph[order[pairs[k][0]], order[pairs[k][1]]] = True
    reads = torch.randn(slots, slots, codes, 4, generator=draw)
    writes = torch.randn(slots, 4, codes, generator=draw)
    bias = torch.randn(slots, codes, generator=draw) / 2
    parts, targets = [], []
    for target, count in [(None, 10_000), *((k, 800) for k in range(slots))]:
        rows = torch.zeros(count, slots, dtype=torch.long)
        for j in order:
            if j == target:
                rows[:, j] = torch.randint(codes, (count,), generator=draw)
                continue
            hidden = torch.zeros(count, 4)
            for i in graph[:, j].nonzero().flatten().tolist():
                hidden += reads[i, j, rows[:, i]]
            law = (hidden @ writes[j] + bias[j]).softmax(-1)
            rows[:, j] = torch.multinomial(law, 1, generator=draw)[:, 0]
        parts.append(rows)
        targets.append(torch.arange(slots).eq(-1 if target is None else target).expand(count, -1))
    return torch.cat(parts), torch.cat(targets), graph


@pytest.mark.slow
def test_many_codes_per_slot(device):
    """64 codes, five slots, six edges: a table of two parents would have 262,144 cells."""
    codes, targets, truth = many_codes(0, codes=64, slots=5, edges=6)
    slots = SlotSpace.from_cardinalities([64] * 5)
    result = learn_graph(
        codes.to(device),
        slots,
        method=DifferentiableDiscovery(steps=800),
        targets=targets.to(device),
        seed=0,
    )
    assert shd(result.graph, CausalGraph.from_numpy(truth.numpy(), slots.names)) == 0
