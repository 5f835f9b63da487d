# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What distillation_node says of itself where pictures come and no label does."""
from dataclasses import replace
import time

import numpy as np
import pytest
from simulated_drive import drive_messages

from depth_anyevent_ros.distillation.label_stream import LabelStream, Picture
from depth_anyevent_ros.distillation.labelling import Labeller
from depth_anyevent_ros.distillation.pairing import FramePairing
from depth_anyevent_ros.distillation.picture_quality import PictureQuality
from depth_anyevent_ros.events.pipeline import Representation
from depth_anyevent_ros.events.types import Packet
from depth_anyevent_ros.geometry.registration import SameView
from depth_anyevent_ros.nodes import distillation_report
from depth_anyevent_ros.nodes.distillation_report import DistillationReport
from depth_anyevent_ros.simulation.output import IMAGE


@pytest.fixture(scope='module')
def drive():
    """Return packets and pictures of a drive, in the order in which they arrive."""
    return drive_messages(40.0)


@pytest.fixture
def watch(monkeypatch):
    """Return a function that feeds messages to a stream and gives the report after a while."""
    monkeypatch.setattr(distillation_report, 'UNLABELLED_S', 0.1)
    streams = []

    def run(messages, clock='auto', stamp_of=int, darker=1, wanted=True, period_ns=0):
        pairing = FramePairing(lambda width, height: Representation(70, 98), 50_000_000,
                               200_000_000, clock)
        labeller = Labeller(lambda picture: picture.astype(np.float32).mean(-1),
                            PictureQuality(), lambda *_: SameView(130, 173))
        stream = LabelStream(pairing, labeller, period_ns, lambda: wanted, lambda label: None,
                             print)
        streams.append(stream)
        stream.start()
        report = DistillationReport()
        report.watch(stream, None, {})
        report.collect()
        for message in messages:
            value = message.value
            if not isinstance(value, Packet):
                value = Picture(stamp_of(message.stamp_ns),
                                lambda value=value: value // darker, value.nbytes,
                                time.monotonic_ns())
            stream.put(value)
            while stream._arrived or stream._pairs:  # or some would be skipped
                time.sleep(0.002)
        end = time.monotonic() + 20
        pictures = sum(message.topic == IMAGE for message in messages)
        while pairing.counts['pictures'] + stream.counts['unwanted'] < pictures or stream._pairs:
            assert time.monotonic() < end, (stream.counts, pairing.counts)
            time.sleep(0.02)
        time.sleep(0.15)
        return report.collect()
    yield run
    for stream in streams:
        stream.stop()


@pytest.mark.parametrize(('options', 'says'), [
    ({}, None),
    ({'darker': 255}, 'refused: dark'),
    ({'stamp_of': lambda stamp: stamp + 3600 * 10**9}, 'look at their stamps'),
    ({'stamp_of': lambda stamp: 0}, 'look at their stamps'),
    ({'clock': 'sensor'}, 'image.clock'),
    ({'wanted': False}, None),
    ({'period_ns': 10**10, 'darker': 255}, None)])
def test_pictures_without_labels_are_told_with_what_becomes_of_them(watch, drive, options, says):
    report = watch(drive, **options)
    if says is None:
        assert (report.level, report.message) == ('ok', 'labels')
    else:
        assert report.level == 'warn' and says in report.message, report
        assert 'no label' in report.message


def test_packets_without_stamps_leave_pictures_in_ros_time_alone(watch, drive):
    unstamped = [message._replace(value=replace(message.value, stamp_ns=0))
                 if isinstance(message.value, Packet) else message for message in drive]
    report = watch(unstamped)
    assert report.level == 'warn' and 'stamps' in report.message
    assert report.values['picture clock'] == 'sensor'


def test_what_is_remembered_stays_bounded_while_no_picture_comes(monkeypatch):
    monkeypatch.setattr(distillation_report, 'UNLABELLED_S', 0.05)
    pairing = FramePairing(lambda width, height: Representation(70, 98), 50_000_000, 200_000_000)
    labeller = Labeller(lambda picture: picture, PictureQuality(), lambda *_: SameView(130, 173))
    stream = LabelStream(pairing, labeller, 0, lambda: True, lambda label: None, print)
    report = DistillationReport()
    report.watch(stream, None, {})
    for _ in range(60):
        report.collect()
        time.sleep(0.005)
    assert len(report._counts) < 20
