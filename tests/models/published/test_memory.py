"""Memory of retrieval: what tensors hold at their peak, as torch's profiler saw it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from ctvae.models.published import CTLayer
from tests.models.published.layers import LAYERS, make_objective

MEGABYTE = 1e6


def peak_megabytes(call: Callable[[], object]) -> float:
    """The most that tensors made in the call hold at one time; a later free is not credited."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as found:
        call()
    assert found.profiler is not None
    kineto = found.profiler.kineto_results
    assert kineto is not None
    events = [event for event in kineto.events() if event.name() == "[memory]"]
    held = peak = 0
    for event in sorted(events, key=lambda e: e.start_ns()):
        held += event.nbytes()
        peak = max(peak, held)
    return peak / MEGABYTE


def train_step(layer: CTLayer, pairs: int) -> float:
    generator = torch.Generator().manual_seed(0)
    before, after = torch.randint(layer.codes, (2, pairs, layer.slots), generator=generator)
    action = torch.randint(layer.actions, (pairs,), generator=generator)
    objective = make_objective(layer)
    for parameter in layer.parameters():
        parameter.grad = torch.zeros_like(parameter)

    def step() -> Tensor:
        loss = objective.retrieval(before, action, after, seed=generator)
        loss.backward()
        return loss

    return peak_megabytes(step)


def test_the_measure_sees_what_is_held() -> None:
    assert 4 <= peak_megabytes(lambda: torch.zeros(1_000_000).add_(1)) < 4.1
    assert 8 <= peak_megabytes(lambda: torch.zeros(1_000_000) + 1) < 8.1


@pytest.mark.parametrize("kind", LAYERS)
def test_hidden_layers_over_all_pairs_are_never_whole(kind: str) -> None:
    layer = LAYERS[kind](32, 8, 2, hidden=(400, 4), cells=2**12)
    whole = 32 * 32 * 400 * 4 / MEGABYTE  # of one row, one network
    assert train_step(layer, 1) < whole
    assert train_step(layer, 6) < whole + 1


@pytest.mark.slow
@pytest.mark.parametrize("kind", LAYERS)
def test_a_pair_of_64_slots_trains_over_12_actions_in_50_megabytes(kind: str) -> None:
    layer = LAYERS[kind](64, 64, 12, hidden=(800, 100))
    assert train_step(layer, 1) <= 50
