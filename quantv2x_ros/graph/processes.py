# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Runs a graph's nodes as processes, without `launch`, and ends them all."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from quantv2x_ros.environment.huge_pages import HUGE_PAGES
from quantv2x_ros.environment.middleware import middleware_environment
from quantv2x_ros.graph.graph import EXECUTABLES, PACKAGE, NodeDescription, ParameterValue

#: Time for a process to end by SIGINT before it is killed, seconds.
_GRACE = 30.0


class ProcessGraphError(RuntimeError):
    """A process that ended with an error."""


def command_of(
    node: NodeDescription, log_level: str, params_files: Sequence[str] = ()
) -> list[str]:
    """Return the command line that starts a node's process in this Python.

    Args:
        node: node of this package.
        log_level: level of its loggers.
        params_files: YAML files with further parameters, which override the node's.
    """
    command = [sys.executable, "-m", "quantv2x_ros.nodes", node.executable, *node.arguments]
    command += ["--ros-args", "--log-level", log_level, "-r", f"__ns:={node.namespace}"]
    for name, topic in node.remappings.items():
        command += ["-r", f"{name}:={topic}"]
    for name, value in node.parameters.items():
        command += ["-p", f"{name}:={_yaml(value)}"]
    return command + [item for name in params_files for item in ("--params-file", name)]


def node_environment(base: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of the graph's processes.

    Large clouds pass, memory comes in huge pages, discovery stays local.

    Args:
        base: environment to start from; its variables are kept.
    """
    local = (
        {"ROS_LOCALHOST_ONLY": "1"}  # Humble does not know the other one
        if base.get("ROS_DISTRO") == "humble"
        else {"ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}
    )
    environment = {**middleware_environment(base), **HUGE_PAGES, **local, **base}
    # The wheels' start hook sets the library path once a process tree; each node is a new one.
    environment.pop("_ROS_WHEELS_BOOTSTRAP_COMPLETE", None)
    environment["QUANTV2X_PARENT_PID"] = str(os.getpid())
    return environment


class ProcessGraph:
    """The running processes of a graph. Use it as a context manager; none survives it."""

    def __init__(
        self,
        nodes: Sequence[NodeDescription],
        *,
        log_level: str = "info",
        params_files: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        log_file: Path | None = None,
    ) -> None:
        """Start all processes.

        Args:
            nodes: nodes to start.
            log_level: level of the nodes' loggers.
            params_files: YAML files with further parameters.
            environment: environment of the processes, which is completed; None for this one's.
            log_file: file for their output; None for this process's terminal.

        Raises:
            ProcessGraphError: for what is no node of this package, before anything is started.
        """
        self.nodes = tuple(nodes)
        for node in self.nodes:
            if node.package != PACKAGE or node.executable not in EXECUTABLES:
                raise ProcessGraphError(
                    f"{node.executable} of package {node.package} can only be started by ros2 "
                    f"launch; processes there are for {', '.join(EXECUTABLES)}"
                )
        self._log: IO[bytes] | None = log_file.open("wb") if log_file else None
        self.processes: list[subprocess.Popen[bytes]] = []
        complete = node_environment(os.environ if environment is None else environment)
        try:
            for node in self.nodes:
                self.processes.append(
                    subprocess.Popen(
                        command_of(node, log_level, params_files),
                        env=complete,
                        stdout=self._log,
                        stderr=subprocess.STDOUT if self._log else None,
                        start_new_session=True,  # Ctrl-C reaches them through stop() alone
                    )
                )
        except BaseException:
            self.stop()
            raise

    def is_over(self) -> bool:
        """Tell whether a process that ends the graph has ended.

        Raises:
            ProcessGraphError: if any process has ended with an error.
        """
        over = False
        for node, process in zip(self.nodes, self.processes, strict=True):
            code = process.poll()
            if code:
                raise ProcessGraphError(
                    f"{node.namespace.rstrip('/')}/{node.executable} ended with exit code {code}"
                    + (f"; see {self._log.name}" if self._log else "")
                )
            over |= code is not None and node.ends_graph
        return over

    def stop(self) -> list[int]:
        """Interrupt all processes, wait for them, and return their exit codes."""
        for process in self.processes:
            if process.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    process.send_signal(signal.SIGINT)
        deadline = time.monotonic() + _GRACE
        for process in self.processes:
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if self._log is not None:
            self._log.close()
        return [process.returncode for process in self.processes]

    def __enter__(self) -> ProcessGraph:
        """Return the running graph."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop all processes."""
        self.stop()


def _yaml(value: ParameterValue) -> str:
    """Write a parameter as YAML of its own type: texts in quotes, lest 1 becomes a number."""
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    if isinstance(value, bool):
        return str(value).lower()
    return repr(value)
