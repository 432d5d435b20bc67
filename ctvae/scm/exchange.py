"""How a model enters and leaves: files and models of other libraries."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Self

from ctvae.errors import ShapeError
from ctvae.graph.causal_graph import CausalGraph
from ctvae.interop.bif import read_bif, write_bif
from ctvae.interop.dowhy import to_gcm
from ctvae.interop.parts import ModelParts, join_parts
from ctvae.interop.pgmpy import from_pgmpy, to_pgmpy
from ctvae.mechanisms.base import Mechanism
from ctvae.mechanisms.program import Program
from ctvae.slots import Slot

__all__ = ["Exchange"]


class Exchange(ABC):
    """What any model over slots can do that is a graph with laws, and can give its program.

    What leaves is the law of this world: an intervened slot has the law, and so the parents, that
    the intervention gave it.
    """

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
