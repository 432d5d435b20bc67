"""MCQ-VAE: which channels are read, what is drawn, what gets a gradient."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from ctvae.errors import ShapeError
from ctvae.models.published import MCQVAE, PublishedMCQVAE
from ctvae.models.published.autoencoder import GridAutoencoder, codebook_loss
from ctvae.models.published.slices import disjoint_slices, joined_slices, overlapping_slices

KINDS: dict[str, Callable[..., GridAutoencoder]] = {
    "published": PublishedMCQVAE,
    "repaired": MCQVAE,
}


def _model(kind: str, device: torch.device) -> GridAutoencoder:
    model = KINDS[kind](1, 16, hidden=(8, 8), width=8, codebooks=2, codes=4, seed=0)
    return model.to(device)


def _images(count: int, device: torch.device) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.rand(count, 1, 16, 16, generator=generator).to(device)


@pytest.mark.parametrize(
    ("cut", "unread"),
    [(overlapping_slices, 93), (disjoint_slices, 0)],
    ids=["published", "repaired"],
)
def test_fault_17_channels_that_no_codebook_reads(
    cut: Callable[[Tensor, int], Tensor], unread: int, device: torch.device
) -> None:
    grid = torch.ones(2, 128, 4, 4, device=device, requires_grad=True)
    (gradient,) = torch.autograd.grad(cut(grid, 4).sum(), grid)
    assert int((gradient.sum((0, 2, 3)) == 0).sum()) == unread


@pytest.mark.parametrize(("kind", "unread"), [("published", 3), ("repaired", 0)])
def test_fault_17_channels_of_the_encoder_without_gradient(
    kind: str, unread: int, device: torch.device
) -> None:
    model = _model(kind, device)
    last = list(model.encoder.children())[-1]
    assert isinstance(last.bias, Tensor)
    (gradient,) = torch.autograd.grad(model(_images(4, device)).images.sum(), last.bias)
    assert int((gradient == 0).sum()) == unread  # 8 channels, 2 codebooks of 4: 0 to 4 are read


def test_slices_are_dealt_out_by_codebook_then_place() -> None:
    grid = torch.arange(2 * 6 * 4.0).reshape(2, 6, 2, 2)
    apart = disjoint_slices(grid, 3).reshape(2, 3, 4, 2)
    assert torch.equal(apart[1, 2, 3], grid[1, 4:6, 1, 1])
    assert torch.equal(joined_slices(disjoint_slices(grid, 3), 3, 2), grid)
    shifted = overlapping_slices(grid, 3).reshape(2, 3, 4, 2)
    assert torch.equal(shifted[1, 2, 3], grid[1, 2:4, 1, 1])
    assert torch.equal(overlapping_slices(grid, 1), disjoint_slices(grid, 1))


def test_fault_18_settings_are_not_changed() -> None:
    hidden = [4, 8]
    one, other = (MCQVAE(1, 16, hidden=hidden, width=4, codes=4) for _ in range(2))
    assert hidden == [4, 8]
    shapes = [[tuple(p.shape) for p in model.parameters()] for model in (one, other)]
    assert shapes[0] == shapes[1]


@pytest.mark.parametrize(("kind", "low"), [("published", -1.0), ("repaired", 0.0)])
def test_fault_19_the_range_of_pixels(kind: str, low: float, device: torch.device) -> None:
    model = _model(kind, device)
    vectors = 1e4 * torch.randn(8, 32, 4, generator=torch.Generator().manual_seed(0)).to(device)
    drawn = model.draw(vectors)
    assert (float(drawn.detach().min()), float(drawn.detach().max())) == (low, 1.0)


@pytest.mark.parametrize("kind", KINDS)
def test_fault_10_pictures_of_a_predicted_law(kind: str, device: torch.device) -> None:
    model = _model(kind, device)
    scores = torch.randn(3, 32, 4, generator=torch.Generator().manual_seed(0)).to(device)
    log_probs = scores.log_softmax(-1).requires_grad_()
    drawn, hard = model.decode_law(log_probs), model.decode(log_probs.argmax(-1))
    torch.testing.assert_close(drawn, hard)
    (gradient,) = torch.autograd.grad(drawn.sum(), log_probs)
    assert bool((gradient.abs().sum(-1) > 0).all())
    (none,) = torch.autograd.grad(hard.sum(), log_probs, allow_unused=True)
    assert none is None  # as published


@pytest.mark.parametrize("kind", KINDS)
def test_all_parts_learn(kind: str, device: torch.device) -> None:
    model, images = _model(kind, device), _images(8, device)
    found = model(images)
    loss = codebook_loss(found.features, found.vectors, codebooks=2, commitment_weight=0.25)
    ((found.images - images).square().mean() + loss).backward()
    dead = [n for n, p in model.named_parameters() if p.grad is None or not bool(p.grad.any())]
    assert not dead
    assert torch.equal(model.encode(images, chunk=3), found.codes)


def test_codebook_loss_pulls_each_side_by_its_own_weight() -> None:
    h, e = torch.ones(1, 2, 3, requires_grad=True), torch.zeros(1, 2, 3, requires_grad=True)
    loss = codebook_loss(h, e, codebooks=2, commitment_weight=0.25)
    pull, pulled = torch.autograd.grad(loss, (h, e))
    torch.testing.assert_close(pull, torch.full_like(h, 2 * 2 * 0.25 / 6))
    torch.testing.assert_close(pulled, torch.full_like(e, -2 * 2 / 6))


@pytest.mark.parametrize("kind", KINDS)
def test_sizes_that_do_not_divide_are_refused(kind: str) -> None:
    with pytest.raises(ShapeError, match="multiple of 4"):
        KINDS[kind](1, 18, hidden=(8, 8), width=8)
    with pytest.raises(ShapeError, match="one of 3 codebooks, got 16 and 8"):
        KINDS[kind](1, 16, hidden=(8, 8), width=8, codebooks=3)
