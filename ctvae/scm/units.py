"""What can be asked of a unit that was seen in one world: its codes in another."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Self, TypeAlias

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ctvae.errors import CTVAEError, ShapeError
from ctvae.inference.counterfactual import counterfactual, counterfactual_of_some
from ctvae.inference.coupling_fit import CouplingFit
from ctvae.inference.pairs import fit_couplings
from ctvae.inference.structural import abduct_noise, structural_model
from ctvae.inference.variational import PyroModel
from ctvae.mechanisms.couplings import Coupling, Gumbel
from ctvae.mechanisms.interventions import Key
from ctvae.mechanisms.merging import Done
from ctvae.mechanisms.twin import OTHER_WORLD
from ctvae.randomness import Seed
from ctvae.scm.causation import Causation, bounded
from ctvae.scm.questions import Questions
from ctvae.slots import SlotKey

__all__ = ["CouplingChoice", "Units"]

CouplingChoice: TypeAlias = (
    "Coupling | Mapping[str, Coupling] | Mapping[int, Coupling] | Mapping[SlotKey, Coupling] | None"
)
"""How a unit's noise links its codes: one coupling for all slots, or some by name or column."""


class Units(Questions):
    """The questions that join two worlds through the noise of one unit."""

    @abstractmethod
    def do(
        self,
        interventions: Mapping[Key, Done] | Sequence[Mapping[Key, Done]] | None = None,
        *,
        slot: SlotKey | None = None,
        value: Done | None = None,
    ) -> Self:
        """Intervenes: a new model in which slots are set."""

    @abstractmethod
    def twin(self, do: Mapping[Key, Done], *, coupling: CouplingChoice = None) -> Self:
        """Joins this world and another one into a single model of one unit."""

    @abstractmethod
    def in_double(self) -> Self:
        """Gives the same world in float64."""

    def counterfactual(
        self,
        observed: Int[Tensor, "*batch slots"] | Mapping[Key, int | str | Tensor],
        do: Mapping[Key, Done] | Sequence[Mapping[Key, Done]],
        *,
        num_samples: int = 1,
        coupling: CouplingChoice = None,
        seed: Seed = None,
    ) -> Int[Tensor, "*batch num_samples slots"]:
        """Draws what the codes of observed units would have been, had they been treated otherwise.

        Abduction, action, prediction. What links a unit's code in this world with that in the
        other is its noise, and data of separate units say little about it: the coupling is a
        choice. Slots that the intervention does not reach keep their codes, and setting a slot to
        what it was changes nothing, under every coupling.

        Args:
            observed: Units seen in this world: rows of codes; or slot to code or codes
                ``(batch,)``, where only some were seen: each draw completes the unit anew.
            do: What would have been done, in addition to what this world has done: a mapping, or
                one per unit.
            num_samples: Draws per unit.
            coupling: How a unit's noise links its codes, for all slots or by slot; ``Gumbel()``
                where nothing is said.
            seed: For the draws.

        Returns:
            ``(*batch, num_samples, slots)`` int64.

        Raises:
            ShapeError: When worlds per row and units differ in number.
            EvidenceError: When a unit cannot be in this world.

        Example:
            >>> import torch, ctvae as ct
            >>> scm = ct.SCM.from_edges([("a", "b")], cardinality={"a": 2, "b": 2}, seed=0)
            >>> seen = torch.tensor([[0, 1]])
            >>> scm.counterfactual(seen, do={"a": 0}, seed=0).tolist()  # it was 0: nothing changes
            [[[0, 1]]]

        Source: Pearl (2009), theorem 7.1.7; Oberst and Sontag (2019) for Gumbel-max noise.
        """
        factual, world = self.program, self.do(do).program
        link = self._couplings(coupling)
        if isinstance(observed, Mapping):
            return counterfactual_of_some(
                factual, world, self._seen(observed), num_samples, link, seed=seed
            )
        seen = self.slots.check_codes(observed).to(factual.device)
        units = seen.reshape(-1, len(self.slots))
        draws = counterfactual(factual, world, units, num_samples, link, seed=seed)
        return draws.reshape(*seen.shape[:-1], num_samples, len(self.slots))

    def structural_model(self, num_rows: int | None = None) -> PyroModel:
        """Writes this world as a Pyro program with explicit Gumbel noise and deterministic slots.

        It has the law of ``pyro_model()``, and beyond it one noise per unit: worlds that share it
        are worlds of one unit. It is a plain Pyro program, for handlers such as ChiRho's.

        Args:
            num_rows: The size of the plate; one row, or one per world, where ``None``.

        Returns:
            A function without arguments that returns name to codes ``(num_rows,)``; the noise of a
            slot is the site ``slot.noise``, and ``slot.draw`` under a randomised experiment.

        Example:
            >>> import pyro, torch, ctvae as ct
            >>> scm = ct.SCM.from_edges([("a", "b")], cardinality={"a": 2, "b": 2}, seed=0)
            >>> seen = scm.sample(5, seed=0)
            >>> noise = scm.abduct(seen, seed=1)
            >>> again = pyro.condition(scm.structural_model(5), data=noise)()
            >>> bool((torch.stack([again["a"], again["b"]], 1) == seen).all())
            True
        """
        return structural_model(self.program, num_rows)

    def abduct(
        self, observed: Int[Tensor, "batch slots"], *, seed: Seed = None
    ) -> dict[str, Float[Tensor, "batch codes"]]:
        """Draws the Gumbel noise of observed units: the first step of a counterfactual.

        Args:
            observed: Units seen in this world, all of their slots.
            seed: For the draws.

        Returns:
            Site of ``structural_model()`` to noise; running it with this noise gives back the
            units' codes exactly.

        Raises:
            EvidenceError: When a unit cannot be in this world.
            ShapeError: When units and worlds differ in number, or a slot is shifted.
        """
        units = self.slots.check_codes(observed).to(self.program.device)
        return abduct_noise(self.program, units, seed=seed)

    def causation(
        self,
        cause: Mapping[Key, int | str],
        effect: Mapping[Key, int | str],
        *,
        instead: int | str,
        covariates: Sequence[SlotKey] = (),
        coupling: CouplingChoice = None,
    ) -> Causation:
        r"""Gives the probabilities that a cause was necessary, sufficient, or both.

        .. math::
            \mathrm{PN} = P(Y_{x'} \neq y \mid x, y), \quad
            \mathrm{PS} = P(Y_x = y \mid x', Y \neq y), \quad
            \mathrm{PNS} = P(Y_x = y, Y_{x'} \neq y)

        The value is that of the coupling chosen, exact by the twin network; the bounds hold for
        every model with the same observational and interventional laws of covariates, cause and
        effect, hidden confounding included.

        Args:
            cause: The slot and its code x.
            effect: The slot and its code y.
            instead: The other code x' of the cause.
            covariates: Slots before the cause, which tighten the bounds.
            coupling: How a unit's noise links its codes.

        Returns:
            Points and bounds, in float64 whatever the precision of the laws.

        Raises:
            CTVAEError: When not one cause and one effect are named, the codes of the cause are
                equal, or a covariate comes after the cause.

        Example:
            >>> import ctvae as ct
            >>> scm = ct.SCM.from_edges([("x", "y")], cardinality={"x": 2, "y": 2}, seed=1)
            >>> value, lower, upper = scm.causation({"x": 1}, {"y": 1}, instead=0).necessity
            >>> round(value, 3), round(lower, 3), round(upper, 3)
            (0.798, 0.798, 0.941)

        Source: Pearl (2009), chapter 9; Tian and Pearl (2000).
        """
        if isinstance(covariates, str):
            msg = f"covariates= takes a list of slots, got {covariates!r}; write [{covariates!r}]"
            raise CTVAEError(msg)
        both = (cause, effect)
        if not all(isinstance(one, Mapping) and len(one) == 1 for one in both):
            msg = f"one cause and one effect, as {{'x': 1}} and {{'y': 1}}; got {cause}, {effect}"
            raise CTVAEError(msg)
        ((x, x_code),), ((y, y_code),) = self._codes(cause), self._codes(effect)
        other = self._code(x, instead)
        strata = [self.slots.index(key) for key in covariates]
        late = self.program.descendants({x}) & set(strata)
        if other == x_code or x == y or y in strata or late:
            names = [self.slots.names[column] for column in sorted({*late, x, y})]
            msg = (
                "a cause has two different codes, another slot as its effect, and covariates that "
                f"come before it; got codes {x_code} and {other}, and slots {', '.join(names)}"
            )
            raise CTVAEError(msg)
        count = math.prod(self.slots[column].cardinality for column in strata)
        # In float32 the laws of a point would miss the bounds that they should meet.
        model = self.in_double()
        joint = model.query([*strata, x, y]).reshape(count, -1, self.slots[y].cardinality)
        given = joint.sum((1, 2), keepdim=True)
        there = (given > 0).reshape(-1)
        after = model.effect([*strata, y], of=x)
        after = after.reshape(after.shape[0], count, -1).movedim(0, 1)[there] / given[there]
        points = model._causation_points(x, x_code, other, y, y_code, coupling)
        present = [k for k in range(joint.shape[-1]) if k != y_code]
        observed, done = (
            torch.stack([law[..., present].sum(-1), law[..., y_code]], -1)
            for law in (joint[there], after)
        )
        return bounded(points, observed, done, x_code, other)

    def _causation_points(
        self, x: int, x_code: int, other: int, y: int, y_code: int, coupling: CouplingChoice
    ) -> tuple[float, float, float]:
        """PN, PS and PNS: each a plain query of two worlds of one unit."""
        name, effect = self.slots.names[x], self.slots.names[y]
        without = self.twin({name: other}, coupling=coupling)
        with_cause = self.twin({name: x_code}, coupling=coupling)
        between = self.do({name: x_code}).twin({name: other}, coupling=coupling)
        again = effect + OTHER_WORLD if effect + OTHER_WORLD in without.slots.names else effect
        tables = [
            without.query([name, effect, again] if again != effect else [name, effect]),
            with_cause.query([name, effect, again] if again != effect else [name, effect]),
            between.query([effect, again] if again != effect else [effect]),
        ]
        if again == effect:  # the cause does not reach the effect: nothing changes
            return 0.0, 0.0, 0.0
        no = [k for k in range(self.slots[y].cardinality) if k != y_code]
        seen, unseen = tables[0][x_code, y_code], tables[1][other][no]
        return (
            float(seen[no].sum() / seen.sum()),
            float(unseen[:, y_code].sum() / unseen.sum()),
            float(tables[2][y_code][no].sum()),
        )

    def fit_coupling(
        self,
        before: Int[Tensor, "units slots"],
        after: Int[Tensor, "units slots"],
        do: Mapping[Key, Done] | Sequence[Mapping[Key, Done]],
        *,
        misread: float = 0.0,
        otherwise: Coupling | None = None,
        seed: Seed = 0,
    ) -> dict[str, CouplingFit]:
        """Estimates the couplings from pairs of the same units, and tests those with a name.

        Pairs of one unit in two worlds say what data of separate units cannot: how the unit's
        noise links its codes. Each slot that the intervention reaches is fitted on its own, given
        its parents in both worlds.

        Args:
            before: Units seen in this world.
            after: The same units, in the same order, after ``do``.
            do: What was done: one intervention for all, or one per unit.
            misread: The probability that a code is read wrongly; used by the tests.
            otherwise: The coupling for pairs of laws that were not seen; ``None`` to refuse them.
            seed: For the tests' random draws.

        Returns:
            Slot name to fit, for slots that respond. ``{name: fit.coupling}`` is a ``coupling=``.

        Raises:
            ShapeError: When units before and after differ in number, or a law is shifted.

        Example:
            >>> import ctvae as ct
            >>> scm = ct.SCM.from_edges([("a", "b")], cardinality={"a": 2, "b": 3}, seed=1)
            >>> before = scm.sample(2000, seed=0)
            >>> after = scm.counterfactual(before, do={"a": 1}, seed=1)[:, 0]
            >>> fits = scm.fit_coupling(before, after, do={"a": 1})
            >>> fits["b"].test("gumbel").p_value > 0.001
            True
        """
        device = self.program.device
        units = [self.slots.check_codes(codes).to(device) for codes in (before, after)]
        return fit_couplings(
            self.program,
            self.do(do).program,
            *units,
            misread=misread,
            otherwise=otherwise,
            seed=seed,
        )

    def _couplings(self, coupling: CouplingChoice) -> tuple[Coupling, ...]:
        """One coupling per slot."""
        if coupling is None or isinstance(coupling, Mapping):
            chosen = {}
            for key, link in (coupling or {}).items():
                name = self.slots.names[self.slots.index(key)]
                if name in chosen:
                    msg = f"coupling= names slot {name!r} twice"
                    raise CTVAEError(msg)
                chosen[name] = link
                if not isinstance(link, Coupling) or isinstance(link, type):
                    msg = f"coupling= of slot {name!r}: Gumbel(), Monotone() or such, got {link!r}"
                    raise CTVAEError(msg)
            return tuple(chosen.get(name, Gumbel()) for name in self.slots.names)
        if not isinstance(coupling, Coupling) or isinstance(coupling, type):
            msg = f"coupling= takes Gumbel(), Monotone(), Maximal() or a mapping, got {coupling!r}"
            raise CTVAEError(msg)
        return (coupling,) * len(self.slots)

    def _codes(self, codes: Mapping[Key, int | str]) -> list[tuple[int, int]]:
        return [(self.slots.index(key), self._code(key, code)) for key, code in codes.items()]

    def _code(self, key: SlotKey, code: int | str) -> int:
        checked = self.slots.check_value(key, code)
        if checked.ndim:
            msg = f"one code of slot {self.slots[key].name!r}, got {len(checked)}; ask row by row"
            raise ShapeError(msg)
        return int(checked)
