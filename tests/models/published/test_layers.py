"""What both CT layers keep: typed answers, seeds, parts, gradients, refusals."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from ctvae.errors import CodeError, CTVAEError, ShapeError, UnknownActionError
from ctvae.models.published import CTLayer, PublishedCTLayer, RepairedCTLayer
from ctvae.models.published.losses import code_cross_entropy
from tests.models.published.layers import (
    ACTIONS,
    CODES,
    LAYERS,
    SLOTS,
    make_actions,
    make_codes,
    make_layer,
    make_objective,
)

PASSES: dict[str, Callable[[CTLayer, Tensor], tuple[Tensor, ...]]] = {
    "base": lambda layer, codes: layer.base(codes, seed=3),
    "action": lambda layer, codes: layer.action(
        codes, make_actions(len(codes), codes.device), seed=3
    ),
    "retrieval": lambda layer, codes: layer.retrieval(codes, codes.flip(0), seed=3),
}


@pytest.fixture(params=LAYERS, ids=str)
def layer(request: pytest.FixtureRequest, device: torch.device) -> CTLayer:
    return make_layer(request.param, device)


@pytest.mark.parametrize("name", PASSES)
def test_one_seed_gives_one_answer(layer: CTLayer, name: str, device: torch.device) -> None:
    codes = make_codes(4, device)
    layer.train()
    for one, other in zip(PASSES[name](layer, codes), PASSES[name](layer, codes), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("name", PASSES)
@pytest.mark.parametrize("kind", LAYERS)
def test_memory_settings_change_no_result(kind: str, name: str, device: torch.device) -> None:
    codes = make_codes(4, device)
    small, large = (make_layer(kind, device, cells=cells).train() for cells in (1, 10**9))
    assert small.rows_at_once == 1 < len(codes) < large.rows_at_once
    results = [PASSES[name](one, codes) for one in (small, large)]
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)
    for result in results:
        sum((t.square().sum() for t in result), torch.zeros((), device=device)).backward()
    for one, other in zip(small.parameters(), large.parameters(), strict=True):
        assert (one.grad is None) == (other.grad is None)
        if one.grad is not None:
            torch.testing.assert_close(one.grad, other.grad, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize(("kind", "idle"), [("published", {"embedding"}), ("repaired", set())])
def test_each_parameter_gets_a_gradient(kind: str, idle: set[str], device: torch.device) -> None:
    layer = make_layer(kind, device).train()
    objective = make_objective(layer)
    before, after, action = make_codes(12, device), make_codes(12, device), make_actions(12, device)
    total = objective.base(before, seed=0)
    total = total + objective.action(before, action, after, seed=1)
    (total + objective.retrieval(before, action, after, seed=2)).backward()
    dead = {
        name.split(".")[0]
        for name, parameter in layer.named_parameters()
        if parameter.grad is None or not bool(parameter.grad.any())
    }
    assert dead == idle


def test_retrieval_is_what_its_own_action_passes_say(device: torch.device) -> None:
    layer = make_layer("repaired", device)
    before, after = make_codes(4, device), make_codes(4, device, seed=1)
    scores = []
    for action in range(ACTIONS):
        found = layer.action(before, torch.full((4,), action, device=device))
        picked = found.log_probs.gather(-1, after[..., None])[..., 0]
        scores.append(picked.sum(1))
    torch.testing.assert_close(layer.retrieval(before, after).scores, torch.stack(scores, 1))


def test_a_prior_enters_by_bayes_rule(device: torch.device) -> None:
    layer = RepairedCTLayer(SLOTS, CODES, ACTIONS, hidden=(8, 4)).to(device).eval()
    before, after = make_codes(4, device), make_codes(4, device, seed=1)
    prior = torch.tensor([0.7, 0.3, 0.0], device=device)
    flat, tilted = layer.retrieval(before, after), layer.retrieval(before, after, prior=prior)
    joint = flat.scores.exp() * prior
    torch.testing.assert_close(tilted.log_probs.exp(), joint / joint.sum(1, keepdim=True))
    with pytest.raises(ShapeError, match="prior must be"):
        layer.retrieval(before, after, prior=prior[:2])


def test_cross_entropy_of_codes_is_that_of_torch(device: torch.device) -> None:
    scores = torch.randn(3, SLOTS, CODES, generator=torch.Generator().manual_seed(0)).to(device)
    codes = make_codes(3, device)
    wanted = cross_entropy(scores.flatten(0, 1), codes.flatten(), reduction="none")
    torch.testing.assert_close(code_cross_entropy(scores, codes).flatten(), wanted)


BAD: dict[str, tuple[Callable[[CTLayer], object], type[CTVAEError], str]] = {
    "a slot too few": (
        lambda x: x.base(torch.zeros(2, SLOTS - 1).long()),
        ShapeError,
        r"codes must be \(rows, 5\), got \(2, 4\)",
    ),
    "float codes": (lambda x: x.base(torch.zeros(2, SLOTS)), CodeError, "must be integers"),
    "a code too large": (
        lambda x: x.base(torch.full((2, SLOTS), CODES)),
        CodeError,
        r"must lie in 0\.\.5, got 6 to 6",
    ),
    "an action too few": (
        lambda x: x.action(torch.zeros(2, SLOTS).long(), torch.zeros(1).long()),
        ShapeError,
        "one per row",
    ),
    "an unknown action": (
        lambda x: x.action(torch.zeros(2, SLOTS).long(), torch.full((2,), ACTIONS)),
        UnknownActionError,
        r"must lie in 0\.\.2",
    ),
    "codes after of another kind": (
        lambda x: x.retrieval(torch.zeros(2, SLOTS).long(), torch.zeros(2, 1).long()),
        ShapeError,
        "after must be",
    ),
}


@pytest.mark.parametrize("case", BAD)
@pytest.mark.parametrize("kind", LAYERS)
def test_bad_input_is_refused(kind: str, case: str) -> None:
    ask, error, message = BAD[case]
    with pytest.raises(error, match=message):
        ask(make_layer(kind, torch.device("cpu")))


@pytest.mark.parametrize("make", [PublishedCTLayer, RepairedCTLayer])
def test_sizes_that_make_no_layer_are_refused(make: Callable[..., CTLayer]) -> None:
    with pytest.raises(ShapeError, match="at least two widths"):
        make(4, 4, 2, hidden=(8,))
    with pytest.raises(ShapeError, match="at least 1"):
        make(4, 4, 0, hidden=(8, 4))
