"""Learning tests: what the recipe must reach, on held-out images, with fixed step counts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from ctvae.cli import subjects
from ctvae.cli.demo import run_demo
from ctvae.data import SetTo, StepBy, composed_pairs, mini_sprites, split_groups, transition_pairs
from ctvae.evaluation import GridJudge, score_edits, score_retrieval, score_slots
from ctvae.mechanisms import ShiftAction
from ctvae.models import CTVAE, CTVAEConfig
from ctvae.training import DecoderStage, TrainingConfig, TrainingStatus, WarmUpStage, fit

pytestmark = pytest.mark.slow


def test_mini_sprites_with_known_targets() -> None:
    """One split of the five that the benchmark pools.

    The bars of the benchmark (.99, NLL .03) are for 2,608 pooled pairs. One split has about 500
    images, its figures ranged from .987 to 1.000 over five seeds, and another number of threads
    rounds differently, so the bars here are one point lower: three misread images more.
    """
    images = mini_sprites()
    rows = split_groups(images.units)
    pairs = [transition_pairs(images, StepBy(), rows=part) for part in rows]
    model = CTVAE(CTVAEConfig(actions=pairs[0].actions), seed=0)
    history = fit(model, pairs[0], TrainingConfig(seed=0), validation=pairs[1])
    assert history.status is TrainingStatus.DONE
    assert sorted(history.cardinalities) == [3, 4, 4, 8, 8]
    test, last = images.subset(rows[2]), pairs[2]
    found = score_retrieval(model, images.images, last.before, last.action[:, None], last.after)
    slots = score_slots(model, images.subset(rows[0]), test, last)
    edits = score_edits(model, test, GridJudge(images, test), slots)
    two = composed_pairs(images, StepBy(), rows=rows[2])
    composed = score_retrieval(model, images.images, two.before, two.sequence, two.after)
    assert found.accuracy_ties_split >= 0.98
    assert found.nll <= 0.06
    assert abs(slots.changed - 1) <= 0.02
    assert float(slots.matched_information.mean()) >= 0.98
    assert edits.atomicity >= 0.98
    assert edits.reconstruction >= 0.98
    assert composed.accuracy >= 0.98


def test_unknown_targets_are_matched() -> None:
    """Only the slots: the decoder would add a minute and nothing to this claim."""
    images = mini_sprites()
    rows = split_groups(images.units, seed=43)
    pairs = [
        replace(p, actions=tuple(ShiftAction(a.name, None, 1) for a in p.actions))
        for p in (transition_pairs(images, StepBy(), rows=part) for part in rows)
    ]
    model = CTVAE(CTVAEConfig(actions=pairs[0].actions), seed=1)
    config = TrainingConfig(seed=1, decoder=DecoderStage(steps=2))
    history = fit(model, pairs[0], config, validation=pairs[1])
    assert sorted(history.cardinalities) == [3, 4, 4, 8, 8]
    targets = [action.targets for action in model.actions]
    assert targets[:5] == targets[5:]
    assert len(set(targets)) == 5
    last = pairs[2]
    found = score_retrieval(model, images.images, last.before, last.action[:, None], last.after)
    assert found.accuracy >= 0.98


def test_the_graph_of_the_built_in_world_is_found(tmp_path: Path) -> None:
    result = run_demo(None, StepBy(), seed=0, out=tmp_path, command="ctvae demo")
    assert result.metrics["graph_shd"] == 0
    assert result.metrics["graph_shd_true_factors"] == 0
    assert result.metrics["graph_shd_empty"] == 6
    assert result.metrics["action_accuracy"] >= 0.99  # type: ignore[operator]
    assert result.metrics["edit_atomicity"] >= 0.95  # type: ignore[operator]
    assert max(result.slots.wrong_codes) <= 0.01


def test_slots_of_real_characters(shared_data: Path) -> None:
    path = shared_data / "lpc_sprites/lpc_sprites_train.npz"
    subject = subjects.file_subject(path, SetTo(), seed=0)
    model = CTVAE(
        CTVAEConfig(actions=subject.pairs[0].actions, channels=3, slots=subject.images.moved.names),
        seed=0,
    )
    config = TrainingConfig(warm_up=WarmUpStage(steps=800), decoder=DecoderStage(steps=2))
    history = fit(model, subject.pairs[0], config, validation=subject.pairs[1])
    assert history.status is TrainingStatus.DONE
    assert history.cardinalities == (6, 6, 6, 6)
    last = subject.pairs[2]
    found = score_retrieval(model, last.images, last.before, last.action[:, None], last.after)
    slots = score_slots(model, subject.train, subject.test, last)
    assert found.accuracy >= 0.99
    assert slots.changed_exactly_one >= 0.98
    assert torch.tensor(slots.wrong_codes).max() <= 0.01
