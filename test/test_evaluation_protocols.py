# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The steps of the protocols, each on its own."""
import numpy as np
import pytest

from depth_anyevent_ros.evaluation.metrics import scores_of
from depth_anyevent_ros.evaluation.protocols import frame_metrics, PROTOCOLS

CLEAN, PAPER, TEACHER = (PROTOCOLS[name] for name in ('clean', 'paper', 'teacher'))


def test_clean_leaves_out_sky_unknown_and_far():
    label = np.array([[0.0, np.nan, 1 / 100, 1 / 81, 1 / 79, 0.5]], np.float32)
    truth = CLEAN.truth(label)
    assert truth.mask.tolist() == [[False, False, False, False, True, True]]
    assert truth.depth == pytest.approx([79, 2], rel=1e-3)
    assert truth.target == pytest.approx([1 / 79, 0.5])


def test_clean_keeps_80_metres_in_half_precision():
    assert CLEAN.truth(np.array([[1 / 80]], np.float16)).mask.all()


def test_clean_clamps_after_the_alignment_and_scores_all():
    depth = CLEAN.depth(np.array([-1.0, 0.0, 1 / 80, 0.5, np.inf]))
    assert depth == pytest.approx([80, 80, 80, 2, 1e-3])
    assert CLEAN.scored(depth, depth).all()


def test_frame_metrics_of_the_truth_under_any_scale_and_shift():
    label = np.random.default_rng(0).uniform(0.02, 1, (20, 30)).astype(np.float32)
    found = frame_metrics(7 * label + 3, label)
    assert found['abs_rel'] == pytest.approx(0, abs=1e-5) and found['delta1'] == 1


def test_frame_metrics_of_the_negative_are_those_of_a_constant():
    label = np.random.default_rng(1).uniform(0.02, 1, (20, 30)).astype(np.float32)
    depth = 1 / label.astype(np.float64)
    expected = np.mean(np.abs(1 / label.mean(dtype=np.float64) - depth) / depth)
    assert frame_metrics(-label, label)['abs_rel'] == pytest.approx(expected, rel=1e-5)
    assert frame_metrics(np.full_like(label, np.nan), label)['abs_rel'] == pytest.approx(
        expected, rel=1e-5)


def test_paper_clips_and_scales_the_truth():
    truth = PAPER.truth(np.array([[0.5, 1 / 40, np.nan]]))
    assert truth.mask.tolist() == [[True, True, False]]
    assert truth.depth == pytest.approx([4, 80])  # the largest of the two becomes 80
    assert PAPER.truth(np.array([[0.5, 0.0]])).depth == pytest.approx([2, 80])


def test_paper_scores_nothing_at_a_bound():
    truth = np.array([80.0, 40, 30, 20])
    depth = PAPER.depth(np.array([70.0, 95, -3, 25]))
    assert depth.tolist() == [70, 80, 0, 25]
    assert PAPER.scored(depth, truth).tolist() == [False, False, False, True]


def test_paper_divides_squares_by_squares():
    scores = scores_of(PAPER.errors(np.array([12.0]), np.array([10.0])).mean(axis=1))
    assert scores[0] == pytest.approx(2 / 10.00001)
    assert scores[1] == pytest.approx(4 / 100.00001)
    assert scores[2] == pytest.approx(2)
    assert scores[4] == pytest.approx(0, abs=1e-12)


def test_paper_aligns_in_depth_of_either_sign():
    assert not PAPER.non_negative and CLEAN.non_negative
    assert PAPER.values(np.array([0.5, 0.0])) == pytest.approx([2, 1e6], rel=1e-5)


def test_teacher_needs_no_unit_and_says_what_stays_unexplained():
    rng = np.random.default_rng(2)
    label = rng.uniform(0, 30, (40, 50)).astype(np.float32)
    label[:3] = np.nan
    assert TEACHER.truth(label).target.std() == pytest.approx(1)
    for same in (label, 0.01 * label + 4):
        found = frame_metrics(same, label, 'teacher')
        assert found['rmse'] == pytest.approx(0, abs=1e-5) and np.isnan(found['abs_rel'])
    assert frame_metrics(-label, label, 'teacher')['rmse'] == pytest.approx(1, abs=1e-6)
    noisy = np.nan_to_num(label) + rng.normal(0, 5, label.shape).astype(np.float32)
    known = np.isfinite(label)
    correlation = np.corrcoef(noisy[known], label[known])[0, 1]
    assert frame_metrics(noisy, label, 'teacher')['rmse'] == pytest.approx(
        np.sqrt(1 - correlation ** 2), rel=1e-4)
    assert not TEACHER.truth(np.full((20, 30), 7, np.float32)).mask.any()
