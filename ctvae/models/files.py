"""A CTVAE as a folder, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ctvae.errors import CTVAEError, FormatError
from ctvae.mechanisms.action_files import action_from_dict, action_to_dict
from ctvae.mechanisms.actions import Action
from ctvae.mechanisms.couplings import Coupling
from ctvae.mechanisms.transition import TransitionProgram
from ctvae.models.config import CTVAEConfig
from ctvae.models.readers import CodeReader
from ctvae.models.responses import NAMED_COUPLINGS
from ctvae.nn import SlotDecoder
from ctvae.persistence import load_folder, save_folder, take
from ctvae.quant import CategoricalSlots, ScalarBins
from ctvae.randomness import scoped_seed
from ctvae.scm import SCM

if TYPE_CHECKING:
    from ctvae.models.ctvae import CTVAE

__all__ = ["SavedModel", "read_model", "save_model"]

KIND = "CTVAE"


def save_model(model: CTVAE, folder: str | Path) -> Path:
    """Saves a fitted model, whole or not at all.

    Args:
        model: The model.
        folder: Where to; an older saved model there is replaced.

    Returns:
        The folder.

    Raises:
        CTVAEError: When the model is not fitted.
    """
    coder = model.autoencoder
    if model.transition is None:
        msg = "a model is saved after it is fitted; train it with ct.fit(model, pairs)"
        raise CTVAEError(msg)
    if model.coupling is not None and model.coupling not in NAMED_COUPLINGS.values():
        msg = f"a file names its coupling by class ({', '.join(NAMED_COUPLINGS)}), got "
        raise CTVAEError(msg + repr(model.coupling))
    tensors = {
        f"{part}.{name}": tensor
        for part, module in coder.modules().items()
        for name, tensor in module.state_dict().items()
    }
    tensors |= {"transition.kernels": model.transition.kernels, "spare_bank": coder.spare_bank}
    settings = model.config.model_dump(mode="json", exclude={"actions"})
    config = {
        "model": settings,
        "slot_names": list(model.slot_names),
        "states": {name: list(states) for name, states in model.states.items()},
        "cardinalities": list(coder.cardinalities),
        "quantizer": type(coder.quantizer).__name__,
        "actions": [action_to_dict(action) for action in model.actions],
        "declared_actions": [action_to_dict(action) for action in model.config.actions],
        "spare_bank": len(coder.spare_bank),
        "scm": model.scm is not None,
        "coupling": None if model.coupling is None else type(model.coupling).__name__,
    }
    parts = {} if model.scm is None else {"scm": model.scm.save}
    return save_folder(folder, KIND, config, tensors, parts=parts)


@dataclass(frozen=True)
class SavedModel:
    """What a folder holds, checked but not yet put together.

    Attributes:
        folder: Where it was read.
        config: The model's settings.
        slot_names: Names of the slots.
        states: Slot name to the names of its codes, where they have some.
        cardinalities: The number of codes of each slot.
        scored: Whether the reader scores codes, instead of giving a number per slot.
        actions: The actions with their targets.
        spare_bank: The number of spare vectors kept.
        scm: The law over the slots, where there is one.
        coupling: How a unit's noise links its codes, where slots respond.
        tensors: Name to tensor.
    """

    folder: Path
    config: CTVAEConfig
    slot_names: tuple[str, ...]
    states: Mapping[str, tuple[str, ...]]
    cardinalities: tuple[int, ...]
    scored: bool
    actions: tuple[Action, ...]
    spare_bank: int
    scm: SCM | None
    coupling: Coupling | None
    tensors: Mapping[str, Tensor]

    def fill(self, model: CTVAE) -> None:
        """Gives a fresh model the saved tensors.

        Args:
            model: A new model of these settings; filled in place.
        """
        sizes, coder = self.cardinalities, model.autoencoder
        spread = [torch.arange(k).float() for k in sizes]
        coder.quantizer = ScalarBins(spread, [torch.ones(k) for k in sizes])
        with scoped_seed(0):  # weights drawn only to be replaced
            if self.scored:
                coder.quantizer = CategoricalSlots(sizes)
                coder.reader = CodeReader(coder.channels, coder.size, sizes)
            coder.decoder = SlotDecoder(sizes, coder.channels, coder.size, spare=coder.spare)
        for part, module in coder.modules().items():
            state = {
                name: take(self.tensors, f"{part}.{name}", tuple(tensor.shape), self.folder)
                for name, tensor in module.state_dict().items()
            }
            module.load_state_dict(state)
            module.eval()
        bank = (self.spare_bank, coder.spare)
        coder.spare_bank = take(self.tensors, "spare_bank", bank, self.folder)
        shape = (len(self.actions), len(sizes), max(sizes), max(sizes))
        kernels = take(self.tensors, "transition.kernels", shape, self.folder)
        model.transition = TransitionProgram(kernels, sizes, self.actions)
        model.slot_names, model.states = self.slot_names, self.states
        model.actions, model.scm, model.coupling = self.actions, self.scm, self.coupling


def read_model(folder: str | Path) -> SavedModel:
    """Reads a saved model.

    Args:
        folder: A folder written by ``save_model``.

    Returns:
        Its parts.

    Raises:
        FormatError: When a file is missing or does not describe a CTVAE.
    """
    document, tensors = load_folder(folder, KIND)
    try:
        declared = tuple(action_from_dict(a) for a in document["declared_actions"])
        return SavedModel(
            Path(folder),
            CTVAEConfig(actions=declared, **document["model"]),
            tuple(document["slot_names"]),
            # Folders written before codes could have names have none.
            {name: tuple(states) for name, states in document.get("states", {}).items()},
            tuple(int(k) for k in document["cardinalities"]),
            # Folders written before slots could be categorical do not say.
            document.get("quantizer", "ScalarBins") == "CategoricalSlots",
            tuple(action_from_dict(fields) for fields in document["actions"]),
            int(document["spare_bank"]),
            SCM.load(Path(folder) / "scm") if document["scm"] else None,
            NAMED_COUPLINGS[document["coupling"]] if document.get("coupling") else None,
            tensors,
        )
    except FormatError:
        raise
    except (CTVAEError, KeyError, TypeError, ValueError) as error:
        msg = f"{folder}: config.json does not describe a CTVAE: {error}"
        raise FormatError(msg) from error
