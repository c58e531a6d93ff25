# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Datasets on disk, bags and the simulator: NumPy only.

* agent_yaml: NumericLoader, ObjectRecord, AgentRecord.
* bag: BagMessage, BagTopic, BagReader.
* bag_files: Fault.
* bag_times: BagTimes.
* bag_topics: BagTopicsError, AgentTopics, BagTopics.
* bag_writer: BagWriter.
* errors: DatasetError, BagError.
* frame: Truth, WorldObject, AgentFrame, Frame.
* frame_store: RecordedMessage, FrameStore.
* layout: AgentFiles.
* modes: ModeError.
* pcd: PcdField, PcdHeader.
* recording: Supplement, RecordOptions.
* scenario: Scenario.
* v2x_real: WritableObject.
"""
