# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The model bundle: a folder with a manifest, engines as ONNX, and tables."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from quantv2x_ros.core.anchors import AnchorSet
from quantv2x_ros.core.codebook import CodebookError, ResidualCodebook
from quantv2x_ros.core.codebook_id import codebook_id
from quantv2x_ros.core.detection import DetectionConfig
from quantv2x_ros.core.grid import BevGrid
from quantv2x_ros.core.index_model import IndexModel, IndexModelError
from quantv2x_ros.core.own_feature import OwnFeature
from quantv2x_ros.core.pillar_net import PillarWeights
from quantv2x_ros.core.wire import IndexPrior
from quantv2x_ros.inference.manifest import (
    MANIFEST_NAME,
    BundleError,
    Manifest,
    parse_manifest,
)

__all__ = ["ENGINE_FILES", "BundleError", "ModelBundle"]

#: Engine name to file.
ENGINE_FILES = {
    "encoder": "encoder.onnx",
    "pyramid": "pyramid.onnx",
    "head": "head.onnx",
    "fuse": "fuse.onnx",
}
CODEBOOK_FILE = "codebook.npz"
#: Model of the entropy coder; bundles without one send indices bit-packed.
PRIOR_FILE = "prior.npz"
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


@dataclass(frozen=True, eq=False)
class ModelBundle:
    """A verified model bundle.

    Attributes:
        folder: where it lies.
        manifest: what its manifest says.
        codebook: tables of the residual codebook.
        pillar_weights: the pillar layer.
        prior: what is known of its indices beforehand, for core.wire.
        own_feature: how the ego uses its own feature as it is; None where it is coded and decoded
            like its peers'.
    """

    folder: Path
    manifest: Manifest
    codebook: ResidualCodebook
    pillar_weights: PillarWeights
    prior: IndexPrior
    own_feature: OwnFeature | None = None

    @classmethod
    def load(cls, folder: str | Path) -> ModelBundle:
        """Read and verify a bundle.

        Args:
            folder: the bundle's folder.

        Raises:
            BundleError: naming the folder, file or manifest entry that is missing, altered,
                unknown or does not fit, and what to do.
        """
        root = Path(folder)
        if not root.is_dir():
            raise BundleError(
                f"bundle {root}: no such folder; give the folder that holds {MANIFEST_NAME}"
            )
        manifest = parse_manifest(_read(root, MANIFEST_NAME), root / MANIFEST_NAME)
        unlisted = [name for name in REQUIRED_FILES if name not in manifest.files]
        if unlisted:
            raise BundleError(f"bundle {root}: its manifest lists no {', '.join(unlisted)}")
        for name, expected in manifest.files.items():
            _verify(root, name, expected)
        codebook = _load_codebook(root)
        model = _load_model(root, codebook) if PRIOR_FILE in manifest.files else None
        prior = IndexPrior(codebook.dict_size, model)
        bundle = cls(root, manifest, codebook, _load_pillars(root), prior)
        bundle._check_codebook()
        if OWN_FILE in manifest.files:
            return replace(bundle, own_feature=_load_own(bundle))
        return bundle

    def _check_codebook(self) -> None:
        found, stated = self.codebook, self.manifest.codebook
        number = codebook_id(found, self.prior.model)
        actual = (number, found.levels, found.segments, found.dict_size)
        listed = (stated.id, stated.levels, stated.segments, stated.dict_size)
        if actual != listed:
            raise BundleError(
                f"bundle {self.folder}: its codebook and prior have id {number:016x} and levels, "
                f"segments, codes {actual[1:]}, but the manifest says {listed[0]:016x} and "
                f"{listed[1:]}; export the bundle again"
            )

    def engine_path(self, engine: str) -> Path:
        """Path of an engine: encoder, pyramid, head or fuse."""
        return self.folder / ENGINE_FILES[engine]

    def scale(self, tensor: str) -> float | None:
        """Value of one step of a border tensor; None in full precision.

        Raises:
            BundleError: for an INT8 bundle whose manifest lacks the scale.
        """
        if self.precision == "fp32":
            return None
        if tensor not in self.manifest.scales:
            raise BundleError(f"bundle {self.folder}: its manifest has no scale of '{tensor}'")
        return self.manifest.scales[tensor]

    @property
    def grid(self) -> BevGrid:
        """The BEV grid."""
        return self.manifest.grid

    @property
    def range(self) -> tuple[float, float, float, float, float, float]:
        """x, y, z minimum, then maximum, metres."""
        return self.manifest.grid.lidar_range

    @property
    def anchors(self) -> AnchorSet:
        """The anchors."""
        return self.manifest.anchors

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names; label k is classes[k - 1]."""
        return self.manifest.anchors.names

    def with_score_threshold(self, threshold: float) -> ModelBundle:
        """Return this bundle with another threshold of scores.

        Raises:
            DetectionError: for a threshold out of range.
        """
        detection = replace(self.manifest.detection, score_threshold=threshold)
        return replace(self, manifest=replace(self.manifest, detection=detection))

    @property
    def detection(self) -> DetectionConfig:
        """Settings of the post-processing."""
        return self.manifest.detection

    @property
    def scales(self) -> Mapping[str, float]:
        """Scales of the border tensors; empty in full precision."""
        return self.manifest.scales

    @property
    def precision(self) -> str:
        """fp32 or int8."""
        return self.manifest.precision

    @property
    def parity(self) -> bool:
        """Whether it reproduces a published checkpoint, with the published post-processing."""
        return self.manifest.parity

    @property
    def name(self) -> str:
        """Name of the bundle."""
        return self.manifest.name

    @property
    def version(self) -> str:
        """Version of the bundle."""
        return self.manifest.version

    @property
    def codebook_id(self) -> int:
        """Id of the codebook tables and the entropy coder's model; see core.codebook_id."""
        return self.manifest.codebook.id

    @property
    def max_agents(self) -> int:
        """Most agents fused, the ego included."""
        return self.manifest.max_agents


def _read(root: Path, name: str) -> bytes:
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


def _verify(root: Path, name: str, expected: str) -> None:
    actual = hashlib.sha256(_read(root, name)).hexdigest()
    if actual != expected:
        raise BundleError(
            f"bundle {root}: {name} was altered: its SHA-256 is {actual[:16]}…, the manifest says "
            f"{expected[:16]}…; restore it (git checkout) or export the bundle again"
        )


def _load_codebook(root: Path) -> ResidualCodebook:
    try:
        return ResidualCodebook.load(root / CODEBOOK_FILE)
    except (CodebookError, OSError) as error:
        raise BundleError(f"bundle {root}: {CODEBOOK_FILE}: {error}") from error


def _load_model(root: Path, codebook: ResidualCodebook) -> IndexModel:
    try:
        model = IndexModel.load(root / PRIOR_FILE)
    except (IndexModelError, OSError) as error:
        raise BundleError(f"bundle {root}: {PRIOR_FILE}: {error}") from error
    if (model.planes, model.dict_size) != (codebook.planes, codebook.dict_size):
        raise BundleError(
            f"bundle {root}: {PRIOR_FILE} is of {model.planes} planes of {model.dict_size} codes, "
            f"the codebook has {codebook.planes} of {codebook.dict_size}; train it again"
        )
    return model


def _load_own(bundle: ModelBundle) -> OwnFeature:
    try:
        with np.load(bundle.folder / OWN_FILE, allow_pickle=False) as archive:
            offset: Any = archive["offset"]
        own = OwnFeature(offset, bundle.scale("feature"), bundle.scale("decoded"))
    except (ValueError, KeyError, OSError, zipfile.BadZipFile) as error:
        raise BundleError(f"bundle {bundle.folder}: {OWN_FILE}: {error}") from error
    if len(own.offset) != bundle.codebook.channels:
        raise BundleError(
            f"bundle {bundle.folder}: {OWN_FILE} has {len(own.offset)} channels, the codebook "
            f"{bundle.codebook.channels}; export the bundle again"
        )
    return own


def _load_pillars(root: Path) -> PillarWeights:
    try:
        with np.load(root / PILLAR_FILE, allow_pickle=False) as archive:
            arrays: dict[str, Any] = {name: archive[name] for name in ("linear", "bias")}
        return PillarWeights(**{k: v.astype(np.float32) for k, v in arrays.items()})
    except (ValueError, KeyError, OSError, zipfile.BadZipFile) as error:
        raise BundleError(f"bundle {root}: {PILLAR_FILE}: {error}") from error
