"""The small class that users hold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from html import escape
from types import MappingProxyType

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from ctvae.errors import CTVAEError
from ctvae.graph.causal_graph import CausalGraph
from ctvae.inference.em import learn_tables
from ctvae.inference.learning import Learner, fit_laws
from ctvae.mechanisms.base import Mechanism, check_mechanisms
from ctvae.mechanisms.interventions import Intervention, Key
from ctvae.mechanisms.local_law import LocalLaw
from ctvae.mechanisms.merging import Done, merge_interventions
from ctvae.mechanisms.precision import intervention_in_double, law_in_double
from ctvae.mechanisms.program import Program
from ctvae.mechanisms.table import TableMechanism, random_tables
from ctvae.mechanisms.twin import twin_laws
from ctvae.randomness import Seed
from ctvae.regimes import Samples
from ctvae.scm.exchange import Exchange
from ctvae.scm.graphs import check_graph, graph_of_slots, parent_columns
from ctvae.scm.splitting import split_graph, split_laws, split_slots
from ctvae.scm.units import CouplingChoice, Units
from ctvae.slots import Slot, SlotKey, SlotSpace

__all__ = ["SCM"]


class SCM(Units, Exchange):
    r"""A structural causal model over finite slots.

    .. math:: P(x) = \prod_k P(x_k \mid x_{\mathrm{pa}(k)})

    Immutable: ``do`` returns a new model over the same mechanisms, with nothing copied. Under a
    hard ``do`` the slot's parents lose all influence on it and its reported value is the forced
    one; its descendants respond, all other slots keep their law. A row's probability says nothing
    about what would have happened to one unit: that is a counterfactual, and needs noise.

    Attributes:
        slots: The slots, in column order.
        graph: The DAG of the natural world, its nodes in column order.
        mechanisms: Name to law, in column order; read-only.
        interventions: Name to what was done, in column order; read-only.

    Args:
        graph: A DAG over exactly the slots' names.
        slots: The slots, in column order.
        mechanisms: Name to law. A mechanism's parents stand in column order, whatever the order in
            which the graph lists its nodes.

    Raises:
        GraphError: When the graph is no DAG over exactly the slots, or there is no slot.
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
        self.graph = check_graph(graph, self.slots)
        laws = check_mechanisms(self.slots, self.graph.parents, mechanisms)
        self.mechanisms: Mapping[str, Mechanism] = MappingProxyType(laws)
        self.interventions: Mapping[str, Intervention] = MappingProxyType({})
        parents = parent_columns(self.graph, self.slots)
        self._laws = tuple(LocalLaw(parents[name], law) for name, law in laws.items())
        self._rewritten: dict[str, LocalLaw] = {}

    def __repr__(self) -> str:
        done = ", ".join(f"{name}={law}" for name, law in self.interventions.items())
        edges = f"{self.graph.num_edges} edge{'s' if self.graph.num_edges != 1 else ''}"
        return f"SCM({self.slots!r}, {edges}{f', do({done})' if done else ''})"

    def _repr_html_(self) -> str:
        return f"<p>{escape(repr(self))}</p>{self.graph._repr_html_()}"

    def _done(self, interventions: Mapping[str, Intervention]) -> SCM:
        """Makes another world of this model from interventions that are already checked."""
        other = object.__new__(SCM)
        other.slots, other.graph, other.mechanisms = self.slots, self.graph, self.mechanisms
        other.interventions = MappingProxyType(dict(interventions))
        other._laws = self._laws
        # One intervention, one law: a counterfactual tells by it what differs between two worlds.
        other._rewritten = {
            name: law
            for name, law in self._rewritten.items()
            if interventions.get(name) is self.interventions[name]
        }
        return other

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

        Raises:
            GraphError: When an edge has a slot without cardinality, or edges form a cycle.
            CodeError: When a cardinality is no integer of at least 1.
        """
        slots = SlotSpace.from_cardinalities(cardinality)
        graph = graph_of_slots(edges, slots)
        parents = parent_columns(graph, slots)
        tables = random_tables(slots, parents, concentration=concentration, seed=seed)
        return cls(graph, slots, tables)

    @classmethod
    def fit(
        cls,
        graph: CausalGraph,
        codes: Int[Tensor, "rows slots"] | Samples,
        *,
        slots: Iterable[Slot] | None = None,
        observed: Bool[Tensor, "rows slots"] | None = None,
        mechanism: Learner | type[TableMechanism] = TableMechanism,
        pseudocount: float = 1.0,
        seed: Seed = None,
    ) -> SCM:
        """Learns the laws of a graph from rows of codes; tables by counting, if not told otherwise.

        A row in which a slot was set by ``do`` says nothing about that slot's own law and is left
        out of its count, and of no other. Where entries are missing, the expected counts are found
        by expectation maximisation, and networks by stochastic variational inference;
        ``inference.em.learn_tables`` and ``inference.svi.fit_svi`` also tell how that went. Of a
        slot that no row shows, rows say nothing: its table comes from the prior, and no warning.

        Args:
            graph: A DAG over the slots.
            codes: Rows of codes; with regime and targets as ``Samples``.
            slots: The columns, for plain codes; ``Samples`` bring theirs.
            observed: For plain codes, false where an entry is missing; all are there where
                ``None``.
            mechanism: Another kind of mechanism to fit, such as ``NeuralMechanism``.
            pseudocount: The prior count of every cell of a table.
            seed: For mechanisms whose fit is random.

        Returns:
            The model.

        Raises:
            RegimeError: When the rows are edits or counterfactual pairs.
            CTVAEError: When plain codes come without slots, or ``Samples`` with other ones.

        Example:
            >>> graph = CausalGraph.from_edges([("a", "b")])
            >>> rows = torch.tensor([[0, 0], [1, 1], [1, 1]])
            >>> SCM.fit(graph, rows, slots=[Slot("a", 2), Slot("b", 2)]).query("b", {"a": 1})
            tensor([0.2500, 0.7500], dtype=torch.float64)
        """
        named = None if slots is None else SlotSpace(slots)
        if isinstance(codes, Samples):
            rows = codes.unweighted()
            if observed is not None:
                msg = "Samples bring their own observed=; leave it out of fit()"
                raise CTVAEError(msg)
            if named is not None and named != rows.slots:
                msg = f"slots= says {named!r}, the samples are over {rows.slots!r}; leave slots out"
                raise CTVAEError(msg)
        elif named is None:
            msg = "plain codes need slots=[ct.Slot(name, cardinality), ...]"
            raise CTVAEError(msg)
        else:
            rows = Samples(named.check_codes(codes), named, observed=observed)
        graph = check_graph(graph, rows.slots)
        parents = parent_columns(graph, rows.slots)
        if isinstance(mechanism, type) and issubclass(mechanism, TableMechanism):
            tables = learn_tables(rows, parents, pseudocount=pseudocount).tables
            return cls(graph, rows.slots, tables)
        return cls(graph, rows.slots, fit_laws(rows, parents, mechanism, seed=seed))

    def do(
        self,
        interventions: Mapping[Key, Done] | Sequence[Mapping[Key, Done]] | None = None,
        *,
        slot: SlotKey | None = None,
        value: Done | None = None,
    ) -> SCM:
        """Intervenes: a new model in which slots are set, whatever their parents.

        A slot done again takes the later value; the order of different slots does not matter.
        Nothing but the values is copied, and this model stays as it is.

        Args:
            interventions: Slot to code, name of a code, codes ``(batch,)`` (one world per row) or
                any intervention of ``ctvae.mechanisms.interventions``; or a sequence of such
                mappings, one world each.
            slot: One slot, instead of a mapping.
            value: What it is set to.

        Returns:
            The model of the intervened world.

        Raises:
            UnknownSlotError: When there is no such slot.
            InterventionError: When a value is no code of its slot, or batches differ in length.

        Example:
            >>> scm = SCM.from_edges([("a", "b")], cardinality={"a": 2, "b": 2}, seed=0)
            >>> scm.do({"a": 1, "b": 0}).sample(1, seed=0).tolist()
            [[1, 0]]
            >>> scm.do(slot="b", value=torch.tensor([0, 1])).query("b").tolist()
            [[1.0, 0.0], [0.0, 1.0]]
        """
        parents = [law.parents for law in self._laws]
        return self._done(
            merge_interventions(
                self.slots, parents, self.interventions, interventions, slot=slot, value=value
            )
        )

    @cached_property
    def program(self) -> Program:
        """This world, packed and cut; made when first asked for."""
        laws = list(self._laws)
        for name, done in self.interventions.items():
            column = self.slots.index(name)
            if name not in self._rewritten:
                self._rewritten[name] = done.rewrite(self.slots, laws[column])
            laws[column] = self._rewritten[name]
        return Program.pack(self.slots, laws)

    def to(self, device: torch.device | str) -> SCM:
        """Moves the model.

        Args:
            device: Where to.

        Returns:
            The same model on the device.
        """
        laws = {name: law.to(device) for name, law in self.mechanisms.items()}
        return SCM(self.graph, self.slots, laws)._done(self.interventions)

    def in_double(self) -> SCM:
        """Gives the same world in float64, the rows of its tables summing to one more finely.

        A float32 model answers in float32. A law too large for a table stays as it is.

        Returns:
            The model; this one where all of its laws are in float64.

        Example:
            >>> tables = {"a": TableMechanism(torch.tensor([0.3, 0.7]))}
            >>> scm = SCM(CausalGraph.from_edges(nodes=["a"]), [Slot("a", 2)], tables)
            >>> scm.query("a").dtype, scm.in_double().query("a").dtype
            (torch.float32, torch.float64)
        """
        laws = {name: law_in_double(law) for name, law in self.mechanisms.items()}
        done = {name: intervention_in_double(law) for name, law in self.interventions.items()}
        finer = [*laws.values(), *done.values()]
        held = [*self.mechanisms.values(), *self.interventions.values()]
        if all(one is other for one, other in zip(finer, held, strict=True)):
            return self
        return SCM(self.graph, self.slots, laws)._done(done)

    def swig(self, *, coupling: CouplingChoice = None) -> SCM:
        """Splits every intervened slot: its natural code beside the one its children see.

        The single-world intervention graph. Each intervened slot keeps its law and its name, as
        what it would have been; a new slot ``do(name)`` holds what it is set to, and the children
        listen to that one. ``pyro.do`` has this meaning.

        Args:
            coupling: How a unit's noise links the two halves of a slot that was given another
                mechanism by ``Soft``, for all slots or by slot; ``Gumbel()`` where nothing is said.

        Returns:
            A model over the slots and, after them, ``do(name)`` for each intervened one.

        Raises:
            InterventionError: When what a slot under ``Soft`` would have been depends, by rules
                against the edges, on what it is set to.
            StateSpaceError: When the law of a slot under ``Soft``, or of one below an intervened
                slot, has too many parents for a table.
            CodeError: When a slot is called ``do(name)`` already, as in a split model.

        Example:
            >>> scm = SCM.from_edges([("a", "b")], cardinality={"a": 2, "b": 2}, seed=0)
            >>> split = scm.do(slot="a", value=1).swig()
            >>> bool((split.query("a") == scm.query("a")).all()), split.query("do(a)").tolist()
            (True, [0.0, 1.0])

        Source: Richardson and Robins (2013).
        """
        done = self.interventions
        links = dict(zip(self.slots.names, self._couplings(coupling), strict=True))
        laws, again = split_laws(self.slots, self.graph, self.mechanisms, done, links)
        wide = SCM(split_graph(self.graph, done), split_slots(self.slots, done), laws)
        return wide.do(again)

    def twin(
        self,
        do: Mapping[Key, Done],
        *,
        coupling: CouplingChoice = None,
    ) -> SCM:
        """Joins this world and another one into a single model of one unit: the twin network.

        Every slot that the intervention reaches comes once more, under its name and a prime: its
        code in the other world. Exact counterfactual answers are plain queries of this model, as
        P(b' | a, b): what b would have been, given what was seen.

        Args:
            do: What is done in the other world.
            coupling: How a unit's noise links its codes, for all slots or by slot; ``Gumbel()``
                where nothing is said.

        Returns:
            A model over the slots and their other selves.

        Raises:
            ShapeError: When there is one world per row.
            StateSpaceError: When a slot has too many parents for a table of both worlds.

        Example:
            >>> scm = SCM.from_edges([("a", "b")], cardinality={"a": 2, "b": 2}, seed=0)
            >>> both = scm.twin({"a": 1})
            >>> both.slots.names
            ('a', 'b', "a'", "b'")
            >>> both.query("b'", given={"a": 1, "b": 0}).tolist()  # it was so: nothing changes
            [1.0, 0.0]

        Source: Balke and Pearl (1994).
        """
        factual, world = self.program, self.do(do).program
        slots, laws = twin_laws(factual, world, self._couplings(coupling))
        edges = [(parent, name) for name, (parents, _) in laws.items() for parent in parents]
        graph = CausalGraph.from_edges(edges, nodes=slots.names)
        return SCM(graph, slots, {name: law for name, (_, law) in laws.items()})
