"""The comparison: records written whole and found again, scores by hand, tables from records."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor

from ctvae.bench import (
    METHODS,
    NOT_RUN,
    Judging,
    Matrix,
    Problem,
    Record,
    RunKey,
    judge,
    matrix,
    read_records,
    render_table,
    run_matrix,
    write_record,
)
from ctvae.bench.table import interval
from ctvae.cli import app
from ctvae.cli import bench as command
from ctvae.data import ImageSet, mini_sprites
from ctvae.errors import CTVAEError, DataError, FormatError
from ctvae.models.baselines import Budget

SHORT = Budget(steps=4, images_per_step=8)
QUICK = Judging(boosting_rounds=2, permutations=5)


@pytest.fixture(scope="module")
def small() -> ImageSet:
    images = mini_sprites()
    keep = (images.factors < torch.tensor([3, 2, 2, 5, 5])).all(1)
    return images.subset(keep.nonzero()[:, 0])


class Truth:
    """Knows the factors of the images it is asked about."""

    num_parameters = 7

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.pool = problem.images.images.flatten(1)

    def encode(self, images: Tensor) -> Tensor:
        near = torch.cdist(images.flatten(1), self.pool).argmin(1)
        return self.problem.images.moved_factors[near]

    def action_log_probs(self, before: Tensor, after: Tensor) -> Tensor:
        test = self.problem.test
        assert torch.equal(before, test.images[test.before])
        assert torch.equal(after, test.images[test.after])
        log_probs = torch.full((len(test), len(test.actions)), -9.0)
        log_probs[torch.arange(len(test)), test.action] = -0.25
        return log_probs


def test_the_truth_scores_perfectly(small: ImageSet) -> None:
    problem = Problem.split(small, seed=0)
    found = judge(Truth(problem), problem, QUICK)
    assert found["accuracy"] == 1
    assert found["nll"] == pytest.approx(0.25)
    assert found["slots_changed"] == 1
    assert found["matched_nmi"] == pytest.approx(1)
    assert found["parameters"] == 7


def test_parts_of_a_problem_share_no_image(small: ImageSet) -> None:
    problem = Problem.split(small, seed=0)
    parts = [set(p.used_images().tolist()) for p in (problem.train, problem.validation)]
    test = set(problem.test.used_images().tolist())
    assert not test & parts[0]
    assert not test & parts[1]
    assert not parts[0] & parts[1]


def test_equals_share_the_credit(small: ImageSet, tmp_path: Path) -> None:
    run_matrix(Matrix(("copying",), (0,), SHORT, QUICK), "small", small, tmp_path)
    (record,) = read_records(tmp_path)
    actions = len(Problem.split(small, seed=matrix.SPLIT).train.actions)
    assert record.scores["accuracy"] == pytest.approx(1 / actions)
    assert record.scores["nll"] == pytest.approx(math.log(actions))
    assert "matched_nmi" not in record.scores  # it has no codes


def test_runs_with_a_record_are_not_run_again(
    small: ImageSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[str] = []

    def train(self: object, *_: object, seed: int, **__: object) -> object:
        ran.append(f"{type(self).__name__} {seed}")
        if len(ran) == 2:
            raise KeyboardInterrupt
        return Truth(Problem.split(small, seed=matrix.SPLIT + seed))

    for method in ("Copying", "InverseDynamics"):
        module = __import__("ctvae.bench.methods", fromlist=[method])
        monkeypatch.setattr(getattr(module, method), "train", train)
    asked = Matrix(("copying", "inverse-dynamics"), (3,), SHORT, QUICK)
    with pytest.raises(KeyboardInterrupt):
        run_matrix(asked, "small", small, tmp_path)
    assert len(list(tmp_path.iterdir())) == 1
    skipped: list[bool] = []
    run_matrix(asked, "small", small, tmp_path, report=lambda _, there: skipped.append(there))
    assert ran == ["Copying 3", "InverseDynamics 3", "InverseDynamics 3"]
    assert skipped == [True, False]
    assert {record.key.method for record in read_records(tmp_path)} == set(asked.methods)
    other = Matrix(("copying",), (3,), Budget(steps=5, images_per_step=8), QUICK)
    run_matrix(other, "small", small, tmp_path)
    assert len(ran) == 4  # another budget is another run


def _record(method: str, seed: int, scores: dict[str, float | None]) -> Record:
    key = RunKey("toy", method, seed, {"budget": {"steps": 9}})
    return Record(key, scores, 2.0, "cpu", {"ctvae": "0"})


def test_a_record_comes_back_as_it_was(tmp_path: Path) -> None:
    record = _record("copying", 1, {"accuracy": 0.1, "mig": None})
    write_record(record, tmp_path)
    assert read_records(tmp_path) == [record]
    assert len(list(tmp_path.iterdir())) == 1  # no draft is left


def test_the_table_is_made_of_the_records() -> None:
    runs = [_record("copying", s, {"accuracy": a}) for s, a in enumerate((0.1, 0.2, 0.3))]
    table = render_table(runs, not_run={"ilcm": "not written", "copying": "not asked for"})
    lines = table.splitlines()
    assert lines[4].startswith("| copying | 9 | 3 | 0.200 ± 0.248 | - |")
    assert lines[5].startswith("| ilcm | not run, because: not written |")
    assert len(lines) == 6
    assert len({line.count("|") for line in lines[2:]}) == 1


def test_the_interval_is_student_s() -> None:
    # t of .975 with 4 degrees of freedom is 2.776 (any table of Student's t).
    mean, half = interval([1.0, 2.0, 3.0, 4.0, 5.0])
    assert mean == 3
    assert half == pytest.approx(2.7764 * math.sqrt(2.5 / 5), rel=1e-4)


def test_the_command_writes_records_and_table_and_resumes(
    small: ImageSet,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(command, "mini_sprites", lambda: small)
    monkeypatch.setattr(command, "Matrix", partial(Matrix, judging=QUICK))
    words = ["--methods", "copying,inverse-dynamics", "--seeds", "0,1", "--steps", "4"]
    line = ["ctvae", "bench", "disentangle", *words, "--out", str(tmp_path / "out")]
    monkeypatch.setattr("sys.argv", line)

    def run() -> str:
        with pytest.raises(SystemExit) as stop:
            app.main()
        assert not stop.value.code
        return capsys.readouterr().out

    assert run().count("running") == 4
    table = (tmp_path / "out" / "table.md").read_text()
    for name in NOT_RUN.keys() | METHODS.keys():
        assert f"| {name} |" in table
    again = run()
    assert again.count("has a record") == 4
    assert (tmp_path / "out" / "table.md").read_text() == table


def _garbage(folder: Path, text: str) -> Sequence[Record]:
    (folder / "x.json").write_text(text)
    return read_records(folder)


@pytest.mark.parametrize("text", ["{", "[]", json.dumps({"key": {}}), json.dumps({"key": 3})])
def test_files_that_are_no_records(text: str, tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"x\.json is no record"):
        _garbage(tmp_path, text)


@pytest.mark.parametrize(
    ("methods", "seeds", "message"),
    [
        (("copyng",), (0,), "did you mean 'copying'"),
        (("ilcm",), (0,), "cannot be run: not written"),
        ((), (0,), "no method named"),
        (("copying",), (), "at least one seed"),
    ],
)
def test_bad_matrices(methods, seeds, message) -> None:
    with pytest.raises(DataError, match=message):
        Matrix(methods, seeds)


def test_bad_seeds_of_the_command(tmp_path: Path) -> None:
    said: list[str] = []
    with pytest.raises(CTVAEError, match="0,1,2, got 'one'"):
        command.disentangle(
            "mini-sprites",
            methods="copying",
            seeds="one",
            budget=SHORT,
            image_size=32,
            out=tmp_path,
            say=said.append,
        )
