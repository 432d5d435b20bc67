"""Networks learned from rows of which some slots were not observed, by variational inference."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import NamedTuple

import torch
from jaxtyping import Int
from torch import Tensor, nn

from ctvae.errors import GraphError, MechanismError, ShapeError
from ctvae.inference.contraction import DEFAULT_BUDGET
from ctvae.inference.guides import Proposals
from ctvae.inference.svi_bounds import (
    Batch,
    Family,
    importance_loss,
    log_evidence_loss,
    refuse_large,
)
from ctvae.mechanisms.base import Mechanism, check_mechanisms
from ctvae.mechanisms.neural import NeuralMechanism
from ctvae.mechanisms.neural_training import FitSettings, FitStatus, train
from ctvae.mechanisms.table import check_independent
from ctvae.randomness import Seed, scoped_seed, spawn
from ctvae.regimes import Samples

__all__ = ["Amortised", "Enumerated", "LearnedNetworks", "fit_svi"]

HELD_OUT_PARTICLES = 64
"""Completions per row in the bound of the rows held out, where more make it tighter."""


@dataclass(frozen=True)
class Enumerated:
    """Missing entries are summed out exactly, by Pyro's parallel enumeration.

    The bound is then the log-evidence itself, and there is no guide. For few codes and graphs
    with small families.

    Attributes:
        budget: The largest table that a step may need, in entries.
    """

    budget: int = DEFAULT_BUDGET


@dataclass(frozen=True)
class Amortised:
    """Missing entries are proposed by a guide, a network of the entries that are there.

    For many slots, many codes, or large families. The bound rises to the log-evidence with the
    number of particles.

    Attributes:
        num_particles: Completions drawn of each row at each step.
        width: The units of the guide's two hidden layers.
        embedding_dim: The numbers that stand for a code in the guide.

    Raises:
        MechanismError: When a number is below one.
    """

    num_particles: int = 16
    width: int = 64
    embedding_dim: int = 8

    def __post_init__(self) -> None:
        numbers = (self.num_particles, self.width, self.embedding_dim)
        if any(isinstance(n, bool) or not isinstance(n, int) or n < 1 for n in numbers):
            msg = f"the numbers of an amortised guide must be integers of at least 1, got {self}"
            raise MechanismError(msg)


class LearnedNetworks(NamedTuple):
    """Laws learned from incomplete rows.

    Attributes:
        mechanisms: Slot name to law, in column order; networks are new ones, at rest, and all
            other laws those that were given.
        bounds: The mean bound on the log-evidence of the rows trained on, epoch by epoch, nats per
            row.
        held_out: The bound of the rows held out, at the laws returned; ``nan`` where none were.
        held_out_bounds: The same after every epoch, and first before any.
        status: How the fit ended; ``status.value`` says what to do next.
    """

    mechanisms: dict[str, Mechanism]
    bounds: tuple[float, ...]
    held_out: float
    held_out_bounds: tuple[float, ...]
    status: FitStatus


def fit_svi(
    mechanisms: Mapping[str, Mechanism],
    rows: Samples,
    parents: Mapping[str, Sequence[int]],
    *,
    posterior: Enumerated | Amortised | None = None,
    settings: FitSettings | None = None,
    seed: Seed = None,
) -> LearnedNetworks:
    r"""Learns the networks of a model from rows with missing entries.

    .. math:: \max_\theta \sum_r \log \sum_{\text{missing}}
        \prod_k P_\theta(x_{rk} \mid x_{r, pa(k)})

    Networks are trained together, on copies, by stochastic gradients of a bound on the
    log-evidence of the entries that are there; tables and functions are held fixed. Entries must
    be missing at random: whether one is missing may depend on what was observed, not on the
    missing code itself. Tables are learned exactly by ``learn_tables``, and networks from complete
    rows faster, one by one, by ``NeuralMechanism.fit``.

    The model and the guide are Pyro programs. Their parameters are ordinary ones of the networks,
    stepped by a PyTorch optimiser; none is registered with Pyro, whose store stays as it is.

    Args:
        mechanisms: Slot name to law, of which at least one is a ``NeuralMechanism``: where to
            start. A law that stands for two slots does so in the result.
        rows: Rows of codes with their regime and what was observed; a slot that was set by ``do``
            must be observed, and its own law learns nothing from that row.
        parents: Slot name to the columns of its parents, increasing.
        posterior: How missing entries are summed out; ``Enumerated()`` where ``None``.
        settings: Of the optimiser; the defaults where ``None``.
        seed: For the guide, the rows held out, the order of the others and the proposals.

    Returns:
        The laws, on the device of the rows; equal seeds give equal laws.

    Raises:
        RegimeError: When the rows are edits or counterfactual pairs.
        ShapeError: When a slot that was set is not observed.
        MechanismError: When a law does not fit its slot, no law is a network, there is no row, or
            the bound is not finite.
        GraphError: When the parents form a cycle.
        StateSpaceError: When enumeration needs too large a table; ``Amortised()`` needs none.

    Example:
        >>> from ctvae.slots import SlotSpace
        >>> slots = SlotSpace.from_cardinalities({"a": 2, "b": 2})
        >>> codes = torch.tensor([[0, 0], [1, 1]]).repeat(100, 1)
        >>> seen = torch.ones(200, 2, dtype=torch.bool)
        >>> seen[::3, 0] = False
        >>> laws = {"a": NeuralMechanism(2, seed=0), "b": NeuralMechanism(2, [2], seed=1)}
        >>> learned = fit_svi(
        ...     laws, Samples(codes, slots, observed=seen), {"a": (), "b": (0,)}, seed=0
        ... )
        >>> learned.mechanisms["b"].table().argmax(-1).tolist()
        [0, 1]

    Cost: for each epoch, one contraction (enumerated) or ``num_particles`` completions (amortised)
        of every row.
    """
    check_independent(rows)
    observed = torch.ones_like(rows.codes, dtype=torch.bool)
    if rows.observed is not None:
        observed = rows.observed
    natural = torch.ones_like(observed) if rows.targets is None else ~rows.targets
    if bool((~natural & ~observed).any()):
        msg = "a slot that was set by do() has a known code: observed must be true where targets is"
        raise ShapeError(msg)
    if not len(rows):
        msg = "networks are learned from rows, got none"
        raise MechanismError(msg)
    families = _families(mechanisms, rows, parents, observed)
    networks = list(
        {id(f.law): f.law for f in families if isinstance(f.law, NeuralMechanism)}.values()
    )
    if not networks:
        msg = "no mechanism is a NeuralMechanism, so there is nothing to learn by gradient"
        raise MechanismError(f"{msg}; learn_tables learns tables from incomplete rows")
    settings, posterior = settings or FitSettings(), posterior or Enumerated()
    guide_seed, train_seed, draw_seed, held_out_seed = spawn(seed, 4)
    batch, device = Batch(rows.codes, observed, natural), rows.codes.device
    modules: list[nn.Module] = [law.module.requires_grad_() for law in networks]
    loss: Callable[[Batch, int], Tensor]
    if isinstance(posterior, Amortised):
        with scoped_seed(guide_seed):
            guide = Proposals(rows.slots, posterior.width, posterior.embedding_dim).to(device)
        modules.append(guide)
        particles, more = posterior.num_particles, max(HELD_OUT_PARTICLES, posterior.num_particles)

        def loss(part: Batch, count: int) -> Tensor:
            return importance_loss(families, guide, part, count)

    else:
        particles = more = 1
        way_out = "posterior=Amortised() needs no table, a smaller batch_size a smaller one"
        refuse_large(families, rows.slots, settings.batch_size, posterior.budget, way_out)

        def loss(part: Batch, count: int) -> Tensor:
            del count
            return log_evidence_loss(families, part)

    def held_out_loss(index: Int[Tensor, " rows"]) -> Tensor:
        # The same draws at every epoch, so that the bounds differ by the laws alone.
        with scoped_seed(held_out_seed, device):
            parts = index.split(settings.batch_size)
            sums = [loss(batch.pick(part), more) * len(part) for part in parts]
        return torch.stack(sums).sum() / len(index)

    with scoped_seed(draw_seed, device):
        record = train(
            modules,
            len(rows),
            lambda index: loss(batch.pick(index), particles),
            held_out_loss,
            settings=settings,
            seed=train_seed,
            device=device,
        )
    for law in networks:
        law.module.requires_grad_(requires_grad=False)
    learned = {rows.slots.names[family.column]: family.law for family in families}
    return LearnedNetworks(
        {name: learned[name] for name in rows.slots.names},
        tuple(-value for value in record.history),
        -record.held_out,
        tuple(-value for value in record.held_out_history),
        record.status,
    )


def _families(
    mechanisms: Mapping[str, Mechanism],
    rows: Samples,
    parents: Mapping[str, Sequence[int]],
    observed: Tensor,
) -> tuple[Family, ...]:
    """Copies the laws to the rows' device, and puts them parents before children."""
    slots, device = rows.slots, rows.codes.device
    names = slots.names
    laws = check_mechanisms(slots, lambda name: tuple(names[c] for c in parents[name]), mechanisms)
    copies = {id(law): law.to(device) for law in laws.values()}
    complete = observed.all(0).tolist()
    try:
        order = tuple(TopologicalSorter(dict(enumerate(parents[n] for n in names))).static_order())
    except CycleError as error:
        cycle = " -> ".join(names[column] for column in reversed(error.args[1]))
        msg = f"the parents form a cycle: {cycle}"
        raise GraphError(msg) from error
    return tuple(
        Family(
            column, tuple(parents[names[column]]), copies[id(laws[names[column]])], complete[column]
        )
        for column in order
    )
