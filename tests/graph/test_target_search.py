"""The regimes that changed a slot's law, against every set of them there is."""

from __future__ import annotations

import math
from itertools import product

import pytest
import torch
from torch import Tensor

from ctvae.errors import RegimeError
from ctvae.graph import OrderMCMC, learn_graph
from ctvae.graph.scores import row_gains
from ctvae.graph.target_search import judge_regimes

CODES, CONFIGURATIONS, ROWS = 2, 2, 60
LOG_ODDS = math.log(1 / 3)


def tables(natural: int, regimes: int, *, count: int, seed: int) -> Tensor:
    """Counts of a binary child of a binary parent, its law changed in some of the regimes."""
    generator = torch.Generator().manual_seed(seed)
    laws = torch.rand(count, CONFIGURATIONS, 1 + regimes, generator=generator)
    kept = torch.rand(count, 1, 1 + regimes, generator=generator) > 0.4
    laws = torch.where(kept, laws[:, :, :1], laws)
    rows = torch.tensor([natural] + [ROWS] * regimes).double()
    first = torch.binomial(
        rows.expand(count, -1), torch.full((), 0.5).double(), generator=generator
    )
    rows = torch.stack([first, rows - first], 1)
    ones = torch.binomial(rows, laws.double(), generator=generator)
    return torch.stack([rows - ones, ones], -1)


def worth(counts: Tensor, changed: Tensor) -> Tensor:
    """The formula of ``UnknownTargetScores`` for one set of regimes each."""
    natural, others = counts[:, :, :1], counts[:, :, 1:]
    pool = natural + (others * ~changed[:, None, :, None]).sum(2, keepdim=True)
    given = row_gains(others, 1 / CONFIGURATIONS).sum(1)
    own = torch.logaddexp(given, row_gains(others.sum(1), 1.0)) - math.log(2) + LOG_ODDS
    return row_gains(pool, 1 / CONFIGURATIONS).sum((1, 2)) + torch.where(changed, own, 0).sum(1)


def judged(counts: Tensor) -> tuple[Tensor, Tensor]:
    return judge_regimes(
        counts, equivalent_sample_size=1.0, configurations=CONFIGURATIONS, log_prior_odds=LOG_ODDS
    )


EXACT = [(natural, regimes, 0.0) for natural in (1, 20, 100) for regimes in (1, 3)]


@pytest.mark.parametrize(("natural", "regimes", "missed"), [*EXACT, (20, 5, 0.02), (100, 5, 0.02)])
def test_no_set_of_regimes_is_better(natural, regimes, missed, device):
    """Met in all tables with up to 3 regimes; with more, a small share may miss the best."""
    counts = tables(natural, regimes, count=300, seed=natural).to(device)
    sets = torch.tensor(list(product([False, True], repeat=regimes)), device=device)
    best = torch.stack([worth(counts, one.expand(300, -1)) for one in sets]).amax(0)
    scores, odds = judged(counts)
    torch.testing.assert_close(worth(counts, odds > 0), scores, rtol=0, atol=1e-9)
    assert bool((scores <= best + 1e-9).all())
    assert float((scores < best - 1e-6).double().mean()) <= missed


def test_no_single_regime_betters_what_is_found(device):
    counts = tables(10, 6, count=300, seed=0).to(device)
    scores, odds = judged(counts)
    for regime in range(6):
        turned = odds > 0
        turned[:, regime] ^= True
        there = worth(counts, turned)
        assert bool((there <= scores + 1e-9).all())
        torch.testing.assert_close(odds[:, regime].abs(), scores - there, rtol=0, atol=1e-8)


def test_the_order_and_the_numbers_of_regimes_change_nothing(device):
    counts = tables(5, 6, count=300, seed=3).to(device)
    order = torch.randperm(6, generator=torch.Generator().manual_seed(0)).to(device)
    scores, odds = judged(counts)
    again, turned = judged(torch.cat([counts[:, :, :1], counts[:, :, 1:][:, :, order]], 2))
    torch.testing.assert_close(again, scores, rtol=0, atol=1e-9)
    torch.testing.assert_close(turned, odds[:, order], rtol=0, atol=1e-8)
    codes = torch.randint(2, (300, 3), generator=torch.Generator().manual_seed(0))
    regimes = torch.arange(300) % 3
    found = [
        learn_graph(codes, regimes=one, method=OrderMCMC(num_samples=0)).target_probabilities
        for one in (regimes, regimes * 10**9)
    ]
    assert found[0] is not None
    assert found[0].shape == (3, 3)
    torch.testing.assert_close(*found)


def test_some_rows_are_the_natural_ones():
    codes = torch.zeros(6, 2, dtype=torch.long)
    with pytest.raises(RegimeError, match="no row has regime 0; number the regime 0"):
        learn_graph(codes, regimes=torch.arange(6) % 2 + 1, method=OrderMCMC())
