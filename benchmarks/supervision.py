"""Mini-sprites under less supervision: unknown targets, few labels, combinations held out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from benchmarks import records
from ctvae.data import (
    StepBy,
    Transitions,
    mini_sprites,
    split_groups,
    transition_pairs,
)
from ctvae.evaluation import score_retrieval
from ctvae.mechanisms import ShiftAction
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
            "targets unknown": _untargeted(train),
            "10 % labels, targets unknown": _few(_untargeted(train), 0.1, generator),
            "1 % labels, targets unknown": _few(_untargeted(train), 0.01, generator),
        }
        for name, pairs in cases.items():
            rows.append({"regime": name, "seed": seed, **_row(pairs, valid, [test], seed)})
            records.show(rows[-1])
        combination = images.factors[:, :3] @ torch.tensor([16, 4, 1])
        out = torch.randperm(48, generator=generator)[:HELD_OUT]
        held = torch.isin(combination, out)
        inside = [part[~held[part]] for part in splits]
        train, valid, test = (transition_pairs(images, StepBy(), rows=part) for part in inside)
        unseen = transition_pairs(images, StepBy(), rows=held.nonzero()[:, 0])
        name = "targets unknown, combinations held out"
        found = _row(_untargeted(train), valid, [test, unseen], seed)
        rows.append({"regime": name, "seed": seed, **found})
        records.show(rows[-1])
    summary: dict[str, object] = {}
    for name in dict.fromkeys(str(row["regime"]) for row in rows):
        for figure in ("action_accuracy", "action_nll", "unseen_accuracy", "cpu_seconds"):
            values = [float(str(r[figure])) for r in rows if r["regime"] == name and figure in r]
            if values:
                mean = sum(values) / len(values)
                extent = {"mean": mean, "lowest": min(values), "highest": max(values)}
                summary[f"{name}: {figure}"] = extent
    records.write("supervision", rows, summary, rivals=())


def _untargeted(pairs: Transitions) -> Transitions:
    return replace(pairs, actions=tuple(ShiftAction(a.name, None, 1) for a in pairs.actions))


def _few(pairs: Transitions, share: float, generator: torch.Generator) -> Transitions:
    count = round(share * len(pairs))
    kept = torch.randperm(len(pairs), generator=generator)[:count]
    action = torch.full_like(pairs.action, -1)
    action[kept] = pairs.action[kept]
    return replace(pairs, action=action)


def _row(
    pairs: Transitions, valid: Transitions, tests: Sequence[Transitions], seed: int
) -> dict[str, object]:
    model = CTVAE(CTVAEConfig(actions=pairs.actions), seed=seed)
    valid = replace(valid, actions=pairs.actions)
    config = TrainingConfig(seed=seed, decoder=BRIEF)
    history = fit(model, pairs, config, validation=valid)
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
