"""Dense attention: a loop over edges is the oracle."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn.functional import leaky_relu

from ctvae.models.published.attention import (
    Edges,
    GraphAttention,
    Weigh,
    edge_softmax,
    open_softmax,
    with_self_loops,
)
from ctvae.randomness import scoped_seed

ROWS, NODES, WIDTH, CHANNELS, HEADS = 2, 5, 3, 4, 3
REST: dict[Weigh, float] = {edge_softmax: 0.0, open_softmax: 1.0}


def _layer(weigh: Weigh, device: torch.device) -> GraphAttention:
    with scoped_seed(0):
        layer = GraphAttention(WIDTH, CHANNELS, HEADS, weigh=weigh, cells=100)
        layer.bias.data.uniform_()
    return layer.to(device)


def _nodes_and_edges(device: torch.device) -> tuple[Tensor, Edges]:
    generator = torch.Generator().manual_seed(1)
    nodes = torch.randn(ROWS, NODES, WIDTH, generator=generator).to(device)
    gate = (torch.rand(ROWS, NODES, NODES, generator=generator) < 0.5).float()
    gate[:, 0] = 1  # a parent for each
    weight = gate * torch.rand(gate.shape, generator=generator)
    return nodes, Edges(gate.to(device), weight.to(device))


def _by_loops(layer: GraphAttention, nodes: Tensor, edges: Edges, head: int, rest: float) -> Tensor:
    """The formula of Brody, Alon, Yahav (2022), node by node and edge by edge."""
    out = torch.zeros(ROWS, NODES, CHANNELS, device=nodes.device)
    for r in range(ROWS):
        source = nodes[r] @ layer.source[head] + layer.source_bias[head]
        target = nodes[r] @ layer.target[head] + layer.target_bias[head]
        for j in range(NODES):
            total, read = rest, torch.zeros(CHANNELS, device=nodes.device)
            for i in range(NODES):
                if edges.gate[r, i, j] == 0:
                    continue
                hidden = source[i] + target[j] + edges.weight[r, i, j] * layer.edge[head]
                share = math.exp(float(leaky_relu(hidden, 0.2) @ layer.score[head]))
                total, read = total + share, read + share * source[i]
            out[r, j] = read / total + layer.bias[head]
    return out


@pytest.mark.parametrize("weigh", REST, ids=lambda weigh: weigh.__name__)
@torch.no_grad()
def test_attention_is_the_sum_over_edges(weigh: Weigh, device: torch.device) -> None:
    layer, (nodes, edges) = _layer(weigh, device), _nodes_and_edges(device)
    found = layer.all_heads(nodes, edges)
    wanted = [_by_loops(layer, nodes, edges, head, REST[weigh]) for head in range(HEADS)]
    torch.testing.assert_close(found, torch.cat(wanted, -1), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("weigh", REST, ids=lambda weigh: weigh.__name__)
@torch.no_grad()
def test_one_head_is_that_part_of_all(weigh: Weigh, device: torch.device) -> None:
    layer, (nodes, edges) = _layer(weigh, device), _nodes_and_edges(device)
    heads = layer.all_heads(nodes, edges).unflatten(-1, (HEADS, CHANNELS))
    torch.testing.assert_close(layer.one_head(nodes, edges, 2), heads[:, :, 2])
    mixed = layer.one_head(nodes, edges, torch.tensor([2, 0], device=device))
    torch.testing.assert_close(mixed, torch.stack([heads[0, :, 2], heads[1, :, 0]]))


def test_shares_sum_to_one_or_leave_room_for_nothing(device: torch.device) -> None:
    _, edges = _nodes_and_edges(device)
    scores = torch.randn(ROWS, NODES, NODES, HEADS, generator=torch.Generator().manual_seed(0))
    scores = 30 * scores.to(device)  # no overflow either
    closed, opened = edge_softmax(scores, edges.gate), open_softmax(scores, edges.gate)
    torch.testing.assert_close(closed.sum(1), torch.ones_like(closed[:, 0]))
    assert bool((opened.sum(1) <= 1 + 1e-6).all())
    assert bool(torch.isfinite(opened).all())
    empty = open_softmax(scores, torch.zeros_like(edges.gate))
    assert bool((empty == 0).all())


def test_what_stands_on_the_diagonal_is_replaced_by_the_mean_of_the_parents() -> None:
    weight = torch.tensor([[[7.0, 0.2, 0.0], [0.0, 7.0, 0.0], [0.0, 0.6, 7.0]]])
    edges = with_self_loops(weight)
    assert torch.equal(edges.gate[0].diagonal(), torch.ones(3))
    torch.testing.assert_close(edges.weight[0].diagonal(), torch.tensor([0.0, 0.4, 0.0]))
