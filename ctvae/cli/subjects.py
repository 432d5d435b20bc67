"""What the demo can be run on: the built-in world, or a file of images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ctvae.data.files import read_image_file
from ctvae.data.images import ImageSet, split_groups
from ctvae.data.pair_rules import PairRule
from ctvae.data.transitions import Transitions, transition_pairs
from ctvae.data.worlds import ColourWorld, colour_world
from ctvae.evaluation import GridJudge, Judge, WorldJudge
from ctvae.graph.causal_graph import CausalGraph
from ctvae.randomness import make_generator, spawn
from ctvae.regimes import Regime
from ctvae.training.config import DecoderStage, ReadingStage, TrainingConfig

__all__ = ["Subject", "file_subject", "world_subject"]

SIDE = 32
SCENES = 400
OBSERVATIONAL_ROWS = 3000
ROWS_PER_TARGET = 500
DISCOVERY_ROWS = 4000


@dataclass(frozen=True)
class Subject:
    """Images that teach slots, images for discovery, and how both are judged.

    Attributes:
        name: What to call it.
        images: All images that teach or judge slots.
        rows: Rows of training, validation and test images, which share no unit.
        pairs: Pairs of each of the three.
        judge: Reads pictures drawn from test images.
        samples: Images of independent units for discovery, none of them in ``images``' pairs of
            training.
        truth: The true graph over the factors.
        truth_note: Why that is the truth.
        spare: The length of the model's spare vector.
        training: Settings.
    """

    name: str
    images: ImageSet
    rows: tuple[Tensor, ...]
    pairs: tuple[Transitions, ...]
    judge: Judge
    samples: ImageSet
    truth: CausalGraph
    truth_note: str
    spare: int
    training: TrainingConfig

    @property
    def train(self) -> ImageSet:
        """The training images."""
        return self.images.subset(self.rows[0])

    @property
    def test(self) -> ImageSet:
        """The test images."""
        return self.images.subset(self.rows[2])


def world_subject(rule: PairRule, *, seed: int) -> Subject:
    """Renders the built-in world.

    Args:
        rule: What actions do.
        seed: For scenes, samples and training.

    Returns:
        The subject: edits teach the slots, fresh samples and fresh ``do`` images the graph.
    """
    world = colour_world()
    for_edits, for_samples, for_do = spawn(seed, 3)
    images = world.edits(SCENES, seed=for_edits)
    rows = split_groups(images.units)
    samples = _join(
        world.sample(OBSERVATIONAL_ROWS, seed=for_samples),
        world.sample_do(ROWS_PER_TARGET, seed=for_do),
    )
    return Subject(
        "colour world",
        images,
        rows,
        tuple(transition_pairs(images, rule, rows=part) for part in rows),
        _judge_world(world, images, rows[2], for_edits),
        samples,
        world.graph,
        "the law that the samples were drawn from",
        4,
        TrainingConfig(
            seed=seed, reading=ReadingStage(steps=800), decoder=DecoderStage(steps=2000)
        ),
    )


def _judge_world(world: ColourWorld, images: ImageSet, test: Tensor, seed: int) -> WorldJudge:
    scene = images.factors[test, images.space.index("scene")]
    return WorldJudge(world, world.nuisances(SCENES, seed=seed)[scene])


def _join(observed: ImageSet, intervened: ImageSet) -> ImageSet:
    targets = torch.zeros_like(observed.factors, dtype=torch.bool)
    assert intervened.targets is not None  # made with targets above
    return ImageSet(
        torch.cat([observed.images, intervened.images]),
        torch.cat([observed.factors, intervened.factors]),
        observed.space,
        Regime.INTERVENTIONAL,
        torch.cat([targets, intervened.targets]),
    )


def file_subject(path: Path, rule: PairRule, *, seed: int) -> Subject:
    """Reads an image file; its units (characters, or single images) are split 70/15/15.

    Args:
        path: A file that ``read_image_file`` knows.
        rule: What actions do.
        seed: For training and for the choice of discovery rows.

    Returns:
        The subject: the collection is a (part of a) full grid, so its factors are independent and
        the true graph is empty; discovery looks at one image of each held-out unit.
    """
    images = read_image_file(path, size=SIDE)
    rows = split_groups(images.units)
    pairs = tuple(transition_pairs(images, rule, rows=part) for part in rows)
    held_out = torch.cat(rows[1:])
    order = torch.randperm(len(held_out), generator=make_generator(seed))
    shuffled = held_out[order]
    unit = images.units[shuffled]
    first = torch.full((int(unit.max()) + 1,), len(unit)).scatter_reduce(
        0, unit, torch.arange(len(unit)), "amin"
    )
    one_each = shuffled[first[first < len(unit)]][:DISCOVERY_ROWS]
    test = images.subset(rows[2])
    nuisances = set(images.space.names) - set(images.moves)
    large = len(images) > 30_000
    return Subject(
        path.name,
        images,
        rows,
        pairs,
        GridJudge(images, test),
        images.subset(one_each),
        CausalGraph.from_edges(nodes=images.moved.names),
        "factors of a full grid are independent by design, so the true graph is empty",
        8 if nuisances else 0,
        TrainingConfig(
            seed=seed,
            reading=ReadingStage(steps=2500 if large else 1100),
            decoder=DecoderStage(steps=6000 if large else 3000),
        ),
    )
