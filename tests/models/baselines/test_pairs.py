"""Baselines of pairs: capabilities, posteriors, counting by hand, what training teaches."""

from __future__ import annotations

import math

import pytest
import torch

from ctvae.data import Transitions
from ctvae.errors import DataError, ShapeError
from ctvae.mechanisms import ShiftAction
from ctvae.models.baselines import (
    Baseline,
    Budget,
    Copying,
    CountedActions,
    HasCodes,
    InverseDynamics,
    Reconstructs,
    RetrievesActions,
    SpatialCounting,
    SupervisedSlots,
    TrainedBaseline,
    count_transitions,
)

from .conftest import Corner

SHORT = Budget(steps=4, images_per_step=16)


def methods(corner: Corner) -> dict[str, Baseline]:
    return {
        "copying": Copying(),
        "inverse dynamics": InverseDynamics(),
        "spatial": SpatialCounting(codes=8),
        "supervised": SupervisedSlots(corner.images.factors, corner.images.space.cardinalities),
    }


@pytest.mark.parametrize("name", ["copying", "inverse dynamics", "spatial", "supervised"])
def test_a_trained_baseline_keeps_its_promises(
    name: str, corner: Corner, device: torch.device
) -> None:
    train, images = corner.train, corner.train.images
    found = methods(corner)[name].train(
        train, validation=corner.validation, budget=SHORT, seed=0, device=device
    )
    assert isinstance(found, TrainedBaseline)
    assert isinstance(found, RetrievesActions)
    log_probs = found.action_log_probs(images[train.before], images[train.after])
    assert log_probs.shape == (len(train), len(train.actions))
    assert log_probs.device.type == device.type
    torch.testing.assert_close(log_probs.exp().sum(1), torch.ones_like(log_probs[:, 0]))
    if isinstance(found, HasCodes):
        codes = found.encode(images[:5])
        assert codes.dtype == torch.long
        assert torch.equal(codes, found.encode((images[:5] * 255).round().to(torch.uint8)))
    if isinstance(found, Reconstructs):
        drawn = found.reconstruct(images[:5])
        assert drawn.shape == images[:5].shape
        assert bool(((drawn >= 0) & (drawn <= 1)).all())


@pytest.mark.parametrize("name", ["inverse dynamics", "spatial", "supervised"])
def test_one_seed_gives_one_model_and_another_another(name: str, corner: Corner) -> None:
    train, images = corner.train, corner.train.images

    def posterior(seed: int) -> torch.Tensor:
        found = methods(corner)[name].train(
            train, validation=corner.validation, budget=SHORT, seed=seed
        )
        assert isinstance(found, RetrievesActions)
        return found.action_log_probs(images[train.before], images[train.after])

    assert torch.equal(posterior(1), posterior(1))
    assert not torch.equal(posterior(1), posterior(2))


def test_copying_is_chance(corner: Corner) -> None:
    found = Copying().train(corner.train, validation=corner.validation, budget=SHORT, seed=0)
    images = corner.train.images[:3]
    expected = torch.full((3, len(corner.train.actions)), -math.log(len(corner.train.actions)))
    torch.testing.assert_close(found.action_log_probs(images, images), expected)
    assert found.num_parameters == 0


def test_parameters_are_counted_by_hand(corner: Corner) -> None:
    found = InverseDynamics().train(
        corner.train, validation=corner.validation, budget=SHORT, seed=0
    )
    state = dict(found.network.named_parameters())
    assert found.num_parameters == sum(math.prod(p.shape) for p in state.values())
    last = found.network.out
    assert last.weight.numel() + last.bias.numel() == 129 * len(corner.train.actions)


def test_supervised_slots_learn_the_factors_they_are_told(corner: Corner) -> None:
    factors = corner.images.factors
    method = SupervisedSlots(factors, corner.images.space.cardinalities)
    budget = Budget(steps=80, images_per_step=32)
    found = method.train(corner.train, validation=corner.validation, budget=budget, seed=0)
    used = corner.train.used_images()
    right = (found.encode(corner.images.images[used]) == factors[used]).all(1)
    assert float(right.double().mean()) > 0.95
    train = corner.train
    log_probs = found.action_log_probs(train.images[train.before], train.images[train.after])
    assert float((log_probs.argmax(1) == train.action).double().mean()) > 0.95


def test_counted_actions_are_bayes_rule_by_hand() -> None:
    generator = torch.Generator().manual_seed(0)
    before, after = (torch.randint(3, (40, 2), generator=generator) for _ in range(2))
    action = torch.randint(2, (40,), generator=generator)
    counts = count_transitions(before, action, after, actions=2, codes=3)
    found = CountedActions(counts, 0.5).log_probs(before[:4], after[:4])
    for row in range(4):
        likelihood = []
        for a in range(2):
            product = 1.0
            for slot in range(2):
                mine = (action == a) & (before[:, slot] == before[row, slot])
                hits = int((mine & (after[:, slot] == after[row, slot])).sum())
                product *= (hits + 0.5) / (int(mine.sum()) + 1.5)
            likelihood.append(product)
        expected = torch.tensor(likelihood).double() / sum(likelihood)
        torch.testing.assert_close(found[row].exp(), expected)


def test_a_code_that_training_did_not_show_tells_nothing() -> None:
    z = torch.tensor([[0], [1]])
    counts = count_transitions(z, torch.tensor([0, 1]), z.flip(0), actions=2, codes=2)
    found = CountedActions(counts, 0.1).log_probs(torch.tensor([[2]]), torch.tensor([[0]]))
    torch.testing.assert_close(found.exp(), torch.full((1, 2), 0.5).double())


def test_pairs_without_labels_are_left_out_of_the_tables() -> None:
    images = torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    rows = torch.tensor([0, 1, 2])
    actions = (ShiftAction("up", None, 1), ShiftAction("down", None, -1))
    pairs = Transitions(images, rows, torch.tensor([0, 1, -1]), rows + 1, actions)
    codes = torch.tensor([[0], [1], [0], [1]])
    found = CountedActions.fit(codes, pairs, pairs, codes)
    counted = count_transitions(codes[:2], torch.tensor([0, 1]), codes[1:3], actions=2, codes=2)
    expected = CountedActions(counted, found.prior_count)
    torch.testing.assert_close(found.tables, expected.tables)
    assert (
        found.prior_count == 0.01
    )  # the tables are right on every pair: the less prior the better


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Budget(steps=3), ShapeError, "steps= takes an integer of at least 4"),
        (lambda: Budget(images_per_step=7), DataError, "must be even"),
    ],
)
def test_bad_budgets(make, error, message) -> None:
    with pytest.raises(error, match=message):
        make()


def test_factors_of_another_pool_are_refused(corner: Corner) -> None:
    method = SupervisedSlots(corner.images.factors[:5], corner.images.space.cardinalities)
    with pytest.raises(ShapeError, match="whole pool"):
        method.train(corner.train, validation=corner.validation, budget=SHORT, seed=0)
