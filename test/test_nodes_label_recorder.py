# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Labels of a bag by way of ROS: what the recorder keeps, and that they are those of `label`."""
import json
import time

from event_camera_msgs.msg import EventPacket
import numpy as np
import pytest
from rclpy.qos import QoSProfile
from ros_graph import node_maker, start_process, stop_process, wait_for

from depth_anyevent_ros.cli.main import execute
from depth_anyevent_ros.datasets.bags import (
    BagWriter, decode, decode_event_packet, open_bag)
from depth_anyevent_ros.nodes.label_recorder_node import LabelRecorderNode

pytestmark = pytest.mark.ros
EVENTS, LABEL, FACTS = '/event_camera/events', '/proxy_label/image', '/proxy_label/info'
RATE = 0.2  # of what is replayed by process, so that all topics are found while it lasts


def start_recorder(output, tmp_path, *more):
    return start_process('label_recorder_node', tmp_path, '-r', f'events:={EVENTS}',
                         '-p', f'output:={output}', '-p', 'quiet_s:=2.0', *more)


def messages(path, topic):
    with open_bag(path) as reader:
        found = list(reader.messages([topic]))
        assert not reader.warnings, reader.warnings
    return found


def contents(raws):
    """Return the messages as bytes; the middleware fills them up to a multiple of four."""
    return [raw.data + bytes(-len(raw.data) % 4) for raw in raws]


def stamp_ns(msg):
    return msg.header.stamp.sec * 10**9 + msg.header.stamp.nanosec


def test_labels_through_ros_are_those_of_the_command(flight, tmp_path):
    pose = json.loads((flight / 'simulation.json').read_text())['color_to_event']
    labeller = start_process(
        'distillation_node', tmp_path, '-r', f'events:={EVENTS}',
        '-r', 'camera_info:=/event_camera/camera_info', '-r', 'image:=/camera/image',
        '-r', 'image/camera_info:=/camera/camera_info', '-p', 'mode:=label',
        '-p', 'label.rate_hz:=0.0', '-p', f'work_dir:={tmp_path / "work"}',
        '-p', f'extrinsics.rotation:={pose["rotation"]}')
    recorder = start_recorder(tmp_path / 'live', tmp_path)
    replay = start_process('replay_node', tmp_path, '-p', f'bag:={flight}',
                           '-p', 'exit_when_done:=true', '-p', 'wait_for_subscribers:=2')
    assert replay.wait(120) == 0, replay.log()
    assert recorder.wait(60) == 0, recorder.log()
    assert stop_process(labeller) == 0, labeller.log()
    assert contents(messages(tmp_path / 'live', EVENTS)) == contents(messages(flight, EVENTS))
    assert '1500 packets of events and' in recorder.log() and 'lost' not in recorder.log()

    assert execute(['label', str(flight), '--output', str(tmp_path / 'direct')]) == 0
    direct, live = ([decode(raw) for raw in messages(path, LABEL)]
                    for path in (tmp_path / 'direct' / 'flight', tmp_path / 'live'))
    # Pictures that come before the nodes are ready have no label.
    assert len(direct) == 60 and len(live) >= 40
    assert len(messages(tmp_path / 'live', FACTS)) == len(live)
    times = np.array([stamp_ns(msg) for msg in direct])
    for msg in live:
        index = np.abs(times - stamp_ns(msg)).argmin()
        assert abs(times[index] - stamp_ns(msg)) < 1_000_000
        other = direct[index]
        assert (msg.header.frame_id, msg.width, msg.height) == \
            (other.header.frame_id, other.width, other.height)
        # The teacher looks at one picture here and at eight there: sums differ in their last bits.
        np.testing.assert_allclose(msg.data.view(np.float32), other.data.view(np.float32),
                                   rtol=1e-3, atol=1e-4)


def play(path, raws, tmp_path, label=False):
    """Make a bag of event messages, and of a label behind each, and replay it to its end."""
    with BagWriter(path) as writer:
        for raw in raws:
            writer.write_raw(raw.topic, raw.type, raw.data, raw.timestamp_ns)
            if label:
                writer.write_image(LABEL, np.zeros((2, 3), np.float32), '32FC1', 0, '',
                                   raw.timestamp_ns)
    replay = start_process('replay_node', tmp_path, '-p', f'bag:={path}',
                           '-p', 'exit_when_done:=true', '-p', f'rate:={RATE}')
    assert replay.wait(60) == 0, replay.log()


def test_it_ends_when_the_publisher_is_gone_and_says_what_was_lost(flight, tmp_path):
    recorder = start_recorder(tmp_path / 'bag', tmp_path)
    sent = [raw for index, raw in enumerate(messages(flight, EVENTS)[:40]) if index not in (7, 8)]
    play(tmp_path / 'played', sent, tmp_path, label=True)
    assert recorder.wait(60) == 0, recorder.log()
    found = messages(tmp_path / 'bag', EVENTS)
    assert contents(found) == contents(sent)
    assert decode_event_packet(found[0]).encoding == 'evt3'
    # The replay waits for a subscriber of the events, and finds that of the labels by then or
    # a moment later.
    assert 1 <= len(messages(tmp_path / 'bag', LABEL)) <= len(sent)
    assert '2 packets of events were lost' in recorder.log()
    again = start_recorder(tmp_path / 'bag', tmp_path)
    assert again.wait(30) == 1 and 'exists already and is not overwritten' in again.log()


def test_without_a_label_it_has_failed(flight, tmp_path):
    recorder = start_recorder(tmp_path / 'bag', tmp_path, '-p', 'quiet_s:=0.5')
    play(tmp_path / 'played', messages(flight, EVENTS)[:2], tmp_path)
    assert recorder.wait(60) == 1 and 'and no label' in recorder.log()


def test_a_publisher_that_no_look_has_seen_was_there(client, flight, tmp_path, monkeypatch):
    """One that comes and goes between two looks is known by what it sent, in this activation."""
    monkeypatch.setattr(LabelRecorderNode, 'count_publishers', lambda node, topic: 0)
    publisher = client.node.create_publisher(EventPacket, EVENTS, QoSProfile(depth=10))
    with node_maker(client, LabelRecorderNode, 'recorder') as make:
        node = make(f'events:={EVENTS}', output=str(tmp_path / 'bag'), quiet_s=0.3)
        time.sleep(1.0)
        assert not node.done  # nothing came, so that somebody may still come
        wait_for(lambda: publisher.get_subscription_count() == 1, what='the recorder')
        publisher.publish(EventPacket(encoding='evt3', width=4, height=4))
        wait_for(lambda: node._recording.messages[EVENTS] == 1, what='the packet')
        node.trigger_deactivate()
        node.trigger_activate()
        time.sleep(1.0)
        assert not node.done  # it waits anew
        wait_for(lambda: publisher.get_subscription_count() == 1, what='the recorder')
        publisher.publish(EventPacket(encoding='evt3', width=4, height=4))
        wait_for(lambda: node.done, what='the end')
    assert len(messages(tmp_path / 'bag', EVENTS)) == 2


def test_interrupted_it_keeps_what_came(client, flight, tmp_path):
    events = client.node.create_publisher(EventPacket, EVENTS, QoSProfile(depth=1000))
    recorder = start_recorder(tmp_path / 'bag', tmp_path)
    wait_for(lambda: events.get_subscription_count() == 1, what='the recorder')
    events.publish(messages(flight, EVENTS)[0].data)
    events.wait_for_all_acked()
    assert stop_process(recorder) == 0 and 'Stopped before the end' in recorder.log()
    assert len(messages(tmp_path / 'bag', EVENTS)) == 1
    assert not (tmp_path / 'bag.part').exists()
