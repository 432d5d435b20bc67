"""Studies whose counts are published: what they show depends on what is taken to cause what."""

from __future__ import annotations

from ctvae.library.base import Effect, Published, Textbook
from ctvae.library.building import NO_YES, Law, write_model
from ctvae.library.identification import instrument_bounds
from ctvae.scm.model import SCM

__all__ = ["berkeley", "kidney_stones", "vitamin_a"]


def kidney_stones() -> Textbook:
    """Simpson's paradox: surgery is better for small stones and for large ones, and looks worse."""
    small, large = (81, 87, 234, 270), (192, 263, 55, 80)

    def rates(counts: tuple[int, int, int, int]) -> list[list[float]]:
        surgery, of_surgery, needle, of_needle = counts
        shares = surgery / of_surgery, needle / of_needle
        return [[1 - share, share] for share in shares]

    def chosen(counts: tuple[int, int, int, int]) -> list[float]:
        patients = counts[1] + counts[3]
        return [counts[1] / patients, counts[3] / patients]

    treatments = ("open surgery", "nephrolithotomy")
    scm = write_model({
        "stones": Law(("small", "large"), (), [357 / 700, 343 / 700]),
        "treatment": Law(treatments, ("stones",), [chosen(small), chosen(large)]),
        "recovered": Law(NO_YES, ("stones", "treatment"), [rates(small), rates(large)]),
    })
    adjusted = (
        "Peters, Janzing and Schoelkopf (2017), chapter 6: .832 and .782, from shares rounded to "
        "two digits"
    )
    counted = "Charig et al. (1986): 273 of 350, 289 of 350"
    surgery, needle = treatments
    return Textbook(
        "kidney_stones",
        "Kidney stones",
        "Charig, Webb, Payne and Wickham (1986), the counts; Julious and Mullee (1994).",
        scm,
        answers=(
            Published(
                Effect("recovered", do={"treatment": surgery}), (0.168, 0.832), 5e-3, adjusted
            ),
            Published(
                Effect("recovered", do={"treatment": needle}), (0.218, 0.782), 5e-3, adjusted
            ),
            Published(
                Effect("recovered", given={"treatment": surgery}),
                (77 / 350, 273 / 350),
                1e-12,
                counted,
            ),
            Published(
                Effect("recovered", given={"treatment": needle}),
                (61 / 350, 289 / 350),
                1e-12,
                counted,
            ),
        ),
    )


def berkeley() -> Textbook:
    """Simpson's paradox of admissions: women applied where few were admitted."""
    # Of each department: men admitted, men refused, women admitted, women refused.
    counts = (
        (512, 313, 89, 19),
        (353, 207, 17, 8),
        (120, 205, 202, 391),
        (138, 279, 131, 244),
        (53, 138, 94, 299),
        (22, 351, 24, 317),
    )
    men = [(admitted, refused) for admitted, refused, _, _ in counts]
    women = [(admitted, refused) for _, _, admitted, refused in counts]
    applicants = [sum(map(sum, group)) for group in (men, women)]
    scm = write_model({
        "gender": Law(("man", "woman"), (), [number / sum(applicants) for number in applicants]),
        "department": Law(
            tuple("ABCDEF"),
            ("gender",),
            [
                [sum(pair) / number for pair in group]
                for group, number in zip((men, women), applicants, strict=True)
            ],
        ),
        "admitted": Law(
            NO_YES,
            ("gender", "department"),
            [
                [
                    [refused / sum((admitted, refused)), admitted / sum((admitted, refused))]
                    for admitted, refused in group
                ]
                for group in (men, women)
            ],
        ),
    })
    printed = {
        "man": dict(zip("ABCDEF", (62, 63, 37, 33, 28, 6), strict=True)),
        "woman": dict(zip("ABCDEF", (82, 68, 34, 35, 24, 7), strict=True)),
    }
    overall = {"man": (1198, 2691), "woman": (557, 1835)}
    return Textbook(
        "berkeley",
        "Berkeley admissions",
        "Bickel, Hammel and O'Connell (1975); the counts of the six largest departments, Freedman, "
        "Pisani and Purves (2007), chapter 2. No hidden causes are assumed, which Pearl and "
        "Mackenzie (2018), chapter 9, discuss.",
        scm,
        answers=(
            *(
                Published(
                    Effect("admitted", do={"gender": gender}),
                    (1 - admitted / number, admitted / number),
                    1e-12,
                    f"{admitted} of {number}; nothing comes before the gender",
                )
                for gender, (admitted, number) in overall.items()
            ),
            *(
                Published(
                    Effect("admitted", do={"gender": gender, "department": department}),
                    (1 - share / 100, share / 100),
                    5e-3,
                    "Freedman, Pisani and Purves (2007), chapter 2, in percent",
                )
                for gender, shares in printed.items()
                for department, share in shares.items()
            ),
        ),
    )


def vitamin_a() -> Textbook:
    """A randomised offer that some refuse: the effect of taking it is known up to bounds."""

    def model(refusers_if_treated: list[list[float]]) -> SCM:
        dies, lives = [1.0, 0.0], [0.0, 1.0]
        untreated = [dies, lives, dies, dies, lives]
        treated = [*refusers_if_treated, dies, lives, lives]
        refuses, complies = [[1.0, 0.0], [1.0, 0.0]], [[1.0, 0.0], [0.0, 1.0]]
        return write_model({
            # How a child would fare: refusing or taking what is offered, and living or not.
            "kind": Law(
                ("refuses, dies", "refuses, lives", "takes, dies", "takes, saved", "takes, lives"),
                (),
                [0.0028, 0.1972, 0.001, 0.0026, 0.7964],
            ),
            "offered": Law(NO_YES, (), [0.5, 0.5]),
            "taken": Law(NO_YES, ("kind", "offered"), [refuses] * 2 + [complies] * 3),
            "survived": Law(
                NO_YES,
                ("kind", "taken"),
                [list(pair) for pair in zip(untreated, treated, strict=True)],
            ),
        })

    dies, lives = [1.0, 0.0], [0.0, 1.0]
    source = "Balke and Pearl (1997), table 2 and the bounds that follow it"
    return Textbook(
        "vitamin_a",
        "Vitamin A and the survival of children",
        "Sommer et al. (1986), the trial; Balke and Pearl (1997), table 2, the law of what is "
        "observed given the offer (a share printed as 0 is .001, since they sum to one). Any model "
        "with that law will do: in this one the vitamin changes nothing for those who refuse it, "
        "in its rivals all of them die of it or all live. The share of offers is chosen here.",
        model([dies, lives]),
        hidden=("kind",),
        answers=(
            Published(Effect("survived", do={"taken": "no"}), (0.0064, 0.9936), 5e-5, source),
            instrument_bounds("offered", "taken", "survived"),
        ),
        rivals=(model([dies, dies]), model([lives, lives])),
    )
