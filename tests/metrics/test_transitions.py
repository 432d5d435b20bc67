"""Changes between rows of codes."""

from __future__ import annotations

import math

import torch

from ctvae.metrics import edit_atomicity, exactly_one_changed, slots_changed, transition_sparsity

BEFORE = torch.tensor([[0, 0, 0], [1, 1, 1], [2, 2, 2]])
AFTER = torch.tensor([[0, 0, 0], [1, 0, 1], [0, 0, 2]])


def test_changes_are_counted() -> None:
    assert slots_changed(BEFORE, AFTER).tolist() == [0, 1, 2]
    named = torch.tensor([0, 1, 0])
    assert exactly_one_changed(BEFORE, AFTER, named).tolist() == [False, True, False]
    assert transition_sparsity(BEFORE, AFTER) == (1.0, 1 / 3, 1 / 3)


def test_collapse_is_not_taken_for_sparsity() -> None:
    """A mean of 1 slot may be one slot each, or none and two by halves."""
    before = torch.zeros(4, 2, dtype=torch.long)
    sparse, collapsed = torch.eye(2).long().repeat(2, 1), torch.ones(4, 2).long()
    collapsed[:2] = 0
    one, other = transition_sparsity(before, sparse), transition_sparsity(before, collapsed)
    assert one.mean_changed == other.mean_changed == 1.0
    assert (one.exactly_one, one.none) == (1.0, 0.0)
    assert (other.exactly_one, other.none) == (0.0, 0.5)


def test_edits_without_effect_are_counted_apart() -> None:
    # no effect; the named factor alone; two at once
    found = edit_atomicity(BEFORE, AFTER, torch.tensor([0, 1, 0]))
    assert found == (1 / 3, 1 / 3, 1 / 2, 1.0)
    wrong = edit_atomicity(BEFORE, AFTER, torch.tensor([0, 0, 0]))
    assert (wrong.atomic, wrong.atomic_of_effective) == (0.0, 0.0)  # another factor alone
    still = edit_atomicity(BEFORE, BEFORE, torch.tensor([0, 1, 0]))
    assert (still.atomic, still.no_effect) == (0.0, 1.0)
    assert math.isnan(still.atomic_of_effective)
