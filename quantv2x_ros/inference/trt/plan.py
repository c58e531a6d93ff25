# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""TensorRT plans on disk: what they were built from and for, and when they may be used."""

from __future__ import annotations

import hashlib
import json
import logging
import platform
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import onnx

from quantv2x_ros.core.cache_folder import find_cache_folder
from quantv2x_ros.inference.engine.cache import EngineCache
from quantv2x_ros.inference.engine.engine import DECODED, EngineError
from quantv2x_ros.inference.trt.api import Progress, TensorRt
from quantv2x_ros.inference.trt.graph import is_quantized, tensorrt_model
from quantv2x_ros.inference.trt.layers import (
    LOG_MARK,
    EngineLayer,
    check_int8,
    layers_from_log,
)
from quantv2x_ros.inference.trt.profile import Profile

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class BuiltPlan:
    """What a build gives.

    Attributes:
        content: the serialized engine.
        layers: what runs in it, and in which precision.
        precisions: precision of each convolution by the name of its ONNX node; empty for a model
            that is not quantized.
        seconds: how long it took.
    """

    content: bytes
    layers: tuple[EngineLayer, ...]
    precisions: Mapping[str, str]
    seconds: float


def build_plan(
    library: TensorRt, path: Path, profile: Profile, progress: Progress | None = None
) -> BuiltPlan:
    """Build a plan.

    Args:
        library: the TensorRT to build with.
        path: ONNX file of a bundle.
        profile: shapes to build for.
        progress: told how far the build is.

    Raises:
        EngineError: for a file that TensorRT refuses, shapes that do not fit it, or an engine
            whose convolutions do not run in INT8 although the file says so.
    """
    start = time.perf_counter()
    model = tensorrt_model(path, without_lookup=DECODED in profile.shapes)
    log = _build_log(library.module)
    try:
        builder = library.module.Builder(log)
    except TypeError as error:  # pybind's word for a null pointer: no GPU, no driver
        raise EngineError(f"{library.label} cannot build here: {log.reason()}") from error
    network = library.create_network(builder)
    parser = library.module.OnnxParser(network, log)
    if not parser.parse(model.SerializeToString()):
        errors = "; ".join(str(parser.get_error(i)) for i in range(parser.num_errors))
        raise EngineError(f"{library.label} refuses {path}: {errors}")
    config = library.configure(builder, network, is_quantized(model), progress)
    config.add_optimization_profile(_profile(builder, network, profile, path))
    content = builder.build_serialized_network(network, config)
    if getattr(getattr(config, "progress_monitor", None), "interrupted", False):
        raise KeyboardInterrupt
    if content is None:
        raise EngineError(f"{library.label} cannot build {path}: {log.reason()}")
    layers = tuple(layers_from_log(log.layers))
    precisions = _check_precision(model, layers)
    return BuiltPlan(bytes(content), layers, precisions, time.perf_counter() - start)


def _check_precision(model: onnx.ModelProto, layers: tuple[EngineLayer, ...]) -> dict[str, str]:
    if not is_quantized(model):
        return {}
    makers = {name: node for node in model.graph.node for name in node.output}
    quantized = [
        node.name
        for node in model.graph.node
        if node.op_type == "Conv" and makers[node.input[1]].op_type == "DequantizeLinear"
    ]
    return check_int8(layers, quantized)


def _profile(builder: Any, network: Any, profile: Profile, path: Path) -> Any:
    known = {network.get_input(i).name: network.get_input(i) for i in range(network.num_inputs)}
    if set(known) != set(profile.shapes):
        raise EngineError(
            f"shapes for {path.name}: got {sorted(profile.shapes)}, its inputs are {sorted(known)}"
        )
    made = builder.create_optimization_profile()
    for name, tensor in known.items():
        least, usual, most = (profile.of(name, agents) for agents in profile.agents)
        fits = len(tensor.shape) == len(usual) and all(
            fixed in (-1, size) for fixed, size in zip(tensor.shape, usual, strict=True)
        )
        if not fits:
            raise EngineError(
                f"shape of input {name} of {path.name}: got {profile.shapes[name]}, it takes "
                f"{tuple(tensor.shape)}"
            )
        made.set_shape(name, least, usual, most)
    return made


def _build_log(module: Any) -> Any:
    """Return a TensorRT logger that keeps errors and the list of layers."""

    class BuildLog(module.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            module.ILogger.__init__(self)
            self.errors: list[str] = []
            self.layers = ""

        def log(self, severity: Any, message: str) -> None:
            if severity <= module.ILogger.ERROR:
                self.errors.append(message)
            elif severity == module.ILogger.WARNING:
                logger.debug("TensorRT: %s", message)
            if LOG_MARK in message:
                self.layers = message

        def reason(self) -> str:
            return "; ".join(self.errors[-3:]) or "it does not say why"

    return BuildLog()


PLAN_FILE = "plan.trt"
ORIGIN_FILE = "origin.json"
#: Of the rewriting of the ONNX file: another number makes another plan.
REWRITING = 1
#: Where TensorRT-RTX builds ahead of time.
ANY_GPU = "any"


class ForeignPlanError(EngineError):
    """A plan that was built from, by or for something else."""


@dataclass(frozen=True)
class PlanOrigin:
    """All that a plan depends on.

    Attributes:
        tensorrt: library and version.
        gpu: name and compute capability, or "any".
        machine: processor architecture of the host.
        onnx: SHA-256 of the ONNX file.
        rewriting: version of what tensorrt_graph makes of the file.
        profile: shapes by input, and the numbers of agents.
    """

    tensorrt: str
    gpu: str
    machine: str
    onnx: str
    rewriting: int
    profile: str

    @classmethod
    def of(cls, library: TensorRt, gpu: str, path: Path, profile: Profile) -> PlanOrigin:
        """Describe the plan that this machine needs of a file.

        Raises:
            EngineError: for a file that cannot be read.
        """
        try:
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
        except OSError as error:
            raise EngineError(f"{path} cannot be read: {error}") from error
        shapes = ", ".join(f"{name} {tuple(s)}" for name, s in sorted(profile.shapes.items()))
        return cls(
            library.label,
            ANY_GPU if library.builds_without_gpu else gpu,
            platform.machine(),
            digest,
            REWRITING,
            f"{shapes}; agents {profile.agents}",
        )

    def check(self, found: PlanOrigin, place: Path) -> None:
        """Check that a plan's origin is this one.

        Raises:
            ForeignPlanError: naming each difference with both values.
        """
        differences = [
            f"{field.name}: built for {getattr(found, field.name)}, here is "
            f"{getattr(self, field.name)}"
            for field in fields(self)
            if getattr(found, field.name) != getattr(self, field.name)
        ]
        if differences:
            raise ForeignPlanError(
                f"plan {place} was built elsewhere: {'; '.join(differences)}. Build it on this "
                "machine: python -m quantv2x_ros build-engine"
            )


def save_plan(folder: Path, plan: BuiltPlan, origin: PlanOrigin) -> None:
    """Write a plan with its origin and the precisions of its layers."""
    (folder / PLAN_FILE).write_bytes(plan.content)
    description = {
        **asdict(origin),
        "sha256": hashlib.sha256(plan.content).hexdigest(),
        "seconds": round(plan.seconds, 2),
        "precisions": dict(plan.precisions),
    }
    (folder / ORIGIN_FILE).write_text(json.dumps(description, indent=1), encoding="utf-8")


def read_plan(folder: Path, wanted: PlanOrigin) -> bytes:
    """Read a plan that may be used here.

    Raises:
        ForeignPlanError: for one of another origin, or whose bytes are not those that were built.
    """
    try:
        description = json.loads((folder / ORIGIN_FILE).read_text(encoding="utf-8"))
        content = (folder / PLAN_FILE).read_bytes()
        found = PlanOrigin(**{f.name: description[f.name] for f in fields(PlanOrigin)})
        digest = description["sha256"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ForeignPlanError(f"plan {folder} is incomplete: {error!r}") from error
    wanted.check(found, folder)
    if hashlib.sha256(content).hexdigest() != digest:
        raise ForeignPlanError(f"plan {folder / PLAN_FILE} was altered since it was built")
    return content


def cached_plan(
    library: TensorRt, gpu: str, path: Path, profile: Profile, progress: Progress | None = None
) -> bytes:
    """Take a plan from the user's cache, or build it there; see ensure_plan."""
    origin = PlanOrigin.of(library, gpu, path, profile)
    cache = EngineCache(f"{path.stem}-{library.name}", origin)
    reason = f"no plan in {cache.folder} yet"
    if cache.folder is not None and cache.is_filled():
        try:
            with cache.open():
                return read_plan(cache.folder, origin)
        except ForeignPlanError as error:
            reason = str(error)
            cache.remove()
    with cache.open() as folder:
        plan = _build(library, origin, path, profile, reason, progress)
        if folder is not None:
            save_plan(folder, plan, origin)
    return plan.content


def ensure_plan(
    library: TensorRt,
    gpu: str,
    path: Path,
    profile: Profile,
    progress: Progress | None = None,
    folder: Path | None = None,
) -> dict[str, Any]:
    """Make sure that a plan is there, and describe it.

    Args:
        library: the TensorRT to build with.
        gpu: name and compute capability of the GPU.
        path: ONNX file.
        profile: shapes to build for.
        progress: told how far a build is.
        folder: where to; None for the user's cache.

    Returns:
        What its description says (see save_plan), ``bytes``, ``folder``, and ``text`` for people.

    Raises:
        EngineError: where it cannot be built as asked.
    """
    origin = PlanOrigin.of(library, gpu, path, profile)
    if folder is None:
        if EngineCache(f"{path.stem}-{library.name}", origin).folder is None:
            raise EngineError(f"plan of {path} cannot be kept: {find_cache_folder().trouble}")
        cached_plan(library, gpu, path, profile, progress)
        folder = EngineCache(f"{path.stem}-{library.name}", origin).folder
        assert folder is not None
    else:
        plan = _build(library, origin, path, profile, f"it goes to {folder}", progress)
        folder.mkdir(parents=True, exist_ok=True)
        save_plan(folder, plan, origin)
    read_plan(folder, origin)
    facts: dict[str, Any] = json.loads((folder / ORIGIN_FILE).read_text(encoding="utf-8"))
    size = (folder / PLAN_FILE).stat().st_size
    kinds = Counter(facts["precisions"].values())
    counted = ", ".join(f"{count} convolutions in {kind}" for kind, count in kinds.items())
    text = (
        f"{size / 1e6:.1f} MB, {counted or 'FP32'}, for {facts['gpu']} GPU, {facts['tensorrt']}, "
        f"built in {facts['seconds']} s, in {folder}"
    )
    return {**facts, "bytes": size, "folder": str(folder), "text": text}


def _build(
    library: TensorRt,
    origin: PlanOrigin,
    path: Path,
    profile: Profile,
    reason: str,
    progress: Progress | None,
) -> BuiltPlan:
    """Build, and say so: what, why, and about how long."""
    logger.warning(
        "building a plan of %s with %s for %s GPU: %s. %s",
        path,
        library.label,
        origin.gpu,
        reason,
        "It takes seconds"
        if library.builds_without_gpu
        else "TensorRT times kernels on the GPU: it takes minutes",
    )
    plan = build_plan(library, path, profile, _reported(path.name, progress))
    logger.warning("%s: built in %.1f s", path.name, plan.seconds)
    return plan


def _reported(name: str, progress: Progress | None) -> Progress:
    """Log a build's progress with an estimate of the time left, at most every 10 seconds."""
    start = last = time.monotonic()

    def report(fraction: float, phase: str) -> None:
        nonlocal last
        if progress is not None:
            progress(fraction, phase)
        now = time.monotonic()
        if now - last >= 10.0 and fraction > 0:
            last = now
            left = (now - start) * (1 - fraction) / fraction
            logger.warning(
                "%s: %.0f %% built (%s), about %.0f s left", name, 100 * fraction, phase, left
            )

    return report
