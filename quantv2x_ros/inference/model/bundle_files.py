# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The files of a model bundle: their names, and reading them.

Whatever is wrong with one raises BundleError, naming the bundle and the file.
"""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from quantv2x_ros.core.codebook.codebook import ResidualCodebook
from quantv2x_ros.core.codebook.folding import CodebookError
from quantv2x_ros.core.coding.index_model import IndexModel, IndexModelError
from quantv2x_ros.core.pillars.pillar_net import PillarWeights
from quantv2x_ros.inference.model.manifest import BundleError

#: Engine name to file.
ENGINE_FILES = {
    "encoder": "encoder.onnx",
    "pyramid": "pyramid.onnx",
    "head": "head.onnx",
    "fuse": "fuse.onnx",
}
CODEBOOK_FILE = "codebook.npz"
#: Model of the entropy coder; bundles without one send indices bit-packed.
ENTROPY_MODEL_FILE = "prior.npz"
PILLAR_FILE = "pillars.npz"
#: What the ego's own feature is raised by; bundles without it code that feature as their peers do.
OWN_FILE = "own.npz"
CHECKPOINT_FILE = "checkpoint.safetensors"
REQUIRED_FILES = (*ENGINE_FILES.values(), CODEBOOK_FILE, PILLAR_FILE)
_LFS_POINTER = b"version https://git-lfs"


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, hexadecimal."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def read_file(root: Path, name: str) -> bytes:
    """Return a file's bytes; BundleError where it is missing or only a pointer to git-LFS."""
    path = root / name
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise BundleError(
            f"bundle {root}: {name} is missing; restore it (git checkout) or export again"
        ) from None
    except OSError as error:
        raise BundleError(f"bundle {root}: {name} cannot be read: {error}") from error
    if content.startswith(_LFS_POINTER):
        raise BundleError(f"bundle {root}: {name} is a git-LFS pointer; run: git lfs pull")
    return content


def verify_file(root: Path, name: str, expected: str) -> None:
    """Raise BundleError for a file with another SHA-256 than the manifest says."""
    actual = hashlib.sha256(read_file(root, name)).hexdigest()
    if actual != expected:
        raise BundleError(
            f"bundle {root}: {name} was altered: its SHA-256 is {actual[:16]}…, the manifest says "
            f"{expected[:16]}…; restore it (git checkout) or export the bundle again"
        )


def load_codebook(root: Path) -> ResidualCodebook:
    """Read the codebook's tables."""
    try:
        return ResidualCodebook.load(root / CODEBOOK_FILE)
    except (CodebookError, OSError) as error:
        raise BundleError(f"bundle {root}: {CODEBOOK_FILE}: {error}") from error


def load_model(root: Path, codebook: ResidualCodebook) -> IndexModel:
    """Read the entropy coder's model, which must fit the codebook."""
    try:
        model = IndexModel.load(root / ENTROPY_MODEL_FILE)
    except (IndexModelError, OSError) as error:
        raise BundleError(f"bundle {root}: {ENTROPY_MODEL_FILE}: {error}") from error
    if (model.planes, model.dict_size) != (codebook.planes, codebook.dict_size):
        raise BundleError(
            f"bundle {root}: {ENTROPY_MODEL_FILE} is of {model.planes} planes of {model.dict_size} "
            f"codes, the codebook has {codebook.planes} of {codebook.dict_size}; train it again"
        )
    return model


def load_offset(root: Path, channels: int) -> npt.NDArray[np.float32]:
    """What the ego's own feature is raised by, (channels,)."""
    try:
        with np.load(root / OWN_FILE, allow_pickle=False) as archive:
            offset: npt.NDArray[np.float32] = archive["offset"]
    except (ValueError, KeyError, OSError, zipfile.BadZipFile) as error:
        raise BundleError(f"bundle {root}: {OWN_FILE}: {error}") from error
    if offset.shape != (channels,):
        raise BundleError(
            f"bundle {root}: {OWN_FILE} is of shape {offset.shape}, the codebook has {channels} "
            "channels; export the bundle again"
        )
    return offset


def load_pillars(root: Path) -> PillarWeights:
    """Read the pillar layer."""
    try:
        with np.load(root / PILLAR_FILE, allow_pickle=False) as archive:
            arrays: dict[str, Any] = {name: archive[name] for name in ("linear", "bias")}
        return PillarWeights(**{k: v.astype(np.float32) for k, v in arrays.items()})
    except (ValueError, KeyError, OSError, zipfile.BadZipFile) as error:
        raise BundleError(f"bundle {root}: {PILLAR_FILE}: {error}") from error
