"""Laws that every quantizer keeps: add a class, add a line."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from ctvae.errors import CodeError, DataError, ShapeError
from ctvae.quant import (
    CategoricalSlots,
    Quantizer,
    ScalarBins,
    SharedCodebooks,
    SlotVQ,
    find_modes,
    lloyd,
    perplexity,
)


def _values(n: int = 300) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    centres = torch.tensor([-1.0, 0.0, 0.8])
    pick = torch.randint(3, (n, 2), generator=generator)
    return centres[pick] + 0.05 * torch.randn(n, 2, generator=generator)


QUANTIZERS: dict[str, Callable[[], Quantizer]] = {
    "bins, learned": lambda: ScalarBins.learn(_values(), bandwidth=[0.1, 0.1]),
    "bins, given": lambda: ScalarBins.fit(_values(), [3, 2]),
    "bins, uniform": lambda: ScalarBins.uniform(slots=2, codes=8, low=-1, high=1),
    "bins, permuted": lambda: ScalarBins.fit(_values(), [3, 3]).permuted(
        [1, 0], [torch.tensor([2, 0, 1]), torch.tensor([1, 2, 0])]
    ),
    "bins, one code": lambda: ScalarBins([torch.zeros(1)], [torch.ones(1)]),
    "categorical": lambda: CategoricalSlots([3, 2, 5]),
    "categorical, cold": lambda: CategoricalSlots([1, 4], temperature=0.2),
    "categorical, permuted": lambda: CategoricalSlots([3, 2]).permuted(
        [1, 0], [torch.tensor([1, 0]), torch.tensor([2, 0, 1])]
    ),
    "vq": lambda: SlotVQ([4, 2, 7], width=5, seed=0),
    "vq, one slot": lambda: SlotVQ([16], width=2, seed=1),
    "shared": lambda: SharedCodebooks(2, places=3, codes=5, width=4, seed=0),
    "shared, one place": lambda: SharedCodebooks(1, places=1, codes=4, width=2, seed=1),
    "vq, pruned": lambda: SlotVQ([8, 8], width=3, seed=0).pruned(
        torch.tensor([[0, 3], [5, 3], [6, 1]])
    ),
}


@pytest.fixture(params=QUANTIZERS, ids=str)
def quantizer(request: pytest.FixtureRequest, device: torch.device) -> Quantizer:
    return QUANTIZERS[request.param]().to(device)


def _features(quantizer: Quantizer, n: int = 64) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    shape = (n, len(quantizer.cardinalities), quantizer.width)
    device = next(quantizer.buffers()).device
    return torch.randn(shape, generator=generator).to(device)


def _all_codes(quantizer: Quantizer) -> Tensor:
    device = next(quantizer.buffers()).device
    sizes = torch.tensor(quantizer.cardinalities)
    return (torch.arange(int(sizes.max()))[:, None] % sizes).to(device)


@pytest.mark.parametrize("training", [True, False])
def test_codes_survive_the_round_trip(quantizer: Quantizer, training: bool) -> None:
    quantizer.train(training)
    codes = _all_codes(quantizer)
    assert torch.equal(quantizer.quantize(quantizer.lookup(codes)), codes)


@pytest.mark.parametrize("training", [True, False])
def test_returned_vectors_are_those_of_the_codes(quantizer: Quantizer, training: bool) -> None:
    quantizer.train(training)
    found = quantizer(_features(quantizer))
    assert torch.equal(found.vectors, quantizer.lookup(found.codes))


def test_codes_lie_in_the_codebook(quantizer: Quantizer) -> None:
    codes = quantizer(10 * _features(quantizer)).codes
    assert bool((codes >= 0).all())
    assert bool((codes < torch.tensor(quantizer.cardinalities, device=codes.device)).all())


def test_straight_through_gradient_is_the_identity(quantizer: Quantizer) -> None:
    features = _features(quantizer).requires_grad_()
    weights = _features(quantizer)
    (quantizer(features).vectors * weights).sum().backward()
    assert features.grad is not None
    assert torch.equal(features.grad, weights)


def test_soft_assignment_is_a_law_over_the_slots_own_codes(quantizer: Quantizer) -> None:
    probs = quantizer.log_probs(_features(quantizer)).exp()
    sizes = torch.tensor(quantizer.cardinalities, device=probs.device)
    own = torch.arange(probs.shape[-1], device=probs.device) < sizes[:, None]
    assert torch.allclose(probs.sum(-1), torch.ones_like(probs[..., 0]), atol=1e-5)
    assert bool((probs[:, ~own] == 0).all())


def test_wrong_features_are_refused(quantizer: Quantizer) -> None:
    with pytest.raises(ShapeError, match="features must be"):
        quantizer(_features(quantizer)[..., None])


def test_a_saved_quantizer_is_equal(quantizer: Quantizer) -> None:
    before = quantizer(_features(quantizer))
    clone = type(quantizer).__new__(type(quantizer))
    clone.__dict__.update(quantizer.__dict__)
    clone.load_state_dict(quantizer.state_dict())
    assert torch.equal(clone(_features(quantizer)).vectors, before.vectors)


def test_learned_cardinality_is_the_number_of_modes() -> None:
    assert ScalarBins.learn(_values(), bandwidth=[0.1, 0.1]).cardinalities == (3, 3)


def test_separation_falls_when_modes_widen() -> None:
    generator = torch.Generator().manual_seed(0)
    base = torch.tensor([0.0, 1.0]).repeat(500)
    noise = torch.randn(1000, generator=generator)
    tight = find_modes(base + 0.02 * noise, bandwidth=0.1)
    wide = find_modes(base + 0.2 * noise, bandwidth=0.1)
    assert tight.separation > 10 > 3 > wide.separation


def test_modes_follow_shift_and_scale() -> None:
    values = _values()[:, 0]
    plain = find_modes(values, bandwidth=0.1)
    moved = find_modes(3 * values + 2, bandwidth=0.3)
    assert torch.allclose(moved.centres, 3 * plain.centres + 2, atol=1e-4)


def test_lloyd_reaches_a_fixed_point() -> None:
    values = _values()[:, 0]
    centres = lloyd(values, torch.tensor([-2.0, 0.0, 2.0]), steps=50)
    assert torch.allclose(lloyd(values, centres, steps=1), centres)


def test_update_pulls_codes_to_their_clusters_and_revives_dead_ones(device: torch.device) -> None:
    generator = torch.Generator().manual_seed(0)
    centres = 6 * torch.randn(5, 3, generator=generator)
    vq = SlotVQ([5], width=3, seed=2, decay=0.8).to(device)
    vq.codebook.mul_(1e-3)  # all codes start in one place: most of them are dead
    for step in range(200):
        pick = torch.randint(5, (64,), generator=generator)
        noise = 0.1 * torch.randn(64, 3, generator=generator)
        features = (centres[pick] + noise).to(device)[:, None]
        vq.update(features, vq(features).codes, seed=step)
    distance = torch.cdist(centres.to(device), vq.codebook[0]).min(1).values
    assert float(distance.max()) < 0.5


def test_forward_leaves_the_codebook_alone() -> None:
    vq = SlotVQ([4], width=2, seed=0).train()
    before = vq.codebook.clone()
    vq(torch.randn(8, 1, 2, generator=torch.Generator().manual_seed(0)))
    assert torch.equal(vq.codebook, before)


def test_perplexity_counts_equally_used_codes() -> None:
    assert perplexity(torch.tensor([[0], [1], [2], [3]]), 8).item() == pytest.approx(4)


def test_a_shared_codebook_is_one_for_all_its_places() -> None:
    quantizer = SharedCodebooks(2, places=3, codes=5, width=4, seed=0)
    vectors = quantizer.lookup(torch.tensor([[1, 1, 1, 1, 1, 1]]))[0]
    assert torch.equal(vectors[:3], quantizer.codebook[0, 1].expand(3, -1))
    assert torch.equal(vectors[3:], quantizer.codebook[1, 1].expand(3, -1))
    sure = torch.nn.functional.one_hot(torch.ones(1, 6).long(), 5).float()
    torch.testing.assert_close(quantizer.expected(sure)[0], vectors)
    assert float(quantizer.codebook.detach().abs().max()) <= 1 / 5


BAD: dict[str, tuple[Callable[[], object], type[Exception], str]] = {
    "no places": (lambda: SharedCodebooks(1, places=0, codes=2, width=2), CodeError, "at least 1"),
    "no codes": (lambda: SlotVQ([], width=2), CodeError, "cardinalities"),
    "decay of one": (lambda: SlotVQ([2], width=2, decay=1.0), CodeError, "decay"),
    "equal centres": (
        lambda: ScalarBins([torch.zeros(2)], [torch.ones(2)]),
        ShapeError,
        "different",
    ),
    "empty sample": (lambda: find_modes(torch.empty(0), bandwidth=1.0), DataError, "non-empty"),
    "NaN sample": (
        lambda: find_modes(torch.tensor([float("nan")]), bandwidth=1.0),
        DataError,
        "finite",
    ),
    "no bandwidth": (lambda: find_modes(torch.ones(3), bandwidth=0.0), DataError, "bandwidth"),
    "too few values": (lambda: ScalarBins.fit(torch.zeros(9, 1), [2]), DataError, "too few"),
}


@pytest.mark.parametrize("case", BAD, ids=str)
def test_bad_input_is_refused(case: str) -> None:
    make, error, message = BAD[case]
    with pytest.raises(error, match=message):
        make()
