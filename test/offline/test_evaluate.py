# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Evaluation over a dataset: what is counted, who is heard, and what a bad link does."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from quantv2x_ros.cli import app
from quantv2x_ros.core.detection import Detections
from quantv2x_ros.data.scenario import Scenario
from quantv2x_ros.inference.bundle import ModelBundle
from quantv2x_ros.offline.detector import Broadcast, Fused, open_detector
from quantv2x_ros.offline.evaluate import (
    EvaluationConfig,
    EvaluationSettingError,
    Link,
    evaluate,
)
from quantv2x_ros.offline.report import write_json


class Witness:
    """Instead of detecting, writes down who was heard and where; its messages are sweeps' sums."""

    precision = "none"

    def __init__(self, bundle):
        self.bundle = bundle
        self.heard = []

    def broadcast(self, points):
        return Broadcast(points[:, :3].sum(axis=0, dtype=np.float64).tobytes(), {})

    def fuse(self, payloads, ego_to_agents):
        self.heard.append((list(payloads), ego_to_agents))
        return Fused(Detections.empty(), {})


@pytest.fixture
def witness(bundles):
    return Witness(ModelBundle.load(bundles["int8"]))


@pytest.fixture(scope="module")
def frames(dataset):
    return list(Scenario.open(dataset / "test" / "scene_3").frames())


def message_of(frame, agent):
    return frame[agent].points[:, :3].sum(axis=0, dtype=np.float64).tobytes()


def heard_agents(frame, payloads):
    names = {message_of(frame, agent): agent for agent in frame.agents}
    return [names.get(payload) for payload in payloads]


def test_real_engines_are_evaluated_over_all_frames(bundles, dataset):
    seen = []
    detector = open_detector(bundles["int8"])
    result = evaluate(detector, dataset, EvaluationConfig(), lambda *step: seen.append(step))
    assert result["frames"] == 6
    assert seen == [(n, 6) for n in range(1, 7)]
    assert set(result["AP"]) == set(detector.bundle.classes)
    assert set(result["mAP"]) == {"0.3", "0.5", "0.7"}
    assert result["objects"]["vehicle"] > 0
    assert result["bytes_per_frame"] > 1000
    assert (result["precision"], result["protocol"]) == ("int8", "global")


def test_the_truth_is_that_of_all_agents_even_for_an_ego_alone(witness, dataset):
    together = evaluate(witness, dataset, EvaluationConfig())
    alone = evaluate(witness, dataset, EvaluationConfig(ego_only=True))
    assert together["objects"] == alone["objects"]
    assert alone["agents"] == 1
    assert {len(payloads) for payloads, _ in witness.heard[6:]} == {1}


def test_peers_are_heard_with_their_transforms(witness, dataset, frames):
    evaluate(witness, dataset / "test" / "scene_3", EvaluationConfig())
    for frame, (payloads, transforms) in zip(frames, witness.heard, strict=True):
        agents = heard_agents(frame, payloads)
        assert sorted(agents) == sorted(frame.agents_in_range(agents[0]))
        np.testing.assert_allclose(transforms, frame.ego_to_agents(agents), atol=1e-9)
        np.testing.assert_allclose(transforms[0], np.eye(4), atol=1e-9)


def test_the_number_of_agents_is_limited_to_the_nearest(witness, dataset, frames):
    evaluate(witness, dataset / "test" / "scene_3", EvaluationConfig(agents=2))
    for frame, (payloads, _) in zip(frames, witness.heard, strict=True):
        ego, peer = heard_agents(frame, payloads)
        distances = {
            name: np.hypot(*(item.pose[:2, 3] - frame[ego].pose[:2, 3]))
            for name, item in frame.agents.items()
            if name != ego
        }
        assert peer == min(distances, key=distances.get)


def test_latency_brings_old_messages_with_their_old_poses(witness, dataset, frames):
    config = EvaluationConfig(link=Link(latency_ms=100.0))
    result = evaluate(witness, dataset / "test" / "scene_3", config)
    assert result["latency_ms"] == pytest.approx(100.0)
    assert len(witness.heard[0][0]) == 1  # nothing has arrived yet
    for before, now, (payloads, transforms) in zip(
        frames, frames[1:], witness.heard[1:], strict=False
    ):
        ego = heard_agents(now, payloads[:1])[0]
        peers = heard_agents(before, payloads[1:])
        assert None not in peers
        assert peers
        for peer, transform in zip(peers, transforms[1:], strict=True):
            expected = np.linalg.inv(before[peer].pose) @ now[ego].pose
            np.testing.assert_allclose(transform, expected, atol=1e-9)


def test_some_frames_only_still_hear_delayed_messages(witness, dataset):
    config = EvaluationConfig(link=Link(latency_ms=100.0), max_frames=2)
    assert evaluate(witness, dataset, config)["frames"] == 2
    # the first and the last frame of the dataset
    assert [len(payloads) for payloads, _ in witness.heard] == [1, 3]


@pytest.mark.parametrize(("loss", "expected"), [(0.0, {3}), (1.0, {1})])
def test_lost_messages_are_not_heard(witness, dataset, loss, expected):
    evaluate(witness, dataset, EvaluationConfig(link=Link(loss=loss)))
    assert {len(payloads) for payloads, _ in witness.heard} == expected


def test_losses_are_drawn_from_the_seed(bundles, dataset):
    counts = []
    for seed in (1, 1, 2, 3):
        witness = Witness(ModelBundle.load(bundles["int8"]))
        evaluate(witness, dataset, EvaluationConfig(link=Link(loss=0.5, seed=seed)))
        counts.append([len(payloads) for payloads, _ in witness.heard])
    assert counts[0] == counts[1]
    assert len({tuple(count) for count in counts}) > 1


def test_noise_moves_the_peers_but_not_the_ego(witness, dataset, frames):
    evaluate(witness, dataset / "test" / "scene_3", EvaluationConfig(link=Link(pose_noise=0.3)))
    shifts = []
    for frame, (payloads, transforms) in zip(frames, witness.heard, strict=True):
        agents = heard_agents(frame, payloads)
        exact = frame.ego_to_agents(agents)
        np.testing.assert_allclose(transforms[0], np.eye(4), atol=1e-9)
        for noisy, true in zip(transforms[1:], exact[1:], strict=True):
            moved = np.linalg.inv(noisy)[:3, 3] - np.linalg.inv(true)[:3, 3]
            shifts.append(moved)
            np.testing.assert_allclose(noisy[:3, :3] @ noisy[:3, :3].T, np.eye(3), atol=1e-9)
    size = np.linalg.norm(shifts, axis=1)
    assert (size > 1e-3).all()
    assert size.max() < 2.0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Link(loss=1.5), r"loss must be in \[0, 1\], got 1\.5"),
        (lambda: Link(latency_ms=-1.0), "latency_ms must not be negative, got -1"),
        (lambda: Link(pose_noise=float("nan")), "pose_noise must not be negative, got nan"),
        (lambda: EvaluationConfig(agents=0), "at least one agent"),
    ],
)
def test_settings_that_make_no_sense_are_refused(make, message):
    with pytest.raises(EvaluationSettingError, match=message):
        make()


def test_the_command_writes_json_and_prints_a_table(tmp_path, bundles, dataset):
    out = tmp_path / "new" / "ap.json"
    result = CliRunner().invoke(
        app,
        ["evaluate", "--data", str(dataset), "--bundle", str(bundles["int8"]), "--json", str(out),
         "--protocol", "v2xreal", "--max-frames", "2", "--ego-only"],
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    report = json.loads(out.read_text())
    assert (report["frames"], report["protocol"], report["agents"]) == (2, "v2xreal", 1)
    assert "vehicle" in result.output
    assert "bytes a message" in result.output


def test_numbers_that_json_lacks_become_null(tmp_path):
    write_json(tmp_path / "a.json", {"AP": {"truck": {"0.3": float("nan")}}, "n": (1, 2.5)})
    assert json.loads((tmp_path / "a.json").read_text()) == {
        "AP": {"truck": {"0.3": None}},
        "n": [1, 2.5],
    }
