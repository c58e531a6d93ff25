# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Which Fast DDS the nodes use, and the variable by which it finds the profile for large clouds."""

from __future__ import annotations

import importlib.util
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from quantv2x_ros.environment.resources import shared_folder

#: What names a file of profiles, by the first version of Fast DDS that reads it. From 3 on
#: (Kilted, Lyrical) the old one makes every node warn; 2 (Humble, Jazzy) does not know the new one.
PROFILE_VARIABLES = {2: "FASTRTPS_DEFAULT_PROFILES_FILE", 3: "FASTDDS_DEFAULT_PROFILES_FILE"}
#: What ROS loads, and the library of Fast DDS in the list of what that needs.
_MIDDLEWARE = "librmw_fastrtps_shared_cpp.so"
_NEEDED = re.compile(rb"libfast(?:rtps|dds)\.so\.(\d+)")
#: Distributions whose Fast DDS is older than 3.
_OLD_DISTRIBUTIONS = ("humble", "iron", "jazzy")


def fast_dds_version(environment: Mapping[str, str]) -> int | None:
    """Return the major version of the installed Fast DDS; no node is started for it.

    What ROS loads knows best: the first middleware library in the order of the loader says which
    library of Fast DDS it needs. Where there is none, the distribution's name decides.

    Args:
        environment: variables of the nodes: AMENT_PREFIX_PATH, LD_LIBRARY_PATH, ROS_DISTRO.

    Returns:
        None where neither tells.
    """
    for folder in _library_folders(environment):
        try:
            found = _NEEDED.search((folder / _MIDDLEWARE).read_bytes())
        except OSError:  # not in this folder
            continue
        if found:
            return int(found[1])
    distribution = environment.get("ROS_DISTRO", "")
    if not distribution:
        return None
    return 2 if distribution in _OLD_DISTRIBUTIONS else 3


def profile_variables(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Return the variable that the nodes' Fast DDS reads.

    Args:
        environment: variables of the nodes.

    Returns:
        One name; all there are where the version is unknown, since large clouds matter more than a
        warning; none where the nodes use another middleware.
    """
    if "fastrtps" not in environment.get("RMW_IMPLEMENTATION", "rmw_fastrtps_cpp"):
        return ()
    version = fast_dds_version(environment)
    if version is None:
        return tuple(PROFILE_VARIABLES.values())
    return (PROFILE_VARIABLES[3 if version >= 3 else 2],)


def middleware_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that make Fast DDS pass large clouds in shared memory.

    Args:
        environment: variables of the nodes.

    Raises:
        ResourceError: if the profile is missing.
    """
    profile = str(shared_folder("config") / "fastdds_large_clouds.xml")
    return dict.fromkeys(profile_variables(environment), profile)


def _library_folders(environment: Mapping[str, str]) -> Iterator[Path]:
    """Yield where the middleware may be, in the order of the loader, then beside rclpy."""
    for item in environment.get("LD_LIBRARY_PATH", "").split(os.pathsep):
        if item:
            yield Path(item)
    for item in environment.get("AMENT_PREFIX_PATH", "").split(os.pathsep):
        if item:
            yield Path(item) / "lib"
    rclpy = importlib.util.find_spec("rclpy")
    if rclpy is not None and rclpy.origin is not None:
        yield from (parent for parent in Path(rclpy.origin).parents if parent.name == "lib")
