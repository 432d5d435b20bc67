"""What the commands for graphs keep in files and say in their own words."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import ctvae as ct
from ctvae.cli.app import main
from ctvae.cli.learned import read_learned
from ctvae.cli.words import describe
from ctvae.graph import (
    GES,
    CausalGraph,
    DiscoveryResult,
    InterventionalBDeu,
    Stability,
    learn_graph,
)
from ctvae.slots import Slot

TRUTH = CausalGraph.from_edges([("rain", "grass"), ("grass", "shoes")])
NAMES = TRUTH.nodes


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A chain of noisy copies, and rows of another place, where it rains more often."""
    monkeypatch.chdir(tmp_path)
    draw = torch.Generator().manual_seed(0)

    def noise(share: float) -> torch.Tensor:
        return torch.rand(900, generator=draw) < share

    rain = torch.where(torch.arange(900) < 600, noise(0.3), noise(0.8))
    grass = rain ^ noise(0.1)
    codes = torch.stack([rain, grass, grass ^ noise(0.1)], 1).long()
    lines = [",".join([*NAMES, "lab"])]
    for number, row in enumerate(codes.tolist()):
        lines.append(",".join([*map(str, row), "0" if number < 600 else "Oslo"]))
    Path("rows.csv").write_text("\n".join(lines) + "\n")
    Path("seen.csv").write_text("\n".join(line.rpartition(",")[0] for line in lines[:601]) + "\n")
    Path("truth.json").write_text(TRUTH.to_json())


def run(monkeypatch: pytest.MonkeyPatch, words: str, code: int = 0) -> None:
    monkeypatch.setattr(sys, "argv", ["ctvae", *words.split()])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == code


def test_the_file_holds_what_was_learned(monkeypatch, capsys):
    run(
        monkeypatch,
        "discover rows.csv --method interventional-bdeu --regimes lab --bootstrap 3 "
        "--out learned.json",
    )
    said = capsys.readouterr().out
    assert "regime Oslo: rain (" in said
    assert "probability " in said
    assert "joined in 100% of the resamples, -> in " in said
    kept = json.loads(Path("learned.json").read_text())["discovery"]
    assert kept["target_probabilities"]["Oslo"]["rain"] > 0.5
    assert kept["bootstrap"]["num_graphs"] == 3
    assert len(kept["bootstrap"]["directed"]) == len(NAMES)
    assert kept["status"] in {"DONE", "EQUIVALENT_GRAPHS"}
    rows = ct.data.read_csv("rows.csv", regimes="lab")
    direct = learn_graph(rows, method=InterventionalBDeu())
    assert CausalGraph.from_json(Path("learned.json").read_text()) == direct.graph
    found = read_learned(Path("learned.json"))
    assert isinstance(found, DiscoveryResult)
    assert direct.edge_probabilities is not None
    torch.testing.assert_close(
        found.edge_probabilities, direct.edge_probabilities.cpu(), atol=1e-6, rtol=0
    )
    run(monkeypatch, "compare learned.json truth.json --truth truth.json --scores brier,shd")
    table = capsys.readouterr().out
    assert "| learned | " in table
    assert "| truth | " not in table  # no row of itself
    assert " – " not in table


@pytest.mark.parametrize("ending", ["dot", "gml", "dagitty"])
def test_the_ending_says_what_is_written(monkeypatch, ending):
    run(monkeypatch, f"discover seen.csv --method ges --out graph.{ending}")
    text = Path(f"graph.{ending}").read_text()
    assert (
        getattr(CausalGraph, f"from_{ending}")(text)
        == learn_graph(ct.data.read_csv("seen.csv"), method=ct.graph.GES()).graph
    )
    assert text.endswith("\n")


def test_regimes_without_targets_tell_which_laws_change(monkeypatch, capsys):
    run(monkeypatch, "discover rows.csv --method cd-nod --regimes lab")
    assert "laws that change: rain" in capsys.readouterr().out


def test_edges_that_the_graph_lacks_are_told():
    kept, lost = [("rain", "grass")], [("rain", "grass"), ("shoes", "grass")]
    graphs = [CausalGraph.from_edges(edges, nodes=NAMES) for edges in (kept, lost, lost)]
    result = learn_graph(torch.zeros(9, 3).long(), [Slot(n, 2) for n in NAMES], method=GES())
    said = describe(replace(result, graph=graphs[0]), Stability(tuple(graphs)), ())
    assert "rain -> grass   joined in 100% of the resamples, -> in 100%, <- in 0%" in said
    assert "not in the graph, and often found:\n" in said
    assert "  grass, shoes   joined in 67% of the resamples, -> in 0%, <- in 67%" in said


def test_a_constant_column_is_warned_of(monkeypatch, capsys):
    Path("still.csv").write_text("a,b\n" + "0,1\n1,1\n" * 20)
    run(monkeypatch, "discover still.csv --method ges")
    assert "warning: b: one code in all 40 rows" in capsys.readouterr().out


def test_targets_are_not_looked_for_without_an_observational_row(monkeypatch, capsys):
    text = Path("rows.csv").read_text().replace(",0\n", ",Bergen\n")
    Path("labs.csv").write_text(text)
    run(monkeypatch, "discover labs.csv --method interventional-bdeu --regimes lab", 2)
    assert "no row has regime 0" in capsys.readouterr().err


def test_a_table_in_latex_has_its_own_label_and_caption(monkeypatch):
    words = "--truth truth.json --out table.tex --label tab:mine --caption Mine"
    Path("same.dot").write_text(TRUTH.to_dot())
    run(monkeypatch, f"compare same.dot {words}")
    text = Path("table.tex").read_text()
    assert r"\label{tab:mine}" in text
    assert r"\caption{Mine}" in text
    assert text.startswith("% needs \\usepackage{booktabs}\n")
    assert text.endswith("\\end{table}\n")


def test_seeds_do_not_widen_the_help(monkeypatch, capsys):
    run(monkeypatch, "discover --help")
    assert str(2**62) not in capsys.readouterr().out


BAD = {
    "jobs": ("discover seen.csv --method ges --bootstrap 5 --jobs 0", "--jobs takes a number"),
    "no value": (
        "discover seen.csv --method pc --set alpha",
        "as in --set alpha=0.01; got 'alpha'",
    ),
    "ending": ("discover seen.csv --method ges --out graph.xyz", "--out graph.xyz: a graph's file"),
    "bif": ("discover seen.csv --method pc --out graph.bif", "--out graph.bif: BIF holds DAGs"),
    "one regime": ("discover seen.csv --method cd-nod", "name their column by --regimes"),
    "key": ("discover seen.csv --method ges --knowledge odd.json", "key 'require'; did you mean"),
    "seed": (f"discover seen.csv --method ges --seed {2**62 + 1}", "at most 2^62"),
    "format": ("compare odd.json", "odd.json: expected a JSON object"),
    "true format": ("compare truth.json --truth odd.json", "odd.json: expected a JSON object"),
    "only truth": ("compare truth.json --truth truth.json", "no graph beside the truth"),
    "scores": ("compare truth.json --scores shd", "name its file by --truth"),
    "targets": ("compare truth.json --scores shd_i_cpdag", "take shd_cpdag"),
    "label": ("compare truth.json --label x", "--out table.tex"),
    "discovery": ("compare broken.json", 'broken.json: "discovery" is not what'),
    "shape": ("compare short.json", "edge_probabilities of 3 nodes have shape (1, 1)"),
}


@pytest.mark.parametrize(("words", "message"), BAD.values(), ids=BAD.keys())
def test_mistakes_are_one_line(words, message, monkeypatch, capsys):
    Path("odd.json").write_text('{"require": [["rain", "grass"]]}')
    graph = json.loads(TRUTH.to_json())
    Path("broken.json").write_text(json.dumps(graph | {"discovery": {"status": "FINE"}}))
    told = {"status": "DONE", "method": "x", "rows_used": 3, "cpu_seconds": 0.1}
    told["edge_probabilities"] = [[0.0]]
    Path("short.json").write_text(json.dumps(graph | {"discovery": told}))
    run(monkeypatch, words, code=2)
    said = capsys.readouterr()
    assert message in said.err
    assert said.err.count("\n") == 1
    assert said.out == ""
