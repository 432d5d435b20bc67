"""MPI3D: a robot arm holding an object, rendered or photographed."""

from __future__ import annotations

from pathlib import Path

from ctvae.data.files.checking import describe_file
from ctvae.data.files.layouts import colour_pictures
from ctvae.data.files.npz import npz_keys, npz_rows
from ctvae.data.files.stored import FactorGrid
from ctvae.errors import FormatError
from ctvae.slots import SlotSpace

__all__ = ["open_mpi3d"]

FACTORS = (
    "object_color",
    "object_shape",
    "object_size",
    "camera_height",
    "background_color",
    "horizontal_axis",
    "vertical_axis",
)

SIZES = {
    1_036_800: (6, 6, 2, 3, 3, 40, 40),  # toy, realistic, real
    460_800: (4, 4, 2, 3, 3, 40, 40),  # real, complex shapes
}


def open_mpi3d(path: str | Path) -> FactorGrid:
    """Opens an MPI3D archive: toy, realistic, real, or real with complex shapes.

    The file holds no labels: its rows are the product of the factors, the vertical axis fastest.
    An uncompressed archive is mapped; a compressed one is read through as a stream at each call.

    Args:
        path: An ``npz`` with ``images`` (1036800, 64, 64, 3), or (460800, 64, 64, 3) for the
            complex shapes, uint8.

    Returns:
        The grid of seven factors: object colour, shape and size, camera height, background
        colour, horizontal and vertical axis of the arm.

    Raises:
        FormatError: When the file is no such archive.

    Source: Gondal et al., *On the Transfer of Inductive Bias from Simulation to the Real World*,
    NeurIPS 2019.
    """
    path = Path(path)
    npz_keys(path, ["images"])
    store = npz_rows(path, "images", axes=4)
    if store.shape[0] not in SIZES:
        raise FormatError(
            describe_file(
                path,
                f"{store.shape[0]} images",
                " or ".join(f"{count} = {' x '.join(map(str, s))}" for count, s in SIZES.items()),
                "a part of MPI3D has no labels; give the whole archive",
            )
        )
    sizes = SIZES[store.shape[0]]
    space = SlotSpace.from_cardinalities(dict(zip(FACTORS, sizes, strict=True)))
    return FactorGrid(colour_pictures(store), space)
