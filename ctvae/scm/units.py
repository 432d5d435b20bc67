"""What can be asked of a unit that was seen in one world: its codes in another."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Self

from jaxtyping import Float, Int
from torch import Tensor

from ctvae.inference.counterfactual import counterfactual, counterfactual_of_some
from ctvae.inference.structural import abduct_noise, structural_model
from ctvae.inference.variational import PyroModel
from ctvae.mechanisms.couplings import Coupling, Gumbel
from ctvae.mechanisms.interventions import Key
from ctvae.mechanisms.merging import Done
from ctvae.randomness import Seed
from ctvae.scm.questions import Questions
from ctvae.slots import SlotKey

__all__ = ["Units"]


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

    def counterfactual(
        self,
        observed: Int[Tensor, "*batch slots"] | Mapping[Key, int | str | Tensor],
        do: Mapping[Key, Done] | Sequence[Mapping[Key, Done]],
        *,
        num_samples: int = 1,
        coupling: Coupling | None = None,
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
            coupling: How a unit's noise links its codes; ``Gumbel()`` where ``None``.
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
        link = Gumbel() if coupling is None else coupling
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
            slot is the site ``slot.noise``.

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
