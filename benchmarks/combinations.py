"""Mini-sprites: combinations of factors that training never showed, learned from drawn pictures."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from benchmarks import records
from benchmarks.supervision import SEEDS, few, hold_out, summarise, train_and_score, untargeted
from ctvae.data import StepBy, mini_sprites, split_groups, transition_pairs
from ctvae.training import DecoderStage


def run(seeds: Sequence[int] | None = None) -> None:
    """Trains every seed on the combinations that ``supervision`` leaves, with the whole decoder.

    Args:
        seeds: The seeds; 0 to 4 where ``None``.
    """
    images = mini_sprites()
    rows: list[dict[str, object]] = []
    for seed in seeds or SEEDS:
        generator = torch.Generator().manual_seed(seed)
        splits = split_groups(images.units, seed=42 + seed)
        whole = untargeted(transition_pairs(images, StepBy(), rows=splits[0]))
        for share in (0.1, 0.01):  # the same draws as there, so the same combinations
            few(whole, share, generator)
        train, valid, test, unseen = hold_out(images, splits, generator)
        found = train_and_score(
            untargeted(train), valid, [test, unseen], seed, decoder=DecoderStage()
        )
        rows.append({"regime": "combinations held out, drawn", "seed": seed, **found})
        records.show(rows[-1])
    records.write("combinations", rows, summarise(rows), rivals=())
