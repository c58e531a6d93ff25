# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A receiver's settings are refused by name, value and what is allowed."""

from __future__ import annotations

import pytest

from quantv2x_ros.core.receiver_settings import ReceiverSettingError, ReceiverSettings


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        ("consistency_check", "maybe", "'maybe', allowed are off, flag, exclude"),
        ("peer_timeout", 0.0, "peer_timeout: got 0.0 s, expected a positive time"),
        ("peer_wait", -0.1, "peer_wait: got -0.1, expected a number from 0 on"),
        ("conceal", float("inf"), "conceal: got inf"),
        ("align_period", float("nan"), "align_period: got nan"),
    ],
)
def test_a_value_out_of_range_is_named(field, value, text):
    with pytest.raises(ReceiverSettingError, match=text):
        ReceiverSettings(**{field: value})
