# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What all tests share: the data beside the repository, and a ROS graph of their own."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
#: Set in the process that runs a file of tests alone.
OWN_PROCESS = "QUANTV2X_TEST_OWN_PROCESS"
#: Marks the processes that these tests start, and those that these start.
SESSION = "QUANTV2X_TEST_SESSION"
os.environ[SESSION] = str(os.getpid())
#: Folder for what is compiled, for all processes of a run; who comes first makes and removes it.
CACHE = "QUANTV2X_TEST_CACHE"
_OWNS_CACHE = CACHE not in os.environ
if _OWNS_CACHE:
    os.environ[CACHE] = tempfile.mkdtemp(prefix="quantv2x_test_cache_")

# Workers share the cores, whatever is set outside: threads that wait for each other spin, and torch
# takes eight times as long.
_WORKERS = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
if _WORKERS > 1:
    os.environ["OMP_NUM_THREADS"] = str(max(1, (os.cpu_count() or 1) // _WORKERS))

# Node processes of a test must neither meet another run's, another worker's of this run, nor a
# robot's on the network. Domains 0 to 101 are usable on every platform; 0 is the default one, and
# so left alone.
WORKER = os.environ.get("PYTEST_XDIST_WORKER", "")
_RUN = os.getppid() if WORKER else os.getpid()
os.environ["ROS_DOMAIN_ID"] = str(1 + (_RUN + 20 * int(WORKER[2:] or 0)) % 101)
if os.environ.get("ROS_DISTRO") == "humble":
    os.environ["ROS_LOCALHOST_ONLY"] = "1"  # Humble does not know the variable below.
else:
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"


#: How this package's processes are started: as modules, or by the executables that colcon installs.
NODE = re.compile(r"-m quantv2x_ros|lib/quantv2x_ros/")


def left_nodes() -> list[str]:
    """Return the command lines of this package's processes that the tests have started (Linux)."""
    mark = f"{SESSION}={os.getpid()}".encode()
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            environment = (folder / "environ").read_bytes().split(b"\0")
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:  # it has ended, or is another user's
            continue
        if mark in environment and NODE.search(command):
            found.append(f"{folder.name}: {command}")
    return found


@pytest.fixture(scope="session", autouse=True)
def no_process_is_left() -> Iterator[None]:
    """Fails the last test where a node outlives all of them."""
    yield
    end = time.monotonic() + 10
    while left_nodes() and time.monotonic() < end:
        time.sleep(0.1)
    assert left_nodes() == []


@pytest.fixture(scope="session", autouse=True)
def engine_cache() -> Iterator[Path]:
    """Compiled engines of tests stay out of the user's cache, and serve all processes of a run."""
    folder = Path(os.environ[CACHE])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder))
        yield folder


def pytest_unconfigure() -> None:
    """Remove the cache that this process has made."""
    if _OWNS_CACHE:
        shutil.rmtree(os.environ[CACHE], ignore_errors=True)


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
def random_bundle(pytestconfig: pytest.Config) -> Callable[..., Path]:
    """Makes bundles of random weights, by the options of `build_random_bundle`.

    Each is made once, for all processes that run tests side by side and for later runs, until the
    sources change. Nobody may write into it.
    """
    root = Path(pytestconfig.cache.mkdir("random_bundles")) / _sources_hash()

    def make(**options: object) -> Path:
        folder = root / hashlib.sha256(repr(sorted(options.items())).encode()).hexdigest()[:12]
        if not (folder / "manifest.yaml").is_file():
            pytest.importorskip("torch", reason="torch, which makes the bundle, is not installed")
            from filelock import FileLock

            _forget_outdated(root)
            with FileLock(folder.with_suffix(".lock")):
                _keep_random_bundle(folder, options)
        return folder

    return make


def _forget_outdated(root: Path) -> None:
    """Remove the bundles of other sources, but not those that another run may have in use."""
    root.mkdir(exist_ok=True)
    for other in root.parent.iterdir():
        if other != root and time.time() - other.stat().st_mtime > 3600:
            shutil.rmtree(other, ignore_errors=True)


def _keep_random_bundle(folder: Path, options: Mapping[str, object]) -> None:
    """Make a bundle, unless it is there by now; whole or not at all."""
    from quantv2x_ros.training.export.random_bundle import build_random_bundle

    if not (folder / "manifest.yaml").is_file():
        unfinished = folder.with_suffix(".unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        build_random_bundle(unfinished, **options)  # type: ignore[arg-type]
        unfinished.rename(folder)


@pytest.fixture(scope="session")
def bundle_folder(random_bundle: Callable[..., Path]) -> Path:
    """A light INT8 bundle of random weights on a grid of 64 x 64 cells."""
    return random_bundle(seed=3, architecture="light")


@pytest.fixture(scope="session")
def calm_bundle_folder(
    random_bundle: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A bundle of the published architecture, with scores and occupancies that tell cells apart.

    The random network's own scores round to 1 in every cell, its occupancies to 0.0001.
    """
    onnx = pytest.importorskip("onnx", reason="onnx, which changes the engines, is not installed")
    import numpy as np
    import yaml

    from quantv2x_ros.inference.model.bundle_files import file_sha256

    changes = {
        "head.onnx": {"cls.weight.scale": (0.1, 0.0), "cls.bias": (0.1, -10.0)},
        "pyramid.onnx": {"occupancy1.weight.scale": (0.2, 0.0)},
    }
    folder = Path(
        shutil.copytree(random_bundle(seed=3), tmp_path_factory.mktemp("calm") / "bundle")
    )
    document = yaml.safe_load((folder / "manifest.yaml").read_text())
    for name, tensors in changes.items():
        model = onnx.load(folder / name)
        found = {tensor.name: tensor for tensor in model.graph.initializer}
        for tensor, (gain, offset) in tensors.items():
            values = (gain * onnx.numpy_helper.to_array(found[tensor]) + offset).astype(np.float32)
            found[tensor].CopyFrom(onnx.numpy_helper.from_array(values, tensor))
        onnx.save(model, folder / name)
        document["files"][name] = file_sha256(folder / name)
    (folder / "manifest.yaml").write_text(yaml.safe_dump(document))
    return folder


@pytest.fixture(scope="session")
def long_bundle_folder(random_bundle: Callable[..., Path]) -> Path:
    """A bundle of random weights on a grid that is longer than wide, 128 x 32 cells."""
    return random_bundle(seed=5, lidar_range=(-51.2, -12.8, -5.0, 51.2, 12.8, 1.0))


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


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two scenes of three agents, three frames each."""
    from quantv2x_ros.data.simulator import write_scenario

    root = tmp_path_factory.mktemp("dataset")
    for seed in (3, 4):
        write_scenario(root / "test" / f"scene_{seed}", seed=seed, frames=3, agents=3)
    return root


#: Files that take longest, the longest first: side by side none of them may be left for the end.
LONGEST_FIRST = (
    "test_whole_way.py",
    "test_processes.py",
    "test_fusion.py",
    "test_companions.py",
    "test_demo.py",
    "test_report.py",
    "test_quantize_command.py",
    "test_cli.py",
    "test_replay.py",
    "test_benchmark_command.py",
    "test_cell_heads.py",
    "test_lint.py",
    "test_heard_replay.py",
    "test_indices_replay.py",
    "test_channel_health.py",
    "test_scene.py",
    "test_terrain.py",
    "test_scripts.py",
    "test_export_engines.py",
    "test_placed_clouds.py",
    "test_same_as_evaluation.py",
    "test_same_bits.py",
    "test_two_domains.py",
    "test_unknown_parameters.py",
    "test_attacker.py",
    "test_cloud_frame.py",
    "test_cloud_checks.py",
    "test_runner.py",
    "test_several_processes.py",
    "test_repository.py",
    "test_export_bundle.py",
    "test_own_pyramid.py",
    "test_evaluate.py",
    "test_consistency_trial.py",
    "test_quantization_simulation.py",
    "test_sparse_heads.py",
    "test_gpu_check.py",
    "test_rigs.py",
    "test_mounts.py",
    "test_stages.py",
    "test_loader.py",
    "test_quantization_reconstruction.py",
    "test_ego.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first; within a file the order stays."""
    ranks = {name: rank for rank, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: ranks.get(item.path.name, len(ranks)))


class OwnProcessFile(pytest.File):
    """A test file that runs in a process of its own, as one test.

    TensorRT's libraries stay loaded for good. In a process that goes on to start and end many
    others, they have ended it with a segmentation fault.
    """

    def collect(self) -> Iterator[pytest.Item]:
        """Yield the one test."""
        yield OwnProcessItem.from_parent(self, name="own_process")


class OwnProcessItem(pytest.Item):
    """Runs a file with pytest."""

    def runtest(self) -> None:
        """Fail with the output where a test in it failed; skip where all were skipped."""
        command = [sys.executable, "-m", "pytest", "-q", "-rs", "--no-header", str(self.path)]
        environment = {**os.environ, OWN_PROCESS: "1"}
        environment.pop("_ROS_WHEELS_BOOTSTRAP_COMPLETE", None)
        done = subprocess.run(
            command, cwd=self.config.rootpath, env=environment, capture_output=True, text=True
        )
        print(done.stdout)
        last = done.stdout.strip().splitlines()[-1] if done.stdout.strip() else "no output"
        if done.returncode:
            pytest.fail(f"{done.stdout}\n{done.stderr}", pytrace=False)
        if "passed" not in last:
            pytest.skip(last)


def pytest_pycollect_makemodule(
    module_path: Path, parent: pytest.Collector
) -> OwnProcessFile | None:
    """Give files that load TensorRT a process of their own."""
    loads_tensorrt = module_path.parent.name == "trt" or module_path.name == "test_build_engine.py"
    if not loads_tensorrt or OWN_PROCESS in os.environ:
        return None
    return OwnProcessFile.from_parent(parent, path=module_path)
