"""What edits and worlds of a CTVAE give: pictures beside their codes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ctvae.errors import InterventionError
from ctvae.mechanisms.interventions import Hard
from ctvae.mechanisms.merging import merge_interventions
from ctvae.randomness import Seed, spawn

if TYPE_CHECKING:
    from ctvae.mechanisms.merging import Done
    from ctvae.models.ctvae import CTVAE
    from ctvae.scm import SCM
    from ctvae.scm.units import CouplingChoice
    from ctvae.slots import SlotKey

__all__ = ["Edit", "Pictures", "World"]


class Pictures(NamedTuple):
    """Images and the codes they were drawn from.

    Attributes:
        images: ``(*batch, channels, size, size)`` in [0, 1].
        codes: ``(*batch, slots)``.
    """

    images: Float[Tensor, "*batch channels size size"]
    codes: Int[Tensor, "*batch slots"]


@dataclass(frozen=True)
class Edit:
    """Slots replaced in given images, all others held.

    Attributes:
        model: The model.
        values: Column to code ``()`` or codes ``(batch,)``.
    """

    model: CTVAE
    values: Mapping[int, Tensor]

    def __repr__(self) -> str:
        names = self.model.slots.names
        return "Edit(" + ", ".join(names[column] for column in self.values) + ")"

    @classmethod
    def merged(
        cls,
        model: CTVAE,
        interventions: Mapping[SlotKey, int | str | Tensor] | None,
        *,
        slot: SlotKey | None,
        value: int | str | Tensor | None,
    ) -> Edit:
        """Makes an edit of what ``CTVAE.edit`` takes.

        Args:
            model: The model.
            interventions: Slot to code or its name.
            slot: One slot, instead of a mapping.
            value: Its code.

        Returns:
            The edit.

        Raises:
            InterventionError: When a value is no code of its slot.
        """
        alone = [()] * len(model.slots)
        done = merge_interventions(model.slots, alone, {}, interventions, slot=slot, value=value)
        values: dict[int, Tensor] = {}
        for name, law in done.items():
            if not isinstance(law, Hard):
                msg = f"an edit sets slots to codes, got {law!r} for {name!r}; use do() for a law"
                raise InterventionError(msg)
            values[model.slots.index(name)] = torch.as_tensor(law.value)
        return cls(model, values)

    def codes(self, codes: Int[Tensor, "batch slots"]) -> Int[Tensor, "batch slots"]:
        """Replaces codes.

        Args:
            codes: Codes of the images.

        Returns:
            New codes; all columns but the edited ones are equal.

        Raises:
            InterventionError: When codes per row do not match the number of rows.
        """
        edited = self.model.slots.check_codes(codes).clone()
        for column, value in self.values.items():
            if value.ndim and len(value) != len(edited):
                name = self.model.slots.names[column]
                msg = f"{len(value)} values of slot {name!r} for {len(edited)} images"
                raise InterventionError(msg)
            edited[:, column] = value.to(edited.device)
        return edited

    def generate(self, images: Tensor) -> Pictures:
        """Draws the images as they would be with the slots replaced.

        What no slot holds (pose, background) is kept from the image where the model has a spare
        vector.

        Args:
            images: ``(batch, channels, size, size)``.

        Returns:
            Images and codes, one per image given.
        """
        codes = self.codes(self.model.encode(images))
        spare = self.model.autoencoder.encode_spare(images)
        return Pictures(self.model.decode(codes, spare=spare), codes)


@dataclass(frozen=True)
class World:
    """A CTVAE whose slots follow an intervened law.

    Attributes:
        model: The model.
        scm: The law over its slots in this world.
    """

    model: CTVAE
    scm: SCM

    def __repr__(self) -> str:
        return f"World({self.scm!r})"

    def do(
        self,
        interventions: Mapping[SlotKey, Done] | Sequence[Mapping[SlotKey, Done]] | None = None,
        *,
        slot: SlotKey | None = None,
        value: Done | None = None,
    ) -> World:
        """Intervenes further; a slot done again takes the later value.

        Args:
            interventions: Slot to code or intervention.
            slot: One slot, instead of a mapping.
            value: Its code.

        Returns:
            A new world.
        """
        return World(self.model, self.scm.do(interventions, slot=slot, value=value))

    def generate(
        self,
        images: Tensor,
        *,
        coupling: CouplingChoice = None,
        seed: Seed = None,
    ) -> Pictures:
        """Draws the images as they would have been in this world: counterfactuals.

        Abduction, action, prediction: the codes read off an image are taken as what the unit was,
        its noise links them with this world under the coupling, and what no slot holds (pose,
        background) is kept. Slots that the intervention does not reach keep their codes.

        Args:
            images: ``(batch, channels, size, size)``, of units in the model's own world.
            coupling: How a unit's noise links its codes in both worlds: a choice; ``Gumbel()``
                where ``None``.
            seed: For the draws where slots respond by chance.

        Returns:
            Images and codes, one per image given.

        Raises:
            ShapeError: When worlds per row and images differ in number.
        """
        natural = self.model.scm
        assert natural is not None, "a world is made from a model with an SCM"
        codes = self.model.encode(images)
        drawn = natural.counterfactual(
            codes, do=self.scm.interventions, coupling=coupling, seed=seed
        )[:, 0]
        spare = self.model.autoencoder.encode_spare(images)
        return Pictures(self.model.decode(drawn, spare=spare), drawn)

    def sample(self, num_samples: int, *, seed: Seed = None) -> Pictures:
        """Draws pictures from the interventional law.

        With equal seeds, slots that the intervention does not reach are equal in every world.

        Args:
            num_samples: How many.
            seed: For codes and spare vectors.

        Returns:
            Images and codes, ``(num_samples, ...)``, or ``(num_samples, batch, ...)`` where values
            were given per row.
        """
        for_codes, for_spare = spawn(seed, 2)
        codes = self.scm.sample(num_samples, seed=for_codes)
        spare = self.model.autoencoder.draw_spare(codes[..., 0].numel(), seed=for_spare)
        spare = spare.reshape(*codes.shape[:-1], spare.shape[-1])
        return Pictures(self.model.decode(codes, spare=spare), codes)
