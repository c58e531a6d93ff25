# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Two processes train one network, end when they are told to, and resume."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from quantv2x_ros.data.simulator import write_scenario
from quantv2x_ros.training.stage import LAST_FILE
from quantv2x_ros.training.start import NETWORK_FILE, read_weights

CONFIG = """
stage: 1
epochs: {epochs}
epoch_samples: 4
batch: 1
save_every: 1
grid:
  lidar_range: [-25.6, -25.6, -5.0, 25.6, 25.6, 1.0]
  voxel_size: [0.4, 0.4, 6.0]
samples:
  window: [6.4, 6.4]
  max_agents: 2
  reach: 25.0
optimizer:
  milestones: []
"""


class Training:
    """`train` with two processes on the CPU, in a session of its own."""

    def __init__(self, folder: Path, epochs: int, *options: str) -> None:
        config = folder / f"{epochs}.yaml"
        config.write_text(CONFIG.format(epochs=epochs))
        command = [sys.executable, "-m", "quantv2x_ros", "train", "--data", str(folder / "data")]
        command += ["--out", str(folder / "out"), "--config", str(config), "--workers", "0"]
        command += ["--devices", "2", "--accelerator", "cpu", *options]
        self.log = folder / f"{epochs}.log"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)

    def members(self) -> list[int]:
        """Process ids of the session that still run."""
        ids = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    fields = (entry / "stat").read_text().rpartition(")")[2].split()
                except OSError:
                    continue  # it has just ended
                if int(fields[3]) == self.process.pid and fields[0] != "Z":
                    ids.append(int(entry.name))
        return ids

    def kill(self) -> None:
        for member in self.members():
            os.kill(member, signal.SIGKILL)
        self.process.wait()


def wait_until(condition: Callable[[], bool], seconds: float, log: Path) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not after {seconds} s; the log says:\n{log.read_text()}"
        time.sleep(0.2)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_scenario(tmp_path / "data" / "train" / "scene_5", seed=5, frames=2, agents=2)
    return tmp_path


def step_of(state: Path) -> int:
    return int(torch.load(state, weights_only=True, mmap=True)["global_step"])


def test_two_processes_end_when_told_to_and_resume(folder: Path) -> None:
    state = folder / "out" / LAST_FILE
    endless = Training(folder, 100_000)
    try:
        wait_until(state.is_file, 240.0, endless.log)
        os.killpg(endless.process.pid, signal.SIGTERM)
        wait_until(lambda: endless.process.poll() is not None, 30.0, endless.log)
        wait_until(lambda: not endless.members(), 30.0, endless.log)
    finally:
        endless.kill()
    done = step_of(state)
    epochs = done // 2 + 2  # two steps an epoch: four samples by two processes
    rest = Training(folder, epochs, "--resume")
    try:
        wait_until(lambda: rest.process.poll() is not None, 240.0, rest.log)
    finally:
        rest.kill()
    assert rest.process.returncode == 0, rest.log.read_text()
    assert step_of(state) == 2 * epochs > done
    weights = read_weights(folder / "out" / NETWORK_FILE)
    assert all(bool(value.isfinite().all()) for value in weights.values())
