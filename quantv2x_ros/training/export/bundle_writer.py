# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Writes a model bundle from a trained network."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch

from quantv2x_ros.core.detection.anchors import AnchorSet
from quantv2x_ros.core.detection.detection import DetectionConfig
from quantv2x_ros.inference.model.bundle import ModelBundle
from quantv2x_ros.inference.model.bundle_files import (
    CHECKPOINT_FILE,
    CODEBOOK_FILE,
    ENGINE_FILES,
    OWN_FILE,
    PILLAR_FILE,
    file_sha256,
)
from quantv2x_ros.inference.model.manifest import (
    MANIFEST_NAME,
    PRECISIONS,
    CodebookInfo,
    Manifest,
)
from quantv2x_ros.training.checkpoint import save_checkpoint
from quantv2x_ros.training.graphs.engines import (
    encoder_model,
    fuse_model,
    head_model,
    pyramid_model,
)
from quantv2x_ros.training.graphs.network_graphs import NetworkGraphs
from quantv2x_ros.training.graphs.scales import QuantizationError, weight_limit
from quantv2x_ros.training.network import QuantV2XNetwork
from quantv2x_ros.training.quantization.calibration import calibrate
from quantv2x_ros.training.quantization.post_training import (
    QuantizationConfig,
    fold_alive,
    quantize_calibrated,
)
from quantv2x_ros.training.quantization.simulation import CalibrationFrame


@dataclass(frozen=True)
class BundleSettings:
    """What a bundle says beside what its network says.

    Attributes:
        version: version of the bundle.
        anchors: the anchors it was trained with.
        detection: post-processing.
        max_agents: most agents fused.
        reproduces_published: published post-processing, no shortcuts.
        training: what it was trained with; free, plain values.
        measured: accuracy; free, plain values.
    """

    version: str = "1"
    anchors: AnchorSet = field(default_factory=AnchorSet.v2x_real)
    detection: DetectionConfig = field(default_factory=DetectionConfig.recommended)
    max_agents: int = 8
    reproduces_published: bool = False
    training: Mapping[str, Any] = field(default_factory=dict)
    measured: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        network: QuantV2XNetwork,
        version: str,
        max_agents: int,
        class_aware: bool,
        note: str,
        **training: Any,
    ) -> BundleSettings:
        """Return the settings of a network's bundle with the recommended post-processing.

        Args:
            network: that was trained.
            version: version of the bundle.
            max_agents: most agents fused.
            class_aware: whether boxes suppress only boxes of their own class.
            note: what it was trained with.
            training: how it was made; plain values, too.
        """
        count = sum(parameter.numel() for parameter in network.parameters())
        return cls(
            version=version,
            detection=DetectionConfig.recommended(class_aware),
            max_agents=max_agents,
            training={"note": note, "parameters": count, **training},
        )


def background_codes(network: NetworkGraphs) -> tuple[int, ...]:
    """Index of each plane where an agent sees nothing: the code of an empty sweep's inner cell."""
    pillars = torch.zeros((1, network.pillars.channels, 32, 32))
    feature = network.executor("encoder")({"pillars": pillars})["feature"]
    inner = feature[0, :, 8, 8].numpy().astype(np.float32)[None]
    return tuple(int(code) for code in network.codebook.encode(inner)[:, 0])


def border_scales(network: NetworkGraphs) -> dict[str, float]:
    """Scales of the tensors between the engines, by tensor."""
    scales: dict[str, float] = {}
    for name, graph in network.graphs.items():
        known = network.graph_scales(name)
        for spec in (*graph.inputs, *graph.outputs):
            if spec.name in known:
                scales[spec.name] = known[spec.name].scale
    return scales


def write_bundle(
    network: QuantV2XNetwork,
    graphs: NetworkGraphs,
    folder: str | Path,
    name: str,
    settings: BundleSettings,
) -> ModelBundle:
    """Write all files of a bundle, replacing a bundle that lies there, and load it back.

    Args:
        network: for the checkpoint.
        graphs: the same network folded, in the bundle's precision.
        folder: the bundle's folder.
        name: the bundle's name.
        settings: all else.

    Raises:
        FileExistsError: where the folder holds something that is not a bundle.
    """
    target = Path(folder)
    if target.exists() and any(target.iterdir()) and not (target / MANIFEST_NAME).is_file():
        raise FileExistsError(f"{target} exists and holds no {MANIFEST_NAME}: not overwritten")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as temporary:
        staged = Path(temporary) / "bundle"
        staged.mkdir()
        _write_files(network, graphs, staged)
        manifest = _manifest(graphs, staged, name, settings)
        (staged / MANIFEST_NAME).write_text(manifest.as_yaml(), encoding="utf-8")
        if target.exists():
            shutil.rmtree(target)
        staged.rename(target)
    return ModelBundle.load(target)


def _write_files(network: QuantV2XNetwork, graphs: NetworkGraphs, folder: Path) -> None:
    models = {
        "encoder": encoder_model,
        "pyramid": pyramid_model,
        "head": head_model,
        "fuse": fuse_model,
    }
    # float kernels are fast with narrow groups
    exported = graphs.widened() if graphs.precision == "int8" else graphs
    for name, make in models.items():
        onnx.save(make(exported), folder / ENGINE_FILES[name])
    graphs.codebook.save(folder / CODEBOOK_FILE)
    with open(folder / PILLAR_FILE, "wb") as file:
        np.savez(file, linear=graphs.pillars.linear, bias=graphs.pillars.bias)
    if not graphs.coded_ego:
        with open(folder / OWN_FILE, "wb") as file:
            np.savez(file, offset=graphs.offset)
    save_checkpoint(network, folder / CHECKPOINT_FILE)


def _manifest(graphs: NetworkGraphs, folder: Path, name: str, settings: BundleSettings) -> Manifest:
    codebook = graphs.codebook
    return Manifest(
        name=name,
        version=settings.version,
        precision=graphs.precision,
        reproduces_published=settings.reproduces_published,
        grid=graphs.grid,
        anchors=settings.anchors,
        codebook=CodebookInfo(
            codebook.fingerprint,
            codebook.levels,
            codebook.segments,
            codebook.dict_size,
            background_codes(graphs),
        ),
        max_agents=settings.max_agents,
        score_gain=graphs.score_gain,
        detection=settings.detection,
        scales=border_scales(graphs),
        files={path.name: file_sha256(path) for path in sorted(folder.iterdir())},
        training=settings.training,
        measured=settings.measured,
        weight_limit=max((weight_limit(w.bits) for w in graphs.weights.values()), default=None),
        architecture=graphs.architecture,
        head_reach=graphs.graphs["head"].reach,
        health=graphs.health,
    )


def record_measured(folder: str | Path, measured: Mapping[str, Any]) -> ModelBundle:
    """Replace what a bundle's manifest says was measured with it; returns the bundle.

    Args:
        folder: the bundle.
        measured: accuracy and the like; plain values.

    Raises:
        BundleError: for a damaged bundle.
    """
    bundle = ModelBundle.load(folder)
    return bundle.rewritten(replace(bundle.manifest, measured=measured))


def export_bundle(
    network: QuantV2XNetwork,
    folder: str | Path,
    *,
    name: str,
    calibration_frames: Iterable[CalibrationFrame] = (),
    precision: str = "int8",
    settings: BundleSettings | None = None,
    quantization: QuantizationConfig | None = None,
    keep_dead: bool = False,
) -> ModelBundle:
    """Export a trained network as a bundle.

    Args:
        network: in eval mode.
        folder: where to; an older bundle there is replaced.
        name: the bundle's name.
        calibration_frames: frames with real numbers of agents. INT8 needs them; in FP32 they tell
            which channels never fire.
        precision: int8 or fp32.
        settings: post-processing and what else the manifest says.
        quantization: how INT8 is made; None for the defaults.
        keep_dead: keep channels that never fire on the frames, as a bundle that reproduces a
            published checkpoint always does.

    Raises:
        QuantizationError: for another precision, or INT8 without frames.
    """
    settings = settings or BundleSettings()
    keep_dead = keep_dead or settings.reproduces_published
    if precision not in PRECISIONS:
        raise QuantizationError(f"precision: got '{precision}', allowed are int8 and fp32")
    frames = iter(calibration_frames)
    first = next(frames, None)
    folded = NetworkGraphs.fold(network.eval())
    if first is None and precision == "fp32":
        return write_bundle(network, folded, folder, name, settings)
    calibration = calibrate(folded, frames if first is None else chain([first], frames))
    if precision == "fp32":
        graphs = fold_alive(network, calibration, keep_dead)
    else:
        how = quantization or QuantizationConfig()
        graphs = quantize_calibrated(network, calibration, how, keep_dead)
    return write_bundle(network, graphs, folder, name, settings)
