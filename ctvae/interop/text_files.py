"""Text files, plain or gzipped."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

from ctvae.errors import FormatError

__all__ = ["read_text"]

GZIP_MAGIC = b"\x1f\x8b"


def read_text(path: str | Path) -> str:
    """Reads a text file in UTF-8.

    Args:
        path: The file; what is gzipped is told by its first bytes, not by its name.

    Returns:
        The text.

    Raises:
        FormatError: When there is no such file, it is cut off, or it is no text.
    """
    try:
        data = Path(path).read_bytes()
        if data.startswith(GZIP_MAGIC):
            data = gzip.decompress(data)
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        msg = f"{path}: expected a text in UTF-8, got byte {data[error.start]:#04x}"
        raise FormatError(msg) from error
    except (OSError, EOFError, zlib.error) as error:
        msg = f"{path}: cannot be read: {error}; give a path to a file, or the text itself"
        raise FormatError(msg) from error
