"""The layers: arrows only point down, no circles, nothing heavy at import, files that fit."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import ctvae

ROOT = Path(ctvae.__file__).parent
LAYERS: dict[str, float] = {
    "errors": 0.0,
    "config": 0.1,
    "randomness": 0.1,
    "slots": 0.2,
    "regimes": 0.3,
    "persistence": 0.3,
    "counting": 0.3,
    "nn": 0.3,
    "plotting": 0.3,
    "metrics": 0.4,
    "code_tables": 0.4,
    "graph": 1.0,
    "quant": 1.0,
    "mechanisms": 2.0,
    "inference": 3.0,
    "interop": 3.0,
    "scm": 4.0,
    "models": 5.0,
    "data": 5.0,
    "library": 5.0,
    "evaluation": 6.0,
    "training": 6.0,
    "bench": 6.0,
    "report": 6.0,
    "cli": 7.0,
}
SIBLINGS = {
    "graph": {"quant"},
    "quant": {"graph"},
    "models": {"data", "library"},
    "data": {"models", "library"},
    "library": {"models", "data"},
    "training": {"bench"},
    "evaluation": {"bench"},
    "report": {"bench"},
}
CAUSAL_LEARN = {"graph/classical.py", "graph/formats.py", "graph/lingam.py"}
HEAVY = ("causallearn", "matplotlib", "pandas", "lightning_fabric", "scipy", "sklearn", "rich")
MAX_LINES = 400


def modules() -> list[Path]:
    return sorted(p for p in ROOT.rglob("*.py"))


def layer(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imports(path: Path, *, typing_too: bool = False) -> list[str]:
    """Names of the library's modules that a file imports, also inside functions."""
    tree = ast.parse(path.read_text())
    skipped: set[ast.AST] = set()
    if not typing_too:
        for node in ast.walk(tree):
            if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
                skipped.update(ast.walk(node))
    found = []
    for node in ast.walk(tree):
        if node in skipped:
            continue
        if isinstance(node, ast.ImportFrom) and node.module:
            if node.module == "ctvae":
                found += [f"ctvae.{alias.name}" for alias in node.names]
            else:
                found.append(node.module)
        elif isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
    return found


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(ROOT)))
def test_arrows_point_down(path: Path) -> None:
    own = layer(path)
    if own == "__init__":
        return
    for name in imports(path, typing_too=True):
        if not name.startswith("ctvae."):
            continue
        other = name.split(".")[1]
        if other == own:
            continue
        assert other in LAYERS, f"{path.name} imports {name}, which has no layer"
        same_level = LAYERS[other] == LAYERS[own] and int(LAYERS[own]) in {5, 6}
        assert LAYERS[other] < LAYERS[own] or (same_level and other not in SIBLINGS.get(own, ())), (
            f"{path.relative_to(ROOT)} (L{LAYERS[own]}) imports {name} (L{LAYERS[other]})"
        )


def test_there_are_no_import_circles() -> None:
    names = {
        path: ".".join(("ctvae", *path.relative_to(ROOT).with_suffix("").parts))
        for path in modules()
    }
    known = set(names.values())
    edges = {
        name: {other for other in imports(path) if other in known}
        for path, name in names.items()
        if not name.endswith("__init__")
    }
    state: dict[str, int] = {}

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert state.get(name) != 1, f"import circle: {' -> '.join((*path, name))}"
        if state.get(name) == 2:
            return
        state[name] = 1
        for other in edges.get(name, ()):
            visit(other, (*path, name))
        state[name] = 2

    for name in edges:
        visit(name, ())


def test_causal_learn_is_touched_in_two_files_only() -> None:
    touching = {
        str(path.relative_to(ROOT))
        for path in modules()
        if any(name.startswith("causallearn") for name in imports(path, typing_too=True))
    }
    assert touching <= CAUSAL_LEARN


def test_import_loads_nothing_heavy() -> None:
    code = "import sys, ctvae; print(*sorted({m.split('.')[0] for m in sys.modules}))"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not set(HEAVY) & set(loaded)


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(ROOT)))
def test_files_hold_one_idea(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= MAX_LINES


def test_public_names_exist_and_are_documented() -> None:
    for name in ctvae.__all__:
        assert getattr(ctvae, name).__doc__, name


def test_nothing_is_pickled_or_printed() -> None:
    for path in modules():
        text = path.read_text()
        assert "import pickle" not in text
        assert "torch.load(" not in text
        calls = [n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Call)]
        assert not [c for c in calls if isinstance(c.func, ast.Name) and c.func.id == "print"]
