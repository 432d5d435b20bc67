"""Graphs from codes that are misread: SHD against the share of wrong codes and the rows."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import ctvae as ct
from benchmarks import records
from ctvae.graph import DiscoveryMethod, NoiseCorrected, OrderMCMC, confusion_matrices, shd

DATA = records.SHARED / "bnlearn" / "bif"
NETWORKS = ("asia", "child")
ERRORS = (0.0, 0.02, 0.05, 0.1, 0.2)
ROWS = ((1000, 128), (5000, 512), (20_000, 2048))
LABELLED = 1000
METHOD = OrderMCMC(num_samples=0, starts=3)
ANSWERS = ("codes as read", "corrected")
COLOURS = ("#c25e00", "#1b6ca8")
PLOT = records.FOLDER.parent / "_static" / "graph_noise.png"
Row = dict[str, object]


def run(seeds: Sequence[int] | None = None) -> None:
    """Learns networks from codes with errors, with and without correction, and plots the SHD.

    Args:
        seeds: Seeds of rows, errors, permutations and searches; 0 to 2 where ``None``.
    """
    if not DATA.is_dir():
        print("skipped: the networks of the data pack are not beside the checkout")
        return
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    rows = []
    try:
        for name in NETWORKS:
            scm = ct.SCM.from_bif(DATA / f"{name}.bif.gz")
            for observed, per_target in ROWS:
                for seed in seeds or (0, 1, 2):
                    for error in ERRORS:
                        row = _learn(scm, name, observed, per_target, error, seed)
                        records.show(row)
                        rows.append(row)
        records.write("graph_noise", rows, {})
    finally:
        torch.set_num_threads(threads)
    plot(rows, PLOT)


def _learn(scm: ct.SCM, name: str, observed: int, per_target: int, error: float, seed: int) -> Row:
    """One data set, whose confusion matrices are estimated from rows of their own."""
    order = np.random.default_rng(seed).permutation(len(scm.slots)).tolist()
    slots = ct.SlotSpace([scm.slots[k] for k in order])
    parts = [scm.sample(observed, seed=1000 * seed)]
    for column in order:
        even = torch.full((scm.slots[column].cardinality,), 1.0, dtype=torch.float64)
        world = scm.do({scm.slots[column].name: ct.Stochastic(even / even.sum())})
        parts.append(world.sample(per_target, seed=1000 * seed + column + 1))
    sizes = torch.tensor([len(part) for part in parts])
    regime = torch.arange(len(parts)).repeat_interleave(sizes)
    targets = torch.arange(1, len(slots) + 1) == regime[:, None]
    generator = torch.Generator().manual_seed(seed)
    true = torch.cat(parts)[:, order]
    read = _misread(true, slots, error, generator)
    labelled = scm.sample(LABELLED, seed=1000 * seed + 999)[:, order]
    confusion = confusion_matrices(_misread(labelled, slots, error, generator), labelled, slots)
    row: Row = {
        "network": name,
        "rows": f"{observed:,} + {per_target}",
        "observed": observed,
        "codes misread": error,
        "seed": seed,
    }
    methods: tuple[DiscoveryMethod, ...] = (METHOD, NoiseCorrected(METHOD, confusion))
    for answer, method in zip(ANSWERS, methods, strict=True):
        begun = time.process_time()
        found = ct.learn_graph(read, slots, targets=targets, method=method, seed=seed)
        row |= {
            f"SHD, {answer}": shd(found.graph, scm.graph),
            f"CPU s, {answer}": time.process_time() - begun,
        }
    return row


def _misread(
    codes: Tensor, slots: ct.SlotSpace, error: float, generator: torch.Generator
) -> Tensor:
    """Replaces a share of the codes by another code, each of the others alike."""
    sizes = torch.tensor(slots.cardinalities)
    wrong = torch.rand(codes.shape, generator=generator) < error
    step = 1 + (torch.rand(codes.shape, generator=generator) * (sizes - 1)).long()
    return torch.where(wrong, (codes + step) % sizes, codes)


def plot(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Draws SHD over the share of wrong codes, a panel for each network and number of rows.

    Args:
        rows: The measured rows.
        path: Where to; PNG.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.5, 5.6), layout="constrained")
    panels = figure.subplots(len(NETWORKS), len(ROWS), sharex=True, sharey="row", squeeze=False)
    for down, name in enumerate(NETWORKS):
        for across, (observed, per_target) in enumerate(ROWS):
            panel = panels[down, across]
            mine = [r for r in rows if (r["network"], r["observed"]) == (name, observed)]
            for answer, colour in zip(ANSWERS, COLOURS, strict=True):
                by_error = [
                    [r[f"SHD, {answer}"] for r in mine if r["codes misread"] == e] for e in ERRORS
                ]
                shares = [100 * e for e in ERRORS]
                means = [sum(values) / len(values) for values in by_error]
                panel.fill_between(
                    shares,
                    [min(v) for v in by_error],
                    [max(v) for v in by_error],
                    color=colour,
                    alpha=0.15,
                    linewidth=0,
                )
                panel.plot(shares, means, "o-", color=colour, markersize=4, label=answer)
            panel.set_title(f"{name}, {observed:,} + {per_target:,} per target", fontsize=10)
            panel.spines[["top", "right"]].set_visible(False)
        panels[down, 0].set_ylabel("SHD to the DAG")
        panels[down, 0].set_ylim(bottom=0)
    for panel in panels[-1]:
        panel.set_xlabel("codes misread, %")
        panel.set_xticks([100 * error for error in ERRORS])
    panels[0, 0].legend(frameon=False, fontsize=9)
    figure.savefig(path, dpi=110)
    print(f"drawn in docs/_static/{path.name}")
