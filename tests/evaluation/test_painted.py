"""Scores that need a model, on models whose pictures spell out their codes."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from ctvae.data.images import ImageSet
from ctvae.data.transitions import Transitions
from ctvae.errors import DataError
from ctvae.evaluation import score_edits, score_slots
from ctvae.mechanisms import SetAction
from ctvae.regimes import Regime
from ctvae.slots import Slot, SlotSpace

SIZES = (3, 2, 4)
SPACE = SlotSpace([Slot("shape", 3), Slot("size", 2), Slot("hue", 4)])
ORDER = torch.tensor([2, 0, 1])  # slot k holds factor ORDER[k]
GRID = torch.cartesian_prod(*[torch.arange(k) for k in SIZES])


def paint(codes: Tensor) -> Tensor:
    """One pixel a slot, a shade a code."""
    return (codes.float() / 8)[:, None, None, :]


def read(pictures: Tensor) -> Tensor:
    return (pictures[:, 0, 0] * 8).round().long()


def painted_model(decode: Callable[[Tensor], Tensor] = lambda codes: codes) -> Any:
    """Reads the factors off the picture in another order, and paints what ``decode`` makes."""
    slots = SlotSpace([SPACE[int(k)] for k in ORDER])
    return SimpleNamespace(
        slots=slots,
        encode=lambda images: read(images)[:, ORDER],
        decode=lambda codes, spare: paint(decode(codes)[:, ORDER.argsort()]),
        autoencoder=SimpleNamespace(encode_spare=lambda images: images.new_zeros(len(images), 1)),
    )


class PixelJudge:
    def __init__(self, exist: Tensor = GRID) -> None:
        self.exist = exist

    def read(self, pictures: Tensor, rows: Tensor) -> Tensor:
        return read(pictures)

    def exists(self, factors: Tensor, rows: Tensor) -> Tensor:
        return (factors[:, None] == self.exist).all(2).any(1)


IMAGES = ImageSet(paint(GRID), GRID, SPACE, Regime.EDIT)
PAIRS = Transitions(
    IMAGES.images,
    torch.tensor([0, 0, 0, 0]),
    torch.tensor([0, 1, 0, 1]),
    torch.tensor([8, 4, 0, 12]),  # shape, size, nothing, both
    (SetAction("shape=1", 0, 1), SetAction("size=1", 1, 1)),
)


def test_slots_in_another_order_are_found_and_pairs_counted() -> None:
    found = score_slots(painted_model(), IMAGES, IMAGES, PAIRS)
    assert found.slot_of_factor == ORDER.argsort().tolist()
    assert found.matched_information.tolist() == pytest.approx([1.0] * 3)
    assert found.wrong_codes == [0.0] * 3
    assert [values.tolist() for values in found.value_of_code] == [[0, 1, 2], [0, 1], [0, 1, 2, 3]]
    assert (found.changed, found.changed_exactly_one) == (1.0, 0.5)


def edits(decode: Callable[[Tensor], Tensor], judge: PixelJudge | None = None) -> Any:
    model = painted_model(decode)
    slots = score_slots(model, IMAGES, IMAGES, PAIRS)
    return score_edits(model, IMAGES, judge or PixelJudge(), slots)


def test_perfect_slots_edit_one_factor_each() -> None:
    found = edits(lambda codes: codes)
    assert found.num_edits == len(GRID) * (2 + 1 + 3)
    assert (found.atomicity, found.on_target, found.no_effect) == (1.0, 1.0, 0.0)
    assert (found.reconstruction, found.squared_error) == (1.0, pytest.approx(0.0))


def test_a_slot_that_the_decoder_ignores_has_no_effect() -> None:
    """The hue, slot 0: three of the six edits of an image; only hue 0 is drawn rightly."""

    def ignore(codes: Tensor) -> Tensor:
        return codes * torch.tensor([0, 1, 1])

    found = edits(ignore)
    assert found.reconstruction == pytest.approx(1 / 4)
    # Judged against the true image: where hue is 0 an edit of hue does nothing (3 of 24 edits);
    # where it is not, hue 0 is drawn whatever was asked: atomic, and on target when 0 was asked.
    assert found.no_effect == pytest.approx(3 / 24)
    assert found.on_target == pytest.approx((3 + 3) / 24)
    assert found.atomicity == pytest.approx((3 + 9) / 24)


def test_a_slot_that_drags_another_along_is_not_atomic() -> None:
    """An edit of shape, slot 1, moves the hue with it."""

    def drag(codes: Tensor) -> Tensor:
        hue = (codes[:, 0] + (codes[:, 1] > 0)) % 4
        return torch.cat([hue[:, None], codes[:, 1:]], 1)

    assert edits(drag).atomicity < 0.7
    assert edits(drag).reconstruction == pytest.approx(1 / 3)


def test_edits_without_a_true_picture_are_left_out() -> None:
    kept = GRID[GRID[:, 2] < 2]
    found = edits(lambda codes: codes, PixelJudge(kept))
    # From hue 0 and 1: two shapes, one size, one hue. From hue 2 and 3: hues 0 and 1 alone.
    assert found.num_edits == 12 * (2 + 1 + 1) + 12 * 2
    with pytest.raises(DataError, match="no edit can be judged"):
        edits(lambda codes: codes, PixelJudge(GRID[:0]))
