# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A host's own station id."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantv2x_ros.core.peers.host_station import HOST_STATIONS, HostStationError, host_station
from quantv2x_ros.data.agent_names import is_roadside, station_id


@pytest.fixture
def state(tmp_path, monkeypatch):
    folder = tmp_path / "state"
    monkeypatch.setenv("XDG_STATE_HOME", str(folder))
    return folder / "quantv2x_ros" / "station_id"


def machine(tmp_path, text):
    path = tmp_path / "machine-id"
    path.write_text(text)
    return [path]


def test_a_machine_id_gives_the_same_station_every_time_and_is_not_told(tmp_path, state):
    text = "0123456789abcdef0123456789abcdef"
    found = [host_station(machine(tmp_path, text + "\n")) for _ in range(2)]
    assert found[0] == found[1]
    assert found[0].station_id in HOST_STATIONS
    assert found[0].is_kept
    assert int(text, 16) % 2**32 != found[0].station_id
    assert not state.exists()


def test_machines_differ(tmp_path, state):
    ids = {host_station(machine(tmp_path, f"{n:032x}")).station_id for n in range(1, 300)}
    assert len(ids) == 299


@given(st.text(max_size=12))
def test_no_agent_of_a_dataset_has_a_hosts_id(name):
    assert station_id(name) not in HOST_STATIONS
    assert not any(map(is_roadside, (HOST_STATIONS[0], HOST_STATIONS[-1])))


@pytest.mark.parametrize("text", [None, "", "uninitialized\n", "0" * 32])
def test_without_a_machine_id_a_random_one_is_kept(tmp_path, state, text):
    files = [tmp_path / "missing"] if text is None else machine(tmp_path, text)
    first = host_station(files)
    assert first.source == str(state)
    assert int(state.read_text()) == first.station_id
    assert host_station(files) == first
    assert [path.name for path in state.parent.iterdir()] == ["station_id"]
    state.unlink()
    assert host_station(files).station_id != first.station_id


def test_nodes_that_start_together_agree(state):
    script = (
        "from pathlib import Path; from quantv2x_ros.core.peers.host_station import host_station;"
        "print(host_station([Path('/missing')]).station_id)"
    )
    started = [
        subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) for _ in range(4)
    ]
    assert len({process.communicate()[0] for process in started}) == 1


def test_where_nothing_can_be_kept_the_id_follows_from_name_and_network(tmp_path, monkeypatch):
    blocked = tmp_path / "file"
    blocked.write_text("")  # no folder can be made below it, not even by root
    monkeypatch.setenv("XDG_STATE_HOME", str(blocked))
    found = [host_station([]) for _ in range(2)]
    assert found[0] == found[1]
    assert found[0].station_id in HOST_STATIONS
    assert not found[0].is_kept


@pytest.mark.parametrize("text", ["one", "7", "-1", ""])
def test_a_kept_id_that_is_none_is_named(state, text):
    state.parent.mkdir(parents=True)
    state.write_text(text)
    with pytest.raises(HostStationError, match=r"station_id keeps .* Delete it"):
        host_station([])
