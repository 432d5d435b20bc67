"""How far the graph over learned slots is the graph over the factors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from ctvae.errors import GraphError, did_you_mean
from ctvae.graph import CausalGraph, ComparisonRow, compare_graphs, latent_projection

__all__ = ["SlotGraphScores", "factor_graph", "score_slot_graph"]


class SlotGraphScores(NamedTuple):
    """A graph over slots beside the true one over factors.

    Attributes:
        graph: The learned graph over the names of the factors.
        learned: Its distances: SHD, SHD of the CPDAGs, precision and recall, SID, ...
        empty: Those of a graph without edges, which a sparse truth makes look good.
    """

    graph: CausalGraph
    learned: ComparisonRow
    empty: ComparisonRow


def factor_graph(graph: CausalGraph, slot_of_factor: Mapping[str, str]) -> CausalGraph:
    """Reads a graph over slots as one over the factors they stand for.

    Slots that stand for no factor are left out, and what they do to the others is kept (the latent
    projection: such a slot between two others leaves an edge, one that causes two leaves a
    bidirected edge).

    Args:
        graph: A graph over slots.
        slot_of_factor: Factor to its slot, for instance by ``match_slots``.

    Returns:
        A graph over the factors, in the order given.

    Raises:
        GraphError: When a slot is not in the graph or stands for two factors, or a slot to be left
            out has an edge in a graph that is no DAG and no ADMG.

    Example:
        >>> slots = CausalGraph.from_edges([("z2", "z0"), ("z0", "z1")])
        >>> factor_graph(slots, {"hue": "z1", "shape": "z2"})
        CausalGraph(DAG on hue, shape: shape -> hue)
    """
    slots = list(slot_of_factor.values())
    for slot in slots:
        if slot not in graph.nodes:
            msg = f"slot {slot!r} is not in the graph{did_you_mean(slot, graph.nodes)}"
            raise GraphError(msg)
        if slots.count(slot) > 1:
            twice = ", ".join(name for name, own in slot_of_factor.items() if own == slot)
            msg = f"slot {slot!r} stands for several factors ({twice}); match them one to one"
            raise GraphError(msg)
    joined = {slot for pair in graph.skeleton for slot in pair}
    kept = CausalGraph(tuple(s for s in graph.nodes if s in joined.union(slots)), *graph.marks[1:])
    spare = [slot for slot in kept.nodes if slot not in slots]
    kept = latent_projection(kept, spare) if spare else kept
    return kept.reorder(slots).relabel({slot: name for name, slot in slot_of_factor.items()})


def score_slot_graph(
    graph: CausalGraph, truth: CausalGraph, slot_of_factor: Mapping[str, str]
) -> SlotGraphScores:
    """Compares a graph found over learned slots with the true graph over the factors.

    Args:
        graph: A graph over slots, as ``model.slot_graph(...).graph`` gives it.
        truth: The true graph over the factors.
        slot_of_factor: Factor to its slot, matched on other images than those the graph is from.

    Returns:
        The distances, beside those of a graph without edges.

    Raises:
        GraphError: When the factors matched are not those of the true graph.

    Example:
        >>> truth = CausalGraph.from_edges([("shape", "hue"), ("size", "hue")])
        >>> found = CausalGraph.from_edges([("z2", "z0"), ("z0", "z1")])
        >>> scores = score_slot_graph(found, truth, {"shape": "z2", "size": "z1", "hue": "z0"})
        >>> scores.learned.shd, scores.empty.shd
        (1, 2)

    Source: Tsamardinos, Brown and Aliferis (2006) for SHD; see ``compare_graphs`` for the others.
    """
    found = factor_graph(graph, slot_of_factor)
    empty = CausalGraph.from_edges(nodes=truth.nodes)
    rows = compare_graphs({"slots": found, "no edges": empty}, truth=truth).rows
    return SlotGraphScores(found, rows[0], rows[1])
