# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Labels that do not belong to the events, and teachers that contradict themselves."""
from dataclasses import replace

import numpy as np
import pytest

from depth_anyevent_ros.distillation.anchor import anchor_samples, anchor_sequences
from depth_anyevent_ros.distillation.replay_buffer import LabelledFrame, ReplayBuffer
from depth_anyevent_ros.distillation.teacher_check import (
    EdgeAlignment, flip_disagreement, TeacherCheck)
from depth_anyevent_ros.networks.config import InputConfig


@pytest.fixture(scope='module')
def frames(anchor_dir):
    """Return frames of scenes of both worlds by turns with their true labels."""
    sequences = anchor_sequences(anchor_dir)
    found = [(samples.image[i], samples.inverse_depth[i])
             for samples in anchor_samples(sequences, InputConfig(height=126, width=168))
             for i in range(2, len(samples))]
    return [LabelledFrame(*pair, time_ns, 1, 1) for time_ns, pair in enumerate(found)]


def problem(frames, change):
    alignment = EdgeAlignment()
    found = ''
    for frame in frames:
        found = alignment.problem(LabelledFrame(
            frame.image, change(frame.inverse_depth), frame.time_ns, 1, 1))
    return found


def test_true_labels_fit_the_events(frames):
    assert problem(frames, lambda label: label) == ''
    # Of a teacher, whose scale and shift are its own.
    assert problem(frames, lambda label: 40 * label + 7) == ''


@pytest.mark.parametrize('change, words', [
    (lambda label: label[:, ::-1], 'mirrored'),
    (lambda label: np.roll(label, 9, 1), 'moved left'),
    (lambda label: np.roll(label, -7, 1), 'moved right'),
    (lambda label: np.roll(label, 9, 0), 'moved up')])
def test_labels_elsewhere_do_not(frames, change, words):
    assert f'when they are {words}' in problem(frames, change)


def test_labels_of_other_scenes_have_nothing_to_do_with_the_events(frames):
    others = [LabelledFrame(frame.image, other.inverse_depth[:, ::-1], frame.time_ns, 1, 1)
              for frame, other in zip(frames, frames[len(frames) // 2:] + frames)]
    alignment = EdgeAlignment()
    found = [alignment.problem(frame) for frame in (2 * others)[:130]]
    assert found[116] == '' and 'nothing to do with the events' in found[-1]
    assert alignment.since == (1, others[0].time_ns)


def test_a_doubt_reaches_back_over_the_start_of_a_sensor(frames):
    """As when a bag is played again: labels of its end are judged with those of its beginning."""
    alignment, buffer = EdgeAlignment(), ReplayBuffer()
    good = [replace(frame, time_ns=frame.time_ns + 3600) for frame in frames[:40]]
    wrong = [replace(frame, inverse_depth=frame.inverse_depth[:, ::-1], stretch=stretch,
                     time_ns=frame.time_ns + begin_ns)
             for stretch, begin_ns in ((2, 7200), (3, 5)) for frame in frames[:50]]
    for frame in good:
        buffer.add(frame)
    taken = 0
    for frame in wrong:
        if alignment.problem(frame):
            break
        buffer.add(frame)
        taken += 1
    assert 50 < taken < 100 and alignment.since == (2, wrong[0].time_ns) and alignment.means()
    buffer.forget(*alignment.since)
    left = buffer.training + buffer.held_out
    assert {int(t) for block in left for t in block.times_ns} < {frame.time_ns for frame in good}
    assert len(left) > 3 and buffer.counts['forgotten_blocks'] > 6


def test_too_few_frames_and_empty_ones_say_nothing(frames):
    assert problem(frames[:50], lambda label: label[:, ::-1]) == ''
    assert problem(frames, lambda label: np.full_like(label, np.nan)) == ''


def shapes(picture):
    """Stand for a teacher that sees depth: dark is far."""
    return picture.astype(np.float32).mean(-1)


def test_a_teacher_of_places_contradicts_itself():
    picture = np.random.default_rng(0).integers(0, 255, (40, 60, 3)).astype(np.uint8)
    half = np.where(np.arange(60) < 30, 2.0, 1.0)
    assert flip_disagreement(shapes, picture) < 1e-6
    assert flip_disagreement(lambda p: shapes(p) * half, picture) > 0.3
    assert flip_disagreement(lambda p: np.roll(shapes(p), 5, 1), picture) > 0.9
    assert flip_disagreement(lambda p: shapes(p) * 0, picture) == 1.0


@pytest.mark.parametrize('odd, doubted, since', [
    (range(100, 101), range(0), None),  # one picture, as of a scene that it takes otherwise
    (range(100, 300), range(150, 250), 50),  # since the first of the three flips
    (range(300), range(250), 0),
    (range(1), range(50), 0)])  # the first one, when there is no other
def test_one_picture_alone_does_not_make_a_doubt(frames, odd, doubted, since):
    picture = np.random.default_rng(0).integers(0, 255, (40, 60, 3)).astype(np.uint8)
    number = 0
    check = TeacherCheck(lambda p: np.roll(shapes(p), 5 if number in odd else 0, 1))
    found, begin = [], None
    for number in range(250):
        frame = replace(frames[number % len(frames)], time_ns=number)
        if check.doubt(picture, frame):
            found.append(number)
            begin = check.to_forget if begin is None else begin
    assert found == list(doubted)
    assert begin == (None if since is None else (1, since))


def test_a_doubt_that_reaches_further_back_is_one_anew(frames):
    """The flip notices first what the edges, which are looked at for longer, then do too."""
    picture = np.random.default_rng(0).integers(0, 255, (40, 60, 3)).astype(np.uint8)
    check, forgotten = TeacherCheck(lambda p: np.roll(shapes(p), 5 if wrong else 0, 1)), {}
    for number in range(500):
        wrong, frame = number > 260, replace(frames[number % len(frames)], time_ns=number)
        if wrong:
            frame = replace(frame, inverse_depth=frame.inverse_depth[:, ::-1])
        problem = check.doubt(picture, frame)
        assert problem or check.to_forget is None
        if check.to_forget is not None:
            forgotten[number] = problem.split()[1], check.to_forget[1]
    (first, (what, since)), (then, (other, further)) = forgotten.items()
    assert (first, what, since) == (350, 'teacher', 250)
    assert other == 'labels' and then - 300 <= further < since
