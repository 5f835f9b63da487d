# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The message EventPacket: its definition, its type hash, and its way between two processes."""
from __future__ import annotations

import array
import os
from pathlib import Path
import re
import struct
import subprocess
import sys
import time

import pytest

SOURCES = Path(__file__).resolve().parents[1] / 'scripts' / 'event_camera_msgs'
TYPE_HASH = 'RIHS01_d6fa176260b1f37e5a40845305315e150a0f18191241eb64f407442aa29844aa'
FIELDS = [
    ('std_msgs/Header', 'header'), ('uint32', 'height'), ('uint32', 'width'), ('uint64', 'seq'),
    ('uint64', 'time_base'), ('string', 'encoding'), ('bool', 'is_bigendian'),
    ('uint8[]', 'events')]
IDL_TYPES = {'std_msgs::msg::Header': 'std_msgs/Header', 'boolean': 'bool',
             'sequence<uint8>': 'uint8[]'}
PACKETS = 20
# The process at the other end waits for the typed and the raw subscription before it sends.
TALKER = """
import array, sys, time
import rclpy
from event_camera_msgs.msg import EventPacket
rclpy.init()
node = rclpy.create_node('talker')
publisher = node.create_publisher(EventPacket, 'events', 100)
deadline = time.monotonic() + 20
while publisher.get_subscription_count() < 2:
    if time.monotonic() > deadline:
        sys.exit('no subscription')
    time.sleep(0.05)
for index in range(int(sys.argv[1])):
    packet = EventPacket(
        height=480, width=640, seq=2**63 + index, time_base=2**40 + index, encoding='evt3',
        is_bigendian=False, events=array.array('B', bytes(range(256)) * index))
    packet.header.stamp.sec = index
    packet.header.stamp.nanosec = 999999999
    packet.header.frame_id = 'event_camera_optical_frame'
    publisher.publish(packet)
sys.stdin.read()
"""


def cdr_of_packet(index: int) -> bytes:
    """Return packet `index` of TALKER as little-endian CDR (XCDR1), written from its rules."""
    body = struct.pack('<iI', index, 999999999)
    for kind, value in (
            ('string', 'event_camera_optical_frame'), ('I', 480), ('I', 640),
            ('Q', 2**63 + index), ('Q', 2**40 + index), ('string', 'evt3'), ('?', False)):
        if kind == 'string':
            text = value.encode() + b'\0'
            body += bytes(-len(body) % 4) + struct.pack('<I', len(text)) + text
        else:
            body += bytes(-len(body) % struct.calcsize('<' + kind))
            body += struct.pack('<' + kind, value)
    events = bytes(range(256)) * index
    body += bytes(-len(body) % 4) + struct.pack('<I', len(events)) + events
    return b'\x00\x01\x00\x00' + body


def test_definitions_agree():
    message = re.sub(r'#.*', '', (SOURCES / 'msg' / 'EventPacket.msg').read_text())
    assert re.findall(r'^(\S+) +(\w+)', message, re.MULTILINE) == FIELDS
    idl = (SOURCES / 'msg' / 'EventPacket.idl').read_text()
    members = re.findall(r'^ +(\S+) (\w+);', idl, re.MULTILINE)
    assert [(IDL_TYPES.get(kind, kind), name) for kind, name in members] == FIELDS


@pytest.fixture(scope='module')
def node():
    """Yield a node in a domain and a context of its own."""
    rclpy = pytest.importorskip('rclpy')
    pytest.importorskip('event_camera_msgs.msg')
    context = rclpy.context.Context()
    rclpy.init(context=context, domain_id=domain())
    node = rclpy.create_node('listener', context=context)
    yield node
    node.destroy_node()
    rclpy.shutdown(context=context)


def domain() -> int:
    """Return a ROS domain that test runs at the same time hardly share."""
    return 40 + os.getpid() % 50


@pytest.mark.ros
def test_type_hash_is_that_of_the_released_package(node):
    from event_camera_msgs.msg import EventPacket
    publisher = node.create_publisher(EventPacket, 'hash', 1)
    info = node.get_publishers_info_by_topic(publisher.topic_name)[0]
    if not hasattr(info, 'topic_type_hash'):
        pytest.skip('this ROS 2 has no type hashes')
    assert str(info.topic_type_hash) == TYPE_HASH


@pytest.mark.ros
def test_definition_is_found_through_the_index(node):
    from ament_index_python import get_package_share_directory, get_resource
    share = Path(get_package_share_directory('event_camera_msgs'))
    listed = get_resource('rosidl_interfaces', 'event_camera_msgs')[0].split()
    assert 'msg/EventPacket.msg' in listed
    assert all((share / name).is_file() for name in listed if name.endswith('.msg'))


@pytest.mark.ros
def test_packets_cross_processes(node):
    """Each packet arrives once, in order and whole; a raw subscription gets it as plain CDR."""
    from event_camera_msgs.msg import EventPacket
    import rclpy
    typed, raw = [], []
    node.create_subscription(EventPacket, 'events', typed.append, 100)
    node.create_subscription(EventPacket, 'events', raw.append, 100, raw=True)
    executor = rclpy.executors.SingleThreadedExecutor(context=node.context)
    executor.add_node(node)
    talker = subprocess.Popen(
        [sys.executable, '-c', TALKER, str(PACKETS)], stdin=subprocess.PIPE,
        env={**os.environ, 'ROS_DOMAIN_ID': str(domain())})
    try:
        deadline = time.monotonic() + 30
        while min(len(typed), len(raw)) < PACKETS and time.monotonic() < deadline:
            assert talker.poll() is None, 'the sending process ended early'
            executor.spin_once(timeout_sec=0.1)
    finally:
        talker.communicate(timeout=20)
    assert talker.returncode == 0
    assert [packet.seq for packet in typed] == [2**63 + index for index in range(PACKETS)]
    for index, packet in enumerate(typed):
        assert (packet.height, packet.width, packet.encoding) == (480, 640, 'evt3')
        assert packet.time_base == 2**40 + index and packet.is_bigendian is False
        assert (packet.header.stamp.sec, packet.header.stamp.nanosec) == (index, 999999999)
        assert packet.header.frame_id == 'event_camera_optical_frame'
        assert packet.events == array.array('B', bytes(range(256)) * index)
    # The middleware may pad a raw message to a multiple of four bytes.
    expected = [cdr_of_packet(index) for index in range(PACKETS)]
    assert [data[:len(want)] for data, want in zip(raw, expected)] == expected
    assert all(len(data) - len(want) < 4 for data, want in zip(raw, expected))
