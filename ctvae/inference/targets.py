"""Which slots the actions of a transition law target."""

from __future__ import annotations

import torch
from jaxtyping import Bool
from torch import Tensor

from ctvae.mechanisms.transition import TransitionProgram

__all__ = ["targeted_slots"]


def targeted_slots(program: TransitionProgram) -> Bool[Tensor, "actions slots"]:
    """Marks the slots that each action targets.

    Args:
        program: The law of transitions.

    Returns:
        ``[a, k]`` true where action a has a kernel of its own in slot k.

    Example:
        >>> from ctvae.mechanisms.actions import SetAction
        >>> stay = torch.eye(2).double().expand(2, 2, 2, 2)
        >>> law = TransitionProgram(stay, [2, 2], [SetAction("a", 0, 0), SetAction("b", 1, 1)])
        >>> targeted_slots(law).tolist()
        [[True, False], [False, True]]
    """
    hit = torch.zeros(program.kernels.shape[:2], dtype=torch.bool, device=program.kernels.device)
    for number, action in enumerate(program.actions):
        if action.target is not None:
            hit[number, action.target] = True
    return hit
