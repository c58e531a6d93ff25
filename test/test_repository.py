# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The repository is what colcon, ROS and its own rules take it for."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path

import pytest

import quantv2x_ros

REPOSITORY = Path(__file__).resolve().parent.parent
SOURCE_FOLDERS = (
    "quantv2x_ros",
    "quantv2x_msgs",
    "launch",
    "config",
    "docker",
    "scripts",
    "test",
    ".ci",
)
SOURCE_SUFFIXES = {".py", ".sh", ".msg", ".txt", ".xml", ".yaml", ""}
HEADER = ("Copyright 2026 quantv2x_ros contributors", "SPDX-License-Identifier: Apache-2.0")

COLCON = "import sys; from colcon_core.command import main; sys.exit(main())"

# Module → package that brings it, where the names differ.
DISTRIBUTIONS = {"PIL": "pillow", "yaml": "pyyaml"}
# What is used only where it happens to be installed.
OPTIONAL = {
    "ament_index_python",
    "sensor_msgs_py",
    "spconv",
    "tensorrt",
    "tf2_msgs",
    "tf2_ros",
    "vision_msgs",
}
# Each layer of the package, and what it must not import (see README, "Layout").
FORBIDDEN = {
    "core": {"rclpy", "torch", "openvino", "tensorrt", "onnx", "matplotlib", "rich", "typer"},
    "data": {"rclpy", "torch", "openvino", "tensorrt"},
    "inference": {"rclpy", "torch"},
    "nodes": {"torch"},
    "offline": {"rclpy", "torch"},
    "demo": {"torch"},
    "training": {"rclpy"},
}


def source_files() -> list[Path]:
    roots = [p for p in REPOSITORY.iterdir() if p.is_file() and p.suffix in {".py", ".xml"}]
    roots += [REPOSITORY / "Makefile", REPOSITORY / "setup.cfg", REPOSITORY / "pyproject.toml"]
    for folder in SOURCE_FOLDERS:
        roots += (p for p in (REPOSITORY / folder).rglob("*") if p.suffix in SOURCE_SUFFIXES)
    return sorted(p for p in roots if p.is_file() and "__pycache__" not in p.parts)


def imports(path: Path) -> Iterator[str]:
    """Yields the top-level names of the modules that a file imports, wherever it does."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module.split(".")[0]


def requirements(*names: str) -> set[str]:
    """Returns the packages that requirement files name, in lower case with dashes."""
    found = set()
    for name in names:
        for line in (REPOSITORY / "requirements" / name).read_text(encoding="utf-8").splitlines():
            match = re.match(r"[A-Za-z0-9._-]+", line)
            if match:
                found.add(match.group().lower().replace("_", "-"))
    return found


def ros_dependencies() -> set[str]:
    """Returns the names that package.xml declares as needed at run time."""
    root = ElementTree.parse(REPOSITORY / "package.xml").getroot()
    elements = (*root.iter("depend"), *root.iter("exec_depend"))
    return {str(element.text) for element in elements}


def console_scripts() -> dict[str, str]:
    text = (REPOSITORY / "setup.py").read_text(encoding="utf-8")
    return dict(re.findall(r'"(\w+) = ([\w.]+:\w+)"', text))


@pytest.mark.parametrize("folder", [".", "quantv2x_msgs"])
def test_package_xml_is_valid(folder: str) -> None:
    catkin_package = pytest.importorskip("catkin_pkg.package")
    warnings: list[str] = []
    package = catkin_package.parse_package(str(REPOSITORY / folder), warnings=warnings)
    package.validate(warnings=warnings)
    assert not warnings
    assert package.package_format == 3
    assert package.licenses == ["Apache-2.0"]
    assert package.version == quantv2x_ros.__version__


def test_setup_py_and_package_xml_agree_on_the_version() -> None:
    setup = (REPOSITORY / "setup.py").read_text(encoding="utf-8")
    assert f'version="{quantv2x_ros.__version__}"' in setup


def test_colcon_lists_both_packages_with_their_ros_types() -> None:
    pytest.importorskip("colcon_core")
    result = subprocess.run(
        [sys.executable, "-c", COLCON, "list"], cwd=REPOSITORY, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    listed = {tuple(line.split()) for line in result.stdout.splitlines()}
    assert listed == {
        ("quantv2x_msgs", "quantv2x_msgs", "(ros.ament_cmake)"),
        ("quantv2x_ros", ".", "(ros.ament_python)"),
    }


def test_every_source_file_starts_with_the_licence_header() -> None:
    def has_header(path: Path) -> bool:
        start = path.read_text(encoding="utf-8").splitlines()[:6]
        return all(any(part in line for line in start) for part in HEADER)

    files = source_files()
    assert len(files) > 30
    assert [str(p.relative_to(REPOSITORY)) for p in files if not has_header(p)] == []


def test_every_folder_of_the_package_is_a_package() -> None:
    folders = {p.parent for p in (REPOSITORY / "quantv2x_ros").rglob("*.py")}
    assert [str(f) for f in sorted(folders) if not (f / "__init__.py").is_file()] == []


@pytest.mark.parametrize(("name", "target"), sorted(console_scripts().items()))
def test_console_script_can_be_imported(name: str, target: str) -> None:
    pytest.importorskip("rclpy", reason="the nodes need ROS 2")
    pytest.importorskip("quantv2x_msgs", reason="the nodes need the built messages")
    module, function = target.split(":")
    assert callable(getattr(importlib.import_module(module), function))
    assert name == function


def test_every_import_is_a_declared_dependency() -> None:
    runtime = requirements("runtime.txt")
    given = {"quantv2x_ros", *ros_dependencies(), *OPTIONAL, *sys.stdlib_module_names}
    undeclared = set()
    for path in (REPOSITORY / "quantv2x_ros").rglob("*.py"):
        is_training = "training" in path.relative_to(REPOSITORY).parts
        declared = runtime | requirements("training.txt") if is_training else runtime
        if path.name.startswith("tensorrt"):
            declared = declared | requirements("tensorrt.txt")
        for name in set(imports(path)) - given:
            distribution = DISTRIBUTIONS.get(name, name).lower().replace("_", "-")
            if distribution not in declared:
                undeclared.add(f"{path.relative_to(REPOSITORY)}: {name}")
    assert undeclared == set()


@pytest.mark.parametrize("layer", sorted(FORBIDDEN))
def test_layer_imports_nothing_from_outside_its_bounds(layer: str) -> None:
    files = list((REPOSITORY / "quantv2x_ros" / layer).rglob("*.py"))
    assert files
    offences = {str(p): FORBIDDEN[layer].intersection(imports(p)) for p in files}
    assert {path: names for path, names in offences.items() if names} == {}


def test_core_and_data_depend_on_no_outer_layer() -> None:
    outer = re.compile(r"quantv2x_ros\.(inference|nodes|training|commands|demo|cli)\b")
    for layer, further in (("core", r"|quantv2x_ros\.data\b"), ("data", "")):
        pattern = re.compile(rf"^\s*(from|import) ({outer.pattern}{further})", re.MULTILINE)
        for path in (REPOSITORY / "quantv2x_ros" / layer).rglob("*.py"):
            assert not pattern.search(path.read_text(encoding="utf-8")), path
