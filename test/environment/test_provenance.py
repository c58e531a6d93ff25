# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The provenance that measuring commands write beside their numbers."""

from __future__ import annotations

import re
import shlex
from datetime import datetime, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantv2x_ros.environment.provenance import Provenance, ProvenanceError, provenance


def test_it_names_bundle_date_processor_and_command() -> None:
    before = datetime.now(timezone.utc).replace(microsecond=0)
    found = Provenance.parse(provenance("small", "3", arguments=["evaluate", "--agents", "2"]))
    assert (found.bundle, found.bundle_version) == ("small", "3")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", found.date)
    assert before <= datetime.fromisoformat(found.date.replace("Z", "+00:00"))
    assert found.processor
    assert found.instruction_set
    assert found.cores > 0
    assert found.command == "python -m quantv2x_ros evaluate --agents 2"
    assert not found.transcribed


@pytest.mark.parametrize(
    ("given_word", "written"),
    [
        ("/data/sets/world", "world"),
        ("/data/sets/world/", "world"),
        ("--data=/data/sets/world", "--data=world"),
        ("~/world", "world"),
        ("../../world", "world"),
        ("engines/small", "engines/small"),
        ("docs/results/link.json", "docs/results/link.json"),
        ("--cloud-mount=0,0,1.9,0,0,0", "--cloud-mount=0,0,1.9,0,0,0"),
        ("levels,min_occupancy", "levels,min_occupancy"),
        ("my world", "'my world'"),
    ],
)
def test_paths_outside_the_folder_are_shortened(given_word: str, written: str) -> None:
    command = provenance("small", "3", arguments=["evaluate", given_word])["command"]
    assert command == f"python -m quantv2x_ros evaluate {written}"


@given(st.lists(st.text(st.characters(exclude_characters="/~"), min_size=1), max_size=5))
def test_other_arguments_stay_as_they_were_given(words: list[str]) -> None:
    command = provenance("small", "3", arguments=words)["command"]
    assert shlex.split(command)[3:] == words


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"bundle_version": 6}, "provenance.bundle_version must be of type str, got 6"),
        ({"cores": True}, "provenance.cores must be of type int, got True"),
        ({"host": "name"}, "provenance has an unknown entry, host"),
        ({"date": None}, "provenance.date must be of type str, got None"),
    ],
)
def test_a_provenance_of_another_form_is_refused(changes: dict[str, Any], message: str) -> None:
    entry = {**provenance("small", "3", arguments=[]), **changes}
    with pytest.raises(ProvenanceError, match=re.escape(message)):
        Provenance.parse(entry)


def test_a_missing_entry_is_named() -> None:
    entry = provenance("small", "3", arguments=[])
    del entry["processor"]
    with pytest.raises(ProvenanceError, match="provenance has no processor"):
        Provenance.parse(entry)
    with pytest.raises(ProvenanceError, match="must be an object with entries, got 'yesterday'"):
        Provenance.parse("yesterday")
