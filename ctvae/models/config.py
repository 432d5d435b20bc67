"""Settings of a CTVAE."""

from __future__ import annotations

from pydantic import Field

from ctvae.config import Settings
from ctvae.errors import UnknownSlotError
from ctvae.mechanisms.actions import Action, NoAction, inverse_pairs

__all__ = ["CTVAEConfig", "num_slots"]


class CTVAEConfig(Settings):
    """Settings of a ``CTVAE``.

    Attributes:
        actions: What the labels of the pairs mean. Targets count the slots; where no action has a
            target, they are found while training.
        channels: Image channels.
        image_size: Image side in pixels, a multiple of 8.
        slots: Names of the slots; ``slot0, slot1, ...`` where empty. They also say how many there
            are where no action has a target and the actions are no inverse pairs.
        spare: The length of the spare vector, which holds what no action moves (pose,
            background); 0 where there is nothing of the kind.
    """

    actions: tuple[Action, ...] = Field(min_length=2)
    channels: int = Field(1, ge=1)
    image_size: int = Field(32, ge=8)
    slots: tuple[str, ...] = ()
    spare: int = Field(0, ge=0)


def num_slots(config: CTVAEConfig) -> int:
    """Counts the slots that the actions' targets speak of.

    Args:
        config: Settings.

    Returns:
        The number of slots.

    Raises:
        UnknownSlotError: When targets are given for some actions only, do not count 0, 1, ..., or
            are missing and the actions are no inverse pairs.
    """
    moving = [action for action in config.actions if not isinstance(action, NoAction)]
    targets = [action.targets for action in moving]
    if all(target is None for target in targets):
        return len(config.slots) or inverse_pairs(moving)
    known = {slot for target in targets for slot in target or ()}
    if None in targets or known != set(range(len(known))):
        msg = (
            "either every action but no-ops has a target or none has, and targets count the slots "
            f"0, 1, ...; got {targets}"
        )
        raise UnknownSlotError(msg)
    return len(known)
