# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Evaluation over a dataset: what is counted, who is heard, and what a bad link does."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

from quantv2x_ros.cli import app
from quantv2x_ros.commands._detectors import open_detector
from quantv2x_ros.core.detection.detection import Detections
from quantv2x_ros.core.geometry.packed_pose import sent_pose
from quantv2x_ros.core.geometry.pose import transform_between, transform_points
from quantv2x_ros.core.receiver_settings import ReceiverSettings
from quantv2x_ros.core.transport.receivers import MARGIN
from quantv2x_ros.core.transport.sweep_sender import SendSettings
from quantv2x_ros.core.transport.tiles import TileSettings
from quantv2x_ros.data.errors import DatasetError
from quantv2x_ros.data.scenario import Scenario
from quantv2x_ros.data.simulator import write_scenario
from quantv2x_ros.evaluation.evaluation import Evaluation, evaluate, open_scenarios
from quantv2x_ros.evaluation.report import write_json
from quantv2x_ros.evaluation.series import Variant, make_variants
from quantv2x_ros.evaluation.settings import EvaluationConfig, EvaluationSettingError, Link, Sending
from quantv2x_ros.inference.model.bundle import ModelBundle
from quantv2x_ros.inference.protocol import Broadcast
from quantv2x_ros.inference.results import AgentPyramid, FusionResult


class Witness:
    """Instead of detecting, writes down who was heard and where; its messages are sweeps' sums."""

    precision = "none"
    sends_features = False

    def __init__(self, bundle):
        self.bundle = bundle
        self.heard = []
        self.perceived = 0

    def broadcast(self, points):
        return Broadcast(code_of(points), {"encoder": 1.0})

    def decode(self, payload):
        codes = np.frombuffer(payload, np.uint8)[: self.bundle.codebook.planes]
        return np.ascontiguousarray(
            np.broadcast_to(codes[:, None, None], (len(codes), *self.bundle.grid.shape))
        )

    def columns(self, ego_to_agent):
        return None

    def pyramid(self, indices, received=None, ego_to_agent=None):
        self.perceived += 1
        cells = np.ones(indices.shape[1:], bool) if received is None else received
        features = tuple(indices[:, cells][:, 0].tolist()), cells
        scores = [np.zeros(indices.shape[1:], np.float32)[:: 2**n, :: 2**n] for n in range(3)]
        return AgentPyramid(features, tuple(scores), {"pyramid": 2.0})

    def fuse(self, pyramids, ego_to_agent):
        self.heard.append(([pyramid.features for pyramid in pyramids], ego_to_agent))
        return FusionResult(Detections.empty(), {"head": 4.0}, np.zeros((0, len(pyramids))))


#: All that there is, in messages of the usual size.
WHOLE = Sending(SendSettings(min_occupancy=0.0), radio="none")


def with_link(link=None, **settings):
    """Settings for clouds as the files have them, and features alone.

    All cells are sent unless the link says.
    """
    settings = {"level": False, "fusion": "features", **settings}
    return EvaluationConfig(link=link or Link(sending=WHOLE), **settings)


def code_of(points):
    """A few codes below 128 that tell sweeps apart."""
    total = points[:, :3].sum(axis=0, dtype=np.float64).tobytes()
    return bytes(value & 127 for value in total)


@pytest.fixture
def witness(bundles):
    return Witness(ModelBundle.load(bundles["int8"]))


@pytest.fixture(scope="module")
def frames(dataset):
    return list(Scenario.open(dataset / "test" / "scene_3").frames())


def message_of(frame, agent):
    return tuple(code_of(frame[agent].points)[:3])


def heard_agents(frame, contents):
    names = {message_of(frame, agent): agent for agent in frame.agents}
    return [names.get(codes) for codes, _ in contents]


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
    together = evaluate(witness, dataset, with_link())
    alone = evaluate(witness, dataset, with_link(ego_only=True))
    assert together["objects"] == alone["objects"]
    assert alone["agents"] == 1
    assert {len(payloads) for payloads, _ in witness.heard[6:]} == {1}


def as_sent(frame, agents):
    """From the first agent's frame to those of all, as the others' packets hold their poses."""
    ego, *peers = (frame[name].pose for name in agents)
    return np.stack([transform_between(ego, pose) for pose in (ego, *map(sent_pose, peers))])


def test_peers_are_heard_with_their_transforms(witness, dataset, frames):
    evaluate(witness, dataset / "test" / "scene_3", with_link())
    for frame, (payloads, transforms) in zip(frames, witness.heard, strict=True):
        agents = heard_agents(frame, payloads)
        assert sorted(agents) == sorted(frame.agents_in_range(agents[0]))
        np.testing.assert_allclose(transforms, as_sent(frame, agents), atol=1e-9)
        np.testing.assert_allclose(transforms, frame.ego_to_agents(agents), atol=5e-3)
        np.testing.assert_allclose(transforms[0], np.eye(4), atol=1e-9)


def test_the_number_of_agents_is_limited_to_the_nearest(witness, dataset, frames):
    evaluate(witness, dataset / "test" / "scene_3", with_link(agents=2, turn_grids=False))
    for frame, (payloads, _) in zip(frames, witness.heard, strict=True):
        ego, peer = heard_agents(frame, payloads)
        distances = {
            name: np.hypot(*(item.pose[:2, 3] - frame[ego].pose[:2, 3]))
            for name, item in frame.agents.items()
            if name != ego
        }
        assert peer == min(distances, key=distances.get)


def test_latency_brings_old_messages_with_their_old_poses(witness, dataset, frames):
    config = with_link(Link(latency_ms=100.0, sending=WHOLE))
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
            expected = np.linalg.inv(sent_pose(before[peer].pose)) @ now[ego].pose
            np.testing.assert_allclose(transform, expected, atol=1e-9)


def test_some_frames_only_still_hear_delayed_messages(witness, dataset):
    config = with_link(Link(latency_ms=100.0, sending=WHOLE), max_frames=2)
    assert evaluate(witness, dataset, config)["frames"] == 2
    # the first and the last frame of the dataset
    assert [len(payloads) for payloads, _ in witness.heard] == [1, 3]


@pytest.mark.parametrize(("loss", "expected"), [(0.0, {3}), (1.0, {1})])
def test_lost_messages_are_not_heard(witness, dataset, loss, expected):
    evaluate(witness, dataset, with_link(Link(loss=loss, sending=WHOLE)))
    assert {len(payloads) for payloads, _ in witness.heard} == expected


def cells_heard(bundles, dataset, link):
    witness = Witness(ModelBundle.load(bundles["int8"]))
    evaluate(witness, dataset, with_link(link, receiver=ReceiverSettings(conceal=0.0)))
    return [[cells for _, cells in contents] for contents, _ in witness.heard]


def small_tiles(**settings):
    send = SendSettings(TileSettings(300), **{"min_occupancy": 0.0, **settings})
    return Sending(send, radio="none")


def test_losses_are_drawn_from_the_seed(bundles, dataset):
    heard = []
    for seed in (1, 1, 2):
        link = Link(loss=0.5, sending=small_tiles(), seed=seed)
        heard.append([np.stack(frame).tobytes() for frame in cells_heard(bundles, dataset, link)])
    assert heard[0] == heard[1] != heard[2]


def test_lost_tiles_are_holes_in_what_peers_sent_never_in_the_ego(bundles, dataset):
    frames = cells_heard(bundles, dataset, Link(loss=0.5, sending=small_tiles()))
    assert all(ego.all() for ego, *_ in frames)
    peers = np.stack([cells for _, *peers in frames for cells in peers])
    assert 0.2 < peers.mean() < 0.8
    assert (peers.any(axis=(1, 2)) & ~peers.all(axis=(1, 2))).any()


def test_more_loss_loses_the_same_tiles_and_more(bundles, dataset):
    some = cells_heard(bundles, dataset, Link(loss=0.2, sending=small_tiles()))
    more = cells_heard(bundles, dataset, Link(loss=0.4, sending=small_tiles()))
    for few, many in zip(some, more, strict=True):
        assert len(few) == len(many)
        assert all((kept | ~left).all() for kept, left in zip(few, many, strict=True))


def test_one_tile_is_lost_as_a_whole(bundles, dataset):
    whole = Sending(SendSettings(TileSettings(0), min_occupancy=0.0), radio="none")
    frames = cells_heard(bundles, dataset, Link(loss=0.5, sending=whole, seed=3))
    assert all(cells.all() for frame in frames for cells in frame)
    assert {len(frame) for frame in frames} > {3}


def test_parity_restores_what_is_lost(bundles, dataset):
    shares = []
    for parity in (0.0, 1.0):
        send = SendSettings(TileSettings(900), parity=parity, min_occupancy=0.0)
        sending = Sending(send, radio="none")
        frames = cells_heard(bundles, dataset, Link(loss=0.2, sending=sending))
        shares.append(np.mean([cells.mean() for frame in frames for cells in frame]))
    assert shares[0] < 0.95 < shares[1]


def test_what_is_not_sent_takes_no_bytes_and_is_not_perceived(bundles, dataset):
    detector = open_detector(bundles["int8"])
    base = with_link(max_frames=2)
    variants, _ = make_variants(base, ("levels", "max_bytes"), 3, detector.bundle.codebook.levels)
    evaluation = Evaluation(detector, base, variants)
    evaluation.run(open_scenarios(dataset, base))
    result = evaluation.result()
    levels = result["sweeps"]["levels"]
    assert [point["value"] for point in levels] == [1.0, 2.0, 3.0]
    sizes = [point["bytes_per_frame"] for point in levels]
    assert sizes == sorted(sizes)
    assert sizes[0] < 0.6 * sizes[-1]
    assert sizes[-1] == result["bytes_per_frame"]
    assert levels[-1]["mAP"] == result["mAP"]
    for point in result["sweeps"]["max_bytes"]:
        assert point["bytes_per_frame"] <= point["value"]


def test_a_corner_that_no_other_agent_can_use_arrives_as_background(witness, dataset, frames):
    detection = replace(witness.bundle.detection, range_x=4.0, range_y=4.0)
    narrow = replace(witness.bundle, manifest=replace(witness.bundle.manifest, detection=detection))
    witness = Witness(narrow)
    link = Link(sending=replace(WHOLE, interest_of_receivers=True))
    evaluate(witness, dataset / "test" / "scene_3", with_link(link, turn_grids=False))
    background = tuple(narrow.manifest.codebook.background)
    y, x = narrow.grid.cell_centres()
    corner = np.array([[x[0], y[0], 0.0]])
    left_out = 0
    for frame, (contents, transforms) in zip(frames, witness.heard, strict=True):
        agents = frame.agents_in_range(heard_agents(frame, contents[:1])[0])
        poses = [frame[name].pose for name in agents]
        for (codes, _), to_agent in zip(contents[1:], transforms[1:], strict=True):
            (sender,) = [
                place
                for place, pose in enumerate(poses)
                if np.allclose(transform_between(poses[0], sent_pose(pose)), to_agent)
            ]
            others = [pose for place, pose in enumerate(poses) if place != sender]
            seen = [transform_points(corner, transform_between(poses[sender], o)) for o in others]
            usable = any((np.abs(point[0, :2]) <= 4.0 + MARGIN).all() for point in seen)
            expected = message_of(frame, agents[sender]) if usable else background
            assert codes == expected
            left_out += not usable
    assert left_out


def test_a_corner_beyond_the_range_of_interest_arrives_as_background(witness, dataset):
    link = Link(sending=replace(WHOLE, interest_range=8.0))
    evaluate(witness, dataset, with_link(link, max_frames=2))
    background = tuple(witness.bundle.manifest.codebook.background)
    for contents, _ in witness.heard:
        (ego_corner, _), *peers = contents
        assert ego_corner != background
        assert {corner for corner, _ in peers} == {background}


def test_noise_moves_the_peers_but_not_the_ego(witness, dataset, frames):
    evaluate(
        witness,
        dataset / "test" / "scene_3",
        with_link(Link(pose_noise=0.3, sending=WHOLE)),
    )
    shifts = []
    for frame, (payloads, transforms) in zip(frames, witness.heard, strict=True):
        agents = heard_agents(frame, payloads)
        exact = as_sent(frame, agents)
        np.testing.assert_allclose(transforms[0], np.eye(4), atol=1e-9)
        for noisy, true in zip(transforms[1:], exact[1:], strict=True):
            moved = np.linalg.inv(noisy)[:3, 3] - np.linalg.inv(true)[:3, 3]
            shifts.append(moved)
            np.testing.assert_allclose(noisy[:3, :3] @ noisy[:3, :3].T, np.eye(3), atol=1e-9)
    size = np.linalg.norm(shifts, axis=1)
    assert (size > 4e-3).all(), "a step of what a packet holds, at least"
    assert size.max() < 2.0


def test_position_and_heading_can_be_disturbed_apart(witness, dataset, frames):
    link = Link(pose_noise=0.0, heading_noise=1.0, sending=WHOLE)
    evaluate(witness, dataset / "test" / "scene_3", with_link(link))
    turned = 0.0
    for frame, (payloads, transforms) in zip(frames, witness.heard, strict=True):
        exact = as_sent(frame, heard_agents(frame, payloads))
        for noisy, true in zip(transforms[1:], exact[1:], strict=True):
            np.testing.assert_allclose(
                np.linalg.inv(noisy)[:3, 3], np.linalg.inv(true)[:3, 3], atol=1e-9
            )
            turned = max(turned, np.abs(noisy[:3, :3] - true[:3, :3]).max())
    assert turned > 1e-3


class Sighted(Witness):
    """Sees what is labelled: alone what its agent labels, with peers nothing."""

    def __init__(self, bundle, frames):
        super().__init__(bundle)
        self.seen = {
            message_of(frame, name): frame.truth(name, [])
            for frame in frames
            for name in frame.agents
        }

    def fuse(self, pyramids, ego_to_agent):
        fused = super().fuse(pyramids, ego_to_agent)
        if len(pyramids) > 1:
            return fused
        truth = self.seen[pyramids[0].features[0]]
        scores = np.full(len(truth.boxes), 0.9, np.float32)
        seen = Detections(truth.boxes, scores, truth.labels.astype(np.int32))
        return replace(fused, detections=seen)


def test_poses_are_corrected_by_the_objects_that_both_see(bundles, dataset, frames):
    errors = {}
    for align in (False, True):
        sighted = Sighted(ModelBundle.load(bundles["int8"]), frames)
        link = Link(pose_noise=0.5, heading_noise=0.0, seed=5, sending=WHOLE)
        receiver = ReceiverSettings(align_poses=align, align_period=0.0)
        evaluate(
            sighted,
            dataset / "test" / "scene_3",
            with_link(link, receiver=receiver),
        )
        fused = [entry for entry in sighted.heard if len(entry[0]) > 1]
        shifts = []
        for frame, (contents, transforms) in zip(frames, fused, strict=True):
            exact = frame.ego_to_agents(heard_agents(frame, contents))
            for noisy, true in zip(transforms[1:], exact[1:], strict=True):
                shifts.append(np.linalg.norm((np.linalg.inv(noisy) - np.linalg.inv(true))[:2, 3]))
        errors[align] = np.array(shifts)
    assert errors[False].mean() > 0.3
    assert errors[True].mean() < 0.5 * errors[False].mean()


def test_all_settings_of_a_pass_share_what_the_agents_sent(witness, dataset):
    base = with_link()
    variants, _ = make_variants(base, ("pose_noise", "latency_ms"), longest=3, levels=3)
    evaluation = Evaluation(
        witness, base, [*variants, Variant("alone", 0.0, replace(base, ego_only=True))]
    )
    evaluation.run(open_scenarios(dataset, base))
    assert witness.perceived == 18  # two scenes of three frames of three agents, each once
    result = evaluation.result()
    assert [point["value"] for point in result["sweeps"]["latency_ms"]] == [0.0, 100.0, 200.0]
    assert {point["frames"] for point in result["sweeps"]["latency_ms"]} == {2}
    assert {point["frames"] for point in result["sweeps"]["pose_noise"]} == {6}
    exact, *_ = result["sweeps"]["pose_noise"]
    for iou in ("0.3", "0.5", "0.7"):
        low, high = result["intervals"]["mean"][iou]
        assert low <= result["mAP"][iou] <= high
        assert exact["changes"]["mean"][iou] == [0.0, 0.0], "the same boxes in the same scenes"
    assert "changes" not in result["sweeps"]["latency_ms"][0], "of other frames"
    single = Witness(witness.bundle)
    noisy = with_link(Link(pose_noise=0.4, heading_noise=0.0, sending=WHOLE))
    evaluate(single, dataset, noisy)
    lonely = {transforms.tobytes() for _, transforms in single.heard}
    assert lonely <= {transforms.tobytes() for _, transforms in witness.heard}


@pytest.fixture
def damaged(tmp_path, dataset):
    shutil.copytree(dataset, tmp_path / "data")
    (tmp_path / "data" / "test" / "scene_3" / "2" / "000001.bin").write_bytes(b"123")
    (tmp_path / "data" / "test" / "scene_4" / "1" / "000002.yaml").unlink()
    return tmp_path / "data"


def test_broken_files_stop_the_evaluation_or_are_named_in_the_result(witness, damaged):
    with pytest.raises(DatasetError, match=r"1/000002\.yaml: the labels of 000002\.bin"):
        evaluate(witness, damaged, with_link())
    result = evaluate(witness, damaged, with_link(skip_broken=True))
    # agent 1 is the ego of scene 4, which goes on with agent 2 in its last frame
    assert result["frames"] == 5
    assert len(result["skipped"]) == 2
    assert any("2/000001.bin: 3 bytes" in text for text in result["skipped"])


def test_a_mode_that_no_frame_allows_is_an_error(witness, tmp_path):
    write_scenario(tmp_path / "scene", seed=3, frames=1, agents=1)
    with pytest.raises(DatasetError, match="no frame could be evaluated in mode i2i: 1 of 1"):
        evaluate(witness, tmp_path, EvaluationConfig(mode="i2i"))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Link(loss=1.5), r"loss must be in \[0, 1\], got 1\.5"),
        (lambda: Link(latency_ms=-1.0), "latency_ms must not be negative, got -1"),
        (lambda: Link(pose_noise=float("nan")), "pose_noise must not be negative, got nan"),
        (lambda: Link(heading_noise=-1.0), "heading_noise must not be negative"),
        (lambda: Sending(max_bytes=-1), "max_bytes must be 0 or more"),
        (lambda: EvaluationConfig(agents=-1), "agents and max_frames must be 0 or more, got -1"),
        (lambda: EvaluationConfig(communication_range=-1.0), "communication_range must be 0"),
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
         "--set", "protocol=v2xreal", "--max-frames", "2", "--ego-only"],
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
