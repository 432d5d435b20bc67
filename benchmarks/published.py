"""The published CT-VAE on mini-sprites: its CT layer, the repair, counting on the same codes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from benchmarks import baselines, records
from benchmarks.published_memory import memory_rows
from ctvae.data import StepBy, Transitions, mini_sprites, split_groups, transition_pairs
from ctvae.models.published import (
    CTLayer,
    PublishedCTLayer,
    PublishedMCQVAE,
    PublishedObjective,
    RepairedCTLayer,
    RepairedObjective,
)
from ctvae.quant import perplexity
from ctvae.training import AutoencoderStage, LayerStage, fit_autoencoder, fit_layer

SEEDS = (0, 1, 2)
SPLIT = 42
CODES = 32
CELLS = 2**20
"""Speed, not results."""
DRAWS = 5
"""Evaluations of a layer that is random at evaluation."""


class Split(NamedTuple):
    """Pairs of the benchmark, over one pool of images.

    Attributes:
        train: 11,660 pairs.
        valid: 526 pairs.
        test: 526 pairs.
        train_images: Rows of the pool.
        test_images: Rows of the pool.
    """

    train: Transitions
    valid: Transitions
    test: Transitions
    train_images: Tensor
    test_images: Tensor


def run(seeds: Sequence[int] | None = None) -> None:
    """Trains and scores every seed on one and the same split; records after each.

    Args:
        seeds: The seeds; 0 to 2 where ``None``.
    """
    split = pairs_of_images()
    memory, rows = memory_rows(), list[dict[str, object]]()
    for row in memory:
        records.show(row)
    for seed in seeds or SEEDS:
        rows += run_seed(split, seed)
        summary = {
            "pairs": [len(split.train), len(split.valid), len(split.test)],
            "memory": memory,
            **_summary(rows),
        }
        records.write("published", rows, summary, rivals=())


def pairs_of_images() -> Split:
    """Gives the pairs: all neighbouring values, both ways, both images in one part of the split.

    Returns:
        The pairs.
    """
    images = mini_sprites()
    train, valid, test = split_groups(images.units, seed=SPLIT)
    pairs = [transition_pairs(images, StepBy(), rows=part) for part in (train, valid, test)]
    return Split(pairs[0], pairs[1], pairs[2], train, test)


def run_seed(split: Split, seed: int) -> list[dict[str, object]]:
    """Trains the autoencoder, then both layers on its codes.

    Args:
        split: The pairs.
        seed: Of everything.

    Returns:
        One row for the codes, one for each method.
    """
    model, found = train_autoencoder(split, seed)
    codes = model.encode(split.test.images)
    rows = [{"method": "codes", "seed": seed, **found, **score_codes(model, codes, split)}]
    records.show(rows[-1])
    published = PublishedCTLayer(16, CODES, 10, hidden=(128, 16), cells=CELLS, seed=seed)
    repaired = RepairedCTLayer(16, CODES, 10, hidden=(128, 16), cells=CELLS, seed=seed)
    objectives = (PublishedObjective(published), RepairedObjective(repaired))
    for objective in objectives:
        begun = time.process_time()
        stage = LayerStage(seed=seed, device="cpu")
        fit_layer(objective, codes, split.train, stage)
        seconds = time.process_time() - begun
        rows.append({
            "method": type(objective.layer).__name__,
            "seed": seed,
            "steps": stage.steps,
            **score_layer(objective.layer, model, codes, split.test),
            "validation_nll": retrieval_scores(objective.layer, codes, split.valid)["action_nll"],
            "cpu_seconds": seconds,
        })
        records.show(rows[-1])
    counted = baselines.counting(codes, split.train, split.test, codes=CODES)
    rows.append({"method": "counting on the same codes", "seed": seed, **counted})
    records.show(rows[-1])
    return rows


def train_autoencoder(split: Split, seed: int) -> tuple[PublishedMCQVAE, dict[str, object]]:
    """Trains the first stage on the training images.

    Args:
        split: The pairs; their images are the pool.
        seed: Of weights and batches.

    Returns:
        The autoencoder, and what its training took.
    """
    begun = time.process_time()
    model = PublishedMCQVAE(1, 32, hidden=(32, 64, 64), width=32, codes=CODES, seed=seed)
    stage = AutoencoderStage(seed=seed, device="cpu")
    images = split.train.images[split.train_images]
    fit_autoencoder(model, images, stage)
    return model, {"steps": stage.steps, "cpu_seconds": time.process_time() - begun}


@torch.no_grad()
def score_codes(model: PublishedMCQVAE, codes: Tensor, split: Split) -> dict[str, object]:
    """Scores the first stage on test images and pairs.

    Args:
        model: The autoencoder.
        codes: Of all images.
        split: The pairs.

    Returns:
        Errors of pixels, use of the codebook, and what an action changes.
    """
    pool, test = split.test.images, split.test
    rows = split.test_images
    drawn = model.decode(codes)
    before, after = codes[test.before], codes[test.after]
    own = codes[rows].reshape(-1, 1)
    return {
        "squared_error": _error(drawn[rows], pool[rows]),
        "codes_used": len(own.unique()),
        "perplexity": float(perplexity(own, CODES)),
        "pairs_with_equal_codes": float((before == after).all(1).double().mean()),
        "slots_changed": float((before != after).double().sum(1).mean()),
        "slot_accuracy_copying": float((before == after).double().mean()),
        "squared_error_copying": _error(pool[test.before], pool[test.after]),
        "squared_error_codes_before": _error(drawn[test.before], pool[test.after]),
        "squared_error_codes_after": _error(drawn[test.after], pool[test.after]),
    }


@torch.no_grad()
def score_layer(
    layer: CTLayer, model: PublishedMCQVAE, codes: Tensor, pairs: Transitions
) -> dict[str, object]:
    """Scores a layer's two uses: which action, and what an action does.

    Args:
        layer: A trained layer.
        model: The autoencoder whose codes it was trained on.
        codes: Of all images.
        pairs: Test pairs.

    Returns:
        The figures.
    """
    found = layer.action(codes[pairs.before], pairs.action, seed=0)
    predicted, after = found.log_probs.argmax(-1), codes[pairs.after]
    changed = codes[pairs.before] != after
    right = (predicted == after).double()
    diagonal = found.edge_probs.diagonal(dim1=1, dim2=2)
    return {
        **retrieval_scores(layer, codes, pairs),
        "slot_accuracy": float(right.mean()),
        "slot_accuracy_changed": float(right[changed].mean()),
        "squared_error": _error(model.decode(predicted), pairs.images[pairs.after]),
        "edge_probability": float(found.edge_probs.mean()),
        "loop_probability": float(diagonal.mean()),
        "mask": float(found.mask.mean()),
    }


@torch.no_grad()
def retrieval_scores(layer: CTLayer, codes: Tensor, pairs: Transitions) -> dict[str, object]:
    """Scores retrieval over five evaluations.

    Args:
        layer: A trained layer, in evaluation mode.
        codes: Of all images.
        pairs: Pairs.

    Returns:
        Accuracy of single evaluations, mean and extent; of their mean; of factors, without the
        direction; nats of the true action.
    """
    before, after = codes[pairs.before], codes[pairs.after]
    begun = time.process_time()
    log_probs = torch.stack([
        layer.retrieval(before, after, seed=draw).log_probs for draw in range(DRAWS)
    ])
    seconds = time.process_time() - begun
    action, factors = pairs.action, len(pairs.actions) // 2
    answer = log_probs.argmax(-1)
    single = (answer == action).double().mean(1)
    averaged = log_probs.exp().mean(0).argmax(-1)
    truth = action.expand(DRAWS, -1)[..., None]
    return {
        "action_accuracy": float(single.mean()),
        "lowest": float(single.min()),
        "highest": float(single.max()),
        "averaged_accuracy": float((averaged == action).double().mean()),
        "factor_accuracy": float((answer % factors == action % factors).double().mean()),
        "action_nll": float(-log_probs.gather(-1, truth).mean()),
        "top_probability": float(log_probs.exp().amax(-1).mean()),
        "pairs_per_second": DRAWS * len(pairs) / seconds,
    }


def _error(drawn: Tensor, wanted: Tensor) -> float:
    return float((drawn - wanted).square().mean())


def _summary(rows: Sequence[dict[str, object]]) -> dict[str, object]:
    summary: dict[str, object] = {}
    for method in dict.fromkeys(str(row["method"]) for row in rows):
        mine = [row for row in rows if row["method"] == method]
        for name in mine[0]:
            figures = [row[name] for row in mine]
            if name != "seed" and all(isinstance(f, float) for f in figures):
                summary[f"{method}: {name}"] = float(torch.tensor(figures).double().mean())
    return summary
