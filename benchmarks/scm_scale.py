"""What exact answers cost from 10 to 1,000 slots: chains, trees and random graphs."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch

import ctvae as ct
from benchmarks import records
from benchmarks.timing import cpu_seconds
from ctvae.errors import StateSpaceError
from ctvae.inference.contraction import DEFAULT_BUDGET

SIZES = (10, 30, 100, 300, 1000)
FAMILIES = ("chain", "tree", "random, parents among the last 6", "random")
QUESTIONS = ("last slot under do", "middle slot under do, given the leaves")
CODES, PARENTS, WINDOW = 4, 3, 6
COLOURS = ("#1b6ca8", "#2f8f4e", "#c25e00", "#8e2f8e")
MARKS = (9, 5, 6, 6)  # chains and trees need equal tables: one mark inside the other
CEILING = 1e26  # higher figures are written beside their mark
PLOT = records.FOLDER.parent / "_static" / "scm_scale.png"
Row = dict[str, object]


def run(seeds: Sequence[int] | None = None) -> None:
    """Asks two questions of four families of graphs at five sizes; plots costs and times.

    Args:
        seeds: The seed of graphs and tables; 0 where ``None``.
    """
    seed = (seeds or [0])[0]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    rows = []
    try:
        for family in FAMILIES:
            for size in SIZES:
                for row in _ask(family, size, seed):
                    records.show(row)
                    rows.append(row)
        records.write("scm_scale", rows, {}, rivals=("opt-einsum",))
    finally:
        torch.set_num_threads(threads)
    plot(rows, PLOT)


def _ask(family: str, size: int, seed: int) -> list[Row]:
    names = [f"x{k}" for k in range(size)]
    edges = _edges(family, names, seed)
    scm = ct.SCM.from_edges(
        edges, cardinality=dict.fromkeys(names, CODES), concentration=1.0, seed=seed
    )
    causes = {cause for cause, _ in edges}
    leaves = {name: 0 for name in names if name not in causes}
    middle = next(name for name in names[size // 2 :: -1] if name not in leaves)
    world = scm.do({"x0": 1})
    return [
        {"graph": family, "slots": size, "question": question} | _cost(world, asked, given)
        for question, asked, given in zip(QUESTIONS, (names[-1], middle), ({}, leaves), strict=True)
    ]


def _edges(family: str, names: Sequence[str], seed: int) -> list[tuple[str, str]]:
    later = range(1, len(names))
    if family == "chain":
        return [(names[k - 1], names[k]) for k in later]
    if family == "tree":
        return [(names[(k - 1) // 2], names[k]) for k in later]
    generator = torch.Generator().manual_seed(seed)
    first = [0 if family == "random" else max(0, k - WINDOW) for k in later]
    return [
        (names[start + parent], names[k])
        for k, start in zip(later, first, strict=True)
        for parent in torch.randperm(k - start, generator=generator)[:PARENTS].tolist()
    ]


def _cost(world: ct.SCM, asked: str, given: Mapping[str, int]) -> Row:
    """Plans, then answers where the budget allows."""
    begun = time.process_time()
    cost = world.query_cost(asked, given)
    row: Row = {
        "entries": float(cost.entries),
        "operations": cost.operations,
        "planning, CPU ms": 1000 * (time.process_time() - begun),
    }
    try:
        return row | {"answer, CPU ms": 1000 * cpu_seconds(partial(world.query, asked, given), 3)}
    except StateSpaceError:
        return row | {"answer, CPU ms": None}


def plot(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Draws the largest table and the time of an answer over the number of slots.

    Args:
        rows: The measured rows.
        path: Where to; PNG.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 6.6), layout="constrained")
    panels = figure.subplots(2, 2, sharex=True, sharey="row")
    for column, question in enumerate(QUESTIONS):
        above, below = panels[0, column], panels[1, column]
        for family, colour, size in zip(FAMILIES, COLOURS, MARKS, strict=True):
            mine = [r for r in rows if (r["graph"], r["question"]) == (family, question)]
            sizes = [r["slots"] for r in mine]
            shown = [min(r["entries"], CEILING) for r in mine]
            answered = [r["answer, CPU ms"] for r in mine]
            above.plot(sizes, shown, color=colour, linewidth=1.2)
            for row, height, taken in zip(mine, shown, answered, strict=True):
                fill = "white" if taken is None else colour
                beyond = row["entries"] > CEILING
                above.plot(
                    row["slots"],
                    height,
                    "^" if beyond else "o",
                    color=colour,
                    markerfacecolor=fill,
                    markersize=size,
                )
                if beyond:
                    text = f"1e{int(math.log10(row['entries']))}"
                    above.annotate(
                        text,
                        (row["slots"], height),
                        (0, 7),
                        textcoords="offset points",
                        ha="center",
                        color=colour,
                        fontsize=8,
                    )
            done = [(s, ms) for s, ms in zip(sizes, answered, strict=True) if ms is not None]
            below.plot(*zip(*done, strict=True), "o-", color=colour, linewidth=1.2, label=family)
        above.axhline(DEFAULT_BUDGET, color="#888888", linestyle="--", linewidth=1)
        above.set_title(question, fontsize=11)
        below.set_xlabel("slots")
    first = panels[0, 0]
    first.text(
        10, DEFAULT_BUDGET * 2, "default budget; hollow: refused", color="#666666", fontsize=9
    )
    first.set_ylim(1, 1e3 * CEILING)
    first.set_ylabel("largest table, entries")
    panels[1, 0].set_ylabel("one answer, CPU ms")
    panels[1, 0].legend(frameon=False, fontsize=9, title="graph", title_fontsize=9)
    for panel in panels.flat:
        panel.set(xscale="log", yscale="log", xlim=(8, 1400))
        panel.set_xticks(SIZES, labels=[f"{size:,}" for size in SIZES])
        panel.minorticks_off()
        panel.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=110)
    print(f"drawn in docs/_static/{path.name}")
