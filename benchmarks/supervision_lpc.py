"""LPC sprites under less supervision: targets unknown, circles of values, few labels."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from benchmarks import records
from benchmarks.records import SHARED
from benchmarks.supervision import few, summarise, train_and_score, untargeted
from ctvae.data import PairRule, SetTo, StepAround, StepBy, split_groups, transition_pairs
from ctvae.data.files import read_lpc_sprites

SEEDS = (0, 1, 2, 3, 4)
RULES: dict[str, PairRule] = {"+-1": StepBy(), "+-1 around": StepAround(), "set": SetTo()}
LABELS = 0.1


def run(seeds: Sequence[int] | None = None) -> None:
    """Trains every seed under every regime; characters are split once, 70/15/15.

    Args:
        seeds: The seeds; 0 to 4 where ``None``.
    """
    images = read_lpc_sprites(SHARED / "lpc_sprites" / "lpc_sprites_train.npz", size=32)
    splits = split_groups(images.units)
    names = images.moved.names
    rows: list[dict[str, object]] = []
    for name, rule in RULES.items():
        train, valid, test = (transition_pairs(images, rule, rows=part) for part in splits)
        for seed in seeds or SEEDS:
            generator = torch.Generator().manual_seed(seed)
            cases = {f"{name}, targets unknown": untargeted(train)}
            if name != "+-1 around":
                cases[f"{name}, 10 % labels"] = few(train, LABELS, generator)
            for case, pairs in cases.items():
                found = train_and_score(pairs, valid, [test], seed, names)
                rows.append({"regime": case, "seed": seed, **found})
                records.show(rows[-1])
    records.write("supervision_lpc", rows, summarise(rows), rivals=())
