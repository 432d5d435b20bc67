"""Multi-codebook quantization of a grid: each codebook is shared by all places."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from ctvae.errors import CodeError
from ctvae.quant.base import Quantizer
from ctvae.randomness import Seed, make_generator

__all__ = ["SharedCodebooks"]


class SharedCodebooks(Quantizer):
    """Several codebooks, each shared by all places of a grid, learned by gradient.

    Slot ``c * places + p`` is place ``p`` seen through codebook ``c``. The vectors are parameters:
    ``lookup`` passes gradients to them. There are no moving averages and no restarts.

    Args:
        codebooks: How many codebooks.
        places: How many places share each of them.
        codes: The number of codes in each.
        width: The length of a code's vector.
        seed: For the first vectors, uniform within ``1 / codes`` of zero.

    Raises:
        CodeError: When a size is below 1.

    Example:
        >>> quantizer = SharedCodebooks(2, places=3, codes=5, width=4, seed=0)
        >>> quantizer.cardinalities
        (5, 5, 5, 5, 5, 5)

    Source: van den Oord, Vinyals, Kavukcuoglu (2017); several codebooks: Gendron, Witbrock,
    Dobbie (2023).
    Cost: O(batch * slots * codes * width).
    """

    owner: Tensor

    def __init__(
        self, codebooks: int, places: int, codes: int, width: int, *, seed: Seed = None
    ) -> None:
        super().__init__()
        if min(codebooks, places, codes, width) < 1:
            msg = (
                "codebooks, places, codes and width are at least 1, got "
                f"{codebooks}, {places}, {codes}, {width}"
            )
            raise CodeError(msg)
        unit = torch.rand(codebooks, codes, width, generator=make_generator(seed))
        self.codebook = nn.Parameter((2 * unit - 1) / codes)
        owner = torch.arange(codebooks).repeat_interleave(places)
        self.register_buffer("owner", owner, persistent=False)

    @property
    def cardinalities(self) -> tuple[int, ...]:
        """The number of codes of each slot."""
        return (self.codebook.shape[1],) * len(self.owner)

    @property
    def width(self) -> int:
        """The length of a code's vector."""
        return self.codebook.shape[2]

    def _distances(self, features: Tensor) -> Tensor:
        codebooks = len(self.codebook)
        grouped = features.unflatten(1, (codebooks, -1)).transpose(0, 1)
        exact = "donot_use_mm_for_euclid_dist"  # a vector must be at distance 0 from itself
        across = torch.cdist(grouped.flatten(1, 2), self.codebook, compute_mode=exact)
        squared = across.square().unflatten(1, (len(features), -1))
        return squared.transpose(0, 1).flatten(1, 2)

    @torch.no_grad()
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
            Vectors ``(batch, slots, width)``, with gradient to the codebooks.
        """
        return self.codebook[self.owner, codes]

    def expected(
        self, probs: Float[Tensor, "batch slots codes"]
    ) -> Float[Tensor, "batch slots width"]:
        """Gives the mean vectors of laws over codes.

        Args:
            probs: ``(batch, slots, codes)``, each law summing to one.

        Returns:
            Vectors ``(batch, slots, width)``, with gradient to the laws.
        """
        return torch.einsum("bsk,skd->bsd", probs, self.codebook[self.owner])

    def log_probs(
        self, features: Float[Tensor, "batch slots width"]
    ) -> Float[Tensor, "batch slots codes"]:
        """Gives soft assignments: a softmax of negative squared distances.

        Args:
            features: ``(batch, slots, width)``.

        Returns:
            Normalised log-probabilities in nats.
        """
        return (-self._distances(features)).log_softmax(-1)
