# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The live scene in a browser: what is shown, and the page that shows it.

* page: ViewerError, Page.
* state: SeenObjects, Beacon, AgentSnapshot, Snapshot, ViewerState.
"""
