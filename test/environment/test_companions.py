# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Every command works without what training and testing need, or says what brings it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from quantv2x_ros.cli import command_modules
from quantv2x_ros.environment.companions import COMPANIONS, RUNTIME, explain_missing

#: Hides packages from a Python that finds it in its path, and from all that this one starts.
_HIDE = """
import os, sys

class Hidden:
    def __init__(self, finder):
        self._finder = finder

    def find_spec(self, name, *rest):
        hidden = name.partition(".")[0] in os.environ["TEST_HIDDEN"].split()
        return None if hidden else self._finder.find_spec(name, *rest)

    def __getattr__(self, name):
        return getattr(self._finder, name)

sys.meta_path[:] = [Hidden(finder) for finder in sys.meta_path]
"""
#: What the environment of `make demo` lacks.
LACKED = (*COMPANIONS, "hypothesis", "pytest", "ruff", "mypy", "filelock", "pytorch_lightning")

BUNDLE, SCENE, OUT = "{bundle}", "{scene}", "{out}"
CHECKPOINT = ("--checkpoint", OUT + "/none.safetensors")
#: What works, by command; nodes that others start are looked at by importing all modules.
WORKS = {
    "benchmark": (
        *("--no-torch", "--no-scaling", "--json", OUT + "/b.json", "--bundle", BUNDLE),
        *("--scenario", SCENE, "--agents", "1", "--max-agents", "1", "--rounds", "1"),
        *("--repeats", "1", "--points", "2000", "--plot", OUT + "/b.png"),
    ),
    "build-engine": ("--backend", "openvino", "--bundle", BUNDLE),
    "detect": ("--scenario", SCENE, "--bundle", BUNDLE, "--json", OUT + "/d.json"),
    "doctor": ("--data", SCENE),
    "evaluate": (
        *("--data", SCENE, "--bundle", BUNDLE, "--json", OUT + "/e.json", "--max-frames", "1"),
    ),
    "keys": ("--station", "5", "--out", OUT),
    "record": ("--scenario", SCENE, "--out", OUT + "/bag", "--bundle", BUNDLE, "--indices"),
    "simulate": ("--out", OUT, "--scenes", "1", "--frames", "1", "--agents", "1"),
}
#: What needs training.txt, by command.
NEEDS = {
    "benchmark": (
        *("--json", OUT + "/b.json", "--bundle", BUNDLE, "--scenario", SCENE),
        *("--agents", "1", "--max-agents", "1", "--rounds", "1"),
    ),
    "evaluate": (
        *("--data", SCENE, "--bundle", BUNDLE, "--json", OUT + "/e.json", "--precision", "uncoded"),
    ),
    "export": (*CHECKPOINT, "--out", OUT),
    "quantize": (*CHECKPOINT, "--data", SCENE, "--out", OUT),
    "train": ("--data", SCENE, "--out", OUT),
    "train-prior": ("--bundle", BUNDLE, "--data", SCENE),
}
#: What starts nodes for long, or only puts modules together that others use.
IMPORTED = {
    *("benchmark-nodes", "choose-thresholds", "consistency", "demo", "flood", "results", "soak"),
}


@pytest.fixture(scope="module")
def engine_cache(tmp_path_factory):
    """Engines of these tests are compiled once, outside of the user's cache."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def run(tmp_path, engine_cache, repository, bundle_folder, scenario_folder):
    """Runs a program without the packages that `make demo` leaves out."""
    (tmp_path / "hide").mkdir()
    (tmp_path / "hide" / "sitecustomize.py").write_text(_HIDE)
    (tmp_path / "out").mkdir()
    values = {"bundle": bundle_folder, "scene": scenario_folder, "out": tmp_path / "out"}

    def start(*arguments, hidden=LACKED):
        return subprocess.run(
            [sys.executable, *(argument.format(**values) for argument in arguments)],
            cwd=repository,
            env={
                **os.environ,
                "PYTHONPATH": f"{tmp_path / 'hide'}:{os.environ.get('PYTHONPATH', '')}",
                "TEST_HIDDEN": " ".join(hidden),
                "XDG_CACHE_HOME": str(engine_cache),
            },
            capture_output=True,
            text=True,
            timeout=600,
        )

    return start


def test_every_command_is_looked_at():
    assert WORKS.keys() | NEEDS.keys() | IMPORTED == command_modules().keys()


def test_the_packages_are_hidden_as_if_they_were_not_there(run):
    code = "import importlib.util as u; assert u.find_spec('torch') is None; import torch"
    result = run("-c", code)
    assert result.stderr.strip().endswith("ModuleNotFoundError: No module named 'torch'")


@pytest.mark.parametrize("name", sorted(WORKS))
def test_a_command_works_without_them(run, name):
    result = run("-m", "quantv2x_ros", name, *WORKS[name])
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("name", sorted(NEEDS))
def test_a_command_that_needs_them_says_in_one_sentence_what_brings_them(run, name):
    result = run("-m", "quantv2x_ros", name, *NEEDS[name])
    assert result.returncode == 1, result.stdout + result.stderr
    errors = [line for line in result.stderr.splitlines() if "Python package" in line]
    assert len(errors) == 1, result.stderr
    assert re.match(r"error: the Python package \w+ is needed for this", errors[0])
    assert "`make test` brings it" in errors[0]
    assert "Traceback" not in result.stderr


def test_no_module_but_those_of_training_and_of_a_gpu_needs_them(run):
    pytest.importorskip("quantv2x_msgs.msg._bev_indices", reason="quantv2x_msgs is not built")
    code = (
        "import importlib, pkgutil, quantv2x_ros\n"
        "for module in pkgutil.walk_packages(quantv2x_ros.__path__, 'quantv2x_ros.'):\n"
        "    parts = module.name.split('.')\n"
        "    if not set(parts).isdisjoint(('training', 'torch_reference', 'trt')): continue\n"
        "    if parts[-1].startswith('gpu_'): continue\n"
        "    if parts[-1] != '__main__': importlib.import_module(module.name)\n"
    )
    result = run("-c", code)
    assert result.returncode == 0, result.stderr


def test_a_node_says_what_brings_a_package_that_it_lacks(run):
    pytest.importorskip("quantv2x_msgs.msg._bev_indices", reason="quantv2x_msgs is not built")
    result = run("-m", "quantv2x_ros.nodes", "viewer", hidden=("viser",))
    assert result.returncode == 1
    assert "cannot start: the Python package viser is needed" in result.stderr
    assert "requirements/runtime.txt" in result.stderr
    assert "Traceback" not in result.stderr


def test_the_table_is_that_of_the_requirement_files(repository: Path):
    named = {"PyYAML": "yaml", "pillow": "PIL"}

    def modules(file: str) -> set[str]:
        lines = (repository / "requirements" / file).read_text().splitlines()
        found = (re.match(r"[A-Za-z][\w.-]*", line) for line in lines)
        return {named.get(match[0], match[0]) for match in found if match}

    assert RUNTIME.keys() == modules("runtime.txt") - {"typer"}, "without typer there is no command"
    for file in ("training.txt", "tensorrt.txt"):
        assert {name for name, brought in COMPANIONS.items() if brought == file} <= modules(file)
    assert COMPANIONS.keys() == modules("training.txt") | modules("tensorrt.txt")


def test_what_is_no_requirement_of_this_package_stays_a_fault():
    assert explain_missing(ModuleNotFoundError("no", name="quantv2x_ros.nonsense")) == ""
    assert explain_missing(ImportError("cannot import name 'x' from 'torch'", name="torch")) == ""
    assert "torch" in explain_missing(ModuleNotFoundError("no", name="torch.nn"))
