# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Repairs the CMake files of the ROS 2 wheels in the environment that runs this script.

The wheels' `share/*/cmake/*_pyExport.cmake` name the include folders of Python and NumPy on the
machine that built the wheels, so that CMake fails everywhere else. This script puts in the
folders of this environment. Running it again is harmless, and needed after each installation of
further message wheels.
"""

import re
import sys
import sysconfig
from pathlib import Path

import numpy

_BUILDER_PYTHON = re.compile(r"/opt/python/cp\d+-cp\d+t?/include/python3\.\d+t?")
_BUILDER_NUMPY = re.compile(
    r"/opt/python/cp\d+-cp\d+t?/lib/python3\.\d+t?/site-packages/numpy/_?core/include"
)


def patch_exports(prefix: Path) -> int:
    """Replaces the builder's include folders below a prefix.

    Args:
        prefix: The environment's root, which holds `share/`.

    Returns:
        The number of files changed.

    Raises:
        RuntimeError: A file still names a folder of the builder's machine afterwards, so that the
            wheels must have changed in a way that this script does not know.
    """
    numpy_include = numpy.get_include()
    python_include = sysconfig.get_path("include")
    changed = 0
    for path in sorted(prefix.glob("share/*/cmake/*_pyExport.cmake")):
        before = path.read_text(encoding="utf-8")
        after = _BUILDER_NUMPY.sub(lambda _: numpy_include, before)
        after = _BUILDER_PYTHON.sub(lambda _: python_include, after)
        if "/opt/python" in after:
            raise RuntimeError(
                f"{path} still names a folder below /opt/python after the known ones were "
                "replaced: the ROS 2 wheels have changed, adapt scripts/patch_wheels.py to them."
            )
        if after != before:
            _replace(path, after)
            changed += 1
    return changed


def _replace(path: Path, text: str) -> None:
    """Puts a new file in the old one's place, which may be a link into an installer's cache."""
    new = path.with_name(f"{path.name}.new")
    new.write_text(text, encoding="utf-8")
    new.replace(path)


if __name__ == "__main__":
    try:
        patch_exports(Path(sys.prefix))
    except RuntimeError as error:
        sys.exit(f"error: {error}")
