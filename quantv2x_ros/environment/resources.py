# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Finds the files that come with the package, in a checkout as well as where it is installed."""

from __future__ import annotations

from pathlib import Path

#: The bundle that is taken where several are there and none is asked for.
DEFAULT_BUNDLE = "default"


class ResourceError(ValueError):
    """A file of the package that is not where it should be."""


def shared_folder(name: str) -> Path:
    """Return a folder of the package, such as ``engines`` or ``config``.

    Raises:
        ResourceError: naming the folder and where it was looked for.
    """
    package = Path(__file__).resolve().parent.parent
    if (package.parent / "package.xml").is_file():  # a checkout
        candidates = [package.parent / name]
    else:
        candidates = [parent / "share" / package.name / name for parent in package.parents]
    for candidate in candidates:
        if candidate.is_dir():
            return candidate
    raise ResourceError(
        f"folder {name} of {package.name} was not found near {package}; build the package again"
    )


def find_bundle(name: str) -> Path:
    """Return the folder of a model bundle.

    Args:
        name: a folder, or the name of a bundle in engines/; empty for the default one: the only
            bundle there is, or else the one called `DEFAULT_BUNDLE`.

    Raises:
        ResourceError: naming the bundles there are.
    """
    if name and Path(name).expanduser().is_dir():
        return Path(name).expanduser()
    try:
        engines = shared_folder("engines")
    except ResourceError as error:
        raise ResourceError(f"bundle {name!r} is no folder, and {error}") from error
    known = sorted(path.parent.name for path in engines.glob("*/manifest.yaml"))
    if name in known:
        return engines / name
    if not name and len(known) == 1:
        return engines / known[0]
    if not name and DEFAULT_BUNDLE in known:
        return engines / DEFAULT_BUNDLE
    if not known:
        raise ResourceError(f"bundle {name!r}: there is no model bundle in {engines}")
    what = f"bundle {name!r}: neither a folder nor" if name else "bundle: choose"
    raise ResourceError(f"{what} one of {', '.join(known)} in {engines}")
