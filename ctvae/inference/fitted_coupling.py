"""A coupling estimated from pairs: tables of counts, fitted to their margins."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ctvae.errors import DataError, ShapeError
from ctvae.mechanisms.couplings import Coupling, Independent

__all__ = ["FittedCoupling", "fit_margins"]

SAME_LAW = 1e-6
"""Two laws are one where no code differs by more: the rounding of single precision."""
ROUNDS = 1000
"""Rounds of fitting margins. What is missing then is far below the error of the counts."""
MARGIN_ERROR = 1e-13


@dataclass(frozen=True, eq=False)
class FittedCoupling:
    r"""A coupling estimated from pairs, for the pairs of laws that were seen.

    .. math:: K_{ij} = \hat\pi_{ij} / p_i

    It answers for each pair of laws (p, q) that pairs were given for, and for (q, p) by the same
    joint law read the other way. Laws are met up to 1e-6. Equal laws give the identity, whatever
    the pairs and the other coupling say: a unit whose parents did not change keeps its code.

    Attributes:
        before: The laws p, ``(groups, codes)`` float64.
        after: The laws q.
        joint: The estimated joint laws, ``(groups, codes, codes)``, whose margins are p and q.
        num_pairs: The pairs of each group, ``(groups,)``.
        otherwise: The coupling of laws that were not seen; ``None`` to refuse them.
    """

    before: Float[Tensor, "groups codes"]
    after: Float[Tensor, "groups codes"]
    joint: Float[Tensor, "groups codes codes"]
    num_pairs: Int[Tensor, " groups"]
    otherwise: Coupling | None = None

    def __repr__(self) -> str:
        groups, codes = self.before.shape
        return f"FittedCoupling({groups} groups, {codes} codes, {int(self.num_pairs.sum())} pairs)"

    def kernel(
        self, before: Float[Tensor, "*batch codes"], after: Float[Tensor, "*batch codes"]
    ) -> Float[Tensor, "*batch codes codes"]:
        """Gives the estimated kernel, see :class:`~ctvae.mechanisms.couplings.Coupling`.

        Args:
            before: The law p.
            after: The law q.

        Returns:
            The kernel.

        Raises:
            ShapeError: When the laws are not probabilities over the codes of the pairs.
            DataError: When no pairs of these laws were seen and there is no other coupling.

        Cost: O(rows * groups * codes) to find the laws.
        """
        fallback = (self.otherwise or Independent()).kernel(before, after)
        if before.shape[-1] != self.before.shape[-1]:
            msg = f"the pairs have {self.before.shape[-1]} codes, got laws of {before.shape[-1]}"
            raise ShapeError(msg)
        shape, device = before.shape, before.device
        p, q = (side.double().reshape(-1, shape[-1]) for side in (before, after))
        own = torch.cat([self.before, self.after]).to(device)
        other = torch.cat([self.after, self.before]).to(device)
        far = torch.maximum(_distance(p, own), _distance(q, other))
        match = far <= SAME_LAW
        seen, equal = match.any(-1), (p == q).all(-1)
        if self.otherwise is None and not bool((seen | equal).all()):
            raise DataError(self._refusal(far[~(seen | equal)][0]))
        if not len(own):
            kernel = fallback.reshape(-1, shape[-1], shape[-1]).double()
        else:
            place = match.int().argmax(-1)  # the first one: there before back
            joint = torch.cat([self.joint, self.joint.mT]).to(device)[place]
            found = _rows(joint, q)
            rest = fallback.reshape(found.shape).double()
            kernel = torch.where(seen[:, None, None], found, rest)
        identity = torch.eye(shape[-1], dtype=torch.float64, device=device)
        identity = torch.where(p[..., None] > 0, identity, q[:, None, :])
        kernel = torch.where(equal[:, None, None], identity, kernel)
        return kernel.reshape(*shape, shape[-1]).to(before.dtype)

    def _refusal(self, far: Tensor) -> str:
        near = f"the nearest differ by {float(far.min()):.3g}" if len(far) else "there are none"
        return (
            f"no pairs of these two laws were seen ({len(self.before)} groups; {near}); give "
            "pairs of them, or a coupling for the rest, otherwise=Gumbel()"
        )


def _distance(rows: Tensor, known: Tensor) -> Tensor:
    return torch.cdist(rows, known, p=float("inf"))


def _rows(joint: Tensor, q: Tensor) -> Tensor:
    weight = joint.sum(-1, keepdim=True)
    return torch.where(weight > 0, joint / torch.where(weight > 0, weight, 1), q[:, None, :])


def fit_margins(
    table: Float[Tensor, "groups codes codes"],
    p: Float[Tensor, "groups codes"],
    q: Float[Tensor, "groups codes"],
) -> Float[Tensor, "groups codes codes"]:
    r"""Finds the joint law of given margins that is nearest to a table.

    .. math::
        \arg\min_\pi \mathrm{KL}(\pi \,\|\, M) \quad \text{with} \quad \sum_j \pi_{ij} = p_i, \quad
        \sum_i \pi_{ij} = q_j

    Rows and columns are scaled to their margins in turn, which keeps all odds ratios. What misses
    the margins after 1,000 rounds is spread over the table.

    Args:
        table: Non-negative; its zeros must leave room for the margins, and stay.
        p: The sums of rows wanted; float64.
        q: The sums of columns wanted; float64.

    Returns:
        The joint laws, margins exact to rounding.

    Example:
        >>> half = torch.tensor([[0.5, 0.5]], dtype=torch.float64)
        >>> fit_margins(torch.tensor([[[9.0, 1.0], [4.0, 4.0]]]).double(), half, half)
        tensor([[[0.3750, 0.1250],
                 [0.1250, 0.3750]]], dtype=torch.float64)

    Source: Deming and Stephan (1940), On a least squares adjustment of a sampled frequency table;
    the last step Altschuler, Weed and Rigollet (2017), algorithm 2.
    """
    joint = table * (p > 0)[..., :, None] * (q > 0)[..., None, :]
    for count in range(ROUNDS):
        joint = joint * _per(p, joint.sum(-1))[..., :, None]
        joint = joint * _per(q, joint.sum(-2))[..., None, :]
        if count % 10 == 0 and bool(((joint.sum(-1) - p).abs() <= MARGIN_ERROR).all()):
            break
    joint = joint * _per(p, joint.sum(-1)).clamp(max=1)[..., :, None]
    joint = joint * _per(q, joint.sum(-2)).clamp(max=1)[..., None, :]
    short, lacking = (p - joint.sum(-1)).clamp(min=0), (q - joint.sum(-2)).clamp(min=0)
    missing = lacking.sum(-1, keepdim=True)
    share = lacking / torch.where(missing > 0, missing, 1)
    return joint + short[..., :, None] * share[..., None, :]


def _per(part: Tensor, whole: Tensor) -> Tensor:
    return torch.where(whole > 0, part / torch.where(whole > 0, whole, 1), 0)
