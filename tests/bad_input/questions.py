"""Questions that cannot be answered."""

from __future__ import annotations

import torch

from ctvae.errors import (
    CodeError,
    CTVAEError,
    EvidenceError,
    ShapeError,
    StateSpaceError,
    UnknownSlotError,
)
from tests.bad_input.subjects import Case, anything

__all__ = ["QUESTIONS"]

T = torch.tensor
META = torch.zeros(2, dtype=torch.long, device="meta")
TWO, THREE = {"b": T([0, 1])}, {"b": T([0, 1]), "c": T([0, 1, 2])}
NEVER = {"a": 0, "b": 0}
GRID = "the function failed on the grid of codes [2]"
NO_COUNT = "num_samples= takes an integer of at least"

QUESTIONS: dict[str, Case] = {
    "a query of nothing": (lambda s: s.small.query([]), CTVAEError, ("each slot once", "got []")),
    "a query of half a slot": (
        lambda s: s.small.query(anything(1.5)),
        UnknownSlotError,
        ("slot 1.5", "slots: a, b, c, d", "0 to 3"),
    ),
    "a query of an unknown slot": (
        lambda s: s.wide.query("s5x"),
        UnknownSlotError,
        ("'s5x'", "did you mean 's5'?"),
    ),
    "evidence that is no mapping": (
        lambda s: s.small.query("a", anything([("b", 1)])),
        CTVAEError,
        ("given=", "such as {'hue': 5}", "got [('b', 1)]"),
    ),
    "evidence that is a bool": (
        lambda s: s.small.query("a", {"b": True}),
        CodeError,
        ("slot 'b'", "codes 0..2", "got True (bool)"),
    ),
    "evidence without numbers": (
        lambda s: s.small.query("a", {"b": META}),
        CodeError,
        ("slot 'b'", "device meta"),
    ),
    "evidence that cannot be": (
        lambda s: s.zeros.query("a", NEVER),
        EvidenceError,
        ("evidence on a, b", "probability zero"),
    ),
    "evidence against do": (
        lambda s: s.small.do({"b": 1}).query("a", {"b": 0}),
        EvidenceError,
        ("evidence on b", "probability zero"),
    ),
    "evidence against do in one world": (
        lambda s: s.done.query("a", {"b": 0}),
        EvidenceError,
        ("evidence on b", "first at row 1"),
    ),
    "too large a table": (
        lambda s: s.wide.query(s.wide.slots.names),
        StateSpaceError,
        ("1.21e+24 entries", "budget 6.71e+07", "estimate()"),
    ),
    "log_prob of floats": (
        lambda s: s.small.log_prob(torch.zeros(4)),
        CodeError,
        ("integers", "torch.float32", "a slot is finite"),
    ),
    "log_prob of other worlds": (
        lambda s: s.done.log_prob(s.rows),
        ShapeError,
        ("2 worlds, one per row", "got codes (10, 4)"),
    ),
    "log_prob of no numbers": (
        lambda s: s.small.log_prob(torch.zeros(4, dtype=torch.long, device="meta")),
        CodeError,
        ("device meta",),
    ),
    "log_evidence of two batches": (
        lambda s: s.small.log_evidence(THREE),
        ShapeError,
        ("one batch length", "got [2, 3]"),
    ),
    "explanations of two batches": (
        lambda s: s.small.most_probable(THREE),
        ShapeError,
        ("one batch length", "got [2, 3]"),
    ),
    "explanations of the impossible": (
        lambda s: s.zeros.most_probable(NEVER),
        EvidenceError,
        ("evidence on a, b", "probability zero"),
    ),
    "explanations beyond the budget": (
        lambda s: s.small.most_probable(budget=59),
        StateSpaceError,
        ("60 entries", "budget 59", "raise budget="),
    ),
    "half a draw": (lambda s: s.small.sample(anything(2.5)), ShapeError, (NO_COUNT, "got 2.5")),
    "fewer than no draws": (
        lambda s: s.small.sample(-1, given={"a": 1}),
        ShapeError,
        (NO_COUNT, "at least 0", "got -1"),
    ),
    "true draws": (lambda s: s.small.sample(True), ShapeError, (NO_COUNT, "got True")),
    "a seed that is a text": (
        lambda s: s.small.sample(3, seed=anything("x")),
        CTVAEError,
        ("seed= takes an integer", "torch.Generator or None", "got 'x'"),
    ),
    "draws of two batches": (
        lambda s: s.small.sample(3, given=THREE),
        ShapeError,
        ("one batch length", "got [2, 3]"),
    ),
    "draws beside worlds": (
        lambda s: s.done.sample(3, given={"a": T([0, 1, 1])}),
        ShapeError,
        ("one batch length", "got [2, 3]"),
    ),
    "draws given the impossible": (
        lambda s: s.zeros.sample(3, given={"a": T([1, 0]), "b": T([1, 0])}),
        EvidenceError,
        ("evidence on a, b", "first at row 1"),
    ),
    "the mean of a number": (
        lambda s: s.small.expectation(anything(3), "a"),
        CTVAEError,
        (GRID, "'int' object is not callable", "for each of 1 slots"),
    ),
    "the mean of a function of more": (
        lambda s: s.small.expectation(lambda a, b: a + b, "a"),
        CTVAEError,
        (GRID, "positional argument: 'b'"),
    ),
    "the mean of another shape": (
        lambda s: s.small.expectation(lambda a: a.new_zeros(7), "a"),
        ShapeError,
        ("one number per entry [2]", "got (7,)"),
    ),
    "an estimate of one draw": (
        lambda s: s.small.estimate("a", num_samples=1),
        ShapeError,
        (NO_COUNT, "at least 2", "got 1"),
    ),
    "an estimate of everything": (
        lambda s: s.wide.estimate(s.wide.slots.names, num_samples=2),
        StateSpaceError,
        ("1.21e+24 entries", "budget 6.71e+07", "sample()"),
    ),
    "an estimate of the impossible": (
        lambda s: s.zeros.estimate("a", NEVER, num_samples=10, seed=0),
        EvidenceError,
        ("none of 10 draws agrees", "ask query()"),
    ),
    "the effect of itself": (
        lambda s: s.small.effect("a", of="a"),
        CTVAEError,
        ("a: set by of=", "neither asked for nor observed"),
    ),
    "all effects in a batch": (
        lambda s: s.small.effects_on("a", TWO),
        ShapeError,
        ("one piece of evidence", "ask row by row"),
    ),
}
