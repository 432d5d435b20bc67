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
    from ctvae.models.ctvae import CTVAE
    from ctvae.scm import SCM

__all__ = ["NAMED_COUPLINGS", "learn_responses", "needed_scm", "responded"]

NAMED_COUPLINGS: dict[str, Coupling] = {
    type(one).__name__: one for one in (Maximal(), Gumbel(), Monotone())
}
"""The couplings that a file can name, and that are compared where none is given."""


def learn_responses(
    model: CTVAE,
    before: Int[Tensor, "pairs slots"],
    action: Int[Tensor, " pairs"],
    after: Int[Tensor, "pairs slots"],
    *,
    coupling: Coupling | None = None,
    smoothing: float = 0.1,
) -> tuple[TransitionProgram, Coupling]:
    """Counts what actions do where the slots respond to their parents.

    A slot was held in a pair where the action does not target it and its parents kept their codes:
    over these pairs its leak is counted. The coupling, where none is given, is the one under which
    the pairs are most probable.

    Args:
        model: A fitted model with an SCM over its slots.
        before: Codes of units before an action.
        action: Labels in ``[0, actions)``.
        after: Codes of the same units after it, where descendants responded.
        coupling: How a unit's noise links its codes; ``None`` to compare those with a name.
        smoothing: Prior count of every cell of a row that was seen.

    Returns:
        The law of the actions, and the coupling.

    Cost: one pass of the law over the pairs for each coupling.
    """
    scm = needed_scm(model.scm)
    before, action, after = (part.to(model.device) for part in (before, action, after))
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


def needed_scm(scm: SCM | None) -> SCM:
    """Gives the law through which effects propagate.

    Args:
        scm: A model's SCM over its slots, if it has one.

    Returns:
        The SCM.

    Raises:
        CTVAEError: When there is none.
    """
    if scm is None:
        msg = (
            "this model has no SCM over its slots, so do() has no law to propagate through; "
            "learn one: rows = model.samples(images); graph = ct.learn_graph(rows, "
            "method=...).graph; model = model.with_scm(ct.SCM.fit(graph, rows)); "
            "or hold the other slots with model.edit(...)"
        )
        raise CTVAEError(msg)
    return scm
