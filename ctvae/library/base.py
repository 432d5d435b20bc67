"""What a textbook model is: an SCM, where it is from, and questions with known answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor

from ctvae.graph.causal_graph import CausalGraph
from ctvae.graph.projection import latent_projection
from ctvae.inference.bounds import Interval
from ctvae.scm.model import SCM

__all__ = [
    "Answer",
    "Bounds",
    "Effect",
    "Identity",
    "Published",
    "Question",
    "Textbook",
    "WouldHaveBeen",
]

Codes: TypeAlias = Mapping[str, int | str]


class Question(Protocol):
    """A question that a model has an exact answer to."""

    def ask(self, scm: SCM) -> Float[Tensor, " codes"]:
        """Asks a model.

        Args:
            scm: The model.

        Returns:
            Probabilities of the codes of one slot.
        """
        ...


@dataclass(frozen=True)
class Effect:
    r""":math:`P(\text{outcome} \mid do(\ldots), \text{given})`, seen where nothing is done.

    Attributes:
        outcome: The slot asked for.
        do: Slot to the code, or its name, that it is set to.
        given: Slot to what was observed, in the intervened world.
    """

    outcome: str
    do: Codes = field(default_factory=dict)
    given: Codes = field(default_factory=dict)

    def __str__(self) -> str:
        done = f"do({_written(self.do)})" if self.do else ""
        condition = ", ".join(filter(None, (done, _written(self.given))))
        return f"P({self.outcome}{' | ' if condition else ''}{condition})"

    def ask(self, scm: SCM) -> Float[Tensor, " codes"]:
        """Asks a model.

        Args:
            scm: The model.

        Returns:
            Probabilities of the outcome's codes.
        """
        world = scm.do(dict(self.do)) if self.do else scm
        return world.query(self.outcome, given=dict(self.given))


@dataclass(frozen=True)
class WouldHaveBeen:
    r""":math:`P(\text{outcome}_{do} \mid \text{seen})`: what would have been, given what was.

    Attributes:
        outcome: The slot asked for.
        do: Slot to the code, or its name, that it would have been set to.
        seen: Slot to what was observed, in the world as it was.
    """

    outcome: str
    do: Codes
    seen: Codes

    def __str__(self) -> str:
        return f"P({self.outcome} had it been that {_written(self.do)} | {_written(self.seen)})"

    def ask(self, scm: SCM) -> Float[Tensor, " codes"]:
        """Asks a model, by its twin network.

        Args:
            scm: The model.

        Returns:
            Probabilities of the outcome's codes.
        """
        return scm.twin(dict(self.do)).query(f"{self.outcome}'", given=dict(self.seen))


@dataclass(frozen=True)
class Published:
    """An answer in figures.

    Attributes:
        question: What is asked.
        figures: Probabilities of the codes, as printed or computed by hand.
        tolerance: Half of what the last printed digit is worth, or of what was rounded before.
        source: Where the figures are, or how they follow.
    """

    question: Question
    figures: tuple[float, ...]
    tolerance: float
    source: str

    def expected(self, scm: SCM) -> Float[Tensor, " codes"]:
        """Gives the figures.

        Args:
            scm: The model, for where it is.

        Returns:
            Probabilities.
        """
        return torch.tensor(self.figures, dtype=torch.float64, device=scm.program.device)


@dataclass(frozen=True)
class Identity:
    """An answer as a formula over what is observed, which holds whatever the tables.

    Attributes:
        question: What is asked.
        formula: The formula.
        estimand: The formula, computed from queries of the observed slots alone.
        source: Where the formula is derived.
    """

    question: Question
    formula: str
    estimand: Callable[[SCM], Tensor]
    source: str
    tolerance: float = 1e-10

    def expected(self, scm: SCM) -> Float[Tensor, " codes"]:
        """Evaluates the formula.

        Args:
            scm: The model; only laws of its observed slots are read, and nothing is done.

        Returns:
            Probabilities.
        """
        return self.estimand(scm)


@dataclass(frozen=True)
class Bounds:
    """An answer known up to an interval: what is observed leaves the rest open.

    Attributes:
        question: What is asked.
        formula: The interval of each code's probability.
        ends: The formula, computed from queries of the observed slots alone.
        source: Where the formula is derived.

    Example:
        >>> from ctvae import library
        >>> vitamin_a = library.load("vitamin_a")
        >>> known = vitamin_a.answers[-1]
        >>> print(known.question)
        P(survived | do(taken=yes))
        >>> lower, upper = known.expected(vitamin_a.scm)
        >>> [round(float(end[1]), 4) for end in (lower, upper)]
        [0.799, 0.999]
    """

    question: Question
    formula: str
    ends: Callable[[SCM], Interval]
    source: str

    def expected(self, scm: SCM) -> Interval:
        """Evaluates the formula.

        Args:
            scm: The model; only laws of its observed slots are read, and nothing is done.

        Returns:
            The least and the greatest probability of each code.
        """
        return self.ends(scm)


Answer: TypeAlias = Published | Identity | Bounds


@dataclass(frozen=True)
class Textbook:
    """A model of the literature.

    Attributes:
        name: How it is loaded.
        title: What it is known as.
        reference: Where it is from, and where its tables are from.
        scm: The whole model; hidden causes are slots of it.
        hidden: The slots that nobody observes.
        answers: Questions with what is known of them.
        rivals: Models of the same graph that agree with ``scm`` on everything observed and not on
            the effects: why those cannot be identified.

    Example:
        >>> from ctvae import library
        >>> stones = library.load("kidney_stones")
        >>> known = stones.answers[0]
        >>> print(known.question, known.figures)
        P(recovered | do(treatment=open surgery)) (0.168, 0.832)
        >>> known.question.ask(stones.scm)
        tensor([0.1675, 0.8325], dtype=torch.float64)
    """

    name: str
    title: str
    reference: str
    scm: SCM
    hidden: tuple[str, ...] = ()
    answers: tuple[Answer, ...] = ()
    rivals: tuple[SCM, ...] = ()

    @property
    def observed(self) -> tuple[str, ...]:
        """The slots that are observed, in column order."""
        return tuple(name for name in self.scm.slots.names if name not in self.hidden)

    @property
    def graph(self) -> CausalGraph:
        """The graph over the observed slots, an ADMG where two have a hidden cause, else a DAG."""
        return latent_projection(self.scm.graph, self.hidden)

    def __repr__(self) -> str:
        return f"Textbook({self.name!r}: {self.title}, {self.graph!r})"


def _written(codes: Codes) -> str:
    return ", ".join(f"{name}={code}" for name, code in codes.items())
