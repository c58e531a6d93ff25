# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""`doctor --data DIR --statistics` measures any dataset that the package reads."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from quantv2x_ros.cli import app
from quantv2x_ros.data.errors import DatasetError
from quantv2x_ros.data.simulator import SimulatedObject, write_scenario
from quantv2x_ros.data.v2x_real import write_agent_frame
from quantv2x_ros.doctor.dataset_statistics import gather_statistics

HEIGHT = 2.2


def item(number: int, kind: str, place: tuple[float, float, float], half: tuple[float, ...]):
    return SimulatedObject(number, kind, place, (0.0, 0.0, 0.0), half, 0.0, 9)


@pytest.fixture
def street(tmp_path: Path) -> Path:
    """One agent on level ground, with a car, a narrow car, a walker and a rider."""
    axis = np.arange(-45.0, 45.0, 0.5)
    x, y = (v.ravel() for v in np.meshgrid(axis, axis))
    ground = np.stack([x, y, 0 * x - HEIGHT, 0 * x], axis=1).astype(np.float32)
    objects = [
        item(5, "Car", (10.0, 4.0, 0.8), (2.4, 1.0, 0.8)),
        item(6, "Car", (20.0, 4.0, 0.8), (1.8, 0.8, 0.8)),
        item(7, "Pedestrian", (10.0, 8.0, 0.9), (0.3, 0.35, 0.9)),
        item(8, "BicycleRider", (14.0, 8.0, 0.9), (0.9, 0.4, 0.9)),
    ]
    for frame in range(2):
        write_agent_frame(
            tmp_path / "test" / "scene" / "1",
            f"{frame:06d}",
            ground,
            lidar_pose=(0.0, 0.0, HEIGHT, 0.0, 0.0, 0.0),
            objects=objects,
            infrastructure=False,
        )
    return tmp_path


def test_objects_are_counted_once_and_people_by_whether_they_ride(street: Path) -> None:
    found = gather_statistics(street).as_dict()
    assert found["sweeps"] == 2
    assert found["vehicles"]["objects"] == 2
    assert found["vehicles"]["mean"] == pytest.approx([4.2, 1.8])
    assert found["vehicles"]["percentile_5"] == pytest.approx([3.66, 1.62])
    assert found["on_foot"]["mean"] == pytest.approx([0.6, 0.7])
    assert found["riders"]["mean"] == pytest.approx([1.8, 0.8])
    assert found["trucks"] is None
    assert found["unlabelled_pillars"] == 0
    assert found["unlabelled_to_labelled"] is None


def test_bottoms_are_given_in_the_lidar_frame_and_in_the_levelled_one(street: Path) -> None:
    found = gather_statistics(street).as_dict()
    assert found["bottoms"] == pytest.approx([-HEIGHT, -HEIGHT], abs=1e-3)
    assert found["bottoms_levelled"] == pytest.approx([-1.9, -1.9], abs=1e-3)
    assert found["tilt"]["mean"] == pytest.approx(0.0, abs=1e-3)
    assert found["ground_residual"]["mean"] == pytest.approx(0.0, abs=1e-3)


def test_the_command_prints_and_writes_the_same(street: Path, tmp_path: Path) -> None:
    out = tmp_path / "statistics.json"
    done = CliRunner().invoke(
        app, ["doctor", "--data", str(street), "--statistics", "--json", str(out)]
    )
    assert done.exit_code == 0, done.output
    assert "pillars with more than 32 points" in done.output
    assert "4.20 x 1.80" in done.output
    assert json.loads(out.read_text())["vehicles"]["objects"] == 2


def test_damaged_files_are_named_and_left_out(street: Path) -> None:
    (street / "test" / "scene" / "1" / "000001.bin").write_bytes(b"123")
    done = CliRunner().invoke(app, ["doctor", "--data", str(street), "--statistics"])
    assert done.exit_code == 1
    assert "left out" in done.output
    assert "000001.bin" in done.output
    (street / "test" / "scene" / "1" / "000000.bin").write_bytes(b"123")
    with pytest.raises(DatasetError, match="not one sweep can be read"):
        gather_statistics(street)


def test_statistics_are_of_a_dataset() -> None:
    done = CliRunner().invoke(app, ["doctor", "--statistics"])
    assert done.exit_code == 2
    assert "--data" in done.output


def test_opv2v_clouds_and_labels_are_measured(shared_dir: Path) -> None:
    found = gather_statistics(shared_dir / "data" / "opv2v_format_5agents").as_dict()
    assert found["sweeps"] == 5
    assert found["vehicles"]["objects"] > 5
    assert found["on_foot"] is None
    assert found["points"]["mean"] > 10_000


def test_the_figures_of_real_streets_are_as_known(shared_dir: Path) -> None:
    """Of 18 real sweeps; the ranges are what other tools found on the same sets."""
    root = shared_dir / "data" / "real"
    points, full, rough, clutter = [], [], [], []
    for folder in sorted(path for path in root.iterdir() if path.is_dir()):
        found = gather_statistics(folder).as_dict()
        assert found["sweeps_without_ground"] == 0
        points.append(found["points"]["mean"])
        full.append(found["full_pillars"])
        rough.append(found["ground_residual"]["mean"])
        clutter.append(found["unlabelled_pillars"])
        if folder.name == "kitti":
            assert found["vehicles"]["mean"] == pytest.approx([3.75, 1.65], abs=0.05)
            assert found["vehicles"]["percentile_5"] == pytest.approx([3.19, 1.50], abs=0.03)
    assert min(points) > 35_000
    assert max(points) < 190_000
    assert min(full) == pytest.approx(0.02, abs=0.005)
    assert max(full) == pytest.approx(0.22, abs=0.03)
    assert min(rough) > 0.13
    assert max(rough) < 0.3
    assert min(clutter) > 1400
    assert max(clutter) < 3100


def test_the_simulated_world_lies_between_real_streets(tmp_path: Path) -> None:
    """Slopes, roughness and density of six scenes of three agents."""
    for seed in range(700_000, 700_006):
        write_scenario(tmp_path / "test" / f"scene_{seed}", seed=seed, frames=1, agents=3)
    found = gather_statistics(tmp_path).as_dict()
    assert found["tilt"]["percentile_95"] > 1.5
    assert 0.11 < found["ground_residual"]["mean"] < 0.3
    assert found["points"]["mean"] > 45_000
    assert 0.02 < found["full_pillars"] < 0.24
    assert np.ptp(found["bottoms_levelled"]) < np.ptp(found["bottoms"])
