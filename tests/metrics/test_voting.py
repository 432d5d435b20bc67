"""FactorVAE and BetaVAE scores: what must win, for codes and for numbers."""

from __future__ import annotations

import math

import pytest
import torch

from ctvae.metrics import (
    beta_vae_score,
    beta_vae_score_of_latents,
    factor_vae_score,
    factor_vae_score_of_latents,
)
from ctvae.metrics.voting import _draw
from tests.metrics.cases import draw, grid, permuted, renamed


def test_rows_of_a_trial_agree_in_their_factor_and_in_no_other() -> None:
    s = draw(500, [3, 5, 4], 0)
    drawn = _draw(s, 200, 30, 0)
    values = s[drawn.rows]  # trials, size, factors
    same = (values == values[:, :1]).all(1)
    assert bool(same.gather(1, drawn.factor[:, None]).all())
    assert float(same.double().sum(1).max()) == 1  # 30 rows agree in a second by chance: < 1e-13
    assert set(drawn.factor.tolist()) == {0, 1, 2}


@pytest.mark.statistical
def test_trials_draw_every_row_that_agrees_alike() -> None:
    """One factor of two values, 5 rows of the one and 15 of the other; 20,000 trials of 2 rows."""
    s = torch.tensor([[0]] * 5 + [[1]] * 15)
    count = torch.bincount(_draw(s, 20000, 2, 0).rows.flatten(), minlength=20).double()
    # Each row is an anchor's in 1 of 20 cases and then its class is drawn from evenly: 2,000 each,
    # with a standard error below 46 and 20 rows: 250 is over 5.4 standard errors.
    assert bool(((count - 2000).abs() < 250).all())


def test_a_slot_that_holds_two_factors_can_stand_for_one_only() -> None:
    s = grid([4, 4], repeats=10)
    both = (s[:, 0] * 4 + s[:, 1])[:, None]
    assert factor_vae_score(s, both).score == pytest.approx(0.5, abs=0.1)
    both_and_one = torch.cat([both, renamed(s[:, :1])], 1)
    assert factor_vae_score(s, both_and_one).score > 0.95


def test_variance_misjudges_nominal_codes_and_impurity_does_not() -> None:
    """Fixing the size leaves the hue's slot with codes that lie close together by name alone."""
    s = grid([2, 6], repeats=40)
    # Slot 0 is hue whose numbers are 0, 1, ... ; slot 1 is size seen through a far-flung code.
    z = torch.stack([s[:, 1], torch.tensor([0, 7])[s[:, 0]]], 1)
    nominal, numeric = factor_vae_score(s, z), factor_vae_score_of_latents(s, z.double())
    assert nominal.score == numeric.score == 1.0  # perfect either way ...
    generator = torch.Generator().manual_seed(0)
    flips = torch.rand(len(s), generator=generator) < 0.12
    z[:, 0] = torch.where(flips, 30, z[:, 0])  # ... but one stray code with a large number
    assert factor_vae_score(s, z).score > 0.95
    assert factor_vae_score_of_latents(s, z.double()).score < 0.9


def test_constant_slots_do_not_vote_and_are_counted() -> None:
    s = grid([3, 3], repeats=20)
    z = torch.cat([torch.zeros_like(s[:, :1]), permuted(s), torch.ones_like(s[:, :1])], 1)
    for found in (factor_vae_score(s, z), factor_vae_score_of_latents(s, z.double())):
        assert found.active.tolist() == [False, True, True, False]
        assert found.score == 1.0
    collapsed = factor_vae_score(s, torch.zeros_like(s))
    assert not bool(collapsed.active.any())
    assert collapsed.score == pytest.approx(collapsed.chance, abs=0.1)


def test_continuous_latents_are_scored_as_published(device: torch.device) -> None:
    s = draw(800, [4, 5, 6], 0).to(device)
    noise = torch.rand(800, 3, generator=torch.Generator().manual_seed(0)).to(device) * 0.1
    latents = (s.double() + noise)[:, [2, 0, 1]] * torch.tensor([9.0, -1.0, 0.1]).to(device)
    assert factor_vae_score_of_latents(s, latents).score == 1.0
    assert beta_vae_score_of_latents(s, latents).score == 1.0
    a, b = (s[:, :2].double() / s[:, :2].double().std(0)).unbind(1)
    turned = torch.stack([a + b, a - b], 1)  # by 45 degrees: both hold still half, either way
    assert factor_vae_score_of_latents(s[:, :2], turned).score < 0.7


def test_beta_vae_score_is_weak_where_slots_only_move_differently() -> None:
    """A rotation of bits: slots are mixtures, and yet the score is perfect."""
    s = grid([2, 2, 2], repeats=20)
    z = torch.stack([s[:, 0] + 2 * s[:, 1], s[:, 1] + 2 * s[:, 2], s[:, 2] + 2 * s[:, 0]], 1)
    assert beta_vae_score(s, z).score > 0.95
    assert math.isclose(beta_vae_score(s, z).chance, 1 / 3)


def test_a_single_factor_needs_no_vote() -> None:
    s = draw(100, [3], 0)
    assert factor_vae_score(s, s).score == beta_vae_score(s, s).score == 1.0
