# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The replay node: datasets and bags as if their sensors were there.

* audience: Audience.
* bag_events: BagEvents.
* bag_playlist: BagPlaylist, IndicesPlaylist.
* bag_poses: NoTransformError, BagPoses.
* player: Player, ResultPace.
* playlist: Track, Event, Playlist, ScenarioPlaylist.
* replay: ReplayNode.
* transforms: TransformPublisher.
"""
