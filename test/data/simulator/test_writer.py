# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Simulated scenarios on disk read back as they were."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from quantv2x_ros.core.geometry.pose import matrix_from_v2x
from quantv2x_ros.data.scenario import Scenario
from quantv2x_ros.data.simulator import simulate_scene, write_scenario


def test_a_written_scenario_reads_back(tmp_path: Path) -> None:
    progress: list[tuple[int, int]] = []
    write_scenario(
        tmp_path / "scene",
        seed=8,
        frames=2,
        agents=3,
        layout="road",
        progress=lambda done, total: progress.append((done, total)),
    )
    assert progress == [(1, 2), (2, 2)]
    scenario = Scenario.open(tmp_path / "scene")
    assert sorted(scenario.agents) == ["-1", "1", "2"]
    assert scenario.timestamps == ["000000", "000001"]
    for simulated in simulate_scene(8, frames=2, agents=3, layout="road"):
        frame = scenario.frame(simulated.timestamp)
        for name, agent in simulated.agents.items():
            read = frame[name]
            np.testing.assert_allclose(read.pose, matrix_from_v2x(np.array(agent.pose6)), atol=1e-9)
            assert read.infrastructure == agent.infrastructure
            assert {o.object_id for o in read.objects} == {o.object_id for o in agent.objects}
            # the reader drops the ego body's returns, so it may have fewer points
            assert 0.9 * len(agent.points) <= len(read.points) <= len(agent.points)


def test_the_truth_around_the_ego_is_what_the_simulator_saw(tmp_path: Path) -> None:
    write_scenario(tmp_path, seed=9, frames=1, agents=2)
    simulated = next(simulate_scene(9, frames=1, agents=2))
    truth = Scenario.open(tmp_path).frame("000000").truth("1")
    seen = {o.object_id: o for agent in simulated.agents.values() for o in agent.objects}
    seen.pop(1, None)  # the ego itself
    assert set(truth.ids.tolist()) == set(seen)
    inverse = np.linalg.inv(matrix_from_v2x(np.array(simulated.agents["1"].pose6)))
    for box, object_id in zip(truth.boxes, truth.ids.tolist(), strict=True):
        expected = inverse @ np.array([*seen[object_id].location, 1.0])
        np.testing.assert_allclose(box[:3], expected[:3], atol=0.01)
        np.testing.assert_allclose(box[3:6], np.array(seen[object_id].extent) * 2, atol=0.01)
