"""The main job, end to end: slots from pairs, their graph, interventions, actions, a report."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from ctvae.cli.pages import EMPTY, demo_report
from ctvae.cli.progress import training_progress
from ctvae.cli.subjects import Subject, file_subject, world_subject
from ctvae.data.pair_rules import PairRule
from ctvae.data.transitions import composed_pairs
from ctvae.errors import FormatError
from ctvae.evaluation import (
    EditScores,
    RetrievalScores,
    SlotScores,
    score_edits,
    score_retrieval,
    score_slots,
)
from ctvae.graph import (
    GES,
    PC,
    CausalGraph,
    DiscoveryMethod,
    DiscoveryResult,
    GraphComparison,
    InterventionalBDeu,
    compare_graphs,
    learn_graph,
)
from ctvae.models.config import CTVAEConfig
from ctvae.models.ctvae import CTVAE
from ctvae.report import write_report
from ctvae.scm import SCM
from ctvae.training import History, fit

__all__ = ["DemoResult", "run_demo"]

METHODS: dict[str, DiscoveryMethod] = {
    "interventional BDeu": InterventionalBDeu(),
    "PC": PC(alpha=0.01),
    "GES": GES(),
}
HEADLINE = "interventional BDeu"
CEILING = "interventional BDeu, true factors"


@dataclass(frozen=True)
class DemoResult:
    """Everything the demo found.

    Attributes:
        subject: What it was run on.
        model: The trained model, its slots named, with the discovered SCM.
        history: How training went.
        retrieval: Scores of single actions on test pairs.
        composed: Scores of two actions in a row, none of which was trained on as a sequence.
        slots: How far slots are the factors.
        edits: What edits do to pictures.
        graphs: Method to what it discovered.
        comparison: The graphs against the truth.
        metrics: Flat figures, as in ``metrics.json``.
    """

    subject: Subject
    model: CTVAE
    history: History
    retrieval: RetrievalScores
    composed: RetrievalScores
    slots: SlotScores
    edits: EditScores
    graphs: Mapping[str, DiscoveryResult | CausalGraph]
    comparison: GraphComparison
    metrics: dict[str, object]


def run_demo(
    data: Path | None, rule: PairRule, *, seed: int, out: Path, command: str
) -> DemoResult:
    """Runs the main job and writes ``metrics.json``, ``report.html`` and ``model/``.

    Args:
        data: A file of images; the built-in world where ``None``.
        rule: What actions do.
        seed: Seed of everything random.
        out: Where to write.
        command: The command that makes the report again.

    Returns:
        What was found.
    """
    started, cpu = time.perf_counter(), time.process_time()
    console = Console()
    _check_writable(out)
    subject = (
        world_subject(rule, seed=seed) if data is None else file_subject(data, rule, seed=seed)
    )
    console.print(f"[bold]{subject.name}[/]: {subject.images!r}")
    console.print(
        f"{len(subject.pairs[0])} training pairs, {len(subject.pairs[0].actions)} actions"
    )
    model, history = _train(subject, console)
    console.print("judging slots, retrieval and edits on held-out images ...")
    named = model.name_slots(
        subject.train.images, subject.train.moved_factors, subject.images.moved
    )
    model = named.model
    slots = score_slots(model, subject.train, subject.test, subject.pairs[2])
    test = subject.pairs[2]
    retrieval = score_retrieval(model, test.images, test.before, test.action[:, None], test.after)
    composed = _score_composed(subject, model, rule)
    edits = score_edits(model, subject.test, subject.judge, slots, max_images=200)
    console.print("discovering the graph over the slots ...")
    graphs = _discover(subject, model)
    comparison = compare_graphs(graphs, truth=subject.truth)
    found = graphs[HEADLINE]
    assert isinstance(found, DiscoveryResult)  # made by learn_graph above
    samples = subject.samples
    codes = model.samples(samples.images, regime=samples.regime, targets=samples.samples().targets)
    model = model.with_scm(SCM.fit(found.graph, codes))
    result = DemoResult(
        subject, model, history, retrieval, composed, slots, edits, graphs, comparison, {}
    )
    result.metrics.update(_metrics(result, seed=seed))
    result.metrics["cpu_seconds"] = round(time.process_time() - cpu, 1)
    result.metrics["wall_seconds"] = round(time.perf_counter() - started, 1)
    model.save(out / "model")
    write_report(demo_report(result, seed=seed, command=command), out / "report.html")
    _write_json(out / "metrics.json", result.metrics)
    _print(console, result)
    console.print(f"wrote {out / 'report.html'}, {out / 'metrics.json'} and {out / 'model'}")
    return result


def _check_writable(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            pass
    except OSError as error:
        msg = f"cannot write to {out}: {error.strerror or error}; choose another --out"
        raise FormatError(msg) from error
    model, files = out / "model", (out / "metrics.json", out / "report.html")
    foreign = model.exists() and not (model / "config.json").is_file()
    if foreign or any(path.is_dir() for path in files):
        msg = f"{out} holds other work where the results would go; choose another --out"
        raise FormatError(msg)


def _write_json(path: Path, document: Mapping[str, object]) -> None:
    draft = path.with_suffix(".tmp")
    draft.write_text(json.dumps(document, indent=2) + "\n")
    os.replace(draft, path)


def _train(subject: Subject, console: Console) -> tuple[CTVAE, History]:
    images = subject.images.images
    config = CTVAEConfig(
        actions=subject.pairs[0].actions,
        channels=images.shape[1],
        image_size=images.shape[2],
        slots=subject.images.moved.names,
        spare=subject.spare,
    )
    model = CTVAE(config, seed=subject.training.seed)
    with training_progress(console) as progress:
        history = fit(
            model,
            subject.pairs[0],
            subject.training,
            validation=subject.pairs[1],
            progress=progress,
        )
    for alarm in history.alarms:
        console.print(f"[bold red]{alarm}[/]", highlight=False)
    return model, history


def _score_composed(subject: Subject, model: CTVAE, rule: PairRule) -> RetrievalScores:
    pairs = composed_pairs(subject.images, rule, rows=subject.rows[2])
    keep = torch.linspace(0, len(pairs.before) - 1, min(2000, len(pairs.before))).long()
    images = subject.images.images
    return score_retrieval(
        model, images, pairs.before[keep], pairs.sequence[keep], pairs.after[keep]
    )


def _discover(subject: Subject, model: CTVAE) -> dict[str, DiscoveryResult | CausalGraph]:
    truth = subject.samples.samples()
    found: dict[str, DiscoveryResult | CausalGraph] = {}
    for name, method in METHODS.items():
        found[name] = model.slot_graph(
            subject.samples.images, method=method, regime=truth.regime, targets=truth.targets
        )
    found[CEILING] = learn_graph(truth, method=METHODS[HEADLINE])
    found[EMPTY] = CausalGraph.from_edges(nodes=subject.truth.nodes)
    return found


def _metrics(result: DemoResult, *, seed: int) -> dict[str, object]:
    history, retrieval, slots, edits = (
        result.history,
        result.retrieval,
        result.slots,
        result.edits,
    )
    shd = {row.method: row.shd for row in result.comparison.rows}
    names = result.subject.images.moved.names
    low, high = retrieval.calibration_band
    return {
        "data": result.subject.name,
        "seed": seed,
        "status": history.status.name,
        "alarms": [alarm.status.name for alarm in history.alarms],
        "action_accuracy": retrieval.accuracy_ties_split,
        "action_accuracy_up_to_equivalence": retrieval.accuracy,
        "action_accuracy_continuous": history.continuous_accuracy,
        "action_nll": retrieval.nll,
        "calibration_error": retrieval.calibration_error,
        "calibration_band_low": low,
        "calibration_band_high": high,
        "composition_accuracy": result.composed.accuracy,
        "test_pairs": len(result.subject.pairs[2]),
        "slots_changed": slots.changed,
        "slots_changed_exactly_one": slots.changed_exactly_one,
        "matched_information": float(slots.matched_information.mean()),
        "edit_atomicity": edits.atomicity,
        "edit_on_target": edits.on_target,
        "reconstruction_all_factors": edits.reconstruction,
        "reconstruction_squared_error": edits.squared_error,
        "graph_shd": shd[HEADLINE],
        "graph_shd_pc": shd["PC"],
        "graph_shd_ges": shd["GES"],
        "graph_shd_true_factors": shd[CEILING],
        "graph_shd_empty": shd[EMPTY],
        **{f"codes_{slot.name}": slot.cardinality for slot in result.model.slots},
        **{f"wrong_codes_{n}": w for n, w in zip(names, slots.wrong_codes, strict=True)},
        "training_cpu_seconds": round(history.cpu_seconds, 1),
        "ctvae_version": version("ctvae"),
        "torch_version": torch.__version__,
    }


def _print(console: Console, result: DemoResult) -> None:
    metrics = result.metrics
    table = Table(title=f"ctvae demo: {result.subject.name}", title_justify="left")
    table.add_column("on held-out images")
    table.add_column("figure", justify="right")
    low, high = result.retrieval.calibration_band
    lines = {
        "action accuracy (one action / two)": (
            f"{result.retrieval.accuracy_ties_split:.4f} / {result.composed.accuracy:.4f}"
        ),
        "action NLL, nats": f"{result.retrieval.nll:.4f}",
        "calibration error (95 % band if perfect)": (
            f"{result.retrieval.calibration_error:.4f} ({low:.4f} to {high:.4f})"
        ),
        "slots changed per action": f"{result.slots.changed:.3f}",
        "edits that change one factor and no other": f"{result.edits.atomicity:.3f}",
        "reconstructions with all factors right": f"{result.edits.reconstruction:.3f}",
        "codes found": " ".join(map(str, result.history.cardinalities)),
        "status of training": result.history.status.name,
        "CPU seconds": f"{metrics['cpu_seconds']}",
    }
    for name, figure in lines.items():
        table.add_row(name, figure)
    table.add_section()
    for row in result.comparison.rows:
        shd = "-" if row.shd is None else str(row.shd)
        table.add_row(f"graph SHD: {row.method}", shd)
    console.print(table)
