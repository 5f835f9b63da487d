# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Mean maps of known labels, and what it means to hold a prediction."""
from evaluation_data import slope, write_labels
import numpy as np
import pytest

from depth_anyevent_ros.evaluation.baselines import (
    HeldPrediction, label_sums, load_mean_maps, mean_maps, resize_map, save_mean_maps)


def test_the_map_of_one_scene_is_its_standardised_label(tmp_path):
    sequence = write_labels(tmp_path / 'a', [slope()] * 3)
    maps = mean_maps([label_sums(sequence, stride=1)])
    assert set(maps) == {'boxes', 'all'} and maps['all'].shape == (52, 70)
    assert maps['all'].dtype == np.float32 and np.array_equal(maps['all'], maps['boxes'])
    expected = (slope() - slope().mean()) / slope().std()
    assert np.abs(resize_map(maps['all'], *slope().shape) - expected).max() < 0.06


def test_scale_and_shift_of_a_label_do_not_matter_and_worlds_are_apart(tmp_path):
    upside_down = slope()[::-1] * 5 + 1
    car = write_labels(tmp_path / 'car', [slope(), 3 * slope() + 2], world='car')
    drone = write_labels(tmp_path / 'drone', [upside_down], world='drone')
    maps = mean_maps(label_sums(one, stride=1) for one in (car, drone))
    alone = mean_maps([label_sums(car, stride=2)])
    assert np.allclose(maps['car'], alone['car'], atol=5e-3)
    assert np.allclose(maps['all'], (2 * maps['car'] + maps['drone']) / 3, atol=1e-5)
    assert np.corrcoef(maps['car'][:, 0], maps['drone'][:, 0])[0, 1] < -0.9


def test_sky_and_unknown_pixels_take_no_part(tmp_path):
    label = slope()
    label[:10], label[10:20] = 0, np.nan
    maps = mean_maps([label_sums(write_labels(tmp_path / 'a', [label]), stride=1)])
    valid = slope()[20:]
    assert maps['all'][-1].mean() == pytest.approx(
        ((valid[-1] - valid.mean()) / valid.std()).mean(), abs=0.05)
    assert np.all(maps['all'][:23] == 0)


def test_nothing_but_sky_makes_no_map(tmp_path):
    with pytest.raises(ValueError, match='all sky'):
        mean_maps([label_sums(write_labels(tmp_path / 'a', [np.zeros_like(slope())]))])


def test_maps_come_back_from_their_file(tmp_path):
    maps = {'all': np.arange(6, dtype=np.float32).reshape(2, 3)}
    save_mean_maps(tmp_path / 'm.npz', maps)
    assert np.array_equal(load_mean_maps(tmp_path / 'm.npz')['all'], maps['all'])
    assert [path.name for path in tmp_path.iterdir()] == ['m.npz']


@pytest.mark.parametrize('content', [b'', b'no zip', b'PK\x03\x04 cut short'])
def test_a_damaged_file_of_maps_is_a_sentence(tmp_path, content):
    (tmp_path / 'm.npz').write_bytes(content)
    with pytest.raises(ValueError, match='m.npz'):
        load_mean_maps(tmp_path / 'm.npz')


def test_a_file_without_maps_is_a_sentence(tmp_path):
    np.savez(tmp_path / 'm.npz', car=np.zeros((3, 3)))
    with pytest.raises(ValueError, match="'all'"):
        load_mean_maps(tmp_path / 'm.npz')
    with pytest.raises(ValueError, match='does not exist'):
        load_mean_maps(tmp_path / 'none.npz')


def test_held_is_the_previous_prediction_or_that_before_a_quiet_stretch():
    held = HeldPrediction()
    quiet = [False, False, True, True, True, False, False]
    # 2, 3, 4 are quiet: the last one before them is 1. After them it is the window before again.
    assert [held.next(*one) for one in enumerate(quiet)] == [None, 0, 1, 1, 1, 4, 5]


def test_nothing_is_held_where_a_sequence_begins_quietly():
    held = HeldPrediction()
    assert [held.next(*one) for one in enumerate([True, True, False])] == [None, None, 1]
