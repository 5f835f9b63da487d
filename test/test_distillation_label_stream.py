# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""From packets and pictures to labels on a thread: what comes out, and what goes wrong."""
from dataclasses import replace
import time

import cv2
import numpy as np
import pytest
from simulated_drive import drive_messages

from depth_anyevent_ros.depth_estimator import warm_up_loops
from depth_anyevent_ros.distillation.label_stream import LabelStream, Picture
from depth_anyevent_ros.distillation.labelling import Labeller, usable
from depth_anyevent_ros.distillation.pairing import FramePairing
from depth_anyevent_ros.events.pipeline import Representation, Window
from depth_anyevent_ros.events.types import Packet
from depth_anyevent_ros.geometry.camera import CameraModel
from depth_anyevent_ros.geometry.rectification import Rectification
from depth_anyevent_ros.geometry.registration import SameView


@pytest.fixture(scope='module')
def drive():
    """Return packets and pictures of a drive, in the order in which they arrive."""
    warm_up_loops(173, 130)  # so that no test waits for their compilation
    return drive_messages(20.0)


def pairing(placement='grid'):
    return FramePairing(lambda width, height: Representation(70, 98, placement=placement),
                        50_000_000, 200_000_000, 'ros')


class Gray:
    """A teacher that takes brightness for nearness, and fails when it is told to."""

    name, sha256 = 'gray', 'none'

    def __init__(self):
        self.fails, self.calls, self.slow_s = (), 0, 0.0

    def __call__(self, picture):
        self.calls += 1
        time.sleep(self.slow_s)
        if self.calls in self.fails:
            raise RuntimeError('out of memory')
        return picture.astype(np.float32).mean(-1)


class Run:
    """A stream with what it delivered and reported."""

    def __init__(self, teacher, period_ns=0, wanted=lambda: True, max_bytes=64 << 20,
                 placement='grid'):
        self.labels, self.problems = [], []
        labeller = Labeller(teacher, None, lambda size, map_size: SameView(130, 173))
        self.stream = LabelStream(pairing(placement), labeller, period_ns, wanted,
                                  self.labels.append, self.problems.append, max_bytes)
        self.stream.start()

    def feed(self, messages, pause_s=0.0):
        for message in messages:
            value = message.value
            self.stream.put(value if isinstance(value, Packet) else Picture(
                message.stamp_ns, lambda value=value: value, value.nbytes, time.monotonic_ns()))
            time.sleep(pause_s)

    def wait_for(self, condition):
        end = time.monotonic() + 20
        while not condition():
            assert time.monotonic() < end, (self.stream.counts, self.stream.pairing.counts)
            time.sleep(0.01)


@pytest.fixture
def start():
    runs = []

    def make(*arguments, **options):
        runs.append(Run(*arguments, **options))
        return runs[-1]
    yield make
    for run in runs:
        run.stream.stop()


def test_what_was_not_started_stops():
    LabelStream(pairing(), Labeller(Gray(), None, lambda *_: SameView(130, 173)), 0, lambda: True,
                print, print).stop()


def test_labels_carry_what_is_learned_from(start, drive):
    run = start(Gray())
    run.feed(drive, 0.002)
    run.wait_for(lambda: len(run.labels) >= 13)
    for label in run.labels:
        assert label.inverse_depth.shape == (130, 173)
        frame = label.frame
        assert frame.image.shape == (3, 70, 98) and frame.image.dtype == np.uint8
        assert frame.inverse_depth.shape == (70, 98) and frame.events > 1000
        assert frame.time_ns == label.window.t_end
    assert {label.frame.stretch for label in run.labels} == {1}


def test_what_is_learned_from_is_what_inference_shows(start, drive):
    run = start(Gray(), placement='resize')
    run.feed(drive, 0.002)
    run.wait_for(lambda: len(run.labels) >= 5)
    for label in run.labels:  # beyond 0 and 1 too, where bicubic interpolation goes
        assert label.window.image.min() < -0.05 and label.window.image.max() > 1.05
        np.testing.assert_allclose(label.frame.image.astype(np.float32) / 255, label.window.image,
                                   atol=1e-3)


def test_labels_tell_the_stretches_of_a_stream_apart(start, drive):
    run = start(Gray(), period_ns=200_000_000)
    middle = drive[0].stamp_ns + 350_000_000
    before = [message for message in drive if message.stamp_ns <= middle]
    run.feed(before)
    run.wait_for(lambda: len(run.labels) == 2 and not run.stream._arrived)
    run.stream.rectify(lambda: None)
    run.wait_for(lambda: run.stream.pairing.pipeline.counters()['recalibrations'] == 1)
    run.feed(drive[len(before):])
    run.wait_for(lambda: len(run.labels) >= 4)
    # The window with which the second began got no label: it came too soon after the last one.
    assert not run.labels[2].window.interrupted
    assert [label.frame.stretch for label in run.labels[:4]] == [1, 1, 2, 2]


def test_who_wants_no_labels_any_more_lets_the_thread_rest(start, drive):
    wanted, teacher = [True], Gray()
    teacher.slow_s = 0.3
    run = start(teacher, wanted=lambda: wanted[0])
    run.feed(drive)
    run.wait_for(lambda: len(run.stream._pairs) > 2)
    wanted[0] = False
    run.wait_for(lambda: not run.stream._pairs)
    assert run.stream.counts['unwanted'] > 2


def test_another_sensor_or_calibration_is_registered_anew(start, drive):
    run, sizes = start(Gray()), []
    labeller = run.stream.labeller

    def registration(size, map_size):
        sizes.append(run.stream.pairing.pipeline.size)
        if len(sizes) == 1:
            labeller.forget_registration()  # by a calibration that came meanwhile
        return SameView(130, 173)

    labeller._registration_for = registration
    half = len(drive) // 2
    run.feed(drive[:half], 0.002)
    run.wait_for(lambda: len(run.labels) >= 3)
    run.feed([message._replace(value=replace(message.value, width=346, height=260))
              if isinstance(message.value, Packet) else message for message in drive[half:]],
             0.002)
    run.wait_for(lambda: len(sizes) >= 3)
    assert sizes == [(173, 130), (173, 130), (346, 260)]


def test_windows_and_labels_are_rectified_together(start, drive):
    k = np.array([[140.0, 0, 86], [0, 140, 64.5], [0, 0, 1]])
    camera = CameraModel(173, 130, k, np.array([0.3, 0, 0, 0, 0]))
    run = start(Gray())
    run.feed(drive[:len(drive) // 2], 0.002)
    run.wait_for(lambda: len(run.labels) >= 3)
    assert all(np.isfinite(label.inverse_depth).all() for label in run.labels)
    run.stream.rectify(lambda: Rectification(camera))
    run.labels.clear()
    run.feed(drive[len(drive) // 2:], 0.002)
    run.wait_for(lambda: len(run.labels) >= 4)
    label = run.labels[-1]
    seen = Rectification(camera).seen(173, 130)
    assert 0.5 < seen.mean() < 0.95  # this lens sees less than its own picture without distortion
    np.testing.assert_array_equal(np.isfinite(label.inverse_depth), seen)
    # What is not seen has neither events nor a label.
    known = np.isfinite(label.frame.inverse_depth.astype(np.float32))
    beyond = cv2.dilate(known.astype(np.uint8), np.ones((3, 3), np.uint8)) == 0
    assert beyond.any() and not label.frame.image[:, beyond].any()
    assert label.frame.image[:, known].any() and run.stream.pairing.pipeline.rectified
    run.stream.rectify(lambda: None)
    run.labels.clear()
    run.feed(drive, 0.002)
    run.wait_for(lambda: run.labels and np.isfinite(run.labels[-1].inverse_depth).all())
    assert not run.stream.pairing.pipeline.rectified


def test_a_calibration_that_fails_costs_the_rectification_only(start, drive):
    k = np.array([[140.0, 0, 86], [0, 140, 64.5], [0, 0, 1]])
    run = start(Gray())
    run.stream.rectify(lambda: Rectification(
        CameraModel(173, 130, k, np.array([0.3, 0, 0, 0, 0]))))
    run.feed(drive[:len(drive) // 2], 0.002)
    run.wait_for(lambda: len(run.labels) >= 3)
    assert np.isnan(run.labels[-1].inverse_depth).any()

    def fail():
        raise MemoryError('Unable to allocate 29.1 TiB')
    run.stream.rectify(fail)
    run.wait_for(lambda: run.problems)
    run.labels.clear()
    run.feed(drive[len(drive) // 2:], 0.002)
    run.wait_for(lambda: len(run.labels) >= 3)
    assert run.problems == ['MemoryError: Unable to allocate 29.1 TiB'] and run.stream.alive
    assert np.isfinite(run.labels[-1].inverse_depth).all()
    assert not run.stream.pairing.pipeline.rectified


def test_a_teacher_that_fails_costs_a_label(start, drive):
    teacher = Gray()
    teacher.fails = (4, 5)
    run = start(teacher)
    run.feed(drive, 0.002)
    run.wait_for(lambda: len(run.labels) >= 10)
    assert run.problems == ['RuntimeError: out of memory'] * 2
    assert run.stream.labeller.counts['failed'] == 2 and run.stream.alive


def test_a_slow_teacher_skips_and_holds_up_nothing(start, drive):
    teacher = Gray()
    teacher.slow_s = 0.3
    run = start(teacher)
    begin = time.monotonic()
    run.feed(drive)
    assert time.monotonic() - begin < 0.2
    run.wait_for(lambda: run.stream.counts['skipped'] >= 3)
    run.wait_for(lambda: len(run.labels) + run.stream.counts['skipped'] >= 13)
    assert run.labels[-1].window.t_end > 600_000_000


def test_labels_come_no_oftener_than_they_are_asked_for(start, drive):
    run = start(Gray(), period_ns=100_000_000)
    run.feed(drive, 0.002)
    run.wait_for(lambda: len(run.labels) >= 7)
    time.sleep(0.1)
    assert len(run.labels) <= 8


def test_what_nobody_wants_is_not_labelled(start, drive):
    teacher = Gray()
    run = start(teacher, wanted=lambda: False)
    run.feed(drive)
    run.wait_for(lambda: run.stream.counts['unwanted'] == 16)
    assert teacher.calls == 0


def test_what_was_not_wanted_is_not_a_gap(start, drive):
    wanted = [True]
    run = start(Gray(), wanted=lambda: wanted[0])
    third = len(drive) // 3
    run.feed(drive[:third], 0.002)
    run.wait_for(lambda: len(run.labels) >= 3)
    wanted[0] = False
    run.feed(drive[third:2 * third], 0.002)
    run.wait_for(lambda: run.stream.counts['unwanted'] >= 4)
    wanted[0] = True
    before = len(run.labels)
    run.feed(drive[2 * third:], 0.002)
    run.wait_for(lambda: len(run.labels) >= before + 2)
    assert run.labels[before].frame.stretch == run.labels[before - 1].frame.stretch + 1
    assert run.stream.pairing.pipeline.counters()['gaps'] == 0


def test_what_waits_is_bounded(start, drive):
    teacher = Gray()
    teacher.slow_s = 0.5
    run = start(teacher, max_bytes=300_000)
    run.feed(drive)
    run.feed(drive)
    assert run.stream.counts['queue_drops'] > 20 and run.stream._bytes <= 300_000


def test_time_that_falls_back_begins_anew(start, drive):
    run = start(Gray())
    run.feed(drive, 0.002)
    run.wait_for(lambda: len(run.labels) >= 13)
    before = len(run.labels)
    run.feed(drive, 0.002)
    run.wait_for(lambda: len(run.labels) >= before + 12)
    assert {label.frame.stretch for label in run.labels} == {1, 2}


@pytest.mark.parametrize('unit, learned_from', [(1e-7, False), (1e-2, True), (1e2, True),
                                                (1e4, False)])
def test_labels_that_16_bits_cannot_hold_are_refused_and_counted(drive, unit, learned_from):
    class Scaled(Gray):
        def __call__(self, picture):
            return np.float32(unit) * super().__call__(picture)
    labeller = Labeller(Scaled(), None, lambda *_: SameView(130, 173))
    window = Window(np.zeros((3, 70, 98), np.float32), 0, 1, 1, 9, False, 0)
    picture = next(message.value for message in drive if not isinstance(message.value, Packet))
    label = labeller.label(picture, window)
    assert (label is not None) == learned_from
    assert labeller.counts['refused: out of range'] == (not learned_from)
    assert not learned_from or np.isfinite(label.frame.inverse_depth).all()


def test_maps_that_say_nothing_are_not_usable():
    ramp = np.tile(np.linspace(0, 1, 50, dtype=np.float32), (40, 1))
    assert usable(ramp) and usable(-ramp) and usable(1000 + 10 * ramp)
    holes = ramp.copy()
    holes[:, 1:] = np.nan
    assert not usable(np.full_like(ramp, 3)) and not usable(holes)
    assert not usable(np.full_like(ramp, np.nan))
