"""Discrete Bayesian networks of pgmpy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from ctvae.errors import CTVAEError, FormatError
from ctvae.interop.extras import load_extra
from ctvae.interop.parts import ModelParts, join_parts
from ctvae.slots import Slot

__all__ = ["from_pgmpy", "to_pgmpy"]

EXTRA = "baselines"


def to_pgmpy(parts: ModelParts) -> Any:  # noqa: ANN401  # an untyped package, loaded at use
    """Makes pgmpy's ``DiscreteBayesianNetwork``.

    Args:
        parts: The model.

    Returns:
        A network with the same names, edges, state names and float64 tables. Codes without names
        are the integers ``0, 1, ...``, as pgmpy itself has it.

    Raises:
        CTVAEError: When pgmpy is not installed.
    """
    network = load_extra("pgmpy.models", extra=EXTRA).DiscreteBayesianNetwork()
    tabular = load_extra("pgmpy.factors.discrete", extra=EXTRA).TabularCPD
    network.add_nodes_from(parts.slots.names)
    network.add_edges_from(sorted(parts.graph.directed))
    states = {slot.name: list(slot.states or range(slot.cardinality)) for slot in parts.slots}
    for slot in parts.slots:
        parents = parts.graph.parents(slot.name)
        table = parts.mechanisms[slot.name].table().double().cpu()
        cpd = tabular(
            slot.name,
            slot.cardinality,
            table.movedim(-1, 0).reshape(slot.cardinality, -1).numpy(),
            evidence=list(parents),
            evidence_card=list(table.shape[:-1]),
            state_names={name: states[name] for name in (slot.name, *parents)},
        )
        network.add_cpds(cpd)
    return network


def from_pgmpy(model: Any) -> ModelParts:  # noqa: ANN401  # an untyped package, loaded at use
    """Reads pgmpy's ``DiscreteBayesianNetwork``.

    Args:
        model: A network with a ``TabularCPD`` for every node. Where a table lists a parent's
            states in another order than that parent's own table, it is put right by name.

    Returns:
        The slots in the order of the network's nodes, and the tables. State names become texts;
        states that are ``0, 1, ...`` are plain codes without names.

    Raises:
        CTVAEError: When this is no such network.
        FormatError: When a node has no table, or tables contradict each other.
        GraphError: When the edges form a cycle.
        MechanismError: When a table is no conditional law.
    """
    if not hasattr(model, "get_cpds"):
        msg = f"expected a pgmpy DiscreteBayesianNetwork, got {type(model).__name__}"
        raise CTVAEError(msg)
    cpds = {node: _cpd(model, node) for node in model.nodes()}
    slots = [Slot(str(node), len(cpd.values), _names(node, cpd)) for node, cpd in cpds.items()]
    laws = {}
    for node, cpd in cpds.items():
        parents = list(cpd.variables[1:])
        if set(parents) != set(model.predecessors(node)):
            msg = (
                f"{node!r}: its table is given {parents}, its edges come from "
                f"{list(model.predecessors(node))}; give add_cpds the parents of the graph"
            )
            raise FormatError(msg)
        table = torch.as_tensor(cpd.values).movedim(0, -1).double().clone()
        for axis, parent in enumerate(parents):
            table = table.index_select(axis, _order(node, parent, cpd, cpds[parent], table))
        laws[str(node)] = [str(parent) for parent in parents], table
    return join_parts(slots, laws)


def _cpd(model: Any, node: Any) -> Any:  # noqa: ANN401
    cpd = model.get_cpds(node)
    if cpd is None or not hasattr(cpd, "state_names"):
        msg = f"{node!r} has no TabularCPD, got {cpd!r}; add one with add_cpds, or fit the network"
        raise FormatError(msg)
    return cpd


def _states(cpd: Any, node: Any) -> Sequence[Any]:  # noqa: ANN401
    return list(cpd.state_names[node])


def _names(node: Any, cpd: Any) -> tuple[str, ...]:  # noqa: ANN401
    states = _states(cpd, node)
    if states == list(range(len(states))):
        return ()
    return tuple(map(str, states))


def _order(node: Any, parent: Any, cpd: Any, own: Any, table: Float[Tensor, "..."]) -> Tensor:  # noqa: ANN401
    """Where each state of a parent stands in the table of a child."""
    listed, states = _states(cpd, parent), _states(own, parent)
    if len(listed) != len(states) or set(listed) != set(states):
        msg = f"{node!r}: its table is given states {listed} of {parent!r}, which has {states}"
        raise FormatError(msg)
    return torch.tensor([listed.index(state) for state in states], device=table.device)
