# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The page of results, made of the JSON that the measuring commands write.

* files: ResultsError, ResultFile.
* kinds: Kind.
* index: TableEntry, Group, Index.
"""
