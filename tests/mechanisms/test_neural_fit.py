"""What the fit of a network reaches: closed forms, a smooth law, and counting as the rival."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from ctvae.errors import MechanismError
from ctvae.mechanisms.neural import NeuralMechanism
from ctvae.mechanisms.neural_training import FitSettings, FitStatus
from ctvae.mechanisms.table import TableMechanism

CODES = 64
SPREAD = 4.0


def smooth_law() -> Tensor:
    """P(x | a, b): a discretised bell round a smooth function of two parents, its names shuffled.

    Without the shuffle a network could profit from neighbouring numbers; codes are names.
    """
    angle = 2 * math.pi * torch.arange(CODES, dtype=torch.float64) / CODES
    centre = CODES * (0.5 + 0.25 * angle.sin()[:, None] + 0.2 * angle.cos()[None, :])
    logits = -((torch.arange(CODES) - centre[..., None]) ** 2) / (2 * SPREAD**2)
    generator = torch.Generator().manual_seed(0)
    a, b, x = (torch.randperm(CODES, generator=generator) for _ in range(3))
    return torch.softmax(logits, -1)[a][:, b][..., x]


def rows_from(law: Tensor, count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Draws parents uniformly and the slot from its law."""
    generator = torch.Generator().manual_seed(seed)
    sizes = law.shape[:-1]
    parents = torch.stack([torch.randint(0, n, (count,), generator=generator) for n in sizes], -1)
    probs = law[tuple(parents.unbind(-1))]
    return torch.multinomial(probs, 1, generator=generator)[:, 0], parents


def entropy(law: Tensor) -> float:
    """H(X | parents) under uniform parents, nats."""
    return float(torch.special.entr(law).sum(-1).mean())


def divergence(law: Tensor, table: Tensor) -> float:
    """KL(law || table), mean over the rows of parents, nats: the price of the table on new rows."""
    terms = torch.special.entr(law) + law * table.detach().cpu().double().log()
    return -float(terms.sum(-1).mean())


def fit_smooth(count: int, device: torch.device) -> tuple[NeuralMechanism, TableMechanism]:
    codes, parents = (t.to(device) for t in rows_from(smooth_law(), count, seed=1))
    sizes: dict[str, Any] = {"cardinality": CODES, "parent_cardinalities": [CODES, CODES]}
    prices = {
        pseudocount: TableMechanism.fit(codes, parents, pseudocount=pseudocount, **sizes)
        for pseudocount in (1.0, 0.3, 0.1, 0.03, 0.01)
    }
    best = min(prices.values(), key=lambda table: divergence(smooth_law(), table.table()))
    return NeuralMechanism.fit(codes, parents, seed=0, **sizes), best


def test_few_rows_teach_a_network_more_than_they_teach_a_table(device):
    """3,000 rows for 4,096 rows of parents, against the best pseudocount, chosen by the truth."""
    network, table = fit_smooth(3000, device)
    law = smooth_law()
    priced, counted = divergence(law, network.table()), divergence(law, table.table())
    assert counted > 1.2  # log(64) - H is 1.38: the table knows next to nothing
    assert priced < 0.5 * counted


def test_many_rows_bring_a_network_near_the_law(device):
    network, table = fit_smooth(20_000, device)
    law = smooth_law()
    assert divergence(law, network.table()) < 0.1 < 1 < divergence(law, table.table())
    distance = (network.table().detach().cpu().double() - law).abs().sum(-1).mean() / 2
    assert float(distance) < 0.2  # total variation, mean over the rows of parents


@pytest.mark.statistical
def test_the_held_out_loss_is_the_entropy_of_the_law_and_the_price_of_the_network(device):
    """E[-log q] = H + KL. The rows held out are 2,000, picked by a rule that saw their loss.

    -log q of a row has a standard deviation of about one nat, so the mean of 2,000 one of 0.022;
    0.12 is over five of these, a false alarm of 1e-7, with 0.01 for the picking.
    """
    network, _ = fit_smooth(20_000, device)
    record = network.record
    assert record is not None
    expected = entropy(smooth_law()) + divergence(smooth_law(), network.table())
    assert abs(record.held_out - expected) < 0.12
    assert record.status is FitStatus.CONVERGED
    assert record.held_out == min(record.held_out_history)
    assert len(record.held_out_history) == len(record.history) + 1
    assert record.held_out_history[0] == pytest.approx(math.log(CODES), abs=0.2)


def test_one_parent_row_gives_the_frequencies():
    """With one row of parents the maximum of the likelihood is known: the frequencies."""
    codes = torch.tensor([0] * 500 + [1] * 300 + [2] * 200)
    law = NeuralMechanism.fit(
        codes,
        torch.empty((1000, 0), dtype=torch.long),
        cardinality=3,
        parent_cardinalities=[],
        settings=FitSettings(validation_fraction=0.0, epochs=100, learning_rate=1e-3),
        seed=0,
    )
    expected = torch.tensor([0.5, 0.3, 0.2])
    torch.testing.assert_close(law.table().detach(), expected, rtol=0, atol=0.02)
    assert law.record is not None
    assert law.record.status is FitStatus.EPOCHS_REACHED
    assert math.isnan(law.record.held_out)
    assert law.record.held_out_history == ()


def test_weights_count_rows():
    """Half the rows say 0 and half say 1; weights of 3 to 1 make it three to one."""
    codes = torch.tensor([0, 1]).repeat(1000)
    weights = torch.tensor([3.0, 1.0]).repeat(1000)
    law = NeuralMechanism.fit(
        codes,
        torch.zeros(2000, 1, dtype=torch.long),
        cardinality=2,
        parent_cardinalities=[1],
        weights=weights,
        seed=0,
    )
    expected = torch.tensor([[0.75, 0.25]])
    torch.testing.assert_close(law.table().detach(), expected, rtol=0, atol=0.03)


def test_only_proportions_of_weights_matter_and_rows_of_weight_zero_are_not_there():
    codes, parents = rows_from(smooth_law()[:4, :4], 300, seed=3)
    sizes: dict[str, Any] = {"cardinality": CODES, "parent_cardinalities": [4, 4]}
    short: dict[str, Any] = {"settings": FitSettings(epochs=3), "seed": 0}
    plain = NeuralMechanism.fit(codes, parents, **sizes, **short).table()
    ones = torch.full((300,), 4.0)
    scaled = NeuralMechanism.fit(codes, parents, weights=ones, **sizes, **short).table()
    assert torch.equal(plain, scaled)
    more = torch.cat([codes, torch.zeros(50, dtype=torch.long)])
    more_parents = torch.cat([parents, torch.zeros(50, 2, dtype=torch.long)])
    weights = torch.cat([ones, torch.zeros(50)])
    padded = NeuralMechanism.fit(more, more_parents, weights=weights, **sizes, **short).table()
    assert torch.equal(plain, padded)


def test_equal_seeds_give_equal_fits_and_others_do_not(device):
    codes, parents = (t.to(device) for t in rows_from(smooth_law()[:5, :5], 400, seed=4))
    tables = [
        NeuralMechanism.fit(
            codes,
            parents,
            cardinality=CODES,
            parent_cardinalities=[5, 5],
            settings=FitSettings(epochs=3),
            seed=seed,
        ).table()
        for seed in (0, 0, 1)
    ]
    assert torch.equal(tables[0], tables[1])
    assert not torch.equal(tables[0], tables[2])


def test_one_row_is_enough_for_a_fit():
    law = NeuralMechanism.fit(
        torch.tensor([1]),
        torch.tensor([[0, 2]]),
        cardinality=2,
        parent_cardinalities=[2, 3],
        settings=FitSettings(epochs=60),
        seed=0,
    )
    assert float(law.log_probs(torch.tensor([0, 2]))[1]) > math.log(0.9)


def test_a_fit_leaves_the_callers_tensors_alone():
    codes, parents = rows_from(smooth_law()[:3, :3], 100, seed=5)
    before = (codes.clone(), parents.clone())
    with torch.no_grad():  # a fit turns gradients on for itself alone
        NeuralMechanism.fit(
            codes,
            parents,
            cardinality=CODES,
            parent_cardinalities=[3, 3],
            settings=FitSettings(epochs=1),
            seed=0,
        )
    assert torch.equal(codes, before[0])
    assert torch.equal(parents, before[1])


def test_a_learning_rate_that_explodes_is_told():
    codes, parents = rows_from(smooth_law()[:3, :3], 300, seed=6)
    with pytest.raises(MechanismError, match="learning_rate=1e\\+30 is too large"):
        NeuralMechanism.fit(
            codes,
            parents,
            cardinality=CODES,
            parent_cardinalities=[3, 3],
            settings=FitSettings(learning_rate=1e30),
            seed=0,
        )
