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
    ".github",
)
SOURCE_SUFFIXES = {".py", ".sh", ".msg", ".txt", ".xml", ".yaml", ""}
HEADER = ("Copyright 2026 quantv2x_ros contributors", "SPDX-License-Identifier: Apache-2.0")

COLCON = "import sys; from colcon_core.command import main; sys.exit(main())"

# Module → package that brings it, where the names differ.
DISTRIBUTIONS = {"PIL": "pillow", "yaml": "pyyaml"}
# What is used only where it happens to be installed.
OPTIONAL = {
    "ament_index_python",
    "autoware_perception_msgs",
    "sensor_msgs_py",
    "tensorrt",
    "tf2_msgs",
    "tf2_ros",
    "vision_msgs",
}
# Folders that import nothing of certain libraries, wherever in a file (see CONTRIBUTING, "Layout").
FORBIDDEN = {
    "core": {"rclpy", "torch", "openvino", "tensorrt", "onnx", "matplotlib", "rich", "typer"},
    "data": {"rclpy", "torch", "openvino", "tensorrt"},
    "inference": {"rclpy", "torch"},
    "inference/cpu": {"tensorrt", "pycuda"},
    "inference/trt": {"openvino"},
    "nodes": {"torch"},
    "evaluation": {"rclpy", "torch"},
    "demo": {"torch"},
    "training": {"rclpy"},
}
# From the innermost to the outermost: a folder imports of its own rank's folders and of lower ones.
RANKS = (
    ("environment", "core"),
    ("data",),
    ("inference",),
    ("graph",),
    ("nodes", "evaluation", "viewer"),
    ("training",),
    ("benchmark", "demo", "doctor", "results", "soak"),
    ("commands",),
)


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
        is_training = {"training", "torch_reference"} & set(path.relative_to(REPOSITORY).parts)
        declared = runtime | requirements("training.txt") if is_training else runtime
        if path.parent.name == "trt":
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


def modules() -> dict[str, Path]:
    """Returns the package's modules and folders by their dotted names."""
    found = {}
    for path in (REPOSITORY / "quantv2x_ros").rglob("*.py"):
        parts = path.relative_to(REPOSITORY).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imported(path: Path, known: dict[str, Path]) -> Iterator[Path]:
    """Yields the package's files that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [name if name in known else node.module for name in names]
        else:
            continue
        yield from (known[name] for name in names if name in known)


def folder_imports() -> dict[str, set[str]]:
    """Returns the folders that each folder of the package imports from; the root's is its version.

    A folder's ``__init__`` names what is in the folder, and counts to it as any other file.
    """
    root, known = REPOSITORY / "quantv2x_ros", modules()
    found: dict[str, set[str]] = {}
    for path in known.values():
        own = path.parent.relative_to(root).as_posix()
        targets = {p.parent.relative_to(root).as_posix() for p in imported(path, known)}
        if path.parent != root:
            found.setdefault(own, set()).update(targets - {own, "."})
    return found


def test_no_folder_imports_another_that_imports_it() -> None:
    left = folder_imports()
    assert len(left) > 25
    while left:
        free = {folder for folder, targets in left.items() if not targets & set(left)}
        assert free, f"circles among {sorted(left)}"
        left = {folder: targets for folder, targets in left.items() if folder not in free}


def test_imports_point_inwards() -> None:
    ranks = {folder: rank for rank, folders in enumerate(RANKS) for folder in folders}
    outward = {
        f"{folder} -> {target}"
        for folder, targets in folder_imports().items()
        for target in targets
        if ranks[target.split("/")[0]] > ranks[folder.split("/")[0]]
    }
    assert outward == set()


def test_no_file_imports_another_that_imports_it() -> None:
    known = modules()
    files = {p for p in known.values() if p.name != "__init__.py"}
    left = {path: set(imported(path, known)) & files - {path} for path in files}
    while left:
        free = {path for path, targets in left.items() if not targets & set(left)}
        assert free, f"circles among {sorted(map(str, left))}"
        left = {path: targets for path, targets in left.items() if path not in free}


def test_no_module_only_passes_names_on() -> None:
    def is_empty(path: Path) -> bool:
        body = ast.parse(path.read_text(encoding="utf-8")).body
        passed = (ast.Import, ast.ImportFrom, ast.Expr)
        return all(
            isinstance(node, passed) or "__all__" in ast.unparse(node).split("=")[0]
            for node in body
        )

    files = [p for p in modules().values() if p.name not in ("__init__.py", "__main__.py")]
    assert [str(path) for path in files if is_empty(path)] == []


def test_a_folders_init_names_the_classes_in_it() -> None:
    unnamed = []
    for path in modules().values():
        if path.name.startswith("_") or path.parent.name in ("quantv2x_ros", "simulator"):
            continue
        text = (path.parent / "__init__.py").read_text(encoding="utf-8")
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            is_public = isinstance(node, ast.ClassDef) and not node.name.startswith("_")
            if is_public and not re.search(rf"\b{node.name}\b", text):
                unnamed.append(f"{path.relative_to(REPOSITORY)}: {node.name}")
    assert unnamed == []
