# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A signature covers every field of a message."""

from __future__ import annotations

from array import array

import pytest

pytest.importorskip("quantv2x_msgs.msg._bev_indices", reason="quantv2x_msgs is not built")

from quantv2x_msgs.msg import BevIndices
from quantv2x_ros.nodes.signed_message import signed_content


def leaves(message, prefix=()):
    """Paths of all fields that hold a value, into nested messages."""
    for name in message.get_fields_and_field_types():
        value = getattr(message, name)
        if hasattr(value, "get_fields_and_field_types"):
            yield from leaves(value, (*prefix, name))
        else:
            yield (*prefix, name)


def changed(value):
    """Another value of the same type."""
    if isinstance(value, str):
        return value + "x"
    if isinstance(value, array):
        return array(value.typecode, [*value, 1])
    if hasattr(value, "dtype"):
        other = value.copy()
        other[-1] += 1
        return other
    return value + 1


@pytest.mark.parametrize("path", list(leaves(BevIndices())), ids=".".join)
def test_every_field_but_the_signature_changes_what_is_signed(path):
    message = BevIndices()
    before = signed_content(message)
    *parents, name = path
    holder = message
    for parent in parents:
        holder = getattr(holder, parent)
    setattr(holder, name, changed(getattr(holder, name)))
    assert (signed_content(message) != before) == (path != ("signature",))


def test_the_payload_counts_byte_by_byte():
    one, other = BevIndices(), BevIndices()
    one.payload, other.payload = array("B", [1, 2]), array("B", [2, 1])
    assert signed_content(one) != signed_content(other)
