# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What `doctor` examines: the machine, a running graph, a dataset. All findings have a remedy.

* census: Census.
* cloud_statistics: CloudStatistics.
* dataset_statistics: DatasetStatistics.
* findings: FindingError, Finding.
* graph: Connection, StationHeard, Observation.
* graph_probe: GraphProbe.
* machine: ClockState.
"""
