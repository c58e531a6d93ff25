# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What `doctor` examines: the machine, and a running graph. Every finding comes with a remedy.

* census: Census.
* findings: FindingError, Finding.
* graph: Connection, StationHeard, Observation.
* graph_probe: GraphProbe.
* machine: ClockState.
"""
