"""Actions in a world whose slots respond: the transition law of a model with an SCM."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ctvae.errors import CTVAEError
from ctvae.inference.actions import action_posterior
from ctvae.inference.responses import respond
from ctvae.mechanisms.couplings import Coupling, Gumbel, Maximal, Monotone
from ctvae.mechanisms.transition import TransitionProgram

if TYPE_CHECKING:
    from ctvae.data.transitions import Transitions
    from ctvae.models.ctvae import CTVAE
    from ctvae.scm import SCM

__all__ = ["NAMED_COUPLINGS", "learn_responses", "responded"]

NAMED_COUPLINGS: dict[str, Coupling] = {
    type(one).__name__: one for one in (Maximal(), Gumbel(), Monotone())
}
"""The couplings that a file can name, and that are compared where none is given."""


def learn_responses(
    model: CTVAE, pairs: Transitions, coupling: Coupling | None, *, smoothing: float = 0.1
) -> tuple[TransitionProgram, Coupling]:
    """Counts what actions do where the slots respond to their parents.

    A slot was held in a pair where the action does not target it and its parents kept their codes:
    over these pairs its leak is counted. The coupling, where none is given, is the one under which
    the pairs are most probable.

    Args:
        model: A fitted model with an SCM over its slots.
        pairs: Labelled pairs of the counterfactual regime.
        coupling: How a unit's noise links its codes; ``None`` to compare those with a name.
        smoothing: Prior count of every cell of a row that was seen.

    Returns:
        The law of the actions, and the coupling.

    Raises:
        CTVAEError: When the model has no SCM.

    Cost: one pass of the encoder over the images, and one of the law for each coupling.
    """
    scm = _needed(model.scm)
    known = (pairs.action >= 0).nonzero()[:, 0]
    pairs = pairs.subset(known) if len(known) < len(pairs) else pairs
    used = pairs.used_images()
    codes = torch.zeros(len(pairs.images), len(scm.slots), dtype=torch.long, device=model.device)
    codes[used] = model.encode(pairs.images[used])
    before, after = codes[pairs.before], codes[pairs.after]
    action = pairs.action.to(model.device)
    moves = TransitionProgram.fit(
        before,
        action,
        after,
        actions=model.actions,
        cardinalities=scm.slots.cardinalities,
        smoothing=smoothing,
        held=_held(scm, before, after),
    )
    if coupling is not None:
        return moves, coupling
    hot = torch.nn.functional.one_hot(after, max(scm.slots.cardinalities)).double()
    rows = torch.arange(len(before), device=model.device)
    found = []
    for one in NAMED_COUPLINGS.values():
        law = respond(scm.program, [one] * len(scm.slots), before, after)
        posterior = action_posterior(moves, law, hot)
        joint = posterior.probs[rows, action].log() + posterior.log_evidence
        found.append((float(joint.mean()), one))
    return moves, max(found, key=lambda pair: pair[0])[1]


def responded(
    scm: SCM, coupling: Coupling, before: Tensor, after: Tensor
) -> Float[Tensor, "batch slots codes"]:
    """Gives the law of the codes once the slots have responded to their parents.

    Args:
        scm: The natural law of the slots.
        coupling: How a unit's noise links its codes.
        before: Probabilities of the codes before, ``(batch, slots, codes)``.
        after: The same of the codes after.

    Returns:
        Probabilities; those before, where no parent moved.
    """
    couplings = [coupling] * len(scm.slots)
    first, second = before.argmax(-1), after.argmax(-1)
    law = respond(scm.program, couplings, first, second, uncertain=before.double())
    return law / law.sum(-1, keepdim=True)


def _held(
    scm: SCM, before: Int[Tensor, "pairs slots"], after: Int[Tensor, "pairs slots"]
) -> Bool[Tensor, "pairs slots"]:
    """Where no parent moved."""
    names = scm.slots.names
    edges = torch.tensor(
        [[parent in scm.graph.parents(name) for name in names] for parent in names],
        device=before.device,
    )
    moved = (before != after).double() @ edges.double()
    return moved == 0


def _needed(scm: SCM | None) -> SCM:
    if scm is None:
        msg = (
            "slots respond through an SCM, and this model has none over its slots; learn one from "
            "independent images: model.with_scm(ct.SCM.fit(graph, model.samples(images)))"
        )
        raise CTVAEError(msg)
    return scm
