# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Rates and percentiles."""
import pytest

from depth_anyevent_ros.statistics import RecentRate, RecentTimes, RecentValues


def test_rate_is_right_from_the_start_and_follows():
    rate = RecentRate(span_s=5.0)
    for second in range(10):
        assert rate.update(0, second) == 0
    for second in range(10, 20):
        seen = rate.update((second - 9) * 30, second)
        assert seen == pytest.approx(30)
    for second in range(20, 40):
        seen = rate.update(330, second)
    assert seen == 0
    assert rate.update(0, 41) == 0  # the counter began anew


def test_rate_of_times_counts_intervals_and_fades():
    times = RecentTimes(span_s=5.0)
    assert times.rate(0.0) == 0
    for i in range(100):
        times.add(10 + i / 10)
    assert times.rate(20.0) == pytest.approx(10)
    assert times.rate(30.0) == 0


def test_percentiles_of_the_last_values():
    values = RecentValues(count=100)
    assert values.percentile(50) is None
    for i in range(1000):
        values.add(i)
    assert values.percentile(50) == pytest.approx(949.5)
