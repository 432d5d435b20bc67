"""How well a trained model reads the pairs that judge it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from ctvae.data.cells import OPEN
from ctvae.data.imposing import imposed_codes
from ctvae.inference.actions import action_posterior
from ctvae.mechanisms.actions import target_mask
from ctvae.models.autoencoder import fitted
from ctvae.regimes import Regime

if TYPE_CHECKING:
    from ctvae.data.transitions import Transitions
    from ctvae.models.ctvae import CTVAE
    from ctvae.models.warm_up import ActionMoves

__all__ = ["Judgement", "judge_training"]


class Judgement(NamedTuple):
    """What the judging pairs show.

    Attributes:
        cross_entropy: Nats per pair, before codes are rounded: of the action posterior, up to
            equivalence where codes are probabilities; where descendants respond, of the codes that
            actions have set.
        continuous_accuracy: Of the mode of the same.
        discrete_accuracy: Of the same on rounded codes; ties of actions are split.
        held: For each slot, the share of pairs in which its code is what it must be: the same as
            before where no action targets it; where descendants respond, the value it was set to.
    """

    cross_entropy: float
    continuous_accuracy: float
    discrete_accuracy: float
    held: tuple[float, ...]


@torch.no_grad()
def judge_training(model: CTVAE, pairs: Transitions, moves: ActionMoves | None) -> Judgement:
    """Judges a trained model.

    Args:
        model: A fitted model.
        pairs: Labelled pairs.
        moves: The continuous law of the warm-up; ``None`` where a reader was taught codes.

    Returns:
        The figures.
    """
    if pairs.regime is Regime.COUNTERFACTUAL:
        return _judge_imposed(model, pairs)
    action = pairs.action.to(model.device)
    used, coder = pairs.used_images(), model.autoencoder
    values = coder.read(pairs.images[used])
    log_probs = fitted(coder.quantizer).log_probs(values)
    slots = values if moves is not None else log_probs
    pool = slots.new_zeros(len(pairs.images), *slots.shape[1:])
    pool[used] = slots
    before, after = pool[pairs.before], pool[pairs.after]
    if moves is None:
        posterior = action_posterior(fitted(model.transition), before.exp(), after.exp())
        classes = posterior.equivalence_class
        mine = classes == classes.gather(1, action[:, None])
        cross_entropy = -float((posterior.probs * mine).sum(1).log().mean())
        continuous = float(posterior.accuracy_credit(action).mean())
    else:
        scores = moves.scores(before[..., 0], after[..., 0])
        cross_entropy = float(torch.nn.functional.cross_entropy(scores, action))
        continuous = float((scores.argmax(1) == action).float().mean())
    codes = torch.zeros(len(pairs.images), slots.shape[1], dtype=torch.long, device=model.device)
    codes[used] = fitted(coder.quantizer).quantize(values)
    discrete, held = _judge_codes(model, action, codes[pairs.before], codes[pairs.after])
    return Judgement(cross_entropy, continuous, discrete, held)


def _judge_codes(
    model: CTVAE, action: Tensor, before: Tensor, after: Tensor
) -> tuple[float, tuple[float, ...]]:
    posterior = action_posterior(fitted(model.transition), before, after)
    others = ~target_mask(model.actions, before.shape[1], model.device)[action]
    stays = _shares(before == after, others)
    return float(posterior.accuracy_credit(action).mean()), stays


def _judge_imposed(model: CTVAE, pairs: Transitions) -> Judgement:
    imposed = imposed_codes(pairs)
    assert imposed is not None, "training refuses such pairs of other actions"
    used = pairs.used_images()
    wanted = imposed.codes[used].to(model.device)
    log_probs = model.autoencoder.encode_log_probs(pairs.images[used])
    known = wanted != OPEN
    own = log_probs.gather(-1, wanted.clamp(min=0)[..., None])[..., 0]
    right = log_probs.argmax(-1) == wanted
    accuracy = float(right[known].double().mean())
    cross_entropy = -float(own[known].double().mean())
    return Judgement(cross_entropy, accuracy, accuracy, _shares(right, known))


def _shares(right: Tensor, counted: Tensor) -> tuple[float, ...]:
    """For each slot the share that is right of what counts; 1 where nothing does."""
    total = counted.sum(0)
    share = (right & counted).sum(0) / total.clamp(min=1)
    return tuple(torch.where(total > 0, share, torch.ones_like(share)).tolist())
