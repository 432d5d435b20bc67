"""Models for DoWhy's gcm, our tables as their mechanisms."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from ctvae.errors import CodeError
from ctvae.interop.extras import load_extra
from ctvae.interop.parts import ModelParts

__all__ = ["to_gcm"]

EXTRA = "interop"


def to_gcm(parts: ModelParts) -> Any:  # noqa: ANN401  # an untyped package, loaded at use
    """Makes DoWhy's ``gcm.StructuralCausalModel``.

    Samples are integer codes, one column per slot, and so are the values that interventions give:
    ``gcm.interventional_samples(model, {"x": lambda x: 2}, num_samples_to_draw=1000)``. Draws come
    from NumPy's global generator, as all draws of gcm, so that its own
    ``gcm.util.general.set_random_seed`` and its parallel jobs seed them. ``gcm.fit`` leaves the
    tables as they are. A table says nothing of a unit's noise, so gcm refuses counterfactuals;
    ``SCM.counterfactual`` gives them.

    Args:
        parts: The model.

    Returns:
        The model, ready to draw from.

    Raises:
        CTVAEError: When DoWhy is not installed.
    """
    gcm = load_extra("dowhy.gcm", extra=EXTRA)
    kinds = load_extra("dowhy.gcm.causal_mechanisms", extra=EXTRA)
    root_base: Any = kinds.StochasticModel
    child_base: Any = kinds.ConditionalStochasticModel
    fitted_parents = load_extra("dowhy.gcm.causal_models", extra=EXTRA).PARENTS_DURING_FIT

    class Root(root_base):  # type: ignore[misc]  # an untyped package, loaded at use
        """A law without parents."""

        def __init__(self, sampler: _Sampler) -> None:
            self.sampler = sampler

        def fit(self, X: np.ndarray) -> None:
            """Leaves the law as it is."""

        def draw_samples(self, num_samples: int) -> np.ndarray:
            """Draws codes ``(num_samples, 1)``."""
            return self.sampler.draw(np.empty((num_samples, 0)))

        def clone(self) -> Root:
            """Gives another mechanism of the same law."""
            return Root(self.sampler)

    class Child(child_base):  # type: ignore[misc]  # as above
        """A law given parents."""

        def __init__(self, sampler: _Sampler) -> None:
            self.sampler = sampler

        def fit(self, X: np.ndarray, Y: np.ndarray) -> None:
            """Leaves the law as it is."""

        def draw_samples(self, parent_samples: np.ndarray) -> np.ndarray:
            """Draws codes ``(rows, 1)``, one for each row of parents."""
            return self.sampler.draw(parent_samples)

        def clone(self) -> Child:
            """Gives another mechanism of the same law."""
            return Child(self.sampler)

    model = gcm.StructuralCausalModel(parts.graph.to_networkx())
    for name in parts.slots.names:
        parents = parts.graph.parents(name)
        ordered = sorted(parents)  # gcm hands the parents over in the order of their names
        axes = [parents.index(parent) for parent in ordered]
        table = parts.mechanisms[name].table().double().cpu().permute(*axes, len(axes))
        sampler = _Sampler(name, table.numpy())
        model.set_causal_mechanism(name, Child(sampler) if parents else Root(sampler))
        model.graph.nodes[name][fitted_parents] = ordered
    return model


class _Sampler:
    """Draws codes from a table by thresholds."""

    def __init__(self, name: str, table: Float[np.ndarray, "*parents codes"]) -> None:
        self.name, self.sizes = name, table.shape[:-1]
        sums = table.reshape(-1, table.shape[-1]).cumsum(-1)
        # Divided by the last sum, no draw below one passes the cuts before codes of probability 0.
        self.cuts = (sums / sums[:, -1:])[:, :-1]

    def draw(self, parents: np.ndarray) -> Int[np.ndarray, "rows 1"]:
        codes = np.asarray(parents, dtype=float).reshape(len(parents), len(self.sizes))
        bad = (codes != np.floor(codes)) | (codes < 0) | (codes >= np.array(self.sizes))
        if bad.any():
            msg = (
                f"a parent of {self.name!r} has the value {codes[bad][0]:g}, which is no code of "
                f"it; its parents have {self.sizes} codes, in the order of their names"
            )
            raise CodeError(msg)
        strides = np.array([math.prod(self.sizes[k + 1 :]) for k in range(len(self.sizes))])
        row = (codes * strides).sum(1).astype(np.int64)
        uniform = np.random.random_sample((len(codes), 1))  # noqa: NPY002  # gcm's own generator
        return (uniform >= self.cuts[row]).sum(1, keepdims=True)
