#!/bin/bash
# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
#
# Runs a command with ROS 2, the virtual environment and the workspace.
set -e
source "/opt/ros/${ROS_DISTRO}/setup.bash"
source /workspace/venv/bin/activate
site_packages=$(echo /workspace/venv/lib/python3.*/site-packages)
export PYTHONPATH="${site_packages}:${PYTHONPATH}"
source /workspace/install/setup.bash
exec "$@"
