"""Samples: parts that belong together stay together, and bad parts are told."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ctvae.errors import CTVAEError
from ctvae.regimes import Regime, Samples
from ctvae.slots import Slot, SlotSpace

SLOTS = SlotSpace([Slot("a", 2), Slot("b", 3, states=("x", "y", "z")), Slot("c", 4)])
ROWS = 6


def full(seed: int, *, targets: bool) -> Samples:
    """Rows with every part there can be."""
    generator = torch.Generator().manual_seed(seed)
    codes = torch.stack(
        [torch.randint(size, (ROWS,), generator=generator) for size in SLOTS.cardinalities], 1
    )
    masks = torch.rand(2, ROWS, 3, generator=generator) < 0.4
    return Samples(
        codes,
        SLOTS,
        Regime.INTERVENTIONAL,
        masks[0] if targets else None,
        observed=masks[1],
        regimes=None if targets else torch.randint(3, (ROWS,), generator=generator),
        weights=torch.randint(4, (ROWS,), generator=generator),
    )


def units(samples: Samples) -> list[dict[str, object]]:
    """What is said of each row, by the names of the slots."""
    said = []
    for k in range(len(samples)):
        of_row: dict[str, object] = {"regime": samples.regime}
        for part in fields(Samples):
            value = getattr(samples, part.name)
            if not isinstance(value, torch.Tensor):
                continue
            if value.ndim == 1:
                of_row[part.name] = int(value[k])
            else:
                cells = zip(samples.slots, value[k].tolist(), strict=True)
                of_row.update({f"{part.name} of {slot}": cell for slot, cell in cells})
        said.append(of_row)
    return said


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 99),
    targets=st.booleans(),
    rows=st.lists(st.integers(0, ROWS - 1), max_size=9),
    order=st.permutations(range(3)),
)
def test_nothing_known_of_a_row_is_lost(seed, targets, rows, order):
    """Every part is a field, so a part that is added and not taken fails here."""
    samples = full(seed, targets=targets)
    said = units(samples)
    taken = samples.take_rows(torch.tensor(rows, dtype=torch.long))
    assert units(taken) == [said[k] for k in rows]
    mask = torch.zeros(ROWS, dtype=torch.bool)
    mask[rows] = True
    assert units(samples.take_rows(mask)) == [said[k] for k in sorted(set(rows))]
    turned = samples.take_columns(order)
    assert turned.slots == SlotSpace([SLOTS[k] for k in order])
    assert units(turned) == said
    assert units(turned.take_columns(np.argsort(order).tolist())) == said


def test_weights_are_rows_written_again(device):
    samples = full(0, targets=True)
    weights = torch.tensor([0, 2, 1, 0, 3, 1], device=device)
    moved = Samples(samples.codes.to(device), SLOTS, weights=weights)
    written = moved.unweighted()
    assert written.weights is None
    assert moved.num_units == written.num_units == len(written) == 7
    assert torch.equal(written.codes, moved.codes[[1, 1, 2, 4, 4, 4, 5]])
    assert written.unweighted() is written


CODES = torch.zeros(4, 3, dtype=torch.long)
TRUE = torch.ones(4, 3, dtype=torch.bool)
INTERVENTIONAL = Regime.INTERVENTIONAL
BAD = {
    "targets as a list": ({"regime": INTERVENTIONAL, "targets": TRUE.tolist()}, "got list; torch"),
    "targets as an array": ({"regime": INTERVENTIONAL, "targets": TRUE.numpy()}, "got ndarray; "),
    "targets of codes": ({"regime": INTERVENTIONAL, "targets": CODES}, "booleans .* torch.int64"),
    "targets of one slot": ({"regime": INTERVENTIONAL, "targets": TRUE[:, :1]}, r"\(4, 1\)"),
    "targets of no one": ({"regime": INTERVENTIONAL}, "interventional rows need targets"),
    "observational targets": ({"targets": TRUE}, "something was set in 4 observational rows"),
    "observed as a list": ({"observed": TRUE.tolist()}, "observed must be booleans"),
    "regimes as an array": (
        {"regime": INTERVENTIONAL, "regimes": np.zeros(4, int)},
        r"regimes must be integers \(4,\), .* got ndarray; torch.as_tensor",
    ),
    "regimes of floats": ({"regime": INTERVENTIONAL, "regimes": torch.zeros(4)}, "torch.float32"),
    "regimes of natural rows": ({"regimes": CODES[:, 0]}, "got observational rows without targets"),
    "weights of floats": ({"weights": torch.ones(4)}, r"weights must be integers \(4,\)"),
    "weights of some rows": ({"weights": CODES[:3, 0]}, r"got torch.int64 \(3,\)"),
    "negative weights": ({"weights": CODES[:, 0] - 1}, "how many units a row stands for, got -1"),
    "a word for a regime": ({"regime": "observational"}, "regime= takes one of Regime"),
}


@pytest.mark.parametrize(("parts", "told"), BAD.values(), ids=BAD.keys())
def test_bad_parts_are_told(parts, told):
    with pytest.raises(CTVAEError, match=told):
        Samples(CODES, SLOTS, **parts)
