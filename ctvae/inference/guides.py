"""Pyro guides: networks that propose codes for slots that were not observed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from ctvae.errors import CTVAEError
from ctvae.inference.batching import batch_length
from ctvae.inference.variational import plate_size, stack_parents
from ctvae.mechanisms.program import Program
from ctvae.randomness import Seed, scoped_seed, spawn
from ctvae.slots import SlotKey, SlotSpace

__all__ = ["AmortisedGuide", "Proposals"]


class Proposals(nn.Module):
    r"""The guide: proposes codes for missing entries, slot by slot, parents before children.

    .. math:: q(x_k \mid \ldots) \propto P(x_k \mid x_{pa(k)}) \exp \lambda_k(x_k)

    The law itself says what the parents make likely; the network, shared by all rows and slots,
    learns :math:`\lambda`, what the entries that are there, and those filled in before, say about
    the slot. It starts at zero, where the proposals are ancestral draws, and can come to the exact
    posterior of every pattern of missing entries.

    Args:
        slots: The columns.
        width: The units of each hidden layer.
        embedding_dim: The numbers that stand for a code, or for a missing entry.
    """

    offsets: Tensor
    absent: Tensor

    def __init__(self, slots: SlotSpace, width: int, embedding_dim: int) -> None:
        super().__init__()
        sizes = torch.tensor(slots.cardinalities)
        offsets = torch.cat([sizes.new_zeros(1), (sizes + 1).cumsum(0)])
        self.register_buffer("offsets", offsets[:-1], persistent=False)
        self.register_buffer("absent", sizes, persistent=False)
        self.embedding = nn.Embedding(int(offsets[-1]), embedding_dim)
        self.trunk = nn.Sequential(
            nn.Linear(len(slots) * embedding_dim, width),
            nn.SiLU(),
            nn.Linear(width, width),
            nn.SiLU(),
        )
        self.heads = nn.ModuleList(nn.Linear(width, size) for size in slots.cardinalities)
        for head in self.heads:
            assert isinstance(head, nn.Linear)
            nn.init.zeros_(head.weight)
            nn.init.zeros_(head.bias)

    def forward(
        self, filled: Int[Tensor, "*batch slots"], column: int
    ) -> Float[Tensor, "*batch codes"]:
        """Reads the message to one slot.

        Args:
            filled: Codes; ``absent`` where neither observed nor filled in.
            column: The slot.

        Returns:
            One number per code, nats.
        """
        return self.heads[column](self.trunk(self.embedding(filled + self.offsets).flatten(-2)))


class AmortisedGuide(nn.Module):
    r"""A Pyro guide for slots that nobody observed, one network for all rows.

    .. math:: q(x_{hidden} \mid x_{seen}) = \prod_{k\ hidden} q_k(x_k \mid x_{seen},
        x_{hidden\ before\ k}), \qquad q_k \propto P(x_k \mid x_{pa(k)}) \exp \lambda_k(x_k)

    It has a site for each hidden slot of ``scm.pyro_model()``, in the same plate, and is trained
    with it by ``pyro.infer.SVI``. Its family holds the exact posterior. Under
    ``pyro.infer.config_enumerate`` and ``TraceEnum_ELBO`` the gradients have no noise; the axes of
    hidden slots then multiply. For missing entries that differ from row to row, and for laws to be
    learned at the same time, ``fit_svi`` does all of it.

    Nothing is registered with Pyro before the caller says so: write
    ``pyro.module("guide", guide)`` in the guide handed to ``SVI``.

    Args:
        program: The world, ``scm.program``.
        hidden: The slots to propose, by name or column.
        width: The units of the network's two hidden layers.
        embedding_dim: The numbers that stand for a code.
        seed: For the weights.

    Raises:
        UnknownSlotError: When a slot is not in the model.
        CTVAEError: When no slot is hidden, one twice, or one that was set by ``do``.

    Example:
        >>> import ctvae as ct
        >>> scm = ct.SCM.from_edges([("a", "b")], cardinality={"a": 2, "b": 3}, seed=0)
        >>> guide = AmortisedGuide(scm.program, ["a"], seed=0)
        >>> with scoped_seed(0):
        ...     proposed = guide({"b": torch.tensor([0, 2, 1])})
        >>> proposed["a"].shape
        torch.Size([3])

    Cost: one evaluation of the network for each hidden slot.
    """

    def __init__(
        self,
        program: Program,
        hidden: Sequence[SlotKey],
        *,
        width: int = 64,
        embedding_dim: int = 8,
        seed: Seed = None,
    ) -> None:
        super().__init__()
        columns = {program.slots.index(key) for key in hidden}
        if not columns or len(columns) < len(hidden) or columns.intersection(program.forced):
            done = [program.slots.names[column] for column in program.forced]
            msg = (
                f"hidden= names each slot to be proposed once, none that was set by do "
                f"(set: {done}), got {list(hidden)}"
            )
            raise CTVAEError(msg)
        self._program = program
        self._hidden = [column for column in program.order if column in columns]
        with scoped_seed(spawn(seed, 1)[0]):
            self.proposals = Proposals(program.slots, width, embedding_dim).to(program.device)

    def forward(self, given: Mapping[str, Int[Tensor, " rows"]]) -> dict[str, Tensor]:
        """Draws the hidden slots; a Pyro program with the plate ``rows``.

        Args:
            given: Codes of observed slots, ``(rows,)`` or ``()`` for all rows; a slot neither given
                nor hidden is unknown to the network, and may not be a parent of a hidden one.

        Returns:
            Hidden slot to codes ``(rows,)``.

        Raises:
            UnknownSlotError: When a slot is not in the model.
            CodeError: When a value is no code of its slot.
            ShapeError: When there is no row, or numbers of rows differ.
            CTVAEError: When no slot is given, or a parent of a hidden slot is unknown.
        """
        import pyro
        import pyro.distributions as dist

        program, slots = self._program, self._program.slots
        seen = {
            slots.index(name): slots.check_value(name, codes).to(program.device)
            for name, codes in given.items()
        }
        values: dict[int, Tensor] = {**program.forced, **seen}
        if not seen:
            msg = f"a guide reads observed slots (slots: {', '.join(slots.names)}), got none"
            raise CTVAEError(msg)
        absent = self.proposals.absent
        with pyro.plate("rows", plate_size(program, batch_length(program, seen))):
            for column in self._hidden:
                regime = program.laws[column].regime
                parents = [_known(values, parent, slots) for parent in program.parents[column]]
                rows = stack_parents(
                    parents if regime is None else [regime, *parents], program.device
                )
                prior = program.laws[column].reported_log_probs(rows).to(program.dtype).detach()
                read = [values.get(k, absent[k]) for k in range(len(slots))]
                message = self.proposals(stack_parents(read, program.device), column)
                law = dist.Categorical(logits=prior + message)
                values[column] = pyro.sample(slots.names[column], law)
        return {slots.names[column]: values[column] for column in self._hidden}


def _known(values: Mapping[int, Tensor], parent: int, slots: SlotSpace) -> Tensor:
    if parent not in values:
        msg = f"slot {slots.names[parent]!r} is a parent of a hidden slot: hide it too, or give it"
        raise CTVAEError(msg)
    return values[parent]
