"""Action retrieval: which actions led from one unit's codes to another's, by Bayes' rule."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ctvae.errors import DataError, ShapeError, UnknownActionError
from ctvae.inference.targets import targeted_slots
from ctvae.mechanisms.actions import Action
from ctvae.mechanisms.transition import TransitionProgram
from ctvae.slots import SlotSpace

__all__ = ["ActionPosterior", "action_posterior"]

SUM_TOLERANCE = 1e-3
"""Probabilities in float32 sum to one within this."""
CHUNK_CELLS = 2**24
"""Soft codes are scored in chunks of at most so many numbers, to bound memory."""


@dataclass(frozen=True)
class ActionPosterior:
    """The posterior over action sequences, one row per pair.

    Attributes:
        probs: ``(batch, sequences)``, rows sum to one.
        log_evidence: ``(batch,)`` nats: the log-probability of the codes after given those before,
            all actions summed out. A pair far below the usual is explained by no known action.
        sequences: ``(sequences, length)`` action indices.
        actions: What the indices mean.
    """

    probs: Float[Tensor, "batch sequences"]
    log_evidence: Float[Tensor, " batch"]
    sequences: Int[Tensor, "sequences length"]
    actions: tuple[Action, ...]
    _program: TransitionProgram = field(repr=False)
    _codes: Int[Tensor, "batch slots"] = field(repr=False)

    def __repr__(self) -> str:
        batch, count = self.probs.shape
        return f"ActionPosterior({batch} pairs, {count} sequences of {self.sequences.shape[1]})"

    @cached_property
    def _signature(self) -> Int[Tensor, "batch sequences"]:
        return _signatures(self._program, self._codes, self.sequences.shape[1])

    @property
    def mode(self) -> Int[Tensor, "batch length"]:
        """The most probable sequence of each pair (the first of equals)."""
        return self.sequences[self.probs.argmax(1)]

    @property
    def equivalence_class(self) -> Int[Tensor, "batch sequences"]:
        """For each pair, the first sequence that does the same from its codes as this one.

        Sequences of one class (no-ops, commuting orders, two ways to one place) are told apart by
        no pair that starts at these codes, up to .05 in total variation per slot: tables are
        counted, and two equal kernels are never counted quite equal.
        """
        count = self.probs.shape[1]
        order = torch.arange(count, device=self.probs.device)
        signature, place = self._signature.sort(dim=1, stable=True)
        starts = torch.ones_like(signature, dtype=torch.bool)
        starts[:, 1:] = signature[:, 1:] != signature[:, :-1]
        position = torch.where(starts, order, torch.zeros_like(order)).cummax(1).values
        first = place.gather(1, position)
        return torch.empty_like(first).scatter(1, place, first)

    def entropy(self) -> Float[Tensor, " batch"]:
        r"""Measures what remains unknown: :math:`-\sum_s p_s \log p_s`.

        Returns:
            Nats, between 0 and ``log(sequences)``.
        """
        return torch.special.entr(self.probs).sum(1)

    @property
    def target_probs(self) -> Float[Tensor, "batch slots"]:
        """The probability of each slot that an action of the sequence targeted it, once or more."""
        return self._over_targets(lambda hits: hits.any(1))

    @property
    def target_counts(self) -> Float[Tensor, "batch slots"]:
        """The number of actions that targeted each slot, in expectation."""
        return self._over_targets(lambda hits: hits.sum(1))

    def _over_targets(self, summary: Callable[[Tensor], Tensor]) -> Tensor:
        hits = targeted_slots(self._program)[self.sequences]  # sequences, length, slots
        return self.probs @ summary(hits).to(self.probs)

    def tempered(self, temperature: float) -> ActionPosterior:
        r"""Makes the posterior flatter or sharper.

        .. math:: p_\tau(s) \propto p(s)^{1/\tau}

        Order, mode and classes stay as they are, and so does ``log_evidence``.

        Args:
            temperature: Above 0; 1 changes nothing. ``fit_action_temperature`` chooses it.

        Returns:
            A new posterior.

        Raises:
            DataError: When the temperature is not above 0.
        """
        if not 0 < temperature < math.inf:
            msg = f"a temperature is a finite number above 0, got {temperature}"
            raise DataError(msg)
        scores = self.probs.clamp(min=1e-300).log() / temperature
        return replace(self, probs=scores.softmax(1))

    def log_prob(self, sequence: Int[Tensor, "batch length"]) -> Float[Tensor, " batch"]:
        """Gives the log-probability of one sequence per pair.

        Args:
            sequence: Action indices, ``(batch, length)`` or ``(batch,)`` for single actions.

        Returns:
            Nats.
        """
        return self.probs.gather(1, self._number(sequence)[:, None])[:, 0].log()

    def same_class(self, sequence: Int[Tensor, "batch length"]) -> Tensor:
        """Tells whether the mode does the same as a given sequence.

        Args:
            sequence: Action indices, ``(batch, length)`` or ``(batch,)`` for single actions.

        Returns:
            ``(batch,)`` booleans: accuracy up to equivalence is their mean.
        """
        given = self._signature.gather(1, self._number(sequence)[:, None])
        mode = self._signature.gather(1, self.probs.argmax(1, keepdim=True))
        return (given == mode)[:, 0]

    def accuracy_credit(self, sequence: Int[Tensor, "batch length"]) -> Float[Tensor, " batch"]:
        """Gives the chance of guessing a sequence right from the posterior's best class.

        One over the size of the class where the mode lies in the class of the given sequence, and
        0 elsewhere: a model in which several actions do the same gets no credit for telling them
        apart.

        Args:
            sequence: Action indices, ``(batch, length)`` or ``(batch,)`` for single actions.

        Returns:
            Credits in [0, 1]; their mean is the accuracy with ties split.
        """
        given = self._signature.gather(1, self._number(sequence)[:, None])
        size = (self._signature == given).sum(1)
        return self.same_class(sequence).double() / size

    def _number(self, sequence: Tensor) -> Tensor:
        steps = sequence[:, None] if sequence.ndim == 1 else sequence
        if steps.shape != (len(self.probs), self.sequences.shape[1]):
            expected = (len(self.probs), self.sequences.shape[1])
            msg = f"a sequence per pair has shape {expected}, got {tuple(sequence.shape)}"
            raise ShapeError(msg)
        outside = (steps < 0) | (steps >= len(self.actions))
        if bool(outside.any()):
            bad, last = int(steps[outside][0]), len(self.actions) - 1
            msg = f"action id {bad} is outside the set of actions (ids 0..{last})"
            raise UnknownActionError(msg)
        number = torch.zeros(len(steps), dtype=torch.long, device=steps.device)
        for column in steps.unbind(1):
            number = number * len(self.actions) + column
        return number


def action_posterior(
    program: TransitionProgram,
    before: Tensor,
    after: Tensor,
    *,
    length: int = 1,
    prior: Tensor | None = None,
) -> ActionPosterior:
    r"""Infers the action sequence between codes, exactly and for all sequences at once.

    .. math::
        p(s \mid z, z') \propto p(s) \prod_k q_k^\top T_{s,k} q'_k

    with :math:`q, q'` one-hot for known codes. :math:`T_{s,k}` is the product, in order, of the
    kernels of those actions of the sequence that target slot k, and the slot's copying kernel
    where none does: the leak of copying is an error of reading and is counted once for a pair,
    not once for a step. Deterministic.

    Args:
        program: The law of transitions.
        before: Codes ``(batch, slots)``, or their probabilities ``(batch, slots, codes)``.
        after: The same for the codes after.
        length: The number of actions, at least 1; codes in between are summed out.
        prior: p(action) ``(actions,)``, taken as independent along a sequence, or
            p(sequence given z) ``(batch, sequences)``; uniform where ``None``.

    Returns:
        The posterior.

    Raises:
        ShapeError: When shapes differ, probabilities are none, or the prior is no probability
            vector.

    Source: Bayes' rule. Cost: O(batch * slots * sequences) for codes; times ``codes^2`` for
    probabilities.
    """
    before, after = (_check_side(program, side) for side in (before, after))
    if before.shape != after.shape:
        msg = f"before {tuple(before.shape)} and after {tuple(after.shape)} must match"
        raise ShapeError(msg)
    sequences = program.sequences(length)
    if before.ndim == 2:
        likelihood = _score_codes(program, before, after, length)
        hard = before
    else:
        likelihood = _score_probs(program, before, after, length)
        hard = before.argmax(-1)
    joint = likelihood + _log_prior(prior, program, sequences, len(before)).to(likelihood)
    evidence = joint.logsumexp(1)
    return ActionPosterior(
        (joint - evidence[:, None]).exp(),
        evidence,
        sequences,
        program.actions,
        program,
        hard,
    )


def _check_side(program: TransitionProgram, side: Tensor) -> Tensor:
    """Refuses codes outside their codebooks, and probabilities that are none."""
    if isinstance(side, Tensor) and side.ndim == 3:
        sums = side.sum(-1)
        fits = tuple(side.shape[1:]) == tuple(program.kernels.shape[1:3])
        if not fits or not bool(((sums - 1).abs() <= SUM_TOLERANCE).all() and (side >= 0).all()):
            expected = ("batch", *program.kernels.shape[1:3])
            msg = f"code probabilities must be {expected} and sum to one, got {tuple(side.shape)}"
            raise ShapeError(msg)
        return side
    return SlotSpace.from_cardinalities(program.cardinalities).check_codes(side)


def _score_codes(program: TransitionProgram, before: Tensor, after: Tensor, length: int) -> Tensor:
    table = program.packed_log(length)
    codes = max(program.cardinalities)
    slot = torch.arange(before.shape[1], device=before.device)
    cells = (slot * codes + before) * codes + after
    return torch.nn.functional.embedding_bag(cells, table, mode="sum")


def _score_probs(program: TransitionProgram, before: Tensor, after: Tensor, length: int) -> Tensor:
    kernels = program.kernels_of(length)
    count, slots, codes, _ = kernels.shape
    chunk = max(1, CHUNK_CELLS // (count * slots * codes))
    parts = []
    for q, r in zip(before.double().split(chunk), after.double().split(chunk), strict=True):
        reached = torch.einsum("bku,skuv->bskv", q, kernels)
        met = torch.einsum("bskv,bkv->bsk", reached, r)
        parts.append(met.clamp(min=1e-300).log().sum(-1))
    return torch.cat(parts)


def _log_prior(
    prior: Tensor | None, program: TransitionProgram, sequences: Tensor, batch: int
) -> Tensor:
    count, actions = len(sequences), len(program.actions)
    if prior is None:
        return torch.full((count,), -math.log(count), dtype=torch.float64)
    if not isinstance(prior, Tensor) or prior.shape not in {(actions,), (batch, count)}:
        got = tuple(prior.shape) if isinstance(prior, Tensor) else type(prior).__name__
        msg = f"a prior is a tensor ({actions},) or ({batch}, {count}), got {got}"
        raise ShapeError(msg)
    prior = prior.double()
    if bool((prior < 0).any()) or not bool(((prior.sum(-1) - 1).abs() <= SUM_TOLERANCE).all()):
        msg = "a prior must be non-negative and sum to one"
        raise ShapeError(msg)
    if prior.ndim == 1:
        return prior.log().to(sequences.device)[sequences].sum(-1)
    return prior.log()


def _signatures(program: TransitionProgram, codes: Tensor, length: int) -> Tensor:
    """A hash per pair and sequence, equal where all slots' kernel rows are of one class."""
    # Sums of random 62-bit numbers: two different classes collide with probability below 1e-15.
    classes = program.row_classes(length)  # sequences, slots, codes
    generator = torch.Generator().manual_seed(0)
    width = int(classes.max()) + 1
    shape = (classes.shape[1], width)
    numbers = torch.randint(0, 2**62, shape, generator=generator).to(classes.device)
    slot = torch.arange(classes.shape[1], device=classes.device)
    hashed = numbers[slot[None, :, None], classes]  # sequences, slots, codes
    table = hashed.permute(1, 2, 0).contiguous()  # slots, codes, sequences
    total = torch.zeros(len(codes), classes.shape[0], dtype=torch.long, device=codes.device)
    for k in range(classes.shape[1]):
        total = total + table[k][codes[:, k]]
    return total
