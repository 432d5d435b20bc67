"""Mini-sprites under less supervision: unknown targets, few labels, combinations held out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from benchmarks import records
from ctvae.data import (
    ImageSet,
    StepBy,
    Transitions,
    mini_sprites,
    split_groups,
    transition_pairs,
)
from ctvae.evaluation import score_retrieval
from ctvae.mechanisms.actions import Action, OpenAction, SetAction, ShiftAction
from ctvae.models import CTVAE, CTVAEConfig
from ctvae.training import DecoderStage, TrainingConfig, fit

SEEDS = (0, 1, 2, 3, 4)
HELD_OUT = 5
"""Of the 48 combinations of shape, scale and orientation."""
BRIEF = DecoderStage(steps=1)
"""Retrieval reads codes; the decoder is not looked at here."""


def run(seeds: Sequence[int] | None = None) -> None:
    """Trains every seed under every regime; seed s uses image split 42 + s.

    Args:
        seeds: The seeds; 0 to 4 where ``None``.
    """
    images = mini_sprites()
    rows: list[dict[str, object]] = []
    for seed in seeds or SEEDS:
        generator = torch.Generator().manual_seed(seed)
        splits = split_groups(images.units, seed=42 + seed)
        train, valid, test = (transition_pairs(images, StepBy(), rows=part) for part in splits)
        cases = {
            "targets known": train,
            "targets unknown": untargeted(train),
            "10 % labels, targets unknown": few(untargeted(train), 0.1, generator),
            "1 % labels, targets unknown": few(untargeted(train), 0.01, generator),
        }
        for name, pairs in cases.items():
            rows.append({
                "regime": name,
                "seed": seed,
                **train_and_score(pairs, valid, [test], seed),
            })
            records.show(rows[-1])
        train, valid, test, unseen = hold_out(images, splits, generator)
        name = "targets unknown, combinations held out"
        found = train_and_score(untargeted(train), valid, [test, unseen], seed)
        rows.append({"regime": name, "seed": seed, **found})
        records.show(rows[-1])
    records.write("supervision", rows, summarise(rows), rivals=())


def hold_out(
    images: ImageSet, splits: Sequence[Tensor], generator: torch.Generator
) -> list[Transitions]:
    """Leaves combinations of shape, scale and orientation out of mini-sprites.

    Args:
        images: Mini-sprites.
        splits: Rows for training, validation and test.
        generator: Chooses the combinations.

    Returns:
        Pairs for training, validation and test without them, and all pairs among them.
    """
    combination = images.factors[:, :3] @ torch.tensor([16, 4, 1])
    out = torch.randperm(48, generator=generator)[:HELD_OUT]
    held = torch.isin(combination, out)
    rows = [*(part[~held[part]] for part in splits), held.nonzero()[:, 0]]
    return [transition_pairs(images, StepBy(), rows=part) for part in rows]


def summarise(rows: Sequence[dict[str, object]]) -> dict[str, object]:
    """Gives mean and extent over the seeds of each regime.

    Args:
        rows: One for each run.

    Returns:
        Regime and figure to its mean, lowest and highest.
    """
    summary: dict[str, object] = {}
    for name in dict.fromkeys(str(row["regime"]) for row in rows):
        for figure in ("action_accuracy", "action_nll", "unseen_accuracy", "cpu_seconds"):
            values = [float(str(r[figure])) for r in rows if r["regime"] == name and figure in r]
            if values:
                mean = sum(values) / len(values)
                extent = {"mean": mean, "lowest": min(values), "highest": max(values)}
                summary[f"{name}: {figure}"] = extent
    return summary


def untargeted(pairs: Transitions) -> Transitions:
    """Forgets what the actions move, and which way.

    Args:
        pairs: Pairs.

    Returns:
        The same pairs, of actions without targets.
    """
    return replace(pairs, actions=tuple(_untargeted(action) for action in pairs.actions))


def _untargeted(action: Action) -> Action:
    if isinstance(action, ShiftAction):
        return ShiftAction(action.name, None, 1)
    if isinstance(action, SetAction):
        return replace(action, target=None)
    return OpenAction(action.name)


def few(pairs: Transitions, share: float, generator: torch.Generator) -> Transitions:
    """Forgets most labels.

    Args:
        pairs: Labelled pairs.
        share: Of labels kept.
        generator: Chooses them.

    Returns:
        The same pairs, most of them with action -1.
    """
    count = round(share * len(pairs))
    kept = torch.randperm(len(pairs), generator=generator)[:count]
    action = torch.full_like(pairs.action, -1)
    action[kept] = pairs.action[kept]
    return replace(pairs, action=action)


def train_and_score(
    pairs: Transitions,
    valid: Transitions,
    tests: Sequence[Transitions],
    seed: int,
    slots: tuple[str, ...] = (),
    decoder: DecoderStage = BRIEF,
) -> dict[str, object]:
    """Trains a model and scores its retrieval.

    Args:
        pairs: Training pairs.
        valid: Validation pairs.
        tests: Test pairs, and where there is a second set, pairs of a kind not trained on.
        seed: Of model and training.
        slots: Names of the slots, which say how many there are.
        decoder: Settings of the decoder; with a brief one, nothing is learned from its pictures.

    Returns:
        The figures.
    """
    channels = pairs.images.shape[1]
    config = CTVAEConfig(actions=pairs.actions, channels=channels, slots=slots)
    model = CTVAE(config, seed=seed)
    valid = replace(valid, actions=pairs.actions)
    settings = TrainingConfig(seed=seed, decoder=decoder)
    history = fit(model, pairs, settings, validation=valid)
    scores = [score_retrieval(model, t.images, t.before, t.action[:, None], t.after) for t in tests]
    row: dict[str, object] = {
        "status": history.status.name,
        "labels": int((pairs.action >= 0).sum()),
        "pairs_used": history.pairs,
        "codes": list(history.cardinalities),
        "validation_accuracy": history.discrete_accuracy,
        "test_pairs": len(tests[0]),
        "action_accuracy": scores[0].accuracy_ties_split,
        "action_nll": scores[0].nll,
        "cpu_seconds": history.cpu_seconds,
    }
    if len(tests) > 1:
        row |= {"unseen_pairs": len(tests[1]), "unseen_accuracy": scores[1].accuracy_ties_split}
    return row
