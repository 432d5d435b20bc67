"""Single-world intervention graphs: a slot's natural code beside the one it is set to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ctvae.errors import InterventionError
from ctvae.graph.causal_graph import CausalGraph
from ctvae.mechanisms.base import Mechanism, on_device
from ctvae.mechanisms.couplings import Coupling
from ctvae.mechanisms.function import FunctionMechanism
from ctvae.mechanisms.interventions import Intervention
from ctvae.mechanisms.local_law import LocalLaw
from ctvae.mechanisms.per_row import PerRow
from ctvae.mechanisms.replacements import Conditional, Soft
from ctvae.mechanisms.table import TableMechanism
from ctvae.mechanisms.twin import coupled_table
from ctvae.slots import Slot, SlotSpace

__all__ = ["split_graph", "split_laws", "split_name", "split_slots"]


def split_name(name: str) -> str:
    """Names the half of an intervened slot that its children see.

    Args:
        name: The slot.

    Returns:
        ``do(name)``.
    """
    return f"do({name})"


def split_slots(slots: SlotSpace, done: Mapping[str, Intervention]) -> SlotSpace:
    """Adds a slot for each intervened one.

    Args:
        slots: The slots.
        done: Name to intervention.

    Returns:
        The slots, then ``do(name)`` for each intervened one.
    """
    halves = [Slot(split_name(name), slots[name].cardinality, slots[name].states) for name in done]
    return SlotSpace([*slots, *halves])


def split_graph(graph: CausalGraph, done: Mapping[str, Intervention]) -> CausalGraph:
    """Lets the children of each intervened slot listen to its other half.

    Args:
        graph: The natural DAG.
        done: Name to intervention.

    Returns:
        A DAG in which ``do(name)`` copies ``name`` until it is intervened on.
    """
    edges = [(_half(a, done), b) for a, b in graph.directed]
    edges += [(name, split_name(name)) for name in done]
    return CausalGraph.from_edges(edges, nodes=[*graph.nodes, *map(split_name, done)])


def split_laws(
    slots: SlotSpace,
    graph: CausalGraph,
    mechanisms: Mapping[str, Mechanism],
    done: Mapping[str, Intervention],
    couplings: Mapping[str, Coupling],
) -> tuple[dict[str, Mechanism], dict[str, Intervention]]:
    """Rewrites laws and interventions for the split graph.

    Args:
        slots: The slots of the natural graph.
        graph: The natural DAG.
        mechanisms: Name to law.
        done: Name to intervention.
        couplings: For each name, how a unit's noise links what a slot would have been to what
            another mechanism makes of it.

    Returns:
        Name to law, the other halves copying; and what to do to those halves.
    """
    wide = split_slots(slots, done)
    laws: dict[str, Mechanism] = {}
    for name, law in mechanisms.items():
        columns = [wide.index(_half(parent, done)) for parent in graph.parents(name)]
        order = sorted(range(len(columns)), key=lambda k: columns[k])
        if order == list(range(len(order))):
            laws[name] = law
        else:
            laws[name] = TableMechanism(law.table().permute(*order, len(order)))
    for name in done:
        size = slots[name].cardinality
        copy = FunctionMechanism(lambda code: code, size, [size])
        laws[split_name(name)] = copy.to(mechanisms[name].device)
    again = {}
    for name, what in done.items():
        read = tuple(wide.index(_half(parent, done)) for parent in graph.parents(name))
        natural = LocalLaw(read, mechanisms[name])
        again[split_name(name)] = _renamed(name, what, wide, natural, done, couplings[name])
    return laws, again


def _half(name: str, done: Mapping[str, Intervention]) -> str:
    return split_name(name) if name in done else name


def _renamed(
    name: str,
    law: Intervention,
    wide: SlotSpace,
    natural: LocalLaw,
    done: Mapping[str, Intervention],
    coupling: Coupling,
) -> Intervention:
    """The same intervention, reading the halves that children see."""
    match law:
        case Soft(mechanism, parents):
            assert isinstance(mechanism, Mechanism), "a model holds checked interventions"
            read = tuple(wide.index(_half(str(parent), done)) for parent in parents or ())
            new = LocalLaw(read, on_device(mechanism, natural.mechanism.device))
            # The unit keeps its noise, so what it would have been tells about what it becomes.
            scope, table = coupled_table(wide, wide.index(name), natural, new, read, coupling)
            return Soft(table, [wide.names[column] for column in scope])
        case Conditional(rule, parents):
            names = [_half(str(parent), done) for parent in parents]
            assert isinstance(rule, FunctionMechanism), "a model holds checked interventions"
            return Conditional(rule.code_table(), names)
        case PerRow(choices, _):
            renamed: list[Intervention | int | str | None] = []
            for choice in choices:
                if choice is None:
                    renamed.append(None)
                    continue
                if isinstance(choice, int | str):
                    msg = f"an unchecked choice {choice!r}"
                    raise InterventionError(msg)
                renamed.append(_renamed(name, choice, wide, natural, done, coupling))
            return replace(law, choices=renamed)
    return law
