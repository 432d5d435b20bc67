"""How laws and interventions are written as tensors and settings, and read again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ctvae.errors import FormatError
from ctvae.mechanisms.base import Mechanism
from ctvae.mechanisms.function import FunctionMechanism
from ctvae.mechanisms.interventions import Hard, Intervention, Shift, Stochastic
from ctvae.mechanisms.neural import NeuralMechanism
from ctvae.mechanisms.per_row import PerRow
from ctvae.mechanisms.replacements import Conditional, Soft
from ctvae.mechanisms.table import TableMechanism
from ctvae.persistence import take
from ctvae.slots import SlotSpace

__all__ = ["laws_from_tensors", "laws_to_tensors"]

Settings = dict[str, Any]


def laws_to_tensors(
    mechanisms: Mapping[str, Mechanism], interventions: Mapping[str, Intervention]
) -> tuple[dict[str, Tensor], Settings]:
    """Writes every law and every intervention.

    A law of a kind of its own is written as its table. Tensors are named by the slots' columns:
    names of slots may hold dots, with which those of tensors are put together.

    Args:
        mechanisms: Slot name to law, in column order.
        interventions: Slot name to intervention.

    Returns:
        Tensors by name, and JSON-serialisable settings by slot name.
    """
    writer = _Writer()
    columns = {name: column for column, name in enumerate(mechanisms)}
    laws = {name: writer.law(f"law.{columns[name]}", law) for name, law in mechanisms.items()}
    done = {name: writer.done(f"do.{columns[name]}", what) for name, what in interventions.items()}
    return writer.tensors, {"mechanisms": laws, "interventions": done}


def laws_from_tensors(
    slots: SlotSpace,
    parents_of: Callable[[str], tuple[str, ...]],
    settings: Settings,
    tensors: Mapping[str, Tensor],
    where: str | Path,
) -> tuple[dict[str, Mechanism], dict[str, Intervention]]:
    """Reads what ``laws_to_tensors`` wrote.

    Args:
        slots: The slots.
        parents_of: Slot name to the names of its parents, in column order.
        settings: The settings by slot name.
        tensors: Tensors by name.
        where: The folder, for the messages.

    Returns:
        Slot name to law, and what to do again.
    """
    reader = _Reader(tensors, where)
    mechanisms: dict[str, Mechanism] = {}
    for column, slot in enumerate(slots):
        sizes = tuple(slots[name].cardinality for name in parents_of(slot.name))
        shape = (*sizes, slot.cardinality)
        law = settings["mechanisms"][slot.name]
        mechanisms[slot.name] = reader.law(f"law.{column}", law, shape)
    done = {
        name: reader.done(f"do.{slots.index(name)}", what)
        for name, what in settings["interventions"].items()
    }
    return mechanisms, done


@dataclass
class _Writer:
    tensors: dict[str, Tensor] = field(default_factory=dict)

    def put(self, name: str, tensor: Tensor) -> list[int]:
        assert name not in self.tensors, f"two tensors named {name}"
        self.tensors[name] = tensor
        return list(tensor.shape)

    def law(self, name: str, law: Mechanism) -> Settings:
        if isinstance(law, FunctionMechanism):
            shape = self.put(name, law.code_table())
            return {"kind": "function", "shape": shape, "cardinality": law.cardinality}
        if isinstance(law, NeuralMechanism):
            shapes = {key: self.put(f"{name}.{key}", t) for key, t in law.to_tensors().items()}
            return {"kind": "neural", "settings": law.settings(), "shapes": shapes}
        return {"kind": "table", "shape": self.put(name, law.table())}

    def done(self, name: str, what: Intervention | None) -> Settings | None:
        match what:
            case None:
                return None
            case Hard(value):
                return {"kind": "hard", "shape": self.put(name, torch.as_tensor(value))}
            case Shift(amount, wrap):
                shape = self.put(name, torch.as_tensor(amount))
                return {"kind": "shift", "shape": shape, "wrap": wrap}
            case Stochastic(probs):
                return {"kind": "stochastic", "shape": self.put(name, torch.as_tensor(probs))}
            case Soft(law, parents):
                assert isinstance(law, Mechanism), "a model holds checked interventions"
                return {"kind": "soft", "law": self.law(name, law), "parents": list(parents or ())}
            case Conditional(rule, parents):
                assert isinstance(rule, FunctionMechanism), "a model holds checked interventions"
                return {
                    "kind": "conditional",
                    "law": self.law(name, rule),
                    "parents": list(parents),
                }
            case PerRow(choices, index):
                return {
                    "kind": "per_row",
                    "shape": self.put(f"{name}.index", index),
                    "choices": [self.choice(f"{name}.{k}", c) for k, c in enumerate(choices)],
                }
        msg = f"{name}: an intervention of kind {type(what).__name__} cannot be saved"
        raise FormatError(msg)

    def choice(self, name: str, choice: Intervention | int | str | None) -> Settings | None:
        assert not isinstance(choice, int | str), "a model holds checked interventions"
        return self.done(name, choice)


@dataclass(frozen=True)
class _Reader:
    tensors: Mapping[str, Tensor]
    where: str | Path

    def take(self, name: str, settings: Settings) -> Tensor:
        return take(self.tensors, name, tuple(settings["shape"]), self.where)

    def law(self, name: str, settings: Settings, shape: tuple[int, ...] | None = None) -> Mechanism:
        if settings["kind"] == "function":
            codes = self.take(name, settings)
            return FunctionMechanism(codes, settings["cardinality"], settings["shape"])
        if settings["kind"] == "neural":
            tensors = {
                key: self.take(f"{name}.{key}", {"shape": size})
                for key, size in settings["shapes"].items()
            }
            return NeuralMechanism.from_tensors(settings["settings"], tensors)
        wanted = tuple(settings["shape"]) if shape is None else shape
        return TableMechanism(take(self.tensors, name, wanted, self.where))

    def done(self, name: str, settings: Settings) -> Intervention:
        match settings["kind"]:
            case "hard":
                return Hard(self.take(name, settings))
            case "shift":
                return Shift(self.take(name, settings), wrap=settings["wrap"])
            case "stochastic":
                return Stochastic(self.take(name, settings))
            case "soft":
                return Soft(self.law(name, settings["law"]), settings["parents"])
            case "conditional":
                rule = self.law(name, settings["law"])
                assert isinstance(rule, FunctionMechanism)
                return Conditional(rule, settings["parents"])
            case "per_row":
                choices = [
                    None if one is None else self.done(f"{name}.{k}", one)
                    for k, one in enumerate(settings["choices"])
                ]
                return PerRow(choices, self.take(f"{name}.index", settings))
        msg = f"{self.where}: unknown kind of intervention {settings['kind']!r}"
        raise FormatError(msg)
