"""Which slots the actions of a transition law target."""

from __future__ import annotations

from jaxtyping import Bool
from torch import Tensor

from ctvae.mechanisms.actions import target_mask
from ctvae.mechanisms.transition import TransitionProgram

__all__ = ["targeted_slots"]


def targeted_slots(program: TransitionProgram) -> Bool[Tensor, "actions slots"]:
    """Marks the slots that each action targets.

    Args:
        program: The law of transitions.

    Returns:
        ``[a, k]`` true where action a has a kernel of its own in slot k.

    Example:
        >>> import torch
        >>> from ctvae.mechanisms.actions import SetAction
        >>> stay = torch.eye(2).double().expand(2, 2, 2, 2)
        >>> law = TransitionProgram(stay, [2, 2], [SetAction("a", 0, 0), SetAction("b", 1, 1)])
        >>> targeted_slots(law).tolist()
        [[True, False], [False, True]]
    """
    return target_mask(program.actions, len(program.cardinalities), program.kernels.device)
