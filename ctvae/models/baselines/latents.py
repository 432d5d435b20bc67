"""Gaussian latents: the variational autoencoder that continuous baselines share, and its bins."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from ctvae.models.baselines.base import LabelledPairs
from ctvae.models.baselines.coded import VectorDecoder
from ctvae.models.baselines.counted import CountedActions
from ctvae.models.baselines.learning import count_parameters, read_all
from ctvae.nn import ImageEncoder

__all__ = ["Gaussian", "GaussianVAE", "TrainedLatents", "divergence_from_standard", "quantile_bins"]


class Gaussian(NamedTuple):
    """Independent normal laws.

    Attributes:
        mean: ``(batch, dims)``.
        log_variance: ``(batch, dims)``.
    """

    mean: Float[Tensor, "batch dims"]
    log_variance: Float[Tensor, "batch dims"]

    def sample(self, generator: torch.Generator) -> Float[Tensor, "batch dims"]:
        """Draws one row for each law, differentiably.

        Args:
            generator: On the CPU, so that every device sees the same noise.

        Returns:
            ``mean + deviation * noise``.
        """
        noise = torch.randn(self.mean.shape, generator=generator).to(self.mean.device)
        return self.mean + (self.log_variance / 2).exp() * noise


def divergence_from_standard(law: Gaussian) -> Float[Tensor, "batch dims"]:
    r"""Measures the divergence of normal laws from the standard one.

    .. math:: \tfrac12 (\mu^2 + \sigma^2 - \log \sigma^2 - 1)

    Args:
        law: The laws.

    Returns:
        Nats, for each dimension.

    Example:
        >>> divergence_from_standard(Gaussian(torch.tensor([[2.0]]), torch.zeros(1, 1))).item()
        2.0

    Source: Kingma and Welling (2014), appendix B.
    """
    mean, log_variance = law
    return (mean.square() + log_variance.exp() - log_variance - 1) / 2


class GaussianVAE(nn.Module):
    """Images to normal laws of latents, and latents to pixel logits.

    Args:
        dims: The number of latents.
        channels: Image channels.
        size: Image side in pixels, a multiple of 8.
    """

    def __init__(self, dims: int, channels: int, size: int) -> None:
        super().__init__()
        self.encoder = ImageEncoder(channels, size, 2 * dims)
        self.decoder = VectorDecoder(dims, channels, size)

    def law(self, images: Tensor) -> Gaussian:
        """Reads the laws.

        Args:
            images: Floats in [0, 1].

        Returns:
            One for each image.
        """
        return Gaussian(*self.encoder(images).chunk(2, 1))

    def mean(self, images: Tensor) -> Float[Tensor, "batch dims"]:
        """Reads the means.

        Args:
            images: Floats in [0, 1].

        Returns:
            One for each image.
        """
        return self.law(images).mean

    def reconstruct(self, images: Tensor) -> Tensor:
        """Draws what the means say.

        Args:
            images: Floats in [0, 1].

        Returns:
            Pictures in [0, 1].
        """
        return self.decoder(self.mean(images)).sigmoid()


def quantile_bins(values: Float[Tensor, "rows dims"], bins: int) -> Float[Tensor, "dims edges"]:
    """Finds edges that cut each column into parts of as many rows.

    Args:
        values: A sample.
        bins: Parts of each column.

    Returns:
        ``bins - 1`` edges for each column, increasing.

    Example:
        >>> quantile_bins(torch.arange(5.0)[:, None], 2).tolist()
        [[2.0]]
    """
    levels = torch.arange(1, bins, device=values.device) / bins
    return torch.quantile(values, levels.to(values.dtype), dim=0).T.contiguous()


class TrainedLatents:
    """A trained variational autoencoder; its codes are bins of the means, read by counting.

    Args:
        model: The autoencoder, in evaluation mode.
        edges: Of the bins, from training images.
        counted: Tables of the codes.
        device: Where it lives.
    """

    def __init__(
        self,
        model: GaussianVAE,
        edges: Float[Tensor, "dims edges"],
        counted: CountedActions,
        device: torch.device,
    ) -> None:
        self.model, self.edges, self.counted, self.device = model, edges, counted, device

    @classmethod
    def fit(
        cls,
        model: GaussianVAE,
        pairs: LabelledPairs,
        validation: LabelledPairs,
        *,
        bins: int,
        device: torch.device,
    ) -> TrainedLatents:
        """Cuts the means into bins and counts the transitions of labelled pairs.

        Args:
            model: A trained autoencoder; put in evaluation mode.
            pairs: Training pairs; their images set the edges.
            validation: Pairs that the prior count is chosen on.
            bins: Codes of each latent.
            device: Where the model lives.

        Returns:
            The autoencoder with its codes.
        """
        model.eval()
        means = read_all(model.mean, pairs.images, device)
        edges = quantile_bins(means[pairs.used_images().to(device)], bins)
        codes = _bins(means, edges)
        held = codes
        if validation.images is not pairs.images:
            held = _bins(read_all(model.mean, validation.images, device), edges)
        return cls(model, edges, CountedActions.fit(codes, pairs, validation, held), device)

    @property
    def num_parameters(self) -> int:
        """The weights of the networks, the edges, and the free numbers of the tables."""
        return count_parameters(self.model) + self.edges.numel() + self.counted.num_parameters

    def represent(self, images: Tensor) -> Float[Tensor, "batch dims"]:
        """Reads the means.

        Args:
            images: uint8, or floats in [0, 1].

        Returns:
            One row per image.
        """
        return read_all(self.model.mean, images, self.device)

    def encode(self, images: Tensor) -> Int[Tensor, "batch dims"]:
        """Reads the bins of the means.

        Args:
            images: uint8, or floats in [0, 1].

        Returns:
            One code per latent.
        """
        return _bins(self.represent(images), self.edges)

    def action_log_probs(self, before: Tensor, after: Tensor) -> Float[Tensor, "batch actions"]:
        """Tells actions by counting.

        Args:
            before: Images before.
            after: Images after.

        Returns:
            Normalised log-probabilities, nats.
        """
        return self.counted.log_probs(self.encode(before), self.encode(after))

    def reconstruct(self, images: Tensor) -> Tensor:
        """Draws what the means say.

        Args:
            images: uint8, or floats in [0, 1].

        Returns:
            Pictures in [0, 1].
        """
        return read_all(self.model.reconstruct, images, self.device)


def _bins(values: Tensor, edges: Tensor) -> Tensor:
    return torch.searchsorted(edges, values.T.contiguous(), right=True).T.contiguous()
