# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Error against light: which sequences count, and where two models cross."""
from evaluation_data import HEIGHT, slope, WIDTH, write_labels
import numpy as np
import pytest

from depth_anyevent_ros.evaluation import light
from depth_anyevent_ros.evaluation.protocols import PROTOCOLS
from depth_anyevent_ros.evaluation.scoring import Frame, score_sequence


def scores(tmp_path, level, noise, name, frames=1):
    generator = np.random.default_rng(0)
    sequence = write_labels(tmp_path / f'{name}_{level}_{noise}', [slope()] * frames, level=level,
                            name=f'{name}_{level}')
    prediction = slope() + noise * generator.random((HEIGHT, WIDTH)).astype(np.float32)
    return score_sequence(sequence, [Frame(prediction, i, False, False) for i in range(frames)],
                          PROTOCOLS['clean'], None)


def test_crossings_lie_where_the_lines_meet():
    assert light.crossings([1, 0.01], [0.1, 0.3], [0.2, 0.2]) == pytest.approx([0.1])
    assert light.crossings([1, 0.1, 0.01], [1, 1, 1], [2, 3, 4]) == []
    assert len(light.crossings([1, 0.1, 0.01], [1, 3, 1], [2, 2, 2])) == 2


@pytest.mark.parametrize('gap, expected', [
    ([1, 0, -1, -2], [0.1]), ([1, 0, 1, 2], []), ([2, 1, 1, 0], []), ([0, 1, 2, 3], []),
    ([1, 0, 0, -1], [10 ** -1.5]), ([0, 0, 0, 0], []), ([-1, 0, 1, -1], [0.1, 10 ** -2.5])])
def test_a_touch_is_no_crossing(gap, expected):
    found = light.crossings([1, 0.1, 0.01, 0.001], np.add(gap, 5.0), [5.0] * 4)
    assert found == pytest.approx(expected)


def test_levels_and_the_plot(tmp_path):
    student = [scores(tmp_path, level, 0.2, 'a') for level in (1.0, 0.01, 1e-4)]
    teacher = [scores(tmp_path, level, noise, 'a')
               for level, noise in ((1.0, 0.01), (0.01, 0.1), (1e-4, 0.4))]
    only_student = scores(tmp_path, 0.5, 0.2, 'b')
    found = light.by_level({'student': [*student, only_student], 'teacher': teacher})
    assert [row['level'] for row in found['levels']] == [1.0, 0.01, 1e-4]
    errors = [row['abs_rel'] for row in found['levels']]
    assert errors[0]['teacher'] < errors[0]['student']
    assert errors[2]['teacher'] > errors[2]['student']
    (crossing,) = found['crossings']
    assert crossing['models'] == ['student', 'teacher']
    assert len(crossing['levels']) == 1 and 1e-4 < crossing['levels'][0] < 0.01
    light.plot(tmp_path / 'light.png', found)
    assert (tmp_path / 'light.png').stat().st_size > 10_000


def test_errors_are_the_mean_that_the_protocol_has_at_its_head(tmp_path):
    models = {'student': [scores(tmp_path, 1.0, 0.01, 'a', 3), scores(tmp_path, 1.0, 0.4, 'b')]}
    few, many = (float(s.scores[0, 0, 0, 0]) for s in models['student'])
    for headline, expected in (('metrics', (3 * few + many) / 4),
                               ('sequence_mean', (few + many) / 2)):
        row, = light.by_level(models, headline)['levels']
        assert row['abs_rel']['student'] == pytest.approx(expected) and row['frames'] == 4


def test_one_level_makes_no_plot(tmp_path):
    found = light.by_level({'student': [scores(tmp_path, 1.0, 0.1, 'a')]})
    with pytest.raises(ValueError, match='two levels'):
        light.plot(tmp_path / 'light.png', found)
