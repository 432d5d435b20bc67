"""Small CT layers whose draws can be made certain."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ctvae.models.published import (
    CTLayer,
    PublishedCTLayer,
    PublishedObjective,
    RepairedCTLayer,
    RepairedObjective,
)

SLOTS, CODES, ACTIONS, HIDDEN = 5, 6, 3, (8, 4)
SURE = 40.0
"""A log-odds that no draw contradicts."""
LAYERS: dict[str, Callable[..., CTLayer]] = {
    "published": PublishedCTLayer,
    "repaired": RepairedCTLayer,
}


def make_layer(name: str, device: torch.device, **settings: int) -> CTLayer:
    layer = LAYERS[name](SLOTS, CODES, ACTIONS, hidden=HIDDEN, **settings)
    return layer.to(device).eval()


def make_objective(layer: CTLayer) -> PublishedObjective | RepairedObjective:
    if isinstance(layer, PublishedCTLayer):
        return PublishedObjective(layer)
    assert isinstance(layer, RepairedCTLayer)
    return RepairedObjective(layer)


def make_codes(rows: int, device: torch.device, *, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(CODES, (rows, SLOTS), generator=generator).to(device)


def make_actions(rows: int, device: torch.device) -> Tensor:
    return (torch.arange(rows) % ACTIONS).to(device)


@torch.no_grad()
def fix_edges(layer: CTLayer, *, own: float, acted: float) -> None:
    """Makes all edges without an action, and all edges of actions, certain or impossible."""
    layer.edges.readout.zero_()
    layer.edges.readout_bias.fill_(acted)
    layer.edges.readout_bias[0] = own


@torch.no_grad()
def fix_targets(layer: CTLayer, *, codes: list[int]) -> None:
    """Makes every action replace exactly the slots that have one of some codes."""
    for parameter in layer.targets.parameters():
        parameter.zero_()
    layer.targets.bias.fill_(-SURE)
    layer.targets.bias[codes] = SURE
