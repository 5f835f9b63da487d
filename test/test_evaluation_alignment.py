# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Alignment: optimal, never upside down, and the same in one go as in pieces."""
import numpy as np
import pytest

from depth_anyevent_ros.evaluation.alignment import align, Alignment, fill, Moments


def pair(correlation=1.0, seed=0, count=400):
    generator = np.random.default_rng(seed)
    x = generator.uniform(0, 3, count)
    return x, 0.2 + 0.1 * correlation * x + generator.normal(0, 0.05, count)


def cost(scale, shift, x, y):
    return ((scale * x + shift - y) ** 2).sum()


def test_least_squares_as_numpy_solves_it():
    x, y = pair()
    found = align(x, y)
    expected = np.linalg.lstsq(np.stack([x, np.ones_like(x)], 1), y, rcond=None)[0]
    assert (found.scale, found.shift) == pytest.approx(tuple(expected), rel=1e-10)
    assert not found.negative
    assert np.allclose(found.apply(x), found.scale * x + found.shift)


@pytest.mark.parametrize('correlation', [1.0, -1.0])
def test_no_step_that_is_allowed_makes_it_better(correlation):
    x, y = pair(correlation)
    found = align(x, y)
    best = cost(found.scale, found.shift, x, y)
    for scale, shift in np.random.default_rng(1).normal(0, 0.01, (200, 2)):
        if found.scale + scale >= 0:
            assert cost(found.scale + scale, found.shift + shift, x, y) >= best


def test_upside_down_becomes_the_best_constant():
    x, y = pair(-1)
    assert align(x, y) == Alignment(0.0, pytest.approx(y.mean()), True)
    free = align(x, y, non_negative=False)
    assert free.scale == pytest.approx(-0.1, abs=0.01) and free.negative


def test_a_constant_prediction_gets_the_mean():
    x, y = pair()
    for value in (0.0, 0.1, 1e6 + 0.1):
        assert align(np.full_like(x, value), y).apply([value]) == pytest.approx(y.mean())


def test_frames_added_one_by_one_align_as_one():
    x, y = pair(seed=5, count=900)
    x += 1e5  # a mean that would drown the spread in a plain sum of squares
    moments = Moments()
    for begin, end in ((0, 10), (10, 10), (10, 500), (500, 900)):
        moments.add(x[begin:end], y[begin:end])
    found = moments.solve()
    slope, shift = np.polyfit(x - 1e5, y, 1)
    assert moments.count == 900
    assert found.scale == pytest.approx(slope, rel=1e-7)
    assert found.apply([1e5]) == pytest.approx(shift, rel=1e-7)


def test_without_pixels_there_is_no_alignment():
    with pytest.raises(ValueError, match='at least one valid pixel'):
        Moments().solve()


def test_pixels_without_a_number_get_the_mean_and_are_counted():
    values, missing = fill(np.array([1.0, np.nan, 3.0, np.inf]))
    assert values.tolist() == [1, 2, 3, 2] and missing == 2
    values, missing = fill(np.full(3, np.nan))
    assert values.tolist() == [0, 0, 0] and missing == 3
