"""The plain parts of a model of tables, which every exchange format reads and writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor

from ctvae.graph.causal_graph import CausalGraph
from ctvae.mechanisms.table import TableMechanism
from ctvae.slots import Slot, SlotSpace

__all__ = ["ModelParts", "join_parts"]


class ModelParts(NamedTuple):
    """A causal model of tables, in its plain parts.

    Attributes:
        graph: The DAG, its nodes in column order.
        slots: The slots, in column order.
        mechanisms: Name to table, in column order. The parents' axes of a table stand in the order
            of the slots' columns, whatever the order in the file it came from.
    """

    graph: CausalGraph
    slots: SlotSpace
    mechanisms: dict[str, TableMechanism]


def join_parts(
    slots: Sequence[Slot],
    tables: Mapping[str, tuple[Sequence[str], Float[Tensor, "*parents codes"]]],
) -> ModelParts:
    """Joins tables whose parents stand in any order.

    Args:
        slots: The slots, in column order.
        tables: Name to the names of its parents, in the order of the axes, and its probabilities.

    Returns:
        The parts, each table with its parents in column order.

    Raises:
        GraphError: When the parents form a cycle.
        MechanismError: When a table is no conditional law.

    Example:
        >>> import torch
        >>> laws = {"b": (["c", "a"], torch.full((3, 2, 1), 1.0))}
        >>> laws |= {"a": ([], torch.tensor([0.5, 0.5])), "c": ([], torch.tensor([0.2, 0.3, 0.5]))}
        >>> parts = join_parts([Slot("a", 2), Slot("b", 1), Slot("c", 3)], laws)
        >>> parts.mechanisms["b"].parent_cardinalities
        (2, 3)
    """
    space = SlotSpace(slots)
    edges = [(parent, name) for name, (parents, _) in tables.items() for parent in parents]
    graph = CausalGraph.from_edges(edges, nodes=space.names)
    mechanisms = {}
    for name in space.names:
        parents, table = tables[name]
        order = sorted(range(len(parents)), key=lambda axis: space.index(parents[axis]))
        mechanisms[name] = TableMechanism(table.permute(*order, len(order)).contiguous())
    return ModelParts(graph, space, mechanisms)
