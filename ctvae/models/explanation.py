"""Whether a known action explains a pair of images: by its codes, its pixels, its spare vector."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ctvae.errors import ShapeError
from ctvae.inference.actions import ActionPosterior
from ctvae.inference.surprise import ActionPrior, code_surprise
from ctvae.inference.tails import TailTest
from ctvae.models.autoencoder import fitted
from ctvae.nn import check_images

if TYPE_CHECKING:
    from ctvae.models.ctvae import CTVAE

__all__ = ["Evidence", "Explanation", "ExplanationTest", "LabelledPairs", "PairEvidence"]

FLOOR = 0.1
"""Of the mean squared error of drawings: differences far below it are no evidence."""
DRAWN = 1024
"""Training images drawn to learn that error."""
RIDGE = 1e-6
"""Added to the variance of spare vectors, in case one of their numbers never changes."""


class LabelledPairs(Protocol):
    """What is read of pairs; ``ctvae.data.Transitions`` has it."""

    @property
    def images(self) -> Tensor:
        """The pool of images."""

    @property
    def before(self) -> Int[Tensor, " pairs"]:
        """Rows of the pool."""

    @property
    def action(self) -> Int[Tensor, " pairs"]:
        """Action indices, -1 where not known."""

    @property
    def after(self) -> Int[Tensor, " pairs"]:
        """Rows of the pool."""


class Evidence(NamedTuple):
    """What speaks against a known action.

    Attributes:
        values: ``(batch, streams)``, high where no action explains a pair.
        posterior: Over the single action, by the prior that knows where actions can be taken.
    """

    values: Float[Tensor, "batch streams"]
    posterior: ActionPosterior


@dataclass(frozen=True)
class PairEvidence:
    r"""Measures what speaks against one known action between two images.

    - *codes*: how far the codes after are from what any action makes of those before
      (``code_surprise``);
    - *pixels*: the squared error of the image after, drawn from the codes that the best action
      leads to and the spare vector of the image *before*, over that of a drawing from its own
      codes and spare vector; the log of the ratio, both errors raised by a small floor;
    - *spare*: the change of the spare vector, as a squared distance in units of its changes in
      training pairs; only where the model has a spare vector.

    Attributes:
        model: The model.
        prior: Where actions can be taken.
        floor: The squared error added to both.
        whitening: ``(spare, spare)`` makes changes of the spare vector uncorrelated.
    """

    model: CTVAE
    prior: ActionPrior
    floor: float
    whitening: Float[Tensor, "spare spare"]

    @property
    def streams(self) -> tuple[str, ...]:
        """The kinds of evidence, column by column."""
        return ("codes", "pixels", "spare") if len(self.whitening) else ("codes", "pixels")

    @classmethod
    def fit(cls, model: CTVAE, pairs: LabelledPairs) -> PairEvidence:
        """Learns from training pairs what is usual.

        Args:
            model: A fitted model.
            pairs: Training pairs, some of them with labels.

        Returns:
            The measure.
        """
        coder, law = model.autoencoder, fitted(model.transition)
        rows = torch.unique(torch.cat([pairs.before, pairs.after]))
        place = torch.zeros(len(pairs.images), dtype=torch.long)
        place[rows] = torch.arange(len(rows))
        first, second = place[pairs.before], place[pairs.after]
        codes, spare = model.encode(pairs.images[rows]), coder.encode_spare(pairs.images[rows])
        known = pairs.action >= 0
        prior = ActionPrior.fit(law, codes[first[known]], pairs.action[known].to(codes.device))
        change = (spare[second] - spare[first]).double()
        ridge = RIDGE * torch.eye(coder.spare, device=change.device).double()
        spread = change.T @ change / len(change) + ridge
        few = torch.arange(0, len(rows), max(1, len(rows) // DRAWN))
        error = _squared_error(model, pairs.images[rows[few]], codes[few], spare[few]).mean()
        whitening = torch.linalg.cholesky(torch.linalg.inv(spread))
        return cls(model, prior, FLOOR * float(error), whitening)

    def measure(self, before: Tensor, after: Tensor) -> Evidence:
        """Measures the evidence of pairs.

        Args:
            before: Images before, ``(batch, channels, size, size)``.
            after: Images after, of the same units.

        Returns:
            The evidence, with the posterior over actions.

        Raises:
            ShapeError: When the two stacks differ in shape.
        """
        if before.shape != after.shape:
            msg = f"before {tuple(before.shape)} and after {tuple(after.shape)} differ in shape"
            raise ShapeError(msg)
        model, coder, law = self.model, self.model.autoencoder, fitted(self.model.transition)
        quantizer, seen = fitted(coder.quantizer), coder.read(after)
        q, r = (quantizer.log_probs(read).exp().double() for read in (coder.read(before), seen))
        surprise = code_surprise(law, self.prior, q, r)
        best = law.kernels[surprise.posterior.mode[:, 0]]  # batch, slots, codes, codes
        led = torch.einsum("bku,bkuv->bkv", q, best).argmax(-1)
        held, own = coder.encode_spare(before), coder.encode_spare(after)
        foretold = _squared_error(model, after, led, held) + self.floor
        rebuilt = _squared_error(model, after, quantizer.quantize(seen), own) + self.floor
        columns = [surprise.excess, (foretold / rebuilt).log()]
        if coder.spare:
            columns.append(((own - held).double() @ self.whitening).square().sum(1))
        return Evidence(torch.stack(columns, 1), surprise.posterior)


def _squared_error(model: CTVAE, images: Tensor, codes: Tensor, spare: Tensor) -> Tensor:
    """The mean squared error of drawings, image by image."""
    coder = model.autoencoder
    wanted = check_images(images, channels=coder.channels, size=coder.size).to(coder.device)
    return (model.decode(codes, spare=spare) - wanted).double().square().flatten(1).mean(1)


@dataclass(frozen=True)
class Explanation:
    """How well known actions explain pairs of images.

    Attributes:
        p_value: ``(batch,)`` how often an ordinary pair is as badly explained as this one.
        by_stream: ``(batch, streams)`` the same of each kind of evidence alone. They are not to be
            read as several chances: ``p_value`` accounts for all of them.
        streams: What the columns of ``by_stream`` are.
        posterior: Over the single action, by the prior that knows where actions can be taken.
    """

    p_value: Float[Tensor, " batch"]
    by_stream: Float[Tensor, "batch streams"]
    streams: tuple[str, ...]
    posterior: ActionPosterior

    def __repr__(self) -> str:
        return f"Explanation({len(self.p_value)} pairs, by {', '.join(self.streams)})"

    def explained(self, *, level: float = 0.01) -> Bool[Tensor, " batch"]:
        """Tells which pairs a known action explains.

        Args:
            level: The share of ordinary pairs that may be rejected.

        Returns:
            ``(batch,)`` booleans.
        """
        return self.p_value > level


@dataclass(frozen=True)
class ExplanationTest:
    """A test of whether one known action explains a pair of images.

    Each kind of evidence (``PairEvidence``) is made a tail probability among validation pairs, and
    the least of them is what counts. So a pair is rejected where slots change as no action changes
    them, and also where something changes that no slot holds. P-values hold for pairs like those
    of validation.

    Attributes:
        evidence: What speaks against an action.
        tails: How often it does so in validation pairs.

    Source: conformal p-values, Vovk, Gammerman, Shafer (2005); the evidence is ours. Cost: two
    encodings and two drawings per pair.
    """

    evidence: PairEvidence
    tails: TailTest

    def __repr__(self) -> str:
        return f"ExplanationTest(by {', '.join(self.evidence.streams)}, {self.tails.cases} pairs)"

    @classmethod
    def fit(cls, model: CTVAE, pairs: LabelledPairs, validation: LabelledPairs) -> ExplanationTest:
        """Fits the test.

        Args:
            model: A fitted model.
            pairs: Training pairs, some of them with labels.
            validation: Pairs that training did not see; their labels are not read.

        Returns:
            The test.
        """
        evidence, pool = PairEvidence.fit(model, pairs), validation.images
        ordinary = evidence.measure(pool[validation.before], pool[validation.after])
        return cls(evidence, TailTest.fit(ordinary.values))

    def judge(self, before: Tensor, after: Tensor) -> Explanation:
        """Judges pairs of images.

        Args:
            before: Images before, ``(batch, channels, size, size)``.
            after: Images after, of the same units.

        Returns:
            P-values, and the posterior over actions, which holds where a pair is explained.
        """
        found = self.evidence.measure(before, after)
        return Explanation(
            self.tails.p_value(found.values),
            self.tails.stream_probs(found.values),
            self.evidence.streams,
            found.posterior,
        )
