# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The model bundle on disk.

* bundle: ModelBundle.
* health: HealthError, LayerHealth, Operations, Health.
* manifest: BundleError, CodebookInfo, SparseHeads, Manifest.
"""
