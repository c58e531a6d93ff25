# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The engines that a bundle needs on a backend, and building them all ahead of time."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from quantv2x_ros import __version__
from quantv2x_ros.inference.engine.cache import EngineCache
from quantv2x_ros.inference.engine.engine import EngineError
from quantv2x_ros.inference.model.bundle import ModelBundle
from quantv2x_ros.inference.shapes import (
    encoder_shapes,
    fuse_shapes,
    own_pyramid_shapes,
    pyramid_shapes,
)
from quantv2x_ros.inference.trt.profile import Profile

#: Name of the plan that computes the ego's pyramid from its own feature.
OWN_PYRAMID = "own_pyramid"

#: Receives an engine's name, the fraction built, and what is being done.
Report = Callable[[str, float, str], None]


def tensorrt_profiles(bundle: ModelBundle) -> dict[str, Profile]:
    """The TensorRT engines of a bundle: encoder, pyramid, and fuse for 1 to max_agents agents.

    Where the ego's own feature is used as it is, its pyramid is a plan of the same file.
    """
    own = {OWN_PYRAMID: Profile(own_pyramid_shapes(bundle))} if bundle.own_feature else {}
    return {
        "encoder": Profile(encoder_shapes(bundle)),
        "pyramid": Profile(pyramid_shapes(bundle)),
        **own,
        "fuse": Profile(fuse_shapes(bundle), bundle.max_agents),
    }


def build_engines(
    bundle: ModelBundle,
    backend: str,
    out: Path | None = None,
    report: Report | None = None,
    only: Collection[str] | None = None,
) -> dict[str, dict[str, Any]]:
    """Build all engines of a bundle.

    Args:
        bundle: the bundle.
        backend: openvino or tensorrt.
        out: folder for TensorRT plans; None for the user's cache, where the nodes find them.
        report: told how far each engine is.
        only: names of the TensorRT engines to build; None for all.

    Returns:
        By engine: ``bytes``, ``seconds``, ``precisions`` of its convolutions and ``text``.

    Raises:
        EngineError: for an unknown backend, or an engine that cannot be built as asked.
    """
    if backend == "openvino":
        return _openvino(bundle, report)
    if backend != "tensorrt":
        raise EngineError(f"backend: got '{backend}', engines are built for tensorrt or openvino")
    from quantv2x_ros.inference.trt.api import load_tensorrt
    from quantv2x_ros.inference.trt.cuda import gpu
    from quantv2x_ros.inference.trt.plan import ANY_GPU, ensure_plan

    library = load_tensorrt()
    name = ANY_GPU if library.builds_without_gpu else gpu().name
    built = {}
    for engine, profile in tensorrt_profiles(bundle).items():
        if only is not None and engine not in only:
            continue

        def progress(fraction: float, phase: str, engine: str = engine) -> None:
            if report is not None:
                report(engine, fraction, phase)

        folder = None if out is None else out / engine
        path = bundle.engine_path("pyramid" if engine == OWN_PYRAMID else engine)
        facts = ensure_plan(library, name, path, profile, progress, folder)
        progress(1.0, "ready")
        built[engine] = facts
    return built


def openvino_engines(bundle: ModelBundle) -> int:
    """Return how many engines a CPU needs for all that a bundle can do.

    The encoder's, a pyramid's in each width, the head's, and those of its parts for some cells.
    """
    from quantv2x_ros.inference.cpu.row_parts import PARTS
    from quantv2x_ros.inference.pyramid_engines import engine_widths

    pyramids = 1 if bundle.reproduces_published else len(engine_widths(bundle))
    return 2 + pyramids + (len(PARTS) if bundle.manifest.sparse_heads else 0)


def are_ready(bundle: ModelBundle) -> bool:
    """Whether all engines of a bundle were compiled for this machine's CPU before."""
    return _mark(bundle).is_filled()


def _mark(bundle: ModelBundle) -> EngineCache:
    """What stands in the cache beside engines once all of a bundle's are there."""
    import openvino

    cpu = openvino.Core().get_property("CPU", "FULL_DEVICE_NAME")
    files = sorted(bundle.manifest.files.items())
    return EngineCache("all", (openvino.get_version(), cpu, files, __version__))


def _openvino(bundle: ModelBundle, report: Report | None) -> dict[str, dict[str, Any]]:
    from quantv2x_ros.inference.cpu.engine import watch_engines
    from quantv2x_ros.inference.detector import CooperativeDetector
    from quantv2x_ros.inference.encoder import AgentEncoder

    total, done = openvino_engines(bundle), 0

    def ready(name: str) -> None:
        nonlocal done
        done += 1
        if report is not None:
            report("openvino", done / total, f"{name}, {done} of {total}")

    with watch_engines(ready):
        AgentEncoder(bundle, "openvino")
        CooperativeDetector(bundle, "openvino")
    with _mark(bundle).open() as folder:
        if folder is not None:
            (folder / "ready").touch()
    return {name: {"text": "compiled"} for name in ("encoder", "pyramid", "head")}
