"""Losses of baselines without labels, against enumeration and closed forms."""

from __future__ import annotations

import math
from itertools import product

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from ctvae.models.baselines.ada_gvae import average_shared, divergence, shared_latents
from ctvae.models.baselines.beta_tcvae import total_correlation
from ctvae.models.baselines.categorical_sparse import BinScores, sparse_change_log_prob
from ctvae.models.baselines.latents import Gaussian, divergence_from_standard, quantile_bins
from ctvae.models.baselines.qlae import LearnedScalars, latent_quantization_loss


def _laws(rows: int, dims: int, seed: int) -> Gaussian:
    generator = torch.Generator().manual_seed(seed)
    mean, log_variance = torch.randn(2, rows, dims, generator=generator).double()
    return Gaussian(mean, log_variance)


def _normal(law: Gaussian) -> Normal:
    return Normal(law.mean, (law.log_variance / 2).exp())


@pytest.mark.parametrize("flip", [0.01, 0.2])
def test_the_sparse_law_is_the_sum_over_all_codes_and_changed_slots(flip: float) -> None:
    generator = torch.Generator().manual_seed(0)
    slots, codes = 3, 2
    q, r = torch.randn(2, 1, slots, codes, generator=generator).double().softmax(-1)
    total = 0.0
    for before in product(range(codes), repeat=slots):
        for after in product(range(codes), repeat=slots):
            soft = math.prod(float(q[0, m, before[m]] * r[0, m, after[m]]) for m in range(slots))
            law = 0.0
            for k in range(slots):
                copied = [
                    1 - flip if before[m] == after[m] else flip for m in range(slots) if m != k
                ]
                law += (before[k] != after[k]) * math.prod(copied) / slots
            total += soft * law
    found = sparse_change_log_prob(q, r, flip=flip).exp()
    torch.testing.assert_close(found, torch.tensor([total]).double())


def test_one_changed_slot_is_likelier_than_none_or_two() -> None:
    codes = torch.tensor([[0, 0, 0], [1, 0, 0], [1, 1, 0]])
    hard = torch.nn.functional.one_hot(codes, 2).double()
    none, one, two = sparse_change_log_prob(hard[:1].expand(3, -1, -1), hard, flip=0.05)
    assert one > two > none
    assert one.exp().item() == pytest.approx(0.95**2 / 3)


def test_bins_are_used_alike() -> None:
    numbers = torch.randn(4000, 2, generator=torch.Generator().manual_seed(0)) * 7 + 3
    scores = BinScores(2, 4)(numbers).reshape(-1, 2, 4)
    share = torch.nn.functional.one_hot(scores.argmax(-1), 4).double().mean(0)
    # Four standard deviations of a share of 1/4 in 4000 rows.
    torch.testing.assert_close(share, torch.full((2, 4), 0.25).double(), atol=0.028, rtol=0)


def test_a_product_grid_has_no_total_correlation() -> None:
    grid = torch.cartesian_prod(torch.arange(4), torch.arange(3)).double()
    law = Gaussian(grid, torch.full_like(grid, -1.0))
    draws = grid + torch.randn(grid.shape, generator=torch.Generator().manual_seed(0)).double()
    torch.testing.assert_close(
        total_correlation(law, draws), torch.tensor(0.0).double(), atol=1e-10, rtol=0
    )


def test_total_correlation_of_copies_is_the_entropy_of_one() -> None:
    line = 100 * torch.arange(5).double()[:, None].expand(5, 3)  # three copies of five values
    law = Gaussian(line, torch.zeros_like(line))
    assert float(total_correlation(law, line)) == pytest.approx(2 * math.log(5))


def test_total_correlation_against_the_density_written_out() -> None:
    law = _laws(6, 2, 1)
    draws = _laws(6, 2, 2).mean
    density = _normal(law).log_prob(draws[:, None]).exp()
    joint = density.prod(2).mean(1).log()
    single = density.mean(1).log().sum(1)
    torch.testing.assert_close(total_correlation(law, draws), (joint - single).mean())


def test_divergences_are_those_of_torch() -> None:
    one, two = _laws(5, 3, 0), _laws(5, 3, 1)
    torch.testing.assert_close(divergence(one, two), kl_divergence(_normal(one), _normal(two)))
    standard = Normal(torch.zeros(5, 3).double(), torch.ones(5, 3).double())
    torch.testing.assert_close(divergence_from_standard(one), kl_divergence(_normal(one), standard))


def test_only_latents_that_hardly_differ_are_averaged() -> None:
    one = Gaussian(torch.tensor([[0.0, 0.0, 0.0]]), torch.zeros(1, 3))
    two = Gaussian(torch.tensor([[3.0, 0.1, 0.2]]), torch.zeros(1, 3))
    shared = shared_latents(one, two)
    assert shared.tolist() == [[False, True, True]]
    first, second = average_shared(one, two, shared)
    torch.testing.assert_close(first.mean, torch.tensor([[0.0, 0.05, 0.1]]))
    torch.testing.assert_close(second.mean, torch.tensor([[3.0, 0.05, 0.1]]))
    wide = Gaussian(two.mean, torch.full((1, 3), math.log(3.0)))
    every = torch.ones(1, 3, dtype=torch.bool)
    averaged, other = average_shared(one, wide, every)
    torch.testing.assert_close(averaged.log_variance.exp(), torch.full((1, 3), 2.0))
    assert torch.equal(averaged.mean, other.mean)
    assert torch.equal(averaged.log_variance, other.log_variance)


def test_the_two_pulls_of_latent_quantization_have_one_side_each() -> None:
    h = torch.tensor([[[1.0], [0.5]]], requires_grad=True)
    e = torch.tensor([[[3.0], [0.5]]], requires_grad=True)
    latent_quantization_loss(h, e, quantize_weight=0.1, commit_weight=0.3).backward()
    assert h.grad is not None
    assert e.grad is not None
    torch.testing.assert_close(e.grad.flatten(), torch.tensor([0.4, 0.0]))
    torch.testing.assert_close(h.grad.flatten(), torch.tensor([-1.2, 0.0]))


def test_learned_scalars_keep_the_law_of_quantizers() -> None:
    quantizer = LearnedScalars(3, 4)
    codes = torch.randint(4, (20, 3), generator=torch.Generator().manual_seed(0))
    assert torch.equal(quantizer.quantize(quantizer.lookup(codes)), codes)
    features = torch.rand(20, 3, 1, generator=torch.Generator().manual_seed(1)) - 0.5
    found = quantizer(features)
    assert torch.equal(found.vectors, quantizer.lookup(found.codes))
    assert torch.equal(quantizer.log_probs(features).argmax(-1), found.codes)


def test_quantile_bins_hold_as_many_rows_each() -> None:
    values = torch.randn(400, 2, generator=torch.Generator().manual_seed(0))
    codes = torch.searchsorted(quantile_bins(values, 8), values.T.contiguous())
    assert torch.bincount(codes[0], minlength=8).tolist() == [50] * 8
