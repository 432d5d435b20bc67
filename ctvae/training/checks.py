"""What training can see of its own failure: named statuses with advice, never a silent pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

__all__ = ["Alarm", "TrainingStatus", "check_training"]

CROSS_ENTROPY_BOUND = 0.1
"""Nats per pair. Slots that are the factors reach about 0; a wrong assignment was seen at .036."""
SEPARATION_BOUND = 2.0
"""Gap over the two standard deviations: below, over 2 % of each of two codes is misread."""
HELD_BOUND = 0.9
"""Share of pairs in which a slot that is held reads one code before and after."""
ACCURACY_GAP = 0.02
"""Accuracy that quantizing may cost."""


class TrainingStatus(Enum):
    """How training ended; the value says what to do next."""

    DONE = "the actions are explained, the modes are apart, and the codes keep what was learned"
    ACTIONS_NOT_EXPLAINED = (
        "the continuous model does not tell the actions apart: train longer, look at whether each "
        "action moves one factor by about a constant (shift) or to one value (set), and at whether "
        "any factor is cyclic"
    )
    SLOT_WITHOUT_CODES = (
        "a slot has a single code, so nothing can be said or done about its factor: train longer, "
        "and look at whether its actions move the factor by about a constant or to one value"
    )
    MODES_NOT_SEPARATED = (
        "the values of a slot run into each other, so its codes are unreliable: something that no "
        "action moves may live in the slot; raise displacement_weight, train longer, or give the "
        "slot's actions as set-to-value"
    )
    SLOTS_NOT_HELD = (
        "a slot reads another code after actions on other slots, so its readings are unreliable: "
        "train longer, on more images"
    )
    CODES_LOSE_ACTIONS = (
        "codes tell the actions apart worse than the numbers they were read from: the modes do not "
        "follow the factor's values; look at the histogram of each slot before using the codes"
    )


@dataclass(frozen=True)
class Alarm:
    """One thing that is wrong.

    Attributes:
        status: Which.
        detail: The figure seen and the bound.
    """

    status: TrainingStatus
    detail: str

    def __str__(self) -> str:
        return f"{self.status.name}: {self.detail}; {self.status.value}"


def check_training(
    *,
    cross_entropy: float,
    continuous_accuracy: float,
    discrete_accuracy: float,
    separation: Sequence[float],
    held: Sequence[float],
    cardinalities: Sequence[int],
    slots: Sequence[str],
) -> tuple[Alarm, ...]:
    """Looks at the figures that mark a failed training.

    Args:
        cross_entropy: Of the action posterior before rounding to codes, nats per pair.
        continuous_accuracy: Of its mode.
        discrete_accuracy: Of the mode of the counted posterior on codes.
        separation: For each slot, the smallest gap of its modes over their two scales; empty where
            codes are no modes.
        held: For each slot, the share of pairs with another target in which its code stays.
        cardinalities: The codes found in each slot.
        slots: The slots' names.

    Returns:
        The alarms; none when all is well.

    Example:
        >>> check_training(
        ...     cross_entropy=0.0,
        ...     continuous_accuracy=1.0,
        ...     discrete_accuracy=0.9,
        ...     separation=[8.0],
        ...     held=[1.0],
        ...     cardinalities=[6],
        ...     slots=["hue"],
        ... )[0].status.name
        'CODES_LOSE_ACTIONS'
    """
    alarms = []
    if not cross_entropy <= CROSS_ENTROPY_BOUND:
        detail = (
            f"cross-entropy {cross_entropy:.3f} nats (bound {CROSS_ENTROPY_BOUND}), "
            f"accuracy {continuous_accuracy:.3f}"
        )
        alarms.append(Alarm(TrainingStatus.ACTIONS_NOT_EXPLAINED, detail))
    single = [name for name, k in zip(slots, cardinalities, strict=True) if k < 2]
    if single:
        alarms.append(Alarm(TrainingStatus.SLOT_WITHOUT_CODES, f"slots {', '.join(single)}"))
    merged = [
        f"{name} {value:.1f}"
        for name, value in zip(slots, separation, strict=bool(separation))
        if value < SEPARATION_BOUND
    ]
    if merged:
        detail = f"separation {', '.join(merged)} (bound {SEPARATION_BOUND})"
        alarms.append(Alarm(TrainingStatus.MODES_NOT_SEPARATED, detail))
    loose = [
        f"{name} {value:.3f}" for name, value in zip(slots, held, strict=True) if value < HELD_BOUND
    ]
    if loose:
        detail = f"held in {', '.join(loose)} of pairs (bound {HELD_BOUND})"
        alarms.append(Alarm(TrainingStatus.SLOTS_NOT_HELD, detail))
    if discrete_accuracy < continuous_accuracy - ACCURACY_GAP:
        detail = f"accuracy {discrete_accuracy:.3f} on codes, {continuous_accuracy:.3f} before"
        alarms.append(Alarm(TrainingStatus.CODES_LOSE_ACTIONS, detail))
    return tuple(alarms)
