"""Named models of the literature, with references and known answers."""

from __future__ import annotations

from collections.abc import Callable

from ctvae.errors import CTVAEError, did_you_mean
from ctvae.library.base import (
    Answer,
    Bounds,
    Effect,
    Identity,
    Published,
    Question,
    Textbook,
    WouldHaveBeen,
)
from ctvae.library.identification import (
    back_door,
    bow,
    chain,
    collider,
    fork,
    front_door,
    instrument,
    m_bias,
    napkin,
    verma,
)
from ctvae.library.networks import asia, cancer, earthquake, sachs, sprinkler
from ctvae.library.stories import firing_squad, monty_hall
from ctvae.library.studies import berkeley, kidney_stones, vitamin_a

__all__ = [
    "Answer",
    "Bounds",
    "Effect",
    "Identity",
    "Published",
    "Question",
    "Textbook",
    "WouldHaveBeen",
    "asia",
    "back_door",
    "berkeley",
    "bow",
    "cancer",
    "chain",
    "collider",
    "earthquake",
    "firing_squad",
    "fork",
    "front_door",
    "instrument",
    "kidney_stones",
    "load",
    "m_bias",
    "monty_hall",
    "names",
    "napkin",
    "sachs",
    "sprinkler",
    "verma",
    "vitamin_a",
]

_MODELS: dict[str, Callable[[], Textbook]] = {
    make.__name__: make
    for make in (
        chain,
        fork,
        collider,
        back_door,
        front_door,
        instrument,
        napkin,
        bow,
        m_bias,
        verma,
        kidney_stones,
        berkeley,
        vitamin_a,
        monty_hall,
        firing_squad,
        sprinkler,
        asia,
        cancer,
        earthquake,
        sachs,
    )
}


def names() -> tuple[str, ...]:
    """Lists the models.

    Returns:
        What ``load`` takes.
    """
    return tuple(_MODELS)


def load(name: str) -> Textbook:
    """Gives a model by its name.

    Args:
        name: One of ``names()``.

    Returns:
        The model with its reference and known answers; a new one at each call.

    Raises:
        CTVAEError: When there is none of that name.

    Example:
        >>> load("front_door").graph
        CausalGraph(ADMG on smoking, tar, cancer: smoking -> tar, tar -> cancer, cancer <-> smoking)
    """
    if name not in _MODELS:
        msg = f"no textbook model {name!r} (models: {', '.join(_MODELS)})"
        raise CTVAEError(f"{msg}{did_you_mean(name, _MODELS)}")
    return _MODELS[name]()
