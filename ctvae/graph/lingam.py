"""Linear models with noise that is not Gaussian, whose directions rows tell (causal-learn)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from ctvae.errors import DataError
from ctvae.graph.continuous import ContinuousEstimate, strongest_dag
from ctvae.randomness import Seed

__all__ = ["DirectLiNGAM"]


@dataclass(frozen=True)
class DirectLiNGAM:
    """Finds the order of the variables by independence of residuals, then regresses along it.

    Assumes linear mechanisms, independent noises of which at most one is Gaussian, and no hidden
    common cause; then even the directions follow from observational rows, and the scale of the data
    does not matter. With Gaussian noise the order is arbitrary, and nothing warns of it. For
    floats, in ``learn_continuous_graph(data, method=DirectLiNGAM())``.

    Args:
        threshold: Weights below it are no edges; the regression is sparse, so 0 takes those that
            it keeps.

    Raises:
        DataError: When the threshold is out of range.

    Example:
        >>> from ctvae.graph import learn_continuous_graph
        >>> noise = torch.rand(800, 2, generator=torch.Generator().manual_seed(0))
        >>> data = torch.stack([noise[:, 0] + noise[:, 1], noise[:, 1]], 1)
        >>> learn_continuous_graph(data, ["effect", "cause"], method=DirectLiNGAM()).raw.graph
        CausalGraph(DAG on effect, cause: cause -> effect)

    Source: Shimizu, Inazumi, Sogawa, Hyvarinen, Kawahara, Washio, Hoyer and Bollen (2011),
    DirectLiNGAM; run by causal-learn.
    Cost: O(rows * variables^3).
    """

    threshold: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.threshold < float("inf"):
            msg = f"threshold must be at least 0, got {self.threshold}"
            raise DataError(msg)

    def estimate(
        self, data: Float[Tensor, "rows variables"], names: Sequence[str], *, seed: Seed = 0
    ) -> ContinuousEstimate:
        """Learns a DAG from centred rows; nothing is drawn.

        Args:
            data: Centred rows.
            names: Of the variables.
            seed: Unused.

        Returns:
            The DAG and its weights.

        Raises:
            DataError: When there are not more rows than variables.
        """
        from causallearn.search.FCMBased.lingam import DirectLiNGAM as Theirs

        del seed
        if len(data) <= data.shape[1] + 1:
            msg = f"{data.shape[1]} variables need more rows than {len(data)} to be regressed"
            raise DataError(msg)
        model = Theirs()
        model.fit(data.cpu().numpy())
        weights = torch.from_numpy(model.adjacency_matrix_.T.copy()).to(data)
        return strongest_dag(weights, self.threshold, names)
