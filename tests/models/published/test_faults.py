"""Each fault that a test can see, on the published layer and on the repaired one.

Numbers are those of ``docs/explanation/differences-from-the-paper.md``.
"""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from ctvae.errors import ShapeError
from ctvae.models.published import CTLayer, PublishedCTLayer, RepairedCTLayer
from ctvae.models.published.losses import code_cross_entropy, edge_divergence, edge_prior, isolation
from tests.models.published.layers import (
    ACTIONS,
    CODES,
    SLOTS,
    SURE,
    fix_edges,
    fix_targets,
    make_actions,
    make_codes,
    make_layer,
    make_objective,
)


def _gradients(layer: CTLayer, part: str, device: torch.device) -> Tensor:
    """Of all passes that know an action, with respect to one part of the layer."""
    objective = make_objective(layer.train())
    before, after, action = make_codes(9, device), make_codes(9, device), make_actions(9, device)
    loss = objective.action(before, action, after, seed=0)
    loss = loss + objective.retrieval(before, action, after, seed=1)
    parameters = list(layer.get_submodule(part).parameters())
    found = torch.autograd.grad(loss, parameters, materialize_grads=True)
    return torch.cat([gradient.flatten() for gradient in found])


def _shifted(layer: CTLayer, codes: Tensor, slot: int) -> Tensor:
    """By how much each slot's prediction moves when one slot has the next code."""
    action = make_actions(len(codes), codes.device)
    other = codes.clone()
    other[:, slot] = (codes[:, slot] + 1) % CODES
    laws = [layer.action(one, action, seed=0).log_probs for one in (codes, other)]
    return (laws[0] - laws[1]).abs().amax((0, 2))


@pytest.mark.parametrize(("kind", "reached"), [("published", False), ("repaired", True)])
def test_fault_1_the_embedding_of_the_action(
    kind: str, device: torch.device, *, reached: bool
) -> None:
    layer = make_layer(kind, device)
    assert bool(_gradients(layer, "embedding", device).any()) is reached
    layer.eval()
    fix_targets(layer, codes=[0, 1, 2])
    codes, action = make_codes(9, device), make_actions(9, device)
    before = layer.action(codes, action, seed=0).log_probs
    with torch.no_grad():
        layer.embedding.bias.add_(10)
    after = layer.action(codes, action, seed=0).log_probs
    assert (not torch.equal(before, after)) is reached


@pytest.mark.parametrize("kind", ["published", "repaired"])
def test_fault_1_the_mask_replaces_rows_or_columns(kind: str, device: torch.device) -> None:
    layer = make_layer(kind, device)
    fix_edges(layer, own=-SURE, acted=SURE)
    fix_targets(layer, codes=[4, 5])
    codes = torch.tensor([[0, 4, 1, 2, 3]], device=device)
    found = layer.action(codes, torch.zeros(1, device=device).long(), seed=0)
    assert found.mask.tolist() == [[0, 1, 0, 0, 0]]
    out, into = found.graph[0, 1], found.graph[0, :, 1]
    if kind == "published":  # edges out of the slot that is replaced
        assert bool(out.all())
        assert found.graph.sum() == SLOTS
        assert bool((_shifted(layer, codes, slot=1)[[0, 2, 3, 4]] > 0).all())
        assert _shifted(layer, codes, slot=0)[1] == 0
    else:  # edges into it
        assert bool(into.all())
        assert found.graph.sum() == SLOTS
        assert bool((_shifted(layer, codes, slot=1)[[0, 2, 3, 4]] == 0).all())
        assert _shifted(layer, codes, slot=0)[1] > 0


@pytest.mark.parametrize(("kind", "reads"), [("published", True), ("repaired", False)])
def test_fault_2_a_slot_reads_itself_under_an_empty_graph(
    kind: str, device: torch.device, *, reads: bool
) -> None:
    layer = make_layer(kind, device)
    fix_edges(layer, own=-SURE, acted=-SURE)
    fix_targets(layer, codes=[])
    moved = _shifted(layer, make_codes(1, device), slot=2)
    assert bool(moved[2] > 0) is reads
    assert bool((moved[[0, 1, 3, 4]] == 0).all())


@pytest.mark.parametrize(("kind", "matters"), [("published", False), ("repaired", True)])
def test_fault_2_whether_the_diagonal_matters(
    kind: str, device: torch.device, *, matters: bool
) -> None:
    layer = make_layer(kind, device)
    found = layer.base(make_codes(6, device), seed=0)
    (gradient,) = torch.autograd.grad(found.log_probs.square().sum(), found.graph)
    assert bool(gradient.diagonal(dim1=1, dim2=2).any()) is matters
    assert bool(gradient.any())


@pytest.mark.parametrize("kind", ["published", "repaired"])
def test_fault_7_mean_or_sum_over_the_slots(kind: str, device: torch.device) -> None:
    layer = make_layer(kind, device)
    fix_edges(layer, own=SURE, acted=-SURE)
    fix_targets(layer, codes=[1, 2])  # nothing is left to chance
    before, after = make_codes(4, device), make_codes(4, device, seed=1)
    nats = []
    for action in range(ACTIONS):
        found = layer.action(before, torch.full((4,), action, device=device), seed=0)
        nats.append(code_cross_entropy(found.log_probs, after))
    each = torch.stack(nats, 1)
    power = each.mean(-1) if kind == "published" else each.sum(-1)
    wanted = (-power).log_softmax(1)
    torch.testing.assert_close(layer.retrieval(before, after, seed=5).log_probs, wanted)


@pytest.mark.parametrize(("kind", "random"), [("published", True), ("repaired", False)])
def test_fault_9_retrieval_at_evaluation(kind: str, device: torch.device, *, random: bool) -> None:
    layer = make_layer(kind, device)
    before, after = make_codes(9, device), make_codes(9, device, seed=1)
    one, other = (layer.retrieval(before, after, seed=seed).log_probs for seed in (0, 1))
    assert (not torch.equal(one, other)) is random


@pytest.mark.parametrize(("kind", "common"), [("published", False), ("repaired", True)])
def test_fault_9_actions_that_do_the_same_share_their_noise(
    kind: str, device: torch.device, *, common: bool
) -> None:
    layer = make_layer(kind, device).train()
    with torch.no_grad():
        for part in (layer.edges, layer.attention.last):  # one network, one head for all actions
            for parameter in part.parameters():
                parameter[1:] = parameter[1:2].clone()
        layer.targets.action[:] = layer.targets.action[:1].clone()
        layer.embedding.weight[:] = layer.embedding.weight[:, :1].clone()
    before, after = make_codes(9, device), make_codes(9, device, seed=1)
    probs = layer.retrieval(before, after, seed=0).log_probs.exp()
    even = torch.full_like(probs, 1 / ACTIONS)
    assert torch.allclose(probs, even, atol=1e-6) is common


@pytest.mark.parametrize("prob", [0.05, 0.5, 0.95])
def test_fault_11_the_divergence_of_edges_is_inert(prob: float, device: torch.device) -> None:
    generator = torch.Generator().manual_seed(0)
    unit = torch.rand(4, 64, 64, generator=generator).to(device)
    probs = torch.full_like(unit, prob, requires_grad=True)
    published = edge_divergence(probs, unit)
    # KL(softmax(u) || uniform) for u uniform in [0, 1): E[u e^u] / E[e^u] - log E[e^u]
    assert float(published.detach()) == pytest.approx(
        1 / (math.e - 1) - math.log(math.e - 1), abs=2e-3
    )
    (gradient,) = torch.autograd.grad(published, probs)
    assert float(gradient.abs().max()) < 1e-4
    repaired = edge_prior(probs, prior=0.2)
    (gradient,) = torch.autograd.grad(repaired, probs)
    slope = ((1 - 0.2) / (1 - prob) - 0.2 / prob) / probs.numel()
    torch.testing.assert_close(gradient, torch.full_like(gradient, slope))


def test_fault_12_the_term_against_isolation_underflows(device: torch.device) -> None:
    for prob, most in ((0.5, 1e-17), (0.95, 0.0)):
        probs = torch.full((1, 64, 64), prob, device=device, requires_grad=True)
        value = isolation(probs)
        (gradient,) = torch.autograd.grad(value, probs)
        assert float(value.detach()) <= most
        assert float(gradient.abs().max()) < 1e-16


@pytest.mark.parametrize(("kind", "reached"), [("published", False), ("repaired", True)])
def test_fault_13_the_gradient_of_edges_drawn_as_none(
    kind: str, device: torch.device, *, reached: bool
) -> None:
    layer = make_layer(kind, device)
    found = layer.base(make_codes(9, device), seed=0)
    (gradient,) = torch.autograd.grad(found.log_probs.square().sum(), found.graph)
    off = ~torch.eye(SLOTS, dtype=torch.bool, device=device)
    absent, present = (found.graph == 0) & off, (found.graph == 1) & off
    assert bool(absent.any())
    assert bool(present.any())
    assert bool(gradient[absent].any()) is reached
    assert bool(gradient[present].any())


@pytest.mark.parametrize(("kind", "alive"), [("published", False), ("repaired", True)])
def test_fault_15_the_gradient_of_an_improbable_code(
    kind: str, device: torch.device, *, alive: bool
) -> None:
    layer = make_layer(kind, device)
    with torch.no_grad():
        layer.attention.last.bias[0, 0] = SURE  # code 0 for certain
    codes = torch.ones(2, SLOTS, device=device).long()
    log_probs = layer.base(codes, seed=0).log_probs
    loss = code_cross_entropy(log_probs, codes).mean()
    (gradient,) = torch.autograd.grad(loss, layer.attention.last.bias)
    if alive:
        assert float(gradient[0, 1]) == pytest.approx(-1, abs=1e-3)
    else:
        assert float(log_probs.detach().min()) == pytest.approx(math.log(1e-4))
        assert float(gradient.abs().max()) < 1e-6


def test_fault_16_the_length_of_a_position_code(device: torch.device) -> None:
    published, repaired = (make_layer(kind, device).places for kind in ("published", "repaired"))
    even = torch.ones(SLOTS, device=device)
    torch.testing.assert_close(published.square().sum(1), CODES / 2 * even)
    torch.testing.assert_close(repaired.square().sum(1), even)


@pytest.mark.parametrize(("slots", "codes"), [(3, 7), (4097, 2)])
def test_fault_16_sizes(slots: int, codes: int) -> None:
    with pytest.raises(ShapeError, match="even number of codes and at most 4096 slots"):
        PublishedCTLayer(slots, codes, 2, hidden=(2, 2))
    assert RepairedCTLayer(slots, codes, 2, hidden=(2, 2)).places.shape == (slots, codes)


def test_fault_16_dropout(device: torch.device) -> None:
    """With nothing left to chance but dropout, training differs from evaluation or it does not."""
    for kind, same in (("published", False), ("repaired", True)):
        layer = make_layer(kind, device)
        fix_edges(layer, own=SURE, acted=SURE)
        codes = make_codes(6, device)
        laws = [layer.train(mode).base(codes, seed=0).log_probs for mode in (True, False)]
        assert torch.allclose(laws[0], laws[1]) is same


@pytest.mark.parametrize(("kind", "reached"), [("published", False), ("repaired", True)])
def test_the_choice_of_the_head_and_the_gradient_of_the_mask(
    kind: str, device: torch.device, *, reached: bool
) -> None:
    layer = make_layer(kind, device)
    with torch.no_grad():  # actions have the edges that there are without one
        for parameter in layer.edges.parameters():
            parameter[:] = parameter[:1].clone()
    assert bool((_gradients(layer, "targets", device).abs() > 1e-6).any()) is reached


@pytest.mark.parametrize("kind", ["published", "repaired"])
def test_only_heads_that_are_read_get_a_gradient(kind: str, device: torch.device) -> None:
    layer = make_layer(kind, device)
    fix_targets(layer, codes=list(range(CODES)))
    action = torch.full((4,), 1, device=device)
    layer.action(make_codes(4, device), action, seed=0).log_probs.square().sum().backward()
    gradient = layer.attention.last.source.grad
    assert gradient is not None
    assert [bool(head.any()) for head in gradient] == [False, False, True, False]
