# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What an engine is, whatever runs it, and the cache of compiled ones.

* cache: EngineCache.
* engine: EngineError, TensorInfo, Engine.
"""
