# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The detector that a command is asked for."""

from __future__ import annotations

from pathlib import Path

from quantv2x_ros.evaluation.detector import EngineDetector
from quantv2x_ros.inference.model.bundle import ModelBundle
from quantv2x_ros.inference.model.manifest import BundleError
from quantv2x_ros.inference.protocol import Detector

#: The precision whose agents send features as they are.
UNCODED = "uncoded"


def open_detector(
    folder: Path,
    precision: str = "",
    backend: str = "auto",
    threads: int = 0,
    score_threshold: float | None = None,
) -> Detector:
    """Load a bundle and make what detects with it.

    Args:
        folder: The bundle.
        precision: `int8` or `fp32`; empty for that of its engines. `fp32` of an INT8 bundle is the
            torch network with the bundle's checkpoint; `uncoded` is that network on features that
            no codebook has touched.
        backend: Of the engines: `auto`, `openvino` or `tensorrt`.
        threads: Threads of a CPU engine; 0: one a core.
        score_threshold: Boxes from this score on are ranked, each class for itself, in the place of
            what the bundle gives; `None` keeps that.

    Raises:
        BundleError: If the bundle is damaged, or has not this precision.
        DetectionError: For a threshold out of range.
    """
    bundle = ModelBundle.load(folder)
    if score_threshold is not None:
        bundle = bundle.for_ranking(score_threshold)
    if precision in ("", bundle.precision):
        return EngineDetector(bundle, backend, threads)
    if precision not in ("fp32", UNCODED):
        raise BundleError(
            f"bundle {folder}: precision {precision!r} was asked for, its engines are"
            f" {bundle.precision}; choose {bundle.precision}, fp32 or {UNCODED}"
        )
    # needs torch, which a vehicle does not have
    from quantv2x_ros.training.bundle_network import BundleNetwork
    from quantv2x_ros.training.detector import FeatureMessages, IndexMessages, TorchDetector

    network = BundleNetwork(bundle, threads)
    messages = FeatureMessages(bundle) if precision == UNCODED else IndexMessages(bundle)
    return TorchDetector(bundle, network, messages)
