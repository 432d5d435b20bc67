"""Retrieval that a classifier cannot do: sequences, and pairs that no known action explains."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from benchmarks import records
from benchmarks.baselines import inverse_logits, inverse_model
from benchmarks.records import SHARED
from benchmarks.unexplained import Pairs, families, only_action, walks, without_action
from ctvae.data import (
    ImageSet,
    StepBy,
    Transitions,
    mini_sprites,
    split_groups,
    transition_pairs,
)
from ctvae.data.files import read_lpc_sprites
from ctvae.evaluation import score_retrieval
from ctvae.models import CTVAE, CTVAEConfig
from ctvae.models.explanation import ExplanationTest
from ctvae.nn import ImageEncoder
from ctvae.training import DecoderStage, TrainingConfig, fit

SEEDS = (0, 1, 2)
BRIEF = DecoderStage(steps=1000)
"""Drawings need only be good enough to be compared with each other."""
WALKS = 1000
MOST = 4000
"""At most so many pairs of a family."""


def run(seeds: Sequence[int] | None = None) -> None:
    """Trains every seed twice, with all actions and with one withheld; split 42 + seed.

    Args:
        seeds: The seeds; 0 to 2 where ``None``.
    """
    sources = {"mini-sprites": (mini_sprites(), 0)}
    lpc = SHARED / "lpc_sprites" / "lpc_sprites_train.npz"
    if lpc.is_file():
        sources["LPC sprites"] = (read_lpc_sprites(lpc, size=32), 8)
    rows: list[dict[str, object]] = []
    for seed in seeds or SEEDS:
        for data, (images, spare) in sources.items():
            for row in _scored(images, spare, seed):
                rows.append({"data": data, "seed": seed, **row})
                records.show(rows[-1])
            records.write("rejection", rows, {}, rivals=())


class Judges(NamedTuple):
    """What is trained on one set of training pairs.

    Attributes:
        model: The slots.
        test: Of whether an action explains a pair.
        classifier: The rival.
        seconds: CPU time of the slots.
    """

    model: CTVAE
    test: ExplanationTest
    classifier: ImageEncoder
    seconds: float

    @classmethod
    def train(
        cls, images: ImageSet, spare: int, train: Transitions, valid: Transitions, seed: int
    ) -> Judges:
        """Trains slots and classifier on the same pairs."""
        begun = time.process_time()
        config = CTVAEConfig(
            actions=train.actions,
            channels=images.images.shape[1],
            slots=images.moved.names,
            spare=spare,
        )
        model = CTVAE(config, seed=seed)
        fit(model, train, TrainingConfig(seed=seed, decoder=BRIEF), validation=valid)
        test = ExplanationTest.fit(model, train, valid)
        seconds = time.process_time() - begun
        return cls(model, test, inverse_model(train, seed=seed), seconds)

    def scores(self, images: Tensor, pairs: Pairs) -> dict[str, Tensor]:
        """Scores pairs by every method, high where no action explains them."""
        before, after = images[pairs.before], images[pairs.after]
        found = self.test.judge(before, after)
        names = [f"ours, {name} alone" for name in found.streams]
        changed = (self.model.encode(before) != self.model.encode(after)).sum(1)
        logits = inverse_logits(self.classifier, before, after)
        distance = (before.float() - after.float()).square().flatten(1).mean(1)
        return {
            "ours": 1 - found.p_value,
            **dict(zip(names, (1 - found.by_stream).unbind(1), strict=True)),
            "slots changed, from one": (changed - 1).abs().double(),
            "slots changed": changed.double(),
            "pixel distance": distance.double(),
            "CNN, max-softmax": 1 - logits.softmax(1).amax(1).double(),
            "CNN, energy": -logits.double().logsumexp(1),
        }


def _scored(images: ImageSet, spare: int, seed: int) -> list[dict[str, object]]:
    splits = split_groups(images.units, seed=42 + seed)
    train, valid, test = (transition_pairs(images, StepBy(), rows=part) for part in splits)
    judges = Judges.train(images, spare, train, valid, seed)
    rows: list[dict[str, object]] = [
        {"what": "sequences", **_sequences(judges.model, images, splits[2], seed)}
    ]
    odd = families(images, splits[2], seed=seed)
    ordinary = judges.scores(images.images, _some(Pairs(test.before, test.after), seed))
    for family, pairs in odd.items():
        found = judges.scores(images.images, _some(pairs, seed))
        rows += _compared(family, ordinary, found)
    withheld = (3 * seed + 1) % len(train.actions)
    held = Judges.train(
        images, spare, without_action(train, withheld), without_action(valid, withheld), seed
    )
    known = without_action(test, withheld)
    ordinary = held.scores(images.images, _some(Pairs(known.before, known.after), seed))
    found = held.scores(images.images, _some(only_action(test, withheld), seed))
    rows += _compared("withheld action", ordinary, found)
    return rows


def _some(pairs: Pairs, seed: int) -> Pairs:
    """At most so many pairs, drawn at random."""
    generator = torch.Generator().manual_seed(seed)
    pick = torch.randperm(len(pairs.before), generator=generator)[:MOST]
    return Pairs(pairs.before[pick], pairs.after[pick])


def _sequences(model: CTVAE, images: ImageSet, rows: Tensor, seed: int) -> dict[str, object]:
    figures: dict[str, object] = {}
    for length in (1, 2, 3):
        drawn = walks(images, StepBy(), rows, length=length, count=WALKS, seed=seed)
        found = score_retrieval(model, images.images, *drawn)
        figures |= {
            f"pairs, length {length}": len(drawn.before),
            f"accuracy, length {length}": found.accuracy,
            f"nll, length {length}": found.nll,
        }
    return figures


def _compared(
    family: str, ordinary: Mapping[str, Tensor], odd: Mapping[str, Tensor]
) -> list[dict[str, object]]:
    return [
        {
            "what": "rejection",
            "family": family,
            "method": method,
            "pairs": len(odd[method]),
            "ordinary_pairs": len(ordinary[method]),
            "auroc": area(ordinary[method], odd[method]),
        }
        | (
            {
                "rejected_at_1_percent": float((odd[method] >= 0.99).double().mean()),
                "ordinary_rejected_at_1_percent": float((ordinary[method] >= 0.99).double().mean()),
            }
            if method == "ours"
            else {}
        )
        for method in odd
    ]


def area(ordinary: Tensor, odd: Tensor) -> float:
    """Gives the area under the ROC curve: how often an odd pair scores above an ordinary one.

    Args:
        ordinary: Scores of pairs that an action explains.
        odd: Scores of pairs that none does.

    Returns:
        A share, ties counted half.
    """
    level, odd = ordinary.sort().values, odd.contiguous()
    below = torch.searchsorted(level, odd)
    up_to = torch.searchsorted(level, odd, right=True)
    return float((below + up_to).double().mean() / 2 / len(ordinary))
