"""What can be asked of one world: draws, densities and exact answers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ctvae.errors import CTVAEError
from ctvae.inference import derivatives, elimination, estimation, exact, sampling
from ctvae.inference.contraction import Cost
from ctvae.inference.elimination import Explanation
from ctvae.inference.estimation import Estimate
from ctvae.inference.variational import PyroModel, pyro_model
from ctvae.mechanisms.interventions import Key
from ctvae.mechanisms.program import Program
from ctvae.randomness import Seed
from ctvae.scm.asking import asked_columns, seen_codes, values_of
from ctvae.slots import SlotKey, SlotSpace

__all__ = ["Questions"]


class Questions(ABC):
    """The questions that need no more than the program of one world.

    Attributes:
        slots: The slots, in column order.
    """

    slots: SlotSpace

    @property
    @abstractmethod
    def program(self) -> Program:
        """This world, packed and cut."""

    def sample(
        self,
        num_samples: int,
        *,
        given: Mapping[Key, int | str | Tensor] | None = None,
        budget: int = exact.DEFAULT_BUDGET,
        seed: Seed = None,
    ) -> Int[Tensor, "*n slots"]:
        """Draws rows of codes, exactly from the law of this world, or from that given evidence.

        Without evidence and with equal seeds, slots that an intervention does not reach are equal
        in every world.

        Args:
            num_samples: How many.
            given: Slot to observed code, or codes ``(batch,)``: evidence in this world.
            budget: The largest intermediate table allowed where there is evidence, in entries.
            seed: For the draws.

        Returns:
            ``(num_samples, slots)``, or ``(num_samples, batch, slots)`` where there is one world or
            one piece of evidence per row; int64, columns in slot order.

        Raises:
            EvidenceError: When the evidence has probability zero in this world.
            StateSpaceError: When evidence needs a larger table than the budget.

        Example:
            >>> import ctvae as ct
            >>> scm = ct.SCM.from_edges([("a", "b")], cardinality={"a": 2, "b": 2}, seed=0)
            >>> scm.sample(3, given={"b": 1}, seed=0)[:, 1].tolist()
            [1, 1, 1]
        """
        if not given:
            return sampling.sample(self.program, num_samples, seed=seed)
        return elimination.sample_given(
            self.program, self._seen(given), num_samples, budget=budget, seed=seed
        )

    def log_prob(self, codes: Int[Tensor, "*batch slots"]) -> Float[Tensor, "*batch"]:
        """Gives the log-probability of rows in this world.

        Args:
            codes: Rows of codes.

        Returns:
            Nats; ``-inf`` for a row that contradicts a hard ``do``. Where there is one world per
            row, the codes are ``(..., batch, slots)``, each row in its own world.
        """
        return exact.log_prob(self.program, self.slots.check_codes(codes).to(self.program.device))

    def query(
        self,
        slots: SlotKey | Sequence[SlotKey],
        given: Mapping[Key, int | str | Tensor] | None = None,
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
            ``(codes,)``, or one axis per slot asked for; the batch first where evidence or worlds
            have one. Float64 where any table is.

        Raises:
            CTVAEError: When no slot is asked for, or a slot is named twice.
            EvidenceError: When the evidence has probability zero in this world, as where it
                contradicts a done value.
            StateSpaceError: When the answer needs a larger table than the budget.

        Example:
            >>> import ctvae as ct
            >>> scm = ct.SCM.from_edges([("a", "b")], cardinality={"a": 2, "b": 2}, seed=0)
            >>> scm.do(slot="b", value=0).query("b").tolist()
            [1.0, 0.0]
        """
        return exact.query(self.program, self._asked(slots), self._seen(given), budget=budget)

    def effect(
        self,
        slots: SlotKey | Sequence[SlotKey],
        *,
        of: SlotKey | Sequence[SlotKey],
        given: Mapping[Key, int | str | Tensor] | None = None,
        budget: int = exact.DEFAULT_BUDGET,
    ) -> Float[Tensor, "*batch_causes_codes"]:
        r"""Gives :math:`P(\text{slots} \mid do(\text{of} = x), \text{given})` for every x at once.

        Args:
            slots: One slot, or several for their joint law.
            of: The slot that is set to each of its codes, or several.
            given: Slot to observed code, or codes ``(batch,)``, in the intervened world.
            budget: The largest intermediate table allowed, in entries.

        Returns:
            One axis per cause, then one per slot asked for; the batch first where there is one.

        Raises:
            CTVAEError: When a slot is named twice, or is both a cause and asked for or observed.
            EvidenceError: When the evidence has probability zero under one of the interventions.
            StateSpaceError: When the answer needs a larger table than the budget.

        Example:
            >>> import ctvae as ct
            >>> scm = ct.SCM.from_edges([("a", "b")], cardinality={"a": 2, "b": 3}, seed=0)
            >>> scm.effect("b", of="a").shape
            torch.Size([2, 3])

        Cost: one contraction, whatever the number of codes of the causes.
        """
        asked, causes, seen = self._asked(slots), self._asked(of), self._seen(given)
        both = set(causes) & {*asked, *seen}
        if both:
            names = ", ".join(self.slots.names[column] for column in sorted(both))
            msg = f"{names}: set by of=, so it can be neither asked for nor observed"
            raise CTVAEError(msg)
        return exact.query(self.program, asked, seen, causes=causes, budget=budget)

    def effects_on(
        self,
        slot: SlotKey,
        given: Mapping[Key, int | str | Tensor] | None = None,
        *,
        budget: int = exact.DEFAULT_BUDGET,
    ) -> dict[str, Float[Tensor, "causes codes"]]:
        r"""Gives :math:`P(\text{slot} \mid do(k = x), \text{given})` for every slot k and code x.

        Args:
            slot: The slot asked for.
            given: Slot to observed code, in each of the intervened worlds.
            budget: The largest intermediate table allowed, in entries.

        Returns:
            Slot name to ``(codes of that slot, codes of the slot asked for)``; for the slot asked
            for itself rows of the identity. A row of ``nan`` says that the evidence cannot be
            where that slot is set to that code.

        Raises:
            ShapeError: When there is one world or one piece of evidence per row.
            StateSpaceError: When the answer needs a larger table than the budget.

        Example:
            >>> import ctvae as ct
            >>> edges, sizes = [("a", "b"), ("b", "c")], {"a": 2, "b": 2, "c": 3}
            >>> scm = ct.SCM.from_edges(edges, cardinality=sizes, seed=0)
            >>> {name: tuple(table.shape) for name, table in scm.effects_on("c").items()}
            {'a': (2, 3), 'b': (2, 3), 'c': (3, 3)}

        Source: Darwiche (2003), derivatives of the network polynomial.
        Cost: one contraction and as many derivatives as the slot asked for has codes, whatever
        the number of slots; on 37 slots about a fifth of one ``effect`` per slot.
        """
        tables = derivatives.single_effects(
            self.program, self.slots.index(slot), self._seen(given), budget=budget
        )
        return dict(zip(self.slots.names, tables, strict=True))

    def log_evidence(
        self,
        given: Mapping[Key, int | str | Tensor],
        *,
        budget: int = exact.DEFAULT_BUDGET,
    ) -> Float[Tensor, "*batch"]:
        """Gives the log-probability of evidence on some slots.

        Args:
            given: Slot to observed code, or codes ``(batch,)``.
            budget: The largest intermediate table allowed, in entries.

        Returns:
            Nats, ``()`` or ``(batch,)``; ``-inf`` where the evidence cannot be. It does not
            underflow, however many slots are observed.

        Example:
            >>> import ctvae as ct
            >>> scm = ct.SCM.from_edges([("a", "b")], cardinality={"a": 2, "b": 2}, seed=0)
            >>> bool(scm.log_evidence({"a": 1}).exp().isclose(scm.query("a")[1]))
            True
        """
        return exact.log_evidence(self.program, self._seen(given), budget=budget)

    def most_probable(
        self,
        given: Mapping[Key, int | str | Tensor] | None = None,
        *,
        budget: int = exact.DEFAULT_BUDGET,
    ) -> Explanation:
        """Gives the most probable explanation of evidence: the likeliest whole row.

        Args:
            given: Slot to observed code, or codes ``(batch,)``.
            budget: The largest intermediate table allowed, in entries.

        Returns:
            The row of codes and its log-probability.

        Raises:
            EvidenceError: When the evidence has probability zero in this world.
            StateSpaceError: When the answer needs a larger table than the budget.

        Example:
            >>> import ctvae as ct
            >>> scm = ct.SCM.from_edges([("a", "b")], cardinality={"a": 2, "b": 2}, seed=0)
            >>> scm.do({"a": 1, "b": 0}).most_probable().codes.tolist()
            [1, 0]
        """
        return elimination.most_probable(self.program, self._seen(given), budget=budget)

    def expectation(
        self,
        function: Callable[..., Tensor],
        slots: SlotKey | Sequence[SlotKey],
        given: Mapping[Key, int | str | Tensor] | None = None,
        *,
        budget: int = exact.DEFAULT_BUDGET,
    ) -> Float[Tensor, "*batch"]:
        r"""Gives :math:`E[f(\text{slots}) \mid \text{given}]` exactly.

        Args:
            function: Takes one int64 tensor of codes per slot, all of one shape, and returns a
                real number for each entry; what it gives for codes of probability zero is left out.
            slots: One slot, or several.
            given: Slot to observed code, or codes ``(batch,)``.
            budget: The largest intermediate table allowed, in entries.

        Returns:
            ``()`` or ``(batch,)``.

        Raises:
            CTVAEError: When the function fails, or compares codes with names.
            ShapeError: When the function does not return one number per entry.

        Example:
            >>> import ctvae as ct
            >>> scm = ct.SCM.from_edges([("a", "b")], cardinality={"a": 2, "b": 2}, seed=0)
            >>> float(scm.do({"a": 1, "b": 0}).expectation(lambda a, b: a - b, ["a", "b"]))
            1.0
        """
        columns = self._asked(slots)
        law = self.query(slots, given, budget=budget)
        sizes = [self.slots[column].cardinality for column in columns]
        values = values_of(function, sizes, law)
        # What cannot be does not count, even where the function has no finite value.
        return torch.where(law > 0, law * values, 0).sum(tuple(range(-len(sizes), 0)))

    def estimate(
        self,
        slots: SlotKey | Sequence[SlotKey],
        given: Mapping[Key, int | str | Tensor] | None = None,
        *,
        num_samples: int = 10_000,
        seed: Seed = None,
    ) -> Estimate:
        """Answers a probability query by sampling, with its standard error.

        For models where ``query`` is refused: no table of several slots is made.

        Args:
            slots: One slot, or several for their joint law.
            given: Slot to observed code, or codes ``(batch,)``: evidence in this world.
            num_samples: Draws per answer.
            seed: For the draws.

        Returns:
            The estimate: value, standard error and how many draws it is worth.

        Raises:
            EvidenceError: When no draw agrees with the evidence.

        Example:
            >>> import ctvae as ct
            >>> scm = ct.SCM.from_edges([("a", "b")], cardinality={"a": 2, "b": 2}, seed=0)
            >>> answer = scm.estimate("b", {"a": 1}, seed=0)
            >>> bool(((answer.value - scm.query("b", {"a": 1})).abs() < 0.05).all())
            True
        """
        return estimation.estimate(
            self.program, self._asked(slots), self._seen(given), num_samples, seed=seed
        )

    def query_cost(
        self,
        slots: SlotKey | Sequence[SlotKey],
        given: Mapping[Key, int | str | Tensor] | None = None,
    ) -> Cost:
        """Estimates what ``query`` would cost, without computing it.

        Args:
            slots: One slot, or several for their joint law.
            given: Slot to observed code, or codes ``(batch,)``.

        Returns:
            The largest table, in entries, and the number of operations.

        Example:
            >>> import ctvae as ct
            >>> scm = ct.SCM.from_edges([("a", "b")], cardinality={"a": 2, "b": 3}, seed=0)
            >>> scm.query_cost("b").entries
            6
        """
        return exact.cost(self.program, self._asked(slots), self._seen(given))

    def pyro_model(self, num_rows: int | None = None) -> PyroModel:
        """Writes this world as a plain Pyro program with ``Categorical`` sites in a plate.

        A done slot is observed at its forced value. Counterfactuals are not in this program.

        Args:
            num_rows: The size of the plate; one row, or one per world, where ``None``.

        Returns:
            A function without arguments that returns name to codes ``(num_rows,)``.

        Example:
            >>> import ctvae as ct
            >>> from ctvae.randomness import scoped_seed
            >>> scm = ct.SCM.from_edges([("a", "b")], cardinality={"a": 2, "b": 2}, seed=0)
            >>> with scoped_seed(0):
            ...     scm.do(slot="b", value=1).pyro_model(num_rows=3)()["b"].tolist()
            [1, 1, 1]
        """
        return pyro_model(self.program, num_rows)

    def to_dict(self, codes: Int[Tensor, "*batch slots"]) -> dict[str, Int[Tensor, "*batch"]]:
        """Splits rows of codes by name.

        Args:
            codes: Rows of codes.

        Returns:
            Name to codes.
        """
        return self.slots.to_dict(codes)

    def _asked(self, slots: SlotKey | Sequence[SlotKey]) -> list[int]:
        return asked_columns(self.slots, slots)

    def _seen(self, given: Mapping[Key, int | str | Tensor] | None) -> dict[int, Tensor]:
        """Checks evidence and moves it to the model."""
        return seen_codes(self.slots, given, self.program.device)
