# Copyright 2026 depth_anyevent_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""The node that plays a bag, where `ros2 bag play` is not to be had."""
from __future__ import annotations

import sys

from rclpy.exceptions import NameValidationException
from rclpy.qos import QoSProfile
from rclpy.qos_overriding_options import QoSOverridingOptions
from rosgraph_msgs.msg import Clock as ClockMessage

from depth_anyevent_ros.datasets.bags import BagReader, open_bag
from depth_anyevent_ros.nodes.lifecycle import AutostartNode, run
from depth_anyevent_ros.nodes.message_types import message_class
from depth_anyevent_ros.nodes.parameters import REPLAY_PARAMETERS
from depth_anyevent_ros.nodes.replay_player import Player
from depth_anyevent_ros.nodes.topics import CLOCK

# Deep enough for a burst of packets while a subscriber's Python is busy.
QUEUE_DEPTH = 1000


class ReplayNode(AutostartNode):
    """
    Publishes the messages of a bag as the bytes that they are, at the pace of the recording.

    The bag's topic names are kept; remap them as those of any node. All are published reliable.
    A Player does the work on a thread of its own.
    """

    def __init__(self, **kwargs):
        super().__init__('replay', REPLAY_PARAMETERS, **kwargs)
        self._reader: BagReader | None = None
        self._outputs = {}
        self._clock_output = None
        self._player: Player | None = None

    @property
    def done(self) -> bool:
        """Whether the process may end."""
        return (self.value('exit_when_done') and self._player is not None
                and self._player.finished)

    @property
    def failed(self) -> bool:
        """Whether the replay ended early."""
        return self._player is not None and self._player.failed

    def configure(self) -> None:
        """Open the bag and make a publisher for every topic whose type is installed."""
        if not self.value('bag'):
            raise ValueError('the parameter bag is empty: set it to a rosbag2 folder, a .db3 or '
                             'an .mcap file')
        self._reader = open_bag(self.value('bag'))
        for warning in self._reader.warnings:
            self.get_logger().warning(warning)
        for name, info in self._reader.topics.items():
            if name == CLOCK and self.value('clock'):
                self.get_logger().warning(f'{name} of the bag is left out, since the time that '
                                          'is played is published there; clock:=false plays it.')
                continue
            try:
                kind = message_class(info.type)
            except LookupError as error:
                self.get_logger().warning(f'{name} is left out: {error}')
                continue
            try:
                self._outputs[name] = self.create_lifecycle_publisher(
                    kind, name, QoSProfile(depth=QUEUE_DEPTH),
                    qos_overriding_options=QoSOverridingOptions.with_default_policies())
            except NameValidationException as error:
                self.get_logger().warning(f'{name} is left out: {error}')
        if not self._outputs:
            raise ValueError(f'{self.value("bag")} has no topic that can be replayed; it has '
                             f'{", ".join(self._reader.topics) or "none at all"}')
        if self.value('clock'):
            self._clock_output = self.create_lifecycle_publisher(
                ClockMessage, CLOCK, QoSProfile(depth=10))

    def activate(self) -> None:
        """Play from the beginning."""
        self._player = Player(
            self._reader, self._outputs, self._clock_output, rate=self.value('rate'),
            loop=self.value('loop'), start_s=self.value('start'),
            wait_for=self.value('wait_for_subscribers'), logger=self.get_logger())
        self._player.start()

    def deactivate(self) -> None:
        """Stop."""
        if self._player is not None:
            self._player.stop()
            self._player = None

    def release(self) -> None:
        """Close the bag."""
        for publisher in [*self._outputs.values(), self._clock_output]:
            if publisher is not None:
                self.destroy_lifecycle_publisher(publisher)
        self._outputs, self._clock_output = {}, None
        if self._reader is not None:
            self._reader.close()
            self._reader = None


def main(args=None) -> None:
    """Run the node."""
    sys.exit(run(ReplayNode, args))


if __name__ == '__main__':
    main()
