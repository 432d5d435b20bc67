"""The brute-force twin of the SCM core: every row of every world, one product at a time."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from scipy import stats

from ctvae.mechanisms import (
    Conditional,
    FunctionMechanism,
    Hard,
    Intervention,
    Mechanism,
    PerRow,
    Shift,
    Soft,
    Stochastic,
)
from ctvae.scm import SCM


def enumerate_joint(scm: SCM, world: int = 0) -> np.ndarray:
    """The joint table of one world, axes in slot order, by truncated factorisation.

    It reads the mechanisms and the graph themselves, never a packed program.
    """
    names = scm.slots.names
    tables = {name: law.table().double().cpu().numpy() for name, law in scm.mechanisms.items()}
    joint = np.zeros(scm.slots.cardinalities)
    for row in itertools.product(*(range(size) for size in scm.slots.cardinalities)):
        code = dict(zip(names, row, strict=True))
        probability = 1.0
        for name in names:
            done = scm.interventions.get(name)
            if done is None:
                parents = tuple(code[parent] for parent in scm.graph.parents(name))
                probability *= tables[name][(*parents, code[name])]
            else:
                parents = tuple(code[parent] for parent in scm.graph.parents(name))
                natural = tables[name][parents]
                probability *= done_law(done, natural, code, world)[code[name]]
        joint[row] = probability
    return joint


def done_law(
    done: Intervention | None, natural: np.ndarray, code: Mapping[str, int], world: int
) -> np.ndarray:
    """The law of an intervened slot in one row of one world, by the definition of each kind."""
    size = len(natural)
    law = np.zeros(size)
    match done:
        case None:
            return natural
        case Hard(value):
            forced = torch.as_tensor(value).reshape(-1)
            law[int(forced[world if len(forced) > 1 else 0])] = 1
        case Shift(amount, wrap):
            amounts = torch.as_tensor(amount).reshape(-1)
            step = int(amounts[world if len(amounts) > 1 else 0])
            for v in range(size):
                law[(v + step) % size if wrap else min(max(v + step, 0), size - 1)] += natural[v]
        case Stochastic(probs):
            probs = torch.as_tensor(probs).double().cpu()
            law = (probs if probs.ndim == 1 else probs[world]).numpy()
        case Soft(mechanism, parents):
            assert isinstance(mechanism, Mechanism)
            table = mechanism.table().double().cpu().numpy()
            law = table[tuple(code[str(parent)] for parent in parents or ())]
        case Conditional(rule, parents):
            assert isinstance(rule, FunctionMechanism)
            law[int(rule.code_table()[tuple(code[str(parent)] for parent in parents)])] = 1
        case PerRow(choices, index):
            choice = choices[int(index[world])]
            assert not isinstance(choice, int | str)
            return done_law(choice, natural, code, 0)
        case _:
            raise AssertionError(done)
    return law


def condition(
    joint: np.ndarray, targets: Sequence[int], given: Mapping[int, int] | None = None
) -> np.ndarray:
    """P(targets | given) from a joint table, one axis per target in the order asked for."""
    given = given or {}
    mask = np.zeros_like(joint)
    mask[tuple(given.get(axis, slice(None)) for axis in range(joint.ndim))] = 1
    kept = joint * mask
    others = tuple(axis for axis in range(joint.ndim) if axis not in targets)
    table = kept.sum(others)
    return np.transpose(table, np.argsort(np.argsort(targets))) / kept.sum()


def all_rows(scm: SCM) -> torch.Tensor:
    """Every row of codes, in the row-major order of the joint table."""
    return torch.cartesian_prod(*(torch.arange(size) for size in scm.slots.cardinalities)).reshape(
        -1, len(scm.slots)
    )


def assert_counts_follow(counts: np.ndarray, law: np.ndarray, false_alarm: float = 1e-6) -> None:
    """Pearson's test of counts against an exact law; cells expected under 10 times are pooled.

    Cells of probability zero must stay empty. Under the law the test fails with probability
    ``false_alarm``.
    """
    counts, law = counts.reshape(-1).astype(float), law.reshape(-1)
    assert counts[law == 0].sum() == 0, "a code of probability zero was drawn"
    expected = law * counts.sum()
    rare = expected < 10
    cells = [*zip(counts[~rare], expected[~rare], strict=True)]
    if expected[rare].sum() >= 10:
        cells.append((counts[rare].sum(), expected[rare].sum()))
    if len(cells) < 2:
        return
    statistic = sum((seen - mean) ** 2 / mean for seen, mean in cells)
    assert statistic < stats.chi2.isf(false_alarm, len(cells) - 1)
