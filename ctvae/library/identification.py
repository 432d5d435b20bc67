"""The small graphs on which effects are taught: what adjusts, what does not, and why."""

from __future__ import annotations

import torch
from torch import Tensor

from ctvae.inference.bounds import Interval
from ctvae.library.base import Bounds, Effect, Identity, Published, Textbook
from ctvae.library.building import NO_YES, Law, write_model
from ctvae.scm.model import SCM

__all__ = [
    "back_door",
    "bow",
    "chain",
    "collider",
    "fork",
    "front_door",
    "instrument",
    "instrument_bounds",
    "m_bias",
    "napkin",
    "verma",
]

OWN_TABLES = "Tables chosen here for illustration."


def chain() -> Textbook:
    """A cause, what it causes, and what that causes."""
    scm = write_model({
        "a": Law(NO_YES, (), [0.4, 0.6]),
        "b": Law(NO_YES, ("a",), [[0.8, 0.2], [0.3, 0.7]]),
        "c": Law(NO_YES, ("b",), [[0.9, 0.1], [0.25, 0.75]]),
    })
    seeing_is_doing = Identity(
        Effect("c", do={"a": "yes"}),
        "P(c | a)",
        lambda scm: scm.query("c", given={"a": "yes"}),
        "Pearl (2009), section 3.3: no back-door path",
    )
    return Textbook(
        "chain",
        "Chain",
        f"Pearl (2009), section 1.2. {OWN_TABLES}",
        scm,
        answers=(seeing_is_doing,),
    )


def fork() -> Textbook:
    """Two effects of one cause: dependent, and neither is a cause of the other."""
    scm = write_model({
        "b": Law(NO_YES, (), [0.5, 0.5]),
        "a": Law(NO_YES, ("b",), [[0.9, 0.1], [0.2, 0.8]]),
        "c": Law(NO_YES, ("b",), [[0.7, 0.3], [0.1, 0.9]]),
    })
    no_effect = Identity(
        Effect("c", do={"a": "yes"}), "P(c)", lambda scm: scm.query("c"), "Pearl (2009), rule 3"
    )
    return Textbook(
        "fork",
        "Fork",
        f"Pearl (2009), section 1.2. {OWN_TABLES}",
        scm,
        answers=(no_effect,),
    )


def collider() -> Textbook:
    """Two causes of one effect: independent, until the effect is seen."""
    scm = write_model({
        "a": Law(NO_YES, (), [0.7, 0.3]),
        "b": Law(NO_YES, (), [0.6, 0.4]),
        "c": Law(NO_YES, ("a", "b"), [[[0.95, 0.05], [0.2, 0.8]], [[0.3, 0.7], [0.1, 0.9]]]),
    })
    independent = Identity(
        Effect("b", given={"a": "yes"}),
        "P(b)",
        lambda scm: scm.query("b"),
        "Pearl (2009), section 1.2: d-separation",
    )
    return Textbook(
        "collider",
        "Collider",
        f"Pearl (2009), section 1.2: explaining away. {OWN_TABLES}",
        scm,
        answers=(independent,),
    )


def back_door() -> Textbook:
    """A cause and its effect with an observed common cause, for which one adjusts."""
    scm = write_model({
        "z": Law(NO_YES, (), [0.35, 0.65]),
        "x": Law(NO_YES, ("z",), [[0.8, 0.2], [0.25, 0.75]]),
        "y": Law(NO_YES, ("z", "x"), [[[0.9, 0.1], [0.6, 0.4]], [[0.5, 0.5], [0.15, 0.85]]]),
    })
    adjusted = Identity(
        Effect("y", do={"x": "yes"}),
        "sum_z P(y | x, z) P(z)",
        lambda scm: _adjusted(scm, "z"),
        "Pearl (2009), theorem 3.3.2",
    )
    return Textbook(
        "back_door",
        "Back door",
        f"Pearl (2009), section 3.3.1. {OWN_TABLES}",
        scm,
        answers=(adjusted,),
    )


def _adjusted(scm: SCM, by: str) -> Tensor:
    """Adjusts P(y | x = yes) by one slot."""
    joint = scm.query([by, "x", "y"])
    given = joint[:, 1] / joint[:, 1].sum(-1, keepdim=True)
    return scm.query(by) @ given


def front_door() -> Textbook:
    """Smoking, tar and cancer: a hidden cause of both ends, and all of the effect through tar."""
    scm = write_model({
        "genotype": Law(NO_YES, (), [0.5, 0.5]),
        "smoking": Law(NO_YES, ("genotype",), [[1.0, 0.0], [0.0, 1.0]]),
        "tar": Law(NO_YES, ("smoking",), [[0.95, 0.05], [0.05, 0.95]]),
        "cancer": Law(
            NO_YES,
            ("genotype", "tar"),
            [[[0.90, 0.10], [0.95, 0.05]], [[0.10, 0.90], [0.15, 0.85]]],
        ),
    })

    def estimand(scm: SCM) -> Tensor:
        joint = scm.query(["smoking", "tar", "cancer"])
        smoking, pairs = joint.sum((1, 2)), joint.sum(2)
        cancer = torch.einsum("s,stc->tc", smoking, joint / pairs[..., None])
        return (pairs[1] / smoking[1]) @ cancer

    source = "Pearl (2009), section 3.3.3, table 3.1 and the two lines after it"
    return Textbook(
        "front_door",
        "Front door: smoking, tar and cancer",
        "Pearl (2009), section 3.3.3. The hypothetical table 3.1 is reproduced by a genotype that "
        "alone decides who smokes.",
        scm,
        hidden=("genotype",),
        answers=(
            Identity(
                Effect("cancer", do={"smoking": "yes"}),
                "sum_t P(t | s) sum_s' P(c | s', t) P(s')",
                estimand,
                "Pearl (2009), theorem 3.3.4",
            ),
            Published(Effect("cancer", do={"smoking": "yes"}), (0.5475, 0.4525), 5e-5, source),
            Published(Effect("cancer", do={"smoking": "no"}), (0.5025, 0.4975), 5e-5, source),
            *(
                Published(
                    Effect("cancer", given={"smoking": smoking, "tar": tar}),
                    (1 - share, share),
                    1e-12,
                    "Pearl (2009), table 3.1",
                )
                for smoking, tar, share in (
                    ("no", "no", 0.10),
                    ("yes", "no", 0.90),
                    ("no", "yes", 0.05),
                    ("yes", "yes", 0.85),
                )
            ),
        ),
    )


def instrument() -> Textbook:
    """A randomised offer of a treatment that a hidden cause helps to accept."""
    scm = write_model({
        "u": Law(NO_YES, (), [0.6, 0.4]),
        "z": Law(NO_YES, (), [0.5, 0.5]),
        "x": Law(NO_YES, ("u", "z"), [[[0.95, 0.05], [0.3, 0.7]], [[0.6, 0.4], [0.1, 0.9]]]),
        "y": Law(NO_YES, ("u", "x"), [[[0.8, 0.2], [0.4, 0.6]], [[0.5, 0.5], [0.25, 0.75]]]),
    })
    intention_to_treat = Identity(
        Effect("y", do={"z": "yes"}),
        "P(y | z)",
        lambda scm: scm.query("y", given={"z": "yes"}),
        "Pearl (2009), section 8.2: the offer is randomised",
    )
    return Textbook(
        "instrument",
        "Instrumental variable",
        f"Balke and Pearl (1997). {OWN_TABLES}",
        scm,
        hidden=("u",),
        answers=(intention_to_treat, instrument_bounds("z", "x", "y")),
    )


def instrument_bounds(offer: str, cause: str, effect: str) -> Bounds:
    """Bounds what a cause does, from an instrument that is randomised."""

    def ends(scm: SCM) -> Interval:
        joint = scm.query([offer, cause, effect])
        given = joint / joint.sum((1, 2), keepdim=True)
        surely = given[:, 1]
        otherwise = 1 - surely.sum(1, keepdim=True)
        return Interval(surely.amax(0), (surely + otherwise).amin(0))

    seen = f"P({cause}, {effect} | {offer})"
    return Bounds(
        Effect(effect, do={cause: "yes"}),
        f"from max_{offer} {seen} to min_{offer} {seen} + 1 - P({cause} | {offer})",
        ends,
        "Manski (1990); sharper in some cases, Balke and Pearl (1997)",
    )


def napkin() -> Textbook:
    """Neither back door nor front door: a ratio of two adjusted sums."""
    scm = write_model({
        "u1": Law(NO_YES, (), [0.55, 0.45]),
        "u2": Law(NO_YES, (), [0.3, 0.7]),
        "w": Law(NO_YES, ("u1", "u2"), [[[0.9, 0.1], [0.4, 0.6]], [[0.5, 0.5], [0.15, 0.85]]]),
        "z": Law(NO_YES, ("w",), [[0.7, 0.3], [0.2, 0.8]]),
        "x": Law(NO_YES, ("u1", "z"), [[[0.8, 0.2], [0.45, 0.55]], [[0.35, 0.65], [0.1, 0.9]]]),
        "y": Law(NO_YES, ("u2", "x"), [[[0.85, 0.15], [0.5, 0.5]], [[0.4, 0.6], [0.2, 0.8]]]),
    })

    def at(z: int) -> Identity:
        def estimand(scm: SCM) -> Tensor:
            joint = scm.query(["w", "z", "x", "y"])
            w = joint.sum((1, 2, 3))
            given = joint / joint.sum((2, 3), keepdim=True)
            above = torch.einsum("w,wy->y", w, given[:, z, 1])
            return above / above.sum()

        return Identity(
            Effect("y", do={"x": "yes"}),
            f"sum_w P(x, y | w, z) P(w) / sum_w P(x | w, z) P(w) at z = {NO_YES[z]}, as at any",
            estimand,
            "Pearl and Mackenzie (2018), chapter 7",
        )

    return Textbook(
        "napkin",
        "Napkin",
        f"Pearl and Mackenzie (2018), chapter 7. {OWN_TABLES}",
        scm,
        hidden=("u1", "u2"),
        answers=(at(0), at(1)),
    )


def bow() -> Textbook:
    """A cause and its effect with a hidden common cause: nothing identifies the effect."""

    def model(outcome: list[list[list[float]]]) -> SCM:
        return write_model({
            "u": Law(NO_YES, (), [0.5, 0.5]),
            "x": Law(NO_YES, ("u",), [[1.0, 0.0], [0.0, 1.0]]),
            "y": Law(NO_YES, ("u", "x"), outcome),
        })

    def ends(scm: SCM) -> Interval:
        surely = scm.query(["x", "y"])[1]
        return Interval(surely, surely + 1 - surely.sum())

    low, high = [0.9, 0.1], [0.1, 0.9]
    open_half = Bounds(
        Effect("y", do={"x": "yes"}),
        "from P(x, y) to P(x, y) + 1 - P(x)",
        ends,
        "Manski (1990)",
    )
    return Textbook(
        "bow",
        "Bow arc",
        "Pearl (2009), section 3.5: the simplest graph whose effect cannot be identified. In the "
        f"model x decides y, in its rival the hidden cause does. {OWN_TABLES}",
        model([[low, high], [low, high]]),
        hidden=("u",),
        answers=(open_half,),
        rivals=(model([[low, low], [high, high]]),),
    )


def m_bias() -> Textbook:
    """Adjusting for what comes before the cause can bias: it is a collider of hidden causes."""
    scm = write_model({
        "u1": Law(NO_YES, (), [0.5, 0.5]),
        "u2": Law(NO_YES, (), [0.4, 0.6]),
        "m": Law(NO_YES, ("u1", "u2"), [[[0.95, 0.05], [0.3, 0.7]], [[0.35, 0.65], [0.05, 0.95]]]),
        "x": Law(NO_YES, ("u1",), [[0.85, 0.15], [0.2, 0.8]]),
        "y": Law(NO_YES, ("u2", "x"), [[[0.9, 0.1], [0.7, 0.3]], [[0.35, 0.65], [0.1, 0.9]]]),
    })
    unadjusted = Identity(
        Effect("y", do={"x": "yes"}),
        "P(y | x), not adjusted for m",
        lambda scm: scm.query("y", given={"x": "yes"}),
        "Greenland, Pearl and Robins (1999)",
    )
    return Textbook(
        "m_bias",
        "M-bias",
        f"Greenland, Pearl and Robins (1999). {OWN_TABLES}",
        scm,
        hidden=("u1", "u2"),
        answers=(unadjusted,),
    )


def verma() -> Textbook:
    """A constraint on what is observed that is no conditional independence."""
    scm = write_model({
        "u": Law(NO_YES, (), [0.45, 0.55]),
        "a": Law(NO_YES, (), [0.5, 0.5]),
        "b": Law(NO_YES, ("u", "a"), [[[0.8, 0.2], [0.35, 0.65]], [[0.6, 0.4], [0.1, 0.9]]]),
        "c": Law(NO_YES, ("b",), [[0.7, 0.3], [0.25, 0.75]]),
        "d": Law(NO_YES, ("u", "c"), [[[0.9, 0.1], [0.55, 0.45]], [[0.4, 0.6], [0.15, 0.85]]]),
    })

    def through(a: int) -> Identity:
        def estimand(scm: SCM) -> Tensor:
            joint = scm.query(["a", "b", "c", "d"])
            given = joint / joint.sum(3, keepdim=True)
            b = joint.sum((2, 3))[a] / joint[a].sum()
            return torch.einsum("b,bd->d", b, given[a, :, 1])

        return Identity(
            Effect("d", do={"c": "yes"}),
            f"sum_b P(d | a, b, c) P(b | a) at a = {NO_YES[a]}, the same at both",
            estimand,
            "Tian and Pearl (2002)",
        )

    return Textbook(
        "verma",
        "Verma graph",
        f"Verma and Pearl (1990). {OWN_TABLES}",
        scm,
        hidden=("u",),
        answers=(through(0), through(1)),
    )
