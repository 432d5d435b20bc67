"""The commands for graphs: what they learn, write and print, and one line for every mistake."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch

import ctvae as ct
from ctvae.cli.app import main
from ctvae.cli.methods import METHODS, make_method
from ctvae.data import read_csv
from ctvae.graph import PC, CausalGraph, GSquared, OrderMCMC, shd

SCM = ct.SCM.from_edges(
    [("rain", "grass"), ("sprinkler", "grass"), ("grass", "shoes")],
    cardinality={"rain": 2, "sprinkler": 3, "grass": 3, "shoes": 2},
    concentration=0.5,
    seed=2,
)
NAMES = SCM.slots.names


def write_csv(path: Path, codes: torch.Tensor, **more: list[str]) -> Path:
    lines = [",".join([*NAMES, *more])]
    for k, row in enumerate(codes.tolist()):
        lines.append(",".join([*map(str, row), *(column[k] for column in more.values())]))
    path.write_text("\n".join(lines) + "\n")
    return path


def call(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> None:
    monkeypatch.setattr(sys, "argv", ["ctvae", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0


def refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: object
) -> str:
    monkeypatch.setattr(sys, "argv", ["ctvae", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("ctvae: ")
    assert said.err.count("\n") == 1
    return said.err


@pytest.mark.parametrize("method", ["pc", "ges", "boss", "grasp"])
def test_rows_give_the_class_of_the_truth(method, tmp_path, monkeypatch, capsys):
    data = write_csv(tmp_path / "rows.csv", SCM.sample(20_000, seed=0))
    out = tmp_path / "graph.json"
    call(monkeypatch, "discover", data, "--method", method, "--out", out)
    assert CausalGraph.from_json(out.read_text()) == SCM.graph.cpdag()
    said = capsys.readouterr()
    assert f"written to {out}" in said.out
    assert said.err == ""  # no bar where the errors go to a file


def test_known_targets_give_the_truth(tmp_path, monkeypatch, capsys):
    parts, done = [SCM.sample(1000, seed=0)], [""] * 1000
    for name, size in zip(NAMES, SCM.slots.cardinalities, strict=True):
        even = torch.full((size,), 1 / size, dtype=torch.float64)
        parts.append(SCM.do({name: ct.Stochastic(even)}).sample(300, seed=len(parts)))
        done += [name] * 300
    data = write_csv(tmp_path / "rows.csv", torch.cat(parts), target=done)
    out = tmp_path / "g.json"
    words = ("--targets", "target", "--set", "num_samples=0", "--set", "starts=2")
    call(monkeypatch, "discover", data, "--method", "order-mcmc", *words, "--out", out)
    assert CausalGraph.from_json(out.read_text()) == SCM.graph
    samples = read_csv(data, targets="target")
    direct = ct.learn_graph(samples, method=OrderMCMC(num_samples=0, starts=2))
    assert direct.graph == SCM.graph
    regimes = ("--regimes", "target", "--set", "num_samples=0", "--out", out)
    call(monkeypatch, "discover", data, "--method", "order-mcmc", *regimes)
    said = capsys.readouterr().out
    for name in NAMES:
        assert f"regime {name}: {name} (" in said
    assert "observational" not in said


def test_knowledge_and_resamples(tmp_path, monkeypatch, capsys):
    data = write_csv(tmp_path / "rows.csv", SCM.sample(3000, seed=1))
    known = tmp_path / "known.json"
    known.write_text(json.dumps({"tiers": [["rain", "sprinkler"], ["grass"], ["shoes"]]}))
    out = tmp_path / "g.json"
    words = ("--knowledge", known, "--bootstrap", 3, "--out", out)
    call(monkeypatch, "discover", data, "--method", "ges", *words)
    assert "joined in 100% of the resamples" in capsys.readouterr().out
    assert ("grass", "shoes") in CausalGraph.from_json(out.read_text()).directed


def test_comparisons_in_every_form(tmp_path, monkeypatch, capsys):
    (tmp_path / "truth.json").write_text(SCM.graph.to_json())
    (tmp_path / "same.dot").write_text(SCM.graph.to_dot())
    turned = CausalGraph.from_edges([("grass", "rain"), ("grass", "shoes")], nodes=NAMES)
    (tmp_path / "other.gml").write_text(turned.cpdag().to_gml())
    files = [tmp_path / "same.dot", tmp_path / "other.gml"]
    truth = ("--truth", tmp_path / "truth.json")
    call(monkeypatch, "compare", *files, *truth, "--scores", "shd,edges")
    table = capsys.readouterr().out
    assert "| same | **0** | 3 |" in table
    assert f"| other | {shd(turned.cpdag(), SCM.graph)} | 2 |" in table
    call(monkeypatch, "compare", *files)
    assert "| other |" in capsys.readouterr().out
    for ending, word in ((".tex", r"\toprule"), (".csv", "shd_cpdag"), (".md", "| same |")):
        out = tmp_path / f"table{ending}"
        call(monkeypatch, "compare", *files, *truth, "--out", out)
        assert word in out.read_text()
    picture = tmp_path / "graphs.png"
    call(monkeypatch, "compare", *files, *truth, "--plot", picture)
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_settings_are_read_by_their_types():
    made = make_method("pc", ["alpha=0.05", "max_conditioning=3", "test=g2"])
    assert made == PC(alpha=0.05, max_conditioning=3, test=GSquared())
    assert make_method("pc", ["max_conditioning=none"]) == PC()
    assert make_method("order-mcmc", ["max_parents=2"]) == OrderMCMC(max_parents=2)
    for name in METHODS:
        assert hasattr(make_method(name), "discover")


ROWS = "a,b\n0,1\n1,0\n0,1\n"
BAD_ROWS = {
    "empty": ("", "needs a head and rows"),
    "head alone": ("a,b\n", "needs a head and rows"),
    "missing": ("a,b\n0,1\n,0\n", "row 3: 'a' is missing"),
    "nan": ("a,b\n0,1\nNaN,0\n", "row 3: 'a' is missing"),
    "floats": ("a,b\n0.5,1\n0.25,0\n", "fraction 0.25"),
    "twice": ("a,a\n0,1\n", "a name of its own"),
    "ragged": ("a,b\n0\n", "row 2: 1 entries below a head of 2"),
}


@pytest.mark.parametrize(("text", "message"), BAD_ROWS.values(), ids=BAD_ROWS.keys())
def test_bad_rows_are_one_line(text, message, tmp_path, monkeypatch, capsys):
    path = tmp_path / "rows.csv"
    path.write_text(text)
    out = tmp_path / "graph.json"
    said = refused(monkeypatch, capsys, "discover", path, "--method", "ges", "--out", out)
    assert message in said
    assert not out.exists()


BAD_WORDS = {
    "method": (["--method", "gse"], "did you mean 'ges'"),
    "setting": (["--method", "pc", "--set", "alhpa=0.1"], "did you mean 'alpha'"),
    "value": (["--method", "pc", "--set", "alpha=much"], "takes a number"),
    "range": (["--method", "pc", "--set", "alpha=2"], "alpha"),
    "test": (["--method", "pc", "--set", "test=g3"], "did you mean 'g2'"),
    "object": (["--method", "differentiable", "--set", "acyclicity=x"], "set it in Python"),
    "targets": (["--method", "ges", "--targets", "c"], "no column 'c'"),
    "target": (["--method", "ges", "--targets", "b"], "names '1', which is no slot"),
    "both": (["--method", "ges", "--targets", "a", "--regimes", "b"], "not both"),
    "knowledge": (["--method", "ges", "--knowledge", "none.json"], "cannot be read"),
    "folder": (["--method", "ges", "--out", "no/graph.json"], "no folder"),
    "option": (["--method", "ges", "--sede", "1"], "--sede"),
    "no method": ([], "--method"),
}


@pytest.mark.parametrize(("words", "message"), BAD_WORDS.values(), ids=BAD_WORDS.keys())
def test_bad_words_are_one_line(words, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("rows.csv").write_text(ROWS)
    assert message in refused(monkeypatch, capsys, "discover", "rows.csv", *words)


BAD_KNOWLEDGE = {
    "no json": ("{", "is no JSON"),
    "no object": ("[]", "lists of lists"),
    "unknown node": ('{"required": [["a", "z"]]}', "'z'"),
    "contradiction": ('{"required": [["a", "b"]], "forbidden": [["a", "b"]]}', "both required"),
}


@pytest.mark.parametrize(("text", "message"), BAD_KNOWLEDGE.values(), ids=BAD_KNOWLEDGE.keys())
def test_bad_knowledge_is_one_line(text, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("rows.csv").write_text(ROWS)
    Path("known.json").write_text(text)
    words = ("rows.csv", "--method", "ges", "--knowledge", "known.json")
    assert message in refused(monkeypatch, capsys, "discover", *words)


def test_bad_graphs_are_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("a.json").write_text(SCM.graph.to_json())
    Path("b.json").write_text("{}")
    Path("c.txt").write_text("a -> b")
    Path("d.json").write_text(CausalGraph.from_edges([("x", "y")]).to_json())
    Path("sub").mkdir()
    Path("sub/a.json").write_text(SCM.graph.to_json())
    for words, message in (
        (["none.json"], "cannot be read"),
        (["b.json"], ""),
        (["c.txt"], "ends in .json"),
        (["a.json", "sub/a.json"], "two files are called 'a'"),
        (["a.json", "d.json"], ""),
        (["a.json", "--truth", "d.json"], ""),
        (["a.json", "--scores", "shdd"], "did you mean 'shd'"),
        (["a.json", "--out", "table.xls"], ".md, .tex or .csv"),
        (["a.json", "--plot", "graph.xyz"], "--plot graph.xyz"),
    ):
        assert message in refused(monkeypatch, capsys, "compare", *words)
