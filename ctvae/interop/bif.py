"""Bayesian networks as BIF text, the format of the bnlearn repository."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from pathlib import Path

from ctvae.interop.bif_blocks import UNNAMED_CODES, read_blocks
from ctvae.interop.bif_scanner import Scanner
from ctvae.interop.bif_tables import read_tables
from ctvae.interop.parts import ModelParts
from ctvae.interop.text_files import read_text
from ctvae.mechanisms.table import TableMechanism
from ctvae.slots import Slot

__all__ = ["read_bif", "write_bif"]

SAFE_NAME = re.compile(r"[\w.+<>=%/-]+")
"""Names that every reader takes without quotes."""


def read_bif(path_or_text: str | Path) -> ModelParts:
    """Reads a Bayesian network in the BIF of the bnlearn repository and of pgmpy.

    Blocks may stand in any order; comments and properties are passed over; names may be quoted.
    Probabilities come as one ``table`` (the codes of the child run slowest), as one row per parent
    states, or as rows and a ``default`` for those left out. Rows may miss one by 1e-6 and are then
    divided by their sum, in float64; rows that miss it by rounding alone keep their bits.

    Args:
        path_or_text: A file, gzipped or not; or the text itself, which is told from a path by a
            line break or a brace.

    Returns:
        The graph, the slots in the order of the variables' blocks, with the names of their codes,
        and the tables, float64.

    Raises:
        FormatError: When the file cannot be read, ends early, names an unknown variable or state,
            leaves out or repeats a row, or holds a row that is no law or a cycle of parents. The
            line is named.

    Example:
        >>> text = '''
        ... variable rain { type discrete [ 2 ] { yes, no }; }
        ... probability ( rain ) { table 0.2, 0.8; }
        ... '''
        >>> parts = read_bif(text)
        >>> parts.slots["rain"], parts.mechanisms["rain"].table().tolist()
        (Slot(name='rain', cardinality=2, states=('yes', 'no')), [0.2, 0.8])

    Source: Cozman, The Interchange Format for Bayesian Networks, version 0.15 (1998); Scutari,
        bnlearn's Bayesian network repository.
    """
    if isinstance(path_or_text, Path) or not set("{\n") & set(path_or_text):
        text, source = read_text(path_or_text), str(path_or_text)
    else:
        text, source = path_or_text, "BIF text"
    scanner = Scanner(text, source)
    variables, blocks = read_blocks(scanner)
    return read_tables(scanner, variables, blocks)


def write_bif(parts: ModelParts) -> str:
    """Writes a Bayesian network as BIF text, every probability to its last bit.

    Reading it back gives the same graph, slots and float64 tables; float32 tables come back as
    float64, their rows divided by their sum. Codes without names are written as ``0, 1, ...`` with
    a property that says so, which other readers pass over. Names that are more than letters,
    digits and ``_ . + < > = % / -`` are quoted; some readers know no quotes.

    Args:
        parts: The model.

    Returns:
        The text.

    Example:
        >>> import torch
        >>> from ctvae.interop import join_parts
        >>> law = torch.tensor([0.25, 0.75], dtype=torch.float64)
        >>> print(write_bif(join_parts([Slot("a", 2, ("yes", "no"))], {"a": ([], law)})))
        network unknown {
        }
        variable a {
          type discrete [ 2 ] { yes, no };
        }
        probability ( a ) {
          table 0.25, 0.75;
        }
    """
    blocks = ["network unknown {\n}"]
    blocks += [_variable(slot) for slot in parts.slots]
    blocks += [_probability(parts, slot) for slot in parts.slots]
    return "\n".join(blocks) + "\n"


def _variable(slot: Slot) -> str:
    lines = [f"  type discrete [ {slot.cardinality} ] {{ {', '.join(_states(slot))} }};"]
    if not slot.states:
        lines.append(f"  property {UNNAMED_CODES};")
    return "\n".join([f"variable {_quoted(slot.name)} {{", *lines, "}"])


def _probability(parts: ModelParts, slot: Slot) -> str:
    # Rows of float32 are divided by their sum in float64 here, as reading them would.
    table = TableMechanism(parts.mechanisms[slot.name].table().double()).table()
    parents = parts.graph.parents(slot.name)
    rows = table.reshape(-1, slot.cardinality).tolist()
    if not parents:
        header, lines = _quoted(slot.name), [f"  table {_numbers(rows[0])};"]
    else:
        header = f"{_quoted(slot.name)} | {', '.join(map(_quoted, parents))}"
        names = [_states(parts.slots[parent]) for parent in parents]
        places = itertools.product(*(range(len(own)) for own in names))
        lines = [
            f"  ({', '.join(own[k] for own, k in zip(names, place, strict=True))}) {_numbers(row)};"
            for place, row in zip(places, rows, strict=True)
        ]
    return "\n".join([f"probability ( {header} ) {{", *lines, "}"])


def _states(slot: Slot) -> list[str]:
    return [_quoted(state) for state in slot.states or map(str, range(slot.cardinality))]


def _numbers(row: Sequence[float]) -> str:
    return ", ".join(map(repr, row))


def _quoted(name: str) -> str:
    if SAFE_NAME.fullmatch(name) and "//" not in name:
        return name
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
