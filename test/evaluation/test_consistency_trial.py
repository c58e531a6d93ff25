# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Honest peers and liars are told apart with the default bundle; the command writes the counts."""

from __future__ import annotations

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from quantv2x_ros.cli import app
from quantv2x_ros.data.simulator import write_scenario
from quantv2x_ros.evaluation.consistency_trial import HONEST, make_lies
from quantv2x_ros.results.kinds import KINDS


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    """Eight scenes of three agents, two frames each: in a few two worlds may be alike."""
    root = tmp_path_factory.mktemp("scenes")
    for seed in range(3, 11):
        write_scenario(root / "test" / f"scene_{seed}", seed=seed, frames=2, agents=3)
    return root


@pytest.fixture(scope="module")
def result(scenes, repository, tmp_path_factory):
    out = tmp_path_factory.mktemp("trial") / "trial.json"
    call = ["consistency", "--data", str(scenes), "--threads", "1", "--json", str(out)]
    ended = CliRunner().invoke(app, [*call, "--bundle", str(repository / "engines/default")])
    assert ended.exit_code == 0, ended.output
    assert "honest" in ended.output
    return json.loads(out.read_text())


def test_every_kind_is_tried_with_every_peer(result):
    kinds = result["kinds"]
    assert set(kinds) == set(make_lies(np.random.default_rng(0)))
    assert result["frames"] == 16
    assert (kinds[HONEST]["peers"], kinds[HONEST]["comparisons"]) == (16, 32)
    assert kinds["map of another scene"]["comparisons"] == 28  # the first scene knows no other


def test_liars_contradict_the_ego_and_honest_peers_do_not(result):
    kinds = result["kinds"]
    assert kinds[HONEST]["flagged"] == 0.0
    assert kinds[HONEST]["contradicted"]["max"] < 0.2
    assert kinds["map of another scene"]["contradicted"]["median"] > 0.3
    shifted = [kinds[f"pose shifted by {d} m"]["contradicted"]["median"] for d in (3, 10)]
    assert kinds[HONEST]["contradicted"]["median"] < shifted[0] < shifted[1]


def test_a_table_is_made_of_the_result(result):
    assert result["provenance"]["command"].startswith("python -m quantv2x_ros ")
    rows = KINDS["consistency"].make({"": [result]}, {}).splitlines()[2:]
    assert rows[0].startswith(f"| {HONEST} | 16 | 0% | ")
    assert len(rows) == len(result["kinds"])


def test_the_same_seed_gives_the_same_lies():
    first, same, other = (
        make_lies(np.random.default_rng(seed))["pose shifted by 3 m"] for seed in (1, 1, 2)
    )
    assert first == same != other
    assert np.hypot(first.x, first.y) == pytest.approx(3.0)


def test_a_dataset_without_a_peer_is_named(bundles, tmp_path):
    write_scenario(tmp_path / "test" / "scene", seed=3, frames=1, agents=1)
    call = ["consistency", "--data", str(tmp_path), "--bundle", str(bundles["int8"])]
    ended = CliRunner().invoke(app, call)
    assert ended.exit_code == 1
    assert "no frame has an ego and a peer" in ended.output
