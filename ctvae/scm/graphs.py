"""The graph of an SCM: a DAG over exactly its slots."""

from __future__ import annotations

from collections.abc import Iterable

from ctvae.errors import GraphError, did_you_mean
from ctvae.graph.causal_graph import CausalGraph, GraphKind
from ctvae.slots import SlotSpace

__all__ = ["check_graph", "graph_of_slots", "parent_columns"]


def check_graph(graph: CausalGraph, slots: SlotSpace) -> CausalGraph:
    """Checks the graph of an SCM.

    Args:
        graph: What should be a DAG over exactly the slots.
        slots: The columns.

    Returns:
        The graph, its nodes in column order.

    Raises:
        GraphError: When it is none, or there is no slot.
    """
    if not isinstance(graph, CausalGraph):
        msg = f"an SCM needs a CausalGraph, got {graph!r}; ct.CausalGraph.from_edges(...) makes one"
        raise GraphError(msg)
    if graph.kind is not GraphKind.DAG:
        way_out = "one member of the class is graph.consistent_extension()"
        if graph.kind is GraphKind.ADMG:
            way_out = "write hidden causes as slots, or leave them out"
        msg = f"an SCM needs a DAG, got kind {graph.kind.name}; {way_out}"
        raise GraphError(msg)
    if not len(slots):
        msg = "an SCM needs at least one slot"
        raise GraphError(msg)
    missing = sorted(set(slots.names) - set(graph.nodes))
    extra = sorted(set(graph.nodes) - set(slots.names))
    if missing or extra:
        msg = f"graph and slots differ: no node for slots {missing}, no slot for nodes {extra}"
        raise GraphError(msg)
    return graph.reorder(slots.names)


def graph_of_slots(edges: Iterable[tuple[str, str]], slots: SlotSpace) -> CausalGraph:
    """Makes the graph of an SCM from its edges.

    Args:
        edges: Pairs (cause, effect).
        slots: The columns.

    Returns:
        A DAG over exactly the slots.

    Raises:
        GraphError: When an edge has an unknown slot, or edges form a cycle.
    """
    pairs = list(edges)
    named = [pair for pair in pairs if isinstance(pair, tuple) and len(pair) == 2]
    for pair in named:  # the graph tells what is no pair of names
        for name in pair:
            if isinstance(name, str) and name not in slots.names:
                msg = f"edge {pair[0]} -> {pair[1]}: no cardinality for slot {name!r}"
                known = f" (given: {', '.join(slots.names)})"
                raise GraphError(f"{msg}{known}{did_you_mean(name, slots.names)}")
    return CausalGraph.from_edges(directed=pairs, nodes=slots.names)


def parent_columns(graph: CausalGraph, slots: SlotSpace) -> dict[str, tuple[int, ...]]:
    """Finds the columns of every slot's parents.

    Args:
        graph: A DAG, its nodes in column order.
        slots: The columns.

    Returns:
        Slot name to the columns of its parents, increasing.
    """
    return {name: tuple(map(slots.index, graph.parents(name))) for name in slots.names}
