"""CTVAE: images to quantized slots, a causal model over them, and the actions between images."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ctvae.errors import UnknownSlotError
from ctvae.graph.discovery import DiscoveryResult, learn_graph
from ctvae.inference.actions import ActionPosterior, action_posterior
from ctvae.inference.planning import Plan, plan_actions
from ctvae.mechanisms.actions import check_names
from ctvae.mechanisms.couplings import Coupling
from ctvae.mechanisms.merging import Done
from ctvae.mechanisms.transition import TransitionProgram
from ctvae.models.autoencoder import SlotAutoencoder, fitted
from ctvae.models.config import CTVAEConfig, num_slots
from ctvae.models.files import read_model, save_model
from ctvae.models.naming import Naming, name_slots
from ctvae.models.pictures import Edit, World
from ctvae.models.responses import learn_responses, needed_scm, responded
from ctvae.randomness import Seed
from ctvae.regimes import Regime, Samples
from ctvae.scm import SCM
from ctvae.slots import Slot, SlotKey, SlotSpace

if TYPE_CHECKING:
    from ctvae.graph.discovery import DiscoveryMethod

__all__ = ["CTVAE"]


class CTVAE:
    r"""An encoder to slots, a causal model over the slots, and a decoder.

    Each slot is a finite random variable, its code the nearest mode of one number read from the
    image. The model holds two laws over slots: a *transition* law, learned from pairs, says what
    each action does to a unit; an *SCM*, learned from samples and set by ``with_scm``, says how
    slots cause each other. ``fit`` trains in place; everything else leaves the model as it is.

    Args:
        config: Settings.
        seed: For the first weights.

    Raises:
        UnknownSlotError: When targets and slot names do not fit, or targets are missing and the
            actions are no inverse pairs.

    Example:
        >>> from ctvae.mechanisms.actions import ShiftAction
        >>> config = CTVAEConfig(actions=(ShiftAction("+", 0, 1), ShiftAction("-", 0, -1)))
        >>> CTVAE(config, seed=0)
        CTVAE(1 slot, 2 actions, not fitted)

    Source: slots and action retrieval: Gendron, Witbrock, Dobbie (IJCAI 2023); the recipe is ours.
    """

    def __init__(self, config: CTVAEConfig, *, seed: int = 0) -> None:
        self.config = config
        self.actions = check_names(config.actions)
        self.slot_names = config.slots or tuple(f"slot{k}" for k in range(num_slots(config)))
        if len(self.slot_names) != num_slots(config):
            msg = (
                f"{len(config.slots)} slot names for {num_slots(config)} slots (the targets of "
                "the actions count them)"
            )
            raise UnknownSlotError(msg)
        self.states: Mapping[str, tuple[str, ...]] = {}
        self.autoencoder = SlotAutoencoder(
            config.channels,
            config.image_size,
            len(self.slot_names),
            spare=config.spare,
            seed=seed,
        )
        self.transition: TransitionProgram | None = None
        self.scm: SCM | None = None
        self.coupling: Coupling | None = None

    def __repr__(self) -> str:
        if self.transition is None:
            count = len(self.slot_names)
            slots = f"{count} slot{'s' if count != 1 else ''}"
            return f"CTVAE({slots}, {len(self.actions)} actions, not fitted)"
        law = "no SCM yet" if self.scm is None else f"SCM {self.scm.graph!r}"
        return f"CTVAE({self.slots!r}, {len(self.actions)} actions, {law})"

    # --- parts -------------------------------------------------------------------------------

    @property
    def slots(self) -> SlotSpace:
        """The slots of a fitted model, with the names of codes that have them."""
        sizes = self.autoencoder.cardinalities
        return SlotSpace(
            Slot(name, size, self.states.get(name, ()))
            for name, size in zip(self.slot_names, sizes, strict=True)
        )

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.autoencoder.device

    def to(self, device: torch.device | str) -> CTVAE:
        """Moves all parts, in place.

        Args:
            device: Where to.

        Returns:
            The model itself.
        """
        self.autoencoder = copy.deepcopy(self.autoencoder).to(device)  # copies share networks
        self.transition = None if self.transition is None else self.transition.to(device)
        self.scm = None if self.scm is None else self.scm.to(device)
        return self

    # --- images to codes and back ------------------------------------------------------------

    def encode(self, images: Tensor) -> Int[Tensor, "batch slots"]:
        """Reads the codes of images.

        Args:
            images: ``(batch, channels, size, size)``, uint8 or floats in [0, 1].

        Returns:
            Codes in slot order.
        """
        return self.autoencoder.encode(images)

    def decode(
        self, codes: Int[Tensor, "*batch slots"], *, spare: Tensor | None = None
    ) -> Float[Tensor, "*batch channels size size"]:
        """Draws the images of codes.

        Args:
            codes: Codes ``(*batch, slots)``.
            spare: ``(*batch, spare)`` what no slot holds, from ``autoencoder.encode_spare``; its
                mean where ``None``.

        Returns:
            Pixels in [0, 1].
        """
        return self.autoencoder.decode(self.slots.check_codes(codes), spare=spare)

    # --- actions -----------------------------------------------------------------------------

    def retrieve_action(
        self, before: Tensor, after: Tensor, *, length: int = 1, prior: Tensor | None = None
    ) -> ActionPosterior:
        """Infers which actions led from one image to another, exactly.

        Codes are uncertain as the encoder leaves them, and that uncertainty is summed out slot by
        slot. Where the model has learned how slots respond, they do before the action's own law is
        read. Deterministic.

        Args:
            before: Images before, ``(batch, channels, size, size)``.
            after: Images after, of the same units.
            length: The number of actions between the two.
            prior: p(action) ``(actions,)`` or ``(batch, sequences)``; uniform where ``None``.

        Returns:
            The posterior over action sequences, with its evidence.
        """
        law = fitted(self.transition)
        read = [self.autoencoder.encode_log_probs(images).exp() for images in (before, after)]
        if self.scm is not None and self.coupling is not None:
            read[0] = responded(self.scm, self.coupling, *read)
        return action_posterior(law, *read, length=length, prior=prior)

    def plan(self, before: Tensor, goal: Tensor, *, max_length: int | None = None) -> Plan:
        """Finds the shortest sequence of actions from what images show to what others show.

        Args:
            before: Images ``(batch, channels, size, size)``.
            goal: Images that show the codes wanted; what no slot holds is not looked at.
            max_length: The most actions in a plan; as in ``plan_actions`` where ``None``.

        Returns:
            The plans, by ``plan_actions`` on the images' codes.
        """
        law = fitted(self.transition)
        return plan_actions(law, self.encode(before), self.encode(goal), max_length=max_length)

    # --- interventions -----------------------------------------------------------------------

    def edit(
        self,
        interventions: Mapping[SlotKey, int | str | Tensor] | None = None,
        *,
        slot: SlotKey | None = None,
        value: int | str | Tensor | None = None,
    ) -> Edit:
        """Sets slots of given images and holds all others.

        Args:
            interventions: Slot to code or its name; codes ``(batch,)`` differ per image.
            slot: One slot, instead of a mapping.
            value: Its code.

        Returns:
            The edit, to be applied with ``.generate(images)``.

        Raises:
            InterventionError: When a value is no code of its slot, or batches differ in length.
        """
        return Edit.merged(self, interventions, slot=slot, value=value)

    def do(
        self,
        interventions: Mapping[SlotKey, Done] | Sequence[Mapping[SlotKey, Done]] | None = None,
        *,
        slot: SlotKey | None = None,
        value: Done | None = None,
    ) -> World:
        """Intervenes on slots; their descendants in the slot graph respond.

        Args:
            interventions: Slot to code or intervention, or one such mapping per row; codes
                ``(batch,)`` give one world per row.
            slot: One slot, instead of a mapping.
            value: Its code.

        Returns:
            The intervened world: ``.sample(n)`` draws from it, ``.generate(images)`` gives the
            counterfactuals of images.
        """
        return World(self, needed_scm(self.scm).do(interventions, slot=slot, value=value))

    def with_scm(self, scm: SCM) -> CTVAE:
        """Sets the causal model over the slots.

        Args:
            scm: A model over exactly this model's slots.

        Returns:
            A new model that shares all other parts.

        Raises:
            UnknownSlotError: When the slots differ.
        """
        if scm.slots != self.slots:
            msg = f"the SCM is over {scm.slots!r}, this model has {self.slots!r}"
            if scm.slots.names == self.slots.names:
                here, there = [*self.slots], [*scm.slots]
                msg = f"the SCM's slots are {there}, this model's {here}; use slots=model.slots"
            raise UnknownSlotError(msg)
        return self._copy(scm=scm.to(self.device), coupling=None)

    def with_responses(
        self, before: Tensor, action: Tensor, after: Tensor, *, coupling: Coupling | None = None
    ) -> CTVAE:
        """Learns how slots respond to their parents, for retrieval where effects spread.

        Args:
            before: Images of units, ``(pairs, channels, size, size)``.
            action: Which action was done to each, ``(pairs,)``.
            after: Images of the same units after it, where descendants responded.
            coupling: How a unit's noise links its codes; the likeliest with a name where ``None``.

        Returns:
            A new model that shares all other parts.
        """
        codes = self.encode(before), action, self.encode(after)
        law, chosen = learn_responses(self, *codes, coupling=coupling)
        return self._copy(transition=law, coupling=chosen)

    def _copy(self, **parts: Any) -> CTVAE:  # noqa: ANN401  # attributes of this class, by name
        new = object.__new__(CTVAE)
        new.__dict__.update(self.__dict__)
        new.__dict__.update(parts)
        return new

    def renamed(
        self,
        names: Sequence[str],
        slots: Sequence[int],
        codes: Sequence[Int[Tensor, " codes"]],
        states: Mapping[str, tuple[str, ...]],
    ) -> CTVAE:
        """Renames slots and codes.

        Args:
            names: The new names.
            slots: The old slot of every new slot.
            codes: For each new slot the old code of every new code.
            states: New name to the names of its codes, where they have some.

        Returns:
            A new model that reads and draws the same pictures, without an SCM.
        """
        transition = fitted(self.transition).permuted(slots, codes)
        return self._copy(
            slot_names=tuple(names),
            states=dict(states),
            actions=transition.actions,
            autoencoder=self.autoencoder.permuted(slots, codes),
            transition=transition,
            scm=None,
            coupling=None,
        )

    def name_slots(
        self, images: Tensor, factors: Int[Tensor, "n factors"], space: SlotSpace
    ) -> Naming:
        """Gives slots and codes the names of factors and values, from a few labelled images.

        Then ``do(slot="hair", value="red")`` means the same, whatever the seed of the training.

        Args:
            images: Labelled images, some of every value.
            factors: Their factors.
            space: The factors' names, with ``states`` the names of their values.

        Returns:
            The renamed model, and how many of the labelled images contradict the names.
        """
        return name_slots(self, images, factors, space)

    # --- files ---------------------------------------------------------------------------------

    def save(self, folder: str | Path) -> Path:
        """Saves a fitted model as a folder, whole or not at all.

        Args:
            folder: Where to; an older saved model there is replaced.

        Returns:
            The folder.
        """
        return save_model(self, folder)

    @classmethod
    def load(cls, folder: str | Path, *, device: torch.device | str = "cpu") -> CTVAE:
        """Loads a saved model; its answers are the same to the last bit.

        Args:
            folder: A folder written by ``save``.
            device: Where the model goes.

        Returns:
            The model.
        """
        saved = read_model(folder)
        model = cls(saved.config)
        saved.fill(model)
        return model.to(device)

    # --- the graph over slots ----------------------------------------------------------------

    def samples(
        self,
        images: Tensor,
        *,
        regime: Regime = Regime.OBSERVATIONAL,
        targets: Bool[Tensor, "rows slots"] | None = None,
    ) -> Samples:
        """Encodes images to rows of codes that carry their regime.

        Args:
            images: ``(rows, channels, size, size)``.
            regime: How the images were produced.
            targets: Which slots of which rows were set by ``do``.

        Returns:
            Rows for discovery and for counting an SCM.
        """
        return Samples(self.encode(images), self.slots, regime, targets)

    def slot_graph(
        self,
        images: Tensor,
        *,
        method: DiscoveryMethod,
        regime: Regime = Regime.OBSERVATIONAL,
        targets: Bool[Tensor, "rows slots"] | None = None,
        seed: Seed = 0,
    ) -> DiscoveryResult:
        """Discovers the causal graph over the slots from images.

        Args:
            images: Independent units, ``(rows, channels, size, size)``.
            method: For instance ``ct.graph.InterventionalBDeu()``.
            regime: How the images were produced; edits are refused.
            targets: Which slots of which rows were set by ``do``.
            seed: For methods that draw.

        Returns:
            The graph with its evidence.
        """
        rows = self.samples(images, regime=regime, targets=targets)
        return learn_graph(rows, method=method, seed=seed)
