# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""A bag of event packets that tests damage, and what they ask of what is read of it."""
import numpy as np

from depth_anyevent_ros.datasets.bags import decode_event_packet, encode_event_packet, open_bag
from depth_anyevent_ros.events.types import Packet

TOPIC = '/event_camera/events'
EVENT_PACKET = 'event_camera_msgs/msg/EventPacket'
COUNT = 30


def make_packet(index: int) -> Packet:
    generator = np.random.default_rng(index)
    events = generator.integers(0, 256, int(generator.integers(0, 20_000)), np.uint8)
    return Packet(events, 'evt3', 346, 260, seq=index, stamp_ns=index * 1000)


DATA = [encode_event_packet(make_packet(index)) for index in range(COUNT)]


def read_all(path):
    with open_bag(path) as reader:
        messages = list(reader.messages())
    return messages, reader


def assert_complete(path, *expected_warnings):
    messages, reader = read_all(path)
    assert [message.data for message in messages] == DATA
    assert {message.type for message in messages} == {EVENT_PACKET}
    assert reader.topics[TOPIC].count == COUNT and not reader.truncated
    text = ' '.join(reader.warnings)
    for warning in expected_warnings:
        assert warning in text
    assert len(reader.warnings) == len(expected_warnings), reader.warnings


def assert_whole_part(path, least):
    """Check that every message read is one of the bag's, in order, and that loss is said."""
    messages, reader = read_all(path)
    assert reader.truncated and any('damaged' in warning for warning in reader.warnings)
    indices = [decode_event_packet(message).seq for message in messages]
    assert indices == sorted(set(indices))
    assert [message.data for message in messages] == [DATA[index] for index in indices]
    assert [message.timestamp_ns for message in messages] == [i * 1000 for i in indices]
    assert len(messages) >= least, (len(messages), least)
    return len(messages)
