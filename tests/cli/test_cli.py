"""The command: what it writes, and one clear line with exit code 2 on bad input."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ctvae.cli import app, demo, subjects
from ctvae.data import StepBy
from ctvae.models import CTVAE
from ctvae.training import DecoderStage, ReadingStage, TrainingConfig

FLAT_KEYS = {
    "action_accuracy",
    "action_nll",
    "calibration_error",
    "composition_accuracy",
    "slots_changed",
    "slots_changed_exactly_one",
    "matched_information",
    "edit_atomicity",
    "reconstruction_all_factors",
    "graph_shd",
    "graph_shd_pc",
    "graph_shd_ges",
    "graph_shd_true_factors",
    "graph_shd_empty",
    "cpu_seconds",
    "seed",
    "status",
}


def test_the_demo_writes_metrics_report_and_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The whole road, with so little training that the alarms must say so."""
    monkeypatch.setattr(subjects, "SCENES", 60)
    monkeypatch.setattr(subjects, "OBSERVATIONAL_ROWS", 300)
    monkeypatch.setattr(subjects, "ROWS_PER_TARGET", 60)
    short = TrainingConfig(
        device="cpu", reading=ReadingStage(steps=2), decoder=DecoderStage(steps=10)
    )
    original = subjects.world_subject

    def short_subject(rule: StepBy, *, seed: int) -> subjects.Subject:
        return replace(original(rule, seed=seed), training=short)

    monkeypatch.setattr(demo, "world_subject", short_subject)
    out = tmp_path / "run"
    result = demo.run_demo(None, StepBy(), seed=0, out=out, command="ctvae demo")
    assert sorted(p.name for p in out.iterdir()) == ["metrics.json", "model", "report.html"]
    metrics = json.loads((out / "metrics.json").read_text())
    assert set(metrics) >= FLAT_KEYS
    assert not [key for key, value in metrics.items() if isinstance(value, dict)]
    assert all(math.isfinite(v) for v in metrics.values() if isinstance(v, float))
    assert metrics["status"] != "DONE"
    report = (out / "report.html").read_text()
    assert "http" not in re.sub(r'xmlns(:\w+)?="[^"]*"', "", report)
    assert metrics["status"] in report
    assert "graph SHD" in capsys.readouterr().out
    assert CTVAE.load(out / "model").slots == result.model.slots


def _npz(path: Path, **arrays: object) -> Path:
    np.savez(path, **arrays)  # type: ignore[arg-type]
    return path


def _lpc(path: Path, **changes: object) -> Path:
    arrays: dict[str, object] = {
        "imgs": np.zeros((2, 64, 64), np.uint16),
        "palette": np.zeros((4, 3), np.uint8),
        "latents": np.array([[0, 0, 0, 0, 0], [1, 1, 1, 1, 0]], np.uint8),
        "latent_names": np.array(["body", "bottomwear", "topwear", "hair", "action"]),
    }
    return _npz(path, **(arrays | changes))


def _dsprites(path: Path, classes: np.ndarray, side: int = 64) -> Path:
    return _npz(path, imgs=np.zeros((len(classes), side, side), np.uint8), latents_classes=classes)


def _written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def _cut(path: Path) -> Path:
    whole = _lpc(path).read_bytes()
    return _written(path, whole[: len(whole) * 2 // 3])


BAD: dict[str, tuple[Callable[[Path], list[str]], str]] = {
    "no command": (lambda p: [], "no command given"),
    "unknown command": (lambda p: ["fly"], "No such command"),
    "unknown option": (lambda p: ["demo", "--sed", "1"], "No such option"),
    "unknown actions": (lambda p: ["demo", "--actions", "jump"], "jump"),
    "negative seed": (lambda p: ["demo", "--seed", "-1"], "greater than or equal to 0"),
    "seed that is no number": (lambda p: ["demo", "--seed", "x"], "valid integer"),
    "no such file": (lambda p: ["demo", "--data", str(p / "none.npz")], "no such file"),
    "a folder": (lambda p: ["demo", "--data", str(p)], "no known kind"),
    "a text file": (
        lambda p: ["demo", "--data", str(_written(p / "a.npz", b"hello"))],
        "no npz archive",
    ),
    "an empty file": (
        lambda p: ["demo", "--data", str(_written(p / "a.npz", b""))],
        "no npz archive",
    ),
    "a truncated npz": (lambda p: ["demo", "--data", str(_cut(p / "a.npz"))], "truncated"),
    "a foreign npz": (
        lambda p: ["demo", "--data", str(_npz(p / "a.npz", weights=np.zeros(3)))],
        "no known kind",
    ),
    "a palette too small": (
        lambda p: [
            "demo",
            "--data",
            str(_lpc(p / "a.npz", imgs=np.full((2, 64, 64), 9, np.uint16))),
        ],
        "palette",
    ),
    "latents without names": (
        lambda p: ["demo", "--data", str(_lpc(p / "a.npz", latent_names=np.array(["body"])))],
        "columns",
    ),
    "zero pairs": (
        lambda p: [
            "demo",
            "--data",
            str(_dsprites(p / "a.npz", np.repeat(np.arange(9)[:, None] % 2, 5, 1)[:1])),
        ],
        "no pairs",
    ),
    "equal factors": (
        lambda p: ["demo", "--data", str(_dsprites(p / "a.npz", np.zeros((40, 5), np.int64)))],
        "equal factors",
    ),
    "images of an odd side": (
        lambda p: [
            "demo",
            "--data",
            str(_dsprites(p / "a.npz", np.zeros((4, 5), np.int64), side=50)),
        ],
        "cannot pool",
    ),
    "output under a file": (
        lambda p: ["demo", "--out", str(_written(p / "file", b"") / "run")],
        "cannot write",
    ),
    "a seed too large": (lambda p: ["demo", "--seed", "9" * 23], "a seed is at most 2^62"),
    "no images": (
        lambda p: [
            "demo",
            "--data",
            str(
                _lpc(
                    p / "a.npz",
                    imgs=np.zeros((0, 64, 64), np.uint16),
                    latents=np.zeros((0, 5), np.uint8),
                )
            ),
        ],
        "no images",
    ),
    "negative palette indices": (
        lambda p: [
            "demo",
            "--data",
            str(_lpc(p / "a.npz", imgs=np.full((2, 64, 64), -1, np.int16))),
        ],
        "index the palette",
    ),
    "output is a file": (
        lambda p: ["demo", "--out", str(_written(p / "file", b""))],
        "cannot write",
    ),
}


@pytest.mark.parametrize("case", BAD, ids=str)
def test_bad_input_ends_in_one_line_and_exit_code_2(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make, message = BAD[case]
    inputs = tmp_path / "inputs"
    inputs.mkdir()
    arguments = make(inputs)
    if "--out" not in arguments and "demo" in arguments:
        arguments += ["--out", str(tmp_path / "run")]
    monkeypatch.setattr("sys.argv", ["ctvae", *arguments])
    with pytest.raises(SystemExit) as stop:
        app.main()
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("ctvae: ")
    assert error.count("\n") == 1
    assert message in error
    left = list((tmp_path / "run").rglob("*")) if (tmp_path / "run").exists() else []
    assert not left, "half-written results were left behind"


def test_help_answers(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.argv", ["ctvae", "demo", "--help"])
    with pytest.raises(SystemExit) as stop:
        app.main()
    assert stop.value.code == 0
    assert "--data" in capsys.readouterr().out
