# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The stream of samples: the same from any number of workers, resumable, honest about damage."""

import logging
from itertools import islice

import numpy as np
import pytest
import torch
import yaml

from quantv2x_ros.core.detection.anchors import AnchorSet
from quantv2x_ros.core.geometry.grid import BevGrid
from quantv2x_ros.data.errors import DatasetError
from quantv2x_ros.data.scenario import Scenario
from quantv2x_ros.data.simulator import write_scenario
from quantv2x_ros.training.loader import StepSampler, sample_loader, validation_loader
from quantv2x_ros.training.samples import Sample, SampleConfig, SampleError, choose_agents
from quantv2x_ros.training.stream import SampleStream, ValidationSamples

GRID = BevGrid((-51.2, -51.2, -5.0, 51.2, 51.2, 1.0), (0.4, 0.4, 6.0))
ANCHORS = AnchorSet.v2x_real()


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Two scenes of two frames, two vehicles and a roadside unit."""
    folder = tmp_path_factory.mktemp("samples")
    for seed in (5, 6):
        write_scenario(folder / "train" / f"scene_{seed}", seed=seed, frames=2, agents=3)
    return folder


@pytest.fixture
def damaged(tmp_path):
    write_scenario(tmp_path / "scene", seed=5, frames=2, agents=3)
    (tmp_path / "scene" / "1" / "000000.bin").write_bytes(b"12345")
    return tmp_path


def config(**settings):
    return SampleConfig(GRID, window=(25.6, 25.6), **settings)


def batches(root, steps, **settings):
    stream = SampleStream(root, config(), ANCHORS, seed=1)
    return list(islice(iter(sample_loader(stream, **settings)), steps))


def assert_equal(first, second):
    assert [agents for _, agents in first] == [agents for _, agents in second]
    for (sample, _), (other, _) in zip(first, second, strict=True):
        torch.testing.assert_close(sample.pillars.features, other.pillars.features, rtol=0, atol=0)
        torch.testing.assert_close(sample.targets.labels, other.targets.labels, rtol=0, atol=0)
        torch.testing.assert_close(sample.thetas, other.thetas, rtol=0, atol=0)


def test_the_number_of_workers_does_not_change_what_is_learned_from(root):
    alone = batches(root, 4, batch=2, workers=0)
    assert_equal(alone, batches(root, 4, batch=2, workers=2))
    features = [sample.pillars.features for sample, _ in alone]
    assert len({len(item) for item in features}) > 1  # the samples differ


def test_a_run_that_resumes_sees_the_samples_it_would_have_seen(root):
    whole = batches(root, 5, batch=1)
    assert_equal(whole[3:], batches(root, 2, batch=1, start=3))


def test_ranks_share_the_samples_of_a_larger_batch_between_them(root):
    together = [agents for _, agents in batches(root, 2, batch=4)]
    shares = [
        [agents for _, agents in batches(root, 2, batch=2, rank=rank, ranks=2)] for rank in (0, 1)
    ]
    assert together == [first + second for first, second in zip(*shares, strict=True)]


def test_an_epoch_draws_every_frame_once_in_a_new_order(root):
    stream = SampleStream(root, config(), ANCHORS, seed=1)
    orders = []
    for epoch in range(6):
        stream[epoch * len(stream)]
        orders.append(tuple(stream._order[1]))
    assert all(sorted(order) == [0, 1, 2, 3] for order in orders)
    assert len(set(orders)) > 1


@pytest.mark.parametrize("workers", [0, 1])
def test_a_broken_file_is_named_where_training_runs(damaged, workers):
    stream = SampleStream(damaged, config(max_agents=3, alone=0.0, mode="v2v"), ANCHORS, seed=1)
    with pytest.raises(DatasetError, match=r"1/000000\.bin: 5 bytes are not whole points") as error:
        list(islice(iter(sample_loader(stream, workers=workers)), 8))
    assert error.value.path == damaged / "scene" / "1" / "000000.bin"


def test_broken_files_are_skipped_on_request_with_a_warning_each(damaged, caplog):
    (damaged / "scene" / "2" / "000001.yaml").unlink()
    stream = SampleStream(damaged, config(mode="v2v", alone=0.0), ANCHORS, seed=1, skip_broken=True)
    with caplog.at_level(logging.WARNING):
        made = list(islice(iter(sample_loader(stream)), 8))
    assert len(made) == 8
    skipped = [text for text in caplog.messages if "000000.bin: 5 bytes" in text]
    assert len(skipped) == 1
    assert "2/000001.yaml: the labels of 000001.bin are missing" in caplog.text


def test_broken_files_are_left_out_of_the_validation_on_request(damaged, caplog):
    about = (damaged, config(mode="v2v", alone=0.0), ANCHORS)
    whole = len(ValidationSamples(*about).frames)
    with caplog.at_level(logging.WARNING):
        samples = ValidationSamples(*about, skip_broken=True)
    assert len(samples.frames) == whole - 1
    assert all(isinstance(samples[number], Sample) for number in range(len(samples)))
    assert "1/000000.bin: 5 bytes" in caplog.text


def test_a_dataset_without_an_ego_for_the_mode_is_an_error(tmp_path):
    write_scenario(tmp_path / "scene", seed=5, frames=1, agents=1)
    stream = SampleStream(tmp_path, config(mode="i2i"), ANCHORS, seed=1)
    with pytest.raises(DatasetError, match="no ego for mode i2i"):
        next(iter(sample_loader(stream)))
    with pytest.raises(DatasetError, match="no frame has an ego for mode i2i"):
        ValidationSamples(tmp_path, config(mode="i2i"), ANCHORS)


def test_a_class_without_objects_is_warned_about(tmp_path, caplog):
    write_scenario(tmp_path / "scene", seed=5, frames=1, agents=1)
    for path in tmp_path.rglob("*.yaml"):
        document = yaml.safe_load(path.read_text())
        for item in document["vehicles"].values():
            item["obj_type"] = "Car"
        path.write_text(yaml.safe_dump(document))
    with caplog.at_level(logging.WARNING):
        SampleStream(tmp_path, config(), ANCHORS, seed=1)
    assert "no pedestrian and no truck in its labels" in caplog.text


def test_an_empty_split_is_an_error(tmp_path):
    (tmp_path / "train").mkdir()
    with pytest.raises(DatasetError, match="there is no scenario in it"):
        SampleStream(tmp_path / "train", config(), ANCHORS, seed=1)


@pytest.mark.parametrize(
    ("mode", "roadside_ego", "kinds"),
    [
        ("vc", False, {True, False}),
        ("ic", True, {False}),
        ("v2v", False, {False}),
        ("i2i", True, set()),
    ],
)
def test_modes_decide_who_is_ego_and_who_is_heard(root, mode, roadside_ego, kinds):
    frame = Scenario.open(root / "train" / "scene_5").frame("000000")
    heard = set()
    for seed in range(40):
        rng = np.random.default_rng(seed)
        ego, *peers = choose_agents(frame, config(mode=mode), rng)
        assert frame[ego].infrastructure == roadside_ego
        heard |= {frame[peer].infrastructure for peer in peers}
    assert heard == kinds


def test_the_communication_range_is_kept(root):
    frame = Scenario.open(root / "train" / "scene_5").frame("000000")
    near = config(communication_range=0.0, alone=0.0)
    for seed in range(10):
        assert len(choose_agents(frame, near, np.random.default_rng(seed))) == 1


def test_validation_goes_once_through_whole_frames(root):
    samples = ValidationSamples(root, config(), ANCHORS, frames=3)
    first, again = (list(validation_loader(samples, batch=2)) for _ in range(2))
    assert [len(agents) for _, agents in first] == [2, 1]
    assert first[0][0].pillars.shape == GRID.pillar_shape
    assert_equal(first, again)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mode": "v2x"}, "mode must be one of vc, ic, v2v, i2i"),
        ({"flip": (0.5, 1.5)}, "probabilities"),
        ({"scaling": (0.0, 1.0)}, "positive factors"),
        ({"max_agents": 0}, "at least one agent"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        config(**settings)


def test_a_rank_that_there_is_not_is_refused():
    with pytest.raises(SampleError, match="rank 2 of 2"):
        StepSampler(1, rank=2, ranks=2)
