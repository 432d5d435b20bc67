"""Examples told as stories: of choosing, and of what might have been."""

from __future__ import annotations

from ctvae.library.base import Effect, Published, Textbook, WouldHaveBeen
from ctvae.library.building import NO_YES, Law, write_model

__all__ = ["firing_squad", "monty_hall"]

DOORS = ("one", "two", "three")


def monty_hall() -> Textbook:
    """A door opened by one who knows says something; one that blows open says nothing."""
    opened = [
        [
            [
                0.0 if door in {prize, choice} else 1.0 / (2 if prize == choice else 1)
                for door in range(3)
            ]
            for choice in range(3)
        ]
        for prize in range(3)
    ]
    third = [1 / 3] * 3
    scm = write_model({
        "prize": Law(DOORS, (), third),
        "choice": Law(DOORS, (), third),
        "opened": Law(DOORS, ("prize", "choice"), opened),
    })
    return Textbook(
        "monty_hall",
        "Monty Hall",
        "Selvin (1975), A problem in probability; Pearl and Mackenzie (2018), chapter 6.",
        scm,
        answers=(
            Published(
                Effect("prize", given={"choice": "one", "opened": "three"}),
                (1 / 3, 2 / 3, 0.0),
                1e-12,
                "Selvin (1975)",
            ),
            Published(
                Effect("prize", do={"opened": "three"}, given={"choice": "one"}),
                (1 / 3, 1 / 3, 1 / 3),
                1e-12,
                "the prize and the choice are independent, and do() leaves them so",
            ),
        ),
    )


def firing_squad() -> Textbook:
    """The prisoner is dead. Would he be, had rifleman A not shot? The other one shot too."""
    ordered, nervous = 0.6, 0.1
    sure = [[1.0, 0.0], [0.0, 1.0]]
    either = [[[1.0, 0.0], [0.0, 1.0]], [[0.0, 1.0], [0.0, 1.0]]]
    scm = write_model({
        "order": Law(NO_YES, (), [1 - ordered, ordered]),
        "nerves": Law(NO_YES, (), [1 - nervous, nervous]),
        "captain": Law(NO_YES, ("order",), sure),
        "A": Law(NO_YES, ("nerves", "captain"), either),
        "B": Law(NO_YES, ("captain",), sure),
        "death": Law(NO_YES, ("A", "B"), either),
    })
    alive = nervous * (1 - ordered) / (1 - (1 - nervous) * (1 - ordered))
    return Textbook(
        "firing_squad",
        "Firing squad",
        "Pearl (2009), section 7.1: p = P(order), q = P(A shoots out of nervousness). "
        "Both are chosen here for illustration.",
        scm,
        answers=(
            Published(
                WouldHaveBeen("death", do={"A": "no"}, seen={"death": "yes"}),
                (alive, 1 - alive),
                1e-12,
                "Pearl (2009), section 7.1: P(alive) = q (1 - p) / (1 - (1 - q) (1 - p))",
            ),
            Published(
                WouldHaveBeen("death", do={"A": "no"}, seen={"captain": "yes", "A": "yes"}),
                (0.0, 1.0),
                1e-12,
                "Pearl (2009), section 7.1: the court's order would have reached the other one",
            ),
        ),
    )
