# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The node that records event packets and their labels until no more come."""
from __future__ import annotations

from functools import partial
from pathlib import Path
import sys
import time

from rclpy.qos import QoSProfile
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import String

from depth_anyevent_ros.bag_recording import BagRecording
from depth_anyevent_ros.datasets.messages import EVENT_PACKET
from depth_anyevent_ros.nodes import topics
from depth_anyevent_ros.nodes.event_subscription import EventSubscription
from depth_anyevent_ros.nodes.lifecycle import AutostartNode, run
from depth_anyevent_ros.nodes.parameters import LABEL_RECORDER_PARAMETERS
from depth_anyevent_ros.nodes.steady_timer import create_steady_timer

LABELS = {topics.PROXY_LABEL: (Image, 'sensor_msgs/msg/Image'),
          topics.PROXY_LABEL_INFO: (CameraInfo, 'sensor_msgs/msg/CameraInfo'),
          topics.PROXY_LABEL_FACTS: (String, 'std_msgs/msg/String')}
QUEUE_DEPTH = 1000
LOOK_PERIOD_S = 0.2


class LabelRecorderNode(AutostartNode):
    """
    Writes the messages of `events` and of the labels into a new bag, as bytes.

    It is done when whoever published events has gone and nothing has come for quiet_s; a run
    without a label has failed. Messages get the time at which they came.
    """

    def __init__(self, **kwargs):
        super().__init__('label_recorder', LABEL_RECORDER_PARAMETERS, **kwargs)
        self._recording: BagRecording | None = None
        self._events: EventSubscription | None = None
        self._subscriptions_of_labels, self._timer = [], None
        self._heard_publisher = False
        self._last_s = 0.0

    def configure(self) -> None:
        """Begin the bag."""
        if not self.value('output'):
            raise ValueError('the parameter output is empty: set it to the folder of the new bag')
        self.done = self.failed = False
        self._recording = BagRecording(Path(self.value('output')).expanduser())

    def activate(self) -> None:
        """Listen."""
        self._heard_publisher, self._last_s = False, time.monotonic()
        self._events = EventSubscription(
            self, partial(self._write, self.resolve_topic_name(topics.EVENTS), EVENT_PACKET),
            'auto', raw=True)
        for name, (kind, type_name) in LABELS.items():
            self._subscriptions_of_labels.append(self.create_subscription(
                kind, name, partial(self._write, self.resolve_topic_name(name), type_name),
                QoSProfile(depth=QUEUE_DEPTH), raw=True))
        self._timer = create_steady_timer(self, LOOK_PERIOD_S, self._look)
        self.get_logger().info(f'Recording {self._events.topic} and its labels.')

    def deactivate(self) -> None:
        """Listen no more."""
        if self._timer is not None:
            self.destroy_timer(self._timer)
        if self._events is not None:
            self._events.destroy()
        while self._subscriptions_of_labels:
            self.destroy_subscription(self._subscriptions_of_labels.pop())
        self._events = self._timer = None

    def release(self) -> None:
        """End the bag; before its time where this is not done."""
        if self._recording is None:
            return
        if not self.done:
            self.get_logger().warning('Stopped before the end: the bag has what came until now.')
        self._finish()

    def _write(self, topic: str, type_name: str, data: bytes) -> None:
        if self._recording is None or self.done:
            return
        self._last_s = time.monotonic()
        # Who plays a short bag may have come and gone between two looks.
        self._heard_publisher = self._heard_publisher or type_name == EVENT_PACKET
        try:
            self._recording.write(topic, type_name, bytes(data), time.time_ns())
        except (OSError, ValueError) as error:
            self.get_logger().error(f'Cannot record {topic}, and ends: {error}')
            self._recording.abandon()
            self._recording = None
            self.done = self.failed = True

    def _look(self) -> None:
        """See whether more is to be expected."""
        if self.done:
            return
        self._events.adapt()
        publishers = self.count_publishers(self._events.topic)
        self._heard_publisher = self._heard_publisher or publishers > 0
        quiet_s = time.monotonic() - self._last_s
        if self._heard_publisher and not publishers and quiet_s > self.value('quiet_s'):
            self.done = True
            self._finish()

    def _finish(self) -> None:
        recording, self._recording = self._recording, None
        labels = recording.messages[self.resolve_topic_name(topics.PROXY_LABEL)]
        packets = recording.messages[self.resolve_topic_name(topics.EVENTS)]
        try:
            recording.finish()
        except OSError as error:
            self.get_logger().error(f'Cannot end the bag: {error}')
            self.failed = True
            return
        if recording.lost:
            self.get_logger().warning(f'{recording.lost} packets of events were lost on the way.')
        if labels:
            self.get_logger().info(f'{recording.path}: {packets} packets of events and {labels} '
                                   'labels.')
        else:
            self.get_logger().error(f'{packets} packets of events came, and no label: see what '
                                    'the distillation node says.')
            self.failed = True


def main(args=None) -> None:
    """Run the node."""
    sys.exit(run(LabelRecorderNode, args))


if __name__ == '__main__':
    main()
