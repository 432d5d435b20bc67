"""One record for each run: written whole or not at all, found again by its settings."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from ctvae.errors import FormatError

__all__ = ["Record", "RunKey", "read_records", "write_record"]


@dataclass(frozen=True)
class RunKey:
    """What a run is: the same key gives the same figures.

    Attributes:
        data: The name of the data set.
        method: The name of the method.
        seed: Of the split, weights and batches.
        settings: Everything else that figures depend on: budget, method, scores.
    """

    data: str
    method: str
    seed: int
    settings: dict[str, dict[str, float | str]]

    @property
    def settings_hash(self) -> str:
        """Eight hexadecimal digits of the settings."""
        text = json.dumps(self.settings, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:8]

    @property
    def filename(self) -> str:
        """Where the record lies in its folder."""
        data = "".join(c if c.isalnum() or c in "-_" else "-" for c in self.data)
        return f"{data}.{self.method}.{self.seed}.{self.settings_hash}.json"


@dataclass(frozen=True)
class Record:
    """What a run gave.

    Attributes:
        key: Which run.
        scores: Figures by name, ``None`` where one is not defined.
        cpu_seconds: Of training, all threads.
        device: Where it was trained.
        versions: Of the packages that figures depend on.
    """

    key: RunKey
    scores: dict[str, float | None]
    cpu_seconds: float
    device: str
    versions: dict[str, str]


def write_record(record: Record, folder: Path) -> Path:
    """Writes a record; a reader sees all of it or nothing.

    Args:
        record: The record.
        folder: Made where it does not exist.

    Returns:
        The file.

    Raises:
        FormatError: When it cannot be written.
    """
    path = folder / record.key.filename
    draft = path.with_suffix(f".{os.getpid()}.draft")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        draft.write_text(json.dumps(asdict(record), indent=1, allow_nan=False) + "\n")
        draft.replace(path)
    except OSError as error:
        msg = f"cannot write the record {path}: {error}"
        raise FormatError(msg) from error
    return path


def read_records(folder: Path) -> list[Record]:
    """Reads all records of a folder.

    Args:
        folder: Where ``write_record`` put them.

    Returns:
        The records, by name of their file; none where there is no folder.

    Raises:
        FormatError: When a file is no record.
    """
    found = []
    for path in sorted(folder.glob("*.json")):
        try:
            plain = json.loads(path.read_text())
            found.append(Record(**{**plain, "key": RunKey(**plain["key"])}))
        except (ValueError, TypeError, KeyError, OSError) as error:
            msg = f"{path} is no record of a run: {error}; delete it to run it again"
            raise FormatError(msg) from error
    return found
