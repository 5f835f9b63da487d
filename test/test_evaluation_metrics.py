# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Metrics against figures worked out by hand and by other formulas."""
from math import log, sqrt

import numpy as np
import pytest

from depth_anyevent_ros.evaluation.metrics import (
    depth_metrics, METRICS, pixel_errors, rank_correlation, scores_of)


def test_two_pixels_by_hand():
    found = depth_metrics(np.array([2.0, 4.0]), np.array([1.0, 5.0]) * np.array([1, 0.96]))
    a, b = log(2), log(4 / 4.8)
    expected = {
        'abs_rel': (1 / 1 + 0.8 / 4.8) / 2, 'sq_rel': (1 / 1 + 0.64 / 4.8) / 2,
        'rmse': sqrt((1 + 0.64) / 2), 'rmse_log': sqrt((a * a + b * b) / 2),
        'si_log': (a * a + b * b) / 2 - ((a + b) / 2) ** 2,
        # The ratios are 2 and 1.2; 1.25 cubed is 1.953.
        'delta1': 0.5, 'delta2': 0.5, 'delta3': 0.5}
    assert tuple(found) == METRICS == tuple(expected)
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, rel=1e-12), name


def test_scale_costs_nothing_in_si_log_only():
    truth = np.random.default_rng(0).uniform(1, 80, 500)
    found = depth_metrics(1.5 * truth, truth)
    assert found['si_log'] == pytest.approx(0, abs=1e-12)
    assert found['abs_rel'] == pytest.approx(0.5) and found['rmse_log'] == pytest.approx(log(1.5))
    assert (found['delta1'], found['delta2'], found['delta3']) == (0, 1, 1)


def test_perfect_depth():
    truth = np.random.default_rng(1).uniform(1, 80, 100)
    found = depth_metrics(truth, truth)
    assert all(found[name] == 0 for name in METRICS[:5])
    assert all(found[name] == 1 for name in METRICS[5:])


def test_scores_of_parts_are_scores_of_their_pixels():
    generator = np.random.default_rng(2)
    depth, truth = generator.uniform(1, 80, (2, 60))
    part = truth < 30
    errors = pixel_errors(depth, truth)
    weights = np.stack([np.ones(60), part]).T
    scores = scores_of(errors @ weights / weights.sum(axis=0))
    for column, mask in ((0, np.ones(60, bool)), (1, part)):
        expected = depth_metrics(depth[mask], truth[mask])
        assert np.allclose(scores[:8, column], list(expected.values()), rtol=1e-12)
    assert scores[8, 1] == pytest.approx(np.abs(depth - truth)[part].mean())


@pytest.mark.parametrize('depth, truth, words', [
    ([1.0, np.nan], [1.0, 1.0], 'depth must be finite'), ([1.0], [0.0], 'truth must be finite'),
    ([1.0, 2.0], [1.0], 'shapes'), ([], [], 'at least one')])
def test_what_cannot_be_scored_is_a_sentence(depth, truth, words):
    with pytest.raises(ValueError, match=words):
        depth_metrics(np.array(depth), np.array(truth))


def test_rank_correlation_without_ties_is_spearmans_formula():
    a, b = np.random.default_rng(3).permutation(200), np.random.default_rng(4).permutation(200)
    expected = 1 - 6 * ((a - b) ** 2).sum() / (200 * (200 ** 2 - 1))
    assert rank_correlation(a, b) == pytest.approx(expected, abs=1e-12)
    assert rank_correlation(a, np.exp(a / 50.0)) == pytest.approx(1)
    assert rank_correlation(a, -a) == pytest.approx(-1)


def test_ties_share_the_mean_of_their_ranks():
    a, b = np.array([1, 2, 2, 3, 3, 3]), np.array([5, 1, 1, 1, 0, 7])
    ranks_a, ranks_b = [1, 2.5, 2.5, 5, 5, 5], [5, 3, 3, 3, 1, 6]
    assert rank_correlation(a, b) == pytest.approx(np.corrcoef(ranks_a, ranks_b)[0, 1])


def test_a_constant_prediction_puts_nothing_in_order():
    assert rank_correlation(np.ones(5), np.arange(5)) == 0
    assert np.isnan(rank_correlation(np.arange(5), np.ones(5)))
    assert np.isnan(rank_correlation(np.ones(5), np.ones(5)))
