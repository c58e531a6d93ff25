# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What all tests share: the data beside the repository, and a ROS graph of their own."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent

# Node processes of a test must neither meet another run's nor a robot's on the network. Domains 0
# to 101 are usable on every platform; 0 is the default one, and so left alone.
os.environ["ROS_DOMAIN_ID"] = str(1 + os.getpid() % 101)
if os.environ.get("ROS_DISTRO") == "humble":
    os.environ["ROS_LOCALHOST_ONLY"] = "1"  # Humble does not know the variable below.
else:
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"


@pytest.fixture(scope="session")
def repository() -> Path:
    """Returns the repository's root."""
    return REPOSITORY


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """Returns the folder of golden data and real sweeps, which is not part of the repository.

    It lies beside the repository's root, or where QUANTV2X_SHARED says; tests that need it skip
    where it is absent.
    """
    folder = Path(os.environ.get("QUANTV2X_SHARED", REPOSITORY.parent / "shared"))
    if not folder.is_dir():
        pytest.skip(f"no folder {folder}: golden data and real sweeps (QUANTV2X_SHARED) are absent")
    return folder


def _sources_hash() -> str:
    """A hash of what decides the contents of a random bundle."""
    digest = hashlib.sha256()
    for folder in ("training", "inference", "core"):
        for path in sorted((REPOSITORY / "quantv2x_ros" / folder).rglob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


@pytest.fixture(scope="session")
def bundle_folder(pytestconfig: pytest.Config) -> Path:
    """A bundle of random weights on a grid of 64 x 64 cells; made once and kept for later runs."""
    kept = Path(pytestconfig.cache.mkdir("random_bundle"))
    folder = kept / _sources_hash()
    if not (folder / "manifest.yaml").is_file():
        pytest.importorskip("torch", reason="torch, which makes the bundle, is not installed")
        from quantv2x_ros.training.export.random_bundle import build_random_bundle

        for outdated in kept.iterdir():
            shutil.rmtree(outdated)
        build_random_bundle(folder, seed=3)
    return folder


@pytest.fixture(scope="session")
def scenario_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A V2X-Real scenario of two vehicles and a roadside unit, six frames, some objects."""
    import numpy as np

    from quantv2x_ros.data.simulator import write_scenario

    folder = tmp_path_factory.mktemp("scenario")
    write_scenario(folder, seed=77, frames=6, agents=3)
    assert len(list(folder.rglob("*.bin"))) == 18
    assert np.fromfile(folder / "1" / "000000.bin", np.float32).size > 4000
    return folder
