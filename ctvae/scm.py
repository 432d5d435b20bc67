"""The structural causal model over slots: a distribution of which ``do`` gives another."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ctvae.errors import CTVAEError, FormatError, GraphError, MechanismError, RegimeError
from ctvae.graph.causal_graph import CausalGraph, GraphKind
from ctvae.inference import exact, sampling
from ctvae.mechanisms.base import Mechanism
from ctvae.mechanisms.interventions import Hard
from ctvae.mechanisms.program import Program
from ctvae.mechanisms.table import TableMechanism
from ctvae.persistence import load_folder, save_folder, take
from ctvae.randomness import Seed, spawn
from ctvae.regimes import Samples
from ctvae.slots import Slot, SlotKey, SlotSpace

if TYPE_CHECKING:
    from ctvae.inference.variational import PyroModel

__all__ = ["SCM"]


class SCM:
    r"""A structural causal model over finite slots.

    .. math:: P(x) = \prod_k P(x_k \mid x_{\mathrm{pa}(k)})

    Immutable: ``do`` returns a new model over the same mechanisms, with nothing copied. Under a
    hard ``do`` the slot's parents lose all influence on it and its reported value is the forced
    one; its descendants respond, all other slots keep their law.

    Args:
        graph: A DAG over exactly the slots' names.
        slots: The slots, in column order.
        mechanisms: Name to law. A mechanism's parents stand in column order.

    Raises:
        GraphError: When the graph is no DAG over the slots.
        MechanismError: When a mechanism is missing or its cardinalities do not fit.

    Example:
        >>> scm = SCM.from_edges([("shape", "hue")], cardinality={"shape": 3, "hue": 8}, seed=0)
        >>> scm.do(slot="hue", value=5).sample(2, seed=0)[:, 1].tolist()
        [5, 5]
        >>> scm.query("hue", given={"shape": 1}).shape
        torch.Size([8])

    Source: Pearl (2009), chapter 3: truncated factorisation.
    """

    def __init__(
        self,
        graph: CausalGraph,
        slots: Iterable[Slot],
        mechanisms: Mapping[str, Mechanism],
    ) -> None:
        self.slots = slots if isinstance(slots, SlotSpace) else SlotSpace(slots)
        self.graph = _check_graph(graph, self.slots)
        self.mechanisms = {name: _find(mechanisms, name) for name in self.slots.names}
        unknown = sorted(set(mechanisms) - set(self.slots.names))
        if unknown:
            msg = f"mechanisms for {unknown}, which are no slots ({', '.join(self.slots.names)})"
            raise MechanismError(msg)
        for slot in self.slots:
            self._check_mechanism(slot)
        self.interventions: dict[str, Hard] = {}

    def _check_mechanism(self, slot: Slot) -> None:
        mechanism = self.mechanisms[slot.name]
        parents = [self.slots[p].cardinality for p in self.graph.parents(slot.name)]
        got = (tuple(mechanism.parent_cardinalities), mechanism.cardinality)
        if got != (tuple(parents), slot.cardinality):
            names = ", ".join(self.graph.parents(slot.name)) or "no parents"
            msg = (
                f"the mechanism of slot {slot.name!r} is for parents {got[0]} and {got[1]} codes; "
                f"the graph needs {tuple(parents)} ({names}, in column order) and "
                f"{slot.cardinality} codes"
            )
            raise MechanismError(msg)

    def __repr__(self) -> str:
        done = f", do({', '.join(sorted(self.interventions))})" if self.interventions else ""
        return f"SCM({self.slots!r}, {self.graph.num_edges} edges{done})"

    # --- making one --------------------------------------------------------------------------

    @classmethod
    def from_edges(
        cls,
        edges: Iterable[tuple[str, str]],
        *,
        cardinality: Mapping[str, int],
        concentration: float = 0.5,
        seed: Seed = None,
    ) -> SCM:
        """Makes a model with random tables.

        Args:
            edges: Pairs (cause, effect).
            cardinality: Name to number of codes, in column order.
            concentration: Of the Dirichlet law of the rows; below 1 edges are strong.
            seed: For the tables.

        Returns:
            The model.
        """
        slots = SlotSpace.from_cardinalities(cardinality)
        graph = CausalGraph.from_edges(directed=list(edges), nodes=slots.names)
        mechanisms = {
            slot.name: TableMechanism.random(
                slot.cardinality,
                [slots[parent].cardinality for parent in graph.parents(slot.name)],
                concentration=concentration,
                seed=child,
            )
            for slot, child in zip(slots, spawn(seed, len(slots)), strict=True)
        }
        return cls(graph, slots, mechanisms)

    @classmethod
    def fit(
        cls,
        graph: CausalGraph,
        codes: Int[Tensor, "rows slots"] | Samples,
        *,
        slots: Iterable[Slot] | None = None,
        pseudocount: float = 1.0,
    ) -> SCM:
        """Counts the tables of a graph from rows of codes.

        A row in which a slot was set by ``do`` says nothing about that slot's own law and is left
        out of its count, and of no other.

        Args:
            graph: A DAG over the slots.
            codes: Rows of codes; with regime and targets as ``Samples``.
            slots: The columns, for plain codes.
            pseudocount: The prior count of every cell.

        Returns:
            The model.

        Raises:
            RegimeError: When the rows are edits or counterfactual pairs.
            CTVAEError: When plain codes come without slots.

        Cost: one pass over the rows for each slot.
        """
        rows = codes
        if not isinstance(rows, Samples):
            if slots is None:
                msg = "plain codes need slots=[ct.Slot(name, cardinality), ...]"
                raise CTVAEError(msg)
            rows = Samples(rows, slots if isinstance(slots, SlotSpace) else SlotSpace(slots))
        if not rows.regime.independent_rows:
            msg = (
                f"{rows.regime.value} rows are no samples of a causal law (they hold or share what "
                "a law would draw); count observational or interventional rows"
            )
            raise RegimeError(msg)
        space = rows.slots
        graph = _check_graph(graph, space)
        mechanisms = {}
        for column, slot in enumerate(space):
            own = slice(None) if rows.targets is None else ~rows.targets[:, column]
            parents = [space.index(name) for name in graph.parents(slot.name)]
            mechanisms[slot.name] = TableMechanism.fit(
                rows.codes[own, column],
                rows.codes[own][:, parents],
                cardinality=slot.cardinality,
                parent_cardinalities=[space[parent].cardinality for parent in parents],
                pseudocount=pseudocount,
            )
        return cls(graph, space, mechanisms)

    # --- worlds ------------------------------------------------------------------------------

    def do(
        self,
        interventions: Mapping[SlotKey, int | Tensor | Hard] | None = None,
        *,
        slot: SlotKey | None = None,
        value: int | Tensor | None = None,
    ) -> SCM:
        """Intervenes: a new model in which slots are set, whatever their parents.

        A slot done again takes the later value; the order of different slots does not matter.

        Args:
            interventions: Slot to code, codes ``(batch,)`` (one world per row), or ``Hard``.
            slot: One slot, instead of a mapping.
            value: Its code or codes.

        Returns:
            The model of the intervened world.

        Example:
            >>> scm = SCM.from_edges([("a", "b")], cardinality={"a": 2, "b": 2}, seed=0)
            >>> scm.do({"a": 1, "b": 0}).sample(1, seed=0).tolist()
            [[1, 0]]
        """
        plain = None
        if interventions is not None:
            plain = {k: v.value if isinstance(v, Hard) else v for k, v in interventions.items()}
        checked = self.slots.check_assignment(plain, slot=slot, value=value)
        merged = dict(self.interventions)
        merged.update({self.slots.names[column]: Hard(codes) for column, codes in checked.items()})
        # Batches of earlier and later interventions must fit together as well.
        self.slots.check_assignment({name: hard.value for name, hard in merged.items()})
        world = object.__new__(SCM)
        world.slots, world.graph, world.mechanisms = self.slots, self.graph, self.mechanisms
        world.interventions = merged
        return world

    @cached_property
    def program(self) -> Program:
        """This world, packed and cut; made when first asked for."""
        tables, parents, forced = [], [], {}
        for column, slot in enumerate(self.slots):
            table = self.mechanisms[slot.name].table()
            hard = self.interventions.get(slot.name)
            if hard is not None:
                forced[column] = torch.as_tensor(hard.value).to(table.device)
            tables.append(table)
            names = () if hard is not None else self.graph.parents(slot.name)
            parents.append(tuple(self.slots.index(name) for name in names))
        order = tuple(self.slots.index(name) for name in self.graph.topological_order())
        return Program(self.slots, tuple(parents), order, tuple(tables), forced)

    def to(self, device: torch.device | str) -> SCM:
        """Moves the model.

        Args:
            device: Where to.

        Returns:
            The same model on the device.
        """
        moved = object.__new__(SCM)
        moved.slots, moved.graph = self.slots, self.graph
        moved.mechanisms = {name: m.to(device) for name, m in self.mechanisms.items()}
        moved.interventions = self.interventions
        return moved

    # --- questions ---------------------------------------------------------------------------

    def sample(self, num_samples: int, *, seed: Seed = None) -> Int[Tensor, "*n slots"]:
        """Draws rows of codes.

        With equal seeds, slots that an intervention does not reach are equal in every world.

        Args:
            num_samples: How many.
            seed: For the draws.

        Returns:
            ``(num_samples, slots)``, or ``(num_samples, batch, slots)`` where values were done per
            row; int64, columns in slot order.

        Cost: O(rows * slots), by table thresholds.
        """
        return sampling.sample(self.program, num_samples, seed=seed)

    def log_prob(self, codes: Int[Tensor, "*batch slots"]) -> Float[Tensor, "*batch"]:
        """Gives the log-probability of rows in this world.

        Args:
            codes: Rows of codes.

        Returns:
            Nats; ``-inf`` for a row that contradicts a hard ``do``.
        """
        return exact.log_prob(self.program, self.slots.check_codes(codes).to(self.program.device))

    def query(
        self,
        slots: SlotKey | Sequence[SlotKey],
        given: Mapping[SlotKey, int | Tensor] | None = None,
        *,
        budget: int = exact.DEFAULT_BUDGET,
    ) -> Float[Tensor, "*batch_codes"]:
        """Answers a probability query exactly.

        Under ``do`` the evidence is evidence in the intervened world, P(Y_x | Z_x); what would
        have been, given what was seen without the intervention, is a counterfactual.

        Args:
            slots: One slot, or several for their joint law.
            given: Slot to observed code, or codes ``(batch,)``.
            budget: The largest intermediate table allowed, in entries.

        Returns:
            ``(codes,)``, or one axis per slot asked for; the batch first where there is one.

        Raises:
            CTVAEError: When a slot is asked for twice.

        Example:
            >>> scm = SCM.from_edges([("a", "b")], cardinality={"a": 2, "b": 2}, seed=0)
            >>> scm.do(slot="b", value=0).query("b").tolist()
            [1.0, 0.0]
        """
        asked = [slots] if isinstance(slots, int | str) else list(slots)
        columns = [self.slots.index(key) for key in asked]
        if len(set(columns)) < len(columns) or not columns:
            msg = f"a query names each slot once, got {asked}"
            raise CTVAEError(msg)
        device = self.program.device
        seen = {
            self.slots.index(key): self.slots.check_value(key, value).to(device)
            for key, value in (given or {}).items()
        }
        return exact.query(self.program, columns, seen, budget=budget)

    def pyro_model(self, num_rows: int | None = None) -> PyroModel:
        """Writes this world as a plain Pyro program with ``Categorical`` sites in a plate.

        Args:
            num_rows: The size of the plate.

        Returns:
            A function without arguments that returns name to codes.
        """
        from ctvae.inference.variational import pyro_model

        return pyro_model(self.program, num_rows)

    def to_dict(self, codes: Int[Tensor, "*batch slots"]) -> dict[str, Int[Tensor, "*batch"]]:
        """Splits rows of codes by name.

        Args:
            codes: Rows of codes.

        Returns:
            Name to codes.
        """
        return self.slots.to_dict(codes)

    # --- files -------------------------------------------------------------------------------

    def save(self, folder: str | Path) -> Path:
        """Saves the model, its interventions included, as a folder.

        Args:
            folder: Where to; an older saved model there is replaced.

        Returns:
            The folder.
        """
        tensors = {f"table.{name}": m.table() for name, m in self.mechanisms.items()}
        for name, hard in self.interventions.items():
            tensors[f"do.{name}"] = torch.as_tensor(hard.value)
        config = {
            "slots": {slot.name: slot.cardinality for slot in self.slots},
            "edges": sorted(self.graph.directed),
            "interventions": {
                name: list(tensors[f"do.{name}"].shape) for name in self.interventions
            },
        }
        return save_folder(folder, "SCM", config, tensors)

    @classmethod
    def load(cls, folder: str | Path, *, device: torch.device | str = "cpu") -> SCM:
        """Loads a saved model; its answers are the same to the last bit.

        Args:
            folder: A folder written by ``save``.
            device: Where the tables go.

        Returns:
            The model, its mechanisms as tables.

        Raises:
            FormatError: When a tensor is missing or of the wrong shape, or the folder is no model.
        """
        config, tensors = load_folder(folder, "SCM", device=device)
        try:
            slots = SlotSpace.from_cardinalities(config["slots"])
            edges = [(str(a), str(b)) for a, b in config["edges"]]
            graph = CausalGraph.from_edges(directed=edges, nodes=slots.names)
            shapes = {name: tuple(shape) for name, shape in config["interventions"].items()}
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            msg = f"{folder}: config.json does not describe an SCM: {error}"
            raise FormatError(msg) from error
        mechanisms = {}
        for slot in slots:
            parents = (slots[name].cardinality for name in graph.parents(slot.name))
            shape = (*parents, slot.cardinality)
            table = take(tensors, f"table.{slot.name}", shape, folder)
            mechanisms[slot.name] = TableMechanism(table)
        scm = cls(graph, slots, mechanisms)
        if not shapes:
            return scm
        return scm.do({n: take(tensors, f"do.{n}", s, folder) for n, s in shapes.items()})


def _check_graph(graph: CausalGraph, slots: SlotSpace) -> CausalGraph:
    if graph.kind is not GraphKind.DAG:
        msg = (
            f"an SCM needs a DAG, got a {graph.kind.name}; choose a member of the class with "
            "graph.consistent_extension()"
        )
        raise GraphError(msg)
    missing = sorted(set(slots.names) - set(graph.nodes))
    extra = sorted(set(graph.nodes) - set(slots.names))
    if missing or extra:
        msg = f"graph and slots differ: no node for slots {missing}, no slot for nodes {extra}"
        raise GraphError(msg)
    return graph.reorder(slots.names)


def _find(mechanisms: Mapping[str, Mechanism], name: str) -> Mechanism:
    if name not in mechanisms:
        msg = f"slot {name!r} has no mechanism (given: {', '.join(sorted(mechanisms)) or 'none'})"
        raise MechanismError(msg)
    return mechanisms[name]
