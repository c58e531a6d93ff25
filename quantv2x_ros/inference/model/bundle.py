# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The model bundle: a folder with a manifest, engines as ONNX, and tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from quantv2x_ros.core.codebook.codebook import ResidualCodebook, codebook_id
from quantv2x_ros.core.codebook.own_feature import OwnFeature
from quantv2x_ros.core.coding.wire import EntropyModel
from quantv2x_ros.core.detection.anchors import AnchorSet
from quantv2x_ros.core.detection.detection import DetectionConfig
from quantv2x_ros.core.geometry.grid import BevGrid
from quantv2x_ros.core.pillars.pillar_net import PillarWeights
from quantv2x_ros.core.placement.levelling import SENSOR_HEIGHTS
from quantv2x_ros.core.transport.tiles import IndexMapFormat
from quantv2x_ros.inference.model.bundle_files import (
    ENGINE_FILES,
    ENTROPY_MODEL_FILE,
    OWN_FILE,
    REQUIRED_FILES,
    load_codebook,
    load_model,
    load_offset,
    load_pillars,
    read_file,
    verify_file,
)
from quantv2x_ros.inference.model.manifest import (
    MANIFEST_NAME,
    BundleError,
    Manifest,
    parse_manifest,
)


@dataclass(frozen=True, eq=False)
class ModelBundle:
    """A verified model bundle.

    Attributes:
        folder: where it lies.
        manifest: what its manifest says.
        codebook: tables of the residual codebook.
        pillar_weights: the pillar layer.
        entropy_model: probabilities of its indices, for core.coding.wire.
        own_feature: how the ego uses its own feature as it is; None where it is coded and decoded
            like its peers'.
    """

    folder: Path
    manifest: Manifest
    codebook: ResidualCodebook
    pillar_weights: PillarWeights
    entropy_model: EntropyModel
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
        manifest = parse_manifest(read_file(root, MANIFEST_NAME), root / MANIFEST_NAME)
        unlisted = [name for name in REQUIRED_FILES if name not in manifest.files]
        if unlisted:
            raise BundleError(f"bundle {root}: its manifest lists no {', '.join(unlisted)}")
        for name, expected in manifest.files.items():
            verify_file(root, name, expected)
        codebook = load_codebook(root)
        model = load_model(root, codebook) if ENTROPY_MODEL_FILE in manifest.files else None
        entropy_model = EntropyModel(codebook.dict_size, model)
        bundle = cls(root, manifest, codebook, load_pillars(root), entropy_model)
        bundle._check_codebook()
        if OWN_FILE in manifest.files:
            return replace(bundle, own_feature=bundle._read_own_feature())
        return bundle

    def _check_codebook(self) -> None:
        found, stated = self.codebook, self.manifest.codebook
        number = codebook_id(found, self.entropy_model.model)
        actual = (number, found.levels, found.segments, found.dict_size)
        listed = (stated.id, stated.levels, stated.segments, stated.dict_size)
        if actual != listed:
            raise BundleError(
                f"bundle {self.folder}: its codebook and entropy model have id {number:016x} and "
                f"levels, segments, codes {actual[1:]}, but the manifest says {listed[0]:016x} and "
                f"{listed[1:]}; export the bundle again"
            )

    def _read_own_feature(self) -> OwnFeature:
        offset = load_offset(self.folder, self.codebook.channels)
        try:
            return OwnFeature(offset, self.scale("feature"), self.scale("decoded"))
        except ValueError as error:
            raise BundleError(f"bundle {self.folder}: {OWN_FILE}: {error}") from error

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
    def index_map_format(self) -> IndexMapFormat:
        """Format of its index maps and their tiles."""
        book = self.codebook
        return IndexMapFormat(self.entropy_model, book.levels, book.segments, *self.grid.shape)

    @property
    def background(self) -> npt.NDArray[np.uint8]:
        """Indices of an empty cell (planes,), which fill what does not come; a new array."""
        return np.array(self.manifest.codebook.background, np.uint8)

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

    def rewritten(self, manifest: Manifest) -> ModelBundle:
        """Write another manifest into the bundle's folder; returns the bundle as it is then.

        Raises:
            BundleError: the manifest does not fit the files.
        """
        (self.folder / MANIFEST_NAME).write_text(manifest.as_yaml(), encoding="utf-8")
        return ModelBundle.load(self.folder)

    def with_score_threshold(self, threshold: float) -> ModelBundle:
        """Return this bundle with another threshold of scores, one for all classes.

        Raises:
            DetectionError: for a threshold out of range.
        """
        detection = self.manifest.detection.with_threshold(threshold)
        return replace(self, manifest=replace(self.manifest, detection=detection))

    def for_ranking(self, threshold: float) -> ModelBundle:
        """Return this bundle as average precision is measured; see `DetectionConfig.for_ranking`.

        Raises:
            DetectionError: for a threshold out of range.
        """
        detection = self.manifest.detection.for_ranking(threshold)
        return replace(self, manifest=replace(self.manifest, detection=detection))

    @property
    def detection(self) -> DetectionConfig:
        """Settings of the post-processing."""
        return self.manifest.detection

    @property
    def sensor_heights(self) -> tuple[float, float] | None:
        """Heights above the ground into which levelled clouds are brought, metres.

        None where clouds are not levelled: with the processing of a published checkpoint.
        """
        if self.reproduces_published:
            return None
        return self.manifest.sensor_heights or SENSOR_HEIGHTS

    @property
    def scales(self) -> Mapping[str, float]:
        """Scales of the border tensors; empty in full precision."""
        return self.manifest.scales

    @property
    def precision(self) -> str:
        """fp32 or int8."""
        return self.manifest.precision

    @property
    def reproduces_published(self) -> bool:
        """Whether it reproduces a published checkpoint, with the published post-processing."""
        return self.manifest.reproduces_published

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
        """Id of the codebook tables and the entropy coder's model; see `codebook_id`."""
        return self.manifest.codebook.id

    @property
    def max_agents(self) -> int:
        """Most agents fused, the ego included."""
        return self.manifest.max_agents
