"""A small fitted model put together by hand: laws hold whatever the weights are."""

from __future__ import annotations

import pytest
import torch

from ctvae.mechanisms.actions import SetAction
from ctvae.mechanisms.transition import TransitionProgram
from ctvae.models import CTVAE, CTVAEConfig
from ctvae.models.autoencoder import SlotAutoencoder
from ctvae.models.readers import CodeReader
from ctvae.nn import SlotDecoder
from ctvae.quant import CategoricalSlots, ScalarBins
from ctvae.randomness import scoped_seed
from ctvae.scm import SCM

NAMES = ("shape", "size", "hue", "x")
SIZES = (3, 2, 6, 4)
EDGES = [("shape", "hue"), ("size", "hue"), ("hue", "x")]


def make_model(*, spare: int = 2, seed: int = 0, scored: bool = False) -> CTVAE:
    """A model whose reader gives a number per slot, or a score per code."""
    actions = tuple(
        SetAction(f"{name}={v}", k, v)
        for k, (name, size) in enumerate(zip(NAMES, SIZES, strict=True))
        for v in range(size)
    )
    config = CTVAEConfig(actions=actions, channels=3, image_size=16, slots=NAMES, spare=spare)
    model = CTVAE(config, seed=seed)
    coder = model.autoencoder
    if not scored:
        coder.quantizer = ScalarBins.fit(coder.read(make_images(300))[..., 0], SIZES)
    with scoped_seed(seed):
        if scored:
            coder.reader = CodeReader(3, 16, SIZES)
            coder.quantizer = CategoricalSlots(SIZES)
        coder.decoder = SlotDecoder(SIZES, 3, 16, spare=spare)
    if scored:
        _spread_scores(coder)
    coder.spare_bank = coder.encode_spare(make_images(20))
    generator = torch.Generator().manual_seed(seed)
    width = max(SIZES)
    kernels = torch.zeros(len(actions), len(SIZES), width, width).double()
    for k, size in enumerate(SIZES):
        kernels[:, k, :size, :size] = 0.95 * torch.eye(size) + 0.05 / size
        for a, action in enumerate(actions):
            if action.targets == (k,):
                own = torch.rand(size, size, generator=generator).double()
                kernels[a, k, :size, :size] = own / own.sum(1, keepdim=True)
    model.transition = TransitionProgram(kernels, SIZES, actions)
    cardinality = dict(zip(NAMES, SIZES, strict=True))
    return model.with_scm(SCM.from_edges(EDGES, cardinality=cardinality, seed=seed))


@torch.no_grad()
def _spread_scores(coder: SlotAutoencoder) -> None:
    """Standardises every score over the images, so that all codes occur."""
    out = coder.reader.encoder.out
    scores = coder.reader.encoder.eval()(make_images(300))
    out.bias.copy_((out.bias - scores.mean(0)) / scores.std(0))
    out.weight.div_(scores.std(0)[:, None])


def make_images(count: int, *, seed: int = 5) -> torch.Tensor:
    return torch.rand(count, 3, 16, 16, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(params=[False, True], ids=["numbers", "scores"])
def model(device: torch.device, request: pytest.FixtureRequest) -> CTVAE:
    return make_model(scored=request.param).to(device)


@pytest.fixture
def images(device: torch.device) -> torch.Tensor:
    return make_images(12, seed=9).to(device)
