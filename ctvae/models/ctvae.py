"""CTVAE: images to quantized slots, a causal model over them, and the actions between images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from jaxtyping import Bool, Float, Int
from pydantic import Field
from torch import Tensor

from ctvae.config import Settings
from ctvae.errors import CTVAEError, FormatError, UnknownSlotError
from ctvae.graph.discovery import DiscoveryResult, learn_graph
from ctvae.inference.actions import ActionPosterior, action_posterior
from ctvae.mechanisms.actions import (
    Action,
    action_from_dict,
    action_to_dict,
    check_names,
    inverse_pairs,
)
from ctvae.mechanisms.transition import TransitionProgram
from ctvae.models.autoencoder import SlotReader, SpareReader
from ctvae.models.naming import Naming, name_slots
from ctvae.models.pictures import Edit, World
from ctvae.nn import SlotDecoder, check_images
from ctvae.persistence import load_folder, save_folder, take
from ctvae.quant.scalar import ScalarBins
from ctvae.randomness import Seed, make_generator, scoped_seed
from ctvae.regimes import Regime, Samples
from ctvae.scm import SCM
from ctvae.slots import Slot, SlotKey, SlotSpace

if TYPE_CHECKING:
    from ctvae.graph.discovery import DiscoveryMethod

__all__ = ["CTVAE", "CTVAEConfig"]

Part = TypeVar("Part")
CHUNK = 1024
"""Images per pass where no gradient is kept."""


class CTVAEConfig(Settings):
    """Settings of a ``CTVAE``.

    Attributes:
        actions: What the labels of the pairs mean. Targets count the slots; where no action has a
            target, shift actions in inverse pairs are matched to slots while training.
        channels: Image channels.
        image_size: Image side in pixels, a multiple of 8.
        slots: Names of the slots; ``slot0, slot1, ...`` where empty.
        spare: The length of the spare vector, which holds what no action moves (pose,
            background); 0 where there is nothing of the kind.
    """

    actions: tuple[Action, ...] = Field(min_length=2)
    channels: int = Field(1, ge=1)
    image_size: int = Field(32, ge=8)
    slots: tuple[str, ...] = ()
    spare: int = Field(0, ge=0)


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
        CTVAE(1 slots, 2 actions, not fitted)

    Source: slots and action retrieval: Gendron, Witbrock, Dobbie (IJCAI 2023); the recipe is ours.
    """

    def __init__(self, config: CTVAEConfig, *, seed: int = 0) -> None:
        self.config = config
        self.actions = check_names(config.actions)
        self.slot_names = config.slots or tuple(f"slot{k}" for k in range(_num_slots(config)))
        if len(self.slot_names) != _num_slots(config):
            msg = (
                f"{len(config.slots)} slot names for {_num_slots(config)} slots (the targets of "
                "the actions count them)"
            )
            raise UnknownSlotError(msg)
        with scoped_seed(seed):
            self.reader = SlotReader(config.channels, config.image_size, len(self.slot_names))
            self.spare_reader = (
                SpareReader(config.channels, config.image_size, config.spare)
                if config.spare
                else None
            )
        self.quantizer: ScalarBins | None = None
        self.transition: TransitionProgram | None = None
        self.decoder: SlotDecoder | None = None
        self.scm: SCM | None = None
        self.spare_bank = torch.zeros(1, config.spare)

    def __repr__(self) -> str:
        if self.quantizer is None:
            return f"CTVAE({len(self.slot_names)} slots, {len(self.actions)} actions, not fitted)"
        law = "no SCM yet" if self.scm is None else f"SCM {self.scm.graph!r}"
        return f"CTVAE({self.slots!r}, {len(self.actions)} actions, {law})"

    # --- parts -------------------------------------------------------------------------------

    @property
    def slots(self) -> SlotSpace:
        """The slots with their learned cardinalities.

        Raises:
            CTVAEError: When the model is not fitted.
        """
        sizes = self._fitted(self.quantizer).cardinalities
        return SlotSpace(Slot(n, k) for n, k in zip(self.slot_names, sizes, strict=True))

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.reader.encoder.out.weight.device

    def to(self, device: torch.device | str) -> CTVAE:
        """Moves all parts, in place.

        Args:
            device: Where to.

        Returns:
            The model itself.
        """
        for module in self._modules().values():
            module.to(device)
        self.transition = None if self.transition is None else self.transition.to(device)
        self.scm = None if self.scm is None else self.scm.to(device)
        self.spare_bank = self.spare_bank.to(device)
        return self

    def _modules(self) -> dict[str, torch.nn.Module]:
        parts = {
            "reader": self.reader,
            "spare_reader": self.spare_reader,
            "quantizer": self.quantizer,
            "decoder": self.decoder,
        }
        return {name: module for name, module in parts.items() if module is not None}

    @staticmethod
    def _fitted(part: Part | None) -> Part:
        if part is None:
            msg = "this model is not fitted; train it with ct.fit(model, pairs)"
            raise CTVAEError(msg)
        return part

    # --- images to codes and back ------------------------------------------------------------

    @torch.no_grad()
    def read(self, images: Tensor) -> Float[Tensor, "batch slots"]:
        """Reads the number of every slot, before quantization.

        Args:
            images: ``(batch, channels, size, size)``, uint8 or floats in [0, 1].

        Returns:
            One number per slot, of unit variance over the training images.
        """
        return self._apply(self.reader, images)

    def encode(self, images: Tensor) -> Int[Tensor, "batch slots"]:
        """Reads the codes of images.

        Args:
            images: ``(batch, channels, size, size)``, uint8 or floats in [0, 1].

        Returns:
            Codes in slot order.
        """
        quantizer = self._fitted(self.quantizer)
        return quantizer.quantize(self.read(images)[..., None])

    def encode_log_probs(self, images: Tensor) -> Float[Tensor, "batch slots codes"]:
        """Reads the codes of images with their uncertainty.

        Args:
            images: ``(batch, channels, size, size)``, uint8 or floats in [0, 1].

        Returns:
            Normalised log-probabilities in nats, ``-inf`` for codes that a slot does not have.
        """
        quantizer = self._fitted(self.quantizer)
        return quantizer.log_probs(self.read(images)[..., None])

    @torch.no_grad()
    def encode_spare(self, images: Tensor) -> Float[Tensor, "batch spare"]:
        """Reads what no slot holds.

        Args:
            images: ``(batch, channels, size, size)``, uint8 or floats in [0, 1].

        Returns:
            The spare vectors; of length 0 where the model has none.
        """
        if self.spare_reader is None:
            return torch.zeros(len(images), 0, device=self.device)
        return self._apply(self.spare_reader, images)

    @torch.no_grad()
    def decode(
        self, codes: Int[Tensor, "*batch slots"], *, spare: Tensor | None = None
    ) -> Float[Tensor, "*batch channels size size"]:
        """Draws the images of codes.

        Args:
            codes: Codes ``(*batch, slots)``.
            spare: ``(*batch, spare)`` what no slot holds; its mean where ``None``.

        Returns:
            Pixels in [0, 1].
        """
        decoder = self._fitted(self.decoder)
        flat = self.slots.check_codes(codes).reshape(-1, len(self.slots)).to(self.device)
        if spare is None:
            spare = torch.zeros(len(flat), self.config.spare, device=self.device)
        held = spare.reshape(len(flat), self.config.spare).to(self.device)
        decoder.eval()
        parts = zip(flat.split(CHUNK), held.split(CHUNK), strict=True)
        pixels = torch.cat([decoder(c, s if self.config.spare else None) for c, s in parts])
        return pixels.sigmoid().reshape(*codes.shape[:-1], *pixels.shape[1:])

    def _apply(self, module: torch.nn.Module, images: Tensor) -> Tensor:
        channels, size = self.config.channels, self.config.image_size
        module.eval()
        parts = images.split(CHUNK) if len(images) else [images]
        checked = (check_images(part, channels=channels, size=size) for part in parts)
        return torch.cat([module(part.to(self.device)) for part in checked])

    # --- actions -----------------------------------------------------------------------------

    def retrieve_action(
        self, before: Tensor, after: Tensor, *, length: int = 1, prior: Tensor | None = None
    ) -> ActionPosterior:
        """Infers which actions led from one image to another, exactly.

        Codes are uncertain as the encoder leaves them, and that uncertainty is summed out slot by
        slot. Deterministic.

        Args:
            before: Images before, ``(batch, channels, size, size)``.
            after: Images after, of the same units.
            length: The number of actions between the two.
            prior: p(action) ``(actions,)`` or ``(batch, sequences)``; uniform where ``None``.

        Returns:
            The posterior over action sequences, with its evidence.
        """
        return action_posterior(
            self._fitted(self.transition),
            self.encode_log_probs(before).exp(),
            self.encode_log_probs(after).exp(),
            length=length,
            prior=prior,
        )

    # --- interventions -----------------------------------------------------------------------

    def edit(
        self,
        interventions: Mapping[SlotKey, int | Tensor] | None = None,
        *,
        slot: SlotKey | None = None,
        value: int | Tensor | None = None,
    ) -> Edit:
        """Sets slots of given images and holds all others.

        Args:
            interventions: Slot to code; codes ``(batch,)`` differ per image.
            slot: One slot, instead of a mapping.
            value: Its code.

        Returns:
            The edit, to be applied with ``.generate(images)``.
        """
        return Edit(self, self.slots.check_assignment(interventions, slot=slot, value=value))

    def do(
        self,
        interventions: Mapping[SlotKey, Any] | None = None,
        *,
        slot: SlotKey | None = None,
        value: int | Tensor | None = None,
    ) -> World:
        """Intervenes on slots; their descendants in the slot graph respond.

        Args:
            interventions: Slot to code or intervention; codes ``(batch,)`` give one world per row.
            slot: One slot, instead of a mapping.
            value: Its code.

        Returns:
            The intervened world, to draw from with ``.sample(n)``.

        Raises:
            CTVAEError: When the model has no SCM over its slots.
        """
        if self.scm is None:
            msg = (
                "this model has no SCM over its slots, so do() has no law to propagate through; "
                "learn one: model.with_scm(ct.SCM.fit(model.slot_graph(images).graph, codes)), "
                "or hold the other slots with model.edit(...)"
            )
            raise CTVAEError(msg)
        return World(self, self.scm.do(interventions, slot=slot, value=value))

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
            raise UnknownSlotError(msg)
        return self._copy(scm=scm.to(self.device))

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
    ) -> CTVAE:
        """Renames slots and codes.

        Args:
            names: The new names.
            slots: The old slot of every new slot.
            codes: For each new slot the old code of every new code.

        Returns:
            A new model that reads and draws the same pictures, without an SCM.
        """
        quantizer, decoder = self._fitted(self.quantizer), self._fitted(self.decoder)
        transition = self._fitted(self.transition).permuted(slots, codes)
        return self._copy(
            slot_names=tuple(names),
            actions=transition.actions,
            reader=self.reader.permuted(slots),
            quantizer=quantizer.permuted(slots, codes).to(self.device),
            decoder=decoder.permuted(slots, codes),
            transition=transition,
            scm=None,
        )

    def name_slots(
        self, images: Tensor, factors: Int[Tensor, "n factors"], space: SlotSpace
    ) -> Naming:
        """Gives slots and codes the names of factors and values, from a few labelled images.

        Args:
            images: Labelled images, some of every value.
            factors: Their factors.
            space: The factors' names.

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
        quantizer, transition = self._fitted(self.quantizer), self._fitted(self.transition)
        tensors = {
            f"{part}.{name}": tensor
            for part, module in self._modules().items()
            for name, tensor in module.state_dict().items()
        }
        tensors |= {"transition.kernels": transition.kernels, "spare_bank": self.spare_bank}
        config = {
            "model": self.config.model_dump(mode="json"),
            "slot_names": list(self.slot_names),
            "cardinalities": list(quantizer.cardinalities),
            "actions": [action_to_dict(action) for action in self.actions],
            "config_actions": [action_to_dict(action) for action in self.config.actions],
            "spare_bank": len(self.spare_bank),
            "scm": self.scm is not None,
        }
        parts = {} if self.scm is None else {"scm": self.scm.save}
        return save_folder(folder, "CTVAE", config, tensors, parts=parts)

    @classmethod
    def load(cls, folder: str | Path, *, device: torch.device | str = "cpu") -> CTVAE:
        """Loads a saved model; its answers are the same to the last bit.

        Args:
            folder: A folder written by ``save``.
            device: Where the model goes.

        Returns:
            The model.

        Raises:
            FormatError: When a tensor is missing or of the wrong shape, or the folder is no model.
        """
        config, tensors = load_folder(folder, "CTVAE")
        try:
            settings = {**config["model"]}
            settings["actions"] = tuple(action_from_dict(a) for a in config["config_actions"])
            model = cls(CTVAEConfig(**settings))
            actions = tuple(action_from_dict(fields) for fields in config["actions"])
            sizes = tuple(int(k) for k in config["cardinalities"])
            names, bank, has_scm = config["slot_names"], config["spare_bank"], config["scm"]
        except (KeyError, TypeError, ValueError) as error:
            msg = f"{folder}: config.json does not describe a CTVAE: {error}"
            raise FormatError(msg) from error
        width = max(sizes)
        model.slot_names, model.actions = tuple(names), actions
        model.quantizer = ScalarBins(
            [torch.arange(k) * 1.0 for k in sizes], [torch.ones(k) for k in sizes]
        )
        model.decoder = SlotDecoder(
            sizes, model.config.channels, model.config.image_size, spare=model.config.spare
        )
        for part, module in model._modules().items():
            expected = module.state_dict()
            state = {
                name: take(tensors, f"{part}.{name}", tuple(tensor.shape), folder)
                for name, tensor in expected.items()
            }
            module.load_state_dict(state)
            module.eval()
        shape = (len(actions), len(sizes), width, width)
        kernels = take(tensors, "transition.kernels", shape, folder)
        model.transition = TransitionProgram(kernels, sizes, actions)
        model.spare_bank = take(tensors, "spare_bank", (bank, model.config.spare), folder)
        model.scm = SCM.load(Path(folder) / "scm") if has_scm else None
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

    def draw_spare(self, count: int, seed: Seed) -> Float[Tensor, "count spare"]:
        """Draws spare vectors of training images.

        Args:
            count: How many.
            seed: For the choice.

        Returns:
            ``(count, spare)``.
        """
        generator = make_generator(seed)
        rows = torch.randint(len(self.spare_bank), (count,), generator=generator)
        return self.spare_bank[rows.to(self.device)]


def _num_slots(config: CTVAEConfig) -> int:
    targets = [action.target for action in config.actions]
    if all(target is None for target in targets):
        return inverse_pairs(config.actions)
    known = {target for target in targets if target is not None}
    if None in targets or known != set(range(len(known))):
        msg = (
            "either every action has a target or none has, and targets count the slots 0, 1, ...; "
            f"got {targets}"
        )
        raise UnknownSlotError(msg)
    return len(known)
