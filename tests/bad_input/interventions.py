"""Interventions that cannot be done."""

from __future__ import annotations

import torch

from ctvae.errors import (
    InterventionError,
    UnknownSlotError,
)
from ctvae.graph.causal_graph import CausalGraph
from ctvae.mechanisms import (
    Conditional,
    Hard,
    PerRow,
    Shift,
    Soft,
    Stochastic,
)
from ctvae.slots import Slot
from tests.bad_input.subjects import NAN, Case, anything, law

__all__ = ["INTERVENTIONS"]

T = torch.tensor
LONG = torch.long
AB = CausalGraph.from_edges([("a", "b")])
SLOTS = [Slot("a", 2), Slot("b", 3)]

INTERVENTIONS: dict[str, Case] = {
    "do of a bool": (
        lambda s: s.small.do({"b": True}),
        InterventionError,
        ("slot 'b'", "integer codes 0..2", "got True (bool)", "finite"),
    ),
    "do of nan": (
        lambda s: s.small.do({"b": anything(NAN)}),
        InterventionError,
        ("'b'", "got nan (float)"),
    ),
    "do of nothing": (
        lambda s: s.small.do({"b": anything(None)}),
        InterventionError,
        ("'b'", "codes 0..2", "got None"),
    ),
    "do of a huge number": (
        lambda s: s.small.do({"b": 10**30}),
        InterventionError,
        ("'b'", "codes 0..2", "got 1000"),
    ),
    "do of half a slot": (
        lambda s: s.small.do({anything(1.5): 1}),
        UnknownSlotError,
        ("slot 1.5", "slots: a, b, c, d", "0 to 3"),
    ),
    "do of a bool slot": (
        lambda s: s.small.do(slot=True, value=1),
        UnknownSlotError,
        ("slot True", "indices run from 0 to 3"),
    ),
    "do of a set": (
        lambda s: s.small.do(anything({"b"})),
        InterventionError,
        ("slot= and value=", "{'hue': 5}"),
    ),
    "hard in hard": (
        lambda s: s.small.do({"b": Hard(anything(None))}),
        InterventionError,
        ("'b'", "codes 0..2", "got None"),
    ),
    "a soft law of another shape": (
        lambda s: s.small.do({"b": Soft(law(2))}),
        InterventionError,
        ("slot 'b'", "for parents () and 2 codes", "expected (4, 5) (c, d) and 3"),
    ),
    "a soft law of unknown parents": (
        lambda s: s.small.do({"b": Soft(law(5, 3), ["dd"])}),
        UnknownSlotError,
        ("'dd'", "slots: a, b, c, d", "did you mean 'd'?"),
    ),
    "a soft law of nan": (
        lambda s: s.small.do({"b": Soft(torch.full((4, 5, 3), NAN))}),
        InterventionError,
        ("slot 'b'", "finite numbers"),
    ),
    "a shift by a bool": (
        lambda s: s.small.do({"b": Shift(True, wrap=True)}),
        InterventionError,
        ("Shift of slot 'b'", "whole number of codes", "got True"),
    ),
    "a shift of two axes": (
        lambda s: s.small.do({"b": Shift(torch.zeros(1, 2, dtype=LONG), wrap=True)}),
        InterventionError,
        ("Shift of slot 'b'", "() or (batch,)", "got shape (1, 2)"),
    ),
    "a negative experiment": (
        lambda s: s.small.do({"b": Stochastic([-0.5, 0.5, 1.0])}),
        InterventionError,
        ("Stochastic of slot 'b'", "not negative"),
    ),
    "an experiment of no world": (
        lambda s: s.small.do({"b": Stochastic(torch.zeros(0, 3))}),
        InterventionError,
        ("Stochastic of slot 'b'", "(0, 3)"),
    ),
    "a rule of unknown parents": (
        lambda s: s.small.do({"b": Conditional(lambda c: c % 3, ["cc"])}),
        UnknownSlotError,
        ("'cc'", "did you mean 'c'?"),
    ),
    "a rule of another shape": (
        lambda s: s.small.do({"b": Conditional(lambda c: c.new_zeros(7), ["c"])}),
        InterventionError,
        ("rule of slot 'b'", "shape (4,)", "got shape (7,)"),
    ),
    "a choice that is no intervention": (
        lambda s: s.small.do({"b": PerRow(anything([1.5]), T([0]))}),
        InterventionError,
        ("slot 'b'", "an intervention, a code or None", "got 1.5"),
    ),
    "an index that is a list": (
        lambda s: s.small.do({"b": PerRow([0, 1], anything([0, 1]))}),
        InterventionError,
        ("slot 'b'", "integers (batch,)", "got [0, 1]"),
    ),
    "worlds of two lengths": (
        lambda s: s.done.do({"c": T([0, 1, 2])}),
        InterventionError,
        ("one length", "b: 2, c: 3", "earlier do(...)"),
    ),
}
