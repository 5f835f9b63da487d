# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""
ROS messages as CDR bytes, without ROS.

Event packets are read and written by hand, so that the events stay a view of the message; the
standard messages go through the package rosbags. CDR: OMG DDS-RTPS 2.2, section 10, and
CORBA 3.0, section 15.3: every number is aligned to its own size, counted from behind the four
bytes of encapsulation header.
"""
from __future__ import annotations

import functools
import struct
from typing import Any

import numpy as np
from rosbags.serde import SerdeError
from rosbags.typesys import get_types_from_msg, get_typestore, Stores, TypesysError
from rosbags.typesys.store import Typestore

from depth_anyevent_ros.datasets.bag_types import RawMessage
from depth_anyevent_ros.events.types import Packet, PacketError

EVENT_PACKET = 'event_camera_msgs/msg/EventPacket'
# The older name of the same message.
EVENT_ARRAY = 'event_array_msgs/msg/EventArray'
EVENT_PACKET_TYPES = (EVENT_PACKET, EVENT_ARRAY)
EVENT_PACKET_DEFINITION = """\
std_msgs/Header header
uint32 height
uint32 width
uint64 seq
uint64 time_base
string encoding
bool is_bigendian
uint8[] events
"""
NANOSECONDS = 10**9
CDR_LITTLE_ENDIAN = b'\x00\x01\x00\x00'
# Size and codec of a number, by order and code of the module struct.
NUMBERS = {order + code: (struct.calcsize(f'={code}'), struct.Struct(order + code))
           for order in '<>' for code in 'iIQB'}


@functools.cache
def typestore() -> Typestore:
    """Return the definitions of the standard messages and of the event packet."""
    store = get_typestore(Stores.ROS2_JAZZY)
    store.register(get_types_from_msg(EVENT_PACKET_DEFINITION, EVENT_PACKET))
    return store


def decode_event_packet(raw: RawMessage | bytes | memoryview) -> Packet:
    """
    Read a message of one of EVENT_PACKET_TYPES; its events are a view of the message.

    Raise PacketError, a ValueError, where the bytes are not a whole packet.
    """
    data = memoryview(raw.data if isinstance(raw, RawMessage) else raw)
    reader = CdrReader(data)
    seconds, nanoseconds = reader.number('i'), reader.number('I')
    frame_id = reader.text()
    height, width = reader.number('I'), reader.number('I')
    seq, time_base = reader.number('Q'), reader.number('Q')
    encoding = reader.text()
    is_bigendian = bool(reader.number('B'))
    events = np.frombuffer(reader.take(reader.number('I')), np.uint8)
    return Packet(events, encoding, width, height, seq, time_base, is_bigendian,
                  seconds * NANOSECONDS + nanoseconds, frame_id)


def encode_event_packet(packet: Packet) -> bytes:
    """Write a packet as little-endian CDR of event_camera_msgs/msg/EventPacket."""
    seconds, nanoseconds = divmod(packet.stamp_ns, NANOSECONDS)
    data = bytearray(struct.pack('<iI', seconds, nanoseconds))
    _append_text(data, packet.frame_id)
    _append(data, 'I', packet.height, packet.width)
    _append(data, 'Q', packet.seq, packet.time_base)
    _append_text(data, packet.encoding)
    _append(data, 'B', packet.is_bigendian)
    events = np.ascontiguousarray(packet.events, np.uint8)
    _append(data, 'I', events.size)
    return b''.join((CDR_LITTLE_ENDIAN, data, memoryview(events)))


def decode(raw: RawMessage) -> Any:
    """
    Read a standard message (sensor_msgs, geometry_msgs, ...) into an object with its fields.

    Raise ValueError where the type is not known or the bytes do not fit it.
    """
    try:
        return typestore().deserialize_cdr(raw.data, full_type_name(raw.type))
    except KeyError as error:
        raise ValueError(f'The message type {raw.type!r} on {raw.topic} is not known; expected '
                         'a standard message or an event packet.') from error
    except (SerdeError, TypesysError, struct.error, ValueError, IndexError) as error:
        raise ValueError(f'The message on {raw.topic} at {raw.timestamp_ns} ns is not a whole '
                         f'{raw.type} ({error}).') from error


def full_type_name(name: str) -> str:
    """Give a type name its middle part: some writers say sensor_msgs/Image."""
    package, _, message = name.partition('/')
    return name if '/' in message or not message else f'{package}/msg/{message}'


class CdrReader:
    """Reads plain CDR of either byte order, value by value."""

    def __init__(self, data: memoryview) -> None:
        if len(data) < 4 or data[0] != 0 or data[1] not in (0, 1):
            raise PacketError(
                f'A message of {len(data)} bytes begins with {bytes(data[:4]).hex(" ")!r}, '
                'expected plain CDR (00 00 or 00 01).')
        self._data = data[4:]
        self._order = '<' if data[1] == 1 else '>'
        self._position = 0

    def number(self, code: str) -> int:
        """Read one number; code as of the module struct."""
        size, number = NUMBERS[self._order + code]
        self._position += -self._position % size
        return number.unpack(self.take(size))[0]

    def take(self, count: int) -> memoryview:
        """Return a view of the next count bytes."""
        end = self._position + count
        if end > len(self._data):
            raise PacketError(f'The message is truncated: {end + 4} bytes were expected, '
                              f'{len(self._data) + 4} came.')
        view = self._data[self._position:end]
        self._position = end
        return view

    def text(self) -> str:
        """Read a string, which ends with a zero byte."""
        return bytes(self.take(self.number('I'))).rstrip(b'\x00').decode(errors='replace')


def _append(data: bytearray, code: str, *values: int) -> None:
    data += bytes(-len(data) % struct.calcsize(f'={code}'))
    data += struct.pack(f'<{len(values)}{code}', *values)


def _append_text(data: bytearray, text: str) -> None:
    encoded = text.encode() + b'\x00'
    _append(data, 'I', len(encoded))
    data += encoded
