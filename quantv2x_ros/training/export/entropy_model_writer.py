# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Puts a model of the indices into a bundle, which changes the bundle's codebook id."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import yaml

from quantv2x_ros.core.codebook.codebook import codebook_id
from quantv2x_ros.core.coding.index_model import IndexModel
from quantv2x_ros.inference.model.bundle import ModelBundle
from quantv2x_ros.inference.model.bundle_files import ENTROPY_MODEL_FILE, file_sha256
from quantv2x_ros.inference.model.manifest import MANIFEST_NAME


def install_entropy_model(folder: str | Path, model: IndexModel) -> ModelBundle:
    """Write a model into a bundle and update its manifest; returns the bundle.

    Args:
        folder: the bundle.
        model: trained on its indices.

    Raises:
        BundleError: for a damaged bundle, or a model that does not fit its codebook.
    """
    bundle = ModelBundle.load(folder)
    path = bundle.folder / ENTROPY_MODEL_FILE
    model.save(path)
    manifest = replace(
        bundle.manifest,
        codebook=replace(bundle.manifest.codebook, id=codebook_id(bundle.codebook, model)),
        files=dict(
            sorted({**bundle.manifest.files, ENTROPY_MODEL_FILE: file_sha256(path)}.items())
        ),
    )
    text = yaml.safe_dump(manifest.as_dict(), sort_keys=False, allow_unicode=True)
    (bundle.folder / MANIFEST_NAME).write_text(text, encoding="utf-8")
    return ModelBundle.load(folder)
