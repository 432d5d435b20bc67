"""What set actions say of the images after them, in worlds whose slots respond."""

from __future__ import annotations

import torch

from ctvae.data import SetTo, StepBy, Transitions, mini_sprites, transition_pairs
from ctvae.data.imposing import imposed_codes
from ctvae.mechanisms.actions import JointAction, NoAction, SetAction
from ctvae.regimes import Regime


def test_every_image_after_an_action_shows_what_was_set() -> None:
    images = mini_sprites()
    found = imposed_codes(transition_pairs(images, SetTo()))
    assert found is not None
    known = found.codes >= 0
    assert bool(known.any(1).all())  # every image of the grid is reached by some action
    assert torch.equal(found.codes[known], images.factors[known])
    assert found.contradictions == 0


def test_images_before_actions_say_nothing() -> None:
    pairs = Transitions(
        torch.zeros(4, 1, 8, 8),
        torch.tensor([0, 1]),
        torch.tensor([0, 1]),
        torch.tensor([2, 3]),
        (SetAction("low", 0, 0), SetAction("high", 0, 7)),
        Regime.COUNTERFACTUAL,
    )
    found = imposed_codes(pairs)
    assert found is not None
    assert found.codes[:, 0].tolist() == [-1, -1, 0, 1]
    assert found.cardinalities == (2,)


def test_each_part_of_a_joint_action_is_imposed() -> None:
    parts = (SetAction("a=0", 0, 0), SetAction("b=1", 1, 1))
    others = (SetAction("a=1", 0, 1), SetAction("b=0", 1, 0), NoAction("nothing"))
    pairs = Transitions(
        torch.zeros(8, 1, 8, 8),
        torch.arange(4),
        torch.arange(4),
        torch.arange(4, 8),
        (JointAction("both", parts), *others),
        Regime.COUNTERFACTUAL,
    )
    found = imposed_codes(pairs)
    assert found is not None
    assert found.codes[4:].tolist() == [[0, 1], [1, -1], [-1, 0], [-1, -1]]


def test_steps_and_open_targets_impose_nothing() -> None:
    images = mini_sprites()
    assert imposed_codes(transition_pairs(images, StepBy())) is None
    free = tuple(SetAction(f"set {v}", None, v) for v in range(2))
    pairs = Transitions(
        torch.zeros(2, 1, 8, 8), torch.arange(2), torch.arange(2), torch.arange(2), free
    )
    assert imposed_codes(pairs) is None


def test_an_image_set_to_two_values_is_a_contradiction() -> None:
    pairs = Transitions(
        torch.zeros(2, 1, 8, 8),
        torch.tensor([0, 0]),
        torch.tensor([0, 1]),
        torch.tensor([1, 1]),
        (SetAction("low", 0, 0), SetAction("high", 0, 1)),
    )
    found = imposed_codes(pairs)
    assert found is not None
    assert found.contradictions == 1
