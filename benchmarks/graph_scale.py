"""Time and SHD of graph discovery from 10 to 1,000 slots: random graphs of average degree 4."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

import ctvae as ct
from benchmarks import records
from ctvae.graph import BOSS, GES, PC, CausalGraph, DiscoveryMethod, GRaSP, OrderMCMC, shd

SIZES = (10, 30, 100, 300, 1000)
ROWS, CODES = 10_000, 3
LARGEST = {"OrderMCMC": 1000, "PC": 1000, "GES": 300, "BOSS": 100, "GRaSP": 100}
METHODS: dict[str, DiscoveryMethod] = {
    "OrderMCMC": OrderMCMC(num_samples=0),
    "PC": PC(alpha=0.01),
    "GES": GES(),
    "BOSS": BOSS(),
    "GRaSP": GRaSP(),
}
COLOURS = {
    "OrderMCMC": "#1b6ca8",
    "PC": "#c25e00",
    "GES": "#2f8f4e",
    "BOSS": "#8e2f8e",
    "GRaSP": "#777777",
}
PLOT = records.FOLDER.parent / "_static" / "graph_scale.png"
Row = dict[str, object]


def run(seeds: Sequence[int] | None = None) -> None:
    """Learns random graphs of five sizes by five methods; plots times and SHD.

    Args:
        seeds: Seeds of graphs, tables and rows; 0 where ``None``.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    rows = []
    try:
        for size in SIZES:
            for seed in seeds or (0,):
                for row in _learn(size, seed):
                    records.show(row)
                    rows.append(row)
        records.write("graph_scale", rows, {})
    finally:
        torch.set_num_threads(threads)
    plot(rows, PLOT)


def _learn(size: int, seed: int) -> list[Row]:
    scm = _random(size, seed)
    codes, truth = scm.sample(ROWS, seed=seed), scm.graph.cpdag()
    rows = []
    for name, method in METHODS.items():
        if size > LARGEST[name]:
            continue
        begun, wall = time.process_time(), time.perf_counter()
        found = ct.learn_graph(codes, scm.slots, method=method, seed=seed)
        rows.append({
            "slots": size,
            "seed": seed,
            "method": name,
            "CPU s": time.process_time() - begun,
            "wall s": time.perf_counter() - wall,
            "edges": truth.num_edges,
            "SHD to the CPDAG": _distance(found.graph, truth),
            "status": found.status.name,
        })
    return rows


def _random(size: int, seed: int) -> ct.SCM:
    """An SCM with twice as many edges as slots, along a random order."""
    rng = np.random.default_rng(seed)
    names = [f"x{k:04d}" for k in range(size)]
    order, edges = rng.permutation(size), set[tuple[int, int]]()
    while len(edges) < 2 * size:
        i, j = sorted(rng.integers(0, size, 2).tolist())
        if i != j:
            edges.add((i, j))
    return ct.SCM.from_edges(
        [(names[order[i]], names[order[j]]) for i, j in sorted(edges)],
        cardinality=dict.fromkeys(names, CODES),
        concentration=1.0,
        seed=seed,
    )


def _distance(graph: CausalGraph, truth: CausalGraph) -> int:
    return shd(graph.cpdag() if graph.kind.name == "DAG" else graph, truth)


def exponent(sizes: Sequence[float], seconds: Sequence[float]) -> float:
    """Fits the power of the sizes with which times grow, by least squares of logarithms.

    Args:
        sizes: Sizes.
        seconds: Times.

    Returns:
        The slope.
    """
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])


def plot(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Draws time and SHD per edge over the number of slots.

    Args:
        rows: The measured rows.
        path: Where to; PNG.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    for name in METHODS:
        mine = [r for r in rows if r["method"] == name]
        sizes = sorted({r["slots"] for r in mine})
        times = [np.mean([r["CPU s"] for r in mine if r["slots"] == s]) for s in sizes]
        wrong = [
            np.mean([r["SHD to the CPDAG"] / r["edges"] for r in mine if r["slots"] == s])
            for s in sizes
        ]
        large = [k for k, s in enumerate(sizes) if s >= 30]
        slope = exponent([sizes[k] for k in large], [float(times[k]) for k in large])
        label = f"{name}, n$^{{{slope:.1f}}}$"
        left.plot(sizes, times, "o-", color=COLOURS[name], markersize=4, label=label)
        right.plot(sizes, wrong, "o-", color=COLOURS[name], markersize=4)
    left.axhline(3600, color="#888888", linestyle="--", linewidth=1)
    left.text(9, 3900, "one hour", color="#666666", fontsize=9, va="bottom")
    left.set(yscale="log", ylabel="CPU s, one thread", ylim=(None, 1e4))
    left.legend(frameon=False, fontsize=9, title="growth from 30 slots on", title_fontsize=9)
    right.set(ylabel="SHD to the CPDAG / edges", ylim=(0, None))
    for panel in (left, right):
        panel.set(xscale="log", xlabel=f"slots ({CODES} codes, degree 4, {ROWS:,} rows)")
        panel.set_xticks(SIZES, labels=[f"{size:,}" for size in SIZES])
        panel.minorticks_off()
        panel.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=110)
    print(f"drawn in docs/_static/{path.name}")
