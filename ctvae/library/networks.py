"""Networks that programs for Bayesian networks are shown with."""

from __future__ import annotations

from ctvae.library.base import Effect, Identity, Published, Textbook
from ctvae.library.building import NO_YES, Law, write_model
from ctvae.scm.model import SCM

__all__ = ["asia", "cancer", "earthquake", "sachs", "sprinkler"]

YES_NO, TRUE_FALSE = ("yes", "no"), ("True", "False")
BY_HAND = "from the published tables, by hand"


def _first(probability: float) -> list[float]:
    """The law of two codes, from the probability of the first one."""
    return [probability, 1 - probability]


def sprinkler() -> Textbook:
    """Season, rain, sprinkler, wet and slippery: turning the sprinkler on makes no season."""
    scm = write_model({
        "season": Law(("winter", "spring", "summer", "fall"), (), [0.25] * 4),
        "rain": Law(NO_YES, ("season",), [[0.4, 0.6], [0.7, 0.3], [0.9, 0.1], [0.5, 0.5]]),
        "sprinkler": Law(
            ("off", "on"), ("season",), [[0.99, 0.01], [0.6, 0.4], [0.2, 0.8], [0.7, 0.3]]
        ),
        "wet": Law(
            NO_YES, ("rain", "sprinkler"), [[[1.0, 0.0], [0.1, 0.9]], [[0.2, 0.8], [0.01, 0.99]]]
        ),
        "slippery": Law(NO_YES, ("wet",), [[1.0, 0.0], [0.3, 0.7]]),
    })
    no_effect = Identity(
        Effect("rain", do={"sprinkler": "on"}),
        "P(rain)",
        lambda scm: scm.query("rain"),
        "Pearl (2009), section 1.3.1: doing cuts the arrow from the season, seeing does not",
    )
    return Textbook(
        "sprinkler",
        "Sprinkler",
        "Pearl (2009), figure 1.2, the graph. Tables chosen here for illustration.",
        scm,
        answers=(no_effect,),
    )


def asia() -> Textbook:
    """Chest clinic: a visit to Asia, smoking, three diseases, an X-ray and short breath."""
    scm = write_model({
        "asia": Law(YES_NO, (), _first(0.01)),
        "tub": Law(YES_NO, ("asia",), [_first(0.05), _first(0.01)]),
        "smoke": Law(YES_NO, (), _first(0.5)),
        "lung": Law(YES_NO, ("smoke",), [_first(0.1), _first(0.01)]),
        "bronc": Law(YES_NO, ("smoke",), [_first(0.6), _first(0.3)]),
        "either": Law(
            YES_NO,
            ("tub", "lung"),
            [[_first(1.0), _first(1.0)], [_first(1.0), _first(0.0)]],
        ),
        "xray": Law(YES_NO, ("either",), [_first(0.98), _first(0.05)]),
        "dysp": Law(
            YES_NO,
            ("bronc", "either"),
            [[_first(0.9), _first(0.8)], [_first(0.7), _first(0.1)]],
        ),
    })
    either = 1 - (1 - 0.0104) * (1 - 0.055)
    marginals = {
        "tub": 0.0104,
        "lung": 0.055,
        "bronc": 0.45,
        "either": either,
        "xray": 0.98 * either + 0.05 * (1 - either),
        "dysp": 0.4359706,
    }
    return Textbook(
        "asia",
        "Asia, or chest clinic",
        "Lauritzen and Spiegelhalter (1988), graph and tables.",
        scm,
        answers=(
            *(
                Published(Effect(name), (share, 1 - share), 1e-12, BY_HAND)
                for name, share in marginals.items()
            ),
            Published(
                Effect("dysp", do={"smoke": "yes"}),
                # Bronchitis and the other diseases are independent given the smoking that is done.
                tuple(
                    _first(
                        0.6 * (0.9 * 0.10936 + 0.8 * 0.89064)
                        + 0.4 * (0.7 * 0.10936 + 0.1 * 0.89064)
                    )
                ),
                1e-12,
                f"{BY_HAND}: P(either | do(smoke)) = 1 - .9896 x .9 = .10936",
            ),
        ),
    )


def cancer() -> Textbook:
    """Lung cancer: pollution and smoking cause it, an X-ray and short breath show it."""
    scm = write_model({
        "Pollution": Law(("low", "high"), (), _first(0.9)),
        "Smoker": Law(TRUE_FALSE, (), _first(0.3)),
        "Cancer": Law(
            TRUE_FALSE,
            ("Pollution", "Smoker"),
            [[_first(0.03), _first(0.001)], [_first(0.05), _first(0.02)]],
        ),
        "Xray": Law(("positive", "negative"), ("Cancer",), [_first(0.9), _first(0.2)]),
        "Dyspnoea": Law(TRUE_FALSE, ("Cancer",), [_first(0.65), _first(0.3)]),
    })
    share = 0.9 * (0.3 * 0.03 + 0.7 * 0.001) + 0.1 * (0.3 * 0.05 + 0.7 * 0.02)
    return Textbook(
        "cancer",
        "Lung cancer",
        "Korb and Nicholson (2010), chapter 2, graph and tables.",
        scm,
        answers=(
            Published(Effect("Cancer"), (share, 1 - share), 1e-12, BY_HAND),
            Published(Effect("Cancer", do={"Smoker": "True"}), (0.032, 0.968), 1e-12, BY_HAND),
        ),
    )


def earthquake() -> Textbook:
    """Burglar alarm: an earthquake sets it off too, and two neighbours call."""
    scm = write_model({
        "Burglary": Law(TRUE_FALSE, (), _first(0.01)),
        "Earthquake": Law(TRUE_FALSE, (), _first(0.02)),
        "Alarm": Law(
            TRUE_FALSE,
            ("Burglary", "Earthquake"),
            [[_first(0.95), _first(0.94)], [_first(0.29), _first(0.001)]],
        ),
        "JohnCalls": Law(TRUE_FALSE, ("Alarm",), [_first(0.9), _first(0.05)]),
        "MaryCalls": Law(TRUE_FALSE, ("Alarm",), [_first(0.7), _first(0.01)]),
    })
    share = 0.01 * (0.02 * 0.95 + 0.98 * 0.94) + 0.99 * (0.02 * 0.29 + 0.98 * 0.001)
    return Textbook(
        "earthquake",
        "Burglar alarm",
        "Pearl (1988), the story; Korb and Nicholson (2010), chapter 2, the tables.",
        scm,
        answers=(
            Published(Effect("Alarm"), (share, 1 - share), 1e-12, BY_HAND),
            Published(
                Effect("Burglary", do={"Alarm": "True"}),
                (0.01, 0.99),
                1e-12,
                "ringing the bell oneself brings no burglar",
            ),
        ),
    )


def sachs() -> Textbook:
    """Signalling proteins of human T cells; the graph is published, the tables here are drawn."""
    causes = {
        "Plcg": (),
        "PIP3": ("Plcg",),
        "PIP2": ("Plcg", "PIP3"),
        "PKC": (),
        "PKA": ("PKC",),
        "Raf": ("PKC", "PKA"),
        "Mek": ("PKC", "PKA", "Raf"),
        "Erk": ("PKA", "Mek"),
        "Akt": ("PKA", "Erk"),
        "Jnk": ("PKC", "PKA"),
        "P38": ("PKC", "PKA"),
    }
    edges = [(cause, name) for name, above in causes.items() for cause in above]
    drawn = SCM.from_edges(
        edges, cardinality=dict.fromkeys(causes, 3), concentration=1.0, seed=2005
    )
    levels = ("LOW", "AVG", "HIGH")
    scm = write_model({
        name: Law(levels, above, drawn.mechanisms[name].table().tolist())
        for name, above in causes.items()
    })
    no_path = Identity(
        Effect("Akt", do={"PIP3": "LOW"}),
        "P(Akt)",
        lambda scm: scm.query("Akt"),
        "no directed path leads from PIP3 to Akt in this graph",
    )
    return Textbook(
        "sachs",
        "Protein signalling",
        "Sachs, Perez, Pe'er, Lauffenburger and Nolan (2005), the consensus network of 17 edges as "
        "the bnlearn repository has it. The tables are random, and not those of any cell.",
        scm,
        answers=(no_path,),
    )
