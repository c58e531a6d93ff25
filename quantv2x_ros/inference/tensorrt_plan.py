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
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from quantv2x_ros.core.cache_folder import find_cache_folder
from quantv2x_ros.inference.cache import EngineCache
from quantv2x_ros.inference.engine import EngineError
from quantv2x_ros.inference.profile import Profile
from quantv2x_ros.inference.tensorrt_api import Progress, TensorRt
from quantv2x_ros.inference.tensorrt_build import BuiltPlan, build_plan

logger = logging.getLogger(__name__)

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
