# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Pictures: what is drawn where, and files that other programs read."""

import numpy as np
import pytest
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from PIL import Image

from quantv2x_ros.core.detection.detection import Detections
from quantv2x_ros.evaluation.drawing import (
    AGENT_COLOURS,
    MISSED_COLOUR,
    TRUTH_COLOUR,
    PictureArea,
    PictureContent,
    class_colour,
    draw_scene,
    legend_handles,
)
from quantv2x_ros.evaluation.pictures import panel_title, save_animation, save_comparison

CLASSES = ("vehicle", "pedestrian", "truck")


def scene_with(boxes, truth, clouds=None):
    boxes = np.array(boxes, np.float32).reshape(-1, 7)
    detections = Detections(
        boxes,
        np.linspace(0.9, 0.5, len(boxes)).astype(np.float32),
        np.arange(len(boxes), dtype=np.int32) % 3 + 1,
    )
    clouds = clouds or {"1": np.array([[10.0, 5.0, 0.0]]), "-1": np.zeros((0, 3))}
    sensors = dict.fromkeys(clouds, (0.0, 0.0))
    truth = None if truth is None else np.array(truth, np.float32).reshape(-1, 7)
    return PictureContent(clouds, sensors, detections, truth, CLASSES)


CAR = [20.0, 10.0, 0.0, 4.0, 2.0, 1.5, 0.0]
BUS = [-15.0, -3.0, 0.0, 10.0, 3.0, 3.0, 0.3]


def drawn(scene):
    ax = Figure().subplots()
    draw_scene(ax, scene, PictureArea(-30.0, 30.0, -30.0, 30.0), "title")
    return ax


def outlines(ax, colour):
    return [
        path.vertices
        for lines in ax.collections
        if isinstance(lines, LineCollection)
        for path, edge in zip(
            lines.get_paths(),
            np.resize(lines.get_edgecolor(), (len(lines.get_paths()), 4)),
            strict=True,
        )
        if tuple(edge) == to_rgba(colour) and len(path.vertices) == 5
    ]


def test_forward_is_up_and_left_is_left():
    ax = drawn(scene_with([CAR], None))
    (outline,) = outlines(ax, class_colour(1))
    np.testing.assert_allclose(outline.min(axis=0), [-11.0, 18.0], atol=1e-5)
    np.testing.assert_allclose(outline.max(axis=0), [-9.0, 22.0], atol=1e-5)


def test_a_point_lights_up_where_it_is_in_its_agents_colour():
    cloud = {"1": np.tile([10.0, 5.0, 0.0], (50, 1)), "2": np.tile([-20.0, -8.0, 0.0], (50, 1))}
    ax = drawn(scene_with([], None, cloud))
    image = ax.images[0].get_array()
    left, right, bottom, top = ax.images[0].get_extent()
    for (x, y), colour in (((10.0, 5.0), AGENT_COLOURS[0]), ((-20.0, -8.0), AGENT_COLOURS[1])):
        row = int((top - x) / (top - bottom) * image.shape[0] + 1e-6)
        column = int((-y - left) / (right - left) * image.shape[1] + 1e-6)
        lit = image[row, column] - image[0, 0]
        wanted = np.array(to_rgba(colour)[:3]) - image[0, 0]
        np.testing.assert_allclose(lit, 0.75 * wanted, atol=1e-6)


def test_truth_is_dashed_and_what_was_missed_stands_out():
    ax = drawn(scene_with([CAR], [CAR, BUS]))
    assert len(outlines(ax, TRUTH_COLOUR)) == 1
    assert len(outlines(ax, MISSED_COLOUR)) == 1
    assert panel_title("alone", scene_with([CAR], [CAR, BUS])) == (
        "alone: 1 of 2 objects found, 0 false"
    )
    assert panel_title("alone", scene_with([CAR, BUS], None)) == "alone: 2 objects"


def test_every_score_is_written():
    texts = [text.get_text() for text in drawn(scene_with([CAR, BUS], None)).texts]
    assert {"0.90", "0.50"} <= set(texts)


def test_the_legend_names_agents_and_classes():
    labels = [handle.get_label() for handle in legend_handles(scene_with([], []))]
    assert labels == ["agent 1 (ego)", "agent -1", *CLASSES, "truth, found", "truth, not found"]


def test_the_view_holds_all_scenes_but_not_more_than_the_evaluated_range():
    near, far = scene_with([CAR], []), scene_with([], [[300.0, -37.0, 0.0, 4, 2, 2, 0.0]])
    view = PictureArea.around([near, far])
    assert (view.x_low, view.x_high, view.y_low, view.y_high) == (-30.0, 100.0, -40.0, 30.0)


def test_a_comparison_is_a_picture_of_two_panels(tmp_path):
    path = tmp_path / "new" / "comparison.png"
    save_comparison(path, scene_with([CAR], [CAR, BUS]), scene_with([CAR, BUS], [CAR, BUS]))
    with Image.open(path) as image:
        assert image.width > 1000
        assert len(image.getcolors(maxcolors=1 << 20)) > 50


def test_an_animation_has_all_its_frames(tmp_path):
    path = tmp_path / "scene.gif"
    view = PictureArea(-30.0, 30.0, -30.0, 30.0)
    scenes = [scene_with([[x, *CAR[1:]]], [CAR]) for x in (0.0, 10.0, 20.0)]
    save_animation(path, ([("", scene)] for scene in scenes), view, frames_per_second=5.0)
    with Image.open(path) as image:
        assert image.n_frames == 3
        assert image.info["duration"] == 200
        assert image.info["loop"] == 0


def test_several_processes_draw_the_same_animation_as_one(tmp_path):
    view = PictureArea(-30.0, 30.0, -30.0, 30.0)
    scenes = [scene_with([[4.0 * n, *CAR[1:]]], [CAR]) for n in range(5)]
    files = [tmp_path / "one.gif", tmp_path / "two.gif"]
    for processes, path in enumerate(files, start=1):
        frames = [[("", scene)] for scene in scenes]
        headings = [str(n) for n in range(5)]
        save_animation(path, frames, view, headings=headings, processes=processes)
    assert files[0].read_bytes() == files[1].read_bytes()


def test_an_animation_without_frames_is_refused(tmp_path):
    with pytest.raises(ValueError, match="needs one frame"):
        save_animation(tmp_path / "none.gif", [], PictureArea(-30.0, 30.0, -30.0, 30.0))
