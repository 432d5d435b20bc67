"""Scores of pairs: the network on joined features is the oracle, parts change nothing."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from ctvae.models.published.edges import EdgeNetworks
from ctvae.models.published.pair_scores import EdgeTerm, pair_scores
from ctvae.models.published.parts import in_parts
from ctvae.randomness import scoped_seed

ROWS, NODES, HEADS, CHANNELS = 3, 5, 2, 4


def _inputs(device: torch.device, *, per_row: bool) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    own = (ROWS, HEADS, CHANNELS) if per_row else (HEADS, CHANNELS)
    shapes = [(ROWS, NODES, HEADS, CHANNELS)] * 2 + [own, (ROWS, NODES, NODES), own]
    return [
        torch.randn(shape, generator=generator, dtype=torch.double).to(device).requires_grad_()
        for shape in shapes
    ]


def _whole(u: Tensor, v: Tensor, readout: Tensor, weight: Tensor, channel: Tensor) -> Tensor:
    readout, channel = (x.expand(ROWS, HEADS, CHANNELS)[:, None, None] for x in (readout, channel))
    hidden = u[:, :, None] + v[:, None] + weight[..., None, None] * channel
    return (leaky_relu(hidden, 0.2) * readout).sum(-1)


@pytest.mark.parametrize("per_row", [False, True])
@pytest.mark.parametrize("cells", [1, 2 * ROWS * NODES * HEADS * CHANNELS, 10**9])
def test_parts_are_the_whole_with_its_gradient(
    device: torch.device, *, per_row: bool, cells: int
) -> None:
    inputs = _inputs(device, per_row=per_row)
    u, v, readout, weight, channel = inputs
    found = pair_scores(u, v, readout, slope=0.2, cells=cells, edge=EdgeTerm(weight, channel))
    wanted = _whole(*inputs)
    outer = torch.randn(found.shape, generator=torch.Generator().manual_seed(1)).to(found)
    torch.testing.assert_close(found, wanted)
    for one, other in zip(
        torch.autograd.grad(found, inputs, outer),
        torch.autograd.grad(wanted, inputs, outer),
        strict=True,
    ):
        torch.testing.assert_close(one, other)


def test_without_an_edge_term_its_weight_is_zero(device: torch.device) -> None:
    u, v, readout, weight, channel = _inputs(device, per_row=False)
    found = pair_scores(u, v, readout, slope=0.2, cells=50)
    wanted = _whole(u, v, readout, 0 * weight, channel)
    torch.testing.assert_close(found, wanted)
    for one, other in zip(
        torch.autograd.grad(found.square().sum(), (u, v, readout)),
        torch.autograd.grad(wanted.square().sum(), (u, v, readout)),
        strict=True,
    ):
        torch.testing.assert_close(one, other)


def test_split_network_is_the_network_on_joined_features(device: torch.device) -> None:
    width, hidden = 6, 7
    with scoped_seed(0):
        first, last = nn.Linear(2 * width, hidden), nn.Linear(hidden, 1)
        networks = EdgeNetworks(width, hidden, 2, cells=50).to(device)
    torch_network = nn.Sequential(first, nn.LeakyReLU(), last).to(device)
    generator = torch.Generator().manual_seed(0)
    networks.first.data[1] = first.weight[:, :width].T
    networks.second.data[1] = first.weight[:, width:].T
    networks.bias.data[1] = first.bias
    networks.readout.data[1] = last.weight[0]
    networks.readout_bias.data[1] = last.bias[0]
    nodes = torch.randn(2, NODES, width, generator=generator).to(device)
    joined = torch.cat(
        [
            nodes[:, :, None].expand(-1, -1, NODES, -1),
            nodes[:, None].expand(-1, NODES, -1, -1),
        ],
        -1,
    )
    wanted = torch_network(joined)[..., 0]
    torch.testing.assert_close(networks(nodes, 1), wanted, atol=1e-5, rtol=1e-5)
    each = networks(nodes, torch.tensor([1, 0], device=device))
    torch.testing.assert_close(each[0], wanted[0], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(each[1], networks(nodes, 0)[1], atol=1e-5, rtol=1e-5)


def test_rows_in_parts_are_the_same_rows_with_the_same_gradient() -> None:
    x = torch.arange(7.0, requires_grad=True)
    (parts,) = in_parts(lambda t: (t**3,), [x], size=2)
    assert torch.equal(parts, x**3)
    assert torch.equal(torch.autograd.grad(parts.sum(), x)[0], 3 * x.detach() ** 2)
