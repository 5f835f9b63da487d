# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Scores of sequences whose predictions are known, and the report made of them."""
import json
from statistics import NormalDist

from evaluation_data import HEIGHT, slope, WIDTH, write_labels
import numpy as np
import pytest

from depth_anyevent_ros.evaluation.baselines import label_sums, mean_maps
from depth_anyevent_ros.evaluation.intervals import expanded_tail
from depth_anyevent_ros.evaluation.metrics import METRICS
from depth_anyevent_ros.evaluation.protocols import frame_metrics, PROTOCOLS
from depth_anyevent_ros.evaluation.report import ratio_interval, report, table
from depth_anyevent_ros.evaluation.scoring import Frame, score_sequence

CLEAN = PROTOCOLS['clean']


def scenes(count):
    """Return labels with a near block that wanders to the right before a slope."""
    labels = [slope() for _ in range(count)]
    for index, label in enumerate(labels):
        label[20:36, 4 + 5 * index:16 + 5 * index] = 0.9
    return labels


def score(tmp_path, predictions, labels=None, quiet=(), mean_map=None, name='a', **info):
    labels = scenes(len(predictions)) if labels is None else labels
    sequence = write_labels(tmp_path / name, labels, **info)
    frames = [Frame(p, i, False, i in quiet) for i, p in enumerate(predictions)]
    return score_sequence(sequence, frames, CLEAN, mean_map)


def test_the_truth_scores_perfectly_and_holding_it_does_not(tmp_path):
    labels = scenes(4)
    found = report([score(tmp_path, [3 * label - 1 for label in labels])])
    assert found['frames'] == 4 and found['metrics']['abs_rel'] < 1e-3
    assert found['metrics']['delta1'] == 1
    assert found['per_sequence_alignment']['abs_rel'] < 1e-3
    assert found['boundary']['abs_rel'] < 1e-3 and found['boundary']['f1']['model'] > 0.99
    assert found['rank_correlation']['frame_mean'] > 0.999
    assert found['baselines']['hold_last']['abs_rel'] > 0.05
    assert found['baselines']['constant']['abs_rel'] > 0.2
    assert found['negative_scale_fraction'] == 0


def test_each_candidate_scores_as_it_does_alone(tmp_path):
    labels = scenes(3)
    generator = np.random.default_rng(0)
    predictions = [generator.random((HEIGHT, WIDTH)).astype(np.float32) + label
                   for label in labels]
    mean_map = generator.random((52, 70)).astype(np.float32)
    scores = score(tmp_path, predictions, labels, mean_map=mean_map)
    half = [label.astype(np.float16).astype(np.float32) for label in labels]
    import cv2
    resized = cv2.resize(mean_map, (WIDTH, HEIGHT), interpolation=cv2.INTER_LINEAR)
    for i in range(3):
        candidates = [predictions[i], np.zeros_like(half[i]), resized,
                      predictions[i - 1] if i else np.zeros_like(half[i])]
        for c, candidate in enumerate(candidates):
            expected = frame_metrics(candidate, half[i])
            assert np.allclose(scores.scores[i, c, 0, :8], [expected[m] for m in METRICS])


def test_flicker_shows_in_one_alignment_for_the_sequence(tmp_path):
    labels = [slope()] * 6
    flicker = [label * (1 + i % 2) + 0.3 * (i % 2) for i, label in enumerate(labels)]
    found = report([score(tmp_path, flicker, labels)])
    assert found['metrics']['abs_rel'] < 1e-3
    assert found['per_sequence_alignment']['abs_rel'] > 0.1


def test_one_alignment_is_the_best_one_over_all_frames(tmp_path):
    labels = [slope().astype(np.float16).astype(np.float32)] * 2
    predictions = [labels[0] + 1, labels[0] * 2]
    scores = score(tmp_path, predictions, labels)
    x = np.concatenate([p.ravel() for p in predictions]).astype(np.float64)
    y = np.concatenate([label.ravel() for label in labels]).astype(np.float64)
    scale, shift = np.polyfit(x, y, 1)
    depth = 1 / np.maximum(scale * predictions[0].astype(np.float64) + shift, 1 / 80)
    expected = np.mean(np.abs(depth - 1 / labels[0]) * labels[0])
    assert scale > 0 and scores.fixed[0, 0, 0] == pytest.approx(expected, rel=1e-4)


def test_upside_down_is_the_constant_and_is_counted(tmp_path):
    labels = scenes(4)
    found = report([score(tmp_path, [-labels[0], labels[1], -labels[2], -labels[3]], labels)])
    assert found['negative_scale_fraction'] == 0.75
    alone = report([score(tmp_path, [-label for label in labels], labels, name='b')])
    assert alone['metrics'] == pytest.approx(alone['baselines']['constant'])


def test_pauses_hold_what_was_before_them(tmp_path):
    labels = [slope()] * 6
    junk = np.random.default_rng(0).random((HEIGHT, WIDTH)).astype(np.float32)
    predictions = [labels[0], labels[0], junk, junk, labels[0], labels[0]]
    found = report([score(tmp_path, predictions, labels, quiet=(2, 3))])
    assert found['pauses']['frames'] == 2
    assert found['pauses']['abs_rel'] > 0.2
    assert found['pauses']['baselines']['hold_last']['abs_rel'] < 1e-3


def test_ranges_and_moving_things_count_their_own_pixels(tmp_path):
    moving = np.zeros((HEIGHT, WIDTH), bool)
    moving[-1] = True
    labels = [slope()]
    predictions = [np.where(moving, 0.0, slope()).astype(np.float32)]
    found = report([score(tmp_path, predictions, labels, moving=moving)])
    assert found['moving']['abs_rel'] > 3 * found['metrics']['abs_rel']
    ranges = found['range']
    assert set(ranges) == {'lt10', 'lt20', 'lt30'}
    label = slope().astype(np.float16).astype(np.float64)
    scale, shift = np.polyfit(predictions[0].ravel().astype(np.float64), label.ravel(), 1)
    error = np.abs(1 / np.maximum(scale * predictions[0] + shift, 1 / 80) - 1 / label)
    for limit in (10, 20, 30):
        near = 1 / label < limit
        assert 0 < near.mean() and ranges[f'lt{limit}']['abs_error_m'] == pytest.approx(
            error[near].mean(), rel=1e-4)
        assert ranges[f'lt{limit}']['abs_rel'] == pytest.approx(
            (error * label)[near].mean(), rel=1e-4)
    assert set(METRICS) <= set(ranges['lt10']['baselines']['constant'])
    nothing = report([score(tmp_path, [slope()], [slope()], name='still')])
    assert nothing['moving']['frames'] == 0 and nothing['moving']['abs_rel'] is None


def test_a_few_pixels_are_no_part_of_a_picture(tmp_path):
    """Each frame counts the same in the mean of a part, however little it has of it."""
    labels = [np.full_like(slope(), 1 / 50), np.full_like(slope(), 1 / 50)]
    labels[0][0, :15], labels[1][0, :16] = 1 / 5, 1 / 5
    found = report([score(tmp_path, [slope()] * 2, labels)])
    assert found['range']['lt10']['frames'] == found['range']['lt20']['frames'] == 1
    assert found['frames'] == 2


def test_frames_without_truth_are_skipped_by_reason(tmp_path):
    sky = np.zeros_like(slope())
    labels = [slope(), sky, np.full_like(slope(), np.nan), slope(), sky]
    labels[3][:5] = np.nan
    scores = score(tmp_path, [slope()] * 5, labels)
    assert len(scores) == 2 and scores.skipped == {'sky': 2, 'unknown_depth': 1}
    assert scores.unknown == HEIGHT * WIDTH + 5 * WIDTH


@pytest.mark.parametrize('far', [0, 1 / 90])
def test_frames_of_sky_are_skipped_by_the_paper_protocol_too(tmp_path, far):
    sky = np.full_like(slope(), far)
    sequence = write_labels(tmp_path / 'a', [slope(), sky, slope(), sky])
    frames = [Frame(1 / slope(), i, False, False) for i in range(4)]
    scores = score_sequence(sequence, frames, PROTOCOLS['paper'], None)
    assert len(scores) == 2 and scores.skipped == {'sky': 2}
    assert report([scores])['negative_scale_fraction'] == 1


def test_ranks_are_means_over_the_same_frames(tmp_path):
    """A constant counts as 0: one that is predicted, and the stand-in where nothing is held."""
    flat = np.zeros_like(slope())
    found = report([score(tmp_path, [slope(), flat, flat, slope()], [slope()] * 4)])
    rank = found['rank_correlation']
    assert rank['frame_mean'] == pytest.approx(0.5, abs=1e-3)
    assert rank['baselines']['hold_last'] == pytest.approx(0.25, abs=1e-3)


def test_missing_pixels_cost_and_are_counted(tmp_path):
    broken = slope()
    broken[:, :20] = np.nan
    found = report([score(tmp_path, [broken, slope()], [slope()] * 2)])
    whole = report([score(tmp_path, [slope()] * 2, [slope()] * 2, name='b')])
    assert found['non_finite_pixels'] == 20 * HEIGHT
    assert found['metrics']['abs_rel'] > whole['metrics']['abs_rel'] + 0.05


def test_a_smaller_prediction_is_resized_to_the_sensor(tmp_path):
    import cv2
    small = cv2.resize(slope(), (WIDTH // 2, HEIGHT // 2), interpolation=cv2.INTER_AREA)
    found = report([score(tmp_path, [small], [slope()])])
    assert found['metrics']['abs_rel'] < 0.02 and found['metrics']['delta1'] > 0.98


def two(tmp_path, **options):
    good = score(tmp_path, [slope()] * 4, [slope()] * 4, name='good', **options)
    generator = np.random.default_rng(0)
    bad = score(tmp_path, [generator.random((HEIGHT, WIDTH)).astype(np.float32)] * 2,
                [slope()] * 2, name='bad', world='other', **options)
    return [good, bad]


def test_frames_count_by_frame_and_sequences_by_sequence(tmp_path):
    found = report(two(tmp_path))
    good, bad = (found['sequences'][name]['abs_rel'] for name in ('good', 'bad'))
    assert found['metrics']['abs_rel'] == pytest.approx((4 * good + 2 * bad) / 6)
    assert found['sequence_mean']['abs_rel'] == pytest.approx((good + bad) / 2)
    assert found['worlds']['boxes']['frames'] == 4
    assert found['worlds']['other']['abs_rel'] == pytest.approx(bad)


def test_the_paper_protocol_has_the_mean_of_sequences_at_its_head(tmp_path):
    scores = two(tmp_path)
    by_frame, by_sequence = report(scores), report(scores, headline='sequence_mean')
    for found, first, second in ((by_frame, 'all frames', 'mean of sequences'),
                                 (by_sequence, 'mean of sequences', 'all frames')):
        lines = table(found).splitlines()
        assert lines[1].startswith(first) and lines[2].startswith(second)
    assert f"{by_sequence['sequence_mean']['abs_rel']:.3f}" in table(by_sequence).splitlines()[1]
    assert (PROTOCOLS['paper'].headline, CLEAN.headline) == ('sequence_mean', 'metrics')


def test_without_a_mean_map_that_baseline_is_null_and_all_is_json(tmp_path):
    found = report(two(tmp_path))
    assert found['baselines']['mean_map'] is None
    assert found['ratio_to_mean_map']['abs_rel'] is None
    assert 'NaN' not in json.dumps(found)
    lines = table(found).splitlines()
    assert len({len(line) for line in lines}) == 1 and 'world other' in table(found)


def test_a_mean_of_inverse_depth_is_no_baseline_where_depth_is_aligned(tmp_path):
    sequence = write_labels(tmp_path / 'a', [slope()] * 2)
    frames = [Frame(slope(), i, False, False) for i in range(2)]
    found = report([score_sequence(sequence, frames, PROTOCOLS['paper'], slope())])
    assert found['baselines']['mean_map'] is None
    assert found['ratio_to_mean_map']['abs_rel'] is None
    assert found['rank_correlation']['baselines']['mean_map'] is None
    assert found['baselines']['hold_last']['abs_rel'] is not None


def test_ratio_and_its_interval(tmp_path):
    mean_map = np.random.default_rng(5).random((52, 70)).astype(np.float32)
    scores = two(tmp_path, mean_map=mean_map)
    found = report(scores)
    ratio = found['ratio_to_mean_map']
    assert ratio['abs_rel'] == pytest.approx(
        found['metrics']['abs_rel'] / found['baselines']['mean_map']['abs_rel'])
    several = [*scores, *scores, scores[0], scores[0]]
    assert ratio['low'] is ratio_interval(several[:5])['low'] is None  # too few for a spread
    interval = ratio_interval(several)
    assert 0 <= interval['low'] < interval['abs_rel'] < interval['high'] < 1.2
    assert interval == ratio_interval(several)


@pytest.mark.parametrize('count, t', [(6, 2.5706), (12, 2.2010), (24, 2.0687), (241, 1.9699)])
def test_the_interval_of_few_sequences_is_as_wide_as_students(count, t):
    """Quantiles of Student's distribution from a table; half of 5 % without end."""
    assert NormalDist().inv_cdf(expanded_tail(count, 0.95)) == pytest.approx(
        -t * np.sqrt(count / (count - 1)), rel=1e-4)
    assert expanded_tail(10 ** 4, 0.95) == pytest.approx(0.025, rel=2e-3)


def test_the_mean_map_of_a_world_is_hard_to_beat_there(tmp_path):
    labels = scenes(8)
    sequence = write_labels(tmp_path / 'train', labels)
    found = report([score(tmp_path, labels, labels, name='b',
                          mean_map=mean_maps([label_sums(sequence, stride=1)])['boxes'])])
    mean_map = found['baselines']['mean_map']['abs_rel']
    assert found['metrics']['abs_rel'] < mean_map < found['baselines']['constant']['abs_rel']


def test_the_paper_protocol_scores_the_truth_well_too(tmp_path):
    label = slope()
    label[:4] = 0  # sky
    sequence = write_labels(tmp_path / 'a', [label, label])
    frames = [Frame(label, i, False, False) for i in range(2)]
    # The prediction of the sky is 0, whose inverse 1e6 m spoils the fit in depth.
    spoilt = report([score_sequence(sequence, frames, PROTOCOLS['paper'], None)])
    fine = [Frame(np.maximum(label, 1 / 80), i, False, False) for i in range(2)]
    found = report([score_sequence(sequence, fine, PROTOCOLS['paper'], None)])
    assert found['metrics']['abs_rel'] < 0.01 and found['metrics']['delta1'] == 1
    assert spoilt['metrics']['abs_rel'] > 0.3


@pytest.mark.parametrize('protocol', ['clean', 'paper'])
def test_what_is_seen_is_in_metres_though_a_protocol_scales_the_truth(tmp_path, protocol):
    sequence, seen = write_labels(tmp_path / 'a', [slope()]), []
    score_sequence(sequence, [Frame(slope(), 0, False, False)], PROTOCOLS[protocol], None,
                   lambda _, inverse_depth, depth, error: seen.append(depth * inverse_depth))
    assert (1 / slope()).max() < 21  # the paper's truth has 80 there
    assert np.allclose(seen, 1, rtol=1e-2)


def test_frames_of_a_constant_prediction_are_left_out_of_the_paper_protocol(tmp_path):
    sequence = write_labels(tmp_path / 'a', [slope()] * 4)
    flat = np.ones_like(slope())
    frames = [Frame(p, i, False, False) for i, p in enumerate([slope(), flat, slope(), flat])]
    scores = score_sequence(sequence, frames, PROTOCOLS['paper'], None)
    assert scores.skipped == {'singular_fit': 2} and len(scores) == 2
    found = report([scores])
    alone = report([score_sequence(sequence, frames[::2], PROTOCOLS['paper'], None)])
    assert found['frames'] == 2 and found['metrics'] == alone['metrics']
    assert found['baselines']['constant'] == alone['baselines']['constant']
    clean = score_sequence(sequence, frames, CLEAN, None)
    assert len(clean) == 4 and not clean.skipped


def test_a_metric_model_is_scored_without_alignment_too(tmp_path):
    sequence = write_labels(tmp_path / 'a', [slope()] * 2)
    frames = [Frame(2 * slope(), i, False, False) for i in range(2)]
    found = report([score_sequence(sequence, frames, CLEAN, None, metric=True)])
    assert found['metrics']['abs_rel'] < 1e-3
    assert found['unaligned']['abs_rel'] == pytest.approx(0.5, abs=1e-3)
    assert report([score_sequence(sequence, frames, CLEAN, None)])['unaligned'] is None
    for name in ('paper', 'teacher'):  # scaled truth, and truth without a unit
        scores = score_sequence(sequence, frames, PROTOCOLS[name], None, metric=True)
        assert report([scores], PROTOCOLS[name].main)['unaligned'] is None
