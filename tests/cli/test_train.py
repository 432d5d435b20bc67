"""``ctvae train`` and ``ctvae retrieve``: a run that resumes, a saved model that answers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image

from ctvae.cli import app, train
from ctvae.cli.retrieve import read_picture
from ctvae.data import ImageSet, StepBy, mini_sprites, transition_pairs
from ctvae.models import CTVAE

SETTINGS = """
data: mini-sprites
actions: step
seed: 3
training:
  device: cpu
  seed: 3
  reading: {steps: 60}
  decoder: {steps: 4}
  checkpoint_every: 20
"""


def _small() -> ImageSet:
    images = mini_sprites()
    keep = (images.factors < torch.tensor([3, 2, 2, 5, 5])).all(1)
    return images.subset(keep.nonzero()[:, 0])


def _run(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr("sys.argv", ["ctvae", *arguments])
    with pytest.raises(SystemExit) as stop:
        app.main()
    return int(stop.value.code or 0)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("train")
    (folder / "run.yaml").write_text(SETTINGS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train, "mini_sprites", _small)
        assert _run(["train", str(folder / "run.yaml"), "--out", str(folder / "one")], patch) == 0
    return folder


def test_a_run_leaves_model_figures_and_its_own_settings(run: Path) -> None:
    metrics = json.loads((run / "one" / "metrics.json").read_text())
    assert metrics["codes"] == [3, 2, 2, 5, 5]
    assert 0 <= metrics["action_accuracy"] <= 1
    again = train.read_settings(run / "one" / "settings.yaml")
    assert again == train.read_settings(run / "run.yaml")


def test_a_finished_run_started_again_is_the_same(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(train, "mini_sprites", _small)
    before = (run / "one" / "model" / "weights.safetensors").read_bytes()
    assert _run(["train", str(run / "run.yaml"), "--out", str(run / "one")], monkeypatch) == 0
    assert (run / "one" / "model" / "weights.safetensors").read_bytes() == before
    assert "action_accuracy" in capsys.readouterr().out


def test_two_runs_of_one_seed_agree_to_the_last_bit(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train, "mini_sprites", _small)
    assert _run(["train", str(run / "run.yaml"), "--out", str(run / "two")], monkeypatch) == 0
    first, second = (
        (run / name / "model" / "weights.safetensors").read_bytes() for name in ("one", "two")
    )
    assert first == second


def test_retrieve_says_what_the_model_says(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    images, model = _small(), CTVAE.load(run / "one" / "model")
    pairs = transition_pairs(images, StepBy())
    files = []
    for name, row in (("a.png", pairs.before[5]), ("b.png", pairs.after[5])):
        pixels = (images.images[row, 0] * 255).round().to(torch.uint8)
        Image.fromarray(pixels.numpy()).save(tmp_path / name)
        files.append(tmp_path / name)
    assert _run(["retrieve", str(run / "one" / "model"), *map(str, files)], monkeypatch) == 0
    out = capsys.readouterr().out
    read = [read_picture(path, channels=1, size=32) for path in files]
    posterior = model.retrieve_action(*read)
    assert model.actions[int(posterior.mode)].name in out.splitlines()[2]
    assert f"{float(posterior.log_evidence[0]):.3f} nats" in out


BAD: dict[str, tuple[Callable[[Path], list[str]], str]] = {
    "no settings": (lambda p: ["train", str(p / "none.yaml")], "no such file"),
    "no mapping": (lambda p: ["train", _file(p, "- a\n- b\n")], "got list"),
    "no YAML": (lambda p: ["train", _file(p, "a: [1\n")], "is no YAML"),
    "misspelt setting": (lambda p: ["train", _file(p, "data: mini-sprites\nsed: 1\n")], "sed"),
    "misspelt stage": (
        lambda p: ["train", _file(p, "data: mini-sprites\ntraining: {readin: {steps: 2}}\n")],
        "training.readin",
    ),
    "labels above one": (
        lambda p: ["train", _file(p, "data: mini-sprites\nlabels: 2\n")],
        "labels",
    ),
    "no data": (lambda p: ["train", _file(p, "actions: set\n")], "data"),
    "data that is not there": (lambda p: ["train", _file(p, "data: x.npz\n")], "no such file"),
    "no model": (lambda p: ["retrieve", str(p), str(p / "a.png"), str(p / "b.png")], "config.json"),
}


def _file(folder: Path, text: str) -> str:
    path = folder / "settings.yaml"
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize("case", BAD, ids=str)
def test_bad_input_ends_in_one_line_and_nothing_is_written(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make, message = BAD[case]
    inputs, out = tmp_path / "inputs", tmp_path / "out"
    inputs.mkdir()
    arguments = make(inputs)
    if arguments[0] == "train":
        arguments += ["--out", str(out)]
    assert _run(arguments, monkeypatch) == 2
    error = capsys.readouterr().err
    assert error.startswith("ctvae: ")
    assert error.count("\n") == 1
    assert message in error
    assert not out.exists()


@pytest.mark.parametrize("case", ["missing", "text", "odd side"])
def test_pictures_that_cannot_be_read_are_refused(case: str, run: Path, tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    if case == "text":
        path.write_text("hello")
    if case == "odd side":
        Image.new("L", (50, 50)).save(path)
    from ctvae.errors import FormatError

    expected = {"missing": "no such file", "text": "no picture", "odd side": "cannot pool"}[case]
    with pytest.raises(FormatError, match=expected):
        read_picture(path, channels=1, size=32)
