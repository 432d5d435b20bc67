"""The demo's findings as the content of a report."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ctvae.graph import CausalGraph, DiscoveryResult
from ctvae.metrics import calibration_curve
from ctvae.report import (
    ActionCase,
    Baseline,
    Calibration,
    Confusion,
    EditGrid,
    EditRow,
    Effects,
    GraphPanel,
    ReportContent,
    Tile,
    WorldStrip,
    WrongCodes,
)

if TYPE_CHECKING:
    from ctvae.cli.demo import DemoResult
    from ctvae.models.ctvae import CTVAE

__all__ = ["demo_report"]

PICTURES = 10
CASES = 4
ANSWERS = 5
EMPTY = "empty graph"
"""A row of the comparison that is not worth a drawing."""
WORLD_SEED = 7
"""The same in every report: columns of the worlds correspond."""


def demo_report(result: DemoResult, *, seed: int, command: str) -> ReportContent:
    """Lays out what the demo found.

    Args:
        result: The findings.
        seed: The seed of the run.
        command: The command that makes the page again.

    Returns:
        The content of the page.
    """
    subject, model = result.subject, result.model
    test = subject.test
    rows = torch.linspace(0, len(test) - 1, PICTURES).long()
    originals = _unit(test.images[rows])
    drawn = model.decode(model.encode(originals), spare=model.autoencoder.encode_spare(originals))
    return ReportContent(
        title=f"ctvae demo: {subject.name}",
        subtitle=(
            f"{subject.images!r}; {len(subject.pairs[0])} training pairs, seed {seed}; "
            f"ctvae {version('ctvae')}, torch {torch.__version__}, "
            f"Python {platform.python_version()}"
        ),
        command=command,
        summary=_tiles(result),
        alarms=tuple(str(alarm) for alarm in result.history.alarms),
        originals=originals,
        reconstructions=drawn.cpu(),
        wrong_codes=tuple(
            WrongCodes(name, share)
            for name, share in zip(
                subject.images.moved.names, result.slots.wrong_codes, strict=True
            )
        ),
        edits=_edit_grid(model, originals[0]),
        worlds=_worlds(model),
        effects=_effects(model),
        graphs=(
            GraphPanel("truth", subject.truth),
            *(
                GraphPanel(name, _graph_of(found), subject.truth)
                for name, found in result.graphs.items()
                if name != EMPTY
            ),
        ),
        comparison=result.comparison,
        actions=_cases(result),
        baselines=(
            Baseline(
                "exact Bayes on slots", result.retrieval.accuracy_ties_split, result.retrieval.nll
            ),
            Baseline(
                "always the commonest action",
                *_commonest(subject.pairs[0].action, subject.pairs[2].action),
            ),
        ),
        confusion=_confusion(result),
        calibration=_calibration(result),
    )


def _graph_of(found: DiscoveryResult | CausalGraph) -> CausalGraph:
    return found.graph if isinstance(found, DiscoveryResult) else found


def _unit(images: Tensor) -> Tensor:
    return images.float() / 255 if images.dtype == torch.uint8 else images.float()


def _tiles(result: DemoResult) -> tuple[Tile, ...]:
    shd = {row.method: row.shd for row in result.comparison.rows}
    headline = next(iter(shd))
    return (
        Tile("action accuracy", f"{result.retrieval.accuracy_ties_split:.3f}", "held-out pairs"),
        Tile("two actions in a row", f"{result.composed.accuracy:.3f}", "never trained on"),
        Tile("action NLL", f"{result.retrieval.nll:.4f}", "nats a pair"),
        Tile("slots changed", f"{result.slots.changed:.2f}", "per action; 1 is ideal"),
        Tile("edit atomicity", f"{result.edits.atomicity:.3f}", "one factor and no other"),
        Tile("graph SHD", str(shd[headline]), f"PC {shd['PC']}, GES {shd['GES']}"),
        Tile("CPU seconds", f"{result.metrics['cpu_seconds']}", "the whole run"),
    )


def _edit_grid(model: CTVAE, image: Tensor) -> EditGrid:
    rows = []
    own = model.encode(image[None])[0]
    for column, slot in enumerate(model.slots):
        values = torch.arange(slot.cardinality)
        batch = image.expand(slot.cardinality, -1, -1, -1)
        pictures = model.edit(slot=column, value=values).generate(batch).images
        labels = tuple(str(code) for code in values.tolist())
        rows.append(EditRow(slot.name, labels, pictures.cpu(), int(own[column])))
    return EditGrid(image, tuple(rows))


def _shown_slot(model: CTVAE) -> int:
    """The slot whose interventions are drawn: many codes, and something downstream of it."""
    assert model.scm is not None  # set before the report is written
    graph = model.scm.graph

    def worth(column: int) -> tuple[bool, int, int]:
        slot = model.slots[column]
        reached = len(graph.descendants(slot.name))
        return reached > 0, slot.cardinality, reached

    return max(range(len(model.slots)), key=worth)


def _worlds(model: CTVAE) -> tuple[WorldStrip, ...]:
    column = _shown_slot(model)
    slot = model.slots[column]
    codes = torch.linspace(0, slot.cardinality - 1, min(3, slot.cardinality)).long().tolist()
    observed = model.do({}).sample(PICTURES, seed=WORLD_SEED)
    strips = [WorldStrip("observational", observed.images.cpu())]
    for code in codes:
        done = model.do(slot=column, value=code).sample(PICTURES, seed=WORLD_SEED)
        strips.append(WorldStrip(f"do({slot.name}={code})", done.images.cpu()))
    return tuple(strips)


def _effects(model: CTVAE) -> Effects:
    scm = model.scm
    assert scm is not None  # set before the report is written
    size = len(model.slots)
    distances = torch.full((size, size), float("nan"))
    for i, slot in enumerate(model.slots):
        world = scm.do(slot=i, value=torch.arange(slot.cardinality))
        for j in range(size):
            if i != j:
                shift = (world.query(j) - scm.query(j)).abs().sum(-1) / 2
                distances[i, j] = shift.mean()
    return Effects(model.slots.names, distances)


def _cases(result: DemoResult) -> tuple[ActionCase, ...]:
    pairs = result.subject.pairs[2]
    # The least certain pair comes last: it shows what doubt looks like.
    order = result.retrieval.confidence.argsort(descending=True)
    spread = torch.linspace(0, len(order) - 2, CASES - 1).long()
    chosen = torch.cat([order[spread], order[-1:]]).cpu()
    before, after = pairs.images[pairs.before[chosen]], pairs.images[pairs.after[chosen]]
    posterior = result.model.retrieve_action(before, after)
    best = posterior.probs.topk(min(ANSWERS, posterior.probs.shape[1]), dim=1)
    names = [action.name for action in pairs.actions]
    return tuple(
        ActionCase(
            _unit(before[k]),
            _unit(after[k]),
            names[int(pairs.action[chosen[k]])],
            tuple(
                (names[int(a)], float(p))
                for a, p in zip(best.indices[k], best.values[k], strict=True)
            ),
            float(posterior.log_evidence[k]),
        )
        for k in range(len(chosen))
    )


def _commonest(train: Tensor, test: Tensor) -> tuple[float, float]:
    """Accuracy and log loss of the training frequencies."""
    share = torch.bincount(train, minlength=int(test.max()) + 1).double() + 1
    share = share / share.sum()
    accuracy = (test == share.argmax()).double().mean()
    return float(accuracy), -float(share[test].log().mean())


def _confusion(result: DemoResult) -> Confusion:
    pairs = result.subject.pairs[2]
    count = len(pairs.actions)
    answer = result.retrieval.mode[:, 0].cpu()
    # Answers of the true action's class are right: they lead to the same codes.
    answer = torch.where(result.retrieval.correct.cpu(), pairs.action, answer)
    cells = torch.bincount(pairs.action * count + answer, minlength=count**2)
    names: Sequence[str] = [action.name for action in pairs.actions]
    return Confusion(tuple(names), cells.reshape(count, count).float())


def _calibration(result: DemoResult) -> Calibration:
    retrieval = result.retrieval
    low, high = retrieval.calibration_band
    error = retrieval.calibration_error
    inside = low <= error <= high
    where = "inside" if inside else "below" if error < low else "above"
    return Calibration(
        calibration_curve(retrieval.confidence.cpu(), retrieval.correct.cpu()),
        error,
        retrieval.calibration_band,
        f"The error lies {where} the band in which 95 % of perfectly calibrated models of these "
        f"confidences and {len(retrieval.correct)} pairs would lie.",
    )
