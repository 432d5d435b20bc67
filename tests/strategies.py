"""Random DAGs, slots and SCMs for hypothesis, and the named SCMs of the law tests."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import torch
from hypothesis import strategies as st

from ctvae.graph.causal_graph import CausalGraph
from ctvae.mechanisms.table import TableMechanism
from ctvae.scm import SCM
from ctvae.slots import Slot, SlotSpace
from tests.graph.oracles import dags

__all__ = ["SCMS", "dags", "scms", "slot_spaces"]


@st.composite
def slot_spaces(draw: st.DrawFn, min_slots: int = 1, max_slots: int = 4) -> SlotSpace:
    """Slots of one to four codes."""
    sizes = draw(st.lists(st.integers(1, 4), min_size=min_slots, max_size=max_slots))
    return SlotSpace.from_cardinalities(sizes, prefix="n")


@st.composite
def scms(draw: st.DrawFn, max_slots: int = 4) -> SCM:
    """SCMs whose column order is not their causal order."""
    graph = draw(dags(max_nodes=max_slots))
    count = len(graph.nodes)
    slots = draw(slot_spaces(min_slots=count, max_slots=count))
    return SCM.from_edges(
        sorted(graph.directed),
        cardinality={slot.name: slot.cardinality for slot in slots},
        concentration=draw(st.sampled_from([0.3, 1.0])),
        seed=draw(st.integers(0, 2**20)),
    )


def _chain() -> SCM:
    sizes = {"a": 2, "b": 3, "c": 4}
    return SCM.from_edges([("a", "b"), ("b", "c")], cardinality=sizes, seed=1)


def _backwards() -> SCM:
    """The column order is the reverse of the causal order, and all sizes differ."""
    edges = [("d", "b"), ("d", "c"), ("c", "b"), ("b", "a"), ("c", "a")]
    return SCM.from_edges(edges, cardinality={"a": 2, "b": 3, "c": 4, "d": 5}, seed=2)


def _shuffled_nodes() -> SCM:
    """The graph lists its nodes in another order than the columns."""
    graph = CausalGraph.from_edges([("a", "c"), ("b", "c")], nodes=["c", "b", "a"])
    laws = {
        "a": TableMechanism.random(2, seed=1),
        "b": TableMechanism.random(3, seed=2),
        "c": TableMechanism.random(4, [2, 3], seed=3),
    }
    return SCM(graph, [Slot("a", 2), Slot("b", 3), Slot("c", 4)], laws)


def _zeros() -> SCM:
    """Deterministic rows, and codes of probability zero at both ends."""
    graph = CausalGraph.from_edges([("a", "b")], nodes=["a", "b"])
    b = torch.tensor([[0.0, 1.0, 0.0], [0.0, 0.3, 0.7], [0.6, 0.4, 0.0]], dtype=torch.float64)
    a = torch.tensor([0.2, 0.5, 0.3], dtype=torch.float64)
    laws = {"a": TableMechanism(a), "b": TableMechanism(b)}
    return SCM(graph, [Slot("a", 3), Slot("b", 3)], laws)


def _single_precision() -> SCM:
    scm = _backwards()
    laws = {n: TableMechanism(m.table().float()) for n, m in scm.mechanisms.items()}
    return SCM(scm.graph, scm.slots, laws)


def _dense() -> SCM:
    """Every pair of five slots is joined; the columns are not in causal order."""
    sizes = {"a": 2, "b": 3, "c": 2, "d": 3, "e": 2}
    return SCM.from_edges(list(itertools.combinations("cebad", 2)), cardinality=sizes, seed=3)


def _deterministic() -> SCM:
    """``b`` and ``c`` are functions of their parents: c = (a + b) mod 3."""
    b = torch.eye(3)[[2, 0]]
    c = torch.eye(3)[(torch.arange(2)[:, None] + torch.arange(3)) % 3]
    graph = CausalGraph.from_edges([("a", "b"), ("a", "c"), ("b", "c")])
    laws = {"a": TableMechanism([0.3, 0.7]), "b": TableMechanism(b), "c": TableMechanism(c)}
    return SCM(graph, [Slot("a", 2), Slot("b", 3), Slot("c", 3)], laws)


def _many_codes() -> SCM:
    return SCM.from_edges([("a", "b")], cardinality={"a": 2, "b": 200}, concentration=2.0, seed=4)


def _shared_law() -> SCM:
    """Two slots hold one mechanism object."""
    law = TableMechanism([0.1, 0.9])
    graph = CausalGraph.from_edges(nodes=["a", "b"])
    return SCM(graph, [Slot("a", 2), Slot("b", 2)], {"a": law, "b": law})


def _counted() -> SCM:
    scm = _chain()
    return SCM.fit(scm.graph, scm.sample(500, seed=0), slots=scm.slots)


SCMS: dict[str, Callable[[], SCM]] = {
    "one slot": lambda: SCM.from_edges([], cardinality={"a": 3}, seed=0),
    "isolated slots": lambda: SCM.from_edges([], cardinality={"a": 2, "b": 3}, seed=0),
    "a slot of one code": lambda: SCM.from_edges(
        [("a", "b"), ("b", "c")], cardinality={"a": 2, "b": 1, "c": 3}, seed=0
    ),
    "chain": _chain,
    "fork": lambda: SCM.from_edges(
        [("b", "a"), ("b", "c")], cardinality={"a": 2, "b": 3, "c": 4}, seed=5
    ),
    "collider": lambda: SCM.from_edges(
        [("a", "b"), ("c", "b")], cardinality={"a": 2, "b": 4, "c": 3}, seed=6
    ),
    "five slots, all joined": _dense,
    "functions": _deterministic,
    "many codes": _many_codes,
    "one law twice": _shared_law,
    "columns against causes": _backwards,
    "nodes in another order": _shuffled_nodes,
    "zeros in tables": _zeros,
    "single precision": _single_precision,
    "counted": _counted,
    "done": lambda: _backwards().do(slot="c", value=3),
}
"""Name to constructor. A new way to make an SCM is a new line here, and every law holds it."""
