"""Checkpoints of a training run: one folder per stage, never a pickle."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from ctvae.errors import FormatError
from ctvae.persistence import load_folder, save_folder
from ctvae.training.loop import Snapshot

__all__ = ["Checkpoint"]

KIND = "TrainingCheckpoint"


@dataclass(frozen=True)
class Checkpoint:
    """A folder of snapshots of one run.

    Attributes:
        folder: Where.
        run: What identifies the run (settings and size of the data); a folder of another run is
            refused.
    """

    folder: Path
    run: str

    def save(self, stage: str, snapshot: Snapshot) -> None:
        """Writes the state of a stage, replacing the one before.

        Args:
            stage: The stage's name.
            snapshot: Its state.
        """
        config = {"run": self.run, "step": snapshot.step, "records": snapshot.records}
        save_folder(self.folder / stage, KIND, config, snapshot.tensors)

    def load(self, stage: str) -> Snapshot | None:
        """Reads the state of a stage.

        Args:
            stage: The stage's name.

        Returns:
            Its latest snapshot; ``None`` when it has not begun.

        Raises:
            FormatError: When the folder belongs to another run.
        """
        if not (self.folder / stage).is_dir():
            return None
        config, tensors = load_folder(self.folder / stage, KIND)
        if config["run"] != self.run:
            msg = (
                f"{self.folder} holds a run with other settings or data; give a new folder, or the "
                f"settings it was begun with: {json.dumps(config['run'])}"
            )
            raise FormatError(msg)
        return Snapshot(config["step"], tensors, config["records"])
