"""How a model enters and leaves: files and models of other libraries."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import torch

from ctvae.errors import CTVAEError, FormatError, ShapeError
from ctvae.graph.causal_graph import CausalGraph
from ctvae.interop.bif import read_bif, write_bif
from ctvae.interop.dowhy import to_gcm
from ctvae.interop.parts import ModelParts, join_parts
from ctvae.interop.pgmpy import from_pgmpy, to_pgmpy
from ctvae.mechanisms.base import Mechanism
from ctvae.mechanisms.interventions import Intervention, Key
from ctvae.mechanisms.merging import Done
from ctvae.mechanisms.program import Program
from ctvae.mechanisms.storage import laws_from_tensors, laws_to_tensors
from ctvae.persistence import load_folder, save_folder
from ctvae.slots import Slot, SlotSpace

__all__ = ["Exchange"]


class Exchange(ABC):
    """What any model over slots can do that is a graph with laws, and can give its program.

    A saved folder keeps the natural laws and what was done. What leaves for another library is the
    law of this world: an intervened slot has the law, and so the parents, that it was given.
    """

    slots: SlotSpace
    graph: CausalGraph
    mechanisms: Mapping[str, Mechanism]
    interventions: Mapping[str, Intervention]

    @abstractmethod
    def __init__(
        self,
        graph: CausalGraph,
        slots: Iterable[Slot],
        mechanisms: Mapping[str, Mechanism],
    ) -> None: ...

    @property
    @abstractmethod
    def program(self) -> Program:
        """This world, packed and cut."""

    @abstractmethod
    def do(
        self, interventions: Mapping[Key, Done] | Sequence[Mapping[Key, Done]] | None = None
    ) -> Self:
        """Intervenes: a new model in which slots are set."""

    def save(self, folder: str | Path) -> Path:
        """Saves the model, its interventions included, as a folder.

        Args:
            folder: Where to; an older saved model there is replaced.

        Returns:
            The folder.

        Raises:
            FormatError: When the folder cannot be written.
        """
        tensors, laws = laws_to_tensors(self.mechanisms, self.interventions)
        config = {
            "slots": {slot.name: slot.cardinality for slot in self.slots},
            "edges": sorted(self.graph.directed),
            "states": {slot.name: list(slot.states) for slot in self.slots if slot.states},
            **laws,
        }
        # Slots may share one law, and safetensors refuses tensors that share their memory.
        return save_folder(folder, "SCM", config, {n: t.clone() for n, t in tensors.items()})

    @classmethod
    def load(cls, folder: str | Path, *, device: torch.device | str = "cpu") -> Self:
        """Loads a saved model; its answers are the same to the last bit.

        Args:
            folder: A folder written by ``save``.
            device: Where the tables go.

        Returns:
            The model.

        Raises:
            FormatError: When a tensor is missing or of the wrong shape, or the folder is no model.
        """
        config, tensors = load_folder(folder, "SCM", device=device)
        try:
            states = config["states"]
            slots = SlotSpace(
                Slot(name, size, tuple(states.get(name, ())))
                for name, size in config["slots"].items()
            )
            edges = [(str(a), str(b)) for a, b in config["edges"]]
            graph = CausalGraph.from_edges(directed=edges, nodes=slots.names)
            laws, done = laws_from_tensors(slots, graph.parents, config, tensors, folder)
            return cls(graph, slots, laws).do(done)
        except FormatError:
            raise
        except (CTVAEError, KeyError, TypeError, ValueError, AttributeError) as error:
            msg = f"{folder}: config.json and weights do not describe an SCM: {error}"
            raise FormatError(msg) from error

    @classmethod
    def from_bif(cls, path_or_text: str | Path) -> Self:
        """Reads a Bayesian network in BIF, as those of the bnlearn repository.

        Args:
            path_or_text: A file, gzipped or not; or the text itself.

        Returns:
            The model, float64, its slots in the order of the file. Codes have the names of the
            file's states, which ``do`` and ``given`` take in the place of numbers. What cannot be
            read is a ``FormatError`` that names the line.

        Example:
            >>> from ctvae.scm import SCM
            >>> text = "variable rain { type discrete [ 2 ] { yes, no }; }"
            >>> text += "probability ( rain ) { table 0.2, 0.8; }"
            >>> SCM.from_bif(text).query("rain").tolist()
            [0.2, 0.8]
        """
        return cls(*read_bif(path_or_text))

    def to_bif(self) -> str:
        """Writes BIF text; reading it back gives the same float64 tables to the last bit.

        Returns:
            The text. One world per row is a ``ShapeError``.
        """
        return write_bif(self._parts())

    @classmethod
    def from_pgmpy(cls, model: Any) -> Self:  # noqa: ANN401  # an untyped package, loaded at use
        """Reads a ``DiscreteBayesianNetwork`` of pgmpy.

        Args:
            model: The network, with a table for every node.

        Returns:
            The model, float64, its slots in the order of the network's nodes.
        """
        return cls(*from_pgmpy(model))

    def to_pgmpy(self) -> Any:  # noqa: ANN401  # an untyped package, loaded at use
        """Makes a ``DiscreteBayesianNetwork`` of pgmpy (``pip install ctvae[baselines]``).

        Returns:
            The network. One world per row is a ``ShapeError``, a missing pgmpy a ``CTVAEError``.
        """
        return to_pgmpy(self._parts())

    def to_gcm(self) -> Any:  # noqa: ANN401  # an untyped package, loaded at use
        """Makes a ``gcm.StructuralCausalModel`` of DoWhy (``pip install ctvae[interop]``).

        Returns:
            The model, over integer codes. One world per row is a ``ShapeError``, a missing DoWhy a
            ``CTVAEError``.
        """
        return to_gcm(self._parts())

    def _parts(self) -> ModelParts:
        program = self.program
        if program.batch is not None:
            msg = (
                f"a file or a foreign model is of one world, got {program.batch} worlds; "
                "write one for each row"
            )
            raise ShapeError(msg)
        names = program.slots.names
        return join_parts(
            list(program.slots),
            {
                name: ([names[parent] for parent in law.parents], law.table)
                for name, law in zip(names, program.laws, strict=True)
            },
        )
