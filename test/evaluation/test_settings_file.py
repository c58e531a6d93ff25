# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""An evaluation's settings as a file: made from the dataclasses, read back, refused by name."""

from __future__ import annotations

import inspect
from pathlib import Path

import numpy as np
import pytest
import yaml

from quantv2x_ros.commands.evaluate import command
from quantv2x_ros.core.channel.channel_model import ChannelSettings
from quantv2x_ros.evaluation.settings import EvaluationConfig, EvaluationSettingError
from quantv2x_ros.evaluation.settings_file import Measure, document, read_settings

FILE = Path(__file__).parents[2] / "config" / "evaluation.yaml"


def plain(settings: EvaluationConfig) -> dict[str, object]:
    return settings.as_dict()


def test_the_file_that_is_kept_is_the_one_that_the_dataclasses_make() -> None:
    assert FILE.read_text(encoding="utf-8") == document(), (
        "write it anew: python -m quantv2x_ros.evaluation.settings_file config/evaluation.yaml"
    )


def test_the_file_with_all_defaults_says_what_no_file_says() -> None:
    settings, measure = read_settings(FILE)
    assert plain(settings) == plain(EvaluationConfig())
    assert measure == Measure()
    assert all(value is not None for value in yaml.safe_load(FILE.read_text()).values())


def test_values_of_all_sections_arrive_and_changes_come_last(tmp_path: Path) -> None:
    path = tmp_path / "settings.yaml"
    path.write_text(
        "agents: 2\nsending: {max_payload_bytes: 300, parity: 0.5, max_bytes: 900}\n"
        "link: {loss: 0.1, heading_noise: null}\nreceiver: {conceal: 0, align_poses: true}\n"
        "clouds: {mount: [0, 0, 1.9, 0, 0, 90]}\nmeasure: {streaming_ms: [0, 100]}\n"
    )
    changes = ["link.loss=0.3", "receiver.consistency_check=exclude", "level=false"]
    settings, measure = read_settings(path, [*changes, "measure.streaming_measured=true"])
    assert (settings.agents, settings.level) == (2, False)
    sending = settings.link.sending
    assert (sending.settings.tiles.max_payload_bytes, sending.settings.parity) == (300, 0.5)
    assert (sending.max_bytes, sending.settings.min_occupancy) == (900, 0.2)
    assert (settings.link.loss, settings.link.heading_deviation) == (0.3, 0.0)
    receiver = settings.receiver
    assert (receiver.conceal, receiver.align_poses) == (0.0, True)
    assert (receiver.consistency_check, receiver.peer_timeout) == ("exclude", 0.5)
    np.testing.assert_allclose(settings.placement.numbers, [0, 0, 1.9, 0, 0, 90], atol=1e-9)
    assert measure.latencies_ms == (None, 0.0, 100.0)


@pytest.mark.parametrize(
    "channel", ["channel.bit_rate_mbps=6", "channel={bit_rate_mbps: 6.0}", "channel=FILE"]
)
def test_a_channel_is_a_section_or_the_nodes_file(tmp_path: Path, channel: str) -> None:
    file = tmp_path / "channel.yaml"
    file.write_text("/**/channel: {ros__parameters: {bit_rate_mbps: 6.0}}")
    settings, _ = read_settings(None, [channel.replace("FILE", str(file))])
    assert settings.link.channel == ChannelSettings(bit_rate_mbps=6.0)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ("los=0.1", "unknown key los; allowed are agents, .* and the sections sending, link"),
        ("link.los=0.1", "unknown key 'link.los'; allowed are loss"),
        ("link.loss=high", "link.loss must be a float, got 'high'"),
        ("link.loss=2", r"loss must be in \[0, 1\], got 2.0"),
        ("link=3", "link must be a section with keys, got 3"),
        ("link=0", "link must be a section with keys, got 0"),
        ("channel={loss: high}", "channel.loss must be a float, got 'high'"),
        ("agents.most=3", "unknown key|agents must be a int"),
        ("receiver.peer_wait=-1", "peer_wait: got -1.0, expected a number from 0 on"),
        ("clouds.mount=[1, 2]", r"clouds.mount must be a list of 6, got \[1, 2\]"),
        ("measure.streaming_ms=[-1]", "measure.streaming_ms: got -1.0"),
        ("loss", "got 'loss', expected a key and a value: link.loss=0.1"),
        ("link.loss=[", "is not YAML"),
    ],
)
def test_what_makes_no_sense_is_named(change: str, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        read_settings(None, [change])


def test_a_file_that_is_no_yaml_is_named(tmp_path: Path) -> None:
    path = tmp_path / "settings.yaml"
    path.write_text("- 1")
    with pytest.raises(EvaluationSettingError, match=r"settings.yaml: expected keys and values"):
        read_settings(path)


def test_the_command_has_few_options() -> None:
    assert len(inspect.signature(command).parameters) <= 14
