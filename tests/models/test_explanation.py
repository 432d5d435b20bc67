"""Explanations of pairs under a model with arbitrary weights; plans and targets of images."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from ctvae.errors import CTVAEError, ShapeError
from ctvae.inference.planning import plan_actions
from ctvae.mechanisms.actions import SetAction
from ctvae.models import CTVAE, CTVAEConfig
from ctvae.models.explanation import ExplanationTest, PairEvidence
from tests.models.conftest import make_images, make_model


class SomePairs(NamedTuple):
    images: Tensor
    before: Tensor
    action: Tensor
    after: Tensor


def make_pairs(model: CTVAE, count: int, seed: int) -> SomePairs:
    """Images and drawings of what the actions make of them, so that actions explain them."""
    assert model.transition is not None
    images = make_images(count, seed=seed)
    action = torch.arange(count) % len(model.actions)
    codes = model.encode(images)
    rows = model.transition.kernels[action.to(codes.device)]
    slot = torch.arange(codes.shape[1], device=codes.device)
    moved = rows[torch.arange(count, device=codes.device)[:, None], slot, codes].argmax(-1)
    after = model.decode(moved, spare=model.autoencoder.encode_spare(images)).cpu()
    rows_after = torch.arange(count) + count
    return SomePairs(torch.cat([images, after]), torch.arange(count), action, rows_after)


@pytest.mark.parametrize("spare", [0, 2])
def test_ordinary_pairs_have_even_p_values(spare: int, device: torch.device) -> None:
    model = make_model(spare=spare, scored=True).to(device)
    pairs = [make_pairs(model, n, s) for n, s in ((300, 1), (200, 2), (200, 3))]
    test = ExplanationTest.fit(model, pairs[0], pairs[1])
    assert test.evidence.streams == ("codes", "pixels", "spare")[: 3 if spare else 2]
    last = pairs[2]
    found = test.judge(last.images[last.before], last.images[last.after])
    assert found.by_stream.shape == (200, len(found.streams))
    # 200 new p-values against 200 calibrated ones; 4.5 standard errors of both
    for level in (0.1, 0.3, 0.5):
        share = float((found.p_value <= level).double().mean())
        error = (level * (1 - level) * (1 / 200 + 1 / 100)) ** 0.5
        assert abs(share - level) < 4.5 * error
    assert torch.equal(found.explained(level=0.3), found.p_value > 0.3)


def test_evidence_of_pixels_equals_its_definition_pair_by_pair(
    model: CTVAE, images: Tensor
) -> None:
    assert model.transition is not None
    evidence, after = PairEvidence.fit(model, make_pairs(model, 200, 1)), images.flip(0)
    found = evidence.measure(images, after)
    coder = model.autoencoder
    q, spare = coder.encode_log_probs(images).exp(), coder.encode_spare(images)
    rebuilt = model.decode(model.encode(after), spare=spare.flip(0))
    for row in range(len(images)):
        action = int(found.posterior.mode[row, 0])
        led = torch.stack([
            (q[row, k].double() @ model.transition.kernels[action, k]).argmax() for k in range(4)
        ])
        drawn = model.decode(led, spare=spare[row])
        errors = [
            float((picture - after[row]).square().mean()) for picture in (drawn, rebuilt[row])
        ]
        expected = math.log((errors[0] + evidence.floor) / (errors[1] + evidence.floor))
        # Pictures drawn alone and in a batch differ by some 1e-6 in float32, over errors of .001.
        assert float(found.values[row, 1]) == pytest.approx(expected, abs=1e-3)


def test_a_spare_vector_that_stays_is_no_evidence(model: CTVAE, images: Tensor) -> None:
    evidence = PairEvidence.fit(model, make_pairs(model, 200, 1))
    assert bool((evidence.measure(images, images).values[:, 2].abs() < 1e-9).all())
    assert bool((evidence.measure(images, images.flip(0)).values[:, 2] > 0).all())


def test_a_plan_of_images_is_the_plan_of_their_codes(model: CTVAE, images: Tensor) -> None:
    assert model.transition is not None
    goal = images.flip(0)
    found = model.plan(images, goal, max_length=5)
    expected = plan_actions(
        model.transition, model.encode(images), model.encode(goal), max_length=5
    )
    assert torch.equal(found.sequence, expected.sequence)
    assert torch.equal(found.log_prob, expected.log_prob)
    still = model.plan(images, images)
    assert bool((still.length == 0).all())
    assert still.sequence.shape == (len(images), 0)


def unfitted() -> CTVAE:
    actions = (SetAction("a", 0, 0), SetAction("b", 0, 1))
    return CTVAE(CTVAEConfig(actions=actions, channels=3, image_size=16))


BAD: list[tuple[Callable[[CTVAE], object], type[Exception], str]] = [
    (lambda _: unfitted().plan(make_images(2), make_images(2)), CTVAEError, "not fitted"),
    (
        lambda m: PairEvidence.fit(m, make_pairs(m, 20, 0)).measure(make_images(2), make_images(3)),
        ShapeError,
        "differ in shape",
    ),
    (
        lambda m: m.plan(make_images(2), make_images(3)),
        ShapeError,
        "must match",
    ),
]


@pytest.mark.parametrize(("call", "error", "says"), BAD)
def test_bad_input_is_refused(
    call: Callable[[CTVAE], object], error: type[Exception], says: str, model: CTVAE
) -> None:
    with pytest.raises(error, match=says):
        call(model)
