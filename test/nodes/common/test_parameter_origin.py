# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Where a node's parameters came from, by the command line and the files that it names."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("quantv2x_msgs.msg._bev_indices", reason="quantv2x_msgs is not built")

from quantv2x_ros.nodes.common.parameter_origin import given_to_all


@pytest.fixture
def origin(tmp_path):
    """Asks about a node, given the text of a parameter file and further arguments."""

    def ask(text, *arguments, node="/car/fusion"):
        path = tmp_path / "parameters.yaml"
        path.write_text(text)
        words = ["fusion", "--ros-args", "--params-file", str(path), *arguments]
        return given_to_all(words, node)

    return ask


def section(name, *parameters):
    return yaml.safe_dump({name: {"ros__parameters": dict.fromkeys(parameters, 1)}})


@pytest.mark.parametrize("name", ["/**", "/*/*", "/car/*", "/car/**", "**"])
def test_a_section_whose_node_is_a_wildcard_is_for_all(origin, name):
    assert origin(section(name, "a", "b")) == {"a", "b"}


@pytest.mark.parametrize("name", ["/**/fusion", "/car/fusion", "car/fusion", "/*/fusion"])
def test_a_section_that_names_the_node_is_its_own(origin, name):
    assert origin(section("/**", "a", "b") + section(name, "b")) == {"a"}
    nested = yaml.safe_dump({"car": {"fusion": {"ros__parameters": {"b": 1}}}})
    assert origin(section("/**", "a", "b") + nested) == {"a"}


@pytest.mark.parametrize("name", ["/fusion", "/bus/fusion", "/bus/*", "/car/encoder", "/*"])
def test_a_section_for_others_counts_for_nothing(origin, name):
    assert origin(section("/**", "a") + section(name, "a", "b")) == {"a"}


def test_nested_parameters_have_dots_and_tags_do_not_matter(origin):
    text = "/**:\n  ros__parameters:\n    a: {b: {c: 1}, d: !degrees 90}\n    e: [1, 2]\n"
    assert origin(text) == {"a.b.c", "a.d", "e"}


def test_the_command_line_names_the_node_or_means_all_in_the_process(origin):
    text = section("/**", "a", "b", "c", "d")
    given = ("-p", "a:=1", "-p", "/car/fusion:b:=1", "--param", "encoder:c:=1")
    assert origin(text, *given) == {"c", "d"}
    assert origin(text, "--", "-p", "a:=1") == {"a", "b", "c", "d"}, "the program's own -p"


@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["/**", "a", "ros__parameters", 3]), inner, max_size=3
            )
        ),
    )
)
def test_a_file_of_any_shape_is_read_or_passed_over(tmp_path_factory, document):
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_text(yaml.safe_dump(document))
    given_to_all(["x", "--ros-args", "--params-file", str(path)], "/x")


@pytest.mark.parametrize("text", ["a: [1,\n", "\x00", "- 1\n", "", "a: &x [*x]\n"])
def test_a_file_that_cannot_be_read_proves_nothing(origin, text):
    assert origin(text) == frozenset()
