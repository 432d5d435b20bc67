"""The report: one file, nothing fetched, every section there when it has something to say."""

from __future__ import annotations

import base64
import dataclasses
import io
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import torch

from ctvae.errors import FormatError, ShapeError
from ctvae.graph.causal_graph import CausalGraph
from ctvae.graph.compare import compare_graphs
from ctvae.metrics import (
    calibration_band,
    calibration_curve,
    calibration_error,
)
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
    render,
    write_report,
)
from ctvae.report.figures import draw_graphs, edge_counts, picture
from ctvae.report.tables import MOST_ACTIONS, comparison_table, hardest

SLOTS = {"shape": 3, "size": 3, "hue": 8, "x": 5, "y": 5}
EDGES = [
    ("shape", "size"),
    ("shape", "hue"),
    ("size", "x"),
    ("hue", "x"),
    ("hue", "y"),
    ("x", "y"),
]
TRUTH = CausalGraph.from_edges(EDGES, nodes=list(SLOTS))
FOUND = CausalGraph.from_edges(EDGES, nodes=list(SLOTS))
PC_FOUND = CausalGraph.from_edges(
    [("size", "shape"), ("hue", "y"), ("x", "y"), ("size", "y")],
    undirected=[("hue", "shape")],
    nodes=list(SLOTS),
)
ACTIONS = (*(f"{name} {sign}1" for name in SLOTS for sign in "+-"), "nothing")
SIDE = 32
ALL_SECTIONS = {"slots", "edit", "do", "graph", "retrieval"}


def draw(codes: dict[str, int], noise: float = 0.0, seed: int = 0) -> torch.Tensor:
    """A coloured square, disc or diamond; the noise blurs it as a small decoder would."""
    rows, columns = np.mgrid[:SIDE, :SIDE] + 0.5
    radius = 4 + 2 * codes["size"]
    down, along = rows - (8 + 4 * codes["y"]), columns - (8 + 4 * codes["x"])
    distance = (
        np.maximum(abs(down), abs(along)),
        np.hypot(down, along),
        (abs(down) + abs(along)) / 1.3,
    )[codes["shape"]]
    angle = 2 * np.pi * codes["hue"] / SLOTS["hue"]
    colour = 0.55 + 0.45 * np.cos(angle + np.array([0.0, -2.1, 2.1]))
    inside = 1 / (1 + np.exp((distance - radius) * (1.2 if noise else 8)))
    pixels = 0.07 + inside * (colour[:, None, None] - 0.07)
    pixels = pixels + noise * np.random.default_rng(seed).normal(size=pixels.shape)
    return torch.from_numpy(pixels).float().clamp(0, 1)


def units(count: int) -> list[dict[str, int]]:
    rng = np.random.default_rng(7)
    return [{name: int(rng.integers(k)) for name, k in SLOTS.items()} for _ in range(count)]


def downstream(unit: dict[str, int], **forced: int) -> dict[str, int]:
    """A made-up response: each child follows its forced parents by one step."""
    world = dict(unit)
    moved = set(forced)
    for name, value in forced.items():
        world[name] = value
    for parent, child in EDGES:
        if parent in moved and child not in forced:
            world[child] = (world[child] + world[parent] - unit[parent]) % SLOTS[child]
            moved.add(child)
    return world


def edits() -> EditGrid:
    own = units(1)[0] | {"shape": 1}
    rows = []
    for name, count in SLOTS.items():
        pictures = torch.stack([draw(own | {name: k}, 0.01, k) for k in range(count)])
        labels = tuple(f"{name} {k}" if name == "shape" else str(k) for k in range(count))
        rows.append(EditRow(name, labels, pictures, own[name]))
    return EditGrid(draw(own), tuple(rows))


def worlds() -> tuple[WorldStrip, ...]:
    drawn: dict[str, dict[str, int]] = {
        "observational": {},
        "do(hue=5)": {"hue": 5},
        "do(shape=0)": {"shape": 0},
        "do(x=0, y=4)": {"x": 0, "y": 4},
    }
    return tuple(
        WorldStrip(title, torch.stack([draw(downstream(u, **do), 0.01, 3) for u in units(9)]))
        for title, do in drawn.items()
    )


def effects() -> Effects:
    distances = torch.full((5, 5), float("nan"))
    names = list(SLOTS)
    for i, a in enumerate(names):
        for j, b in enumerate(names):
            if a != b:
                near = 0.61 - 0.14 * abs(i - j) + 0.05 * i
                distances[i, j] = near if b in TRUTH.descendants(a) else 0.004 * (i + j)
    return Effects(tuple(names), distances)


def cases() -> tuple[ActionCase, ...]:
    found = []
    for k, unit in enumerate(units(6)):
        name = list(SLOTS)[k % 5]
        sign = "+" if unit[name] + 1 < SLOTS[name] else "-"
        after = downstream(unit, **{name: unit[name] + (1 if sign == "+" else -1)})
        action = f"{name} {sign}1"
        others = [a for a in ACTIONS if a != action][k : k + 4]
        sure = (0.998, 0.91, 0.34, 0.999, 0.62, 0.05)[k]
        answers = [(action, sure)]
        weights = (0.6, 0.25, 0.1, 0.05)
        answers += [(o, (1 - sure) * w) for o, w in zip(others, weights, strict=True)]
        answers.sort(key=lambda answer: -answer[1])
        shown = tuple(answers[:4] if k == 5 else answers)
        found.append(ActionCase(draw(unit), draw(after), action, shown, -4.2 - 3 * k))
    return tuple(found)


def calibration() -> Calibration:
    generator = torch.Generator().manual_seed(0)
    sure = 1 - 0.7 * torch.rand(1500, generator=generator) ** 3
    right = torch.rand(1500, generator=generator) < sure
    band = calibration_band(sure, simulations=200)
    error = calibration_error(sure, right)
    sentence = "The error lies inside the band: these probabilities can be taken at their word."
    return Calibration(calibration_curve(sure, right), error, band, sentence)


def confusion(names: tuple[str, ...]) -> Confusion:
    generator = torch.Generator().manual_seed(1)
    counts = torch.poisson(torch.full((len(names), len(names)), 0.15), generator=generator)
    return Confusion(
        names, counts + torch.diag(torch.randint(60, 90, (len(names),), generator=generator))
    )


def full_content() -> ReportContent:
    pictures = torch.stack([draw(u) for u in units(10)])
    again = torch.stack([draw(u, 0.015, k) for k, u in enumerate(units(10))])
    graphs = {"interventional BDeu": FOUND, "PC": PC_FOUND}
    return ReportContent(
        title="Slots, their graph and what intervening does",
        subtitle="built-in world “shapes”, 20 000 pairs, seed 0 · ctvae 0.1.0, torch 2.13.0",
        command="ctvae demo --seed 0 --out runs/demo",
        summary=(
            Tile("action accuracy", "99.1 %", "two actions in a row: 97.4 %"),
            Tile("action NLL", "0.031", "nats; uniform guessing 2.398"),
            Tile("slots changed", "1.02", "per action; 1 is ideal"),
            Tile("edit atomicity", "98.6 %", "one factor changes, no other"),
            Tile("graph SHD", "0", "PC 4, empty graph 6"),
            Tile("CPU time", "212 s", "training 171 s, two cores"),
        ),
        originals=pictures,
        reconstructions=again,
        wrong_codes=tuple(
            WrongCodes(name, share)
            for name, share in zip(SLOTS, (0.0, 0.0125, 0.0031, 0.0002, 0.0007), strict=True)
        ),
        edits=edits(),
        worlds=worlds(),
        effects=effects(),
        graphs=(
            GraphPanel("truth", TRUTH),
            GraphPanel("interventional BDeu", FOUND, TRUTH),
            GraphPanel("PC", PC_FOUND, TRUTH),
        ),
        comparison=compare_graphs(graphs, truth=TRUTH),
        actions=cases(),
        baselines=(
            Baseline("this model", 0.991, 0.031),
            Baseline("difference of codes", 0.94, None),
            Baseline("nearest neighbour in pixels", 0.613, 1.402),
            Baseline("uniform", 1 / 11, 2.398),
        ),
        confusion=confusion(ACTIONS),
        calibration=calibration(),
    )


VOID = {"img", "meta"}


class Page(HTMLParser):
    """Reads a page, refusing elements that are not closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.sections: list[str] = []
        self.links: list[str] = []
        self.tags: list[str] = []
        self.images: list[dict[str, str | None]] = []
        self.ids: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open, self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.tags.append(tag)
        if "id" in found:
            self.ids.append(found["id"] or "")
        if tag == "section":
            self.sections.append(found["id"] or "")
        if tag == "a":
            self.links.append(found["href"] or "")
        if tag == "img":
            self.images.append(found)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, tag


@pytest.fixture(scope="module")
def content() -> ReportContent:
    return full_content()


@pytest.fixture(scope="module")
def page(content: ReportContent) -> str:
    return render(content)


def test_a_full_page_has_every_section_and_closes_every_element(page):
    read = Page(page)
    assert set(read.sections) == ALL_SECTIONS
    assert read.links == [f"#{name}" for name in read.sections]
    assert len(read.ids) == len(set(read.ids))
    assert read.tags.count("figure") == read.tags.count("figcaption") == 11
    for words in ("ctvae demo --seed 0", "Training raised no alarm", "\\begin{tabular}", "0.031"):
        assert words in page


def test_the_page_is_self_contained_and_small(page):
    assert not re.search(r"https?://|//cdn|@import|url\(|<script|<link|<iframe", page)
    assert len(page.encode()) < 3_000_000
    for image in Page(page).images:
        assert (image["src"] or "").startswith("data:image/png;base64,")
        assert image["alt"]


def test_the_same_content_gives_the_same_page(content, page):
    assert render(content) == page


@pytest.mark.parametrize(
    ("gone", "section"),
    [
        (("originals", "reconstructions", "wrong_codes"), "slots"),
        (("edits",), "edit"),
        (("worlds", "effects"), "do"),
        (("graphs", "comparison"), "graph"),
        (("actions", "baselines", "confusion", "calibration"), "retrieval"),
    ],
)
def test_a_section_without_content_is_left_out(content, gone, section):
    empty = ReportContent(title="")
    fewer = dataclasses.replace(content, **{name: getattr(empty, name) for name in gone})
    read = Page(render(fewer))
    assert set(read.sections) == ALL_SECTIONS - {section}
    assert f"#{section}" not in read.links


def test_each_part_alone_makes_a_page_with_one_figure(content):
    parts = [f.name for f in dataclasses.fields(content)][5:]
    for name in parts:
        if name in {"originals", "reconstructions"}:
            continue
        alone = dataclasses.replace(ReportContent(title="part"), **{name: getattr(content, name)})
        assert Page(render(alone)).tags.count("figure") == 1, name


def test_a_page_of_nothing_still_says_its_title():
    read = Page(render(ReportContent(title="nothing yet")))
    assert not read.sections
    assert "figure" not in read.tags
    assert "nav" not in read.tags


def test_every_text_is_escaped(content):
    evil = '<b a="1">&\''
    graph = CausalGraph.from_edges([(evil, "y")])
    picture = content.originals[0]
    shown = ReportContent(
        title=evil,
        subtitle=evil,
        command=evil,
        summary=(Tile(evil, evil, evil),),
        alarms=(evil,),
        wrong_codes=(WrongCodes(evil, 0.1),),
        edits=EditGrid(picture, (EditRow(evil, (evil,), picture[None], 0),)),
        worlds=(WorldStrip(evil, picture[None]),),
        effects=Effects((evil, "y"), torch.tensor([[float("nan"), 0.3], [0.0, float("nan")]])),
        graphs=(GraphPanel(evil, graph, graph),),
        comparison=compare_graphs({evil: graph}, truth=graph),
        actions=(ActionCase(picture, picture, evil, ((evil + "2", 0.4),), -1.0),),
        baselines=(Baseline(evil, 0.5),),
        confusion=Confusion((evil, "y"), torch.tensor([[3.0, 1.0], [0.0, 2.0]])),
        calibration=dataclasses.replace(content.calibration, sentence=evil),
    )
    text = render(shown)
    Page(text)
    assert evil not in text
    assert "<b a=" not in text
    assert text.count("&lt;b a=&quot;1&quot;&gt;&amp;") > 20


def test_alarms_stand_in_a_box_in_place_of_the_calm_line(content):
    text = render(dataclasses.replace(content, alarms=("DEAD_CODES: use fewer codes",)))
    assert "DEAD_CODES: use fewer codes" in text
    assert '<aside class="alarms">' in text
    assert "raised no alarm" not in text


def test_edges_are_drawn_and_counted_by_their_state(content, page):
    looks = {
        panel.name: {count.look: count.number for count in edge_counts(panel)}
        for panel in content.graphs
    }
    assert looks == {
        "truth": {"plain": 6},
        "interventional BDeu": {"right": 6},
        "PC": {"right": 2, "reversed": 1, "undirected": 1, "extra": 1, "missing": 2},
    }
    for look, label in (("right", 8), ("reversed", 1), ("undirected", 1), ("missing", 2)):
        assert page.count(f'<g class="edge {look}">') == label
    undirected = re.search(r'<g class="edge undirected">(.*?)</g>', page)
    assert undirected is not None
    assert "polygon" not in undirected[1]


def test_graphs_over_different_nodes_a_hidden_cause_and_a_cycle_of_opinions_can_be_drawn():
    one = CausalGraph.from_edges([("a", "b")], bidirected=[("b", "c")])
    back = CausalGraph.from_edges([("b", "a"), ("c", "d")])
    alone = CausalGraph.from_edges(nodes=["z"])
    panels = [GraphPanel("1", one), GraphPanel("2", back), GraphPanel("3", alone)]
    first, second, third = draw_graphs(panels).svgs
    assert first.count("<polygon") == 3
    assert "d</text>" not in first
    assert "d</text>" in second
    assert "no edges" in third


def test_the_comparison_shows_scores_with_a_truth_and_distances_without(content):
    table = comparison_table(content.comparison)
    assert table.count("<tr>") == 4
    assert "<strong>0</strong>" in table
    without = comparison_table(compare_graphs(content.comparison.graphs))
    assert "SHD to PC" in without
    assert "precision" not in without


def test_own_code_and_right_answer_are_marked(page):
    assert page.count('class="own"') == len(SLOTS)
    assert page.count('class="true"') == 6
    assert page.count('class="taken"') == 2


def test_a_true_action_outside_the_answers_is_named(content):
    case = dataclasses.replace(content.actions[0], action="y +1", answers=(("x +1", 1.0),))
    text = render(ReportContent(title="one", actions=(case,)))
    assert "true action: y +1" in text
    assert "in 0 of these 1 pairs" in text


def test_near_certainty_is_never_shown_as_certainty(content):
    case = dataclasses.replace(content.actions[0], answers=(("x +1", 0.99999), ("y +1", 1e-5)))
    text = render(ReportContent(title="one", actions=(case,)))
    assert "&gt;99.9%" in text
    assert "&lt;0.1%" in text
    assert ">100.0%<" not in text


def test_many_actions_are_cut_to_those_most_often_mistaken():
    names = tuple(f"a{k}" for k in range(40))
    counts = torch.diag(torch.full((40,), 9.0))
    counts[3, 38] = 4
    shown = hardest(Confusion(names, counts))
    assert len(shown.actions) == MOST_ACTIONS
    assert {"a3", "a38"} <= set(shown.actions)
    text = render(ReportContent(title="many", confusion=Confusion(names, counts)))
    assert "24 of 40 actions" in text
    assert "360 of 364 pairs" in text


def test_perfect_answers_can_be_drawn():
    sure = torch.ones(50)
    curve = calibration_curve(sure, torch.ones(50, dtype=torch.bool))
    found = Calibration(curve, 0.0, (0.0, 0.0), "All right.")
    names = ("a", "b")
    text = render(
        ReportContent(
            title="perfect",
            calibration=found,
            confusion=Confusion(names, torch.eye(2)),
            wrong_codes=(WrongCodes("a", 0.0),),
        )
    )
    assert "nan" not in text
    assert "No slot is read wrong" in text
    assert "most frequent mistake" not in text


def test_pictures_survive_the_way_into_the_page_and_large_ones_shrink():
    pixels = torch.rand(3, 12, 10, generator=torch.Generator().manual_seed(0))
    found = decode(picture(pixels, "x"))
    assert found.shape == (12, 10, 3)
    assert np.array_equal(found, (pixels.permute(1, 2, 0) * 255).round().byte().numpy())
    assert decode(picture(torch.full((1, 400, 200), float("nan")), "x")).shape == (160, 80)


def decode(element: str) -> np.ndarray:
    from PIL import Image

    match = re.search(r"base64,([^\"]+)", element)
    assert match is not None
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(match[1]))))


def test_a_report_is_replaced_whole(content, tmp_path: Path):
    path = tmp_path / "new" / "report.html"
    assert write_report(ReportContent(title="first"), path) == path
    first = path.read_text(encoding="utf-8")
    write_report(content, path)
    assert path.read_text(encoding="utf-8") == render(content) != first
    assert [entry.name for entry in path.parent.iterdir()] == ["report.html"]
    assert path.stat().st_mode & 0o777 == 0o644


def test_a_failed_write_leaves_the_old_report_and_no_draft(tmp_path: Path, monkeypatch):
    path = tmp_path / "report.html"
    write_report(ReportContent(title="old"), path)
    old = path.read_text(encoding="utf-8")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ctvae.report.page.os.replace", full)
    with pytest.raises(FormatError, match="No space left"):
        write_report(ReportContent(title="new"), path)
    assert path.read_text(encoding="utf-8") == old
    assert [entry.name for entry in tmp_path.iterdir()] == ["report.html"]


def test_an_unwritable_folder_is_a_format_error(tmp_path: Path):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(FormatError, match="choose another file or folder"):
        write_report(ReportContent(title="x"), tmp_path / "file" / "report.html")
    with pytest.raises(FormatError, match="cannot write"):
        write_report(ReportContent(title="x"), tmp_path)


PICTURES = torch.zeros(2, 3, 4, 4)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: EditRow("hue", ("0",), PICTURES, 0), "hold 2 pictures for 1 codes"),
        (lambda: EditRow("hue", ("0", "1"), PICTURES, 2), "'hue' name code 2"),
        (lambda: EditGrid(PICTURES, ()), "the source of the edits"),
        (lambda: WorldStrip("do(hue=1)", PICTURES.long()), "int64"),
        (lambda: WorldStrip("do(hue=1)", PICTURES[:, :2]), "1 or 3 channels"),
        (lambda: Effects(("a", "b"), torch.zeros(2, 3)), r"\(2, 2\) matrix over the slots"),
        (lambda: Confusion(("a", "b"), torch.zeros(3, 3)), r"\(2, 2\) matrix over the actions"),
        (lambda: ActionCase(PICTURES[0], PICTURES[0], "a", (), 0.0), "has no answer"),
        (lambda: ReportContent(title="t", originals=PICTURES), "must have one shape"),
    ],
)
def test_content_that_does_not_fit_together_is_refused(make, message):
    with pytest.raises(ShapeError, match=message):
        make()


def test_importing_the_report_loads_no_drawing_library():
    code = "import ctvae.report, sys; print('matplotlib' in sys.modules, 'PIL' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["False", "False"]


def test_interventions_that_move_nothing_are_said_to_move_nothing():
    none = torch.zeros(2, 2).fill_diagonal_(float("nan"))
    text = render(ReportContent(title="still", effects=Effects(("a", "b"), none)))
    assert "no intervention moves another slot" in text
    assert "nan" not in text
