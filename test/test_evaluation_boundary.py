# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Edges of depth: where they are, and how well a prediction has them."""
import numpy as np
import pytest

from depth_anyevent_ros.evaluation.boundary import boundary_mask, BoundaryF1, NEAR_PIXELS


def step(column, near=4.0, far=8.0):
    depth = np.full((20, 30), far)
    depth[:, :column] = near
    return depth


def test_the_boundary_lies_around_the_step():
    mask = boundary_mask(step(10))
    columns = np.flatnonzero(mask.all(axis=0))
    assert np.array_equal(columns, np.arange(9 - NEAR_PIXELS, 11 + NEAR_PIXELS))
    assert not np.delete(mask, columns, axis=1).any()


def test_ground_and_unknown_pixels_make_no_edge():
    ground = 1 / (0.02 + 0.004 * np.arange(20))[:, None] * np.ones((20, 30))
    assert not boundary_mask(ground).any()
    depth = step(10)
    depth[:, 10] = np.nan
    assert not boundary_mask(depth).any()


def test_the_truth_itself_is_perfect_under_any_factor():
    score = BoundaryF1(step(10))
    assert score.score(step(10)) == 1 and score.score(3 * step(10)) == 1
    assert score.score(np.full((20, 30), 5.0)) == 0


def test_an_edge_beside_the_place_or_turned_about_does_not_count():
    score = BoundaryF1(step(10))
    assert score.score(step(11)) == 0
    assert score.score(step(10, near=8, far=4)) == 0


def test_a_gentle_fall_of_depth_is_no_edge():
    falling = np.tile(np.geomspace(8, 4, 30), (20, 1))
    assert BoundaryF1(step(10, near=8, far=4)).score(falling) == 0


def test_a_weak_edge_counts_for_the_ratios_that_it_reaches():
    # 1.12 reaches two of the five ratios.
    assert BoundaryF1(step(10)).score(step(10, 4, 4.48)) == pytest.approx(2 / 5)
    twice = step(10)
    twice[:, 20:] = 30
    # One right edge of two found: precision 1/2, recall 1.
    assert BoundaryF1(step(10)).score(twice) == pytest.approx(2 / 3)


def test_a_truth_without_edges_has_no_f1():
    assert np.isnan(BoundaryF1(np.full((5, 5), 3.0)).score(step(2)[:5, :5]))
