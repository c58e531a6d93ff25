# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Examines this machine: ROS, middleware, memory, engines, bundle, clock."""

from __future__ import annotations

import ctypes
import os
import shutil
import struct
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from quantv2x_ros.core.cache_folder import find_cache_folder
from quantv2x_ros.core.weight_grid import WEIGHT_LIMITS
from quantv2x_ros.doctor.findings import ERROR, OK, WARNING, Finding
from quantv2x_ros.doctor.health import health
from quantv2x_ros.environment.middleware import (
    PROFILE_VARIABLES,
    fast_dds_version,
    profile_variables,
)
from quantv2x_ros.environment.resources import find_bundle
from quantv2x_ros.inference.cpu.processor import exact_weights, has_bfloat16, held_to, int8_kind

#: Greatest magnitude of the weights of bundles that state none.
_OLDER = 127


def processor(bundle: str = "") -> list[Finding]:
    """Examine the processor: INT8, measured; a bundle's layers; bfloat16.

    Args:
        bundle: folder or name of the model bundle; empty for the default one.
    """
    from quantv2x_ros.inference.backends import available_backends

    if available_backends()["openvino"]:
        return [bfloat16()]
    return [int8(), *layers(bundle), bfloat16()]


def int8() -> Finding:
    """Examine whether INT8 is multiplied exactly, by a convolution with large numbers."""
    from quantv2x_ros.inference.cpu.exactness import share_of_wrong_sums

    grid = WEIGHT_LIMITS[8]
    try:
        wrong, wrong_older = share_of_wrong_sums(grid), share_of_wrong_sums(_OLDER)
    except RuntimeError as error:
        remedy = "install the version of openvino that requirements/runtime.txt names"
        return Finding(ERROR, "INT8", f"OpenVINO does not run a convolution ({error})", remedy)
    held = f", held to {held_to()} by ONEDNN_MAX_CPU_ISA" if held_to() else ""
    kind = f"{int8_kind()}{held}"
    if wrong or (wrong_older and exact_weights() >= _OLDER):
        text = (
            f"{kind}: {wrong:.1%} of a convolution's sums are wrong with weights to ±{grid}, "
            f"{wrong_older:.1%} with weights to ±{_OLDER}"
        )
        remedy = "use a bundle in FP32 (`export --precision fp32`), and report this processor"
        return Finding(ERROR, "INT8", text, remedy)
    if wrong_older:
        older = f"to ±{_OLDER} {wrong_older:.1%} of sums are wrong, so that such layers run in FP32"
    else:
        older = f"and to ±{_OLDER}"
    return Finding(OK, "INT8", f"{kind}: exact with weights to ±{grid}, {older}")


def layers(bundle: str) -> list[Finding]:
    """Examine in which precision a bundle's layers run; nothing of a bundle that cannot be read."""
    import openvino

    from quantv2x_ros.inference.cpu.wide_weights import weights_by_layer
    from quantv2x_ros.inference.model.bundle import ModelBundle

    try:
        loaded = ModelBundle.load(find_bundle(bundle))
    except (ValueError, OSError):
        return []  # `model` says why
    if loaded.precision != "int8":
        return [Finding(OK, "layers", f"{loaded.name} computes in FP32")]
    widest = [
        weight
        for engine in ("encoder", "pyramid", "head")
        for weight in weights_by_layer(
            openvino.Core().read_model(loaded.engine_path(engine))
        ).values()
    ]
    slow = sum(weight > exact_weights() for weight in widest)
    text = f"{len(widest)} of {loaded.name} have INT8 weights, to ±{max(widest, default=0)}"
    if slow:
        return [
            Finding(
                WARNING,
                "layers",
                f"{text}: {slow} of them run in FP32 on this processor, and slower",
                "export the bundle anew with this version: its weights stay within "
                f"±{WEIGHT_LIMITS[8]}",
            )
        ]
    return [Finding(OK, "layers", f"{text}: all run in INT8, exactly")]


def bfloat16() -> Finding:
    """Tell whether training takes bfloat16."""
    if has_bfloat16():
        return Finding(OK, "bfloat16", "the processor has it: training and quantization take it")
    return Finding(OK, "bfloat16", "emulated here: training and quantization take FP32")


# struct timex of adjtimex(2) up to its status, on 64-bit Linux: modes, padding, offset, frequency,
# maximum error, estimated error [µs], status.
_TIMEX = struct.Struct("@I4xlllli")
_SIZE = 256  # more than the whole structure
_UNSYNCHRONISED = 0x40  # STA_UNSYNC


@dataclass(frozen=True)
class ClockState:
    """What the kernel knows of its clock.

    Attributes:
        synchronised: whether a daemon (NTP, PTP) disciplines it.
        max_error_ms: how far it may be off, milliseconds.
    """

    synchronised: bool
    max_error_ms: float


def clock_state() -> ClockState | None:
    """Return the state of the clock; None where the system does not tell."""
    if sys.platform != "linux" or sys.maxsize < 2**32:
        return None
    buffer = ctypes.create_string_buffer(_SIZE)  # modes 0: read only
    try:
        result = ctypes.CDLL(None, use_errno=True).adjtimex(buffer)
    except (AttributeError, OSError):
        return None
    if result < 0:
        return None
    _, _, _, max_error, _, status = _TIMEX.unpack_from(buffer.raw)
    return ClockState(not status & _UNSYNCHRONISED, max_error / 1000.0)


#: Below this a best-effort cloud of 1 to 2 MB does not fit into Fast DDS's shared memory, bytes.
_SEGMENT = 16 * 2**20
#: Least receive buffer that a sweep of another machine's indices needs to survive a burst, bytes.
_SOCKET_BUFFER = 2 * 2**20
_SHARED_MEMORY = 256 * 2**20
_MEMORY = 2 * 2**30
_CORES = 4


def examine_machine(bundle: str = "", root: Path = Path("/")) -> list[Finding]:
    """Examine everything about this machine.

    Args:
        bundle: folder or name of the model bundle; empty for the default one.
        root: where /proc and /dev are.
    """
    return [
        *ros(os.environ),
        large_clouds(os.environ),
        shared_memory(root / "dev/shm"),
        socket_buffers(root / "proc/sys/net/core/rmem_max"),
        *engines(),
        model(bundle),
        *health(bundle),
        *processor(bundle),
        cache(),
        logs(os.environ),
        clock(),
        cores(),
        memory(root / "proc/meminfo"),
    ]


def ros(environment: Mapping[str, str]) -> list[Finding]:
    """Examine the ROS installation."""
    remedy = "run `make build`, or source a workspace in which this package is built"
    try:
        import rclpy
        from rclpy.utilities import get_rmw_implementation_identifier
    except ImportError as error:
        return [Finding(ERROR, "ROS", f"rclpy cannot be imported ({error})", remedy)]
    distribution = environment.get("ROS_DISTRO", "wheels")
    middleware = get_rmw_implementation_identifier()
    findings = [Finding(OK, "ROS", f"{distribution}, {Path(rclpy.__file__).parent}, {middleware}")]
    try:
        from quantv2x_msgs.msg import BevIndices
    except ImportError as error:
        text = f"quantv2x_msgs cannot be imported ({error})"
        return [*findings, Finding(ERROR, "messages", text, remedy)]
    package = Path(BevIndices.__module__.replace(".", "/")).parts[0]
    return [*findings, Finding(OK, "messages", f"{package} is built")]


def large_clouds(environment: Mapping[str, str]) -> Finding:
    """Examine whether clouds of 1 to 2 MB pass between processes."""
    subject = "large clouds"
    rmw = environment.get("RMW_IMPLEMENTATION", "rmw_fastrtps_cpp")
    if "fastrtps" not in rmw:
        return Finding(OK, subject, f"{rmw} has no limit that this package knows of")
    version = fast_dds_version(environment)
    fast_dds = f"Fast DDS {version or ''}".strip()
    read = profile_variables(environment)
    unread = [
        name for name in PROFILE_VARIABLES.values() if name not in read and environment.get(name)
    ]
    profile = next((environment[name] for name in read if environment.get(name)), "")
    if not profile:
        return Finding(
            WARNING,
            subject,
            f"{fast_dds}'s own shared-memory segment holds 512 kB: a larger best-effort cloud is "
            "lost" + "".join(f"; {name} is set, which it does not read" for name in unread),
            f"start nodes by cooperative.launch.py, or export {read[0]}="
            "<share of quantv2x_ros>/config/fastdds_large_clouds.xml for driver and nodes alike",
        )
    if unread and (version or 0) >= 3:  # older ones do not know the new variable, and are silent
        return Finding(
            WARNING,
            subject,
            f"{', '.join(unread)} is set: {fast_dds} reads {read[0]}, and warns once a node",
            f"unset {' '.join(unread)}",
        )
    try:
        sizes = [
            int(element.text or 0)
            for element in ElementTree.parse(profile).getroot().iter()
            if element.tag.rpartition("}")[2] == "segment_size"
        ]
    except (OSError, ValueError, ElementTree.ParseError) as error:
        return Finding(
            ERROR, subject, f"{profile} cannot be read ({error})", "correct the variable or file"
        )
    if max(sizes, default=0) < _SEGMENT:
        return Finding(
            WARNING,
            subject,
            f"{profile} sets a shared-memory segment of {max(sizes, default=0)} bytes",
            f"set segment_size to {_SEGMENT} or more, as config/fastdds_large_clouds.xml does",
        )
    return Finding(OK, subject, f"shared-memory segment of {max(sizes) >> 20} MiB by {profile}")


def shared_memory(folder: Path) -> Finding:
    """Examine the room for messages in shared memory."""
    subject = "shared memory"
    if not folder.is_dir():
        remedy = "mount a tmpfs there; in a container give --ipc=host or --shm-size=512m"
        return Finding(ERROR, subject, f"there is no {folder}", remedy)
    free = shutil.disk_usage(folder).free
    left = len([*folder.glob("fastrtps_*"), *folder.glob("fastdds_*")])  # of version 2, of 3
    text = f"{free >> 20} MiB free in {folder}, {left} segments of Fast DDS"
    if free < _SHARED_MEMORY:
        return Finding(
            WARNING,
            subject,
            text,
            "`fastdds shm clean` removes what killed nodes left; a container needs "
            "--ipc=host or --shm-size=512m",
        )
    return Finding(OK, subject, text)


def socket_buffers(path: Path) -> Finding:
    """Examine the largest receive buffer, which bursts between machines must fit into."""
    subject = "socket buffers"
    try:
        limit = int(path.read_text())
    except OSError as error:
        return Finding(
            WARNING, subject, f"{path} cannot be read ({error})", "check the limit on the host"
        )
    if limit < _SOCKET_BUFFER:
        return Finding(
            WARNING,
            subject,
            f"net.core.rmem_max is {limit} bytes: bursts from other machines are lost",
            f"sysctl -w net.core.rmem_max={4 * _SOCKET_BUFFER}, and keep it in /etc/sysctl.d/",
        )
    return Finding(OK, subject, f"net.core.rmem_max is {limit} bytes")


def engines() -> list[Finding]:
    """Examine which backends can run."""
    from quantv2x_ros.inference.backends import available_backends, choose_backend
    from quantv2x_ros.inference.engine.engine import EngineError

    findings = []
    for name, reason in available_backends().items():
        if not reason:
            findings.append(Finding(OK, f"backend {name}", "usable"))
        elif name == "tensorrt" and not Path("/proc/driver/nvidia/version").is_file():
            findings.append(Finding(OK, f"backend {name}", f"not used: {reason}"))
        else:
            remedy = "install what requirements/runtime.txt and docs/install.md name"
            findings.append(Finding(WARNING, f"backend {name}", reason, remedy))
    try:
        findings.append(Finding(OK, "backend auto", f"takes {choose_backend('auto')}"))
    except (EngineError, ValueError) as error:
        remedy = "install openvino, or on an NVIDIA GPU tensorrt and pycuda"
        findings.append(Finding(ERROR, "backend auto", str(error), remedy))
    return findings


def model(bundle: str) -> Finding:
    """Examine the model bundle: every file's checksum, and that the parts fit."""
    from quantv2x_ros.inference.model.bundle import ModelBundle

    try:
        folder = find_bundle(bundle)
        loaded = ModelBundle.load(folder)
    except (ValueError, OSError) as error:
        remedy = "check it out or copy it again; `git lfs pull` where files are pointers"
        return Finding(ERROR, "bundle", str(error), remedy)
    return Finding(
        OK,
        "bundle",
        f"{loaded.name} {loaded.version} in {folder}, codebook {loaded.codebook_id:016x}, "
        f"{loaded.precision}",
    )


def cache() -> Finding:
    """Examine the folder of what is compiled once: engines and loops."""
    found = find_cache_folder()
    if found.trouble:
        what, _, remedy = found.trouble.partition("; ")
        return Finding(WARNING, "cache", what, remedy)
    return Finding(OK, "cache", f"what is compiled is kept in {found.folder}")


def logs(environment: Mapping[str, str]) -> Finding:
    """Examine the folder of ROS's log files, without which no node starts."""
    home = environment.get("ROS_HOME") or os.path.join(environment.get("HOME", "/"), ".ros")
    folder = Path(environment.get("ROS_LOG_DIR") or os.path.join(home, "log"))
    existing = next(path for path in (folder, *folder.parents) if os.path.exists(path))
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        return Finding(
            ERROR,
            "logs",
            f"{folder} cannot be written, and no node starts",
            "set ROS_LOG_DIR to a folder that can be written",
        )
    return Finding(OK, "logs", f"nodes write to {folder}")


def clock() -> Finding:
    """Examine whether the clock is kept in time, which peers' sweeps are compared by."""
    state = clock_state()
    if state is None:
        return Finding(
            WARNING,
            "clock",
            "the system does not tell whether its clock is synchronised",
            "synchronise all stations by PTP, GNSS or NTP (`chronyc tracking`)",
        )
    if not state.synchronised:
        return Finding(
            WARNING,
            "clock",
            "not synchronised: sweeps of other stations seem too old or in the future",
            "start chrony, ptp4l with phc2sys, or systemd-timesyncd",
        )
    return Finding(OK, "clock", f"synchronised, at most {state.max_error_ms:.1f} ms off")


def cores() -> Finding:
    """Examine the processors."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    count = count or 1
    if count < _CORES:
        return Finding(
            WARNING,
            "cores",
            f"{count}: enough for the nodes of one vehicle, not for simulated peers beside them",
            "play recordings at a lower rate (rate:=0.5), or give the nodes more cores",
        )
    return Finding(OK, "cores", str(count))


def memory(path: Path) -> Finding:
    """Examine the memory that is left."""
    try:
        table = dict(line.split(":", 1) for line in path.read_text().splitlines() if ":" in line)
        available = 1024 * int(table["MemAvailable"].split()[0])
    except (OSError, KeyError) as error:
        return Finding(
            WARNING, "memory", f"{path} does not tell ({error})", "look at it by other means"
        )
    if available < _MEMORY:
        return Finding(
            WARNING,
            "memory",
            f"{available >> 20} MiB left; model and engines take about a gigabyte",
            "end other programs",
        )
    return Finding(OK, "memory", f"{available >> 20} MiB left")
