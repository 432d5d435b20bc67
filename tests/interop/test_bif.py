"""BIF text: what is read, what is refused and where, and writing to the last bit."""

from __future__ import annotations

import gzip
import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ctvae.errors import FormatError, StateSpaceError
from ctvae.graph.causal_graph import CausalGraph
from ctvae.interop import ModelParts, join_parts, read_bif, write_bif
from ctvae.mechanisms.table import TableMechanism
from ctvae.scm import SCM
from ctvae.slots import Slot
from tests.strategies import SCMS, scms

# What the dialects write for one and the same model: a has 2 codes, b 3, and c listens to b, a.
A = "variable a { type discrete [ 2 ] { yes, no }; }\n"
B = "variable b { type discrete [ 3 ] { <5, 5-12, 12+ }; }\n"
C = "variable c { type discrete [ 2 ] { t, f }; }\n"
PA = "probability ( a ) { table 0.25, 0.75; }\n"
PB = "probability ( b ) { table 0.5, 0.25, 0.25; }\n"
PC = """probability ( c | b, a ) {
  (<5, yes) 0.0, 1.0;
  (5-12, yes) 0.125, 0.875;
  (12+, yes) 0.25, 0.75;
  (<5, no) 0.5, 0.5;
  (5-12, no) 0.625, 0.375;
  (12+, no) 1.0, 0.0;
}
"""
PLAIN = "network unknown {\n}\n" + A + B + C + PA + PB + PC
T_GIVEN_A_B = [[0.0, 0.125, 0.25], [0.5, 0.625, 1.0]]

DIALECTS = {
    "bnlearn": PLAIN,
    "blocks in another order": PC + PA + "network x { }" + A + B + PB + C,
    "no network block": A + B + C + PA + PB + PC,
    "windows line ends": PLAIN.replace("\n", "\r\n"),
    "one line": PLAIN.replace("\n", " "),
    "no blanks": PLAIN.replace(" ( ", "(").replace(" ) ", ")").replace(" { ", "{")
    .replace(", ", ","),
    "comments": PLAIN.replace("{\n", "{ // one (of {many\n").replace(";", "; /* two\n lines } */"),
    "a comment right after a number": PLAIN.replace("0.25, 0.75;", "0.25, 0.75//half\n;", 1),
    "properties": PLAIN.replace("{\n}", '{\n property version "1;0" ;\n}')
    .replace("variable a {", "variable a {\n  property position = (73, 165) ;\n")
    .replace("a ) {\n", "a ) {\n property x y ;\n"),
    "quoted names": PLAIN.replace(" a ", ' "a" ').replace("<5", '"<5"').replace("( c ", '( "c" '),
    "capitals in numbers": PLAIN.replace("0.125", "1.25E-1").replace("0.75;", "+.75;"),
    "a table, the child's codes slowest": A + B + C + PA + PB + "probability ( c | b, a ) {\n"
    "table 0 .5 .125 .625 .25 1.  1 .5 .875 .375 .75 0; }",
    "a default": PLAIN.replace("  (5-12, yes) 0.125, 0.875;\n", "  default 0.125, 0.875;\n"),
    "a default for two": PLAIN.replace("  (12+, yes) 0.25, 0.75;\n", "default 0.25, 0.75;\n"),
    "no commas and no bar": "network dogs {}\n" + A.replace("yes, no", '"yes" "no"')
    + B.replace(",", "") + C + PA.replace(",", "") + PB
    + PC.replace("| b, a", "b a").replace("(<5, yes)", "(<5 yes)"),
    "pgmpy": """network unknown {
}
variable a {
    type discrete [ 2 ] { yes, no };
}
"""
    + B + C + "probability ( a ) {\n    table 0.25, 0.75 ;\n}\n" + PB
    + PC.replace("  (", "    ( ").replace(")", " )"),
}  # fmt: skip


@pytest.mark.parametrize("text", DIALECTS.values(), ids=DIALECTS.keys())
def test_every_dialect_says_the_same_model(text):
    parts = read_bif(text)
    assert parts.graph == CausalGraph.from_edges([("a", "c"), ("b", "c")])
    assert set(parts.slots) == {
        Slot("a", 2, ("yes", "no")),
        Slot("b", 3, ("<5", "5-12", "12+")),
        Slot("c", 2, ("t", "f")),
    }
    assert parts.mechanisms["a"].table().tolist() == [0.25, 0.75]
    assert parts.mechanisms["b"].table().tolist() == [0.5, 0.25, 0.25]
    table = parts.mechanisms["c"].table()[..., 0]
    before = parts.slots.index("a") < parts.slots.index("b")
    assert (table if before else table.T).tolist() == T_GIVEN_A_B
    assert all(law.table().dtype == torch.float64 for law in parts.mechanisms.values())


def test_the_columns_are_those_of_the_file_and_tables_follow_them():
    parts = read_bif(B + A + C + PA + PB + PC)
    assert parts.slots.names == parts.graph.nodes == tuple(parts.mechanisms) == ("b", "a", "c")
    assert parts.mechanisms["c"].parent_cardinalities == (3, 2)
    assert SCM(*parts).query("c", given={"b": "12+", "a": "no"}).tolist() == [1.0, 0.0]


def test_names_of_several_words_and_with_parentheses_are_read():
    text = (
        "variable heart rate (bpm) { type discrete [2] { very low, do(high) }; }"
        "probability ( heart rate (bpm) ) { table 0.5, 0.5; }"
        "variable x { type discrete [1] { any value } }"
        "probability ( x | heart rate (bpm) ) { (do(high)) 1; (very low) 1; }"
    )
    parts = read_bif(text)
    assert parts.slots["heart rate (bpm)"].states == ("very low", "do(high)")
    assert parts.slots["x"].states == ("any value",)
    assert parts.graph.parents("x") == ("heart rate (bpm)",)


@pytest.mark.parametrize("compress", [False, True])
def test_files_are_read_by_what_is_in_them(tmp_path, compress):
    path = tmp_path / "network.bif"
    path.write_bytes(gzip.compress(PLAIN.encode()) if compress else PLAIN.encode())
    assert read_bif(path).slots == read_bif(str(path)).slots == read_bif(PLAIN).slots


def test_rows_may_miss_one_by_a_millionth_and_then_sum_to_one():
    law = read_bif(B + PB.replace("0.5, 0.25, 0.25", "0.333333, 0.333333, 0.333333"))
    assert law.mechanisms["b"].table().tolist() == pytest.approx([1 / 3] * 3, abs=1e-16)


# (name, text, line of the complaint, words in it)
BAD = {
    "cut off in a row": (PLAIN[: PLAIN.index("0.625")], 13, "cut off"),
    "cut off in a name": ('variable "abc\n', 1, "does not end"),
    "cut off after a block": (PLAIN[: PLAIN.index("probability ( c")], 5, "'c' has no probability"),
    "cut off in a variable": ("variable a {\n", 2, "cut off"),
    "no variable": ("network unknown {\n}\n", 3, "at least one variable"),
    "other text": ("{this is\nno BIF}", 1, "expected network, variable or probability, got '{this"),
    "unknown child": (PLAIN + "probability ( d ) { table 1; }", 16, "expected one of a, b, c"),
    "unknown parent": (PLAIN.replace("| b, a", "| bb, a"), 8, "'bb' has no block"),
    "unknown state": (PLAIN.replace("(12+, no)", "(12, no)"), 14, "did you mean '12+'"),
    "unknown statement": (PLAIN.replace("table 0.25", "tables 0.25"), 6, "expected table"),
    "two blocks of a variable": (PLAIN + A, 16, "second block of variable 'a'"),
    "two probability blocks": (PLAIN + PA, 16, "second probability block of 'a'"),
    "two tables": (PLAIN.replace("0.75; }", "0.75; table 1, 0; }", 1), 6, "table (once)"),
    "a table and rows": (PLAIN.replace("  (<5, yes)", "table 1, 1;\n (<5, yes)"), 10, "got both"),
    "a row that is missing": (
        PLAIN.replace("  (5-12, no) 0.625, 0.375;\n", ""), 8, "5 rows of 6; the first that is "
        "missing is (5-12, no)",
    ),
    "a row that repeats": (PLAIN.replace("(5-12, no)", "(<5, no)"), 13, "(<5, no) stands here"),
    "a row of too few states": (PLAIN.replace("(<5, yes)", "(<5)"), 9, "a state of each of 2"),
    "too few probabilities": (PLAIN.replace("0.125, 0.875", "1"), 10, "expected 2 prob"),
    "too many probabilities": (PLAIN.replace("0.5, 0.25, 0.25", "0.5, 0.5, 0, 0"), 7, "expected 3"),
    "a negative one": (PLAIN.replace("0.125, 0.875", "-0.125, 1.125"), 10, "at least 0, got -0.12"),
    "no number": (PLAIN.replace("0.875", "nan"), 10, "expected a probability, got 'nan'"),
    "an underscore": (PLAIN.replace("0.875", "0.8_75"), 10, "expected a probability"),
    "a row off by 2e-6": (PLAIN.replace("0.875", "0.875002"), 10, "got 1.000002"),
    "a default off": (PLAIN.replace("(5-12, yes)", "default").replace("0.875", "0.8"), 10, "0.925"),
    "a cycle": (
        A + C + "probability ( a | c ) {\n table 1, 1, 0, 0; }\nprobability ( c | a ) "
        "{ table 1, 1, 0, 0; }", 3, "a -> c -> a",
    ),
    "its own parent": (A + "probability ( a | a ) { table 1, 1, 0, 0; }", 2, "must be different"),
    "a parent twice": (PLAIN.replace("| b, a", "| b, b"), 8, "must be different"),
    "another number of states": (PLAIN.replace("[ 3 ]", "[ 4 ]"), 4, "expected 4 states, got 3"),
    "one state twice": (PLAIN.replace("yes, no", "yes, yes"), 3, "must be different"),
    "a kind that is not discrete": (PLAIN.replace("discrete", "real"), 3, "got 'real'"),
    "a missing semicolon": (PLAIN.replace("0.875;", "0.875"), 11, "got '(12+'"),
    "a missing brace": (PLAIN.replace("0.75; }", "0.75;", 1), 7, "expected table"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "line", "words"), BAD.values(), ids=BAD.keys())
def test_what_cannot_be_read_is_named_with_its_line(text, line, words):
    with pytest.raises(FormatError) as caught:
        read_bif(text)
    assert f"BIF text, line {line}: " in str(caught.value)
    assert words in str(caught.value)


def test_every_cut_of_a_file_is_refused():
    for end in range(len(PLAIN.rstrip())):
        with pytest.raises(FormatError):
            read_bif(PLAIN[:end] + "\n")


def test_files_that_cannot_be_read_are_named(tmp_path):
    cut = tmp_path / "cut.bif.gz"
    cut.write_bytes(gzip.compress(PLAIN.encode())[:-20])
    binary = tmp_path / "binary.bif"
    binary.write_bytes(b"variable \xff")
    for path in (tmp_path / "missing.bif", tmp_path, cut, binary):
        with pytest.raises(FormatError, match=path.name):
            read_bif(path)


def test_a_default_does_not_fill_a_table_beyond_the_budget():
    names = [f"x{k}" for k in range(40)]
    text = "".join(A.replace(" a ", f" {name} ") for name in names)
    text += "".join(PA.replace(" a ", f" {name} ") for name in names[1:])
    text += f"probability ( x0 | {', '.join(names[1:])} ) {{ default 0.5, 0.5; }}"
    with pytest.raises(StateSpaceError, match="line 80: the table of 'x0' needs"):
        read_bif(text)


def same(one: ModelParts, two: ModelParts) -> bool:
    tables = zip(one.mechanisms.items(), two.mechanisms.items(), strict=True)
    return (
        one.graph == two.graph
        and one.graph.nodes == two.graph.nodes
        and one.slots == two.slots
        and all(a == b and torch.equal(p.table(), q.table()) for (a, p), (b, q) in tables)
    )


@settings(max_examples=60, deadline=None)
@given(scms())
def test_reading_what_was_written_gives_it_back_to_the_last_bit(scm):
    parts = ModelParts(scm.graph, scm.slots, dict(scm.mechanisms))
    again = read_bif(write_bif(parts))
    assert same(again, parts)
    assert write_bif(again) == write_bif(parts)


texts = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8)


@settings(max_examples=100, deadline=None)
@given(st.lists(texts, min_size=2, max_size=2, unique=True), st.data())
def test_names_of_any_characters_come_back(names, data):
    states = data.draw(st.lists(texts, min_size=3, max_size=3, unique=True))
    slots = [Slot(names[0], 3, tuple(states)), Slot(names[1], 2)]
    laws = {
        names[0]: ([], TableMechanism.random(3, seed=0).table()),
        names[1]: ([names[0]], TableMechanism.random(2, [3], seed=1).table()),
    }
    parts = join_parts(slots, laws)
    assert same(read_bif(write_bif(parts)), parts)


@pytest.mark.parametrize("make", SCMS.values(), ids=SCMS.keys())
def test_every_kind_of_model_leaves_with_the_law_of_its_world(make, device):
    """Its interventions are written into the tables, and cut the edges in the file."""
    scm = make().to(device)
    again = SCM.from_bif(scm.to_bif())
    assert not again.interventions
    assert again.slots == scm.slots
    for target, seen in itertools.product(scm.slots.names, repeat=2):
        pair = [target] if target == seen else [target, seen]
        expected = scm.query(pair).cpu().double()
        np.testing.assert_allclose(again.query(pair), expected, rtol=0, atol=1e-6)
    for name in scm.interventions:
        assert not again.graph.parents(name)


def test_a_file_is_of_one_world():
    scm = SCMS["chain"]().do(slot="b", value=torch.tensor([0, 1]))
    with pytest.raises(ValueError, match="got 2 worlds"):
        scm.to_bif()


def test_bnlearn_files_come_back_and_have_the_published_sizes(shared_data):
    """Nodes and edges as listed by Scutari's bnlearn repository."""
    published = {
        "asia": (8, 8), "cancer": (5, 4), "earthquake": (5, 4), "survey": (6, 6),
        "sachs": (11, 17), "child": (20, 25), "insurance": (27, 52), "alarm": (37, 46),
    }  # fmt: skip
    for name, (nodes, edges) in published.items():
        parts = read_bif(shared_data / "bnlearn" / "bif" / f"{name}.bif.gz")
        assert (len(parts.slots), parts.graph.num_edges) == (nodes, edges)
        assert same(read_bif(write_bif(parts)), parts)


def test_bnlearn_samples_have_the_marginals_of_the_file(shared_data):
    """The 10,000 rows beside asia's file code its states by the rank of their names."""
    scm = SCM.from_bif(shared_data / "bnlearn" / "bif" / "asia.bif.gz")
    with gzip.open(shared_data / "bnlearn" / "samples" / "asia.txt.gz") as lines:
        codes = np.loadtxt(lines, skiprows=1, dtype=int) - 1
    for column, slot in enumerate(scm.slots):
        ranks = [sorted(slot.states).index(state) for state in slot.states]
        law = scm.query(slot.name).numpy()
        seen = np.bincount(codes[:, column], minlength=2)[ranks] / len(codes)
        # Five standard errors: all eight pass but for 5e-6 of the files that the law would draw.
        np.testing.assert_array_less(abs(seen - law), 5 * np.sqrt(law * (1 - law) / len(codes)))
