# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Detections followed over time: ids, velocities, their uncertainty, existence.

* kalman: constant-velocity filters of many objects at once.
* existence: the probability that a tracked object is there.
* object_tracker: TrackerError, TrackerSettings, TrackedObjects, ObjectTracker.
* clear_mot: MotCounts, MotScorer.
"""
