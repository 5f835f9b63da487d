# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The contact sheet: which frames it shows, and what its pictures say."""
import json

import cv2
from evaluation_data import HEIGHT, PERIOD_NS, slope, WIDTH, write_labels
import numpy as np
import pytest

from depth_anyevent_ros.evaluation.contact_sheet import (
    choose_sequences, ContactSheet, depth_limits, draw, Row)
from depth_anyevent_ros.evaluation.pictures import events_picture
from depth_anyevent_ros.evaluation.protocols import PROTOCOLS
from depth_anyevent_ros.evaluation.scoring import Frame, score_sequence
from depth_anyevent_ros.events.types import Events


def test_events_picture_shows_the_latest_event_of_a_pixel():
    events = Events(np.array([0, 50, 100]), np.array([2, 1, 2], np.uint16),
                    np.array([0, 0, 0], np.uint16), np.array([0, 1, 1], np.uint8))
    picture = events_picture(events, 4, 2, 0, 100)
    assert picture[0, 2].tolist() == [255, 0, 0]  # ON, newest: red, though OFF came before
    assert picture[0, 1].tolist() == [255, 89, 89]  # ON, half as old as the window: pale red
    assert np.all(picture[1] == 255) and picture.shape == (2, 4, 3)


def rows_of(sequence, predictions, protocol):
    """Return the scores of a sequence, and the rows of a sheet that saw them."""
    sheet = ContactSheet({sequence.path}, 50.0)
    frames = [Frame(prediction, i, False, False) for i, prediction in enumerate(predictions)]
    scores = score_sequence(sequence, frames, PROTOCOLS[protocol], None,
                            lambda *seen: sheet.see(sequence, *seen))
    return scores, list(sheet._rows.values())


@pytest.mark.parametrize('protocol', ['clean', 'paper'])
def test_the_error_is_that_which_the_protocol_scores(tmp_path, protocol):
    # So much steeper than the prediction that the paper's fit reaches a bound.
    label = np.clip(12 * slope() ** 4, 1 / 75, None)
    label[0] = [0] * 20 + [1 / 90] * 20 + [np.nan] * 16
    prediction = np.maximum(slope(), 0.16)
    scores, (row,) = rows_of(write_labels(tmp_path / 'a', [label]), [prediction], protocol)
    assert row.title.endswith(f'{scores.scores[0, 0, 0, 0]:.3f}')
    assert np.nanmean(row.error) == pytest.approx(scores.scores[0, 0, 0, 0], rel=1e-6)
    scored = np.isfinite(row.error)
    assert not scored[0].any()
    assert scored[1:].all() == (protocol == 'clean') and 0.2 < scored.mean() < 1
    truth = row.truth[scored]
    np.testing.assert_allclose(row.error[scored], np.abs(row.prediction[scored] - truth) / truth,
                               rtol=1e-3, atol=1e-5)


def test_a_picture_that_is_missing_changes_no_figure(tmp_path):
    sequence = write_labels(tmp_path / 'a', [slope()], image=True)
    (sequence.path / 'image' / '000000.png').unlink()
    scores, (row,) = rows_of(sequence, [slope()], 'clean')
    assert len(scores) == 1 and row.image is None


def test_a_prediction_without_numbers_has_the_error_that_it_is_scored_by(tmp_path):
    label, broken = slope(), slope()
    label[:3] = np.nan
    broken[:, :20] = np.nan
    scores, (row,) = rows_of(write_labels(tmp_path / 'a', [label]), [broken], 'clean')
    assert np.nanmean(row.error) == pytest.approx(scores.scores[0, 0, 0, 0], rel=1e-6)
    assert row.title.endswith(f'{scores.scores[0, 0, 0, 0]:.3f}')


def test_depth_limits_leave_the_sky_out():
    near, far = depth_limits(np.array([[2.0, 40.0, np.inf, np.nan, 200.0]]))
    assert 2 <= near < 3 and 39 < far <= 40
    assert depth_limits(np.full((2, 2), np.inf)) == (1.0, 80.0)


@pytest.mark.parametrize('near, far, labels', [
    (2, 12, ['2 m', '3 m', '5 m', '7 m', '10 m']), (0.06, 0.12, ['0.06 m', '0.12 m']),
    (31, 46.5, ['31 m', '46.5 m']), (4, 6, ['4 m', '6 m'])])
def test_the_bar_of_depth_has_two_labels_or_more(near, far, labels):
    truth = np.full((HEIGHT, WIDTH), near, np.float64)
    truth[:, WIDTH // 2:] = far
    figure = draw([Row('', np.zeros((HEIGHT, WIDTH, 3), np.uint8), None, truth, truth,
                       truth)], '')
    bars = [axes for axes in figure.axes if axes.yaxis_inverted() and axes.get_yticks().size]
    assert [tick.get_text() for tick in bars[0].get_yticklabels()] == labels


def test_sequences_of_all_worlds_are_chosen(tmp_path):
    paths = [write_labels(tmp_path / f'{world}{i}', [slope()], world=world).path
             for world in ('car', 'drone') for i in range(4)]
    chosen = choose_sequences(paths, 3)
    assert [sum(path.name.startswith(world) for path in chosen) for world in ('car', 'drone')] \
        == [2, 1]
    assert choose_sequences([*paths, tmp_path], 100) == set(paths)
    info = paths[0] / 'sequence.json'
    info.write_text(json.dumps({**json.loads(info.read_text()), 'world': None}))
    assert choose_sequences(paths, 100) == set(paths)


def test_a_sequence_that_breaks_off_has_no_row(tmp_path):
    sheet = ContactSheet({tmp_path / 'a'}, PERIOD_NS / 1e6)
    for name in 'ab':
        sequence = write_labels(tmp_path / name, [slope()] * 3, image=True)
        for i in range(3):
            sheet.see(sequence, Frame(slope(), i, False, False), slope(), 1 / slope(), slope())
        if name == 'a':
            sheet.replace(sequence.path, [tmp_path / 'b'])
    assert list(sheet._rows) == [tmp_path / 'b']


def test_the_frame_is_the_first_with_events_from_the_middle_on(tmp_path):
    sequence = write_labels(tmp_path / 'a', [slope()] * 12, image=True)
    sheet = ContactSheet({sequence.path}, PERIOD_NS / 1e6)
    for i in range(12):
        sheet.see(sequence, Frame(slope(), i, i == 6, i == 7), slope(), 1 / slope(), slope())
    assert sheet.write(tmp_path / 'sheet.png', 'heading') == 1
    (row,) = sheet._rows.values()
    assert row.title.startswith('a, 0.5 s')  # label 8 ends at 0.45 s
    assert row.events.shape == row.image.shape == (HEIGHT, WIDTH, 3)
    picture = cv2.imread(str(tmp_path / 'sheet.png'))
    assert picture.shape[1] > 1000 and len(np.unique(picture.reshape(-1, 3), axis=0)) > 500


def test_the_first_scored_frame_stands_in_where_there_is_no_other(tmp_path):
    sequence = write_labels(tmp_path / 'a', [slope()] * 12)
    sheet = ContactSheet({sequence.path}, 50.0)
    for i in (1, 2, 3):  # label 0 is sky, and --limit ends before the middle
        sheet.see(sequence, Frame(slope(), i, False, False), slope(), 1 / slope(), slope())
    (row,) = sheet._rows.values()
    assert row.title.startswith('a, 0.1 s')


def test_a_sequence_that_is_of_no_use_is_replaced_by_the_next(tmp_path):
    sequences = [write_labels(tmp_path / name, [slope()]) for name in 'abcd']
    paths = [sequence.path for sequence in sequences]
    sheet = ContactSheet({paths[1], paths[2]}, 50.0)
    for index, sequence in enumerate(sequences):
        if index in (0, 1):  # the first of them was not to be shown
            sheet.replace(paths[index], paths[index + 1:])
        else:
            sheet.see(sequence, Frame(slope(), 0, False, False), slope(), 1 / slope(), slope())
    assert set(sheet._rows) == {paths[2], paths[3]}


@pytest.mark.parametrize('image', [True, False])
def test_a_sequence_of_pauses_shows_its_last_stand_in(tmp_path, image):
    sequence = write_labels(tmp_path / 'a', [slope()] * 3, image=image)
    sheet = ContactSheet({sequence.path}, 50.0)
    for i in range(3):
        sheet.see(sequence, Frame(slope(), i, True, True), slope(), 1 / slope(), slope())
    assert sheet.write(tmp_path / 'sheet.png', 'heading') == 1
