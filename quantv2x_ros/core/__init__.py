# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The algorithms: NumPy, Numba and transforms3d only; no ROS, torch or engine imports.

* cache_folder: CacheFolder.
* receiver_settings: ReceiverSettingError, ReceiverSettings.
"""
