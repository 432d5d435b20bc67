"""Every Python block of the README and of the pages runs, and says what the page says it says.

The blocks of one page share a namespace, in order. A block after ``<!-- not run: reason -->`` is
skipped with that reason; a page with ``<!-- slow -->`` at its top is run with the slow tests; one
with ``<!-- slow, data: NAME -->`` finds that folder of the data pack where it runs; a
``text`` block right after a Python block holds what that block prints.
"""

from __future__ import annotations

import contextlib
import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import ctvae
from ctvae import errors
from ctvae.graph import DiscoveryStatus
from ctvae.training import TrainingStatus
from tests.conftest import SHARED_DATA

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted(page for page in DOCS.rglob("*.md") if "_build" not in page.parts),
]
FENCE = re.compile(
    r"(?:<!-- not run: (?P<reason>[^>]+?) -->\n)?"
    r"^```(?P<language>python|text)\n(?P<code>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
DATA = re.compile(r"^<!--.*\bdata: (\w+) -->")
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)#\s]+)[^)]*\)")
BETWEEN = re.compile(r"\s*")


@dataclass(frozen=True)
class Block:
    """A Python block of a page.

    Attributes:
        line: The line of its first statement, from 1.
        code: Its source.
        prints: What the page says that it prints; ``None`` where it says nothing.
        reason: Why it is not run; ``None`` where it is.
    """

    line: int
    code: str
    prints: str | None = None
    reason: str | None = None


def read_blocks(text: str) -> list[Block]:
    blocks: list[Block] = []
    end = -1
    for found in FENCE.finditer(text):
        if found["language"] == "python":
            line = text.count("\n", 0, found.start("code")) + 1
            blocks.append(Block(line, found["code"], None, found["reason"]))
        elif blocks and end >= 0 and BETWEEN.fullmatch(text, end, found.start()):
            last = blocks[-1]
            blocks[-1] = Block(last.line, last.code, found["code"], last.reason)
        end = found.end() if found["language"] == "python" else -1
    return blocks


def run_block(page: Path, block: Block, namespace: dict[str, Any]) -> None:
    padded = "\n" * (block.line - 1) + block.code  # tracebacks name the line of the page
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(padded, str(page), "exec"), namespace)
    if block.prints is not None:
        got, said = printed.getvalue().split(), block.prints.split()
        where = f"{page.name}, line {block.line}"
        assert got == said, f"{where} prints\n{printed.getvalue()}\nthe page says\n{block.prints}"


def _name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def _pages() -> list[Any]:
    chosen = []
    for page in PAGES:
        text = page.read_text()
        if any(block.reason is None for block in read_blocks(text)):
            marks = [pytest.mark.slow] if text.startswith("<!-- slow") else []
            chosen.append(pytest.param(page, id=_name(page), marks=marks))
    return chosen


def _skipped() -> list[Any]:
    return [
        pytest.param(block, id=f"{_name(page)}:{block.line}")
        for page in PAGES
        for block in read_blocks(page.read_text())
        if block.reason is not None
    ]


@pytest.mark.parametrize("page", _pages())
def test_blocks_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = page.read_text()
    if needed := DATA.match(text):
        if not (SHARED_DATA / needed[1]).is_dir():
            pytest.skip(f"the data set {needed[1]} is not beside the checkout")
        (tmp_path / needed[1]).symlink_to(SHARED_DATA / needed[1])
    namespace: dict[str, Any] = {"__name__": "__docs__"}
    for block in read_blocks(text):
        if block.reason is None:
            run_block(page, block, namespace)


@pytest.mark.parametrize("block", _skipped())
def test_blocks_not_run_are_at_least_python(block: Block) -> None:
    compile(block.code, "block", "exec")
    pytest.skip(str(block.reason))


def test_reader_pairs_blocks_with_what_they_print() -> None:
    text = (
        "# Page\n\n```python\nprint(1)\n```\n\n```text\n1\n```\n"
        "<!-- not run: needs a file -->\n```python\nx = 1\n```\nwords\n```text\nloose\n```\n"
    )
    first, second = read_blocks(text)
    assert (first.line, first.code, first.prints, first.reason) == (4, "print(1)\n", "1\n", None)
    assert (second.line, second.prints, second.reason) == (12, None, "needs a file")


def test_a_page_that_says_the_wrong_thing_fails() -> None:
    with pytest.raises(AssertionError, match="the page says"):
        run_block(Path("page.md"), Block(1, "print(1)", "2\n"), {})


def test_every_error_is_on_the_page_of_errors() -> None:
    page = (DOCS / "reference" / "errors.md").read_text()
    missing = [n for n in errors.__all__ if n.endswith("Error") and f"`{n}`" not in page]
    assert not missing


def test_every_status_is_on_its_page() -> None:
    training = (DOCS / "reference" / "training.md").read_text()
    discovery = (DOCS / "reference" / "discovery.md").read_text()
    assert not [s.name for s in TrainingStatus if f"`{s.name}`" not in training]
    assert not [s.name for s in DiscoveryStatus if f"`{s.name}`" not in discovery]


def test_every_public_name_is_in_the_reference() -> None:
    text = "\n".join(page.read_text() for page in (DOCS / "reference").glob("*.md"))
    missing = [n for n in ctvae.__all__ if not re.search(rf"ctvae\.(\w+\.)*{n}\b", text)]
    assert not missing


def test_every_link_between_pages_leads_somewhere() -> None:
    broken = []
    for page in PAGES:
        text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
        for target in LINK.findall(text):
            if "://" not in target and not (page.parent / target).exists():
                broken.append(f"{_name(page)}: {target}")
    assert not broken
