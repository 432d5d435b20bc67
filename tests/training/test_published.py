"""The published recipe: seeds, refusals, and that both stages learn."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from ctvae.data import StepBy, Transitions, mini_sprites, transition_pairs
from ctvae.errors import DataError
from ctvae.models.published import (
    MCQVAE,
    PublishedCTLayer,
    PublishedObjective,
    RepairedCTLayer,
    RepairedObjective,
)
from ctvae.training import AutoencoderStage, LayerStage, fit_autoencoder, fit_layer


@pytest.fixture(scope="module")
def pairs() -> Transitions:
    images = mini_sprites()
    return transition_pairs(images, StepBy(), rows=torch.arange(0, 3072, 8))


def _objective(kind: str) -> PublishedObjective | RepairedObjective:
    if kind == "published":
        return PublishedObjective(PublishedCTLayer(2, 8, 10, hidden=(8, 4)))
    return RepairedObjective(RepairedCTLayer(2, 8, 10, hidden=(8, 4)))


def _codes(pairs: Transitions) -> Tensor:
    """Two slots that tell the two factors which the pairs move."""
    factors = mini_sprites().factors
    del pairs
    return torch.stack([factors[:, 3], factors[:, 2] * 2], 1)


def _weights(module: torch.nn.Module) -> Tensor:
    return torch.cat([p.detach().cpu().flatten() for p in module.parameters()])


def test_autoencoder_learns_and_repeats_itself(device: torch.device) -> None:
    images = mini_sprites().images[::16]
    results = []
    for _ in range(2):
        model = MCQVAE(1, 32, hidden=(8, 8), width=8, codebooks=2, codes=8, seed=1)
        stage = AutoencoderStage(
            steps=51, images_per_step=16, learning_rate=5e-3, device=device.type
        )
        results.append((fit_autoencoder(model, images, stage), _weights(model)))
        assert not model.training
    (records, weights), (_, again) = results
    assert torch.equal(weights, again)
    assert [record["step"] for record in records] == [0, 25, 50]
    assert records[-1]["squared_error"] < 0.5 * records[0]["squared_error"]


@pytest.mark.parametrize("kind", ["published", "repaired"])
def test_layer_learns_and_repeats_itself(
    kind: str, pairs: Transitions, device: torch.device
) -> None:
    stage = LayerStage(steps=26, rows_per_step=16, device=device.type)
    weights = []
    for _ in range(2):
        objective = _objective(kind)
        first = _weights(objective.layer)
        fit_layer(objective, _codes(pairs), pairs, stage)
        assert not objective.layer.training
        weights.append(_weights(objective.layer))
    assert torch.equal(*weights)
    assert not torch.equal(weights[0], first)


@pytest.mark.parametrize("share", ["base_share", "action_share", "retrieval_share"])
@pytest.mark.parametrize("kind", ["published", "repaired"])
def test_each_kind_of_batch_lowers_its_own_loss(
    kind: str, share: str, pairs: Transitions, device: torch.device
) -> None:
    shares = dict.fromkeys(("base_share", "action_share", "retrieval_share"), 0) | {share: 1}
    stage = LayerStage(
        steps=151, rows_per_step=32, learning_rate=1e-2, device=device.type, **shares
    )
    records = fit_layer(_objective(kind), _codes(pairs), pairs, stage)
    assert set(records[0]) == {"step", "loss", share.removesuffix("_share")}
    assert records[-1]["loss"] < records[0]["loss"]


def test_pairs_without_a_label_are_refused(pairs: Transitions) -> None:
    action = pairs.action.clone()
    action[0] = -1
    with pytest.raises(DataError, match="1 pairs without a label"):
        fit_layer(_objective("published"), _codes(pairs), replace(pairs, action=action))
    with pytest.raises(DataError, match="row of codes for each of 3072 images"):
        fit_layer(_objective("published"), _codes(pairs)[:5], pairs)


def test_settings_refuse_what_they_do_not_know() -> None:
    with pytest.raises(ValueError, match="Extra inputs"):
        LayerStage(heads=3)  # type: ignore[call-arg]  # the misspelt setting under test
    with pytest.raises(ValueError, match="greater than or equal to 1"):
        AutoencoderStage(steps=0)
