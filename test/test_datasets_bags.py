# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Bags that are whole: reading, messages and writing, against rosbags and real recordings."""
import json
import resource
import sqlite3
import struct
import threading

import numpy as np
import pytest
from rosbags.interfaces import QosDurability, QosReliability
from rosbags.rosbag2 import CompressionFormat, CompressionMode, Reader, StoragePlugin, Writer
from rosbags.typesys import get_types_from_msg, get_typestore, Stores
import yaml

from depth_anyevent_ros.datasets import bag_writer
from depth_anyevent_ros.datasets.bags import (
    BagError, BagWriter, decode, decode_event_packet, encode_event_packet, event_topics,
    open_bag, RawMessage)
from depth_anyevent_ros.events.types import Packet
from depth_anyevent_ros.geometry.camera import CameraModel
from depth_anyevent_ros.geometry.transform import Transform

TOPIC = '/event_camera/events'
EVENT_PACKET = 'event_camera_msgs/msg/EventPacket'
# The hash of the released package event_camera_msgs.
EVENT_PACKET_HASH = (
    'RIHS01_d6fa176260b1f37e5a40845305315e150a0f18191241eb64f407442aa29844aa')
FORMATS = ('sqlite3', 'mcap')


def make_packet(index: int, size: int = 1000, frame_id: str = 'camera') -> Packet:
    events = np.random.default_rng(index).integers(0, 256, size, np.uint8)
    return Packet(events, 'evt3', 346, 260, seq=index, time_base=index * 7,
                  stamp_ns=1_700_000_000_123_456_789 + index * 4_000_000, frame_id=frame_id)


def write_bag(path, packets, storage='sqlite3'):
    with BagWriter(path, storage) as writer:
        for packet in packets:
            writer.write_event_packet(TOPIC, packet, packet.stamp_ns + 50_000)
    return path


def same(one: Packet, other: Packet) -> bool:
    return np.array_equal(one.events, other.events) and all(
        getattr(one, name) == getattr(other, name) for name in (
            'encoding', 'width', 'height', 'seq', 'time_base', 'is_bigendian', 'stamp_ns',
            'frame_id'))


def independent_typestore():
    store = get_typestore(Stores.ROS2_HUMBLE)
    store.register(get_types_from_msg(
        'std_msgs/Header header\nuint32 height\nuint32 width\nuint64 seq\nuint64 time_base\n'
        'string encoding\nbool is_bigendian\nuint8[] events\n', EVENT_PACKET))
    return store


def independent_cdr(packet: Packet, little_endian: bool = True) -> bytes:
    store = independent_typestore()
    seconds, nanoseconds = divmod(packet.stamp_ns, 10**9)
    header = store.types['std_msgs/msg/Header'](
        store.types['builtin_interfaces/msg/Time'](seconds, nanoseconds), packet.frame_id)
    message = store.types[EVENT_PACKET](
        header, packet.height, packet.width, packet.seq, packet.time_base, packet.encoding,
        packet.is_bigendian, np.asarray(packet.events))
    return bytes(store.serialize_cdr(message, EVENT_PACKET, little_endian=little_endian))


@pytest.mark.parametrize('storage', FORMATS)
def test_packets_under_the_older_name_of_their_type(tmp_path, storage):
    packets = [make_packet(index) for index in range(5)]
    older = 'event_array_msgs/msg/EventArray'
    store = independent_typestore()
    store.register({older: ([], store.get_msgdef(EVENT_PACKET).fields)})
    with Writer(tmp_path / 'bag', version=9, storage_plugin={
            'sqlite3': StoragePlugin.SQLITE3, 'mcap': StoragePlugin.MCAP}[storage]) as writer:
        connection = writer.add_connection(TOPIC, older, typestore=store)
        for packet in packets:
            writer.write(connection, packet.stamp_ns, independent_cdr(packet))
    with open_bag(tmp_path / 'bag') as reader:
        assert event_topics(reader) == [TOPIC] and reader.topics[TOPIC].type == older
        found = [decode_event_packet(raw) for raw in reader.messages()]
    assert len(found) == 5 and all(map(same, found, packets))


@pytest.mark.parametrize('name', [
    'test_data_evt3_trigger', 'test_data_libcaer_rollover', 'test_data_mono_cd'])
def test_real_recordings(shared_data, name):
    expected = json.loads((shared_data / 'bags' / 'expected.json').read_text())[name]
    with open_bag(shared_data / 'bags' / name) as reader:
        assert event_topics(reader) == [TOPIC]
        assert reader.topics[TOPIC].type == expected['type']
        assert reader.topics[TOPIC].count == expected['packets']
        messages = list(reader.messages())
        assert reader.warnings == [] and not reader.truncated
    packets = [decode_event_packet(message) for message in messages]
    assert len(packets) == expected['packets']
    assert sum(len(packet.events) for packet in packets) == expected['bytes']
    assert {packet.encoding for packet in packets} == {expected['encoding']}
    assert {(packet.width, packet.height) for packet in packets} == {tuple(expected['wh'])}
    assert [encode_event_packet(packet) for packet in packets] == [
        message.data for message in messages]


@pytest.mark.parametrize('little_endian', [True, False])
@pytest.mark.parametrize('frame_id', ['', 'a', 'ab', 'abc', 'event_camera_optical_frame'])
def test_event_packet_cdr_against_rosbags(frame_id, little_endian):
    packet = make_packet(3, size=37, frame_id=frame_id)
    assert same(decode_event_packet(independent_cdr(packet, little_endian)), packet)
    assert encode_event_packet(packet) == independent_cdr(packet)


@pytest.mark.parametrize('storage', ['sqlite3', 'mcap'])
def test_a_full_disk_is_an_error_and_leaves_what_was_written(tmp_path, storage, monkeypatch):
    monkeypatch.setattr(bag_writer, 'COMMIT_BYTES', 100_000)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    packet = make_packet(0, size=20_000)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, limits[1]))
    try:
        with pytest.raises(OSError, match='bag|too large'):
            with BagWriter(tmp_path / 'bag', storage) as writer:
                for i in range(400):
                    writer.write_event_packet(TOPIC, packet, i)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    with open_bag(tmp_path / 'bag') as reader:
        assert len(list(reader.messages())) > 50


def test_events_are_a_view_of_the_message():
    data = encode_event_packet(make_packet(0))
    events = decode_event_packet(RawMessage(TOPIC, EVENT_PACKET, 0, data)).events
    assert events.dtype == np.uint8
    assert np.shares_memory(events, np.frombuffer(data, np.uint8))


def test_truncated_cdr_is_refused_at_every_length():
    data = encode_event_packet(make_packet(0, size=20))
    for length in range(len(data)):
        with pytest.raises(ValueError, match='expected'):
            decode_event_packet(data[:length])
    with pytest.raises(ValueError, match='plain CDR'):
        decode_event_packet(b'\x00\x09\x00\x00' + data[4:])


@pytest.mark.parametrize('storage', FORMATS)
def test_what_is_written_is_read(tmp_path, storage):
    packets = [make_packet(index, size=index * 100) for index in range(20)]
    path = write_bag(tmp_path / 'deep' / 'bag', packets, storage)
    with open_bag(path) as reader:
        assert reader.warnings == []
        assert reader.topics[TOPIC].count == 20
        assert reader.start_ns == packets[0].stamp_ns + 50_000
        messages = list(reader.messages())
    assert [message.timestamp_ns for message in messages] == [
        packet.stamp_ns + 50_000 for packet in packets]
    assert all(same(decode_event_packet(message), packet)
               for message, packet in zip(messages, packets))


@pytest.mark.parametrize('storage', FORMATS)
def test_rosbags_reads_what_is_written(tmp_path, storage):
    depth = np.array([[1.5, np.nan, np.inf], [2, 3, -np.inf]], np.float32)
    k = np.array([[200, 0, 173], [0, 201, 130], [0, 0, 1.0]])
    color = np.arange(18, dtype=np.uint8).reshape(2, 3, 3)
    with BagWriter(tmp_path / 'bag', storage) as writer:
        writer.write_event_packet(TOPIC, make_packet(1), 5)
        writer.write_image('/depth/image', depth, '32FC1', 1_000_000_002, 'optical', 6)
        writer.write_image('/color', color, 'bgr8', 0, 'optical', 7)
        # With zeros for R and P, as a source gives them that does not know them.
        camera = CameraModel(3, 2, k, np.array([0.1, 0, 0, 0, 0]), r=np.zeros((3, 3)),
                             p=np.zeros((3, 4)))
        writer.write_camera_info('/depth/camera_info', camera, 9, 'optical', 8)
    store = independent_typestore()
    with Reader(tmp_path / 'bag') as reader:
        digests = {connection.topic: connection.digest for connection in reader.connections}
        found = {connection.topic: store.deserialize_cdr(data, connection.msgtype)
                 for connection, _, data in reader.messages()}
    assert digests[TOPIC] == EVENT_PACKET_HASH
    assert digests['/color'] == store.hash_rihs01('sensor_msgs/msg/Image')
    image = found['/depth/image']
    assert (image.header.stamp.sec, image.header.stamp.nanosec) == (1, 2)
    assert (image.width, image.height, image.step, image.encoding) == (3, 2, 12, '32FC1')
    np.testing.assert_array_equal(image.data.view(np.float32).reshape(2, 3), depth)
    assert found['/color'].step == 9
    np.testing.assert_array_equal(found['/color'].data, color.ravel())
    info = found['/depth/camera_info']
    np.testing.assert_array_equal(info.k.reshape(3, 3), k)
    np.testing.assert_array_equal(info.p.reshape(3, 4)[:, :3], k)
    np.testing.assert_array_equal(info.r.reshape(3, 3), np.eye(3))
    assert info.d[0] == 0.1 and info.distortion_model == 'plumb_bob'
    with open_bag(tmp_path / 'bag') as reader:
        raw, = reader.messages(['/depth/camera_info'])
        assert decode(raw).width == 3
        with pytest.raises(ValueError, match='not a whole'):
            decode(raw._replace(data=raw.data[:40]))
        with pytest.raises(ValueError, match='not known'):
            decode(raw._replace(type='my_msgs/msg/Mine'))


@pytest.mark.parametrize('storage', FORMATS)
def test_topics_and_start(tmp_path, storage):
    with BagWriter(tmp_path / 'bag', storage) as writer:
        for index in range(10):
            writer.write_event_packet('/left', make_packet(index), index * 100)
            writer.write_event_packet('/right', make_packet(index), index * 100)
    with open_bag(tmp_path / 'bag') as reader:
        assert event_topics(reader) == ['/left', '/right']
        assert [(m.topic, m.timestamp_ns) for m in reader.messages(['/right'], 750)] == [
            ('/right', 800), ('/right', 900)]
        assert [m.timestamp_ns for m in reader.messages('/left', 900)] == [900]
        assert [m.topic for m in reader.messages(start_ns=900)] == ['/left', '/right']
        assert list(reader.messages(['/nothing'])) == []


@pytest.mark.parametrize('storage', FORMATS)
def test_messages_recorded_out_of_order_come_in_time_order(tmp_path, storage):
    times = np.random.default_rng(0).permutation(300).tolist()
    with BagWriter(tmp_path / 'bag', storage) as writer:
        for time in times:
            writer.write_event_packet(TOPIC, make_packet(time, size=9000), time)
    with open_bag(tmp_path / 'bag') as reader:
        found = [(m.timestamp_ns, decode_event_packet(m).seq) for m in reader.messages()]
    assert found == [(time, time) for time in range(300)]


@pytest.mark.parametrize('storage', FORMATS)
def test_split_files_are_merged_by_time(tmp_path, storage):
    suffix = {'sqlite3': '.db3', 'mcap': '.mcap'}[storage]
    (tmp_path / 'bag').mkdir()
    for part, times in enumerate(([0, 2, 4, 30], [1, 3, 20], [40], [])):
        with BagWriter(tmp_path / f'part{part}', storage) as writer:
            for time in times:
                writer.write_event_packet(TOPIC, make_packet(time), time)
        source, = (tmp_path / f'part{part}').glob(f'*{suffix}')
        source.rename(tmp_path / 'bag' / f'bag_{9 - part}{suffix}')
    with open_bag(tmp_path / 'bag') as reader:
        assert [m.timestamp_ns for m in reader.messages()] == [0, 1, 2, 3, 4, 20, 30, 40]
        assert [m.timestamp_ns for m in reader.messages(start_ns=4)] == [4, 20, 30, 40]
        assert reader.topics[TOPIC].count == 8
        assert len(reader.warnings) == 1 and 'no metadata.yaml' in reader.warnings[0]


@pytest.mark.parametrize('plugin, mode', [
    (StoragePlugin.SQLITE3, CompressionMode.FILE),
    (StoragePlugin.SQLITE3, CompressionMode.MESSAGE),
    (StoragePlugin.MCAP, CompressionMode.FILE), (StoragePlugin.MCAP, CompressionMode.MESSAGE),
    (StoragePlugin.MCAP, CompressionMode.STORAGE)])
@pytest.mark.parametrize('with_metadata', [True, False])
def test_compressed_bags(tmp_path, plugin, mode, with_metadata):
    packets = [make_packet(index) for index in range(5)]
    writer = Writer(tmp_path / 'bag', version=9, storage_plugin=plugin)
    writer.set_compression(mode, CompressionFormat.ZSTD)
    with writer:
        connection = writer.add_connection(
            TOPIC, EVENT_PACKET, typestore=independent_typestore())
        for packet in packets:
            writer.write(connection, packet.stamp_ns, independent_cdr(packet))
    if not with_metadata:
        (tmp_path / 'bag' / 'metadata.yaml').unlink()
    with open_bag(tmp_path / 'bag') as reader:
        found = [decode_event_packet(message) for message in reader.messages()]
        assert len(reader.warnings) == (0 if with_metadata else 1)
    assert all(same(one, other) for one, other in zip(found, packets)) and len(found) == 5


def test_bare_files_and_metadata_path(tmp_path):
    for storage in FORMATS:
        path = write_bag(tmp_path / storage, [make_packet(0)], storage)
        file, = (entry for entry in path.iterdir() if entry.suffix in ('.db3', '.mcap'))
        for target in (file, str(file), path / 'metadata.yaml'):
            with open_bag(target) as reader:
                assert len(list(reader.messages())) == 1
                assert reader.warnings == []


def test_a_second_thread_reads_by_itself(tmp_path):
    path = write_bag(tmp_path / 'bag', [make_packet(index) for index in range(50)])
    found = []
    with open_bag(path) as reader:
        first = reader.messages()
        next(first)
        thread = threading.Thread(target=lambda: found.extend(reader.messages()))
        thread.start()
        thread.join()
        assert len(found) == 50 and len(list(first)) == 49


def test_writer_refuses(tmp_path):
    path = write_bag(tmp_path / 'bag', [make_packet(0)])
    before = (path / 'metadata.yaml').read_bytes()
    with pytest.raises(BagError, match='exists already'):
        BagWriter(path)
    assert (path / 'metadata.yaml').read_bytes() == before
    with pytest.raises(BagError, match='sqlite3 or mcap'):
        BagWriter(tmp_path / 'other', 'bag')
    with BagWriter(tmp_path / 'images') as writer:
        writer.write_event_packet(TOPIC, make_packet(0), 0)
        for array, encoding in ((np.zeros((2, 3)), '32FC1'), (np.zeros(6, np.uint8), 'mono8'),
                                (np.zeros((2, 3), np.uint8), 'bgr8')):
            with pytest.raises(BagError, match='needs'):
                writer.write_image('/image', array, encoding, 0, '', 0)
        with pytest.raises(BagError, match='unknown'):
            writer.write_image('/image', np.zeros((2, 3)), '64FC1', 0, '', 0)
        with pytest.raises(BagError, match='begun with the type'):
            writer.write_image(TOPIC, np.zeros((2, 3), np.uint8), 'mono8', 0, '', 0)


@pytest.mark.parametrize('storage', FORMATS)
def test_static_transforms_are_latched_for_who_plays_the_bag(tmp_path, storage):
    with BagWriter(tmp_path / 'bag', storage) as writer:
        writer.write_static_transform('events', 'color', Transform.identity(), 0)
        writer.write_event_packet(TOPIC, make_packet(0), 0)
    with Reader(tmp_path / 'bag') as reader:
        offered = {made.topic: [(profile.durability, profile.reliability)
                                for profile in made.ext.offered_qos_profiles]
                   for made in reader.connections}
    # Listeners of tf2 hear nothing of a publisher that is not transient local.
    assert offered == {
        '/tf_static': [(QosDurability.TRANSIENT_LOCAL, QosReliability.RELIABLE)], TOPIC: []}
    said = yaml.safe_load((tmp_path / 'bag' / 'metadata.yaml').read_text())
    topics = said['rosbag2_bagfile_information']['topics_with_message_count']
    # As ros2 bag record writes it.
    assert yaml.safe_load(topics[0]['topic_metadata']['offered_qos_profiles']) == [{
        'history': 1, 'depth': 1, 'reliability': 1, 'durability': 1, 'liveliness': 1,
        **{name: {'sec': 9223372036, 'nsec': 854775807}
           for name in ('deadline', 'lifespan', 'liveliness_lease_duration')},
        'avoid_ros_namespace_conventions': False}]


def test_what_was_written_before_an_error_stays(tmp_path):
    with pytest.raises(RuntimeError), BagWriter(tmp_path / 'bag') as writer:
        writer.write_event_packet(TOPIC, make_packet(0), 0)
        raise RuntimeError('interrupted')
    with open_bag(tmp_path / 'bag') as reader:
        assert len(list(reader.messages())) == 1 and reader.warnings == []


def test_not_a_bag(tmp_path):
    with pytest.raises(BagError, match='does not exist; expected a rosbag2 folder'):
        open_bag(tmp_path / 'missing')
    (tmp_path / 'text.mcap').write_text('hello')
    with pytest.raises(BagError, match='neither SQLite nor MCAP'):
        open_bag(tmp_path / 'text.mcap')
    (tmp_path / 'one.bag').write_bytes(b'#ROSBAG V2.0\n' + bytes(100))
    with pytest.raises(BagError, match='bag of ROS 1'):
        open_bag(tmp_path / 'one.bag')
    (tmp_path / 'empty.db3').touch()
    with pytest.raises(BagError, match='is empty'):
        open_bag(tmp_path / 'empty.db3')
    folder = tmp_path / 'folder'
    folder.mkdir()
    with pytest.raises(BagError, match='holds no file of a recording'):
        open_bag(folder)
    write_bag(folder / 'inner', [make_packet(0)])
    with pytest.raises(BagError, match='lie in its folders inner'):
        open_bag(folder)


def test_a_bag_without_events_has_no_event_topic(tmp_path):
    with BagWriter(tmp_path / 'bag') as writer:
        writer.write_image('/image', np.zeros((2, 3), np.uint8), 'mono8', 0, '', 0)
    with open_bag(tmp_path / 'bag') as reader:
        assert event_topics(reader) == [] and list(reader.topics) == ['/image']


def test_sqlite_without_the_tables_of_rosbag2(tmp_path):
    connection = sqlite3.connect(tmp_path / 'other.db3')
    connection.execute('CREATE TABLE things(id INTEGER)')
    connection.commit()
    connection.close()
    with pytest.raises(BagError, match='without the tables topics and messages'):
        open_bag(tmp_path / 'other.db3')


def test_header_of_an_event_packet_is_read_field_by_field():
    # By hand, from the CDR rules: header, alignment of 8 behind the two sizes, and the string.
    data = (b'\x00\x01\x00\x00' + struct.pack('<iII2s', 7, 8, 2, b'c\x00') + bytes(2)
            + struct.pack('<II', 260, 346) + struct.pack('<QQ', 5, 6)
            + struct.pack('<I5s', 5, b'evt3\x00') + b'\x01' + bytes(2)
            + struct.pack('<I', 2) + b'\xaa\xbb')
    packet = decode_event_packet(data)
    assert same(packet, Packet(np.array([0xaa, 0xbb], np.uint8), 'evt3', 346, 260, 5, 6, True,
                               7_000_000_008, 'c'))
