# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""What a terminal shows of a node that hears nothing, over real DDS."""
import itertools
import time

from event_camera_msgs.msg import EventPacket
import pytest
from rclpy.qos import QoSProfile, ReliabilityPolicy
from ros_graph import Client, node_maker, wait_for
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image

from depth_anyevent_ros.nodes import silence_warning
from depth_anyevent_ros.nodes.distillation_node import DistillationNode
from depth_anyevent_ros.nodes.inference_node import InferenceNode

pytestmark = pytest.mark.ros
NUMBERS = itertools.count()  # of topics, so that no other test's publisher counts


@pytest.fixture
def topic():
    return f'/camera_{next(NUMBERS)}/events'


@pytest.fixture
def client(monkeypatch):
    """Return a client whose publishers are seen before the first warning is due."""
    monkeypatch.setattr(silence_warning, 'FIRST_AFTER_S', 1.0)
    made = Client()
    yield made
    made.close()


@pytest.fixture
def infer(client, untrained_file):
    with node_maker(client, InferenceNode, 'inference', checkpoint=str(untrained_file)) as make:
        yield make


@pytest.fixture
def warning(capfd):
    """Return a function that waits for warnings of what does not come, and returns the last."""
    lines = []

    def told(count=1, words=''):
        def enough():
            lines.extend(line for line in capfd.readouterr().err.splitlines()
                         if '[WARN]' in line and ' has come on ' in line)
            return len(lines) >= count and words in lines[-1]
        wait_for(enough, what=f'{count} warnings')
        return lines[-1]
    told.lines = lines
    return told


def test_a_topic_that_nobody_publishes_is_told_with_others_of_its_type(client, infer, topic,
                                                                       warning, monkeypatch):
    monkeypatch.setattr(silence_warning, 'AGAIN_AFTER_S', 0.5)  # for when they are known late
    publisher = client.node.create_publisher(EventPacket, topic, 10)
    wait_for(lambda: client.node.count_publishers(topic) == 1)
    infer(f'events:={topic}_misspelled')
    told = warning(words=' is published on ')
    assert f'No event packet has come on {topic}_misspelled: nobody publishes it.' in told
    assert 'event_camera_msgs/msg/EventPacket is published on ' in told and topic in told
    assert told.endswith(' listens there.') and ' events:=/' in told
    client.node.destroy_publisher(publisher)


def test_it_is_told_once_and_again_after_long(infer, topic, warning, monkeypatch):
    infer(f'events:={topic}')
    assert topic in warning()
    time.sleep(2.5)
    assert topic in warning() and len(warning.lines) == 1
    monkeypatch.setattr(silence_warning, 'AGAIN_AFTER_S', 0.5)
    infer(f'events:={topic}')
    warning(count=4)


def test_another_type_is_told(client, infer, topic, warning, monkeypatch):
    monkeypatch.setattr(silence_warning, 'AGAIN_AFTER_S', 0.5)  # for when it is known late
    client.node.create_publisher(Image, topic, 10)
    infer(f'events:={topic}')
    warning(words=f'{topic}: /client publishes sensor_msgs/msg/Image there, and not event')


def test_qos_that_does_not_fit_is_told(client, infer, topic, warning, monkeypatch):
    monkeypatch.setattr(silence_warning, 'AGAIN_AFTER_S', 0.5)  # for when it is known late
    client.node.create_publisher(EventPacket, topic, QoSProfile(
        depth=10, reliability=ReliabilityPolicy.BEST_EFFORT))
    infer(f'events:={topic}', events__reliability='reliable')
    told = warning(words=f'{topic}: /client publishes it with QoS that does not fit')
    assert 'Best effort publisher and reliable subscription' in told


def test_a_publisher_that_sends_nothing_is_told_unless_it_replays(client, infer, topic, warning,
                                                                  capfd, monkeypatch):
    monkeypatch.setattr(silence_warning, 'FIRST_AFTER_S', 4.0)
    publisher = client.node.create_publisher(EventPacket, topic, 10)
    clock = client.node.create_publisher(Clock, '/clock', 10)
    infer(f'events:={topic}')
    time.sleep(5.0)
    assert 'has come on' not in capfd.readouterr().err
    client.node.destroy_publisher(clock)
    assert f'{topic}: /client publishes it, but has sent nothing' in warning()
    client.node.destroy_publisher(publisher)


def test_who_has_heard_packets_is_silent(client, infer, topic, capfd, monkeypatch):
    monkeypatch.setattr(silence_warning, 'FIRST_AFTER_S', 4.0)
    publisher = client.node.create_publisher(EventPacket, topic, 10)
    infer(f'events:={topic}')
    wait_for(lambda: publisher.get_subscription_count() == 1)
    publisher.publish(EventPacket(encoding='evt3', width=140, height=98))
    client.node.destroy_publisher(publisher)
    time.sleep(5.0)
    assert 'has come on' not in capfd.readouterr().err


def test_pictures_are_named_as_launch_files_name_them():
    assert silence_warning._remapping('events', '/a/events') == 'events:=/a/events'
    assert silence_warning._remapping('image/compressed', '/a/compressed') \
        == 'image/compressed:=/a/compressed (in a launch file image:=/a)'


def test_distillation_tells_of_pictures_and_of_events(client, topic, untrained_file,
                                                      untrained_teacher, warning):
    client.node.create_publisher(Image, f'{topic}/image', 10)
    with node_maker(client, DistillationNode, 'distillation', checkpoint=str(untrained_file),
                    teacher__checkpoint=str(untrained_teacher), mode='label') as make:
        make(f'events:={topic}', f'image:={topic}/elsewhere')
        warning(count=2)
    events, pictures = sorted(warning.lines, key=lambda line: 'picture' in line)
    assert f'No event packet has come on {topic}: nobody publishes it' in events
    assert f'No picture has come on {topic}/elsewhere: nobody publishes it.' in pictures
    assert f'{topic}/image' in pictures and 'image:=/' in pictures
    assert 'proxy_label' not in pictures
