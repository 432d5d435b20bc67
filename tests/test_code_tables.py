"""Codes from CSV files and from columns: what entries become, and why some are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ctvae.code_tables import read_table
from ctvae.data import read_columns, read_csv
from ctvae.errors import DataError
from ctvae.regimes import Samples

TEXT = "size,hue,done\n10,red,\n9,blue,hue\n10,blue,none\n"


def written(folder: Path, text: str) -> Path:
    path = folder / "rows.csv"
    path.write_text(text)
    return path


def targets_of(samples: Samples) -> list[list[bool]]:
    assert samples.targets is not None
    return samples.targets.tolist()


def assert_same(one: Samples, other: Samples) -> None:
    assert one.codes.tolist() == other.codes.tolist()
    assert one.slots.names == other.slots.names
    assert [slot.states for slot in one.slots] == [slot.states for slot in other.slots]


def test_codes_keep_their_order_and_names(tmp_path):
    samples = read_csv(written(tmp_path, TEXT), targets="done")
    assert samples.codes.tolist() == [[1, 1], [0, 0], [1, 0]]
    assert [slot.states for slot in samples.slots] == [("9", "10"), ("blue", "red")]
    assert targets_of(samples) == [[False, False], [False, True], [False, False]]


@pytest.mark.parametrize("mark", [";", "\t"])
def test_the_separator_is_read_off_the_head(tmp_path, mark):
    want = read_csv(written(tmp_path, TEXT), targets="done")
    assert_same(read_csv(written(tmp_path, TEXT.replace(",", mark)), targets="done"), want)
    quoted = '"a;b",c\n1,2\n2,1\n'
    assert read_csv(written(tmp_path, quoted)).slots.names == ("a;b", "c")


def test_whole_numbers_may_be_written_as_floats(tmp_path):
    """As pandas writes a column that once had a missing entry."""
    samples = read_csv(written(tmp_path, "a,b\n0.0,x\n10.0,y\n2.0,x\n"))
    assert samples.codes.tolist() == [[0, 0], [2, 1], [1, 0]]
    assert samples.slots[0].states == ("0", "2", "10")


def test_columns_are_read_as_the_file_is(tmp_path):
    path = written(tmp_path, TEXT)
    for frame in (
        pd.read_csv(path),
        {"size": [10, 9, 10], "hue": np.array(["red", "blue", "blue"]), "done": ["", "hue", None]},
    ):
        found = read_columns(frame, targets="done")
        assert_same(found, read_csv(path, targets="done"))
        assert targets_of(found) == [[False, False], [False, True], [False, False]]


def test_regimes_keep_their_labels(tmp_path):
    text = "a,b,lab\n0,1,Oslo\n1,0,observational\n1,1,Bergen\n0,0,Oslo\n1,1,0\n"
    found = read_table(written(tmp_path, text), regimes="lab")
    assert found.regime_labels == ("observational", "Bergen", "Oslo")
    assert found.samples.regimes is not None
    assert found.samples.regimes.tolist() == [2, 0, 1, 2, 0]


BAD = {
    "fraction": ("a,b\n0.5,1\n1.0,0\n", "holds the fraction 0.5"),
    "index": (",a\n0,1\n1,0\n", r"column 1 has no name; if it is pandas' index.*index=False"),
    "no name": ("a,,b\n0,1,1\n", r"column 2 has no name$"),
    "forgotten": (TEXT, "row 2: 'done' is missing; .* name it as the column of targets or regimes"),
    "head alone": ("a,b\n", "needs a head and rows below it, got a head"),
    "nothing": ("", "got nothing"),
}


@pytest.mark.parametrize(("text", "message"), BAD.values(), ids=BAD.keys())
def test_bad_files_are_refused(tmp_path, text, message):
    with pytest.raises(DataError, match=message):
        read_csv(written(tmp_path, text))


def test_bad_columns_are_refused():
    for columns, message in (
        ({"a": [1, 2], "b": [1]}, "as many entries, got 2, 1"),
        ({}, "the data has no column of codes"),
        ({"a": [0.5, 1.0]}, "the data: 'a' holds the fraction 0.5"),
        ({"a": [0, None]}, "the data, row 1: 'a' is missing"),
    ):
        with pytest.raises(DataError, match=message):
            read_columns(columns)
    with pytest.raises(DataError, match="not both"):
        read_columns({"a": [0], "b": [0], "c": [0]}, targets="b", regimes="c")
