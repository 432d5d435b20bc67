"""A corner of mini-sprites that tests of baselines train on in seconds."""

from __future__ import annotations

from typing import NamedTuple

import pytest
import torch

from ctvae.data import (
    ImageSet,
    StepBy,
    Transitions,
    mini_sprites,
    split_groups,
    transition_pairs,
)


class Corner(NamedTuple):
    images: ImageSet
    train: Transitions
    validation: Transitions


@pytest.fixture(scope="session")
def corner() -> Corner:
    images = mini_sprites()
    keep = (images.factors < torch.tensor([3, 2, 2, 4, 4])).all(1)
    small = images.subset(keep.nonzero()[:, 0])
    rows = split_groups(small.units, fractions=(0.6, 0.4), seed=0)
    train, validation = (transition_pairs(small, StepBy(), rows=part) for part in rows)
    return Corner(small, train, validation)
