# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A bundle is loaded whole and unaltered, or refused with the reason."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from quantv2x_ros.core.detection.detection import DetectionError
from quantv2x_ros.core.placement.levelling import SENSOR_HEIGHTS
from quantv2x_ros.inference.model.bundle import ModelBundle
from quantv2x_ros.inference.model.bundle_files import REQUIRED_FILES, file_sha256
from quantv2x_ros.inference.model.manifest import (
    MANIFEST_NAME,
    BundleError,
    SparseHeads,
    parse_manifest,
)

Change = Callable[[dict[str, Any]], object]


@pytest.fixture
def copy(int8_bundle: ModelBundle, tmp_path: Path) -> Path:
    return Path(shutil.copytree(int8_bundle.folder, tmp_path / "bundle"))


def rewrite(folder: Path, change: Change) -> None:
    path = folder / MANIFEST_NAME
    document = yaml.safe_load(path.read_text())
    change(document)
    path.write_text(yaml.safe_dump(document))


def replace_file(folder: Path, name: str, content: bytes) -> None:
    """Replace a file and its hash: what only its content can reveal."""
    (folder / name).write_bytes(content)
    rewrite(folder, lambda m: m["files"].update({name: file_sha256(folder / name)}))


def test_a_bundle_says_what_it_is(int8_bundle: ModelBundle) -> None:
    assert int8_bundle.precision == "int8"
    assert int8_bundle.grid.shape == (64, 64)
    assert int8_bundle.classes == ("vehicle", "pedestrian", "truck")
    assert int8_bundle.codebook_id == int8_bundle.codebook.fingerprint
    assert (int8_bundle.codebook.levels, int8_bundle.codebook.dict_size) == (3, 128)
    assert int8_bundle.max_agents == 8
    assert int8_bundle.detection.class_aware
    assert (int8_bundle.scale("pillars") or 0) > 0


def test_the_manifest_survives_being_written_and_read(int8_bundle: ModelBundle) -> None:
    text = yaml.safe_dump(int8_bundle.manifest.as_dict())
    assert parse_manifest(text.encode()) == int8_bundle.manifest


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"nowhere.*no such folder"):
        ModelBundle.load(tmp_path / "nowhere")


@pytest.mark.parametrize("name", [MANIFEST_NAME, *REQUIRED_FILES])
def test_a_missing_file_is_named(copy: Path, name: str) -> None:
    (copy / name).unlink()
    with pytest.raises(BundleError, match=f"{name} is missing"):
        ModelBundle.load(copy)


@pytest.mark.parametrize("name", REQUIRED_FILES)
def test_an_altered_file_is_named(copy: Path, name: str) -> None:
    content = bytearray((copy / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copy / name).write_bytes(content)
    with pytest.raises(BundleError, match=f"{name} was altered"):
        ModelBundle.load(copy)


def test_a_git_lfs_pointer_is_told_from_damage(copy: Path) -> None:
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
    (copy / "pyramid.onnx").write_bytes(pointer)
    with pytest.raises(BundleError, match="git lfs pull"):
        ModelBundle.load(copy)


def test_a_codebook_that_is_not_the_manifests_is_refused(copy: Path) -> None:
    rewrite(copy, lambda m: m["codebook"].update(id="0123456789abcdef"))
    with pytest.raises(BundleError, match=r"0123456789abcdef.*export the bundle again"):
        ModelBundle.load(copy)


def test_tables_that_are_not_finite_are_refused(copy: Path) -> None:
    with np.load(copy / "codebook.npz") as archive:
        arrays = dict(archive)
    arrays["bias"][3] = np.nan
    np.savez(copy / "new.npz", **arrays)
    replace_file(copy, "codebook.npz", (copy / "new.npz").read_bytes())
    with pytest.raises(BundleError, match="not finite"):
        ModelBundle.load(copy)


def test_pillar_weights_of_another_shape_are_refused(copy: Path) -> None:
    np.savez(copy / "new.npz", linear=np.zeros((64, 9), np.float32), bias=np.zeros(64, np.float32))
    replace_file(copy, "pillars.npz", (copy / "new.npz").read_bytes())
    with pytest.raises(BundleError, match=r"pillars\.npz.*\(C, 10\)"):
        ModelBundle.load(copy)


@pytest.mark.parametrize("name", ["codebook.npz", "pillars.npz"])
@pytest.mark.parametrize("content", [b"not a table", b"PK\x03\x04 nor an archive"])
def test_tables_that_are_no_tables_are_refused(copy: Path, name: str, content: bytes) -> None:
    replace_file(copy, name, content)
    with pytest.raises(BundleError, match=name):
        ModelBundle.load(copy)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m.update(colour="red"), "unknown keys \\['colour'\\]"),
        (lambda m: m.pop("grid"), "missing keys \\['grid'\\]"),
        (lambda m: m.update(format=99), "format: got 99, this version reads 1"),
        (lambda m: m["grid"].update(depth=1), "unknown keys \\['depth'\\]"),
        (lambda m: m["grid"].update(lidar_range=[0, 0, 0, 1, 1, float("nan")]), "six finite"),
        (lambda m: m["grid"].update(voxel_size=[0.3, 0.4, 6]), "multiple of the voxel size"),
        (lambda m: m["detection"].update(score_threshold=2), "score_threshold"),
        (lambda m: m["detection"].update(class_thresholds={"vehicle": 0.5}), "threshold of each"),
        (lambda m: m["detection"]["class_thresholds"].update(truck=1.5), "score_threshold"),
        (lambda m: m["detection"].update(competing=[["vehicle", "tram"]]), "names \\['tram'\\]"),
        (lambda m: m["detection"].update(competing=[["truck"], ["truck"]]), "one group at most"),
        (lambda m: m.update(sensor_heights=[3.0, 1.0]), "sensor_heights"),
        (lambda m: m["codebook"].update(id="xyz"), "16 hexadecimal digits"),
        (lambda m: m["codebook"].update(background=[0, 0, 500]), "indices below 128"),
        (lambda m: m.update(max_agents=0), "max_agents: got 0"),
        (lambda m: m.update(precision="int4"), "precision: got 'int4'"),
        (lambda m: m.update(parity="yes please"), "parity: got 'yes please'"),
        (lambda m: m.update(score_gain=float("inf")), "score_gain"),
        (lambda m: m["scales"].update(pillars=-1.0), "scale of pillars"),
        (lambda m: m.update(scales={}), "scales belong to int8"),
        (lambda m: m["files"].update({"../../etc/passwd": "0" * 64}), "not a plain file name"),
        (lambda m: m["files"].update({"head.onnx": "123"}), "no SHA-256"),
        (lambda m: m["files"].pop("head.onnx"), "lists no head.onnx"),
        (lambda m: m["anchors"]["classes"][0].update(size=[1, 2]), "three lengths"),
        (lambda m: m.update(files=None), "manifest"),
    ],
)
def test_a_wrong_manifest_entry_is_named(copy: Path, change: Change, message: str) -> None:
    rewrite(copy, change)
    with pytest.raises(BundleError, match=message):
        ModelBundle.load(copy)


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe\x00", b"- 1", b"", b"!!python/object:a.B {}"])
def test_a_manifest_that_is_no_mapping_is_refused(copy: Path, content: bytes) -> None:
    (copy / MANIFEST_NAME).write_bytes(content)
    with pytest.raises(BundleError, match=MANIFEST_NAME):
        ModelBundle.load(copy)


def test_a_bundle_from_before_a_setting_has_its_default(copy: Path) -> None:
    rewrite(copy, lambda m: m["detection"].pop("drop_ego"))
    assert ModelBundle.load(copy).detection.drop_ego is False


def test_thresholds_and_competing_classes_are_named_in_the_manifest(copy: Path) -> None:
    def change(manifest: dict[str, Any]) -> None:
        manifest["detection"].update(
            class_thresholds={"truck": 0.7, "vehicle": 0.5, "pedestrian": 0.3},
            competing=[["truck", "vehicle"]],
        )
        manifest.update(sensor_heights=[1.7, 2.4])

    rewrite(copy, change)
    bundle = ModelBundle.load(copy)
    assert bundle.detection.class_thresholds == (0.5, 0.3, 0.7)
    assert bundle.detection.lowest_threshold == 0.3
    assert bundle.detection.competing == ((3, 1),)
    assert bundle.sensor_heights == (1.7, 2.4)
    again = parse_manifest(yaml.safe_dump(bundle.manifest.as_dict()).encode())
    assert again == bundle.manifest


def test_a_bundle_from_before_them_has_one_threshold_and_the_usual_heights(copy: Path) -> None:
    def change(manifest: dict[str, Any]) -> None:
        del manifest["detection"]["class_thresholds"], manifest["detection"]["competing"]

    rewrite(copy, change)
    bundle = ModelBundle.load(copy)
    assert bundle.detection.thresholds(3).tolist() == [np.float32(0.4)] * 3
    assert bundle.detection.competing == ()
    assert bundle.sensor_heights == SENSOR_HEIGHTS


def test_a_bundle_with_parity_has_no_clouds_levelled(int8_bundle: ModelBundle) -> None:
    published = replace(int8_bundle.manifest, reproduces_published=True, sparse_heads=())
    assert replace(int8_bundle, manifest=published).sensor_heights is None


def test_a_scale_that_is_missing_is_named(copy: Path) -> None:
    rewrite(copy, lambda m: m["scales"].pop("fused1"))
    with pytest.raises(BundleError, match="no scale of 'fused1'"):
        ModelBundle.load(copy).scale("fused1")


def test_another_threshold_of_scores_changes_nothing_else(int8_bundle: ModelBundle) -> None:
    changed = int8_bundle.with_score_threshold(0.05)
    expected = replace(int8_bundle.detection, score_threshold=0.05, class_thresholds=())
    assert changed.detection == expected
    assert replace(changed.manifest, detection=int8_bundle.detection) == int8_bundle.manifest
    with pytest.raises(DetectionError, match="score_threshold"):
        int8_bundle.with_score_threshold(1.5)


#: Where heads are computed, for two score thresholds.
ENTRIES = (SparseHeads(0.125, 0.2), SparseHeads(0.25, 0.5))


def test_where_heads_are_computed_survives_being_written_and_read(int8_bundle: ModelBundle) -> None:
    manifest = replace(int8_bundle.manifest, sparse_heads=ENTRIES)
    document = manifest.as_dict()
    assert document["sparse_heads"] == [
        {"occupancy": 0.125, "score": 0.2},
        {"occupancy": 0.25, "score": 0.5},
    ]
    assert parse_manifest(yaml.safe_dump(document).encode()) == manifest
    assert "sparse_heads" not in int8_bundle.manifest.as_dict()


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"occupancy": 0.0, "score": 0.2}, "occupancy 0.0 and score 0.2 must lie between 0 and 1"),
        ({"occupancy": 0.1, "score": 1.0}, "must lie between"),
        ({"occupancy": 0.1}, r"sparse_heads: missing keys \['score'\]"),
        ({"occupancy": 0.1, "score": 0.2, "x": 1}, r"sparse_heads: unknown keys \['x'\]"),
        (0.1, "sparse_heads: got float, expected a mapping"),
        ({"occupancy": 0.3, "score": 0.4}, "score 0.4 stands behind 0.5, they must rise"),
    ],
)
def test_where_heads_are_computed_is_checked(copy: Path, entry: Any, message: str) -> None:
    before = {"occupancy": 0.1, "score": 0.5}
    rewrite(copy, lambda m: m.update(sparse_heads=[before, entry]))
    with pytest.raises(BundleError, match=message):
        ModelBundle.load(copy)


def test_where_heads_are_computed_is_a_list(copy: Path) -> None:
    rewrite(copy, lambda m: m.update(sparse_heads={"occupancy": 0.1, "score": 0.2}))
    with pytest.raises(BundleError, match="sparse_heads: got dict, expected a list"):
        ModelBundle.load(copy)


@pytest.mark.parametrize(
    ("threshold", "entry"),
    [(0.19, None), (0.2, ENTRIES[0]), (0.49, ENTRIES[0]), (0.5, ENTRIES[1]), (0.9, ENTRIES[1])],
)
def test_where_heads_are_computed_follows_the_score_threshold(
    int8_bundle: ModelBundle, threshold: float, entry: SparseHeads | None
) -> None:
    manifest = replace(int8_bundle.manifest, sparse_heads=ENTRIES)
    assert manifest.sparse_heads_for(threshold) == entry
    assert int8_bundle.manifest.sparse_heads_for(threshold) is None


def test_the_grid_of_weights_is_stated_where_it_is_known(copy: Path) -> None:
    assert ModelBundle.load(copy).manifest.weight_limit == 63
    for value in (0, 129, True, "63"):
        rewrite(copy, lambda m, value=value: m.update(weight_limit=value))
        with pytest.raises(BundleError, match="weight_limit: got"):
            ModelBundle.load(copy)
    rewrite(copy, lambda m: m.pop("weight_limit"))  # as older bundles have it
    older = ModelBundle.load(copy)
    assert older.manifest.weight_limit is None
    assert "weight_limit" not in older.manifest.as_dict()
    rewrite(copy, lambda m: m.update(precision="fp32", scales={}, weight_limit=63))
    with pytest.raises(BundleError, match="weight_limit belongs to int8 bundles alone"):
        ModelBundle.load(copy)


def test_parity_and_full_precision_compute_heads_everywhere(copy: Path) -> None:
    rewrite(copy, lambda m: m.update(sparse_heads=[{"occupancy": 0.1, "score": 0.2}], parity=True))
    with pytest.raises(BundleError, match="belongs to int8 bundles without parity"):
        ModelBundle.load(copy)
    rewrite(copy, lambda m: m.update(parity=False, precision="fp32", scales={}, weight_limit=None))
    with pytest.raises(BundleError, match="belongs to int8 bundles without parity"):
        ModelBundle.load(copy)
    rewrite(copy, lambda m: m.update(sparse_heads=None))
    assert parse_manifest((copy / MANIFEST_NAME).read_bytes()).sparse_heads == ()
