"""Baselines that see no label: every parameter learns, the promises of what they train to."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from ctvae.models.baselines import (
    FSQ,
    QLAE,
    AdaGVAE,
    Baseline,
    BetaTCVAE,
    Budget,
    CategoricalSparse,
    HasCodes,
    HasLatents,
    Reconstructs,
    RetrievesActions,
    TrainedBaseline,
    ada_gvae,
    beta_tcvae,
    categorical_sparse,
    fsq,
    qlae,
)

from .conftest import Corner

SHORT = Budget(steps=4, images_per_step=16)
METHODS: dict[str, tuple[Baseline, object]] = {
    "QLAE": (QLAE(slots=4, codes=5), qlae),
    "FSQ": (FSQ(slots=4, codes=3), fsq),
    "categorical": (CategoricalSparse(slots=4, codes=3, start=0.0), categorical_sparse),
    "beta-TCVAE": (BetaTCVAE(dims=4, bins=3), beta_tcvae),
    "Ada-GVAE": (AdaGVAE(dims=4, bins=3), ada_gvae),
}


@pytest.mark.parametrize("name", METHODS)
def test_every_parameter_gets_a_gradient_and_promises_are_kept(
    name: str, corner: Corner, device: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    method, module = METHODS[name]
    still: list[str] = []
    descend = vars(module)["descend"]

    def watched(model: nn.Module, loss: Callable[[torch.Generator], Tensor], **rest) -> None:
        model.train()
        loss(torch.Generator().manual_seed(0)).backward()
        still.extend(
            parameter
            for parameter, value in model.named_parameters()
            if value.grad is None or not bool(value.grad.abs().sum() > 0)
        )
        model.zero_grad()
        descend(model, loss, **rest)

    monkeypatch.setattr(module, "descend", watched)
    train, images = corner.train, corner.train.images
    found = method.train(train, validation=corner.validation, budget=SHORT, seed=0, device=device)
    # Batch normalisation after a bias takes the bias off, but for rounding: those may be still.
    assert [n for n in still if not n.endswith("bias")] == []
    assert isinstance(found, TrainedBaseline)
    assert isinstance(found, RetrievesActions)
    assert isinstance(found, HasCodes)
    assert isinstance(found, Reconstructs)
    assert isinstance(found, HasLatents) == (name in {"beta-TCVAE", "Ada-GVAE"})
    log_probs = found.action_log_probs(images[train.before], images[train.after])
    torch.testing.assert_close(log_probs.exp().sum(1), torch.ones_like(log_probs[:, 0]))
    codes = found.encode(images)
    assert codes.shape == (len(images), 4)
    assert bool((codes >= 0).all())
    assert int(codes.max()) < (5 if name == "QLAE" else 3)
    assert found.reconstruct(images[:2]).shape == images[:2].shape
    if isinstance(found, HasLatents):
        assert found.represent(images[:2]).shape == (2, 4)
