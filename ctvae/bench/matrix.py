"""The matrix of runs: every method with every seed, those that have a record left out."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path

import torch

from ctvae.bench.methods import METHODS, check_methods, settings_of
from ctvae.bench.problems import Problem
from ctvae.bench.records import Record, RunKey, write_record
from ctvae.bench.scoring import Judging, judge
from ctvae.data.images import ImageSet
from ctvae.errors import DataError
from ctvae.models.baselines import Budget

__all__ = ["Matrix", "run_matrix"]

SPLIT = 42
"""Seed s trains on image split 42 + s."""
PACKAGES = ("ctvae", "torch", "numpy", "scikit-learn")


@dataclass(frozen=True)
class Matrix:
    """What is to be run.

    Attributes:
        methods: Names of methods.
        seeds: Of splits, weights and batches; each method sees the same splits.
        budget: What every method may spend.
        judging: How all are scored.
        device: Where they are trained.

    Raises:
        DataError: When a method is not known, or there is no seed.
    """

    methods: tuple[str, ...]
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    budget: Budget = field(default_factory=Budget)
    judging: Judging = field(default_factory=Judging)
    device: str = "cpu"

    def __post_init__(self) -> None:
        check_methods(self.methods)
        if not self.seeds or min(self.seeds) < 0:
            msg = f"need at least one seed, none below 0, got {self.seeds}"
            raise DataError(msg)


def run_matrix(
    matrix: Matrix,
    data: str,
    images: ImageSet,
    folder: Path,
    *,
    report: Callable[[RunKey, bool], None] | None = None,
) -> Sequence[Path]:
    """Runs what has no record yet, seed by seed, and writes a record after each run.

    A matrix that was killed goes on with the run it was killed in: records are written whole.

    Args:
        matrix: What is to be run.
        data: The name of the data set, for the records.
        images: Its images.
        folder: Where the records lie.
        report: Called before each run, with whether it is skipped.

    Returns:
        The files of the matrix' records, old and new.

    Cost: the sum of the trainings; one model at a time is held.
    """
    paths = []
    for seed in matrix.seeds:
        problem = Problem.split(images, seed=SPLIT + seed)
        for name in matrix.methods:
            method = METHODS[name](problem)
            settings = {
                "budget": asdict(matrix.budget),
                "judging": asdict(matrix.judging),
                "method": settings_of(method),
            }
            key = RunKey(data, name, seed, settings)
            path = folder / key.filename
            if report is not None:
                report(key, path.is_file())
            if not path.is_file():
                begun = time.process_time()
                trained = method.train(
                    problem.train,
                    validation=problem.validation,
                    budget=matrix.budget,
                    seed=seed,
                    device=torch.device(matrix.device),
                )
                seconds = time.process_time() - begun
                scores = judge(trained, problem, matrix.judging)
                versions = {package: version(package) for package in PACKAGES}
                write_record(Record(key, scores, seconds, matrix.device, versions), folder)
            paths.append(path)
    return paths
