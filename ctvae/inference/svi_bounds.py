"""Pyro programs of rows with missing entries, and the bounds on their log-evidence."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ctvae.errors import StateSpaceError
from ctvae.inference.contraction import BATCH, plan
from ctvae.inference.guides import Proposals
from ctvae.inference.variational import stack_parents
from ctvae.mechanisms.base import Mechanism
from ctvae.slots import SlotSpace

__all__ = ["Batch", "Family", "importance_loss", "log_evidence_loss", "refuse_large"]

MAX_ENUMERATED = 20
"""Slots that Pyro can enumerate: each takes a tensor dimension, of which CUDA has 25."""


class Family(NamedTuple):
    """A slot's law with its place in the row.

    Attributes:
        column: The slot.
        parents: The columns of its parents, increasing.
        law: Its law.
        complete: Whether no row lacks its code.
    """

    column: int
    parents: tuple[int, ...]
    law: Mechanism
    complete: bool

    def logits(self, values: Mapping[int, Tensor], dtype: torch.dtype) -> Tensor:
        """Evaluates the law at its parents' codes, which broadcast: enumerated ones have axes."""
        rows = stack_parents([values[parent] for parent in self.parents], self.law.device)
        return self.law.log_probs(rows).to(dtype)


class Batch(NamedTuple):
    """Rows of codes, and what is known of them.

    Attributes:
        codes: ``(rows, slots)``; any code of the slot where it was not observed.
        observed: ``(rows, slots)``, false where an entry is missing.
        natural: ``(rows, slots)``, false where an entry was set by ``do``, so that the slot's own
            law has no part in it.
    """

    codes: Int[Tensor, "rows slots"]
    observed: Bool[Tensor, "rows slots"]
    natural: Bool[Tensor, "rows slots"]

    def pick(self, index: Int[Tensor, " picked"]) -> Batch:
        """Picks rows."""
        return Batch(self.codes[index], self.observed[index], self.natural[index])


def _dtype(families: Sequence[Family]) -> torch.dtype:
    """Gives the precision in which laws of several precisions are summed: that of the finest."""
    nothing = torch.empty(0, dtype=torch.long, device=families[0].law.device)
    dtypes = {f.law.log_probs(nothing.reshape(0, len(f.parents))).dtype for f in families}
    return torch.float64 if torch.float64 in dtypes else torch.float32


def log_evidence_loss(families: Sequence[Family], batch: Batch) -> Tensor:
    r"""Sums the missing entries out exactly, by parallel enumeration.

    .. math:: -\frac{1}{n} \sum_r \log \sum_{\text{missing}} \prod_k P(x_{rk} \mid x_{r, pa(k)})

    A slot that some row lacks is latent in all rows, and enumerated; an entry that is there enters
    as a factor of one at its code and zero elsewhere. Pyro's own ``obs_mask`` would not do: in
    rows where the entry is there it sums a masked site, worth one, over every code, and so counts
    the row once for each.

    Args:
        families: The laws, parents before children.
        batch: The rows.

    Returns:
        The mean, nats per row, differentiable.

    Cost: one contraction over the slots that some row lacks, with the rows as a batch axis.
    """
    import pyro
    import pyro.distributions as dist
    from pyro.infer import TraceEnum_ELBO

    dtype = _dtype(families)

    def model() -> None:
        values: dict[int, Tensor] = {}
        with pyro.plate("rows", len(batch.codes)):
            for family in families:
                column, codes = family.column, batch.codes[:, family.column]
                site: dict[str, Any] = {"infer": {"enumerate": "parallel"}}
                if family.complete:
                    site = {"obs": codes}
                law = dist.Categorical(logits=family.logits(values, dtype))
                law = law.mask(batch.natural[:, column])
                values[column] = pyro.sample(f"slot {column}", law, **site)
                if not family.complete:
                    contradicted = batch.observed[:, column] & (values[column] != codes)
                    evidence = torch.zeros(contradicted.shape, dtype=dtype, device=codes.device)
                    pyro.factor(f"entry {column}", evidence.masked_fill(contradicted, -math.inf))

    bound = TraceEnum_ELBO(max_plate_nesting=1, strict_enumeration_warning=False)
    if not torch.is_grad_enabled():  # Pyro refuses a loss that cannot be differentiated
        mean = bound.loss(model, _no_guide) / len(batch.codes)
        return torch.tensor(mean, dtype=dtype, device=batch.codes.device)
    return bound.differentiable_loss(model, _no_guide) / len(batch.codes)


def _no_guide() -> None:
    """Every missing entry is enumerated, so there is nothing to guess."""


def refuse_large(
    families: Sequence[Family], slots: SlotSpace, rows: int, budget: int, way_out: str
) -> None:
    """Refuses an enumeration that Pyro cannot hold.

    Args:
        families: The laws.
        slots: The columns.
        rows: Rows per batch.
        budget: The largest table allowed, in entries.
        way_out: What to do instead, for the message.

    Raises:
        StateSpaceError: With the figure.
    """
    latent = {family.column for family in families if not family.complete}
    if len(latent) > MAX_ENUMERATED:
        msg = (
            f"{len(latent)} slots have missing entries; enumeration takes a tensor dimension for "
            f"each and holds {MAX_ENUMERATED}; {way_out}"
        )
        raise StateSpaceError(msg, entries=0)
    axes = tuple(
        (BATCH, *sorted(latent.intersection((family.column, *family.parents))))
        for family in families
    )
    sizes = {BATCH: rows, **dict(enumerate(slots.cardinalities))}
    shapes = tuple(tuple(sizes[axis] for axis in term) for term in axes)
    cost = plan(axes, (BATCH,), shapes).cost
    if cost.entries > budget:
        msg = (
            f"summing the missing entries out needs a table of {cost.entries:.3g} entries for "
            f"{rows} rows (budget {budget:.3g}); {way_out}"
        )
        raise StateSpaceError(msg, entries=cost.entries)


@dataclass(frozen=True)
class _Traces:
    """What ``particles`` completions of each row are worth.

    Attributes:
        log_joint: ``(particles, rows)``, the model's log-probability.
        log_proposal: ``(particles, rows)``, the guide's.
    """

    log_joint: Float[Tensor, "particles rows"]
    log_proposal: Float[Tensor, "particles rows"]


def importance_loss(
    families: Sequence[Family], proposals: Proposals, batch: Batch, particles: int
) -> Tensor:
    r"""Bounds the log-evidence by completions that a guide proposes.

    .. math:: -\frac{1}{n} \sum_r \log \frac{1}{S} \sum_{s=1}^{S} w_{rs}, \qquad
        w_{rs} = \frac{P(x_{rs})}{q(x_{rs})}

    The value is that of the importance-weighted bound, which rises to the log-evidence with the
    number of particles. Its gradient for the laws is exact for the particles drawn,
    :math:`\sum_s \bar w_{rs} \nabla \log P(x_{rs})`: no derivative of a draw is needed, so that
    codes stay codes. The guide goes down the divergence of the posterior from it, by the same
    weights (the wake-phase update), which has no score-function term and so none of its variance.
    Pyro's own ``ReweightedWakeSleep`` and ``RenyiELBO`` weigh a whole minibatch as one particle,
    and ``TraceGraph_ELBO`` keeps its baselines in the global store; here each row has its weights.

    Args:
        families: The laws, parents before children.
        proposals: The guide.
        batch: The rows.
        particles: How many completions of each row are drawn.

    Returns:
        The mean, nats per row; differentiable in the laws and the guide.

    Source: Burda, Grosse and Salakhutdinov (2016), the bound; Bornschein and Bengio (2015), and Le
        et al. (2019), the two gradients.
    Cost: O(slots * particles * rows) evaluations of the guide, O(particles * rows) of each law.
    """
    if all(family.complete for family in families):
        return log_evidence_loss(families, batch)  # there is nothing to propose
    traces = _draw(families, proposals, batch, particles)
    log_weights = (traces.log_joint - traces.log_proposal).detach()
    bound = log_weights.logsumexp(0) - math.log(particles)
    weights = log_weights.softmax(0)
    # A completion of probability zero has weight zero; zero times its logarithm has no value.
    possible = traces.log_joint.masked_fill(weights == 0, 0)
    followed = (weights * (possible + traces.log_proposal)).sum(0)
    return -(bound + followed - followed.detach()).mean()


def _draw(
    families: Sequence[Family], proposals: Proposals, batch: Batch, particles: int
) -> _Traces:
    import pyro
    import pyro.distributions as dist
    from pyro import poutine

    rows, dtype = len(batch.codes), _dtype(families)

    def guide() -> None:
        filled = torch.where(batch.observed, batch.codes, proposals.absent)
        filled = filled.expand(particles, -1, -1)
        with pyro.plate("particles", particles, dim=-2), pyro.plate("rows", rows, dim=-1):
            for family in families:
                if family.complete:
                    continue
                column = family.column
                there = batch.observed[:, column]
                prior = family.logits(dict(enumerate(filled.unbind(-1))), dtype).detach()
                law = dist.Categorical(logits=prior + proposals(filled, column))
                drawn = pyro.sample(f"slot {column}_unobserved", law.mask(~there))
                values = list(filled.unbind(-1))
                values[column] = torch.where(there, values[column], drawn)
                filled = torch.stack(values, -1)

    def model() -> None:
        values: dict[int, Tensor] = {}
        with pyro.plate("particles", particles, dim=-2), pyro.plate("rows", rows, dim=-1):
            for family in families:
                column = family.column
                site: dict[str, Any] = {"obs": batch.codes[:, column]}
                if not family.complete:
                    site["obs_mask"] = batch.observed[:, column]
                law = dist.Categorical(logits=family.logits(values, dtype))
                law = law.mask(batch.natural[:, column])
                values[column] = pyro.sample(f"slot {column}", law, **site)

    proposed = poutine.trace(guide).get_trace()
    completed = poutine.trace(poutine.replay(model, trace=proposed)).get_trace()
    shape = (particles, rows)
    return _Traces(_per_row(completed, shape, dtype), _per_row(proposed, shape, dtype))


def _per_row(trace: Any, shape: tuple[int, int], dtype: torch.dtype) -> Tensor:  # noqa: ANN401
    """Adds a trace's log-probabilities up, for each particle and row."""
    from pyro.poutine.util import site_is_subsample

    trace.compute_log_prob()
    sites = [node for node in trace.nodes.values() if node["type"] == "sample"]
    logs = [node["log_prob"].to(dtype) for node in sites if not site_is_subsample(node)]
    return torch.stack([log.expand(shape) for log in logs]).sum(0)
