"""Slots, graphs, laws and fits that are none."""

from __future__ import annotations

import torch

from ctvae.errors import (
    CodeError,
    GraphError,
    MechanismError,
)
from ctvae.graph.causal_graph import CausalGraph
from ctvae.mechanisms import (
    FunctionMechanism,
    TableMechanism,
)
from ctvae.mechanisms.neural import NeuralMechanism
from ctvae.scm import SCM
from ctvae.slots import Slot, SlotSpace
from tests.bad_input.subjects import NAN, Case, anything, law

__all__ = ["MODELS"]

T = torch.tensor
LONG = torch.long
AB = CausalGraph.from_edges([("a", "b")])
SLOTS = [Slot("a", 2), Slot("b", 3)]

MODELS: dict[str, Case] = {
    "a name that is no text": (
        lambda _: Slot(anything(3), 2),
        CodeError,
        ("slot's name", "non-empty text", "got 3"),
    ),
    "half a code": (
        lambda _: Slot("a", anything(2.5)),
        CodeError,
        ("slot 'a'", "cardinality must be an integer", "got 2.5"),
    ),
    "no codes": (lambda _: Slot("a", 0), CodeError, ("slot 'a'", "at least 1", "got 0")),
    "two slots of one name": (
        lambda _: SlotSpace([Slot("a", 2), Slot("a", 3)]),
        CodeError,
        ("two slots are named 'a'", "unique"),
    ),
    "names of codes": (
        lambda _: Slot("a", 2, states=("x",)),
        CodeError,
        ("slot 'a'", "2 different", "got ('x',)"),
    ),
    "slots as texts": (
        lambda _: SCM(AB, anything(["a", "b"]), {}),
        CodeError,
        ("must be Slot objects", "got 'a'", "ct.Slot('hue', 8)"),
    ),
    "a cycle": (
        lambda _: SCM.from_edges([("a", "b"), ("b", "a")], cardinality={"a": 2, "b": 2}),
        GraphError,
        ("a -> b and b -> a form a 2-cycle", "undirected="),
    ),
    "a self loop": (
        lambda _: SCM.from_edges([("a", "a")], cardinality={"a": 2}),
        GraphError,
        ("a -> a", "self loop"),
    ),
    "an empty model": (
        lambda _: SCM.from_edges([], cardinality={}),
        GraphError,
        ("at least one slot",),
    ),
    "an edge to nowhere": (
        lambda _: SCM.from_edges([("a", "c")], cardinality={"a": 2, "b": 2}),
        GraphError,
        ("a -> c", "no cardinality for slot 'c' (given: a, b)"),
    ),
    "an edge of three": (
        lambda _: SCM.from_edges(anything([("a", "b", "c")]), cardinality={"a": 2}),
        GraphError,
        ("pair of names such as ('shape', 'hue')", "got ('a', 'b', 'c')"),
    ),
    "two devices": (
        lambda _: SCM(AB, SLOTS, {"a": law(2), "b": law(2, 3).to("meta")}),
        MechanismError,
        ("one device", "'a' on cpu, 'b' on meta", ".to(device)"),
    ),
    "no concentration": (
        lambda _: SCM.from_edges([], cardinality={"a": 2}, concentration=NAN),
        MechanismError,
        ("positive concentration", "got (2,) and nan"),
    ),
    "a ragged table": (
        lambda _: TableMechanism([[0.5, 0.5], [1.0]]),
        MechanismError,
        ("numbers (*parent_cardinalities, cardinality)", "got [[0.5, 0.5], [1.0]]"),
    ),
    "an unnormalised table": (
        lambda _: TableMechanism([[0.5, 0.6], [0.5, 0.5]]),
        MechanismError,
        ("sum to one", "off by 0.1", "divide by probs.sum"),
    ),
    "an empty table": (lambda _: TableMechanism(torch.zeros(0)), MechanismError, ("got", "(0,)")),
    "a pseudocount of zero": (
        lambda _: TableMechanism.from_counts([1.0, 2.0], pseudocount=0),
        MechanismError,
        ("pseudocount must be positive, got 0", "unseen rows need one"),
    ),
    "codes of another slot in a fit": (
        lambda _: TableMechanism.fit(T([2]), T([[0]]), cardinality=2, parent_cardinalities=[2]),
        CodeError,
        ("value 2", "slot 'child'", "codes 0..1"),
    ),
    "a function of two parents where there is one": (
        lambda _: FunctionMechanism(lambda a, b: a + b, 2, [2]),
        MechanismError,
        ("failed on the grid", "at [0]", "positional argument: 'b'"),
    ),
    "a function that is none": (
        lambda _: FunctionMechanism(anything(3), 2, [2]),
        MechanismError,
        ("'int' object is not callable",),
    ),
    "a network without units": (
        lambda _: NeuralMechanism(2, [2], width=0),
        MechanismError,
        ("width", "at least 1", "width=0"),
    ),
    "a network of no rows": (
        lambda _: NeuralMechanism.fit(
            torch.zeros(0, dtype=LONG),
            torch.zeros(0, 1, dtype=LONG),
            cardinality=2,
            parent_cardinalities=[2],
        ),
        MechanismError,
        ("got none of 0", "TableMechanism is uniform without rows"),
    ),
}
