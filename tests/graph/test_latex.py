"""Tables in LaTeX: they compile, fit the page, and print what they were given."""

from __future__ import annotations

import re
import shutil
import subprocess

import numpy as np
import pytest

from ctvae.graph import CausalGraph, Failure, compare_graphs, random_graph
from ctvae.graph.latex import escape_latex, to_latex
from ctvae.graph.tables import Cell, Column, Row, Table

NODES = [f"n{k}" for k in range(8)]
TRUTH = random_graph(NODES, 10, seed=0)
WORD = r"\documentclass{article}\usepackage{booktabs}\begin{document}"


def unsure(seed: int) -> np.ndarray:
    matrix = np.random.default_rng(seed).uniform(0.05, 0.45, (8, 8))
    np.fill_diagonal(matrix, 0)
    return matrix


COMPARISONS = {
    "one run": lambda: compare_graphs({"one": TRUTH, "two": TRUTH.cpdag()}, truth=TRUTH),
    "every column, with intervals": lambda: compare_graphs(
        {
            "order MCMC with a very long name of many words, 2000 samples": [
                unsure(k) for k in range(4)
            ],
            "[bracket] a_b & c% {d} <e> ~f^g \\h | χ² ≤": [
                *(random_graph(NODES, 10, seed=k) for k in range(3)),
                Failure("50% of 2^32 bytes were_not enough & more"),
            ],
        },
        truth=TRUTH,
        targets=[["n0"], ["n1"]],
    ),
    "distances": lambda: compare_graphs({
        f"a method called {k}": random_graph(NODES, k, seed=k) for k in range(12)
    }),
}


@pytest.mark.parametrize("make", COMPARISONS.values(), ids=COMPARISONS.keys())
def test_a_table_compiles_and_stays_within_the_page(make, tmp_path):
    program = shutil.which("pdflatex")
    if program is None:
        pytest.skip("pdflatex is not installed")
    (tmp_path / "t.tex").write_text(f"{WORD}\n{make().to_latex()}\n\\end{{document}}\n")
    command = [program, "-interaction=nonstopmode", "-halt-on-error", "t.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    assert "Overfull" not in done.stdout
    assert "Float too large" not in done.stdout


@pytest.mark.parametrize("make", COMPARISONS.values(), ids=COMPARISONS.keys())
def test_every_line_has_as_many_cells_as_its_panel_has_columns(make):
    latex = make().to_latex()
    panels = latex.split(r"\begin{tabular}")[1:]
    for panel in panels:
        spec, *lines = panel.split(r"\end{tabular}")[0].splitlines()
        count = 1 + spec.count("r")  # the methods, then figures
        for line in lines:
            if not line.endswith(r" \\"):
                continue
            spans = [int(n) - 1 for n in re.findall(r"\\multicolumn\{(\d+)\}", line)]
            cells = len(re.findall(r"(?<!\\)&", line)) + 1 + sum(spans)
            assert cells == count
    plain = re.sub(r"\\[{}]", "", latex)
    assert plain.count("{") == plain.count("}")
    assert latex.count(r"\begin") == latex.count(r"\end")


def test_each_method_and_each_column_stands_in_a_panel():
    rows = [Row(f"m{k}", [Cell(float(j), 0.25) for j in range(30)]) for k in range(3)]
    columns = [Column(f"t{j}", None, 2, f"g{j // 4}", f"s{j}") for j in range(30)]
    latex = to_latex(Table(columns, rows), caption="c", label="l")
    for j in range(30):
        assert len(re.findall(rf"\bs{j}\b", latex)) == 1
    assert latex.count("m1 & ") == latex.count(r"\begin{tabular}") > 2


def test_text_is_printed_as_it_was():
    assert escape_latex("a_b & 5% <x> [y]") == (r"a\_b \& 5\% \textless{}x\textgreater{} {[}y]")
    graph = CausalGraph.from_edges([("a", "b")])
    latex = compare_graphs({"[x]": graph, "y": graph}, truth=graph).to_latex()
    assert "{[}x] & " in latex
