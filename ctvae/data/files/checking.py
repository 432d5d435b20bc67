"""What every reader checks first: that the file is there, and that it is the file expected."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from ctvae.errors import FormatError

__all__ = ["check_sha256", "describe_file", "existing_file", "existing_folder"]


def check_sha256(path: str | Path, expected: str) -> Path:
    """Checks that a file is the one meant, by its SHA-256 digest.

    Args:
        path: The file.
        expected: Its digest as published, 64 hexadecimal digits.

    Returns:
        The path, to be handed on to a reader.

    Raises:
        FormatError: When there is no such file, or it has another digest.

    Example:
        >>> import tempfile
        >>> with tempfile.NamedTemporaryFile(delete=False) as file:
        ...     _ = file.write(b"abc")
        >>> digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        >>> check_sha256(file.name, digest) == Path(file.name)
        True

    Cost: one pass over the file, in pieces.
    """
    path = existing_file(path)
    if not re.fullmatch("[0-9a-fA-F]{64}", expected):
        msg = f"a SHA-256 digest has 64 hexadecimal digits, got {expected!r} for {path}"
        raise FormatError(msg)
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    if digest != expected.lower():
        raise FormatError(
            describe_file(
                path,
                f"its SHA-256 is {digest}",
                expected.lower(),
                "it is another version, or was damaged on its way: fetch it again",
            )
        )
    return path


def existing_file(path: str | Path) -> Path:
    """Checks that a file is there.

    Args:
        path: The file.

    Returns:
        Its path.

    Raises:
        FormatError: When there is none.
    """
    path = Path(path)
    if path.is_file():
        return path
    what = "it is a folder" if path.is_dir() else "no such file"
    raise FormatError(describe_file(path, what, "a file", "check the path"))


def existing_folder(path: str | Path) -> Path:
    """Checks that a folder is there.

    Args:
        path: The folder.

    Returns:
        Its path.

    Raises:
        FormatError: When there is none.
    """
    path = Path(path)
    if path.is_dir():
        return path
    what = "it is a file" if path.is_file() else "no such folder"
    raise FormatError(
        describe_file(path, what, "the folder of the data set, unpacked", "check the path")
    )


def describe_file(path: str | Path, got: str, expected: str, way_out: str) -> str:
    """Says what a file holds, what it should hold, and what can be done.

    Args:
        path: The file.
        got: What was found.
        expected: What should have been found.
        way_out: What the user can do.

    Returns:
        The text of a ``FormatError``.
    """
    return f"{path}: {got}; expected {expected}; {way_out}"
