"""Calibration of action posteriors on 20,000 independent pairs of the built-in world."""

from __future__ import annotations

import time
from collections.abc import Sequence

import torch
from torch import Tensor

from benchmarks import records
from ctvae.data import StepBy, Transitions, colour_world, split_groups, transition_pairs
from ctvae.data.worlds import ColourWorld
from ctvae.inference.actions import ActionPosterior
from ctvae.inference.tempering import fit_action_temperature
from ctvae.metrics import calibration_band, calibration_curve, calibration_error
from ctvae.models import CTVAE, CTVAEConfig
from ctvae.randomness import spawn
from ctvae.training import DecoderStage, ReadingStage, TrainingConfig, fit

SEEDS = (0, 1, 2)
TEST_PAIRS = 20_000
VALIDATION_PAIRS = 10_000
READING = ReadingStage(steps=800)
"""As in the demo."""
BRIEF = DecoderStage(steps=1)
"""The decoder is not looked at here."""


def run(seeds: Sequence[int] | None = None) -> None:
    """Trains on 280 scenes; validation and test pairs are one to a scene, all scenes fresh.

    Args:
        seeds: The seeds; 0 to 2 where ``None``.
    """
    world = colour_world()
    rows: list[dict[str, object]] = []
    for seed in seeds or SEEDS:
        for_train, for_valid, for_test = spawn(seed, 3)
        images = world.edits(400, seed=for_train)
        parts = split_groups(images.units)
        train, valid = (transition_pairs(images, StepBy(), rows=part) for part in parts[:2])
        begun = time.process_time()
        model = CTVAE(
            CTVAEConfig(actions=train.actions, channels=3, slots=images.moved.names), seed=seed
        )
        fit(
            model,
            train,
            TrainingConfig(seed=seed, reading=READING, decoder=BRIEF),
            validation=valid,
        )
        seconds = time.process_time() - begun
        judge = independent_pairs(world, VALIDATION_PAIRS, seed=for_valid)
        seen = _posterior(model, judge)
        found = fit_action_temperature(seen, judge.action)
        test = independent_pairs(world, TEST_PAIRS, seed=for_test)
        posterior = _posterior(model, test)
        for name, temperature in (("as trained", 1.0), ("tempered", found.temperature)):
            figures = scored(posterior.tempered(temperature), test.action)
            rows.append({"posterior": name, "seed": seed, "temperature": temperature, **figures})
            rows[-1]["cpu_seconds"] = seconds
            records.show(rows[-1])
        records.write("calibration", rows, {}, rivals=())


def independent_pairs(world: ColourWorld, count: int, *, seed: int) -> Transitions:
    """Renders one pair for each of many scenes, so that pairs are independent of each other.

    Args:
        world: The world.
        count: How many.
        seed: For factors, actions and nuisances.

    Returns:
        Pairs under actions drawn uniformly among those that can be taken.
    """
    generator = torch.Generator().manual_seed(seed)
    sizes = torch.tensor(world.scm.slots.cardinalities)
    before = (torch.rand(count, len(sizes), generator=generator) * sizes).long()
    can = torch.cat([before < sizes - 1, before > 0], 1)
    noise = torch.rand(count, 2 * len(sizes), generator=generator)
    action = noise.masked_fill(~can, -1.0).argmax(1)
    after, rows = before.clone(), torch.arange(count)
    after[rows, action % len(sizes)] += torch.where(action < len(sizes), 1, -1)
    nuisances = torch.rand(count, 4, generator=generator)
    names = world.scm.slots.names
    images = [
        torch.cat([world.render(c, n) for c, n in _parts(codes, nuisances)])
        for codes in (before, after)
    ]
    return Transitions.from_arrays(
        images[0], action, images[1], StepBy().actions(names, sizes.tolist())
    )


def _parts(codes: Tensor, nuisances: Tensor) -> list[tuple[Tensor, Tensor]]:
    return list(zip(codes.split(2048), nuisances.split(2048), strict=True))


def _posterior(model: CTVAE, pairs: Transitions) -> ActionPosterior:
    return model.retrieve_action(pairs.images[pairs.before], pairs.images[pairs.after])


def scored(posterior: ActionPosterior, action: Tensor) -> dict[str, object]:
    """Scores a posterior over single actions.

    Args:
        posterior: Of the pairs.
        action: Their actions.

    Returns:
        Accuracy, log loss, calibration error beside its band, and the Brier score of the answer
        being right with Murphy's decomposition over 15 bins of confidence.
    """
    confidence = posterior.probs.amax(1)
    right = posterior.mode[:, 0] == action
    low, high = calibration_band(confidence, simulations=1000)
    return {
        "pairs": len(action),
        "accuracy": float(right.double().mean()),
        "nll": -float(posterior.log_prob(action).mean()),
        "calibration_error": calibration_error(confidence, right),
        "band_low": low,
        "band_high": high,
        **brier(confidence, right),
    }


def brier(confidence: Tensor, right: Tensor) -> dict[str, object]:
    """Decomposes the Brier score; the terms rest on the mean confidence of each bin.

    Args:
        confidence: The probability given to each answer.
        right: Whether it was right.

    Returns:
        The score, and ``reliability - resolution + uncertainty`` of the binned confidences.
    """
    curve = calibration_curve(confidence, right)
    share = curve.size / curve.size.sum()
    mean = right.double().mean()
    gap, spread = (curve.confidence - curve.accuracy) ** 2, (curve.accuracy - mean) ** 2
    return {
        "brier": float((confidence - right.double()).square().mean()),
        "brier_reliability": float((share * gap).nansum()),
        "brier_resolution": float((share * spread).nansum()),
        "brier_uncertainty": float(mean * (1 - mean)),
    }
