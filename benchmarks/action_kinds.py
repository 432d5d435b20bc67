"""Mini-sprites under every kind of action, by how much of the actions is said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from benchmarks import records
from benchmarks.supervision import BRIEF, few
from ctvae.data import (
    ImageSet,
    JointEdits,
    NoOps,
    OnFactors,
    PairRule,
    PermuteValues,
    SetAtRandom,
    SetTo,
    SeveralRules,
    StepAround,
    StepBy,
    Transitions,
    mini_sprites,
    split_groups,
    transition_pairs,
)
from ctvae.errors import CTVAEError
from ctvae.evaluation import score_retrieval
from ctvae.mechanisms import OpenAction
from ctvae.models import CTVAE, CTVAEConfig
from ctvae.training import ReadingStage, TrainingConfig, fit

SEEDS = (0, 1)
STEPS = 600
ON_TWO = (OnFactors(("x",), StepBy()), OnFactors(("y",), StepBy()))
LONG = OnFactors(("scale", "orientation", "x", "y"), StepBy(2))
MIXTURE = SeveralRules((
    OnFactors(("shape",), PermuteValues()),
    OnFactors(("scale",), SetAtRandom()),
    OnFactors(("orientation",), StepAround()),
    OnFactors(("x",), StepBy()),
    OnFactors(("x",), SetTo()),
    OnFactors(("y",), SetTo()),
    JointEdits((OnFactors(("shape",), SetAtRandom()), OnFactors(("y",), StepBy()))),
    NoOps(),
))
KINDS: dict[str, PairRule] = {
    "steps": StepBy(),
    "steps of one and two": SeveralRules((StepBy(), LONG)),
    "steps around circles": StepAround(),
    "set to a value": SetTo(),
    "permutation": PermuteValues(),
    "two permutations per factor": PermuteValues(count=2),
    "random value": SetAtRandom(),
    "steps and joint steps": SeveralRules((StepBy(), JointEdits(ON_TWO))),
    "steps and no-op": SeveralRules((StepBy(), NoOps())),
    "mixture": MIXTURE,
}


def run(seeds: Sequence[int] | None = None) -> None:
    """Trains a reader for every kind and regime; seed s uses image split 42 + s.

    Args:
        seeds: The seeds; 0 and 1 where ``None``.
    """
    images = mini_sprites()
    rows: list[dict[str, object]] = []
    for kind, rule in KINDS.items():
        for seed in seeds or SEEDS:
            rows += kind_rows(images, kind, rule, seed)
    records.write("action_kinds", rows, summarise(rows), rivals=())


def kind_rows(images: ImageSet, kind: str, rule: PairRule, seed: int) -> list[dict[str, object]]:
    """Trains one kind under every regime.

    Args:
        images: The images.
        kind: The name of the kind.
        rule: Its pairs.
        seed: Of split, labels, model and training.

    Returns:
        One row for each regime.
    """
    splits = split_groups(images.units, seed=42 + seed)
    train, valid, test = (transition_pairs(images, rule, rows=part) for part in splits)
    generator = torch.Generator().manual_seed(seed)
    opened = replace(train, actions=tuple(OpenAction(a.name) for a in train.actions))
    regimes = {
        "targets known": train,
        "names only": opened,
        "10 % labels": few(train, 0.1, generator),
        "1 % labels": few(train, 0.01, generator),
    }
    found = []
    for regime, pairs in regimes.items():
        head = {"kind": kind, "regime": regime, "seed": seed}
        found.append(head | _score(pairs, valid, test, images.moved.names, seed))
        records.show(found[-1])
    return found


def _score(
    pairs: Transitions, valid: Transitions, test: Transitions, slots: tuple[str, ...], seed: int
) -> dict[str, object]:
    model = CTVAE(CTVAEConfig(actions=pairs.actions, slots=slots), seed=seed)
    settings = TrainingConfig(seed=seed, reading=ReadingStage(steps=STEPS), decoder=BRIEF)
    judge = replace(valid, actions=pairs.actions)
    try:
        history = fit(model, pairs, settings, validation=judge)
    except CTVAEError as error:
        return {"refused": type(error).__name__}
    scores = [
        score_retrieval(model, p.images, p.before, p.action[:, None], p.after)
        for p in (valid, test)
    ]
    return {
        "status": history.status.name,
        "pairs_used": history.pairs,
        "codes": list(history.cardinalities),
        "linked": "reading" in history.records,
        "validation_accuracy": scores[0].accuracy,
        "test_accuracy": scores[1].accuracy,
        "test_nll": scores[1].nll,
        "cpu_seconds": history.cpu_seconds,
    }


def summarise(rows: Sequence[dict[str, object]]) -> dict[str, object]:
    """Gives mean and lowest over the seeds of each kind and regime.

    Args:
        rows: One for each run.

    Returns:
        Kind and regime to the accuracies on validation and test pairs.
    """
    summary: dict[str, object] = {}
    for key in dict.fromkeys((row["kind"], row["regime"]) for row in rows):
        mine = [r for r in rows if (r["kind"], r["regime"]) == key and "refused" not in r]
        for figure in ("validation_accuracy", "test_accuracy"):
            values = [float(str(r[figure])) for r in mine]
            if values:
                extent = {"mean": sum(values) / len(values), "lowest": min(values)}
                summary[f"{key[0]}, {key[1]}: {figure}"] = extent
    return summary
