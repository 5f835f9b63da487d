# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Error against light: which sequences count, and where two models cross."""
from evaluation_data import HEIGHT, slope, WIDTH, write_labels
import numpy as np
import pytest

from depth_anyevent_ros.evaluation import light
from depth_anyevent_ros.evaluation.protocols import PROTOCOLS
from depth_anyevent_ros.evaluation.scoring import Frame, score_sequence


def scores(tmp_path, level, noise, name):
    generator = np.random.default_rng(0)
    sequence = write_labels(tmp_path / f'{name}_{level}_{noise}', [slope()], level=level,
                            name=f'{name}_{level}')
    prediction = slope() + noise * generator.random((HEIGHT, WIDTH)).astype(np.float32)
    return score_sequence(sequence, [Frame(prediction, 0, False, False)], PROTOCOLS['clean'],
                          None)


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


def test_one_level_makes_no_plot(tmp_path):
    found = light.by_level({'student': [scores(tmp_path, 1.0, 0.1, 'a')]})
    with pytest.raises(ValueError, match='two levels'):
        light.plot(tmp_path / 'light.png', found)
