"""What bad input is asked of, and everything that it may not change."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch

from ctvae.errors import CTVAEError
from ctvae.mechanisms import TableMechanism
from ctvae.mechanisms.storage import laws_to_tensors
from ctvae.scm import SCM
from tests.strategies import SCMS

__all__ = ["NAN", "Case", "Subjects", "anything", "law", "make_subjects", "snapshot"]

NAN = float("nan")


class Subjects(NamedTuple):
    """What the cases are asked of, and what none of them may change."""

    small: SCM
    """Slots a: 2, b: 3, c: 4, d: 5; edges d -> b, d -> c, c -> b, b -> a, c -> a."""
    done: SCM
    """The same in two worlds: b is 0 or 1."""
    zeros: SCM
    """Slots a: 3, b: 3, where (a, b) = (0, 0) cannot be."""
    wide: SCM
    """Forty slots s0 .. s39 of four codes."""
    folder: Path
    """``done``, saved."""
    rows: torch.Tensor
    """Ten units of ``small``."""


def make_subjects(where: Path) -> Subjects:
    """New models, and a folder that holds one of them."""
    small = SCMS["columns against causes"]()
    done = small.do(slot="b", value=torch.tensor([0, 1]))
    wide = SCM.from_edges([], cardinality={f"s{k}": 4 for k in range(40)}, seed=0)
    folder = done.save(where / "scm")
    return Subjects(small, done, SCMS["zeros in tables"](), wide, folder, small.sample(10, seed=0))


def contents(scm: SCM) -> tuple[object, ...]:
    """Everything that a model is, to the last bit."""
    tensors, settings = laws_to_tensors(scm.mechanisms, scm.interventions)
    numbers = {name: (t.dtype, t.shape, t.tolist()) for name, t in tensors.items()}
    worlds = [(law.parents, law.table.tolist()) for law in scm.program.laws]
    return repr(scm), scm.graph, scm.slots, settings, numbers, scm.program.order, worlds


def snapshot(subjects: Subjects) -> tuple[object, ...]:
    """All models, all rows and every byte on the disk."""
    models = [contents(s) for s in (subjects.small, subjects.done, subjects.zeros, subjects.wide)]
    files = sorted(path for path in subjects.folder.parent.rglob("*") if path.is_file())
    return models, subjects.rows.tolist(), {path: path.read_bytes() for path in files}


def law(*sizes: int) -> TableMechanism:
    """A random table."""
    return TableMechanism.random(sizes[-1], sizes[:-1], seed=0)


def anything(value: object) -> Any:  # what callers without a type checker give
    """Hides a type from the type checker."""
    return value


Case = tuple[Callable[[Subjects], object], type[CTVAEError], tuple[str, ...]]
"""What is asked, the error, and what its message must say."""
