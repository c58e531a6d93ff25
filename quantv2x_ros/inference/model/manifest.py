# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The manifest of a model bundle: what it may contain, and its validation."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from quantv2x_ros.core.detection.anchors import AnchorClass, AnchorSet
from quantv2x_ros.core.detection.detection import DetectionConfig
from quantv2x_ros.core.geometry.grid import BevGrid
from quantv2x_ros.core.weight_grid import BYTE_LIMIT
from quantv2x_ros.inference.model.health import Health, parse_health


class BundleError(ValueError):
    """A model bundle that is incomplete, altered, or does not fit this version."""


@dataclass(frozen=True)
class CodebookInfo:
    """What the manifest says of the codebook.

    Attributes:
        id: id of its tables and of the entropy coder's model; see `codebook_id`.
        levels: residual levels.
        segments: segments a level.
        dict_size: codes a segment.
        background: index of each plane in a cell where nothing is.
    """

    id: int
    levels: int
    segments: int
    dict_size: int
    background: tuple[int, ...]

    def __post_init__(self) -> None:
        """Raise BundleError for numbers out of range."""
        if not 0 <= self.id < 1 << 64:
            raise BundleError(f"codebook id: got {self.id:x}, expected 64 bits")
        if not (1 <= self.levels <= 8 and 1 <= self.segments <= 64 and 2 <= self.dict_size <= 256):
            raise BundleError(
                f"codebook: levels {self.levels}, segments {self.segments}, dict_size "
                f"{self.dict_size}; allowed are 1 to 8, 1 to 64, 2 to 256"
            )
        planes = self.levels * self.segments
        wrong = [code for code in self.background if not 0 <= code < self.dict_size]
        if len(self.background) != planes or wrong:
            raise BundleError(
                f"codebook background: got {list(self.background)}, expected {planes} indices "
                f"below {self.dict_size}"
            )


@dataclass(frozen=True)
class SparseHeads:
    """Where the heads need computing, as measured on the calibration frames.

    Attributes:
        occupancy: least probability of an object, by any agent's pyramid on its second level, at
            which the heads are computed.
        score: for score thresholds from this on.
    """

    occupancy: float
    score: float

    def __post_init__(self) -> None:
        """Raise BundleError for numbers out of range."""
        if not (0.0 < self.occupancy < 1.0 and 0.0 < self.score < 1.0):
            raise BundleError(
                f"sparse_heads: occupancy {self.occupancy} and score {self.score} must lie between "
                "0 and 1"
            )


def check_sparse_heads(entries: Sequence[SparseHeads]) -> None:
    """Raise BundleError unless the entries' scores rise."""
    for one, after in itertools.pairwise(entries):
        if after.score <= one.score:
            raise BundleError(
                f"sparse_heads: score {after.score} stands behind {one.score}, they must rise"
            )


def detection_as_dict(detection: DetectionConfig, classes: Sequence[str]) -> dict[str, Any]:
    """Return the section `detection` as plain values: labels as names, what is empty left out."""
    plain = asdict(detection)
    thresholds, competing = plain.pop("class_thresholds"), plain.pop("competing")
    if thresholds:
        plain["class_thresholds"] = dict(zip(classes, thresholds, strict=True))
    if competing:
        plain["competing"] = [[classes[label - 1] for label in group] for group in competing]
    return plain


def parse_detection(section: Mapping[str, Any], classes: Sequence[str]) -> DetectionConfig:
    """Return the settings that a section `detection` says; detection_as_dict inverts it.

    Raises:
        BundleError: for a class that is not one, or thresholds of some classes alone.
        DetectionError: for a value out of range.
    """
    values = dict(section)
    thresholds = values.pop("class_thresholds", None) or {}
    groups = values.pop("competing", None) or []
    if thresholds and set(thresholds) != set(classes):
        raise BundleError(
            f"detection: class_thresholds has {sorted(thresholds)}, expected a score threshold of "
            f"each of {sorted(classes)}"
        )
    unknown = sorted({name for group in groups for name in group} - set(classes))
    if unknown:
        raise BundleError(f"detection: competing names {unknown}, classes are {list(classes)}")
    return DetectionConfig(
        **values,
        class_thresholds=tuple(float(thresholds[name]) for name in classes) if thresholds else (),
        competing=tuple(tuple(classes.index(n) + 1 for n in group) for group in groups),
    )


def parse_heights(value: Any) -> tuple[float, float] | None:
    """Return the range of sensor heights that a manifest says; None where it says none.

    Raises:
        BundleError: for anything but two heights that do not fall.
    """
    if value is None:
        return None
    heights = tuple(float(height) for height in value)
    if len(heights) != 2 or not np.isfinite(heights).all() or not 0 < heights[0] <= heights[1]:
        raise BundleError(
            f"sensor_heights: got {list(value)}, expected the lowest and the highest height above "
            "the ground in metres"
        )
    return heights[0], heights[1]


MANIFEST_NAME = "manifest.yaml"
MANIFEST_FORMAT = 1
PRECISIONS = ("fp32", "int8")
#: Settings of the post-processing that older bundles lack; their defaults change nothing.
OPTIONAL_DETECTION = frozenset(
    {"class_thresholds", "competing", "drop_ego", "vote_threshold", "whole_boxes"}
)
#: Entries that older bundles lack.
OPTIONAL = frozenset(
    {"architecture", "head_reach", "health", "sensor_heights", "sparse_heads", "weight_limit"}
)
#: Architectures of networks (docs/network.md).
ARCHITECTURES = ("published", "light")
#: Cells that the published heads' two 3x3 convolutions reach beyond one that they compute.
PUBLISHED_HEAD_REACH = 2
#: More agents than this would not fit a fusion engine's profile.
AGENT_LIMIT = 64


@dataclass(frozen=True)
class Manifest:
    """Everything in manifest.yaml.

    Attributes:
        name: name of the bundle.
        version: version of the bundle.
        precision: fp32 or int8.
        reproduces_published: published post-processing and no shortcuts, as a published
            checkpoint needs.
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
            None for the usual ones, see core.placement.levelling.
        architecture: of the network, of `ARCHITECTURES`.
        head_reach: cells that the heads' outputs in a cell depend on, to each side of it.
        health: channels that never fire, and operations; None in bundles older than the entry, and
            where no frame was run.
    """

    name: str
    version: str
    precision: str
    reproduces_published: bool
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
    architecture: str = ARCHITECTURES[0]
    head_reach: int = PUBLISHED_HEAD_REACH
    health: Health | None = None

    def __post_init__(self) -> None:
        """Raise BundleError for a value out of range."""
        if self.precision not in PRECISIONS:
            raise BundleError(f"precision: got '{self.precision}', allowed are {PRECISIONS}")
        if not 1 <= self.max_agents <= AGENT_LIMIT:
            raise BundleError(f"max_agents: got {self.max_agents}, allowed are 1 to {AGENT_LIMIT}")
        if not 0 < self.score_gain < np.inf:
            raise BundleError(f"score_gain: got {self.score_gain}, expected a positive number")
        self._check_architecture()
        self._check_int8()
        self.detection.thresholds(len(self.anchors.names))
        for name, digest in self.files.items():
            if not re.fullmatch(r"[\w.-]+", name) or name.startswith("."):
                raise BundleError(f"files: '{name}' is not a plain file name")
            if not re.fullmatch(r"[0-9a-f]{64}", digest):
                raise BundleError(f"files: {name} has no SHA-256 but '{digest}'")

    def _check_architecture(self) -> None:
        """Raise BundleError for an architecture that this version does not run."""
        if self.architecture not in ARCHITECTURES:
            raise BundleError(
                f"architecture: got '{self.architecture}', this version runs"
                f" {' and '.join(ARCHITECTURES)}; update quantv2x_ros or export the bundle again"
            )
        if self.head_reach < 0:
            raise BundleError(f"head_reach: got {self.head_reach}, expected cells, 0 or more")
        if self.architecture != "published" and (self.sparse_heads or self.reproduces_published):
            raise BundleError(
                "parity and sparse_heads belong to the published architecture, got"
                f" '{self.architecture}'"
            )

    def _check_int8(self) -> None:
        """Raise BundleError where something belongs to INT8 bundles or is missing in them."""
        for tensor, scale in self.scales.items():
            if not 0 < scale < np.inf:
                raise BundleError(f"scale of {tensor}: got {scale}, expected a positive number")
        if (self.precision == "int8") != bool(self.scales):
            raise BundleError("scales belong to int8 bundles, and to those alone")
        check_sparse_heads(self.sparse_heads)
        if self.sparse_heads and (self.reproduces_published or self.precision != "int8"):
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
            "parity": self.reproduces_published,
            "architecture": self.architecture,
            "head_reach": self.head_reach,
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
            **({} if self.health is None else {"health": self.health.as_dict()}),
            "scales": dict(self.scales),
            "files": dict(self.files),
            "training": dict(self.training),
            "measured": dict(self.measured),
        }

    def as_yaml(self) -> str:
        """Return the file's text; parse_manifest inverts it."""
        plain = self.as_dict()
        for part in ("layers", "operations"):
            for name, row in plain.get("health", {}).get(part, {}).items():
                plain["health"][part][name] = _Row(row)
        return yaml.dump(plain, Dumper=_Dumper, sort_keys=False, allow_unicode=True)


class _Row(dict[str, Any]):
    """A mapping that stands in one line."""


class _Dumper(yaml.SafeDumper):
    """Writes plain values, and rows."""


_Dumper.add_representer(
    _Row,
    lambda dumper, row: dumper.represent_mapping("tag:yaml.org,2002:map", row, flow_style=True),
)


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
    names = _names(Manifest) - {"reproduces_published"} | {"format", "parity"}
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
        reproduces_published=_switch(top["parity"], "parity"),
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
        weight_limit=_optional_whole(top.get("weight_limit"), "weight_limit"),
        sensor_heights=parse_heights(top.get("sensor_heights")),
        architecture=str(top.get("architecture", ARCHITECTURES[0])),
        head_reach=_whole(top.get("head_reach", PUBLISHED_HEAD_REACH), "head_reach"),
        health=parse_health(top.get("health")),
    )


def _whole(value: Any, name: str) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise BundleError(f"{name}: got {value!r}, expected a whole number")


def _optional_whole(value: Any, name: str) -> int | None:
    return None if value is None else _whole(value, name)


def _sparse_heads(value: Any) -> tuple[SparseHeads, ...]:
    if value is None:
        return ()
    if not isinstance(value, list):
        raise BundleError(f"sparse_heads: got {type(value).__name__}, expected a list")
    entries = [_section(entry, "sparse_heads", _names(SparseHeads)) for entry in value]
    return tuple(SparseHeads(float(e["occupancy"]), float(e["score"])) for e in entries)
