"""Models of other libraries and their files, exchanged as plain parts."""

from ctvae.interop.bif import read_bif, write_bif
from ctvae.interop.dowhy import to_gcm
from ctvae.interop.parts import ModelParts, join_parts
from ctvae.interop.pgmpy import from_pgmpy, to_pgmpy

__all__ = [
    "ModelParts",
    "from_pgmpy",
    "join_parts",
    "read_bif",
    "to_gcm",
    "to_pgmpy",
    "write_bif",
]
