"""Mini-sprites: five image splits, targets known and unknown, rivals on the same pairs."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

import torch

from benchmarks import baselines, records
from ctvae.data import StepBy, composed_pairs, mini_sprites, split_groups, transition_pairs
from ctvae.evaluation import GridJudge, score_edits, score_retrieval, score_slots
from ctvae.mechanisms import Action, ShiftAction
from ctvae.metrics import calibration_band, calibration_error
from ctvae.models import CTVAE, CTVAEConfig
from ctvae.training import TrainingConfig, fit

SEEDS = (0, 1, 2, 3, 4)


def run(seeds: Sequence[int] | None = None) -> None:
    """Trains and scores every seed under both regimes of targets; seed s uses image split 42 + s.

    Args:
        seeds: The seeds; 0 to 4 where ``None``.
    """
    images = mini_sprites()
    rows: list[dict[str, object]] = []
    pooled: dict[str, list[tuple[torch.Tensor, torch.Tensor]]] = {"known": [], "matched": []}
    for seed in seeds or SEEDS:
        splits = split_groups(images.units, seed=42 + seed)
        pairs = [transition_pairs(images, StepBy(), rows=part) for part in splits]
        for targets, kept in pooled.items():
            begun = time.process_time()
            used = (
                pairs
                if targets == "known"
                else [
                    replace(p, actions=tuple(_without_target(a) for a in p.actions)) for p in pairs
                ]
            )
            model = CTVAE(CTVAEConfig(actions=used[0].actions), seed=seed)
            history = fit(model, used[0], TrainingConfig(seed=seed), validation=used[1])
            seconds = time.process_time() - begun
            test = images.subset(splits[2])
            pool, last = images.images, used[2]
            retrieval = score_retrieval(model, pool, last.before, last.action[:, None], last.after)
            kept.append((retrieval.confidence, retrieval.correct))
            slots = score_slots(model, images.subset(splits[0]), test, last)
            edits = score_edits(model, test, GridJudge(images, test), slots)
            two = composed_pairs(images, StepBy(), rows=splits[2])
            composed = score_retrieval(model, pool, two.before, two.sequence, two.after)
            rows.append({
                "method": f"slots, targets {targets}",
                "seed": seed,
                "status": history.status.name,
                "codes": list(history.cardinalities),
                "test_pairs": len(last),
                "action_accuracy": retrieval.accuracy_ties_split,
                "validation_accuracy": history.discrete_accuracy,
                "action_nll": retrieval.nll,
                "calibration_error": retrieval.calibration_error,
                "slots_changed": slots.changed,
                "matched_nmi": float(slots.matched_information.mean()),
                "edit_atomicity": edits.atomicity,
                "reconstruction_all_factors": edits.reconstruction,
                "composition_accuracy": composed.accuracy,
                "cpu_seconds": seconds,
            })
            records.show(rows[-1])
        for found in (
            baselines.copying(pairs[2]),
            baselines.counting_on_spatial_codes(pairs[0], pairs[2], seed=seed),
            baselines.inverse_dynamics(pairs[0], pairs[2], seed=seed),
        ):
            rows.append({"seed": seed, **found})
            records.show(rows[-1])
    records.write("mini_sprites", rows, _summary(rows, pooled))


def _without_target(action: Action) -> Action:
    return ShiftAction(action.name, None, 1)


def _summary(
    rows: list[dict[str, object]], pooled: dict[str, list[tuple[torch.Tensor, torch.Tensor]]]
) -> dict[str, object]:
    summary: dict[str, object] = {}
    for method in dict.fromkeys(str(row["method"]) for row in rows):
        mine = [row for row in rows if row["method"] == method]
        for name in mine[0]:
            figures = [row[name] for row in mine]
            if name != "seed" and all(isinstance(f, float) for f in figures):
                values = torch.tensor(figures).double()
                summary[f"{method}: {name}"] = float(values.mean())
    for targets, kept in pooled.items():
        confidence, correct = (torch.cat(column) for column in zip(*kept, strict=True))
        low, high = calibration_band(confidence)
        summary[f"slots, targets {targets}: pooled pairs"] = len(correct)
        summary[f"slots, targets {targets}: pooled accuracy"] = float(correct.double().mean())
        summary[f"slots, targets {targets}: pooled calibration error"] = calibration_error(
            confidence, correct
        )
        summary[f"slots, targets {targets}: calibration band"] = [low, high]
    return summary
