# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Builds and installs the ament_python package quantv2x_ros."""

from pathlib import Path

from setuptools import find_packages, setup

PACKAGE = "quantv2x_ros"

# Folders that are installed as they are, below the package's share folder.
SHARED_FOLDERS = ("launch", "config", "rviz", "layouts", "engines")


def shared_files(folder):
    """Lists a folder's files for `data_files`, one entry a directory.

    Build leftovers (bytecode, hidden files) are left out. A folder that does not exist has no
    entries.
    """
    entries = {}
    for path in sorted(Path(folder).rglob("*")):
        parts = path.relative_to(folder).parts
        if path.is_file() and not any(p.startswith((".", "__pycache__")) for p in parts):
            entries.setdefault(f"share/{PACKAGE}/{path.parent.as_posix()}", []).append(str(path))
    return list(entries.items())


setup(
    name=PACKAGE,
    version="0.1.0",
    description="Cooperative 3D object detection over V2X with quantized codebook indices",
    author="quantv2x_ros contributors",
    maintainer="quantv2x_ros contributors",
    maintainer_email="maintainers@quantv2x-ros.example",
    license="Apache-2.0",
    packages=find_packages(include=[PACKAGE, f"{PACKAGE}.*"]),
    package_data={PACKAGE: ["py.typed"]},
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{PACKAGE}"]),
        (f"share/{PACKAGE}", ["package.xml", "LICENSE"]),
        *[entry for folder in SHARED_FOLDERS for entry in shared_files(folder)],
    ],
    python_requires=">=3.10",
    install_requires=["setuptools"],
    extras_require={"test": ["pytest"]},
    zip_safe=False,
    entry_points={
        "console_scripts": [
            "ego = quantv2x_ros.nodes.entry:ego",
            "encoder = quantv2x_ros.nodes.entry:encoder",
            "fusion = quantv2x_ros.nodes.entry:fusion",
            "replay = quantv2x_ros.nodes.entry:replay",
            "channel = quantv2x_ros.nodes.entry:channel",
            "radio = quantv2x_ros.nodes.entry:radio",
            "viewer = quantv2x_ros.nodes.entry:viewer",
        ],
    },
)
