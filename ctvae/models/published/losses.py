"""The losses of a CT layer, as functions of what its passes give."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import binary_cross_entropy, cross_entropy

__all__ = [
    "code_cross_entropy",
    "edge_divergence",
    "edge_prior",
    "graph_size",
    "identity_distance",
    "isolation",
]


def code_cross_entropy(
    log_probs: Float[Tensor, "rows slots codes"], codes: Int[Tensor, "rows slots"]
) -> Float[Tensor, "rows slots"]:
    """Scores codes under the law of each slot.

    Args:
        log_probs: Log-probabilities; normalised here, which changes nothing where they are (and
            something where they were clamped: fault 15).
        codes: What happened.

    Returns:
        Nats for each slot.

    Example:
        >>> code_cross_entropy(torch.zeros(1, 2, 4), torch.tensor([[0, 3]]))
        tensor([[1.3863, 1.3863]])
    """
    return cross_entropy(log_probs.movedim(-1, 1), codes, reduction="none")


def identity_distance(graph: Float[Tensor, "rows slots slots"]) -> Float[Tensor, ""]:
    """Measures the mean squared distance of graphs from the graph of loops alone.

    Args:
        graph: Edges drawn, 0 or 1.

    Returns:
        The mean over all entries.

    Example:
        >>> identity_distance(torch.ones(1, 2, 2)).item()
        0.5
    """
    eye = torch.eye(graph.shape[-1], dtype=graph.dtype, device=graph.device)
    return (graph - eye).square().mean()


def edge_divergence(
    edge_probs: Float[Tensor, "rows slots slots"], unit: Float[Tensor, "rows slots slots"]
) -> Float[Tensor, ""]:
    r"""Fault 11: the published divergence of edge probabilities from "uniform".

    .. math:: \mathrm{KL}\bigl(\mathrm{softmax}(u) \,\|\, \mathrm{softmax}(p)\bigr)

    Both are laws over all pairs, the first of fresh uniform noise, the second of probabilities
    that already lie in (0, 1), so that hardly anything moves it: about .041 with a gradient below
    1e-4. ``edge_prior`` is its repair.

    Args:
        edge_probs: Probabilities of edges.
        unit: Noise, uniform in [0, 1).

    Returns:
        Nats, the mean over the rows.

    Example:
        >>> edge_divergence(torch.full((1, 2, 2), 0.5), torch.zeros(1, 2, 2)).item()
        0.0
    """
    target, law = unit.flatten(1).log_softmax(-1), edge_probs.flatten(1).log_softmax(-1)
    return (target.exp() * (target - law)).sum(-1).mean()


def edge_prior(edge_probs: Float[Tensor, "rows slots slots"], *, prior: float) -> Float[Tensor, ""]:
    r"""Measures how far edge probabilities are from a prior.

    .. math:: \mathrm{KL}\bigl(\mathrm{Bernoulli}(r) \,\|\, \mathrm{Bernoulli}(p)\bigr)

    Args:
        edge_probs: Probabilities of edges.
        prior: ``r``, in (0, 1).

    Returns:
        Nats, the mean over all entries; 0 where all probabilities are the prior's.

    Example:
        >>> edge_prior(torch.full((1, 2, 2), 0.25), prior=0.25).item()
        0.0
    """
    target = torch.full_like(edge_probs, prior)
    return binary_cross_entropy(edge_probs, target) - binary_cross_entropy(target, target)


def graph_size(graph: Float[Tensor, "rows slots slots"]) -> Float[Tensor, ""]:
    """Measures the mean Frobenius norm of graphs: the root of the number of edges.

    Args:
        graph: Edges drawn, 0 or 1.

    Returns:
        The mean over the rows.

    Example:
        >>> graph_size(torch.ones(1, 2, 2)).item()
        2.0
    """
    return torch.linalg.matrix_norm(graph).mean()


def isolation(edge_probs: Float[Tensor, "rows slots slots"]) -> Float[Tensor, ""]:
    r"""Fault 12: the published penalty on slots that nothing may reach ("positive trial").

    .. math:: \Bigl\| \textstyle\prod_j (1 - p_{ij}) \Bigr\|_2

    The product underflows unless the graph is almost empty: with 64 slots and all probabilities .5
    it is below 1e-17, at .95 it is 0 and so is its gradient.

    Args:
        edge_probs: Probabilities of edges.

    Returns:
        The mean over the rows of the norm over the slots.

    Example:
        >>> round(isolation(torch.full((1, 2, 2), 0.5)).item() ** 2, 4)
        0.125
    """
    return (1 - edge_probs).prod(-1).norm(dim=-1).mean()
