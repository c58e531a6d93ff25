# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The demo: a scene through the real nodes in processes of their own, watched and drawn.

* observer: Observer.
* recorder: Recorder.
* run: DemoError, DemoSettings.
* pictures: Pair.
"""
