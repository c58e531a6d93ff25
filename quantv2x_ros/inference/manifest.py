# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The manifest of a model bundle: what it may contain, and its validation."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from quantv2x_ros.core.anchors import AnchorClass, AnchorSet
from quantv2x_ros.core.detection import DetectionConfig
from quantv2x_ros.core.grid import BevGrid
from quantv2x_ros.core.weight_grid import BYTE_LIMIT
from quantv2x_ros.inference.manifest_parts import BundleError as BundleError
from quantv2x_ros.inference.manifest_parts import CodebookInfo as CodebookInfo
from quantv2x_ros.inference.manifest_parts import SparseHeads as SparseHeads
from quantv2x_ros.inference.manifest_parts import (
    check_sparse_heads,
    detection_as_dict,
    parse_detection,
    parse_heights,
)

MANIFEST_NAME = "manifest.yaml"
MANIFEST_FORMAT = 1
PRECISIONS = ("fp32", "int8")
#: Settings of the post-processing that older bundles lack; their defaults change nothing.
OPTIONAL_DETECTION = frozenset(
    {"class_thresholds", "competing", "drop_ego", "vote_threshold", "whole_boxes"}
)
#: Entries that older bundles lack.
OPTIONAL = frozenset({"sensor_heights", "sparse_heads", "weight_limit"})
#: More agents than this would not fit a fusion engine's profile.
AGENT_LIMIT = 64


@dataclass(frozen=True)
class Manifest:
    """Everything in manifest.yaml.

    Attributes:
        name: of the bundle.
        version: of the bundle.
        precision: fp32 or int8.
        parity: published post-processing and no shortcuts, to reproduce a published checkpoint.
        grid: the BEV grid.
        anchors: classes and anchors.
        codebook: what was exported.
        max_agents: most agents fused, the ego included.
        score_gain: factor in the pyramid engine's scores (already applied there).
        detection: settings of the post-processing.
        scales: value of one step of each border tensor; empty for fp32.
        files: file name to SHA-256.
        training: what it was trained with; free.
        measured: accuracy and the like; free.
        sparse_heads: where the heads need computing, by rising score; empty for everywhere.
        weight_limit: greatest magnitude of INT8 weights, see core.weight_grid; None in FP32, and
            in INT8 bundles older than the entry, which go to 127.
        sensor_heights: heights above the ground into which levelled clouds are brought, metres;
            None for the usual ones, see core.levelling.
    """

    name: str
    version: str
    precision: str
    parity: bool
    grid: BevGrid
    anchors: AnchorSet
    codebook: CodebookInfo
    max_agents: int
    score_gain: float
    detection: DetectionConfig
    scales: Mapping[str, float]
    files: Mapping[str, str]
    training: Mapping[str, Any] = field(default_factory=dict)
    measured: Mapping[str, Any] = field(default_factory=dict)
    sparse_heads: tuple[SparseHeads, ...] = ()
    weight_limit: int | None = None
    sensor_heights: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        """Raise BundleError for a value out of range."""
        if self.precision not in PRECISIONS:
            raise BundleError(f"precision: got '{self.precision}', allowed are {PRECISIONS}")
        if not 1 <= self.max_agents <= AGENT_LIMIT:
            raise BundleError(f"max_agents: got {self.max_agents}, allowed are 1 to {AGENT_LIMIT}")
        if not 0 < self.score_gain < np.inf:
            raise BundleError(f"score_gain: got {self.score_gain}, expected a positive number")
        self._check_int8()
        self.detection.thresholds(len(self.anchors.names))
        for name, digest in self.files.items():
            if not re.fullmatch(r"[\w.-]+", name) or name.startswith("."):
                raise BundleError(f"files: '{name}' is not a plain file name")
            if not re.fullmatch(r"[0-9a-f]{64}", digest):
                raise BundleError(f"files: {name} has no SHA-256 but '{digest}'")

    def _check_int8(self) -> None:
        """Raise BundleError where something belongs to INT8 bundles or is missing in them."""
        for tensor, scale in self.scales.items():
            if not 0 < scale < np.inf:
                raise BundleError(f"scale of {tensor}: got {scale}, expected a positive number")
        if (self.precision == "int8") != bool(self.scales):
            raise BundleError("scales belong to int8 bundles, and to those alone")
        check_sparse_heads(self.sparse_heads)
        if self.sparse_heads and (self.parity or self.precision != "int8"):
            raise BundleError("sparse_heads belongs to int8 bundles without parity alone")
        if self.weight_limit is not None and self.precision != "int8":
            raise BundleError("weight_limit belongs to int8 bundles alone")
        if self.weight_limit is not None and not 1 <= self.weight_limit <= BYTE_LIMIT:
            raise BundleError(
                f"weight_limit: got {self.weight_limit}, allowed are 1 to {BYTE_LIMIT}"
            )

    def sparse_heads_for(self, score_threshold: float) -> SparseHeads | None:
        """Return where the heads need computing for a score threshold; None for everywhere."""
        fitting = [entry for entry in self.sparse_heads if entry.score <= score_threshold]
        return fitting[-1] if fitting else None

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for YAML; parse_manifest inverts it."""
        codebook = {**asdict(self.codebook), "id": f"{self.codebook.id:016x}"}
        codebook["background"] = list(self.codebook.background)
        anchors = [{**asdict(c), "size": list(c.size)} for c in self.anchors.classes]
        sparse = [asdict(entry) for entry in self.sparse_heads]
        return {
            "format": MANIFEST_FORMAT,
            "name": self.name,
            "version": self.version,
            "precision": self.precision,
            "parity": self.parity,
            "grid": {
                "lidar_range": list(self.grid.lidar_range),
                "voxel_size": list(self.grid.voxel_size),
                "stride": self.grid.stride,
            },
            "anchors": {"yaws": list(self.anchors.yaws), "classes": anchors},
            "codebook": codebook,
            "max_agents": self.max_agents,
            "score_gain": self.score_gain,
            "detection": detection_as_dict(self.detection, self.anchors.names),
            **({"sensor_heights": list(self.sensor_heights)} if self.sensor_heights else {}),
            **({"sparse_heads": sparse} if sparse else {}),
            **({} if self.weight_limit is None else {"weight_limit": self.weight_limit}),
            "scales": dict(self.scales),
            "files": dict(self.files),
            "training": dict(self.training),
            "measured": dict(self.measured),
        }


def _section(
    value: Any, name: str, allowed: set[str], optional: frozenset[str] = frozenset()
) -> dict[str, Any]:
    """A mapping with exactly the allowed keys, some of them optional, or BundleError."""
    if not isinstance(value, dict):
        raise BundleError(f"{name}: got {type(value).__name__}, expected a mapping")
    unknown = sorted(str(key) for key in set(value) - allowed)
    missing = sorted(allowed - optional - set(value))
    if unknown or missing:
        parts = [f"unknown keys {unknown}"] if unknown else []
        parts += [f"missing keys {missing}"] if missing else []
        raise BundleError(f"{name}: {' and '.join(parts)}")
    return value


def _switch(value: Any, name: str) -> bool:
    if not isinstance(value, bool):
        raise BundleError(f"{name}: got {value!r}, allowed are true and false")
    return value


def _names(kind: Any) -> set[str]:
    return {f.name for f in fields(kind)}


def parse_manifest(content: bytes, path: str | Path = MANIFEST_NAME) -> Manifest:
    """Parse and validate a manifest.

    Args:
        content: YAML.
        path: how to call it in errors.

    Raises:
        BundleError: naming the entry that is unknown, missing or wrong.
    """
    try:
        document = yaml.safe_load(content)
        if isinstance(document, dict) and document.get("format") != MANIFEST_FORMAT:
            raise BundleError(
                f"format: got {document.get('format')!r}, this version reads {MANIFEST_FORMAT}; "
                "export the bundle again or update quantv2x_ros"
            )
        return _manifest(document)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BundleError(f"{path}: not readable as YAML: {error}") from error
    except (TypeError, ValueError, KeyError) as error:
        raise BundleError(f"{path}: {error}") from error


def _manifest(document: Any) -> Manifest:
    names = _names(Manifest) | {"format"}
    top = _section(document, "manifest", names, OPTIONAL)
    grid = _section(top["grid"], "grid", _names(BevGrid))
    anchors = _section(top["anchors"], "anchors", _names(AnchorSet))
    classes = [_section(c, "anchors", _names(AnchorClass)) for c in anchors["classes"]]
    codebook = _section(top["codebook"], "codebook", _names(CodebookInfo))
    detection = _section(top["detection"], "detection", _names(DetectionConfig), OPTIONAL_DETECTION)
    code_id = str(codebook["id"])
    if not re.fullmatch(r"[0-9a-f]{16}", code_id):
        raise BundleError(f"codebook id: got '{code_id}', expected 16 hexadecimal digits")
    background = tuple(int(code) for code in codebook["background"])
    anchor_set = AnchorSet(
        tuple(AnchorClass(**{**c, "size": tuple(c["size"])}) for c in classes),
        tuple(float(yaw) for yaw in anchors["yaws"]),
    )
    return Manifest(
        name=str(top["name"]),
        version=str(top["version"]),
        precision=str(top["precision"]),
        parity=_switch(top["parity"], "parity"),
        grid=BevGrid(tuple(grid["lidar_range"]), tuple(grid["voxel_size"]), int(grid["stride"])),
        anchors=anchor_set,
        codebook=CodebookInfo(**{**codebook, "id": int(code_id, 16), "background": background}),
        max_agents=int(top["max_agents"]),
        score_gain=float(top["score_gain"]),
        detection=parse_detection(detection, anchor_set.names),
        scales={str(k): float(v) for k, v in dict(top["scales"]).items()},
        files={str(k): str(v) for k, v in dict(top["files"]).items()},
        training=dict(top["training"]),
        measured=dict(top["measured"]),
        sparse_heads=_sparse_heads(top.get("sparse_heads")),
        weight_limit=_weight_limit(top.get("weight_limit")),
        sensor_heights=parse_heights(top.get("sensor_heights")),
    )


def _weight_limit(value: Any) -> int | None:
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    raise BundleError(f"weight_limit: got {value!r}, expected a whole number")


def _sparse_heads(value: Any) -> tuple[SparseHeads, ...]:
    if value is None:
        return ()
    if not isinstance(value, list):
        raise BundleError(f"sparse_heads: got {type(value).__name__}, expected a list")
    entries = [_section(entry, "sparse_heads", _names(SparseHeads)) for entry in value]
    return tuple(SparseHeads(float(e["occupancy"]), float(e["score"])) for e in entries)
