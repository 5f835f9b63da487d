# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Bags through DDS between processes: everything arrives, every window gives one image."""
from dataclasses import replace
import signal
import time

from event_camera_msgs.msg import EventPacket
import numpy as np
import pytest
from rclpy.qos import QoSProfile
from rclpy.serialization import serialize_message
from ros_graph import start_process, stop_process, wait_for
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, Image

from depth_anyevent_ros.datasets.bags import (BagWriter, decode_event_packet, event_topics,
                                              open_bag)
from depth_anyevent_ros.events.evt3 import Evt3Decoder
from depth_anyevent_ros.networks.checkpoint import save_checkpoint, untrained_student

pytestmark = pytest.mark.ros


def read(bag):
    """Return the packets of a bag, and when they were received in ns."""
    with open_bag(bag) as reader:
        raws = list(reader.messages(event_topics(reader)))
    return [decode_event_packet(raw) for raw in raws], [raw.timestamp_ns for raw in raws]


def expected_windows(packets, rate_hz=10, window_ms=50):
    """Count the windows that the recording covers from start to end."""
    decoder = Evt3Decoder(packets[0].width, packets[0].height)
    times = np.concatenate([decoder.decode(packet).t for packet in packets])
    period, length = 10**9 // rate_hz, window_ms * 10**6
    first = -(-(times[0] + length) // period)
    return int(times[-1] // period - first + 1)


def small_student(folder):
    """Save a student with a small input, so that a busy machine keeps up; return its path."""
    student = untrained_student('tiny-r')
    config = replace(student.config, input=replace(student.config.input, height=84, width=112))
    save_checkpoint(folder / 'small.safetensors', student.network, config)
    return folder / 'small.safetensors'


def play_through(client, bag, tmp_path):
    """Replay a bag through an inference process; return (images, infos, values, packets)."""
    inference = start_process('inference_node', tmp_path, '-r', 'events:=/event_camera/events',
                              '-r', 'camera_info:=/event_camera/camera_info',
                              '-p', f'checkpoint:={small_student(tmp_path)}')
    client.listen(Image, 'inverse_depth/image')
    client.listen(CameraInfo, 'inverse_depth/camera_info')
    wait_for(lambda: client.node.count_publishers('inverse_depth/image') == 1, 60,
             'the inference node')
    # Let the node hear of the client before the first window, which nobody would hear otherwise.
    time.sleep(1.0)
    replay = start_process('replay_node', tmp_path, '-p', f'bag:={bag}',
                           '-p', 'exit_when_done:=true')
    assert replay.wait(120) == 0, replay.log()
    packets, _ = read(bag)
    wait_for(lambda: client.diagnostics('inference: inference')[2].get('packets')
             == str(len(packets)), what='the last packet')
    time.sleep(1.2)  # the last image, and the diagnostics after it
    values = client.diagnostics('inference: inference')[2]
    assert stop_process(inference) == 0
    assert 'Traceback' not in inference.log() + replay.log()
    return (client.heard['inverse_depth/image'], client.heard['inverse_depth/camera_info'],
            values, packets)


def check(images, infos, values, packets):
    assert values['packets'] == str(len(packets))
    assert (values['gaps'], values['queue drops'], values['skipped']) == ('0', '0', '0')
    windows = expected_windows(packets)
    assert windows >= 10
    assert len(images) == windows
    assert [info.header for info in infos] == [image.header for image in images]
    stamps = np.array([m.header.stamp.sec * 10**9 + m.header.stamp.nanosec for m in images])
    # The fit of the clock is refined at first, by less than the 4 to 12 ms between packets.
    np.testing.assert_allclose(np.diff(stamps), 1e8, atol=12e6)
    assert {m.header.frame_id for m in images} == {packets[0].frame_id}
    for image in images:
        inverse = np.frombuffer(image.data, np.float32)
        assert inverse.size == image.height * image.width and np.isfinite(inverse).all()


def test_a_real_recording(client, shared_data, tmp_path):
    bag = shared_data / 'bags' / 'test_data_evt3_trigger'
    check(*play_through(client, bag, tmp_path))


def test_our_own_recording_with_its_calibration(client, own_recording, tmp_path):
    images, infos, values, packets = play_through(client, own_recording, tmp_path)
    check(images, infos, values, packets)
    assert infos[-1].k[0] > 0 and (infos[-1].width, infos[-1].height) == (112, 84)


def small_bag(folder, count=20):
    """Write a bag of packets of 10 ms without events."""
    from evt3_words import packet, time_words
    with BagWriter(folder) as writer:
        for i in range(count):
            writer.write_event_packet('/cam/events', packet(
                time_words(i * 10_000), seq=i, stamp_ns=10**18 + i * 10**7), 10**18 + i * 10**7)
            # As `ros2 bag record -a` has it of a simulation; the player has a clock of its own.
            writer.write_raw('/clock', 'rosgraph_msgs/msg/Clock', serialize_message(Clock()),
                             10**18 + i * 10**7)
    return folder


def test_rate_start_loop_and_clock(client, tmp_path):
    small_bag(tmp_path / 'bag')
    client.listen(Clock, '/clock')
    arrivals = []
    client.node.create_subscription(
        EventPacket, '/cam/events', lambda msg: arrivals.append((time.monotonic(), msg.seq)),
        QoSProfile(depth=100))
    replay = start_process('replay_node', tmp_path, '-p', 'bag:=~/bag', '-p', 'rate:=0.25',
                           '-p', 'start:=0.05', '-p', 'loop:=true', HOME=str(tmp_path))
    wait_for(lambda: len(arrivals) >= 40)
    assert stop_process(replay) == 0
    seqs = [seq for _, seq in arrivals]
    assert seqs[:15] == list(range(5, 20)) and seqs[15:20] == list(range(5, 10))
    # 0.14 s of recording at a quarter of its speed; who begins late on a busy machine hurries.
    took = max(arrivals[k + 14][0] - arrivals[k][0] for k in (0, 15))
    assert 0.35 < took < 2
    clock = [m.clock.sec * 10**9 + m.clock.nanosec for m in client.heard['/clock']]
    assert min(clock) >= 10**18 and max(clock) <= 10**18 + 19 * 10**7
    assert len(clock) > 10
    assert '/clock of the bag is left out' in replay.log()


@pytest.mark.parametrize('bag, words', [
    ('', 'parameter bag is empty'), ('/nowhere/at/all', 'does not exist')])
def test_without_a_bag_the_process_ends_with_a_sentence(tmp_path, bag, words):
    arguments = ['-p', f'bag:={bag}'] if bag else []
    replay = start_process('replay_node', tmp_path, *arguments)
    assert replay.wait(60) != 0
    assert words in replay.log() and 'Traceback' not in replay.log()


def test_a_start_beyond_the_end_is_a_failure(tmp_path):
    bag = small_bag(tmp_path / 'bag')
    replay = start_process('replay_node', tmp_path, '-p', f'bag:={bag}', '-p', 'start:=5.0',
                           '-p', 'wait_for_subscribers:=0', '-p', 'exit_when_done:=true')
    assert replay.wait(60) == 1
    assert 'no message at or after' in replay.log()


def test_a_bag_without_its_end_plays_what_is_whole(client, tmp_path):
    bag = small_bag(tmp_path / 'bag', 400)
    database = next(bag.glob('*.db3'))
    database.write_bytes(database.read_bytes()[:-20_000])
    client.listen(EventPacket, '/cam/events', depth=1000)
    replay = start_process('replay_node', tmp_path, '-p', f'bag:={bag}', '-p', 'rate:=10.0',
                           '-p', 'exit_when_done:=true')
    assert replay.wait(60) == 0
    seqs = [m.seq for m in client.heard['/cam/events']]
    assert 20 < len(seqs) < 400 and seqs == sorted(seqs)
    assert 'WARN' in replay.log()


@pytest.mark.parametrize('arguments, words', [
    (('-p', 'rate:=2'), '10.0, not 10'), (('-p', 'bag:=0042'), 'quotes'),
    (('-p', 'rate:=-1.0'), 'range'),
    (('--log-level', 'loud'), 'loud')])
def test_a_bad_argument_at_the_start_is_a_sentence(tmp_path, arguments, words):
    replay = start_process('replay_node', tmp_path, *arguments)
    assert replay.wait(60) == 2
    assert words in replay.log() and 'Traceback' not in replay.log()


def test_two_signals_at_once_end_a_busy_process_cleanly(client, tmp_path):
    bag = small_bag(tmp_path / 'bag', 200)
    client.listen(EventPacket, '/cam/events')
    replay = start_process('replay_node', tmp_path, '-p', f'bag:={bag}', '-p', 'loop:=true')
    wait_for(lambda: client.heard['/cam/events'])
    replay.send_signal(signal.SIGINT)
    replay.send_signal(signal.SIGTERM)
    replay.send_signal(signal.SIGINT)
    assert replay.wait(20) == 0
    assert 'Traceback' not in replay.log()
