# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""NumPy in YAML: arrays of numbers come back, nothing else is made or run."""

from __future__ import annotations

import base64

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from quantv2x_ros.data.agent_yaml import NumericLoader

PYTHON = "!!python/object/apply:"
NUMBERS = st.one_of(
    hnp.integer_dtypes(endianness="?"),
    hnp.unsigned_integer_dtypes(endianness="?"),
    hnp.floating_dtypes(endianness="?", sizes=(16, 32, 64)),
    hnp.boolean_dtypes(),
)
EXISTS = "/etc/hostname"


def load(text):
    return yaml.load(text, Loader=NumericLoader)


@settings(max_examples=150, deadline=None)
@given(array=hnp.arrays(NUMBERS, hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)))
def test_arrays_of_numbers_come_back_whole(array):
    for order in "CF":
        read = load(yaml.dump({"pose": np.asarray(array, order=order), "again": array}))["pose"]
        assert read.dtype == array.dtype
        np.testing.assert_array_equal(read, array)


@settings(max_examples=100, deadline=None)
@given(value=st.one_of(st.floats(), st.integers(-(2**63), 2**63 - 1), st.booleans()))
def test_scalars_become_plain_numbers(value):
    read = load(yaml.dump([np.array(value)[()]]))[0]
    assert type(read) is type(value)
    np.testing.assert_equal(read, value)


def test_the_names_of_numpy_1_and_2_are_the_same():
    text = yaml.dump(np.eye(4))
    modules = ("numpy.core.multiarray", "numpy._core.multiarray")
    assert any(module in text for module in modules)
    for module in modules:
        for written in modules:
            np.testing.assert_array_equal(load(text.replace(written, module)), np.eye(4))


@pytest.mark.parametrize(
    "text",
    [
        f"{PYTHON}os.system ['touch {{path}}']",
        f'{PYTHON}builtins.eval [\'open("{{path}}", "w")\']',
        f"{PYTHON}subprocess.check_call [[touch, '{{path}}']]",
        f"{PYTHON}numpy.load ['{EXISTS}']",
        f"{PYTHON}numpy.core.multiarray.fromfile ['{EXISTS}']",
        "!!python/name:os.system ''",
        "!!python/module:os ''",
        "!!python/object:collections.OrderedDict {{}}",
        "!!python/object/new:numpy.ndarray [[4, 4]]",
        f"{PYTHON}numpy.dtype [O8, false, true]",
        f"{PYTHON}numpy.dtype {{{{args: [S8, false, true], state: !!python/tuple [3, '|']}}}}",
    ],
)
def test_nothing_else_is_made_or_run(tmp_path, text):
    path = tmp_path / "made"
    with pytest.raises(yaml.YAMLError):
        load(text.format(path=path))
    assert not path.exists()


def array_text(shape="[4, 4]", kind="f8", order="'<'", size=128):
    data = base64.b64encode(bytes(size)).decode()
    return (
        f"{PYTHON}numpy.core.multiarray._reconstruct\n"
        "args: [!!python/name:numpy.ndarray '', !!python/tuple [0], !!binary Yg==]\n"
        f"state: !!python/tuple [1, !!python/tuple {shape}, {PYTHON}numpy.dtype {{args: [{kind}],"
        f" state: !!python/tuple [3, {order}, null, null, null, -1, -1, 0]}}, false,"
        f" !!binary '{data}']\n"
    )


def test_an_array_is_what_it_says():
    np.testing.assert_array_equal(load(array_text()), np.zeros((4, 4)))


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"size": 127}, "needs 128 bytes, got 127"),
        ({"shape": "[1000000000, 1000000000]"}, "needs 8000000000000000000 bytes, got 128"),
        ({"shape": "[-4, -4]"}, "shape"),
        ({"shape": "[4.0, 4]"}, "shape"),
        ({"shape": "[1, 1, 1, 1, 1, 1, 1, 4, 4]"}, "shape"),
        ({"kind": "O"}, "no array of numbers"),
        ({"kind": "f16"}, "no array of numbers"),
        ({"order": "x"}, "byte order"),
    ],
)
def test_an_array_that_contradicts_itself_is_refused(changes, problem):
    with pytest.raises(yaml.YAMLError, match=problem):
        load(array_text(**changes))


@settings(max_examples=300, deadline=None)
@given(
    changes=st.lists(
        st.tuples(st.integers(0, 2000), st.sampled_from("0123456789-[]{}!&*:,'\"<>|~ \nabfiuOS")),
        min_size=1,
        max_size=6,
    )
)
def test_altered_text_gives_a_document_or_a_yaml_error(changes):
    text = list(yaml.dump({"lidar_pose": np.eye(4), "speed": np.float64(3.0)}))
    for place, letter in changes:
        text[place % len(text)] = letter
    try:
        load("".join(text))
    except (yaml.YAMLError, ValueError):  # ValueError: PyYAML's own, of a number, say
        return
