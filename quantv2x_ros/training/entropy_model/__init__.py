# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The entropy coder's model: trained on the index maps of a bundle.

* learn: PlaneNetwork, EntropyModelRecipe.
* samples: CellSamples, IndexMaps.
"""
