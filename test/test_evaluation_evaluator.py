# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A real network over real sequence folders: which frames, which size, what is left out."""
from dataclasses import replace

from evaluation_data import HEIGHT, MANY, PERIOD_NS, slope, WIDTH, write_labels
import numpy as np
import pytest

from depth_anyevent_ros.datasets.samples import render_inputs
from depth_anyevent_ros.evaluation.evaluator import (
    chosen_labels, evaluate_sequence, EvaluationSettings, in_pause, predict, UnusableSequence)
from depth_anyevent_ros.evaluation.report import report, table
from depth_anyevent_ros.networks.checkpoint import Checkpoint, untrained_student
from depth_anyevent_ros.networks.input_size import input_size
from depth_anyevent_ros.networks.runtime import TorchRuntime

ALL = EvaluationSettings(rate_hz=20)


def model(**changes):
    """Return the untrained student with a small input."""
    student = untrained_student('tiny-r')
    config = replace(student.config, input=replace(
        student.config.input, **{'height': HEIGHT, 'width': WIDTH, **changes}))
    return TorchRuntime(Checkpoint(config, student.network, student.sha256, student.name), 'cpu')


def test_labels_are_thinned_to_the_rate(tmp_path):
    sequence = write_labels(tmp_path / 'a', [slope()] * 9)  # 20 Hz
    for rate, expected in ((20, range(9)), (10, range(0, 9, 2)), (5, range(0, 9, 4)),
                           (100, range(9)), (7, range(0, 9, 3))):
        assert chosen_labels(sequence, EvaluationSettings(rate_hz=rate)).tolist() \
            == list(expected), rate
    assert chosen_labels(sequence, EvaluationSettings(rate_hz=10, limit=2)).tolist() == [0, 2]


@pytest.mark.parametrize('values', [{'protocol': 'dirty'}, {'rate_hz': 0}, {'limit': -1},
                                    {'rate_hz': float('nan')}])
def test_settings_out_of_range(values):
    with pytest.raises(ValueError, match=next(iter(values)).split('_')[0]):
        EvaluationSettings(**values)


def test_a_window_is_in_a_pause_when_all_of_it_is():
    pauses = [[100, 200]]
    assert in_pause(pauses, 200, 100) and in_pause(pauses, 160, 50)
    assert not in_pause(pauses, 140, 50) and not in_pause(pauses, 201, 50)
    assert not in_pause([], 160, 50)


def test_frames_are_predicted_in_order_from_a_fresh_state(tmp_path):
    sequence = write_labels(tmp_path / 'a', [slope()] * 4, counts=[MANY, 0, 10, MANY],
                            pauses=[[PERIOD_NS, 3 * PERIOD_NS]])
    runtime = model()
    first = list(predict(sequence, runtime, ALL))
    again = list(predict(sequence, runtime, ALL))
    assert [frame.label for frame in first] == [0, 1, 2, 3]
    assert [frame.few for frame in first] == [False, True, True, False]
    assert [frame.paused for frame in first] == [False, True, True, False]
    for a, b in zip(first, again):
        assert np.array_equal(a.prediction, b.prediction)
    # The state is carried: the same window alone looks different after others.
    (alone,) = predict(sequence, runtime, EvaluationSettings(rate_hz=20, limit=1))
    assert np.array_equal(alone.prediction, first[0].prediction)
    assert not np.array_equal(first[1].prediction, first[2].prediction)


def test_without_memory_each_frame_is_the_first(tmp_path):
    sequence = write_labels(tmp_path / 'a', [slope()] * 3, counts=[MANY, MANY, 0])
    runtime = model()
    frames = list(predict(sequence, runtime, replace(ALL, memory=False)))
    runtime.reset()
    (first, *_) = predict(sequence, runtime, ALL)
    assert np.array_equal(frames[0].prediction, first.prediction)
    with_memory = list(predict(sequence, runtime, ALL))
    runtime.reset()
    blank = runtime.infer(np.zeros((3, *frames[2].prediction.shape), np.float32))
    assert np.array_equal(frames[2].prediction, blank)
    assert not np.array_equal(with_memory[2].prediction, blank)


def test_a_teacher_sees_images_and_still_knows_of_few_events(tmp_path):
    sequence = write_labels(tmp_path / 'a', [slope()] * 2, counts=[MANY, 3], image=True)
    runtime = model(representation='rgb', placement='resize')
    frames = list(predict(sequence, runtime, ALL))
    assert [frame.few for frame in frames] == [False, True]
    assert not np.array_equal(frames[0].prediction, frames[1].prediction)


@pytest.mark.parametrize('changes', [
    {}, {'placement': 'resize'}, {'placement': 'resize', 'time_normalization': 'first_last'}])
def test_a_checkpoint_sees_what_it_sees_live(tmp_path, changes):
    sequence = write_labels(tmp_path / 'a', [slope()] * 3)
    runtime, seen = model(height=70, width=84, **changes), []
    runtime.infer = lambda image: seen.append(image) or slope()
    list(predict(sequence, runtime, ALL))
    config = runtime.config.input
    expected = render_inputs(sequence, config, *input_size(config, WIDTH, HEIGHT), compact=False)
    for image, (exact, _) in zip(seen, expected):
        np.testing.assert_allclose(image, exact, atol=0.003)


@pytest.mark.parametrize('protocol', ['clean', 'paper'])
def test_truth_of_few_pixels_is_scored_though_no_cell_of_the_network_knows_half(tmp_path,
                                                                                protocol):
    """Depth of a lidar: one pixel in 16 is known, and of a label of 42 x 56 hundreds are."""
    sparse = np.full_like(slope(), np.nan)
    sparse[::4, ::4] = slope()[::4, ::4]
    sequence = write_labels(tmp_path / 'a', [sparse] * 3)
    scores = evaluate_sequence(sequence.path, model(height=28, width=42),
                               EvaluationSettings(protocol, 20), None)
    assert len(scores) == 3 and np.isfinite(scores.scores[:, 0, 0, 0]).all()


def test_only_what_is_evaluated_is_read(tmp_path):
    sequence = write_labels(tmp_path / 'a', [slope()] * 5, image=True)
    for index in (1, 3, 4):
        (sequence.path / 'image' / f'{index:06d}.png').unlink()
    runtime = model(representation='rgb', placement='resize')
    scores = evaluate_sequence(sequence.path, runtime, EvaluationSettings(rate_hz=10, limit=2),
                               None)
    assert len(scores) == 2


@pytest.mark.parametrize('options, changes, reason', [
    ({'counts': [0, 0]}, {}, 'no_events'),
    ({}, {'representation': 'rgb', 'placement': 'resize'}, 'no_images'),
    ({'labels': [np.zeros_like(slope())] * 2}, {}, 'no_truth'),
    ({'labels': [np.full_like(slope(), np.nan)] * 2}, {}, 'no_truth'),
    ({'labels': []}, {}, 'no_labels')])
def test_sequences_that_cannot_be_used_say_why(tmp_path, options, changes, reason):
    options = {'labels': [slope()] * 2, **options}
    sequence = write_labels(tmp_path / 'a', options.pop('labels'), **options)
    with pytest.raises(UnusableSequence, match='/a has no ') as error:
        evaluate_sequence(sequence.path, model(**changes), ALL, None)
    assert error.value.reason == reason


def nearly_constant():
    """Return a prediction whose fit to `step` rounds all that is near to the bound at 0."""
    return np.where(step() > 0, 0, 1e-19).astype(np.float32)


def step():
    """Return inverse depth: 0.01 m in the first column, and sky."""
    label = np.zeros((HEIGHT, WIDTH), np.float32)
    label[:, 0] = 100
    return label


@pytest.mark.parametrize('label, prediction', [
    (slope(), np.ones((HEIGHT, WIDTH), np.float32)), (step(), nearly_constant())])
def test_a_sequence_without_any_fit_says_so(tmp_path, label, prediction):
    sequence = write_labels(tmp_path / 'a', [label] * 2)
    runtime = model()
    runtime.infer = lambda image: prediction
    with pytest.raises(UnusableSequence, match='2 singular_fit') as error:
        evaluate_sequence(sequence.path, runtime, EvaluationSettings('paper', 20), None)
    assert error.value.reason == 'no_fit'


def test_a_damaged_sequence_is_unreadable(tmp_path):
    sequence = write_labels(tmp_path / 'a', [slope()] * 2)
    (sequence.path / 'labels.h5').write_bytes(b'cut')
    with pytest.raises(UnusableSequence, match='labels.h5') as error:
        evaluate_sequence(sequence.path, model(), ALL, None)
    assert error.value.reason == 'unreadable'


def test_the_map_of_the_world_is_taken_or_that_of_all(tmp_path):
    maps = {'all': np.random.default_rng(0).random((52, 70)).astype(np.float32),
            'car': np.mgrid[:52, :70][0].astype(np.float32)}
    maps['unknown'] = maps['car']  # as mean_maps calls that of sequences without a world
    errors = [evaluate_sequence(write_labels(tmp_path / f'a{world}', [slope()], world=world).path,
                                model(), ALL, maps).scores[0, 2, 0, 0]
              for world in ('car', 'drone', '')]
    assert errors[0] == errors[2] < 0.1 < errors[1]


def test_labels_of_a_teacher_are_scored_without_metres_only(tmp_path):
    labels = [40 * slope(index) for index in range(4)]
    write_labels(tmp_path / 's', labels, labels={'alignment': 'relative'})
    with pytest.raises(UnusableSequence, match='labels of a teacher.*protocol teacher'):
        evaluate_sequence(tmp_path / 's', model(), ALL, None)
    scores = evaluate_sequence(tmp_path / 's', model(), EvaluationSettings('teacher', 20), None)
    result = report([scores], 'rmse')
    assert result['frames'] == 4 and result['metrics']['abs_rel'] is None
    assert 0 < result['metrics']['rmse'] <= 1 + 1e-9
    assert result['baselines']['constant']['rmse'] == pytest.approx(1)
    assert result['range']['lt10']['frames'] == 0 and result['main_metric'] == 'rmse'
    assert 'rmse' in table(result)
