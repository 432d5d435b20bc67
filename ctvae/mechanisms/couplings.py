"""Couplings: how one unit's noise links its code in two worlds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ctvae.errors import ShapeError

__all__ = ["Coupling", "Gumbel", "Independent", "Maximal", "Monotone"]


@runtime_checkable
class Coupling(Protocol):
    r"""How the same unit's noise links a slot's code in two worlds.

    .. math:: K_{ij} = P(x' = j \mid x = i), \qquad \sum_i p_i K_{ij} = q_j

    The laws p and q of the slot in the two worlds do not decide the kernel: many kernels lead from
    p to q, data of separate units cannot tell them apart, and so a coupling is a choice. Every
    object with this method is one. Two laws that are equal must give the identity, or observing a
    unit and setting it to what it was would change it.
    """

    def kernel(
        self, before: Float[Tensor, "*batch codes"], after: Float[Tensor, "*batch codes"]
    ) -> Float[Tensor, "*batch codes codes"]:
        """Gives the law of the code in the other world, for each code in the first one.

        Args:
            before: The slot's law p in the world where the unit was seen; rows sum to one.
            after: Its law q in the other world; rows sum to one.

        Returns:
            Rows that sum to one, in the precision of ``before`` and on its device. Where ``before``
            is zero the row is ``after``: the code cannot have been seen.
        """
        ...


@dataclass(frozen=True)
class Gumbel:
    r"""Gumbel-max noise: the code with the largest log-probability plus Gumbel noise.

    .. math::
        x = \arg\max_v \log p_v + g_v, \qquad x' = \arg\max_v \log q_v + g_v, \qquad
        K_{ij} = q_j \int_{a_j}^{a_i} S(\tau)^2 d\tau \;\; (a_j < a_i), \qquad K_{ii} = S(a_i)

    with :math:`a_v = p_v / q_v` and :math:`S(\tau) = 1 / (1 + \sum_v q_v (\tau - a_v)_+)`. The
    noise is integrated out exactly. No unit leaves a code for one whose probability grew by a
    smaller factor, or by the same (*counterfactual stability*); codes need no order.

    Derivation. With ``t_v = exp(-g_v) / p_v`` the code is that of the first of independent
    exponential clocks of rates ``p_v``. Given that i was first, ``t_i = T`` is standard exponential
    and the others are ``T`` plus clocks of rates ``p_v`` again. In the other world the same noise
    gives ``s_v = t_v a_v``: ``s_i = T a_i``, and the others ``T a_v`` plus clocks of rates ``q_v``.
    In units of T, clock v runs from ``a_v`` on with rate ``T q_v``, until i rings at ``a_i``. No
    clock has rung by ``tau`` with probability ``exp(-T sum_v q_v (tau - a_v)+)``, of which ``S`` is
    the mean over T; the first to ring is j in proportion to ``q_j``, whatever T. So j takes over
    with density ``-S'(tau) q_j / sum of active q = q_j S(tau)^2``.

    Example:
        >>> p, q = torch.tensor([0.5, 0.5]), torch.tensor([0.25, 0.75])
        >>> Gumbel().kernel(p, q)  # code 1 became more probable: it is kept
        tensor([[0.5000, 0.5000],
                [0.0000, 1.0000]])

    Source: Oberst and Sontag (2019), Counterfactual off-policy evaluation with Gumbel-max
    structural causal models, who draw the noise. The integral is derived here.

    Cost: O(codes log codes) a row, beside the result.
    """

    def kernel(
        self, before: Float[Tensor, "*batch codes"], after: Float[Tensor, "*batch codes"]
    ) -> Float[Tensor, "*batch codes codes"]:
        """Gives the kernel, see :class:`Coupling`.

        Args:
            before: The law p.
            after: The law q.

        Returns:
            The kernel.

        Raises:
            ShapeError: When the laws are not probabilities of one shape.
        """
        p, q = _laws(before, after)
        possible = q > 0
        start = torch.where(possible, p / torch.where(possible, q, 1), torch.inf)
        start, order = start.sort(-1)
        runs = start.isfinite()
        rate = torch.where(runs, q.gather(-1, order), 0).cumsum(-1)
        gap = torch.where(runs[..., 1:], start[..., 1:] - start[..., :-1], 0)
        kept = 1 / (1 + _sums_before(rate[..., :-1] * gap))
        area = _sums_before(gap * kept[..., :-1] * kept[..., 1:])
        # a code of probability zero in q never rings: the clocks run on to infinity
        area = torch.where(runs, area, area + kept / rate)
        kept = torch.where(runs, kept, 0)
        area = torch.empty_like(area).scatter(-1, order, area)
        kept = torch.empty_like(kept).scatter(-1, order, kept)
        moved = q[..., None, :] * (area[..., :, None] - area[..., None, :]).clamp(min=0)
        return _finished(moved + kept.diag_embed(), p, q, before.dtype)


@dataclass(frozen=True)
class Monotone:
    r"""One quantile in both worlds: for slots whose codes are ordered.

    .. math:: x = F_p^{-1}(u), \quad x' = F_q^{-1}(u), \quad u \sim \text{uniform on } [0, 1]

    The unit keeps its rank: the joint law of i and j is the overlap of their intervals of u. No two
    units change order, and of all couplings it moves codes least far. It is wrong for codes in no
    order: renaming them changes the answer.

    Example:
        >>> p, q = torch.tensor([0.5, 0.5, 0.0]), torch.tensor([0.25, 0.5, 0.25])
        >>> Monotone().kernel(p, q)  # the last row cannot have been seen
        tensor([[0.5000, 0.5000, 0.0000],
                [0.0000, 0.5000, 0.5000],
                [0.2500, 0.5000, 0.2500]])

    Source: Hoeffding (1940) and Frechet (1951), the upper bound of joint laws of given margins.

    Cost: O(codes^2) a row.
    """

    def kernel(
        self, before: Float[Tensor, "*batch codes"], after: Float[Tensor, "*batch codes"]
    ) -> Float[Tensor, "*batch codes codes"]:
        """Gives the kernel, see :class:`Coupling`.

        Args:
            before: The law p.
            after: The law q.

        Returns:
            The kernel.

        Raises:
            ShapeError: When the laws are not probabilities of one shape.
        """
        p, q = _laws(before, after)
        (low, high), (low_after, high_after) = _intervals(p), _intervals(q)
        ends = torch.minimum(high[..., :, None], high_after[..., None, :])
        joint = (ends - torch.maximum(low[..., :, None], low_after[..., None, :])).clamp(min=0)
        width = joint.sum(-1, keepdim=True)
        # a code too rare to have an interval in floating point sits at a point, on one code of q
        place = torch.searchsorted(high_after, low, right=True).clamp(max=q.shape[-1] - 1)
        point = torch.nn.functional.one_hot(place, q.shape[-1]).to(joint)
        kernel = torch.where(width > 0, joint / torch.where(width > 0, width, 1), point)
        equal = (p == q).all(-1)[..., None, None]
        identity = torch.eye(q.shape[-1], dtype=q.dtype, device=q.device)
        return _finished(torch.where(equal, identity, kernel), p, q, before.dtype)


@dataclass(frozen=True)
class Maximal:
    r"""Keeps the code with the largest probability that any coupling allows.

    .. math::
        \pi_{ii} = \min(p_i, q_i), \qquad
        \pi_{ij} = \frac{(p_i - q_i)_+ (q_j - p_j)_+}{\sum_v (q_v - p_v)_+} \quad (i \neq j)

    As many units as possible keep their code; those that must change take a new one in proportion
    to what each code gains. The probability of change is the total variation distance of p and q.

    Example:
        >>> p, q = torch.tensor([0.5, 0.5, 0.0]), torch.tensor([0.25, 0.5, 0.25])
        >>> Maximal().kernel(p, q)[0]
        tensor([0.5000, 0.0000, 0.5000])

    Source: Doeblin's coupling; Lindvall (2002), Lectures on the coupling method, section I.5.

    Cost: O(codes^2) a row.
    """

    def kernel(
        self, before: Float[Tensor, "*batch codes"], after: Float[Tensor, "*batch codes"]
    ) -> Float[Tensor, "*batch codes codes"]:
        """Gives the kernel, see :class:`Coupling`.

        Args:
            before: The law p.
            after: The law q.

        Returns:
            The kernel.

        Raises:
            ShapeError: When the laws are not probabilities of one shape.
        """
        p, q = _laws(before, after)
        kept = torch.minimum(p, q)
        gain = q - kept
        total = gain.sum(-1, keepdim=True)
        target = torch.where(total > 0, gain / torch.where(total > 0, total, 1), q)
        seen = torch.where(p > 0, p, 1)
        leave = (p - kept) / seen
        kernel = leave[..., :, None] * target[..., None, :] + (kept / seen).diag_embed()
        return _finished(kernel, p, q, before.dtype)


@dataclass(frozen=True)
class Independent:
    r"""Fresh noise in the other world: what was seen of the slot says nothing.

    .. math:: K_{ij} = q_j

    This is interventional, not counterfactual: even two equal laws do not keep the code. It serves
    as the far end of a comparison, and for noise that belongs to the moment and not to the unit.

    Example:
        >>> p, q = torch.tensor([0.5, 0.5]), torch.tensor([0.25, 0.75])
        >>> Independent().kernel(p, q)
        tensor([[0.2500, 0.7500],
                [0.2500, 0.7500]])
    """

    def kernel(
        self, before: Float[Tensor, "*batch codes"], after: Float[Tensor, "*batch codes"]
    ) -> Float[Tensor, "*batch codes codes"]:
        """Gives the kernel, see :class:`Coupling`.

        Args:
            before: The law p.
            after: The law q.

        Returns:
            The kernel.

        Raises:
            ShapeError: When the laws are not probabilities of one shape.
        """
        p, q = _laws(before, after)
        return _finished(q[..., None, :].expand(*q.shape, q.shape[-1]), p, q, before.dtype)


def _laws(before: Tensor, after: Tensor) -> tuple[Tensor, Tensor]:
    """Both laws in double precision, summing to one as nearly as that allows."""
    for name, law in (("before", before), ("after", after)):
        if not isinstance(law, Tensor) or not law.is_floating_point() or not law.ndim:
            got = f"{law.dtype} {tuple(law.shape)}" if isinstance(law, Tensor) else type(law)
            msg = f"a coupling needs probabilities (*batch, codes) as {name}, got {got}"
            raise ShapeError(msg)
    if before.shape != after.shape:
        msg = (
            f"a coupling joins laws of one shape, got before {tuple(before.shape)} and after "
            f"{tuple(after.shape)}; expand the smaller one"
        )
        raise ShapeError(msg)
    p, q = before.double(), after.double()
    return p / p.sum(-1, keepdim=True), q / q.sum(-1, keepdim=True)


def _sums_before(steps: Tensor) -> Tensor:
    return torch.nn.functional.pad(steps.cumsum(-1), (1, 0))


def _intervals(law: Tensor) -> tuple[Tensor, Tensor]:
    sums = _sums_before(law)
    sums = (sums / sums[..., -1:]).contiguous()
    return sums[..., :-1].contiguous(), sums[..., 1:].contiguous()


def _finished(kernel: Tensor, p: Tensor, q: Tensor, dtype: torch.dtype) -> Tensor:
    unseen: Bool[Tensor, "*batch codes"] = p == 0
    return torch.where(unseen[..., :, None], q[..., None, :], kernel).to(dtype)
