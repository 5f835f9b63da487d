# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Pictures of a recording, with moments spread over a stream of unknown length."""
from pathlib import Path

import cv2
import numpy as np
import pytest

from depth_anyevent_ros.evaluation.depth_sheet import check_ending, DepthSheet
from depth_anyevent_ros.evaluation.pictures import INVALID_COLOR, tencode_picture


def see(sheet, count, step_ns=100_000_000):
    image = np.zeros((3, 28, 42), np.float32)
    image[0, :14] = 1  # ON, now
    for index in range(count):
        depth = np.full((28, 42), float(index), np.float32)
        depth[:, 20:30] = np.nan
        sheet.see(5 * 10**9 + index * step_ns, image, depth)


@pytest.mark.parametrize('count', [*range(1, 30), 100, 600, 1001, 1792])
def test_moments_are_spread_evenly_over_the_stream(count):
    sheet = DepthSheet(moments=6)
    see(sheet, count)
    shown = sheet.moments()
    numbers = np.array([moment.window for moment in shown])
    assert len(shown) == min(count, 6) and len(sheet._kept) <= 12
    assert [moment.seconds for moment in shown] == pytest.approx(numbers / 10)
    assert [moment.inverse_depth[0, 0] for moment in shown] == numbers.tolist()
    # One in each part of the stream, at most half a part from its middle.
    middles = (np.arange(len(shown)) + 0.5) / len(shown) * count - 0.5
    assert np.abs(numbers - middles).max() <= count / len(shown) / 2


def test_the_sheet_shows_events_and_depth_in_colours_of_all(tmp_path):
    sheet = DepthSheet(moments=2)
    see(sheet, 2)
    assert sheet.write(tmp_path / 'made' / 'sheet.png', 'a bag') == 2
    picture = cv2.imread(str(tmp_path / 'made' / 'sheet.png'))
    height = round(336 * 28 / 42)
    assert picture.shape[1] == 2 * (2 * 336 + 8)
    top = picture.shape[0] - height - 8  # of the pictures
    first, second = picture[top:-8, :672], picture[top:-8, 680:1352]
    for cell in (first, second):
        assert tuple(cell[5, 5]) == (0, 0, 255) and tuple(cell[-5, 5]) == (255, 255, 255)
        assert tuple(cell[50, 336 + 200]) == INVALID_COLOR
    # Farther is darker: each depth is constant, and only common colours tell them apart.
    assert first[50, 350].sum() < 30 and second[50, 350].sum() > 400


def test_moments_of_sensors_of_other_shapes_stand_side_by_side():
    sheet = DepthSheet()
    for height, width in ((28, 42), (42, 28), (28, 42)):
        sheet.see(0, np.zeros((3, height, width), np.float32), np.eye(height, width))
    picture = sheet.draw('a bag')
    assert picture.shape[0] > 2 * 336 * 42 / 28 and picture.shape[1] == 2 * 680


def test_a_stream_without_windows_leaves_no_picture(tmp_path):
    assert DepthSheet().write(tmp_path / 'sheet.png', 'a bag') == 0
    assert not list(tmp_path.iterdir())


def test_depth_that_is_nowhere_a_number_is_drawn_grey(tmp_path):
    sheet = DepthSheet()
    sheet.see(0, np.zeros((3, 28, 42), np.float32), np.full((28, 42), np.nan, np.float32))
    assert tuple(sheet.draw('a bag')[-30, 600]) == INVALID_COLOR


def test_endings():
    for name in ('a.png', 'a.jpg', 'a', 'a.b/c.PNG'):
        check_ending(Path(name))
    for name in ('a.txt', 'a.safetensors', 'a.pgm', 'a.PBM'):
        with pytest.raises(ValueError, match='must be that of a picture'):
            check_ending(Path(name))


def test_events_on_a_white_frame_look_as_on_a_black_one():
    black = np.zeros((3, 4, 4), np.float32)
    black[:, 1, 1] = 1, 0.5, 0
    white = np.ones_like(black)
    white[:, 1, 1] = 1, 0.5, 0
    assert (tencode_picture(black) == tencode_picture(white)).all()
    assert tuple(tencode_picture(white)[0, 0]) == (255, 255, 255)
