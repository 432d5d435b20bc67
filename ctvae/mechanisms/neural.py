"""Laws given by a network, for slots of many parents or many codes."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import log_softmax, nll_loss

from ctvae.errors import FormatError, MechanismError
from ctvae.mechanisms.base import TABLE_BUDGET, check_parents, tabulate
from ctvae.mechanisms.neural_training import FitSettings, TrainingRecord, train
from ctvae.persistence import take
from ctvae.randomness import Seed, scoped_seed, spawn
from ctvae.slots import SlotSpace

__all__ = ["NeuralMechanism"]

SIZES = ("cardinality", "parent_cardinalities", "width", "depth", "embedding_dim")


class NeuralMechanism:
    r"""A slot's law as a network of its parents' codes.

    .. math:: \log P(X = v \mid u) = \mathrm{log\,softmax}
        \bigl(\mathrm{MLP}(E_1[u_1], \ldots, E_n[u_n])\bigr)_v

    Its size grows with the sum of the parents' codes, where a table grows with their product, and
    rows of parents that were never seen together borrow from those that were. Codes are names, not
    numbers: that code 3 lies between 2 and 4 is not assumed. For few parents with few codes, or
    laws without any pattern, a ``TableMechanism`` is better and faster.

    A new law can be trained with any optimiser of its ``parameters()``; a model is made from it
    afterwards, because a mechanism does not change once a model holds it. A law that was fit or
    loaded is at rest: its parameters need no gradient, and so answers carry none, until
    ``module.requires_grad_()`` wakes them.

    Args:
        cardinality: The number of codes of the slot.
        parent_cardinalities: The number of codes of each parent, in the order of the slots'
            columns.
        width: The units of each hidden layer.
        depth: The number of hidden layers; with 0 the log-odds are a sum over the parents.
        embedding_dim: The numbers that stand for a code of a parent.
        seed: For the first parameters.

    Raises:
        MechanismError: When a size is out of range.

    Example:
        >>> law = NeuralMechanism(3, [4, 512], seed=0)
        >>> rows = torch.tensor([[0, 511], [3, 7]])
        >>> law.log_probs(rows).shape, law.table().shape
        (torch.Size([2, 3]), torch.Size([4, 512, 3]))
        >>> len(list(law.parameters()))
        7

    Cost: O(rows * width * (parents * embedding_dim + depth * width + codes)), in one pass.
    """

    __slots__ = ("_network", "_record", "_sizes")

    def __init__(
        self,
        cardinality: int,
        parent_cardinalities: Sequence[int] = (),
        *,
        width: int = 64,
        depth: int = 2,
        embedding_dim: int = 16,
        seed: Seed = None,
    ) -> None:
        parents = tuple(parent_cardinalities)
        sizes = (cardinality, *parents, width, depth + 1, embedding_dim)
        if any(isinstance(size, bool) or not isinstance(size, int) or size < 1 for size in sizes):
            msg = (
                "a network needs cardinalities, a width and an embedding_dim of at least 1 and a "
                f"depth of at least 0, all integers; got cardinality={cardinality!r}, "
                f"parent_cardinalities={parents!r}, width={width!r}, depth={depth!r}, "
                f"embedding_dim={embedding_dim!r}"
            )
            raise MechanismError(msg)
        with scoped_seed(spawn(seed, 1)[0]):
            self._network = _Network(cardinality, parents, width, depth, embedding_dim)
        self._sizes: dict[str, Any] = dict(
            zip(SIZES, (cardinality, parents, width, depth, embedding_dim), strict=True)
        )
        self._record: TrainingRecord | None = None

    def __repr__(self) -> str:
        given = ", ".join(map(str, self.parent_cardinalities))
        count = sum(p.numel() for p in self.parameters())
        return f"NeuralMechanism({self.cardinality} codes given ({given}), {count} parameters)"

    @classmethod
    def fit(
        cls,
        codes: Int[Tensor, " rows"],
        parents: Int[Tensor, "rows parents"],
        *,
        cardinality: int,
        parent_cardinalities: Sequence[int],
        width: int = 64,
        depth: int = 2,
        embedding_dim: int = 16,
        weights: Float[Tensor, " rows"] | None = None,
        settings: FitSettings | None = None,
        seed: Seed = None,
    ) -> NeuralMechanism:
        r"""Learns a law from rows by maximum likelihood, stopped by rows held out.

        .. math:: \max_\theta \sum_r w_r \log P_\theta(x_r \mid u_r)

        Where the law can be met, the held-out loss that ``record`` tells comes down to the
        conditional entropy :math:`H(X \mid \mathrm{parents})` of the true law, from above.

        Args:
            codes: The slot's codes.
            parents: Its parents' codes, in the order of the slots' columns.
            cardinality: The number of codes of the slot.
            parent_cardinalities: The number of codes of each parent.
            width: The units of each hidden layer.
            depth: The number of hidden layers.
            embedding_dim: The numbers that stand for a code of a parent.
            weights: How much each row counts, zero or more; all the same where ``None``.
            settings: Of the optimiser; the defaults where ``None``.
            seed: For the first parameters, the rows held out and the order of the others.

        Returns:
            The law at rest, on the device of the codes; equal seeds give equal laws.

        Raises:
            MechanismError: When codes and parents do not have one row for each other, there is no
                row of positive weight, or a weight is negative or not finite.

        Example:
            >>> codes = torch.tensor([0, 1]).repeat(200)
            >>> law = NeuralMechanism.fit(
            ...     codes, codes[:, None], cardinality=2, parent_cardinalities=[2], seed=0
            ... )
            >>> law.log_probs(torch.tensor([[0], [1]])).argmax(-1).tolist()
            [0, 1]
            >>> bool(law.record.held_out < 0.1)  # nats; there is nothing left to guess
            True

        Cost: a pass over the rows for each epoch.
        """
        first, rest = spawn(seed, 2)
        law = cls(
            cardinality,
            parent_cardinalities,
            width=width,
            depth=depth,
            embedding_dim=embedding_dim,
            seed=first,
        ).to(codes.device)
        codes, parents = _check_rows(codes, parents, cardinality, law.parent_cardinalities)
        counted, scale = _check_weights(weights, codes)
        codes, parents, scale = codes[counted], parents[counted], scale[counted]

        def loss(index: Tensor) -> Tensor:
            lost = nll_loss(law.log_probs(parents[index]), codes[index], reduction="none")
            return (lost * scale[index]).mean()

        def held_out_loss(index: Tensor) -> Tensor:
            return loss(index) / scale[index].mean()

        law._record = train(
            [law.module],
            len(codes),
            loss,
            held_out_loss,
            settings=settings or FitSettings(),
            seed=rest,
            device=codes.device,
        )
        law.module.requires_grad_(requires_grad=False)
        return law

    @classmethod
    def from_tensors(
        cls, settings: Mapping[str, Any], tensors: Mapping[str, Tensor]
    ) -> NeuralMechanism:
        """Reads what ``settings`` and ``to_tensors`` wrote.

        Args:
            settings: The sizes.
            tensors: The parameters by name.

        Returns:
            The same law at rest, on the device of the tensors.

        Raises:
            FormatError: When a size or a parameter is missing or unknown, or has another shape.
        """
        if set(settings) != set(SIZES):
            msg = f"a saved network has the sizes {', '.join(SIZES)}; got {', '.join(settings)}"
            raise FormatError(msg)
        law = cls(**dict(settings), seed=0)  # parameters drawn only to be replaced
        state = law.module.state_dict()
        unknown = sorted(set(tensors) - set(state))
        if unknown:
            msg = f"tensors {unknown} belong to no parameter of the network ({', '.join(state)})"
            raise FormatError(msg)
        read = {name: take(tensors, name, tuple(p.shape), repr(law)) for name, p in state.items()}
        law.module.load_state_dict(read)
        law.module.requires_grad_(requires_grad=False)
        return law.to(next(iter(read.values())).device)

    @property
    def cardinality(self) -> int:
        """The number of codes of the slot."""
        return self._sizes["cardinality"]

    @property
    def parent_cardinalities(self) -> tuple[int, ...]:
        """The number of codes of each parent, in the order of the slots' columns."""
        return self._sizes["parent_cardinalities"]

    @property
    def device(self) -> torch.device:
        """Where the parameters are."""
        return next(self.parameters()).device

    @property
    def module(self) -> nn.Module:
        """The network: parents' codes ``(*batch, parents)`` to logits ``(*batch, codes)``."""
        return self._network

    @property
    def record(self) -> TrainingRecord | None:
        """How the fit went; ``None`` where there was none, and after loading."""
        return self._record

    def parameters(self) -> Iterator[nn.Parameter]:
        """Gives the parameters, for an optimiser.

        Returns:
            An iterator over them.
        """
        return self._network.parameters()

    def table(self) -> Float[Tensor, "*parents codes"]:
        """Writes the law as probabilities, differentiable in the parameters.

        Returns:
            ``(*parent_cardinalities, cardinality)`` float32.

        Raises:
            StateSpaceError: When it would be too large.

        Cost: one evaluation of every row of parents.
        """
        if not self.parent_cardinalities:
            return self.log_probs(torch.empty(0, dtype=torch.long, device=self.device)).exp()
        return tabulate(self, budget=TABLE_BUDGET)

    def log_probs(self, parents: Int[Tensor, "*batch parents"]) -> Float[Tensor, "*batch codes"]:
        """Evaluates the law at rows of parents, differentiable in the parameters.

        Args:
            parents: The parents' codes.

        Returns:
            Nats.

        Raises:
            ShapeError: When the last axis is not one column per parent.
            CodeError: When a code is no integer of its parent's codebook.
        """
        return log_softmax(self._network(check_parents(parents, self.parent_cardinalities)), -1)

    def to(self, device: torch.device | str) -> NeuralMechanism:
        """Copies the law.

        Args:
            device: Where to.

        Returns:
            The same law on the device, with parameters of its own.
        """
        moved = object.__new__(NeuralMechanism)
        moved._network = copy.deepcopy(self._network).to(device)
        moved._sizes, moved._record = self._sizes, self._record
        return moved

    def settings(self) -> dict[str, Any]:
        """Writes the sizes, JSON-serialisable.

        Returns:
            Name to size.
        """
        return self._sizes | {"parent_cardinalities": list(self.parent_cardinalities)}

    def to_tensors(self) -> dict[str, Tensor]:
        """Writes the parameters.

        Returns:
            Name to a copy.
        """
        return {name: p.detach().clone() for name, p in self._network.state_dict().items()}


class _Network(nn.Module):
    """Embeds every parent's code, and reads logits from all of them at once."""

    offsets: Tensor

    def __init__(
        self, codes: int, parents: tuple[int, ...], width: int, depth: int, embedding_dim: int
    ) -> None:
        super().__init__()
        # Where there is no parent, a constant one: the network is then its logits.
        sizes = parents or (1,)
        offsets = torch.tensor([0, *sizes]).cumsum(0)
        self.register_buffer("offsets", offsets[:-1], persistent=False)
        self.embedding = nn.Embedding(int(offsets[-1]), embedding_dim)
        layers: list[nn.Module] = []
        inputs = len(sizes) * embedding_dim
        for _ in range(depth):
            layers += [nn.Linear(inputs, width), nn.SiLU()]
            inputs = width
        self.layers = nn.Sequential(*layers, nn.Linear(inputs, codes))

    def forward(self, parents: Int[Tensor, "*batch parents"]) -> Float[Tensor, "*batch codes"]:
        if parents.shape[-1] == 0:
            parents = parents.new_zeros((*parents.shape[:-1], 1))
        return self.layers(self.embedding(parents + self.offsets).flatten(-2))


def _check_rows(
    codes: Tensor, parents: Tensor, cardinality: int, sizes: tuple[int, ...]
) -> tuple[Tensor, Tensor]:
    if codes.ndim != 1 or parents.ndim != 2 or len(codes) != len(parents):
        msg = (
            "a fit takes codes (rows,) and parents (rows, parents), got "
            f"{tuple(codes.shape)} and {tuple(parents.shape)}"
        )
        raise MechanismError(msg)
    space = SlotSpace.from_cardinalities([*sizes], prefix="parent ")
    child = SlotSpace.from_cardinalities({"child": cardinality})
    return child.check_codes(codes[:, None])[:, 0], space.check_codes(parents)


def _check_weights(weights: Tensor | None, codes: Tensor) -> tuple[Tensor, Tensor]:
    """Gives which rows count, and their weights scaled to a mean of one over these."""
    scale = torch.ones(len(codes), device=codes.device) if weights is None else weights.float()
    if scale.shape != codes.shape or not bool((torch.isfinite(scale) & (scale >= 0)).all()):
        msg = (
            f"weights must be ({len(codes)},), one per row, finite and not negative; got "
            f"{tuple(scale.shape)}"
        )
        raise MechanismError(msg)
    counted = scale > 0
    if not bool(counted.any()):
        msg = (
            f"a network is learned from rows that count, got none of {len(codes)}; a "
            "TableMechanism is uniform without rows"
        )
        raise MechanismError(msg)
    return counted, scale / scale[counted].mean()
