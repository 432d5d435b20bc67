"""Writing a model down as one reads it in a book: each slot with its causes and its table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch

from ctvae.graph.causal_graph import CausalGraph
from ctvae.mechanisms.table import TableMechanism
from ctvae.scm.model import SCM
from ctvae.slots import Slot

__all__ = ["NO_YES", "Law", "write_model"]

NO_YES = ("no", "yes")


class Law(NamedTuple):
    """How a slot comes by its code.

    Attributes:
        states: The names of its codes.
        causes: Its causes, in the order of the table's axes, which is that of the slots.
        table: Nested probabilities ``(codes of each cause, codes)``.
    """

    states: Sequence[str]
    causes: Sequence[str]
    table: Sequence[Any]


def write_model(laws: Mapping[str, Law]) -> SCM:
    """Makes a model of the laws of its slots, causes before effects.

    Args:
        laws: Slot name to law; the order is that of the columns.

    Returns:
        The model, its tables in float64.
    """
    names = list(laws)
    edges = []
    for name, law in laws.items():
        places = [names.index(cause) for cause in law.causes]
        assert places == sorted(places), f"the causes of {name} stand in the order of the slots"
        assert all(place < names.index(name) for place in places), f"causes stand before {name}"
        edges += [(cause, name) for cause in law.causes]
    slots = [Slot(name, len(law.states), tuple(law.states)) for name, law in laws.items()]
    tables = {
        name: TableMechanism(torch.tensor(law.table, dtype=torch.float64))
        for name, law in laws.items()
    }
    return SCM(CausalGraph.from_edges(edges, nodes=names), slots, tables)
