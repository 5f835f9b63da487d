# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""An inference node in a real graph: what it is sent, and a client that hears what it says."""
import contextlib
import itertools
import time

from event_camera_msgs.msg import EventPacket
from evt3_words import event_words
import numpy as np
from rclpy.qos import DurabilityPolicy, QoSProfile
from ros_graph import Client, wait_for
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import String

WIDTH, HEIGHT = 140, 98
EPOCH_S = 1_760_000_000


@contextlib.contextmanager
def inference_client():
    """Give a client that publishes what the node listens to."""
    made = Client()
    made.events = made.node.create_publisher(EventPacket, 'events', QoSProfile(depth=1000))
    made.weights = made.node.create_publisher(
        String, 'weights', QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL))
    made.camera = made.node.create_publisher(CameraInfo, 'camera_info', 10)
    yield made
    made.close()


def message(i, **fields):
    """Return the i-th packet of 10 ms of a stream of random events."""
    rng = np.random.default_rng(i)
    times = np.sort(rng.integers(0, 10_000, 100)) + i * 10_000
    words = np.concatenate([
        event_words(int(t), int(rng.integers(WIDTH)), int(rng.integers(HEIGHT)),
                    int(rng.integers(2))) for t in times]).astype('<u2')
    msg = EventPacket(height=HEIGHT, width=WIDTH, seq=i, encoding='evt3',
                      events=words.tobytes())
    msg.header.frame_id = 'event_camera_optical_frame'
    msg.header.stamp.sec = EPOCH_S + i // 100
    msg.header.stamp.nanosec = i % 100 * 10_000_000
    for name, value in fields.items():
        setattr(msg, name, value)
    return msg


def play(client, begin, end, **fields):
    """Publish packets to the node once it listens."""
    wait_for(lambda: listens(client), what='the node to subscribe')
    for i in range(begin, end):
        client.events.publish(message(i, **fields))


def play_until(client, condition, begin=0):
    """Publish packets until the condition holds; return the number of the next one."""
    wait_for(lambda: listens(client), what='the node to subscribe')
    numbers = itertools.count(begin)

    def holds():
        client.events.publish(message(next(numbers)))
        return condition()
    wait_for(holds)
    return next(numbers)


def status(client):
    """Return (level, sentence) of the node on /diagnostics."""
    return client.diagnostics(f'{client.name}: inference')[:2]


def listens(client):
    """Return whether the node hears what is published, and not one that is about to vanish."""
    found = client.node.get_subscriptions_info_by_topic('events')
    return client.events.get_subscription_count() == 1 \
        and [info.node_name for info in found] == [client.name]


def listen(client, kind=Image, topic='inverse_depth/image'):
    client.listen(kind, topic)
    wait_for(lambda: client.node.count_publishers(topic) == 1, what=f'a publisher of {topic}')


def values(client):
    return client.diagnostics(f'{client.name}: inference')[2]


def calibrate(client):
    """Publish the calibration, which is best effort, until the node has it."""
    def received():
        client.camera.publish(calibration())
        time.sleep(0.1)
        return values(client).get('calibration') == 'received'
    wait_for(received, what='the node to have the calibration')


def calibration():
    info = CameraInfo(width=WIDTH, height=HEIGHT, distortion_model='plumb_bob',
                      d=[-.2, .05, 0., 0., 0.])
    info.k = [100., 0., 69.5, 0., 110., 48.5, 0., 0., 1.]
    info.p = [100., 0., 69.5, 0., 0., 110., 48.5, 0., 0., 0., 1., 0.]
    return info
