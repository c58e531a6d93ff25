# Copyright 2026 quantv2x_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Limits: WARN, then ERROR, and back."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantv2x_ros.core.monitoring.limits import (
    Breach,
    Level,
    LimitError,
    LimitWatch,
    parse_stage_limits,
)


def breach(name="rate", warn=1.0, error=5.0):
    return Breach(name, f"{name} is low", warn, error)


def level(complaints):
    return max((complaint.level for complaint in complaints), default=Level.OK)


def test_a_limit_exceeded_warns_then_is_an_error_and_is_well_again():
    watch = LimitWatch(clear_after=1.0)
    seen = [level(watch.update([breach()], time)) for time in (0.0, 0.9, 1.0, 4.9, 5.0, 9.0)]
    assert seen == [Level.OK, Level.OK, Level.WARN, Level.WARN, Level.ERROR, Level.ERROR]
    assert level(watch.update([], 9.5)) is Level.ERROR, "not yet for clear_after"
    assert level(watch.update([], 10.0)) is Level.OK
    assert level(watch.update([breach()], 10.5)) is Level.OK, "it begins anew"


def test_a_moment_within_the_limit_is_no_recovery_and_nothing_gets_worse_in_it():
    watch = LimitWatch(clear_after=2.0)
    watch.update([breach()], 0.0)
    watch.update([breach()], 4.0)
    assert level(watch.update([], 5.5)) is Level.WARN
    assert level(watch.update([breach()], 5.9)) is Level.ERROR


def test_the_worst_comes_first_with_its_text_and_time():
    watch = LimitWatch(clear_after=1.0)
    watch.update([breach("old")], 0.0)
    first, second = watch.update([breach("young", warn=0.0), breach("old")], 6.0)
    assert (first.level, first.text, first.seconds) == (Level.ERROR, "old is low", 6.0)
    assert (second.level, second.text) == (Level.WARN, "young is low")


def test_what_never_is_an_error_stays_a_warning():
    watch = LimitWatch(clear_after=1.0)
    for time in range(1000):
        complaints = watch.update([breach(warn=0.0, error=math.inf)], float(time))
        assert level(complaints) is Level.WARN


def test_cleared_it_begins_anew():
    watch = LimitWatch(clear_after=100.0)
    watch.update([breach()], 0.0)
    watch.clear()
    assert watch.update([breach()], 50.0) == []


@given(
    steps=st.lists(st.tuples(st.floats(0.01, 3.0), st.booleans()), max_size=60),
    clear_after=st.floats(0.0, 4.0),
)
def test_the_level_follows_how_long_it_lasted(steps, clear_after):
    watch = LimitWatch(clear_after)
    now, since, last, before = 0.0, None, None, Level.OK
    for step, exceeded in steps:
        now += step
        if exceeded:
            since = now if since is None else since
            last = now
        elif last is not None and now - last >= clear_after:
            since = last = None
        found = level(watch.update([breach()] if exceeded else [], now))
        lasted = -1.0 if since is None else last - since
        assert (found >= Level.WARN) == (lasted >= 1.0)
        assert (found is Level.ERROR) == (lasted >= 5.0)
        assert exceeded or found <= before
        before = found


names = st.text(st.characters(exclude_characters=";=\r\n"), min_size=1).map(str.strip)
names = names.filter(lambda name: name and not any(c.isspace() and c != " " for c in name))


@given(st.dictionaries(names, st.floats(1e-3, 1e6)))
def test_stage_limits_are_read_as_they_are_written(limits):
    text = "; ".join(f"{name}={limit!r}" for name, limit in limits.items())
    assert parse_stage_limits(text) == limits


@given(st.text())
def test_any_text_is_read_or_refused(text):
    try:
        limits = parse_stage_limits(text)
    except LimitError:
        return
    assert all(0.0 < limit < math.inf for limit in limits.values())


@pytest.mark.parametrize("text", ["total", "=5", "total=", "total=0", "total=-1", "total=nan"])
def test_a_limit_that_is_none_is_refused_with_what_is_expected(text):
    with pytest.raises(LimitError, match="STAGE=MILLISECONDS"):
        parse_stage_limits(text)


def test_two_limits_of_a_stage_are_refused():
    with pytest.raises(LimitError, match="two limits: 5 and 6"):
        parse_stage_limits("total=5;total=6")


def test_times_below_zero_are_refused():
    with pytest.raises(LimitError, match="warn_after"):
        breach(warn=-1.0)
