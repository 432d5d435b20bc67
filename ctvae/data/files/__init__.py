"""Readers of the field's image files. Nothing is unpickled."""

from ctvae.data.files.checking import check_sha256
from ctvae.data.files.folders import open_celeba
from ctvae.data.files.hdf5 import open_shapes3d
from ctvae.data.files.idx import open_mnist
from ctvae.data.files.matlab import open_cars3d
from ctvae.data.files.mpi3d import open_mpi3d
from ctvae.data.files.norb import open_smallnorb
from ctvae.data.files.recognise import open_image_file, read_image_file
from ctvae.data.files.sprites import (
    open_dsprites,
    open_lpc_sprites,
    read_dsprites,
    read_lpc_sprites,
)
from ctvae.data.files.stored import FactorGrid, LabelledImages, StoredImages

__all__ = [
    "FactorGrid",
    "LabelledImages",
    "StoredImages",
    "check_sha256",
    "open_cars3d",
    "open_celeba",
    "open_dsprites",
    "open_image_file",
    "open_lpc_sprites",
    "open_mnist",
    "open_mpi3d",
    "open_shapes3d",
    "open_smallnorb",
    "read_dsprites",
    "read_image_file",
    "read_lpc_sprites",
]
