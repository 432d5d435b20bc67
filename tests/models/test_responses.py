"""A model whose slots respond: learned from pairs, kept in files, refused where it cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from ctvae.data import Transitions
from ctvae.errors import CTVAEError
from ctvae.mechanisms.actions import SetAction
from ctvae.mechanisms.couplings import Independent, Maximal
from ctvae.models import CTVAE, CTVAEConfig
from ctvae.models.responses import learn_responses
from ctvae.nn import SlotDecoder
from ctvae.quant import CategoricalSlots
from ctvae.randomness import scoped_seed
from ctvae.regimes import Regime
from ctvae.scm import SCM

SIZES = {"cause": 3, "effect": 3, "other": 2}
ACTIONS = tuple(
    SetAction(f"{name}={v}", k, v)
    for k, (name, size) in enumerate(SIZES.items())
    for v in range(size)
)


def _picture(codes: torch.Tensor) -> torch.Tensor:
    """Pictures that spell their codes out: one grey bar for each slot."""
    images = torch.zeros(len(codes), 1, 16, 16)
    for k, size in enumerate(SIZES.values()):
        images[:, 0, 5 * k : 5 * k + 5] = (codes[:, k] / (size - 1))[:, None, None]
    return images


class _Spelling(torch.nn.Module):
    """Reads the bars."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        scores = torch.zeros(len(images), len(SIZES), 3, device=images.device)
        for k, size in enumerate(SIZES.values()):
            value = (images[:, 0, 5 * k, 0] * (size - 1)).round().long()
            scores[:, k] = 60.0 * torch.nn.functional.one_hot(value, 3)
        return scores


def _scm() -> SCM:
    return SCM.from_edges([("cause", "effect")], cardinality=SIZES, seed=1)


@pytest.fixture
def model(device: torch.device) -> CTVAE:
    made = CTVAE(CTVAEConfig(actions=ACTIONS, image_size=16, slots=tuple(SIZES)), seed=0)
    made.autoencoder.reader = _Spelling()  # type: ignore[assignment]  # a reader that is never wrong
    made.autoencoder.quantizer = CategoricalSlots(list(SIZES.values()))
    with scoped_seed(0):
        made.autoencoder.decoder = SlotDecoder(list(SIZES.values()), 1, 16)
    return made.to(device)


def _pairs(scm: SCM, count: int, seed: int) -> tuple[Transitions, torch.Tensor, torch.Tensor]:
    units = scm.sample(count, seed=seed)
    action = torch.randint(len(ACTIONS), (count,), generator=torch.Generator().manual_seed(seed))
    after = units.clone()
    for a, one in enumerate(ACTIONS):
        rows = (action == a).nonzero()[:, 0]
        do = {scm.slots.names[one.target or 0]: one.value}
        after[rows] = scm.counterfactual(units[rows], do, coupling=Maximal(), seed=a)[:, 0]
    images = torch.cat([_picture(units), _picture(after)])
    rows = torch.arange(count)
    pairs = Transitions(images, rows, action, rows + count, ACTIONS, Regime.COUNTERFACTUAL)
    return pairs, units, after


def _images(pairs: Transitions) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    return pairs.images[pairs.before], pairs.action, pairs.images[pairs.after]


def test_the_coupling_of_the_world_is_the_likeliest(model: CTVAE) -> None:
    scm = _scm()
    pairs, before, after = _pairs(scm, 4000, seed=3)
    model.scm = scm.to(model.device)
    assert learn_responses(model, before, pairs.action, after)[1] == Maximal()


def test_effects_that_spread_are_explained_by_their_cause(model: CTVAE) -> None:
    """After do(cause), the effect moves as well: told apart from do(effect) by the law of both."""
    scm = _scm()
    pairs, before, after = _pairs(scm, 4000, seed=4)
    model.scm = scm.to(model.device)
    law, _ = learn_responses(model, before, pairs.action, after)
    model.transition = law
    model = model.with_responses(*_images(pairs))
    both = (before[:, 0] != after[:, 0]) & (before[:, 1] != after[:, 1])
    pick = both.nonzero()[:200, 0]
    images = pairs.images
    posterior = model.retrieve_action(images[pairs.before[pick]], images[pairs.after[pick]])
    assert bool(posterior.same_class(pairs.action[pick].to(model.device)).all())


def test_slots_whose_parents_moved_are_no_misreadings(model: CTVAE) -> None:
    """The leak is counted where nothing moved: with perfect reading it is the prior count alone."""
    scm = _scm()
    pairs, before, after = _pairs(scm, 4000, seed=5)
    model.scm = scm.to(model.device)
    law, _ = learn_responses(model, before, pairs.action, after, coupling=Maximal(), smoothing=0.1)
    copy = law.kernels[0, 1].cpu()  # "cause=0" does not target the effect
    targets = torch.tensor([action.target for action in ACTIONS])[pairs.action]
    held = (before[:, 0] == after[:, 0]) & (targets != 1)
    for code in range(3):
        count = int((held & (before[:, 1] == code)).sum())
        expected = torch.full((3,), 0.1)
        expected[code] = count + 0.4
        assert torch.allclose(copy[code].float(), expected / (count + 0.6))


def test_responses_are_kept_in_files(model: CTVAE, tmp_path: Path) -> None:
    scm = _scm()
    pairs, before, after = _pairs(scm, 600, seed=6)
    model.scm = scm.to(model.device)
    model.transition = learn_responses(model, before, pairs.action, after)[0]
    model = model.with_responses(*_images(pairs))
    with pytest.raises(CTVAEError, match="names its coupling"):
        model.with_responses(*_images(pairs), coupling=Independent()).save(tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_a_model_without_an_scm_cannot_learn_responses(model: CTVAE) -> None:
    pairs, _, _ = _pairs(_scm(), 600, seed=7)
    with pytest.raises(CTVAEError, match="has no SCM over its slots"):
        model.with_responses(*_images(pairs))
