#!/usr/bin/env bash
# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
#
# Prepares what `make` needs: checks what must come from the system, one sentence for each thing
# that is missing, then hands over to prepare.py.
#
#   scripts/prepare.sh [runtime|test]
#
# PYTHON=...  the interpreter to use, instead of the first suitable one in PATH.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
unset _ROS_WHEELS_BOOTSTRAP_COMPLETE # Inherited, it would keep rclpy from being found.

missing=()
need() { # need COMMAND WHAT PACKAGE
    command -v "$1" >/dev/null || missing+=("$2 is missing; on Debian or Ubuntu: apt-get install $3")
}

# Prints what hinders an interpreter from being used: nothing, or one word.
python_problem() {
    "$1" - 2>/dev/null <<'PYTHON' || echo unusable
import importlib.util, os, sys, sysconfig
if sys.version_info[:2] > (3, 14):
    print("newer")
elif sys.version_info[:2] < (3, 10):
    print("older")
elif os.environ.get("ROS_DISTRO") and not importlib.util.find_spec("rclpy"):
    print("rclpy")
elif not importlib.util.find_spec("ensurepip"):
    print("venv")
elif not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")):
    print("headers")
PYTHON
}

# A sourced environment of this checkout is not where the next one should come from.
PATH=$(printf '%s' "$PATH" | tr ':' '\n' | grep -vxF "$root/.venv/bin" | paste -sd: -)
export PATH

if [ -n "${PYTHON:-}" ]; then
    candidates=("$PYTHON")
elif [ -n "${ROS_DISTRO:-}" ]; then
    candidates=(python3 python3.10 python3.12 python3.14 python3.13 python3.11)
else
    candidates=(python3.11 python3.12 python3.13 python3.14 python3.10 python3)
fi

python="" hindrance="" hindered=""
for candidate in "${candidates[@]}"; do
    command -v "$candidate" >/dev/null || continue
    problem=$(python_problem "$candidate")
    if [ -z "$problem" ]; then
        python=$candidate
        break
    fi
    # Of several hindered interpreters, the one that lacks least says what to install.
    case $hindrance:$problem in
        :rclpy | :venv | :headers | newer:rclpy | newer:venv | newer:headers | :newer)
            hindrance=$problem hindered=$candidate
            ;;
    esac
done

if [ -z "$python" ]; then
    case $hindrance in
        venv) missing+=("Python's venv module is missing for $hindered; on Debian or Ubuntu: apt-get install python3-venv") ;;
        headers) missing+=("Python's header files are missing for $hindered; on Debian or Ubuntu: apt-get install python3-dev") ;;
        rclpy) missing+=("ROS 2 $ROS_DISTRO is sourced, but $hindered cannot import rclpy; name the interpreter that can with PYTHON=...") ;;
        newer) missing+=("Python 3.10 to 3.14 is missing, $hindered is newer; fetch one with \`uv python install 3.14\` (uv itself: pipx install uv) and name it with PYTHON=\"\$(uv python find 3.14)\"") ;;
        *) missing+=("Python 3.10 to 3.14 is missing${PYTHON:+ (PYTHON=$PYTHON is not one)}; on Debian or Ubuntu: apt-get install python3 python3-venv python3-dev") ;;
    esac
fi
if [ -z "${ROS_DISTRO:-}" ] && [ "$(uname -m)" != x86_64 ]; then
    missing+=("ROS 2 is not sourced, and its wheels are for x86_64 alone, not for $(uname -m); source an installation of ROS 2, or take an image (docs/install.md)")
fi
need cmake "CMake" cmake
need make "make" make
need "${CXX:-c++}" "A C++ compiler (${CXX:-c++})" g++

if [ ${#missing[@]} -gt 0 ]; then
    printf 'error: %s.\n' "${missing[@]}" >&2
    exit 1
fi
exec "$python" "$root/scripts/prepare.py" "${1:-runtime}"
