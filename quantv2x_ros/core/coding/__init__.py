# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The entropy coder of index maps."""

from quantv2x_ros.core.coding.index_model import IndexModel, IndexModelError, IndexTreeError
from quantv2x_ros.core.coding.wire import EntropyModel, WireError

__all__ = ["EntropyModel", "IndexModel", "IndexModelError", "IndexTreeError", "WireError"]
