"""``ctvae train``: one settings file in, a trained model and its scores on held-out images out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

import torch
import yaml
from pydantic import Field, ValidationError

from ctvae.cli.progress import training_progress
from ctvae.config import Settings
from ctvae.data.files import read_image_file
from ctvae.data.images import ImageSet, split_groups
from ctvae.data.pair_rules import PairRule, SetTo, StepAround, StepBy
from ctvae.data.render import mini_sprites
from ctvae.data.transitions import Transitions, transition_pairs
from ctvae.data.worlds import colour_world
from ctvae.errors import FormatError
from ctvae.evaluation import score_retrieval, score_slots
from ctvae.models.config import CTVAEConfig
from ctvae.models.ctvae import CTVAE
from ctvae.randomness import make_generator
from ctvae.training import History, TrainingConfig, fit

__all__ = ["RunSettings", "read_settings", "train"]

RULES: dict[str, PairRule] = {"step": StepBy(), "around": StepAround(), "set": SetTo()}
WORLD_SCENES = 400


class RunSettings(Settings):
    """One training, as its file says it.

    Attributes:
        data: ``mini-sprites``, ``colour-world``, or the path of a file of images, from the folder
            of the settings file.
        image_size: The side in pixels that images of a file are averaged down to.
        actions: ``step`` moves a factor by one, ``around`` around the circle of its values, ``set``
            sets it to a value.
        labels: The share of training pairs whose action is told.
        spare: The length of the vector that holds what no action moves.
        split_seed: For the split of the units, 70/15/15.
        seed: Of the model.
        training: The stages.
    """

    data: str = Field(min_length=1)
    image_size: int = Field(32, ge=8)
    actions: Literal["step", "around", "set"] = "step"
    labels: float = Field(1.0, gt=0, le=1)
    spare: int = Field(0, ge=0)
    split_seed: int = Field(42, ge=0, le=2**62)
    seed: int = Field(0, ge=0, le=2**62)
    training: TrainingConfig = TrainingConfig()


def read_settings(path: Path) -> RunSettings:
    """Reads a settings file.

    Args:
        path: A YAML file.

    Returns:
        The settings.

    Raises:
        FormatError: When the file is missing, is no YAML mapping, or a setting is wrong.
    """
    if not path.is_file():
        msg = f"{path}: no such file"
        raise FormatError(msg)
    try:
        found = yaml.safe_load(path.read_text())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        msg = f"{path} is no YAML: {error}"
        raise FormatError(msg) from error
    if not isinstance(found, dict):
        msg = f"{path}: expected settings as NAME: VALUE, got {type(found).__name__}"
        raise FormatError(msg)
    try:
        return RunSettings(**found)
    except (ValidationError, TypeError) as error:
        wrong = error.errors() if isinstance(error, ValidationError) else []
        said = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in wrong) or str(error)
        msg = f"{path}: {said}"
        raise FormatError(msg) from error


def train(settings: RunSettings, folder: Path, out: Path) -> dict[str, object]:
    """Trains a model and writes ``model/``, ``metrics.json`` and ``settings.yaml``.

    Snapshots go to ``checkpoint/``: a run that was stopped goes on from the last of them when it is
    started again with the same settings, to the same result.

    Args:
        settings: What to train on, and how.
        folder: Where the path of the data begins.
        out: Where to write.

    Returns:
        The figures of ``metrics.json``.

    Raises:
        FormatError: When ``out`` cannot be written.
    """
    images = _images(settings, folder)
    rows = split_groups(images.units, seed=settings.split_seed)
    rule = RULES[settings.actions]
    pairs, valid, test = (transition_pairs(images, rule, rows=part) for part in rows)
    try:
        out.mkdir(parents=True, exist_ok=True)
        plain = settings.model_dump(mode="json")
        (out / "settings.yaml").write_text(yaml.safe_dump(plain, sort_keys=False))
    except OSError as error:
        msg = f"cannot write to {out}: {error}"
        raise FormatError(msg) from error
    config = CTVAEConfig(
        actions=pairs.actions,
        channels=images.images.shape[1],
        image_size=images.images.shape[-1],
        slots=images.moved.names,
        spare=settings.spare,
    )
    model = CTVAE(config, seed=settings.seed)
    few = _with_few_labels(pairs, settings.labels, settings.seed)
    with training_progress() as progress:
        history = fit(
            model,
            few,
            settings.training,
            validation=valid,
            checkpoint=out / "checkpoint",
            progress=progress,
        )
    model.save(out / "model")
    metrics = _metrics(model, history, images.subset(rows[0]), images.subset(rows[2]), test)
    (out / "metrics.json").write_text(json.dumps(metrics, indent=1) + "\n")
    return metrics


def _images(settings: RunSettings, folder: Path) -> ImageSet:
    if settings.data == "mini-sprites":
        return mini_sprites()
    if settings.data == "colour-world":
        return colour_world().edits(WORLD_SCENES, seed=settings.seed)
    return read_image_file(folder / settings.data, size=settings.image_size)


def _with_few_labels(pairs: Transitions, share: float, seed: int) -> Transitions:
    if share == 1:
        return pairs
    count = max(1, round(share * len(pairs)))
    kept = torch.randperm(len(pairs), generator=make_generator(seed))[:count]
    action = torch.full_like(pairs.action, -1)
    action[kept] = pairs.action[kept]
    return Transitions(pairs.images, pairs.before, action, pairs.after, pairs.actions, pairs.regime)


def _metrics(
    model: CTVAE, history: History, train: ImageSet, judged: ImageSet, test: Transitions
) -> dict[str, object]:
    retrieval = score_retrieval(model, test.images, test.before, test.action[:, None], test.after)
    slots = score_slots(model, train, judged, test)
    return {
        "status": history.status.name,
        "alarms": [str(alarm) for alarm in history.alarms],
        "codes": list(history.cardinalities),
        "test_pairs": len(test),
        "action_accuracy": retrieval.accuracy_ties_split,
        "action_nll": retrieval.nll,
        "calibration_error": retrieval.calibration_error,
        "slots_changed": slots.changed,
        "matched_information": float(slots.matched_information.mean()),
        "wrong_codes": max(slots.wrong_codes),
        "cpu_seconds": history.cpu_seconds,
    }
