# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Classes that a dataset lacks are told from those it has."""

from quantv2x_ros.data.scenario import Scenario
from quantv2x_ros.training.stream import absent_classes


def moments(root):
    scenario = Scenario.open(root)
    return [(scenario, stamp) for stamp in scenario.timestamps]


def test_a_dataset_with_every_class_lacks_none(small_scenario):
    assert absent_classes(moments(small_scenario())) == []


def test_the_classes_without_an_object_are_named_in_order(small_scenario):
    root = small_scenario()
    for path in root.rglob("*.yaml"):
        path.write_text(
            path.read_text().replace("Bus", "Car").replace("obj_type: Pedestrian", "obj_type: Tree")
        )
    assert absent_classes(moments(root)) == ["pedestrian", "truck"]


def test_damaged_labels_are_passed_over(small_scenario):
    root = small_scenario(frames=2)
    (root / "1" / "000000.yaml").write_text("{")
    assert absent_classes(moments(root)) == []
    (root / "1" / "000001.yaml").write_text("{")
    assert absent_classes(moments(root)) == ["vehicle", "pedestrian", "truck"]
