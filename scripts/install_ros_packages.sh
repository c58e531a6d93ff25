#!/usr/bin/env bash
# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
#
# Installs what both package.xml name and a distribution of ROS 2 brings (ROS_DISTRO), with rosdep.
# Python packages are left out: requirements/ pins them, and a virtual environment takes them.
# Arguments go on to `rosdep install`, such as --simulate.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
: "${ROS_DISTRO:?ROS_DISTRO is not set: source /opt/ros/.../setup.bash}"
packages=(--from-paths "$root" "$root/quantv2x_msgs" --ignore-src --rosdistro "$ROS_DISTRO")

rosdep update --rosdistro "$ROS_DISTRO"
python=$(rosdep keys "${packages[@]}" | grep '^python3-' | paste -sd ' ' -)
rosdep install "${packages[@]}" --default-yes --skip-keys "$python" "$@"
