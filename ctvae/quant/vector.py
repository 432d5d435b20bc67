"""Vector quantization with one codebook per slot, learned by moving averages."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ctvae.errors import CodeError
from ctvae.quant.base import Quantizer
from ctvae.randomness import Seed, make_generator

__all__ = ["SlotVQ"]

RESTART_NOISE = 0.01
"""Spread of restarted codes around their feature, in standard deviations of the features."""
FAR = 1e12
"""Squared distance to a code that a slot does not have."""


class SlotVQ(Quantizer):
    r"""Per-slot vector quantization: nearest codes, exponential moving averages, restarts.

    A code's vector is the moving average of the features assigned to it, and a code that is
    hardly used is restarted at a feature of the batch:

    .. math::
        n \leftarrow \gamma n + (1 - \gamma) \textstyle\sum_i 1, \quad
        s \leftarrow \gamma s + (1 - \gamma) \textstyle\sum_i h_i, \quad e = s / n

    ``forward`` searches and never learns; call ``update`` after the optimizer's step, so that what
    ``forward`` returned still equals ``lookup``. Cardinalities are given as upper bounds; unused
    codes are dropped by ``pruned``, which is how they are learned.

    Args:
        cardinalities: The number of codes of each slot.
        width: The length of a code's vector.
        decay: The weight of the past in the moving averages, in [0, 1).
        restart_below: A code with fewer expected uses per batch is restarted.
        seed: For the first codebook.

    Raises:
        CodeError: When a cardinality is below 1 or the decay outside [0, 1).

    Example:
        >>> vq = SlotVQ([2, 3], width=4, seed=0)
        >>> codes = torch.tensor([[1, 2]])
        >>> vq.quantize(vq.lookup(codes)).tolist()
        [[1, 2]]

    Source: van den Oord, Vinyals, Kavukcuoglu (2017), appendix A; restarts: Dhariwal et al. (2020).
    Cost: O(batch * slots * codes * width).
    """

    codebook: Tensor
    cluster_size: Tensor
    embed_sum: Tensor
    available: Tensor

    def __init__(
        self,
        cardinalities: Sequence[int],
        width: int,
        *,
        decay: float = 0.95,
        restart_below: float = 0.2,
        seed: Seed = None,
    ) -> None:
        super().__init__()
        if not cardinalities or min(cardinalities) < 1 or not 0 <= decay < 1:
            msg = f"need cardinalities >= 1 and decay in [0, 1), got {cardinalities} and {decay}"
            raise CodeError(msg)
        self._cardinalities = tuple(cardinalities)
        self.decay, self.restart_below = decay, restart_below
        slots, codes = len(cardinalities), max(cardinalities)
        start = torch.randn(slots, codes, width, generator=make_generator(seed))
        self.register_buffer("codebook", start)
        self.register_buffer("cluster_size", torch.ones(slots, codes))
        self.register_buffer("embed_sum", start.clone())
        sizes = torch.tensor(self._cardinalities)[:, None]
        self.register_buffer("available", torch.arange(codes) < sizes, persistent=False)

    @property
    def cardinalities(self) -> tuple[int, ...]:
        """The number of codes of each slot."""
        return self._cardinalities

    @property
    def width(self) -> int:
        """The length of a code's vector."""
        return self.codebook.shape[-1]

    def _distances(self, features: Tensor) -> Tensor:
        exact = "donot_use_mm_for_euclid_dist"  # a vector must be at distance 0 from itself
        across = torch.cdist(features.transpose(0, 1), self.codebook, compute_mode=exact)
        squared = across.square().transpose(0, 1)
        return squared.masked_fill(~self.available, FAR)

    def quantize(self, features: Float[Tensor, "batch slots width"]) -> Int[Tensor, "batch slots"]:
        """Gives the nearest codes by Euclidean distance.

        Args:
            features: ``(batch, slots, width)``.

        Returns:
            Codes ``(batch, slots)``.
        """
        return self._distances(features).argmin(-1)

    def lookup(self, codes: Int[Tensor, "batch slots"]) -> Float[Tensor, "batch slots width"]:
        """Gives the vectors of codes.

        Args:
            codes: ``(batch, slots)``.

        Returns:
            Vectors ``(batch, slots, width)``.
        """
        return self.codebook[torch.arange(codes.shape[1], device=codes.device), codes]

    def log_probs(
        self, features: Float[Tensor, "batch slots width"]
    ) -> Float[Tensor, "batch slots codes"]:
        """Gives soft assignments: a softmax of negative squared distances.

        Args:
            features: ``(batch, slots, width)``.

        Returns:
            Normalised log-probabilities in nats, ``-inf`` for codes that a slot does not have.
        """
        logits = -self._distances(features)
        return logits.masked_fill(~self.available, -torch.inf).log_softmax(-1)

    @torch.no_grad()
    def update(
        self,
        features: Float[Tensor, "batch slots width"],
        codes: Int[Tensor, "batch slots"],
        *,
        seed: Seed = None,
    ) -> None:
        """Moves the codebooks towards the features and restarts codes that are hardly used.

        Args:
            features: What was quantized.
            codes: The codes it got.
            seed: Which features restarted codes are put on.
        """
        one_hot = torch.nn.functional.one_hot(codes, self.codebook.shape[1]).to(features.dtype)
        size = one_hot.sum(0)
        total = torch.einsum("bmk,bmd->mkd", one_hot, features)
        self.cluster_size.lerp_(size, 1 - self.decay)
        self.embed_sum.lerp_(total, 1 - self.decay)
        generator = make_generator(seed, features.device)
        pick = torch.randint(
            len(features), self.cluster_size.shape, generator=generator, device=features.device
        )
        fresh = features[pick, torch.arange(features.shape[1], device=pick.device)[:, None]]
        # Two codes restarted at one feature must not coincide, or an index would be lost.
        noise = torch.randn(fresh.shape, generator=generator, device=features.device)
        fresh = fresh + RESTART_NOISE * features.std().nan_to_num(1.0).clamp(min=1e-6) * noise
        dead = (self.cluster_size < self.restart_below) & self.available
        # The averages restart with the code, or stale sums would overwrite it at the next update.
        self.cluster_size.masked_fill_(dead, 1.0)
        self.embed_sum.copy_(torch.where(dead[..., None], fresh, self.embed_sum))
        self.codebook.copy_(self.embed_sum / self.cluster_size[..., None].clamp(min=1e-6))

    def pruned(self, codes: Int[Tensor, "rows slots"], *, min_count: int = 1) -> SlotVQ:
        """Drops the codes that a sample does not use: learned cardinalities.

        Args:
            codes: The codes of a sample.
            min_count: A code seen fewer times is dropped.

        Returns:
            A new quantizer; codes keep their order.
        """
        counts = torch.nn.functional.one_hot(codes, self.codebook.shape[1]).sum(0)
        keep = [(row >= min_count).nonzero()[:, 0].tolist() or [0] for row in counts]
        smaller = SlotVQ(
            [len(k) for k in keep],
            self.width,
            decay=self.decay,
            restart_below=self.restart_below,
            seed=0,
        ).to(self.codebook.device)
        for m, kept in enumerate(keep):
            smaller.codebook[m, : len(kept)] = self.codebook[m, kept]
            smaller.cluster_size[m, : len(kept)] = self.cluster_size[m, kept]
            smaller.embed_sum[m, : len(kept)] = self.embed_sum[m, kept]
        return smaller
