"""Saved models: a folder with ``config.json`` and ``weights.safetensors``, never a pickle."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from ctvae.errors import FormatError

__all__ = ["FORMAT_VERSION", "load_folder", "save_folder", "take"]

FORMAT_VERSION = 3
CONFIG = "config.json"
WEIGHTS = "weights.safetensors"


def save_folder(
    folder: str | Path,
    kind: str,
    config: Mapping[str, Any],
    tensors: Mapping[str, Tensor],
    *,
    parts: Mapping[str, Callable[[Path], object]] | None = None,
) -> Path:
    """Writes a model folder, whole or not at all.

    Args:
        folder: Where to write; an older model folder there is replaced.
        kind: The class name that ``load_folder`` will ask for.
        config: JSON-serialisable settings.
        tensors: Name to tensor; moved to the CPU.
        parts: Name of a subfolder to what writes it (the ``save`` of a part).

    Returns:
        The folder.

    Raises:
        FormatError: When the folder cannot be written, or holds something that is no saved model.

    Source: the safetensors format carries no code, so loading a file from a stranger runs none.
    """
    folder = Path(folder)
    if folder.exists() and not (folder / CONFIG).is_file() and any(_contents(folder)):
        msg = f"{folder} exists and is no saved model; give an empty or a new folder"
        raise FormatError(msg)
    document = {
        "class": kind,
        "format_version": FORMAT_VERSION,
        "library_version": version("ctvae"),
        "config": dict(config),
    }
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    except OSError as error:
        msg = f"cannot write to {folder}: {error.strerror or error}"
        raise FormatError(msg) from error
    try:
        (draft / CONFIG).write_text(json.dumps(document, indent=2) + "\n")
        save_file({k: t.detach().cpu().contiguous() for k, t in tensors.items()}, draft / WEIGHTS)
        for name, save in (parts or {}).items():
            save(draft / name)
        draft.chmod(0o755)
        if folder.exists():
            shutil.rmtree(folder)
        os.replace(draft, folder)
    except OSError as error:
        msg = f"cannot write to {folder}: {error.strerror or error}"
        raise FormatError(msg) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return folder


def _contents(folder: Path) -> list[Path]:
    if not folder.is_dir():
        msg = f"{folder} is a file; a model is saved as a folder"
        raise FormatError(msg)
    return list(folder.iterdir())


def load_folder(
    folder: str | Path, kind: str, *, device: torch.device | str = "cpu"
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Reads a model folder.

    Args:
        folder: A folder written by ``save_folder``.
        kind: The class name that it must hold.
        device: Where the tensors go.

    Returns:
        The settings and the tensors.

    Raises:
        FormatError: When a file is missing or unreadable, or the class or format differs.
    """
    folder = Path(folder)
    for name in (CONFIG, WEIGHTS):
        if not (folder / name).is_file():
            msg = f"{folder} is not a saved {kind}: {name} is missing"
            raise FormatError(msg)
    try:
        document = json.loads((folder / CONFIG).read_text())
        found, number, config = (
            document["class"],
            document["format_version"],
            document["config"],
        )
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError) as error:
        msg = f"{folder / CONFIG} is not a saved model's config: {error}"
        raise FormatError(msg) from error
    if found != kind:
        msg = f"{folder} holds a {found}, not a {kind}; load it with ct.{found}.load"
        raise FormatError(msg)
    if number != FORMAT_VERSION:
        msg = (
            f"{folder} has format version {number}, this library reads {FORMAT_VERSION} "
            f"(written by ctvae {document.get('library_version', '?')})"
        )
        raise FormatError(msg)
    try:
        tensors = load_file(folder / WEIGHTS, device=str(device))
    except (SafetensorError, OSError, ValueError) as error:
        msg = f"{folder / WEIGHTS} cannot be read: {error}"
        raise FormatError(msg) from error
    return config, tensors


def take(
    tensors: Mapping[str, Tensor], name: str, shape: tuple[int, ...], where: str | Path
) -> Tensor:
    """Takes one tensor of a stated shape out of a loaded folder.

    Args:
        tensors: What ``load_folder`` gave.
        name: The tensor's name.
        shape: The shape it must have.
        where: The folder, for the message.

    Returns:
        The tensor.

    Raises:
        FormatError: When it is missing or has another shape.
    """
    if name not in tensors:
        msg = f"{where}: tensor {name!r} is missing from {WEIGHTS}"
        raise FormatError(msg)
    if tuple(tensors[name].shape) != shape:
        msg = f"{where}: tensor {name!r} has shape {tuple(tensors[name].shape)}, expected {shape}"
        raise FormatError(msg)
    return tensors[name]
